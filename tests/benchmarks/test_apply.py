"""What it costs to check, try, apply and record a patch, beside a bare `git apply` of the same diff."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from benchmarks.conftest import Scale
from benchmarks.reporter import Figure, Reporter
from devstudio_server.db import Actor
from devstudio_server.patches.service import PatchService
from devstudio_server.patches.trial import content_of_diff
from devstudio_server.scm.git import Author
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


class Place:
    """A project with files and history, a patch that is approved, and a clone where a bare git applies the same."""

    def __init__(self, domain: DomainWorld, name: str, changed: int, files: int = 0, commits: int = 0) -> None:
        self.domain = domain
        self.session = domain.session(domain.project(name), requirements=REQUIREMENTS, tasks=TASKS)
        self.repository = domain.repository(self.session.project_id)
        self._fill(changed, files, commits)
        texts = {f"pkg/f{number}.py": LINES.replace("line 20\n", "line twenty\n") for number in range(changed)}
        self.patch_id = domain.patch(domain.tasks(self.session.id)[0].id, dict(texts))
        domain.approve(self.patch_id)
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

    def ours(self) -> None:
        """Verify signatures, hold it to the policy, apply it to the branch, and write the commit and the audit."""
        domain = self.domain
        with domain.unit(read_only=True) as session:
            patches = service(domain, session)
            patch = patches.get(self.patch_id)
            approvals = patches.rules.require(patch, self.branch)
            content = patch.patch_content.encode()
        assert approvals
        head = self.repository.require_head(self.branch)
        tree = self.repository.apply(self.repository.tree(head), content)
        author = Author("A", "a@example.org", patch.created_at)
        commit = self.repository.commit(tree, (head,), "Apply", author)
        with domain.unit() as session:
            patch = service(domain, session).get(self.patch_id)
            patch.commit = None if patch.commit else commit
            patch.version += 1

    def inspected(self) -> None:
        """Inspect and try the diff as if someone had just handed it in."""
        content_of_diff(self.repository, self.repository.tree(self.base), self.diff)


def service(domain: DomainWorld, session: Any) -> PatchService:
    actor: Actor = domain.actor
    return PatchService(session, actor, domain.ports)


def timed(work: Callable[[], None]) -> float:
    begun = perf_counter()
    work()
    return (perf_counter() - begun) * 1000


def in_turn(first: Callable[[], None], second: Callable[[], None], runs: int) -> tuple[list[float], list[float]]:
    """Time two things in turn, so that what the machine does beside them falls on both."""
    pairs = [(timed(first), timed(second)) for _ in range(runs)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def test_applying_beside_a_bare_git_apply(domain: DomainWorld, reporter: Reporter, scale: Scale) -> None:
    figures = []
    for changed in (1, 200):
        place = Place(domain, f"p{changed}", changed)
        place.ours()
        ours, inspected, bare = [], [], []
        for _ in range(scale.runs):
            ours.append(timed(place.ours))
            inspected.append(timed(place.inspected))
            bare.append(timed(place.bare))
            place.back()
        name = "1 file" if changed == 1 else f"{changed} files"
        figures += [
            Figure(f"verify, policy, apply, commit and audit, {name}", "ms", ours, bare),
            Figure(f"inspect and try an upload, {name}", "ms", inspected, bare),
        ]
    reporter.add("Applying a patch", "`git apply --index` of the same diff in a clone", figures)


def test_a_large_repository_beside_an_empty_one(
    domain: DomainWorld, reporter: Reporter, scale: Scale, request: pytest.FixtureRequest
) -> None:
    files, commits = SIZES[str(request.config.getoption("--bench-scale"))]
    large, empty = Place(domain, "large", 1, files, commits), Place(domain, "empty", 1)
    assert len(large.repository.files(large.repository.tree(large.base))) >= files
    figures = []
    for name, ours, peer in (
        ("verify, policy, apply, commit and audit", large.ours, empty.ours),
        ("inspect and try an upload", large.inspected, empty.inspected),
        ("preview", preview(large), preview(empty)),
    ):
        ours(), peer()
        figures.append(Figure(name, "ms", *in_turn(ours, peer, scale.runs)))
    reporter.add(f"A repository of {files} files and {commits} commits", "the same in an empty repository", figures)


def preview(place: Place) -> Callable[[], None]:
    def show() -> None:
        with place.domain.patches() as patches:
            patches.preview(place.patch_id)

    return show
