"""What rows say, read as columns: enough to compare, for a tenth of the work that the rows themselves are."""

from __future__ import annotations

from typing import Any, NamedTuple


class CriterionFacts(NamedTuple):
    """A criterion of the index; the names are the columns'."""

    block_id: str
    key: str
    text: str
    sha256: str
    position: int


class TaskFacts(NamedTuple):
    """A task of the index; the names are the columns'."""

    block_id: str
    key: str
    title: str
    description: str | None
    criteria: list[Any]
    optional: bool
    position: int
    removed: bool
    status: str
    status_reason: str
    progress: str
    progress_reason: str


class Written(NamedTuple):
    """By which digests a document in a file is known: its own text's, and that of all bytes of the file."""

    digest: str | None
    file_digest: str | None
    version: int
