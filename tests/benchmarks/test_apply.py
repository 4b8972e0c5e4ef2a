"""What it costs to check, try, apply and record a patch, beside a bare `git apply` of the same diff.

What is timed are the server's own steps: the request, and the two jobs around the sandbox, whose result is written by
hand. A round ends with the branch where it was, so that every round applies the same to the same.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple, TypeVar
from uuid import UUID

import pytest

from benchmarks.conftest import Scale
from benchmarks.reporter import Figure, Reporter
from devstudio_server.execution.results import RunResult
from devstudio_server.execution.schemas import RunStage, RunStatus
from devstudio_server.execution.service import RunEnd
from devstudio_server.patches.jobs import apply_patch, commit_patch
from devstudio_server.patches.review import approve_apart
from devstudio_server.patches.service import COMMIT_JOB
from devstudio_server.patches.trial import content_of_diff
from support.databases import Database
from support.domain_world import REQUIREMENTS, TASKS, DomainWorld

SIZES = {"small": (300, 50), "full": (10_000, 5_000)}
"""Files and commits of the large repository."""
LINES = "".join(f"line {number}\n" for number in range(40))


@pytest.fixture
def domain(tmp_path: Path, database: Database) -> Iterator[DomainWorld]:
    """The server's parts below a fresh folder."""
    world = DomainWorld(tmp_path, database)
    yield world
    world.close()


T = TypeVar("T")


class Times(NamedTuple):
    """Milliseconds of the request, and of the jobs before and after the sandbox."""

    asked: float
    prepared: float
    committed: float


