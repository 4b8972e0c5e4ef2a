"""The session's notebook: the three documents as cells, one cell a block, and back.

nbformat 4.5, standard cell types only. A cell's id is its block's permanent id. The texts of a document's cells, joined
by a line break, are the document byte for byte. Cells that are nobody's document (code with output) keep their place.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import nbformat
from nbformat import NotebookNode
from nbformat.v4.rwbase import rejoin_lines, split_lines, strip_transient

from devstudio_server.kit.restricted import is_marked, mark, restricted_parts, unmark
from devstudio_server.specs.errors import NotebookUnreadable
from devstudio_server.specs.markdown import parse
from devstudio_server.specs.schemas import DocumentType

SCHEMA = 1
_CELL_ID = re.compile(r"^[A-Za-z0-9_-]{1,64}$")
_KINDS = {DocumentType.REQUIREMENTS: "requirement", DocumentType.DESIGN: "design", DocumentType.TASKS: "task"}
_DOCUMENTS = {kind: document for document, kind in _KINDS.items()}
_CELL = frozenset({"cell_type", "id", "metadata", "source"})
_CELL_JSON = (
    '{{\n   "cell_type": "markdown",\n   "id": {},\n   "metadata": {{\n    "devstudio": {{\n     {}\n    }}\n   }},'
    '\n   "source": {}\n  }}'
)
_TRANSIENT = frozenset({"orig_nbformat", "orig_nbformat_minor", "signature"})
_encoded = json.JSONEncoder(ensure_ascii=False).encode
_PLACEHOLDERS = {
    DocumentType.REQUIREMENTS: "# Requirements",
    DocumentType.DESIGN: "# Design",
    DocumentType.TASKS: "# Tasks",
}


@dataclass(frozen=True)
class _Piece:
    id: str
    key: str
    source: str
    placeholder: bool = False


def build_notebook(
    session_id: UUID, version: int, documents: Mapping[DocumentType, str], existing: NotebookNode | None = None
) -> NotebookNode:
    """Return the notebook of a session; cells of ``existing`` that belong to no document keep their place.

    It is valid when ``existing`` is: what came from outside was checked in `as_notebook`.
    """
    made: NotebookNode = nbformat.from_dict(_built(session_id, version, documents, existing or {}))
    return made


def notebook_file(
    session_id: UUID, version: int, documents: Mapping[DocumentType, str], existing: Mapping[str, Any] | None = None
) -> bytes:
    """Return the bytes of a session's notebook; ``existing`` may be as it stands in the file."""
    return to_json(_built(session_id, version, documents, existing or {}))


def _built(
    session_id: UUID, version: int, documents: Mapping[DocumentType, str], existing: Mapping[str, Any]
) -> dict[str, Any]:
    cells = [cell for kind in DocumentType for cell in _document_cells(kind, documents.get(kind, ""), version)]
    cells = _with_foreign_cells(cells, existing.get("cells", []))
    # A notebook of documents has no kernel; said so, no editor asks for one or marks it as changed.
    metadata: dict[str, Any] = {"kernelspec": {"name": "", "display_name": ""}, "language_info": {"name": ""}}
    metadata |= existing.get("metadata", {})
    metadata["devstudio"] = {"schema": SCHEMA, "session_id": str(session_id), "version": version}
    _make_ids_unique(cells)
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def _make_ids_unique(cells: list[Any]) -> None:
    """Tell cells that share an id apart by numbers: two blocks may have one id, and a person's cell any."""
    taken: set[str] = set()
    for position, cell in enumerate(cells):
        wanted = str(cell.get("id") or f"cell-{position}")
        if wanted in taken:
            numbered = (f"{wanted[:50]}-{number}" for number in range(2, len(cells) + 2))
            wanted = next(candidate for candidate in numbered if candidate not in taken)
        cell["id"] = wanted
        taken.add(wanted)


