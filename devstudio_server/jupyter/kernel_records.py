"""Which kernels a tenant has, in files, so that the next life of the server finds them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from devstudio_server.kit.logging import get_logger

_log = get_logger("kernels")


@dataclass(frozen=True)
class KernelRecord:
    """One kernel that may outlive the server."""

    id: str
    name: str
    """Name of its kernelspec."""
    user_id: str
    """Who started it."""
    arguments: dict[str, Any]
    """With what it is started again: its folder, and the variables that it may have."""
    adoption: dict[str, Any]
    """What its provisioner needs to find it. The key of its messages is in it."""


class KernelRecords:
    """One file for each kernel, which only the server's user can read."""

    def __init__(self, folder: Path) -> None:
        """Keep them in ``folder``, which is made when it is needed."""
        self.folder = folder

    def __iter__(self) -> Iterator[KernelRecord]:
        """Yield every record; a file that cannot be read is removed, since nothing can be done with it."""
        for path in sorted(self.folder.glob("*.json")) if self.folder.is_dir() else ():
            try:
                yield KernelRecord(**json.loads(path.read_text("utf-8")))
            except (ValueError, TypeError) as error:
                _log.warning("kernel_record_unreadable", file=path.name, reason=str(error))
                path.unlink(missing_ok=True)

    def save(self, record: KernelRecord) -> None:
        """Write a record at once: a server that is killed leaves the old one or the new one."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(record.id)
        temporary = path.with_suffix(".new")
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps(asdict(record)), "utf-8")
        temporary.replace(path)

    def remove(self, kernel_id: str) -> None:
        """Forget a kernel."""
        self._path(kernel_id).unlink(missing_ok=True)

    def _path(self, kernel_id: str) -> Path:
        return self.folder / f"{UUID(kernel_id)}.json"
