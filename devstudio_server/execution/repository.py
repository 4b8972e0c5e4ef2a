"""All SQL of runs."""

from __future__ import annotations

import builtins
from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from devstudio_server.db import newest_first
from devstudio_server.execution.models import Run, RunSettings
from devstudio_server.execution.schemas import RunStatus, RunType
from devstudio_server.kit.pagination import PageRequest

_OPEN = (RunStatus.PENDING, RunStatus.RUNNING)


class RunRepository:
    """Reads and adds runs within one unit of work."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._session = session

    def flush(self) -> None:
        """Send pending changes to the database."""
        self._session.flush()

    def find(self, run_id: UUID) -> Run | None:
        """Return a run, or None."""
        return self._session.scalars(select(Run).where(Run.id == run_id)).one_or_none()

    def list(
        self,
        page: PageRequest,
        *,
        project_id: UUID | None,
        task_id: UUID | None,
        status: RunStatus | None,
        type: RunType | None,  # noqa: A002 - the column's name
    ) -> Sequence[Run]:
        """Return up to ``page.limit + 1`` runs, newest first, whose columns have the values that are given."""
        wanted = {"project_id": project_id, "task_id": task_id, "status": status, "type": type}
        query = select(Run).filter_by(**{name: value for name, value in wanted.items() if value is not None})
        return self._session.scalars(newest_first(query, Run, page)).all()

    def unfinished(self) -> builtins.list[UUID]:
        """Return the ids of all runs that are not final, and do not wait for another that is not."""
        base = aliased(Run)
        waits = select(base.id).where(base.id == Run.base_run_id, base.status.in_(_OPEN)).exists()
        return [*self._session.scalars(select(Run.id).where(Run.status.in_(_OPEN), ~waits).order_by(Run.id))]

    def waiting_for(self, run_id: UUID) -> Sequence[Run]:
        """Return the runs that go on when ``run_id`` is final."""
        return self._session.scalars(select(Run).where(Run.base_run_id == run_id, Run.status.in_(_OPEN))).all()

    def cancelled(self, run_ids: Collection[UUID]) -> builtins.list[UUID]:
        """Return those of ``run_ids`` that somebody asked to stop."""
        return [*self._session.scalars(select(Run.id).where(Run.id.in_(run_ids), Run.cancel_requested))]

    def add(self, run: Run) -> Run:
        """Store a new run."""
        self._session.add(run)
        self._session.flush()
        return run


class RunSettingsRepository:
    """Reads and adds the run settings of projects within one unit of work."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._session = session

    def find(self, project_id: UUID) -> RunSettings | None:
        """Return the settings of a project, or None while nobody has set any."""
        return self._session.scalars(select(RunSettings).where(RunSettings.project_id == project_id)).one_or_none()

    def add(self, settings: RunSettings) -> None:
        """Store the first settings of a project."""
        self._session.add(settings)
        self._session.flush()
