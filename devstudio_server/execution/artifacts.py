"""What a run leaves: files of its workspace, taken out of a checked tar stream, bounded in number and bytes."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from functools import partial
from uuid import UUID

from devstudio_server.execution.errors import ArtifactNotFound
from devstudio_server.execution.models import Run
from devstudio_server.execution.run_files import FileInfo, RunFileNotFound, RunFiles
from devstudio_server.execution.schemas import ArtifactRead
from devstudio_server.web import Attachment

MAX_ARTIFACT_BYTES = 64 * 1024 * 1024
"""What all artifacts of a run may have together."""
MAX_ARTIFACTS = 100
MAX_NAME_CHARS = 200
_FOLDER = "artifacts/"
"""Before the names of artifacts among the files of a run, so that none has the name of another file."""
_BLOCK = 256 * 1024


def keep_artifacts(files: RunFiles, tenant_id: UUID, run_id: UUID, archive: Iterator[bytes]) -> list[ArtifactRead]:
    """Keep every regular file of a tar stream whose name can be shown; return them by name."""
    kept = []
    with tarfile.open(fileobj=_Readable(archive), mode="r|") as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            if content is None or not _can_be_shown(member.name):
                continue
            blocks = iter(partial(content.read, _BLOCK), b"")
            kept.append(files.save(tenant_id, run_id, _FOLDER + member.name, blocks, MAX_ARTIFACT_BYTES))
    return sorted(map(_read, kept), key=lambda artifact: artifact.name)


def open_artifact(run: Run, name: str, files: RunFiles) -> Attachment:
    """Return an artifact of ``run`` as a download; raises `ArtifactNotFound`."""
    known = any(artifact["name"] == name for artifact in run.artifacts)
    info = files.find(run.tenant_id, run.id, _FOLDER + name) if known else None
    if info is None:
        raise ArtifactNotFound(run.id)
    try:
        return Attachment(name, info.size, files.open(run.tenant_id, run.id, info.name))
    except RunFileNotFound:
        raise ArtifactNotFound(run.id) from None


def _read(info: FileInfo) -> ArtifactRead:
    return ArtifactRead(
        name=info.name.removeprefix(_FOLDER), size=info.size, sha256=info.sha256, media_type=info.media_type
    )


def _can_be_shown(name: str) -> bool:
    return name.isprintable() and 0 < len(name) <= MAX_NAME_CHARS


class _Readable(io.RawIOBase):
    """A stream of chunks as a file, which tarfile reads from its start to its end."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._rest) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._rest += chunk
        cut = len(self._rest) if size < 0 else size
        data, self._rest = self._rest[:cut], self._rest[cut:]
        return data
