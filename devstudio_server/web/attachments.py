"""Answers that are files: sent piece by piece, and never shown by a browser as a page of ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

MEDIA_TYPE = "application/octet-stream"
"""Of every download, whatever the file says of itself: what a browser would run, it saves."""


@dataclass(frozen=True)
class Attachment:
    """A file to be saved under ``name``; ``chunks`` are its ``size`` bytes."""

    name: str
    size: int
    chunks: Iterator[bytes]

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers of the download (RFC 6266)."""
        base = self.name.rpartition("/")[2]
        plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in base)
        return {
            "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(base, safe='')}",
            "Content-Length": str(self.size),
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-store",
        }
