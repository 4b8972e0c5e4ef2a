"""Three-way merge of documents, line by line; when both sides changed the same lines there is no winner."""

from __future__ import annotations

from merge3 import Merge3


def merge(base: str, ours: str, theirs: str) -> str | None:
    """Return both changes to ``base`` in one text, or None when they touch the same lines."""
    if theirs in {ours, base}:
        return ours
    if ours == base:
        return theirs
    merged = Merge3(base.splitlines(keepends=True), ours.splitlines(keepends=True), theirs.splitlines(keepends=True))
    if any(region[0] == "conflict" for region in merged.merge_regions()):
        return None
    return "".join(merged.merge_lines())
