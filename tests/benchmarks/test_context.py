"""Context building in large repositories, beside what git needs to search, or only to read, the same tree."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from time import perf_counter, process_time

import pytest

from benchmarks.conftest import Scale
from benchmarks.reporter import Figure, Reporter
from devstudio_server.ai.subjects import CriterionText, GenerationSubject
from devstudio_server.planning.context import Context, PartKind, build_context, index
from devstudio_server.planning.context.build import ContextCaches
from devstudio_server.planning.context.index import MAX_READ_FILES
from devstudio_server.scm import GitRepository
from support.ai_world import generation_subject
from support.big_repository import Company, repository_of

FILES = {"small": 1000, "full": 10_000}
MANY_FILES = {"small": 2500, "full": 50_000}
READ_FILES = {"small": 2000, "full": MAX_READ_FILES}
BUDGET = 24_000


def task(company: Company) -> GenerationSubject:
    """Return a task in the company's own words, as people write them: some everywhere, some in a few files."""
    words = company.words(40)
    return generation_subject(
        task_title=" ".join(words[:6]),
        task_description=" ".join(words[6:25]),
        criteria=(CriterionText("1.1", f"WHEN {' '.join(words[25:])} THE SYSTEM SHALL answer"),),
    )


def timed(done: Callable[..., object], *arguments: object) -> float:
    begun = perf_counter()
    done(*arguments)
    return (perf_counter() - begun) * 1000


def worked(done: Callable[..., object], *arguments: object) -> tuple[float, float]:
    """Return how long it took, and the processor time of this process, which a busy machine hardly changes."""
    begun = process_time()
    taken = timed(done, *arguments)
    return taken, (process_time() - begun) * 1000


def git(repository: GitRepository, *arguments: str, stdin: bytes = b"") -> bytes:
    command = ["git", f"--git-dir={repository.path}", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, check=True).stdout


def read_all(repository: GitRepository) -> None:
    """Read the whole tree in the plainest way there is: list it, and have git write out every file."""
    ids = git(repository, "ls-tree", "-r", "--format=%(objectname)", "main")
    assert len(git(repository, "cat-file", "--batch", "--buffer", stdin=ids)) > 1000


def grep(repository: GitRepository, words: str) -> None:
    """Search the tree once for each of the words of a title, all in one go."""
    patterns = [item for word in words.split() for item in ("-e", word)]
    assert git(repository, "grep", "-l", "-i", "-F", *patterns, "main")


def checked(context: Context) -> Context:
    assert context.tokens <= BUDGET
    assert len(context.of(PartKind.FILE)) > 5
    assert context.of(PartKind.TEST)
    return context


@pytest.fixture(scope="module")
def size(request: pytest.FixtureRequest) -> str:
    return str(request.config.getoption("--bench-scale"))


def test_contexts_of_a_large_repository(
    size: str, scale: Scale, reporter: Reporter, tmp_path_factory: pytest.TempPathFactory
) -> None:
    company = Company(FILES[size])
    repository = repository_of(tmp_path_factory.mktemp("company") / "r.git", company.files())
    tree = repository.tree("main")
    tasks = [task(company) for _ in range(scale.runs)]
    times: dict[str, list[float]] = {
        name: [] for name in ("cold", "again", "other", "commit", "grep", "read", "cpu", "cpu2")
    }
    for about in tasks:
        caches = ContextCaches()

        def build(subject: GenerationSubject, of: str = tree, kept: ContextCaches = caches) -> Context:
            return checked(build_context(repository, of, subject, budget_tokens=BUDGET, caches=kept))

        for names, subject in ((("cold", "cpu"), about), (("other", "cpu2"), task(company))):
            for name, taken in zip(names, worked(build, subject), strict=True):
                times[name].append(taken)
        times["again"].append(timed(build, about))
        path = repository.listing(tree)[0].path
        changed = repository.change(tree, {path: os.urandom(8).hex().encode()})
        times["commit"].append(timed(build, about, changed))
        times["grep"].append(timed(grep, repository, about.task_title))
        times["read"].append(timed(read_all, repository))
    count = FILES[size]
    reporter.add(
        f"context of a task, {count} files",
        "`git grep -l -i -F` for the words of its title; beside a plain read: git writing out every file",
        [
            Figure("cold: nothing kept", "ms", times["cold"], times["grep"]),
            Figure("warm: the same task again", "ms", times["again"], times["grep"]),
            Figure("warm: another task", "ms", times["other"], times["grep"]),
            Figure("warm: after a commit", "ms", times["commit"], times["grep"]),
            Figure("cold, beside a plain read", "ms", times["cold"], times["read"]),
            Figure("cold: processor time of ours", "ms", times["cpu"]),
            Figure("another task: processor time", "ms", times["cpu2"]),
        ],
    )


def test_a_repository_beyond_the_bounds(
    size: str, reporter: Reporter, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, read = MANY_FILES[size], READ_FILES[size]
    monkeypatch.setattr(index, "MAX_READ_FILES", read)
    company = Company(count)
    repository = repository_of(tmp_path_factory.mktemp("many") / "r.git", company.files())
    about, caches = task(company), ContextCaches()
    made: list[Context] = []

    def build() -> None:
        made.append(build_context(repository, repository.tree("main"), about, budget_tokens=BUDGET, caches=caches))

    cold, warm = timed(build), timed(build)
    assert made[0] == made[1] == checked(made[0])
    told = {left.why: left.count for left in made[0].omitted}
    unread = told["the repository is too large to read whole: only their paths were looked at"]
    assert unread == count - read
    reporter.add(
        f"context of a task, {count} files of which {read} are read",
        "`git grep` as above",
        [
            Figure("cold: nothing kept", "ms", [cold], [timed(grep, repository, about.task_title)]),
            Figure("warm: the same task again", "ms", [warm], [timed(grep, repository, about.task_title)]),
        ],
    )
