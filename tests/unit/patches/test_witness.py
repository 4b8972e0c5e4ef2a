"""Git is asked in few processes, and while nobody waits for the unit of work that writes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from devstudio_server.db import Actor
from devstudio_server.patches.envelope_errors import ContentChanged
from devstudio_server.patches.errors import DigestMismatch
from devstudio_server.patches.review import approve_apart
from devstudio_server.patches.schemas import PatchRead, PatchStatus
from devstudio_server.patches.service import PatchService
from devstudio_server.scm import GitRepository
from devstudio_server.scm.checkout import checkout
from devstudio_server.scm.git import Author
from support.domain_world import ADDER, REQUIREMENTS, TASKS, DomainWorld


class Watch:
    """Counts git's processes, and those while a unit writes; ``before_writing`` is done right before one begins."""

    def __init__(self, domain: DomainWorld, monkeypatch: pytest.MonkeyPatch) -> None:
        self.all = self.in_units = self._writing = 0
        self.before_writing: list[Any] = []
        begin, run = domain.units.begin, GitRepository._run

        @contextmanager
        def watched(actor: Actor, *, read_only: bool = False) -> Iterator[Session]:
            while not read_only and self.before_writing:
                self.before_writing.pop()()
            with begin(actor, read_only=read_only) as session:
                self._writing += not read_only
                try:
                    yield session
                finally:
                    self._writing -= not read_only

        def counted(repository: GitRepository, *arguments: Any, **options: Any) -> Any:
            self.all += 1
            self.in_units += self._writing > 0
            return run(repository, *arguments, **options)

        monkeypatch.setattr(domain.units, "begin", watched)
        monkeypatch.setattr(GitRepository, "_run", counted)


@pytest.fixture
def patch_id(domain: DomainWorld) -> UUID:
    session = domain.session(requirements=REQUIREMENTS, tasks=TASKS)
    return domain.patch(domain.tasks(session.id)[0].id, dict(ADDER))


def approve(domain: DomainWorld, patch_id: UUID) -> PatchRead:
    with domain.unit(read_only=True) as unit:
        digest = PatchService(unit, domain.actor, domain.ports).get(patch_id).digest
    return approve_apart(domain.units, domain.actor, domain.ports, patch_id, digest)


def change(domain: DomainWorld, patch_id: UUID, **columns: str) -> None:
    with domain.patches() as patches:
        patch = patches.get(patch_id)
        for name, value in columns.items():
            setattr(patch, name, value)


def test_an_approval_asks_git_before_its_unit_and_not_in_it(
    domain: DomainWorld, patch_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(domain, monkeypatch)
    read = approve(domain, patch_id)
    assert read.status is PatchStatus.APPROVED
    assert read.signature.valid
    assert watch.all > 0
    assert watch.in_units == 0


@pytest.mark.parametrize(
    ("columns", "error", "said"),
    [
        ({"patch_content": "diff --git a/x b/x\n"}, DigestMismatch, "not this patch's"),
        ({"result_tree": "4b825dc642cb6eb9a060e54bf8d69288fbee4904"}, ContentChanged, "the tree that it makes changed"),
    ],
    ids=["bytes", "tree"],
)
def test_what_changed_after_git_was_asked_is_not_approved(
    domain: DomainWorld,
    patch_id: UUID,
    monkeypatch: pytest.MonkeyPatch,
    columns: dict[str, str],
    error: type[Exception],
    said: str,
) -> None:
    watch = Watch(domain, monkeypatch)
    watch.before_writing.append(lambda: change(domain, patch_id, **columns))
    with pytest.raises(error, match=said):
        approve(domain, patch_id)
    with domain.patches() as patches:
        assert patches.get(patch_id).status == PatchStatus.PENDING


def test_checking_out_starts_one_process_however_many_files(
    domain: DomainWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = domain.project()
    repository, tree = domain.repository(project.id), domain.tree(project.id)
    files: dict[str, bytes | None] = {f"d {number}/ü.txt": b"%d\n" % number for number in range(30)}
    first = repository.require_head("main")
    author = Author("A", "a@example.org")
    second = repository.commit(repository.change(repository.tree(first), files), (first,), "Write", author)
    gone = dict.fromkeys(files) | {"d 1/ü.txt": b"other\n"}
    third = repository.commit(repository.change(repository.tree(second), gone), (second,), "Remove", author)
    started: list[Any] = []
    real = subprocess.Popen.__init__

    def counted(self: Any, *arguments: Any, **options: Any) -> None:
        started.append(arguments)
        real(self, *arguments, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", counted)
    assert checkout(repository, tree, second, [*files]) == []
    assert {path: tree.read(path) for path in files} == files
    tree.write("d 2/ü.txt", b"mine\n")
    assert checkout(repository, tree, third, [*files]) == ["d 2/ü.txt"]
    assert {path: tree.read(path) for path in files} == gone | {"d 2/ü.txt": b"mine\n"}
    assert len(started) == 2, "one for each time"
