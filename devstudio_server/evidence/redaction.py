"""What leaves the house in a bundle, and what does not: restricted parts and secrets stay, and the bundle says so.

Signed bytes cannot be shortened, so a diff or a file with something that must stay is left out as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from nbformat import NotebookNode

from devstudio_evidence import criteria
from devstudio_server.ai.restricted import RESTRICTED_FILE, RestrictedFiles
from devstudio_server.ai.secret_scan import mask
from devstudio_server.kit.restricted import cut
from devstudio_server.scm import GitRepository
from devstudio_server.specs.errors import NotebookUnreadable
from devstudio_server.specs.notebook import build_notebook, from_json, to_json
from devstudio_server.specs.schemas import DocumentType

REQUIREMENTS = "session/requirements.md"


@dataclass
class LeftOut:
    """What is not in a bundle, by path, and why; the signed manifest has it."""

    why: dict[str, str] = field(default_factory=dict)

    def note(self, path: str, why: str) -> None:
        """Note one thing."""
        self.why.setdefault(path, why)

    def rows(self) -> list[dict[str, str]]:
        """Return what the manifest says."""
        return [{"path": path, "why": why} for path, why in sorted(self.why.items())]


def export_documents(
    texts: Mapping[DocumentType, str], digests: Mapping[str, str], left_out: LeftOut
) -> dict[DocumentType, str]:
    """Return the documents without restricted parts and secrets; ``digests`` are those of the criteria, by key."""
    shown: dict[DocumentType, str] = {}
    for kind, text in texts.items():
        path = f"session/{kind.value}.md"
        opened = cut(text)
        masked = mask(opened.text)
        shown[kind] = masked.text
        if opened.parts:
            left_out.note(path, f"{len(opened.parts)} restricted parts are not shown; the rest is here.")
        if masked.kinds:
            left_out.note(f"{path}#secrets", f"{sum(masked.kinds.values())} secrets were removed; the rest is here.")
    found = criteria.read(shown.get(DocumentType.REQUIREMENTS, ""))
    for key, digest in digests.items():
        if key not in found or found[key].sha256 != digest:
            left_out.note(f"{REQUIREMENTS}#{key}", "The text is restricted, or held a secret.")
    return shown


def export_notebook(
    session_id: UUID, version: int, shown: dict[DocumentType, str], stored: bytes | None, left_out: LeftOut
) -> bytes:
    """Return the notebook with the documents as they are shown, and a person's own cells without secrets."""
    existing: NotebookNode | None = None
    if stored is not None:
        try:
            existing = from_json(stored)
        except NotebookUnreadable:
            left_out.note("session/notebook.ipynb#cells", "The notebook's file could not be read; made anew.")
    if existing is not None:
        cells = [cell for cell in existing.cells if not _is_restricted(cell)]
        if len(cells) != len(existing.cells):
            left_out.note("session/notebook.ipynb#cells", "Restricted cells are not shown.")
        existing.cells = cells
    built = to_json(build_notebook(session_id, version, shown, existing))
    masked = _masked(json.loads(built))
    return (json.dumps(masked, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()


def _is_restricted(cell: Any) -> bool:
    mark = cell.get("metadata", {}).get("devstudio")
    return isinstance(mark, dict) and mark.get("restricted") is True and cell.get("cell_type") != "markdown"


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask(value).text
    if isinstance(value, list):
        # A source is a list of lines, and a secret may go over several.
        if value and all(isinstance(item, str) for item in value):
            return mask("".join(value)).text.splitlines(keepends=True)
        return [_masked(item) for item in value]
    return {key: _masked(item) for key, item in value.items()} if isinstance(value, dict) else value


class HiddenFiles:
    """Which files of a repository stay, by the lists of restricted files of some trees, and by their content."""

    def __init__(self, repository: GitRepository, trees: Iterable[str], titles: Iterable[str] = ()) -> None:
        """Read the lists of ``trees``; ``titles`` are those of restricted tasks, which nothing may tell either."""
        self._titles = [title.encode() for title in titles]
        contents = [repository.read(tree, RESTRICTED_FILE) for tree in dict.fromkeys(trees)]
        self._rules = [
            RestrictedFiles(content.decode("utf-8", "replace")) for content in contents if content is not None
        ]

    def why_hidden(self, path: str) -> str | None:
        """Say why a file must not be shown; None when it may."""
        if any(rules.hides(path) for rules in self._rules):
            return f"The file {path} is restricted."
        return None

    def why_secret(self, path: str, content: bytes) -> str | None:
        """Say why a file's bytes, or a diff of it, must not be shown; None when they may."""
        if any(title in content for title in self._titles):
            return "It has the title of a restricted task."
        kinds = mask(content.decode("utf-8", "replace"), path=path).kinds
        return f"It has what looks like a secret ({', '.join(sorted(kinds))})." if kinds else None
