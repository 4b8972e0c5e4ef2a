"""The files of one proposal: what is new, what may be replaced, and what a person has edited and keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import PurePosixPath

from devstudio_server.ai.contract import ProposedFile
from devstudio_server.ai.offline.names import LABEL, soften
from devstudio_server.ai.ports import RepositoryReader

_HEADER_LINES = 3


class FileSet:
    """Collects proposed files for one task on top of the files that are there."""

    def __init__(self, task: str, existing: Sequence[str], reader: RepositoryReader | None) -> None:
        """``task`` names the task in the headers of its files; without ``reader`` no file is known to be ours."""
        self._task = soften(task)
        self._existing = set(existing)
        self._reader = reader
        self._proposed: dict[str, str] = {}
        self.kept: list[str] = []

    def read(self, path: str) -> str | None:
        """Return the text of an existing file."""
        return self._reader.read_file(path) if self._reader and path in self._existing else None

    def add_once(self, path: str, content: str) -> None:
        """Propose a file that several tasks need; one that exists is left as it is."""
        if path not in self._existing:
            self._proposed[path] = content
        elif self.read(path) != content:
            self.kept.append(path)

    def replace(self, path: str, content: str) -> None:
        """Propose a new text for a file that exists."""
        self._proposed[path] = content

    def place(self, path: str) -> str:
        """Return where the task's own file goes: ``path``, or a name beside it when that is not ours to replace."""
        plain = PurePosixPath(path)
        stem, ending = plain.name.split(".", 1)
        joint = "-" if "-" in stem else "_"
        candidate, number = path, 1
        while candidate in self._existing and not self._is_ours(candidate):
            if number == 1:
                self.kept.append(path)
            number += 1
            candidate = str(plain.with_name(f"{stem}{joint}{number}.{ending}"))
        return candidate

    def add_own(self, path: str, body: str) -> None:
        """Propose the task's own file, with a header that tells later whether somebody has edited it."""
        mark = _comment(path)
        header = (LABEL, self._task, f"Unedited while this is its digest: {_digest(body)}")
        self._proposed[path] = "".join(f"{mark} {line}\n" for line in header) + body

    def proposed(self) -> list[ProposedFile]:
        """Return the files that differ from what is there, or all of them when none does."""
        changed = {path: text for path, text in self._proposed.items() if self.read(path) != text}
        return [
            ProposedFile(path=path, action="update" if path in self._existing else "create", content=text)
            for path, text in sorted((changed or self._proposed).items())
        ]

    def _is_ours(self, path: str) -> bool:
        lines = (self.read(path) or "").splitlines(keepends=True)
        header, body = lines[:_HEADER_LINES], "".join(lines[_HEADER_LINES:])
        mark = _comment(path)
        return [line.strip() for line in header[1:]] == [
            f"{mark} {self._task}",
            f"{mark} Unedited while this is its digest: {_digest(body)}",
        ]


def _comment(path: str) -> str:
    return "#" if path.endswith(".py") else "//"


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]
