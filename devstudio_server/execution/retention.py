"""How long logs and files of runs are kept."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from devstudio_server.db import actor_of
from devstudio_server.execution.logs import LogStorage
from devstudio_server.execution.run_files import RunFiles
from devstudio_server.kit.clock import now

RUN_RETENTION_DAYS = 30
RUNS_AT_ONCE = 50
"""Runs that one transaction rids of their log: each may have many rows, and the tenant's writers wait meanwhile."""


class RunRetention:
    """A chore of housekeeping: removes logs and files that are old, or whose project was deleted."""

    def __init__(self, logs: LogStorage, files: RunFiles, days: int) -> None:
        """Keep both for ``days`` after they were last written."""
        self._media = (logs.medium, files.medium)
        self._kept = timedelta(days=days)

    def __call__(self, session: Session, limit: int) -> int:
        """Remove those of up to ``limit`` runs of the unit's tenant, or a few less; return of how many."""
        tenant_id = actor_of(session).tenant_id
        removed = 0
        for medium in self._media:
            for run_id in medium.removable(session, tenant_id, now() - self._kept, min(limit, RUNS_AT_ONCE)):
                medium.remove(session, tenant_id, run_id)
                removed += 1
        return removed