class Place:
    """A project with files and history, a patch that is approved, and a clone where a bare git applies the same."""

    def __init__(self, domain: DomainWorld, name: str, changed: int, files: int = 0, commits: int = 0) -> None:
        self.domain = domain
        self.session = domain.session(domain.project(name), requirements=REQUIREMENTS, tasks=TASKS)
        self.repository = domain.repository(self.session.project_id)
        self._fill(changed, files, commits)
        self.texts = {f"pkg/f{number}.py": LINES.replace("line 20\n", "line twenty\n") for number in range(changed)}
        self.patch_id = self._approved()
        with domain.patches() as patches:
            patch = patches.get(self.patch_id)
            self.diff, self.branch, self.base = patch.patch_content.encode(), patch.branch, patch.base
        self.clone = domain.root / f"clone-{name}"
        subprocess.run(["git", "clone", "--quiet", self.repository.path, self.clone], check=True)

    def _fill(self, changed: int, files: int, commits: int) -> None:
        lines = [b"reset refs/heads/main\nfrom refs/heads/main^0\n"]
        for number in range(max(1, commits)):
            lines.append(b"commit refs/heads/main\ncommitter a <a@example.org> %d +0000\ndata 1\nx\n" % number)
            if number == 0:
                names = ["test_it.py", *(f"pkg/f{index}.py" for index in range(changed))]
                names += [f"d{index % 97}/e{index % 7}/g{index}.txt" for index in range(files)]
                lines += [f"M 100644 inline {path}\ndata {len(LINES)}\n{LINES}\n".encode() for path in names]
            else:
                lines.append(b"M 100644 inline log.txt\ndata %d\n%d\n" % (len(str(number)), number))
        command = ["git", f"--git-dir={self.repository.path}", "fast-import", "--quiet", "--force"]
        subprocess.run(command, input=b"".join(lines), check=True)

    def bare(self) -> None:
        """Check and apply with git alone, to files and index, and take it back without being timed."""
        subprocess.run(["git", "-C", self.clone, "apply", "--index", "-"], input=self.diff, check=True)

    def back(self) -> None:
        subprocess.run(["git", "-C", self.clone, "reset", "--quiet", "--hard"], check=True)

    def _approved(self) -> UUID:
        domain = self.domain
        patch_id = domain.patch(domain.tasks(self.session.id)[0].id, dict(self.texts))
        with domain.reviews() as reviews:
            digest = reviews.patches.get(patch_id).digest
        approve_apart(domain.units, domain.actor, domain.ports, patch_id, digest)
        return patch_id

    def ours(self) -> Times:
        """Ask for an approved patch, prepare its run and commit it: each step verifies, and the last one records."""
        domain, patch_id = self.domain, self._approved()
        asked, run_id = timed(lambda: domain.apply(patch_id))
        job = {"run_id": str(run_id)}
        prepared, _ = timed(lambda: apply_patch(domain.job(), job))
        self._pass(run_id)
        committed, _ = timed(lambda: commit_patch(domain.job(), job))
        with domain.patches() as patches:
            commit = patches.runs.get(run_id).commit
        assert commit == self.repository.head(self.branch) != self.base
        subprocess.run(
            ["git", f"--git-dir={self.repository.path}", "update-ref", f"refs/heads/{self.branch}", self.base],
            check=True,
        )
        return Times(asked, prepared, committed)

    def _pass(self, run_id: UUID) -> None:
        """Write what a worker writes whose tests passed."""
        result = RunResult(RunEnd(RunStatus.SUCCESS, "2 tests passed.", 0))
        with self.domain.patches() as patches:
            assert patches.runs.begin(run_id) is not None
            patches.runs.advance(run_id, RunStage.TESTED, COMMIT_JOB, result=result.to_json(), **result.columns())

    def inspected(self) -> None:
        """Inspect and try the diff as if someone had just handed it in."""
        content_of_diff(self.repository, self.repository.tree(self.base), self.diff)


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Return how many milliseconds it took, and what it returned."""
    begun = perf_counter()
    result = work()
    return (perf_counter() - begun) * 1000, result


def test_applying_beside_a_bare_git_apply(domain: DomainWorld, reporter: Reporter, scale: Scale) -> None:
    figures = []
    for changed in (1, 200):
        place = Place(domain, f"p{changed}", changed)
        place.ours()
        ours, inspected, bare = [], [], []
        for _ in range(scale.runs):
            ours.append(place.ours())
            inspected.append(timed(place.inspected)[0])
            bare.append(timed(place.bare)[0])
            place.back()
        name = "1 file" if changed == 1 else f"{changed} files"
        figures += [Figure(f"{step}, {name}", "ms", times, bare) for step, times in steps(ours).items()]
        figures.append(Figure(f"inspect and try an upload, {name}", "ms", inspected, bare))
    reporter.add("Applying a patch", "`git apply --index` of the same diff in a clone", figures)


def test_a_large_repository_beside_an_empty_one(
    domain: DomainWorld, reporter: Reporter, scale: Scale, request: pytest.FixtureRequest
) -> None:
    files, commits = SIZES[str(request.config.getoption("--bench-scale"))]
    large, empty = Place(domain, "large", 1, files, commits), Place(domain, "empty", 1)
    assert len(large.repository.files(large.repository.tree(large.base))) >= files
    large.ours(), empty.ours()
    pairs = [(large.ours(), empty.ours()) for _ in range(scale.runs)]  # in turn: the machine's load falls on both
    ours, peers = (steps([pair[side] for pair in pairs]) for side in (0, 1))
    figures = [Figure(step, "ms", ours[step], peers[step]) for step in ours]
    for name, work, peer in (
        ("inspect and try an upload", large.inspected, empty.inspected),
        ("preview", preview(large), preview(empty)),
    ):
        work(), peer()
        times = [(timed(work)[0], timed(peer)[0]) for _ in range(scale.runs)]
        figures.append(Figure(name, "ms", [pair[0] for pair in times], [pair[1] for pair in times]))
    reporter.add(f"A repository of {files} files and {commits} commits", "the same in an empty repository", figures)


def steps(times: Sequence[Times]) -> dict[str, list[float]]:
    """Return the samples of each step, and of all of them."""
    return {
        "verify, policy, apply, commit and audit": [sum(each) for each in times],
        "  the request": [each.asked for each in times],
        "  before the sandbox": [each.prepared for each in times],
        "  after the sandbox": [each.committed for each in times],
    }


def preview(place: Place) -> Callable[[], None]:
    def show() -> None:
        with place.domain.patches() as patches:
            patches.preview(place.patch_id)

    return show
