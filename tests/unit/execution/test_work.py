"""A run on its way through its jobs: shipped, lost, cancelled at any moment, done twice, and always ended once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from devstudio_sandbox import Backend, SandboxLost, SandboxUnavailable
from devstudio_server.db import DatabaseUnavailable
from devstudio_server.execution.inputs import RunInputs
from devstudio_server.execution.jobs import do_run, give_up, ship_input
from devstudio_server.execution.logs import LogWriter
from devstudio_server.execution.models import Run
from devstudio_server.execution.run_files import RunFiles
from devstudio_server.execution.schemas import RequestedType, RunCreate, RunStage, RunStatus
from devstudio_server.execution.starting import RunStarter
from devstudio_server.jobs import LeaseLost
from devstudio_server.jobs.models import Job
from devstudio_server.scm import GitStorage
from devstudio_server.scm.git import Author
from support.domain_world import DomainWorld
from support.watched import Watched

ECHO = ["python3", "-c", "print('DONE', open('a.txt').read())"]


@pytest.fixture
def backend(domain: DomainWorld) -> Watched:
    watched = Watched()
    checked: Backend = watched
    domain.backend = checked
    return watched


@pytest.fixture
def project_id(domain: DomainWorld) -> UUID:
    """A project with one file."""
    project = domain.project()
    repository = domain.repository(project.id)
    head = repository.require_head("main")
    tree = repository.change(repository.tree(head), {"a.txt": b"here"})
    commit = repository.commit(tree, (head,), "Add a file", Author("Someone", "someone@example.org"))
    repository.move_branch("main", commit, head)
    return project.id


def start(domain: DomainWorld, project_id: UUID, command: list[str] | None = None) -> UUID:
    payload = RunCreate(project_id=project_id, type=RequestedType.TEST, command=command or ECHO)
    with domain.unit() as unit:
        return RunStarter(unit, domain.actor, domain.ports).start(payload).id


def work(domain: DomainWorld, run_id: UUID) -> None:
    do_run(domain.job(), {"run_id": str(run_id)})


def get(domain: DomainWorld, run_id: UUID) -> Run:
    with domain.patches() as patches:
        return patches.runs.get(run_id)


def log(domain: DomainWorld, run_id: UUID) -> str:
    return domain.logs.read(domain.actor.tenant_id, run_id, 0, 1_000_000).decode()


def cancel(domain: DomainWorld, run_id: UUID) -> None:
    with domain.patches() as patches:
        patches.runs.cancel(run_id)


def kinds(domain: DomainWorld) -> list[str]:
    with domain.unit() as unit:
        return [*unit.scalars(select(Job.kind).order_by(Job.id))]


def test_a_run_is_done_once_however_often_its_job_comes(
    domain: DomainWorld, project_id: UUID, backend: Watched
) -> None:
    run_id = start(domain, project_id)
    for _ in range(3):
        work(domain, run_id)
    run = get(domain, run_id)
    assert (run.status, run.attempt, backend.opened) == (RunStatus.SUCCESS, 1, 1)
    assert log(domain, run_id).count("DONE here") == 1
    assert (run.metrics_json or {})["queue_wait"] >= 0
    assert kinds(domain) == ["exec.run"]


def test_a_worker_needs_the_row_and_the_shipped_input_and_no_repository(
    domain: DomainWorld, project_id: UUID, backend: Watched, tmp_path: Path
) -> None:
    files = domain.ports.get(RunFiles)
    domain.ports.provide(RunInputs, RunInputs(domain.git, files, shipped=True))
    run_id = start(domain, project_id)
    assert (kinds(domain), get(domain, run_id).stage) == (["exec.ship"], RunStage.QUEUED)
    work(domain, run_id)
    assert get(domain, run_id).status == RunStatus.PENDING, "its input is not there yet"
    for _ in range(2):
        ship_input(domain.job(), {"run_id": str(run_id)})
    assert kinds(domain) == ["exec.ship", "exec.run"]
    domain.git.root.rename(tmp_path / "gone")
    domain.ports.provide(RunInputs, RunInputs(GitStorage(tmp_path / "nothing"), files, shipped=True))
    work(domain, run_id)
    assert (get(domain, run_id).status, backend.opened) == (RunStatus.SUCCESS, 1)
    assert "DONE here" in log(domain, run_id)
    assert [(file.name, file.size) for file in files.list(domain.actor.tenant_id, run_id)] == [("input.tar", 0)]


def test_an_input_that_cannot_be_shipped_ends_the_run(domain: DomainWorld, project_id: UUID, tmp_path: Path) -> None:
    domain.ports.provide(RunInputs, RunInputs(domain.git, domain.ports.get(RunFiles), shipped=True))
    run_id = start(domain, project_id)
    domain.git.root.rename(tmp_path / "gone")
    ship_input(domain.job(), {"run_id": str(run_id)})
    run = get(domain, run_id)
    assert (run.status, bool(run.reason)) == (RunStatus.FAILED, True)
    assert kinds(domain) == ["exec.ship"]


def failing(errors: list[Exception]) -> Callable[[], None]:
    """Return what raises these errors one after the other, and then nothing."""

    def fail() -> None:
        if errors:
            raise errors.pop(0)

    return fail


def test_a_lost_sandbox_is_replaced_once(domain: DomainWorld, project_id: UUID, backend: Watched) -> None:
    run_id = start(domain, project_id)
    backend.then = failing([SandboxLost("the engine went away")])
    work(domain, run_id)
    assert (get(domain, run_id).status, backend.opened) == (RunStatus.SUCCESS, 2)
    assert "The sandbox was lost (the engine went away)" in log(domain, run_id)


@pytest.mark.parametrize(
    ("errors", "opened", "reason"),
    [
        ([SandboxLost("gone"), SandboxLost("gone again")], 2, "gone again"),
        ([SandboxLost("gone"), SandboxUnavailable("no engine; start it")], 2, "no engine; start it"),
        ([SandboxUnavailable("no engine; start it")], 1, "no engine; start it"),
        ([RuntimeError("secret detail")], 1, "An internal error ended the run."),
        ([OSError(28, "No space left on device")], 1, "No space left on device while"),
    ],
)
def test_whatever_goes_wrong_the_run_ends_with_a_reason(
    domain: DomainWorld, project_id: UUID, backend: Watched, errors: list[Exception], opened: int, reason: str
) -> None:
    run_id = start(domain, project_id)
    backend.then = failing(errors)
    work(domain, run_id)
    run = get(domain, run_id)
    assert (run.status, backend.opened, str(run.reason).startswith(reason)) == (RunStatus.FAILED, opened, True)
    assert "secret" not in str(run.reason)
    assert run.finished_at is not None


def test_a_database_that_is_away_for_a_moment_ends_no_run(
    domain: DomainWorld, project_id: UUID, backend: Watched
) -> None:
    run_id = start(domain, project_id)
    backend.then = failing([DatabaseUnavailable("The database did not answer.")])
    with pytest.raises(DatabaseUnavailable):
        work(domain, run_id)
    assert get(domain, run_id).status == RunStatus.RUNNING
    do_run(domain.job(2), {"run_id": str(run_id)})
    run = get(domain, run_id)
    assert (run.status, run.attempt) == (RunStatus.SUCCESS, 2)


class Held:
    """A lease that can be lost."""

    def __init__(self) -> None:
        self.lost = Event()

    def check(self, session: object) -> None:
        del session
        if self.lost.is_set():
            raise LeaseLost

    def whenever_lost(self, callback: Callable[[], None]) -> Any:
        del callback
        return nullcontext()


@pytest.mark.parametrize("error", [None, SandboxLost("killed with its lease")])
def test_an_attempt_that_lost_its_lease_writes_nothing_and_the_next_one_ends_the_run(
    domain: DomainWorld, project_id: UUID, backend: Watched, error: Exception | None
) -> None:
    run_id = start(domain, project_id)
    held = Held()

    def lose() -> None:
        held.lost.set()
        if error is not None:
            raise error

    backend.then = lose
    with pytest.raises(LeaseLost):
        do_run(replace(domain.job(), hold=held), {"run_id": str(run_id)})
    run = get(domain, run_id)
    assert (run.status, run.attempt, run.reason) == (RunStatus.RUNNING, 1, None)
    backend.then = lambda: None
    do_run(domain.job(2), {"run_id": str(run_id)})
    run = get(domain, run_id)
    assert (run.status, run.attempt) == (RunStatus.SUCCESS, 2)
    assert "Attempt 2" in log(domain, run_id)


def test_a_run_whose_every_attempt_died_is_given_up(domain: DomainWorld, project_id: UUID) -> None:
    run_id = start(domain, project_id)
    give_up(domain.job(), {"run_id": str(run_id)}, "Every worker died.")
    work(domain, run_id)
    assert (get(domain, run_id).status, get(domain, run_id).reason) == (RunStatus.FAILED, "Every worker died.")


@contextmanager
def calling(kind: type, name: str, first: Callable[[], None]) -> Iterator[None]:
    """Call ``first`` each time before a method of a class."""
    real = getattr(kind, name)

    def wrapped(*arguments: Any, **options: Any) -> Any:
        first()
        return real(*arguments, **options)

    setattr(kind, name, wrapped)
    try:
        yield
    finally:
        setattr(kind, name, real)


@pytest.mark.parametrize("stage", ["pending", "opening", "putting", "running", "collecting"])
def test_a_cancel_ends_a_run_at_every_stage(
    domain: DomainWorld, project_id: UUID, backend: Watched, stage: str
) -> None:
    write = ["python3", "-c", "import os; os.mkdir('dist'); open('dist/x', 'w').write('x')"]
    run_id = start(domain, project_id, write)
    done: list[str] = []

    def stop() -> None:
        if not done:
            done.append(stage)
            cancel(domain, run_id)

    hook: Any = nullcontext()
    if stage == "pending":
        stop()
    elif stage == "opening":
        backend.then = stop
    elif stage == "putting":
        hook = calling(RunInputs, "archive", stop)
    elif stage == "running":
        run_id = start(domain, project_id, ["python3", "-c", "import time; print('UP', flush=True); time.sleep(60)"])
        hook = calling(LogWriter, "write", stop)  # with the first output
    else:
        hook = calling(RunFiles, "save", stop)
    with hook:
        work(domain, run_id)
    run = get(domain, run_id)
    assert done == [stage]
    assert run.status == RunStatus.CANCELLED
    assert str(run.reason).startswith("Cancelled")
    assert backend.opened == (0 if stage == "pending" else 1)
    assert domain.control.active() == []
