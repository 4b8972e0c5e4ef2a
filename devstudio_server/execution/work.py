"""A run on its way through the jobs: its input shipped, its work done in a sandbox, its end written once.

Each step ends with one transaction that holds what it found and enqueues what follows. A step that is done again, after
a crash or because its job was delivered twice, finds the run further on or final and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_sandbox import Recipe, Sandbox, SandboxError, SandboxLost
from devstudio_server.db import DatabaseUnavailable
from devstudio_server.egress.gate import EgressScope
from devstudio_server.execution.artifacts import keep_artifacts
from devstudio_server.execution.control import RunControl
from devstudio_server.execution.evidence import follow_evidence
from devstudio_server.execution.inputs import RunInputs
from devstudio_server.execution.logs import LogStorage, LogWriter
from devstudio_server.execution.models import Run
from devstudio_server.execution.plans import RunPlan
from devstudio_server.execution.results import RunResult
from devstudio_server.execution.run_files import RunFiles
from devstudio_server.execution.runner import SandboxJob, SandboxRunner
from devstudio_server.execution.schemas import ArtifactRead, RunStage, RunStatus, RunType
from devstudio_server.execution.service import RUN_JOB, RunEnd, RunService
from devstudio_server.jobs import JobContext, JobQueue, LeaseLost
from devstudio_server.kit.clock import now
from devstudio_server.kit.errors import AppError
from devstudio_server.kit.logging import get_logger

TRIES = 2
"""How often one attempt opens a sandbox: one that is lost in the middle is replaced once."""
CANCELLED = RunEnd(RunStatus.CANCELLED, "Cancelled.")

_log = get_logger("execution")


def reason_of(error: Exception, run_id: UUID) -> str:
    """Return what a person is told about what ended a run; what nobody foresaw goes to the server's log."""
    if isinstance(error, (AppError, SandboxError)):
        return str(error)
    _log.error("run_failed", run_id=str(run_id), exc_info=error)
    if isinstance(error, OSError) and error.errno is not None:
        return f"{error.strerror} while the run was under way. Free some space and run it again."
    return "An internal error ended the run. The server's log says more."


class RunWork:
    """One run, as the job of one step does it."""

    def __init__(self, context: JobContext, run_id: UUID) -> None:
        """Do the run ``run_id``."""
        self._context = context
        self._run_id = run_id
        self._ports = context.ports

    def ship(self) -> None:
        """Put the run's input where a worker finds it, and enqueue its work."""
        with self._context.begin(read_only=True) as session:
            run = self._runs(session).get(self._run_id)
        if RunStatus(run.status).final or run.stage != RunStage.QUEUED:
            return
        try:
            self._ports.get(RunInputs).ship(run)
        except (LeaseLost, DatabaseUnavailable):  # the job is done again
            raise
        except Exception as error:  # noqa: BLE001 - a run always ends in a final status with a reason
            self.finish(RunResult(RunEnd(RunStatus.FAILED, reason_of(error, self._run_id))))
            return
        with self._context.begin() as session:
            self._runs(session).advance(self._run_id, RunStage.READY, RUN_JOB)

    def run(self) -> None:
        """Do the work of the run in a sandbox, and end the run, or hand its result to the job that follows."""
        with self._context.begin() as session:
            run = self._runs(session).begin(self._run_id)
        if run is None:
            return
        plan = RunPlan.from_json(run.plan or {})
        try:
            with self._ports.get(LogStorage).writer(run.tenant_id, run.id, run.attempt) as log:
                result = self._try(run, plan, log)
        except (LeaseLost, DatabaseUnavailable):  # the job is done again
            raise
        except Exception as error:  # a run always ends in a final status with a reason
            if self._context.lost.is_set():
                raise LeaseLost(str(error)) from error
            result = RunResult(RunEnd(RunStatus.FAILED, reason_of(error, self._run_id)))
        self._conclude(plan, result)
        self._ports.get(RunInputs).discard(run)

    def give_up(self, reason: str) -> None:
        """End the run, as one whose every attempt died."""
        with self._context.begin(read_only=True) as session:
            run = self._runs(session).get(self._run_id)
        result = RunResult(RunEnd(RunStatus.FAILED, reason))
        if run.plan is not None and run.stage == RunStage.READY:
            self._conclude(RunPlan.from_json(run.plan), result)
        else:
            self.finish(result)

    def _try(self, run: Run, plan: RunPlan, log: LogWriter) -> RunResult:
        job = SandboxJob(
            run_id=run.id,
            tenant_id=run.tenant_id,
            kind=RunType(run.type),
            plan=plan,
            archive=lambda: self._ports.get(RunInputs).archive(run),
            opened=self._opened,
            keep=lambda archive: self._keep(run, archive),
            egress=None if plan.offline else EgressScope(self._context.actor, run.project_id, run.id, run.task_id),
        )
        for left in reversed(range(TRIES)):
            try:
                return self._ports.get(SandboxRunner).run(job, log)
            except SandboxLost as lost:
                if not left or self._context.lost.is_set() or self._context.stopping.is_set() or self.cancelled():
                    raise
                log.note(f"The sandbox was lost ({lost}). Another one is opened, and the run begins anew.")
        raise AssertionError  # the last try returns or raises

    def _keep(self, run: Run, archive: Iterator[bytes]) -> list[ArtifactRead]:
        return keep_artifacts(self._ports.get(RunFiles), run.tenant_id, run.id, archive)

    def _opened(self, sandbox: Sandbox, recipe: Recipe) -> None:
        handle, command = sandbox.handle[:100], " ".join(recipe.command(sandbox).argv)
        self.note(container_id=handle, isolation=sandbox.isolation, command=command)
        if self.cancelled():
            sandbox.kill()

    def _conclude(self, plan: RunPlan, result: RunResult) -> None:
        """End the run, or store its result and enqueue what follows: in one transaction, so that neither is doubled."""
        if not plan.then:
            self.finish(result)
            return
        with self._context.begin() as session:
            columns = _measured(self._runs(session).get(self._run_id), result)
            self._runs(session).advance(self._run_id, RunStage.TESTED, plan.then, result=result.to_json(), **columns)

    def finish(self, result: RunResult) -> None:
        """Write the end of the run with all that it found; a cancel that came in time is its end."""
        with self._context.begin() as session:
            runs = self._runs(session)
            run = runs.get(self._run_id)
            cancelled = run.cancel_requested and result.end.status is not RunStatus.CANCELLED
            end = RunEnd(CANCELLED.status, CANCELLED.reason, result.end.exit_code) if cancelled else result.end
            if runs.finish(self._run_id, end):
                runs.note(self._run_id, result=result.to_json(), **_measured(run, result))
                follow_evidence(session, run, result)

    def note(self, **fields: Any) -> None:
        """Note facts about the run that is under way."""
        with self._context.begin() as session:
            self._runs(session).note(self._run_id, **fields)

    def cancelled(self) -> bool:
        """Tell whether somebody asked the run to stop."""
        with self._context.begin(read_only=True) as session:
            return self._runs(session).get(self._run_id).cancel_requested

    def _runs(self, session: Session) -> RunService:
        ports = self._ports
        return RunService(
            session, self._context.actor, ports.get(JobQueue), ports.get(LogStorage), ports.get(RunControl)
        )


def _measured(run: Run, result: RunResult) -> dict[str, Any]:
    """Return the columns of a result, with how long the run waited for its worker."""
    columns = result.columns()
    waited = ((run.started_at or now()) - run.created_at) / timedelta(seconds=1)
    columns["metrics_json"] = {**result.metrics, "queue_wait": round(max(waited, 0.0), 3)}
    return columns