def read_documents(notebook: Any) -> dict[DocumentType, str]:
    """Return the documents that a notebook holds; raises `NotebookUnreadable` when it holds none.

    A markdown cell without our metadata continues the document of the cell above it.
    """
    sources: dict[DocumentType, list[str]] = {}
    untouched: dict[DocumentType, bool] = {}
    current: DocumentType | None = None
    for cell in notebook.get("cells", []):
        marked = _kind_of(cell)
        if cell.get("cell_type") != "markdown":
            continue
        current = marked or current or DocumentType.REQUIREMENTS
        sources.setdefault(current, []).append(_restricted_as_set(cell))
        untouched[current] = _is_placeholder(cell, current)
    if not sources:
        message = "The notebook has no markdown cell, so no document was read. Undo, then save again."
        raise NotebookUnreadable(message)
    return {kind: "" if untouched[kind] and len(parts) == 1 else "\n".join(parts) for kind, parts in sources.items()}


def from_json(content: bytes) -> NotebookNode:
    """Read a notebook's file; raises `NotebookUnreadable` when it is none."""
    try:
        return as_notebook(json.loads(content.decode()))
    except ValueError as error:
        raise NotebookUnreadable(f"The file is no notebook: {error}") from error


def stored(content: bytes) -> dict[str, Any]:
    """Return the notebook in a file that the server wrote: what is known needs no check."""
    notebook: dict[str, Any] = json.loads(content)
    return notebook


def is_as_read(content: bytes) -> bool:
    """Tell whether a notebook that can be read is one of nbformat 4.5 in the file, too, so that it needs no mending."""
    notebook = stored(content)
    named = (notebook.get("nbformat"), notebook.get("nbformat_minor")) == (4, 5)
    return named and all(cell.get("id") for cell in notebook["cells"])


def to_json(notebook: Mapping[str, Any]) -> bytes:
    """Return the bytes of a notebook's file: those that `nbformat.writes` makes, in a fraction of its time."""
    cells = ",\n  ".join(_plain_cell(cell) or _any_cell(cell) for cell in notebook["cells"])
    metadata = {name: value for name, value in notebook["metadata"].items() if name not in _TRANSIENT}
    rest = _indented({"metadata": metadata, "nbformat": notebook["nbformat"], "nbformat_minor": 5})
    opening = f"[\n  {cells}\n ]" if cells else "[]"
    return f'{{\n "cells": {opening},{rest[1:]}'.encode()


def _plain_cell(cell: Mapping[str, Any]) -> str:
    """Return the JSON of a document's cell; empty for any other cell."""
    metadata, source = cell["metadata"], cell["source"]
    if cell["cell_type"] != "markdown" or len(cell) != len(_CELL) or [*metadata] != ["devstudio"]:
        return ""
    flags = metadata["devstudio"]
    if not isinstance(source, str) or not isinstance(flags, dict) or not all(map(_is_plain, flags.values())):
        return ""
    said = ",\n     ".join(f"{_encoded(name)}: {_encoded(flags[name])}" for name in sorted(flags))
    lines = ",\n    ".join(map(_encoded, source.splitlines(keepends=True)))
    written = f"[\n    {lines}\n   ]" if lines else "[]"
    return _CELL_JSON.format(_encoded(cell["id"]), said, written)


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int)


def _any_cell(cell: Mapping[str, Any]) -> str:
    alone = nbformat.from_dict({"cells": [cell], "metadata": {}})
    return _indented(strip_transient(split_lines(alone)).cells[0]).replace("\n", "\n  ")


def _indented(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True, separators=(",", ": "))


