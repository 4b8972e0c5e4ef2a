"""The map of a repository: what its files define, the nearest to the task first, and what else there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Sequence

from devstudio_server.planning.context.index import TreeView
from devstudio_server.planning.context.parts import tokens_of
from devstudio_server.planning.context.ranking import Ranked

_MOST_OF_ONE = 40  # symbols of one file
_LISTED_FILES = 400
_LISTED_FOLDERS = 200
_LISTING_SHARE = 3  # a third of the map may tell of the files that have nothing to do with the task


def symbol_map(view: TreeView, ranked: Sequence[Ranked], shown: Container[str], tokens: int) -> str:
    """Return the map in ``tokens`` at most. Files in ``shown`` stand elsewhere whole, so only their paths are here."""
    listing = _fit(_listing(view), tokens // _LISTING_SHARE)
    left = tokens - tokens_of(listing)
    lines: list[str] = []
    for file in ranked:
        block = "\n".join(_block(file)) if file.path not in shown else ""
        cost = tokens_of(block) + 1
        if block and cost <= left:
            lines.append(block)
            left -= cost
    return "\n".join([*lines, listing]) if lines else listing


def _block(file: Ranked) -> Iterator[str]:
    if not file.outline.symbols:
        return
    yield f"{file.path}:"
    for symbol in file.outline.symbols[:_MOST_OF_ONE]:
        yield f"{'  ' * (symbol.depth + 1)}{symbol.signature}"
    more = len(file.outline.symbols) - _MOST_OF_ONE
    if more > 0:
        yield f"  … and {more} more"


def _listing(view: TreeView) -> list[str]:
    """Return a line for each file of a small repository, for each folder of a large one."""
    if len(view.entries) <= _LISTED_FILES:
        return ["All files:", *(f"  {entry.path}" for entry in view.entries)]
    folders: Counter[str] = Counter()
    for folder, count in view.folders.items():
        folders["/".join(folder.split("/")[:-1][:2]) or "."] += count
    lines = [f"  {folder}/ ({count} files)" for folder, count in sorted(folders.items())]
    more = [f"  … and {len(lines) - _LISTED_FOLDERS} more folders"] if len(lines) > _LISTED_FOLDERS else []
    return [f"All {len(view.entries)} files, by folder:", *lines[:_LISTED_FOLDERS], *more]


def _fit(lines: Sequence[str], tokens: int) -> str:
    kept: list[str] = []
    for index, line in enumerate(lines):
        tokens -= tokens_of(line) + 1
        if tokens < _REST_TOKENS and index < len(lines) - 1:
            kept.append(f"  … and {len(lines) - index} more")
            break
        kept.append(line)
    return "\n".join(kept)


_REST_TOKENS = 12
