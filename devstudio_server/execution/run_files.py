"""Files of a run, by name: what goes into its sandbox and what comes out, each bounded, and whole or not there."""

from __future__ import annotations

import json
import mimetypes
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from typing import Protocol
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from devstudio_server.execution.log_repository import LogRepository
from devstudio_server.kit.errors import Invalid, NotFound, PayloadTooLarge

MAX_NAME_CHARS = 255
BLOCK_BYTES = 256 * 1024
"""How a file is read and kept: memory holds one block of it."""
_OTHERWISE = "application/octet-stream"


class RunFileNotFound(NotFound):
    """The run has no such file, or has it no more."""

    def __init__(self, name: str) -> None:
        """Name the file."""
        super().__init__(f"The run has no file “{name}”; files are removed some time after a run has ended.")


class RunFileTooLarge(PayloadTooLarge):
    """A file is larger than a run may have it."""

    def __init__(self, name: str, max_bytes: int) -> None:
        """Name the file and the limit."""
        super().__init__(f"The file “{name}” is larger than {max_bytes} bytes, so it is not kept.")


@dataclass(frozen=True)
class FileInfo:
    """What is known about a file. ``media_type`` is guessed from its name."""

    name: str
    size: int
    sha256: str
    media_type: str


class NewFile(Protocol):
    """A file that is being written. Nobody sees it before `finish`."""

    def append(self, block: bytes) -> None:
        """Add bytes."""

    def finish(self, info: FileInfo) -> None:
        """Let the file be seen, instead of an older one of its name."""

    def abandon(self) -> None:
        """Remove what was written."""


