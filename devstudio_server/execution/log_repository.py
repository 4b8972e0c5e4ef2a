"""All SQL of the logs and files of runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, delete, func, or_, select
from sqlalchemy.orm import Session

from devstudio_server.execution.log_models import FileBlock, LogChunk, RunFile, RunLog
from devstudio_server.execution.models import Run
from devstudio_server.projects.models import Project
from devstudio_server.projects.schemas import ProjectStatus


class LogRepository:
    """Reads, appends and removes logs within one unit of work."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._session = session

    def find(self, run_id: UUID) -> RunLog | None:
        """Return how far a log has come, or None."""
        return self._session.scalars(select(RunLog).where(RunLog.run_id == run_id)).one_or_none()

    def add(self, row: RunLog | LogChunk) -> None:
        """Store a new row."""
        self._session.add(row)

    def chunks(self, run_id: UUID, begin: int, end: int) -> Sequence[LogChunk]:
        """Return the chunks with bytes between two offsets, in order."""
        first = (
            select(func.max(LogChunk.start)).where(LogChunk.run_id == run_id, LogChunk.start <= begin).scalar_subquery()
        )
        query = select(LogChunk).where(LogChunk.run_id == run_id, LogChunk.start >= first, LogChunk.start < end)
        return self._session.scalars(query.order_by(LogChunk.start)).all()

    def states(self, run_ids: Sequence[UUID]) -> dict[UUID, tuple[int, int | None, bool | None]]:
        """Return version of the run, size of its log, and whether that is open, of each run."""
        query = (
            select(Run.id, Run.version, RunLog.size, RunLog.open)
            .outerjoin(RunLog, RunLog.run_id == Run.id)
            .where(Run.id.in_(run_ids))
        )
        return {run_id: (version, size, open_) for run_id, version, size, open_ in self._session.execute(query)}

    def removable(self, before: datetime, limit: int) -> Sequence[UUID]:
        """Return runs whose log was last written before a time, or whose project was deleted."""
        due = or_(RunLog.written_at < before, RunLog.run_id.in_(_runs_of_deleted_projects()))
        return self._session.scalars(select(RunLog.run_id).where(due).order_by(RunLog.id).limit(limit)).all()

    def runs_of_deleted_projects(self) -> set[UUID]:
        """Return the runs of all projects that were deleted."""
        return set(self._session.scalars(_runs_of_deleted_projects()))

    def remove(self, run_id: UUID) -> None:
        """Remove a log."""
        self._session.execute(delete(LogChunk).where(LogChunk.run_id == run_id))
        self._session.execute(delete(RunLog).where(RunLog.run_id == run_id))


class FileRepository:
    """Reads, adds and removes files within one unit of work."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._session = session

    def add(self, row: RunFile | FileBlock) -> None:
        """Store a new row."""
        self._session.add(row)

    def get(self, file_id: UUID) -> RunFile | None:
        """Return a file by its id, complete or not."""
        return self._session.scalars(select(RunFile).where(RunFile.id == file_id)).one_or_none()

    def find(self, run_id: UUID, name: str) -> RunFile | None:
        """Return a complete file, or None."""
        query = select(RunFile).where(RunFile.run_id == run_id, RunFile.name == name, RunFile.complete)
        return self._session.scalars(query).one_or_none()

    def list(self, run_id: UUID) -> Sequence[RunFile]:
        """Return the complete files of a run."""
        return self._session.scalars(select(RunFile).where(RunFile.run_id == run_id, RunFile.complete)).all()

    def blocks(self, file_id: UUID, first: int, count: int) -> Sequence[bytes]:
        """Return ``count`` blocks of a file from number ``first``."""
        query = select(FileBlock.data).where(
            FileBlock.file_id == file_id, FileBlock.number >= first, FileBlock.number < first + count
        )
        return self._session.scalars(query.order_by(FileBlock.number)).all()

    def removable(self, before: datetime, limit: int) -> Sequence[UUID]:
        """Return runs all of whose files were made before a time, or whose project was deleted."""
        due = or_(func.max(RunFile.created_at) < before, RunFile.run_id.in_(_runs_of_deleted_projects()))
        query = select(RunFile.run_id).group_by(RunFile.run_id).having(due).order_by(RunFile.run_id)
        return self._session.scalars(query.limit(limit)).all()

    def remove(self, file: RunFile) -> None:
        """Remove a file."""
        self._session.execute(delete(FileBlock).where(FileBlock.file_id == file.id))
        self._session.delete(file)

    def remove_all(self, run_id: UUID) -> None:
        """Remove the files of a run, incomplete ones, too."""
        for file in self._session.scalars(select(RunFile).where(RunFile.run_id == run_id)).all():
            self.remove(file)


def _runs_of_deleted_projects() -> Select[UUID]:
    joined = select(Run.id).join(Project, Project.id == Run.project_id)
    return joined.where(Project.status == ProjectStatus.DELETED)
