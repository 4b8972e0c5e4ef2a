"""Jobs of runs; the payload of each is ``{run_id}``."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from devstudio_server.execution.service import RUN_JOB, SHIP_JOB
from devstudio_server.execution.work import RunWork
from devstudio_server.jobs import JobContext, JobKind, Place


def _work(context: JobContext, payload: dict[str, Any]) -> RunWork:
    return RunWork(context, UUID(payload["run_id"]))


def ship_input(context: JobContext, payload: dict[str, Any]) -> None:
    """Put the input of a run where a worker finds it."""
    _work(context, payload).ship()


def do_run(context: JobContext, payload: dict[str, Any]) -> None:
    """Do the work of a run in a sandbox."""
    _work(context, payload).run()


def give_up(context: JobContext, payload: dict[str, Any], reason: str) -> None:
    """End a run whose every attempt died."""
    _work(context, payload).give_up(reason)


JOBS = (
    JobKind(SHIP_JOB, ship_input, Place.SERVER, give_up),
    JobKind(RUN_JOB, do_run, Place.WORKER, give_up),
)
