"""The rules of runs: their life from pending to final, and their logs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.db import Actor, after_commit
from devstudio_server.execution.control import RunControl
from devstudio_server.execution.errors import RunIsFinal, RunNotFound
from devstudio_server.execution.logs import LogStorage
from devstudio_server.execution.models import Run
from devstudio_server.execution.plans import RunPlan
from devstudio_server.execution.repository import RunRepository
from devstudio_server.execution.schemas import RunQuery, RunStage, RunStatus, RunType
from devstudio_server.jobs import JobQueue
from devstudio_server.kit.clock import now
from devstudio_server.kit.pagination import Page, page_of

RUN_JOB = "exec.run"
"""The job that does the work of a run in a sandbox."""
SHIP_JOB = "exec.ship"
"""The job that puts the input of a run where a worker without repositories finds it."""


@dataclass(frozen=True)
class RunEnd:
    """How a run ended. ``reason`` is one sentence for the person."""

    status: RunStatus
    reason: str
    exit_code: int | None = None


def unfinished_runs(session: Session) -> list[UUID]:
    """Return the runs of a tenant that are not final."""
    return RunRepository(session).unfinished()


def cancelled_runs(session: Session, run_ids: Collection[UUID]) -> list[UUID]:
    """Return those of ``run_ids`` that somebody asked to stop."""
    return RunRepository(session).cancelled(run_ids) if run_ids else []


def project_of_run(session: Session, run_id: UUID) -> UUID | None:
    """Return the project of a run; None when the tenant has no such run."""
    run = RunRepository(session).find(run_id)
    return None if run is None else run.project_id


class RunService:
    """Creates, reads, cancels and ends runs."""

    def __init__(self, session: Session, actor: Actor, queue: JobQueue, logs: LogStorage, control: RunControl) -> None:
        """Work in ``session`` for ``actor``."""
        self._session = session
        self._actor = actor
        self._runs = RunRepository(session)
        self._queue = queue
        self._logs = logs
        self._control = control

    def enqueue(self, kind: str, run_type: RunType, project_id: UUID, **fields: Any) -> Run:
        """Create a run and, in the same transaction, the job of ``kind`` that does it."""
        run = self._runs.add(Run(project_id=project_id, type=run_type, created_by=self._actor.user_id, **fields))
        run.logs_url = f"/api/v1/exec/{run.id}/logs"
        self._queue.enqueue(self._session, self._actor, kind, {"run_id": str(run.id)})
        return run

    def enqueue_plan(self, plan: RunPlan, run_type: RunType, project_id: UUID, *, shipped: bool, **fields: Any) -> Run:
        """Create a run that does ``plan``; with ``shipped``, its input is first put where any worker finds it."""
        return self.enqueue(
            SHIP_JOB if shipped else RUN_JOB,
            run_type,
            project_id,
            stage=RunStage.QUEUED if shipped else RunStage.READY,
            **_planned(plan),
            **fields,
        )

    def plan(self, run_id: UUID, plan: RunPlan, **fields: Any) -> None:
        """Note the plan of a run that was enqueued without one."""
        self.note(run_id, **_planned(plan), **fields)

    def advance(self, run_id: UUID, stage: RunStage, kind: str, **fields: Any) -> bool:
        """Bring a run to its next stage and enqueue the job of ``kind`` that does it, in one transaction.

        False when it is there already, or final: a job that is delivered twice enqueues the next one once.
        """
        run = self.get(run_id)
        order = [*RunStage]
        if RunStatus(run.status).final or order.index(RunStage(run.stage)) >= order.index(stage):
            return False
        run.stage = stage
        self.note(run_id, **fields)
        self._queue.enqueue(self._session, self._actor, kind, {"run_id": str(run_id)})
        return True

    def get(self, run_id: UUID) -> Run:
        """Return a run; raises `RunNotFound`."""
        run = self._runs.find(run_id)
        if run is None:
            raise RunNotFound(run_id)
        return run

    def list(self, query: RunQuery) -> Page[Run]:
        """Return one page of runs, newest first."""
        wanted = query.model_dump(include={"project_id", "status", "type", "task_id"})
        rows = self._runs.list(query.page(), **wanted)
        return page_of(rows, query.limit, lambda run: run.id)

    def start(self, run_id: UUID) -> Run | None:
        """Note that a worker has begun; None when the run is final already, as after a cancel."""
        run = self.get(run_id)
        if RunStatus(run.status).final:
            return None
        run.status, run.started_at = RunStatus.RUNNING, run.started_at or now()
        self._changed(run)
        return run

    def begin(self, run_id: UUID) -> Run | None:
        """Note that a worker begins the work in a sandbox, and until when it may take; None when it is not due."""
        run = self.get(run_id)
        if RunStatus(run.status).final or run.stage != RunStage.READY or run.plan is None:
            return None
        run.attempt += 1
        run.deadline_at = now() + timedelta(seconds=RunPlan.from_json(run.plan).deadline_s)
        return self.start(run_id)

    def note(self, run_id: UUID, **fields: Any) -> None:
        """Note facts about a run that is under way."""
        run = self.get(run_id)
        for name, value in fields.items():
            setattr(run, name, value)
        self._changed(run)

    def finish(self, run_id: UUID, end: RunEnd) -> bool:
        """End a run; False when it is final already. A final status never changes."""
        run = self.get(run_id)
        if RunStatus(run.status).final:
            return False
        run.status, run.reason, run.exit_code = end.status, end.reason, end.exit_code
        run.finished_at = now()
        self._changed(run)
        for waiting in self._runs.waiting_for(run_id):
            self._queue.enqueue(
                self._session, self._actor, RunPlan.from_json(waiting.plan or {}).then, {"run_id": str(waiting.id)}
            )
        return True

    def wait_for_base(self, run_id: UUID, plan: RunPlan, *, shipped: bool, said: str, **fields: Any) -> bool:
        """Enqueue the run that ``run_id`` has to see the end of, unless it has one; False when it shall stop instead.

        The job that ends ``run_id`` is enqueued once more in the transaction that ends the other.
        """
        run = self.get(run_id)
        if RunStatus(run.status).final or run.base_run_id is not None:
            return True
        if run.cancel_requested:
            return False
        base = self.enqueue_plan(
            plan, RunType(run.type), run.project_id, shipped=shipped, task_id=run.task_id, **fields
        )
        self.note(run_id, base_run_id=base.id, reason=said.format(base.id))
        return True

    def cancel_base(self, run: Run) -> None:
        """Stop the run that ``run`` waits for, if it is under way."""
        base = None if run.base_run_id is None else self.get(run.base_run_id)
        if base is not None and not RunStatus(base.status).final:
            self.cancel(base.id)

    def cancel(self, run_id: UUID) -> Run:
        """Ask a run to stop; one that no worker has begun ends at once. Raises `RunIsFinal`."""
        run = self.get(run_id)
        if RunStatus(run.status).final:
            raise RunIsFinal(run.status)
        run.cancel_requested = True
        after_commit(self._session, lambda: self._kill(run_id))
        if run.status == RunStatus.PENDING:
            self.finish(run_id, RunEnd(RunStatus.CANCELLED, "Cancelled before it began."))
        self._changed(run)
        self.cancel_base(run)
        return run

    def _kill(self, run_id: UUID) -> None:
        """Kill what the run started; a run that has no sandbox yet sees the request when it gets one."""
        self._control.kill(run_id)

    def _changed(self, run: Run) -> None:
        run.version += 1
        self._runs.flush()
        after_commit(self._session, lambda: self._logs.notify(run.id))


def _planned(plan: RunPlan) -> dict[str, Any]:
    """Return the columns of a run that a plan fills."""
    return {"recipe": plan.recipe.name, "argv": [*plan.recipe.argv], "plan": plan.to_json()}