def as_notebook(content: Any) -> NotebookNode:
    """Return a copy, in nbformat 4.5, of a notebook that came as JSON data; raises `NotebookUnreadable`."""
    try:
        given: NotebookNode = nbformat.from_dict(dict(content))
        notebook: NotebookNode = rejoin_lines(nbformat.convert(given, 4))
        notebook.nbformat_minor = 5
        _make_ids_unique(notebook.cells)
        nbformat.validate(notebook)
    except (nbformat.ValidationError, ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NotebookUnreadable(f"This is no valid notebook, so nothing was saved: {reason}") from error
    return notebook


def session_id_of(notebook: Any) -> UUID | None:
    """Return the session that a notebook says it belongs to."""
    try:
        return UUID(notebook["metadata"]["devstudio"]["session_id"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def version_of(notebook: Any) -> int:
    """Return the version of the session that a notebook was made from, 0 when it does not say."""
    try:
        return int(notebook["metadata"]["devstudio"]["version"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return 0


def _restricted_as_set(cell: Any) -> str:
    """Return a cell's text with the marks that its metadata ask for, where somebody changed those.

    What they were when we wrote the cell is in ``was_restricted``; as long as they are that, the text itself counts.
    """
    source, flags = _source(cell), _mark_of(cell)
    wanted, was = flags.get("restricted") is True, flags.get("was_restricted") is True
    if wanted == was:
        return source
    return mark(source) if wanted else unmark(source)


def _source(cell: Any) -> str:
    source = cell.get("source", "")
    return "".join(source) if isinstance(source, list) else str(source)


def _kind_of(cell: Any) -> DocumentType | None:
    return _DOCUMENTS.get(str(_mark_of(cell).get("kind", "")))


def _mark_of(cell: Any) -> dict[str, Any]:
    mark = cell.get("metadata", {}).get("devstudio")
    return mark if isinstance(mark, dict) else {}


def _is_placeholder(cell: Any, kind: DocumentType) -> bool:
    """Tell the heading that stands for an empty document from one that a person wrote: its mark names no text."""
    return _source(cell) == _PLACEHOLDERS[kind] and _mark_of(cell).get("sha256") == _sha256("")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _document_cells(kind: DocumentType, text: str, version: int) -> list[dict[str, Any]]:
    cells = []
    parts = restricted_parts(text) if is_marked(text) else []
    hidden = {line for part in parts for line in range(part.start, part.end)}
    line = 0
    for piece in _pieces(kind, text):
        sha256 = _sha256("" if piece.placeholder else piece.source)
        flags = {"kind": _KINDS[kind], "key": piece.key, "version": version, "sha256": sha256}
        lines = piece.source.split("\n") if hidden else []
        said = [at for at, text_line in enumerate(lines, line) if text_line.strip()]
        if said and hidden.issuperset(said):
            flags |= {"restricted": True, "was_restricted": True}
        line += len(lines)
        cells.append(
            {"id": piece.id, "cell_type": "markdown", "metadata": {"devstudio": flags}, "source": piece.source}
        )
    return cells


def _pieces(kind: DocumentType, text: str) -> list[_Piece]:
    """Cut a document at its requirements, sections or top-level tasks; joined by line breaks, they are the text."""
    opening = f"{kind.value}-opening"
    if not text:
        return [_Piece(opening, "", _PLACEHOLDERS[kind], placeholder=True)]
    parsed = parse(kind, text)
    tops = [*parsed.requirements, *parsed.sections, *(task for task in parsed.tasks if "." not in task.label)]
    lines = text.split("\n")
    starts = [block.line for block in tops]
    pieces = [_Piece(opening, "", "\n".join(lines[: starts[0]]))] if starts and starts[0] > 0 else []
    ends = [*starts[1:], len(lines)] if starts else []
    for block, end in zip(tops, ends, strict=True):
        block_id = block.id if block.id and _CELL_ID.match(block.id) else f"{kind.value}-{block.line}"
        key = block.label if kind is not DocumentType.DESIGN else ""
        pieces.append(_Piece(block_id, key, "\n".join(lines[block.line : end])))
    return pieces or [_Piece(opening, "", text)]


def _with_foreign_cells(cells: list[dict[str, Any]], existing: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put the cells of ``existing`` that are no document's behind the document cell that they stood behind."""
    behind: dict[str, list[dict[str, Any]]] = {}
    anchor = ""
    for cell in existing:
        if cell["cell_type"] == "markdown":
            anchor = cell.get("id", anchor) if _kind_of(cell) else anchor
        else:
            behind.setdefault(anchor, []).append(cell)
    placed = behind.pop("", [])
    for cell in cells:
        placed.append(cell)
        placed += behind.pop(cell["id"], [])
    return placed + [cell for group in behind.values() for cell in group]
