"""Runs whose process is gone, and cancels of runs that another process does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.db import Actor, actor_of
from devstudio_server.execution.control import RunControl
from devstudio_server.execution.logs import LogStorage
from devstudio_server.execution.schemas import RunStatus
from devstudio_server.execution.service import RunEnd, RunService, cancelled_runs, unfinished_runs
from devstudio_server.jobs import JobContext, JobQueue
from devstudio_server.jobs.heartbeat import HeldLease
from devstudio_server.jobs.service import unfinished_payloads
from devstudio_server.kit.logging import get_logger
from devstudio_server.web import Ports

_LOST = "Its work was lost before it ended, so it was stopped. Nothing was committed; start it again."

_log = get_logger("runs")


def give_up_run(context: JobContext, payload: dict[str, Any], reason: str) -> None:
    """End the run that a job was about, since every process that did it died; ``payload`` is ``{run_id}``."""
    with context.begin() as session:
        _runs(session, context.actor, context.ports).finish(
            UUID(payload["run_id"]), RunEnd(RunStatus.FAILED, f"{reason} Nothing was committed.")
        )


class CancelWatch:
    """Lets a cancel reach a run, whichever process took the request."""

    def __init__(self, control: RunControl, hurry: Callable[[], None]) -> None:
        """Kill by ``control``; ``hurry`` asks for the next look at once."""
        self._control = control
        self._hurry = hurry

    def woken(self, _tenant_id: UUID | None, _seq: int) -> None:
        """Look at once when something changed while runs are under way here: it may be a cancel."""
        if self._control.active():
            self._hurry()

    def look(self, session: Session, holds: Sequence[HeldLease]) -> Callable[[], None]:
        """Return what kills the runs among ``holds`` that somebody cancelled."""
        about = {UUID(hold.payload["run_id"]) for hold in holds if "run_id" in hold.payload}
        cancelled = cancelled_runs(session, about & set(self._control.active()))

        def kill() -> None:
            for run_id in cancelled:
                self._control.kill(run_id)

        return kill


class OrphanedRuns:
    """Ends runs that are not final and that no job is about any more: nobody would ever end them."""

    def __init__(self, ports: Ports) -> None:
        """Tell who follows a log by ``ports``."""
        self._ports = ports

    def settle(self, session: Session) -> int:
        """End those of the tenant of ``session``; return how many."""
        unfinished = unfinished_runs(session)
        if not unfinished:
            return 0
        about = {str(payload.get("run_id")) for payload in unfinished_payloads(session)}
        orphans = [run_id for run_id in unfinished if str(run_id) not in about]
        for run_id in orphans:
            _log.error("run_without_job", run_id=str(run_id))
            _runs(session, actor_of(session), self._ports).finish(run_id, RunEnd(RunStatus.FAILED, _LOST))
        return len(orphans)


def _runs(session: Session, actor: Actor, ports: Ports) -> RunService:
    return RunService(session, actor, ports.get(JobQueue), ports.get(LogStorage), ports.get(RunControl))
