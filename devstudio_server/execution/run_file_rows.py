"""Files of runs in rows of the database, for servers and workers that share no disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.db import Actor, Units
from devstudio_server.execution.log_models import FileBlock, RunFile
from devstudio_server.execution.log_repository import FileRepository
from devstudio_server.execution.log_rows import worker_of
from devstudio_server.execution.run_files import FileInfo, RunFileNotFound

BLOCKS_AT_ONCE = 4
"""Blocks that one transaction reads or writes: 1 MiB."""


class FileRows:
    """Files in the tables ``ds_run_files`` and ``ds_file_blocks``."""

    def __init__(self, units: Units) -> None:
        """Keep files in the database of ``units``."""
        self._units = units

    def create(self, tenant_id: UUID, run_id: UUID, name: str) -> _NewRows:
        """Begin a file that nobody sees yet."""
        return _NewRows(self._units, worker_of(tenant_id), run_id, name)

    def find(self, tenant_id: UUID, run_id: UUID, name: str) -> FileInfo | None:
        """Return what is known about a file, or None."""
        with self._units.begin(worker_of(tenant_id), read_only=True) as session:
            file = FileRepository(session).find(run_id, name)
        return None if file is None else _info(file)

    def blocks(self, tenant_id: UUID, run_id: UUID, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file; raises `RunFileNotFound` when it goes away meanwhile."""
        with self._units.begin(worker_of(tenant_id), read_only=True) as session:
            file = FileRepository(session).find(run_id, name)
        if file is None:
            raise RunFileNotFound(name)
        first, left = 0, file.size
        while left:
            with self._units.begin(worker_of(tenant_id), read_only=True) as session:
                blocks = FileRepository(session).blocks(file.id, first, BLOCKS_AT_ONCE)
            if not blocks:
                raise RunFileNotFound(name)
            yield from blocks
            first += len(blocks)
            left -= sum(map(len, blocks))

    def list(self, tenant_id: UUID, run_id: UUID) -> Sequence[FileInfo]:
        """Return the files of a run."""
        with self._units.begin(worker_of(tenant_id), read_only=True) as session:
            return [_info(file) for file in FileRepository(session).list(run_id)]

    def remove(self, session: Session, tenant_id: UUID, run_id: UUID) -> None:
        """Remove all files of a run within a unit of its tenant."""
        del tenant_id
        FileRepository(session).remove_all(run_id)

    def removable(self, session: Session, tenant_id: UUID, before: datetime, limit: int) -> Sequence[UUID]:
        """Return up to ``limit`` runs whose files were made before a time, or whose project was deleted."""
        del tenant_id
        return FileRepository(session).removable(before, limit)


class _NewRows:
    """Blocks of a file that is complete with its last transaction."""

    def __init__(self, units: Units, actor: Actor, run_id: UUID, name: str) -> None:
        self._units = units
        self._actor = actor
        self._blocks: list[bytes] = []
        self._stored = 0
        with units.begin(actor) as session:
            file = RunFile(run_id=run_id, name=name)
            FileRepository(session).add(file)
        self._file = file

    def append(self, block: bytes) -> None:
        self._blocks.append(block)
        if len(self._blocks) >= BLOCKS_AT_ONCE:
            with self._units.begin(self._actor) as session:
                self._store(FileRepository(session))
            self._stored += len(self._blocks)
            self._blocks.clear()

    def finish(self, info: FileInfo) -> None:
        with self._units.begin(self._actor) as session:
            files = FileRepository(session)
            self._store(files)
            older = files.find(self._file.run_id, info.name)
            if older is not None:
                files.remove(older)
            file = files.get(self._file.id)
            if file is None:
                raise RunFileNotFound(info.name)  # the run was removed meanwhile
            file.size, file.sha256, file.media_type, file.complete = info.size, info.sha256, info.media_type, True

    def abandon(self) -> None:
        with self._units.begin(self._actor) as session:
            files = FileRepository(session)
            file = files.get(self._file.id)
            if file is not None:
                files.remove(file)

    def _store(self, files: FileRepository) -> None:
        for number, block in enumerate(self._blocks, self._stored):
            files.add(FileBlock(file_id=self._file.id, number=number, data=block))


def _info(file: RunFile) -> FileInfo:
    return FileInfo(file.name, file.size, file.sha256, file.media_type)
