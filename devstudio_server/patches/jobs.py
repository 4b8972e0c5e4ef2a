"""Jobs of patches; the payload of each is ``{run_id}``."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from devstudio_server.jobs import JobContext, JobKind, Place
from devstudio_server.patches.application import Commitment, Preparation
from devstudio_server.patches.replay import REPLAY_JOB
from devstudio_server.patches.replay_jobs import give_up_replay, replay_patch
from devstudio_server.patches.service import APPLY_JOB, COMMIT_JOB


def apply_patch(context: JobContext, payload: dict[str, Any]) -> None:
    """Settle what a run that applies a patch tests."""
    Preparation(context, UUID(payload["run_id"])).run()


def commit_patch(context: JobContext, payload: dict[str, Any]) -> None:
    """Commit what a run has tested."""
    Commitment(context, UUID(payload["run_id"])).run()


def give_up(context: JobContext, payload: dict[str, Any], reason: str) -> None:
    """End a run whose every attempt died."""
    Commitment(context, UUID(payload["run_id"])).fail(reason)


JOBS = (
    JobKind(APPLY_JOB, apply_patch, Place.SERVER, give_up),
    JobKind(COMMIT_JOB, commit_patch, Place.SERVER, give_up),
    JobKind(REPLAY_JOB, replay_patch, Place.SERVER, give_up_replay),
)
