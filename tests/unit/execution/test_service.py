"""The life of a run: final is final."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest
from sqlalchemy import select

from devstudio_server.execution.errors import RunIsFinal, RunNotFound
from devstudio_server.execution.models import Run
from devstudio_server.execution.schemas import RunQuery, RunStatus, RunType
from devstudio_server.execution.service import RunEnd, RunService
from devstudio_server.jobs.models import Job
from devstudio_server.kit.ids import new_id
from support.domain_world import DomainWorld

FINAL = [status for status in RunStatus if status.final]


@contextmanager
def runs(domain: DomainWorld) -> Iterator[RunService]:
    with domain.patches() as patches:
        yield patches.runs


@pytest.fixture
def run_id(domain: DomainWorld) -> UUID:
    project = domain.project()
    with runs(domain) as service:
        return service.enqueue("some.job", RunType.TEST, project.id).id


def get(domain: DomainWorld, run_id: UUID) -> Run:
    with runs(domain) as service:
        return service.get(run_id)


def test_a_run_and_its_job_are_made_together(domain: DomainWorld, run_id: UUID) -> None:
    run = get(domain, run_id)
    assert (run.status, run.logs_url, run.version) == (RunStatus.PENDING, f"/api/v1/exec/{run_id}/logs", 1)
    with domain.unit() as unit:
        job = unit.scalars(select(Job)).one()
    assert (job.kind, job.payload, job.user_id) == ("some.job", {"run_id": str(run_id)}, domain.actor.user_id)


def test_a_unit_that_fails_leaves_neither_run_nor_job_nor_wake_up(domain: DomainWorld) -> None:
    project = domain.project()

    def enqueue_and_fail() -> None:
        with runs(domain) as service:
            service.enqueue("some.job", RunType.TEST, project.id)
            raise KeyError

    with pytest.raises(KeyError):
        enqueue_and_fail()
    with domain.unit() as unit:
        assert unit.scalars(select(Job)).all() == []
        assert unit.scalars(select(Run)).all() == []
    assert domain.wakes == 0


def test_it_runs_and_ends(domain: DomainWorld, run_id: UUID) -> None:
    with runs(domain) as service:
        started = service.start(run_id)
        assert started is not None
        first = started.started_at
    with runs(domain) as service:
        again = service.start(run_id)
        assert again is not None
        assert again.started_at == first, "a run that is repeated began when it first began"
    with runs(domain) as service:
        assert service.finish(run_id, RunEnd(RunStatus.SUCCESS, "green", 0))
    run = get(domain, run_id)
    assert (run.status, run.reason, run.exit_code, run.version) == (RunStatus.SUCCESS, "green", 0, 4)
    assert run.finished_at is not None


@pytest.mark.parametrize("final", FINAL)
def test_a_final_status_never_changes(domain: DomainWorld, run_id: UUID, final: RunStatus) -> None:
    with runs(domain) as service:
        service.finish(run_id, RunEnd(final, "so"))
    before = get(domain, run_id)
    with runs(domain) as service:
        assert service.start(run_id) is None
        assert not any(service.finish(run_id, RunEnd(other, "else", 3)) for other in FINAL)
    with pytest.raises(RunIsFinal, match=final.value), runs(domain) as service:
        service.cancel(run_id)
    after = get(domain, run_id)
    assert (after.status, after.reason, after.finished_at, after.cancel_requested, after.version) == (
        before.status,
        "so",
        before.finished_at,
        False,
        before.version,
    )


def test_a_cancel_ends_what_has_not_begun_and_asks_what_has(domain: DomainWorld, run_id: UUID) -> None:
    with runs(domain) as service:
        service.start(run_id)
        assert service.cancel(run_id).status == RunStatus.RUNNING
    assert get(domain, run_id).cancel_requested
    with runs(domain) as service:
        other = service.enqueue("some.job", RunType.TEST, get_project(service, run_id)).id
        cancelled = service.cancel(other)
        assert (cancelled.status, cancelled.reason) == (RunStatus.CANCELLED, "Cancelled before it began.")


def get_project(service: RunService, run_id: UUID) -> UUID:
    return service.get(run_id).project_id


def test_unknown_runs_and_other_tenants(domain: DomainWorld, run_id: UUID) -> None:
    with pytest.raises(RunNotFound), runs(domain) as service:
        service.get(new_id())
    with runs(domain) as service:
        assert [run.id for run in service.list(RunQuery()).items] == [run_id]
        assert service.list(RunQuery(status=RunStatus.SUCCESS)).items == []
        assert service.list(RunQuery(project_id=new_id())).items == []