class FileMedium(Protocol):
    """Where files of runs are."""

    def create(self, tenant_id: UUID, run_id: UUID, name: str) -> NewFile:
        """Begin a file."""

    def find(self, tenant_id: UUID, run_id: UUID, name: str) -> FileInfo | None:
        """Return what is known about a file, or None."""

    def blocks(self, tenant_id: UUID, run_id: UUID, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file; raises `RunFileNotFound` when it is gone."""

    def list(self, tenant_id: UUID, run_id: UUID) -> Sequence[FileInfo]:
        """Return the files of a run."""

    def removable(self, session: Session, tenant_id: UUID, before: datetime, limit: int) -> Sequence[UUID]:
        """Return up to ``limit`` runs whose files were made before a time, or whose project was deleted."""

    def remove(self, session: Session, tenant_id: UUID, run_id: UUID) -> None:
        """Remove all files of a run; what of them is in the database, within the unit of ``session``."""


class RunFiles:
    """The files of all runs."""

    def __init__(self, medium: FileMedium) -> None:
        """Keep files in ``medium``."""
        self.medium = medium

    def save(self, tenant_id: UUID, run_id: UUID, name: str, chunks: Iterable[bytes], max_bytes: int) -> FileInfo:
        """Keep a file, instead of an older one of its name; raises `RunFileTooLarge` beyond ``max_bytes``."""
        _check_name(name)
        digest, size = sha256(), 0
        new = self.medium.create(tenant_id, run_id, name)
        try:
            for block in _blocks(_bounded(chunks, name, max_bytes)):
                size += len(block)
                digest.update(block)
                new.append(block)
            info = FileInfo(name, size, digest.hexdigest(), mimetypes.guess_type(name)[0] or _OTHERWISE)
            new.finish(info)
        except BaseException:
            new.abandon()
            raise
        return info

    def find(self, tenant_id: UUID, run_id: UUID, name: str) -> FileInfo | None:
        """Return what is known about a file, or None."""
        return self.medium.find(tenant_id, run_id, name)

    def open(self, tenant_id: UUID, run_id: UUID, name: str) -> Iterator[bytes]:
        """Return the bytes of a file, block by block; raises `RunFileNotFound` at once."""
        if self.find(tenant_id, run_id, name) is None:
            raise RunFileNotFound(name)
        return self.medium.blocks(tenant_id, run_id, name)

    def list(self, tenant_id: UUID, run_id: UUID) -> list[FileInfo]:
        """Return the files of a run, by name."""
        return sorted(self.medium.list(tenant_id, run_id), key=lambda info: info.name)


class FilesOnDisk:
    """Files below one folder: ``<tenant id>/<run id>/<digest of the name>.json`` has the facts and names the bytes."""

    def __init__(self, root: Path) -> None:
        """Keep files below ``root``."""
        self.root = root

    def create(self, tenant_id: UUID, run_id: UUID, name: str) -> _NewOnDisk:
        """Begin a file under a name that nobody else has."""
        return _NewOnDisk(self._facts_path(tenant_id, run_id, name))

    def find(self, tenant_id: UUID, run_id: UUID, name: str) -> FileInfo | None:
        """Return what is known about a file, or None."""
        found = _facts(self._facts_path(tenant_id, run_id, name))
        return None if found is None else found[0]

    def blocks(self, tenant_id: UUID, run_id: UUID, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file."""
        found = _facts(self._facts_path(tenant_id, run_id, name))
        if found is None:
            raise RunFileNotFound(name)
        with found[1].open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                yield block

    def list(self, tenant_id: UUID, run_id: UUID) -> list[FileInfo]:
        """Return the files of a run."""
        found = map(_facts, self._folder(tenant_id, run_id).glob("*.json"))
        return [facts[0] for facts in found if facts is not None]

    def removable(self, session: Session, tenant_id: UUID, before: datetime, limit: int) -> Sequence[UUID]:
        """Return up to ``limit`` runs whose folder last changed before a time, or whose project was deleted."""
        deleted = LogRepository(session).runs_of_deleted_projects()
        folders = {UUID(path.name): path for path in self.root.joinpath(str(tenant_id)).glob("*-*-*-*-*")}
        old = (run for run, path in folders.items() if run in deleted or path.stat().st_mtime < before.timestamp())
        return sorted(old)[:limit]

    def remove(self, session: Session, tenant_id: UUID, run_id: UUID) -> None:
        """Remove all files of a run."""
        del session
        rmtree(self._folder(tenant_id, run_id), ignore_errors=True)

    def _folder(self, tenant_id: UUID, run_id: UUID) -> Path:
        return self.root / str(tenant_id) / str(run_id)

    def _facts_path(self, tenant_id: UUID, run_id: UUID, name: str) -> Path:
        return self._folder(tenant_id, run_id) / f"{sha256(name.encode()).hexdigest()[:32]}.json"


class _NewOnDisk:
    """Seen once its facts are moved to their place, which is one step."""

    def __init__(self, facts: Path) -> None:
        self._facts = facts
        facts.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._bytes = facts.with_suffix(f".{uuid4().hex}")
        self._file = self._bytes.open("xb")

    def append(self, block: bytes) -> None:
        self._file.write(block)

    def finish(self, info: FileInfo) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        older = _facts(self._facts)
        facts = self._bytes.with_suffix(f"{self._bytes.suffix}.facts")
        facts.write_text(json.dumps(asdict(info) | {"bytes": self._bytes.name}))
        facts.replace(self._facts)
        if older is not None:
            older[1].unlink(missing_ok=True)

    def abandon(self) -> None:
        self._file.close()
        self._bytes.unlink(missing_ok=True)


def _facts(path: Path) -> tuple[FileInfo, Path] | None:
    try:
        facts = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return FileInfo(facts["name"], facts["size"], facts["sha256"], facts["media_type"]), path.with_name(facts["bytes"])


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= MAX_NAME_CHARS or not name.isprintable():
        message = f"A file's name is 1 to {MAX_NAME_CHARS} printable characters."
        raise Invalid(message, errors=[{"loc": ["name"], "msg": message}])


def _bounded(chunks: Iterable[bytes], name: str, max_bytes: int) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise RunFileTooLarge(name, max_bytes)
        yield chunk


def _blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in blocks of `BLOCK_BYTES`; the last is shorter."""
    waiting = bytearray()
    for chunk in chunks:
        waiting += chunk
        while len(waiting) >= BLOCK_BYTES:
            yield bytes(waiting[:BLOCK_BYTES])
            del waiting[:BLOCK_BYTES]
    if waiting:
        yield bytes(waiting)
