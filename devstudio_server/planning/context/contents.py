"""The texts and outlines of the files that were ranked in, kept by blob for the next task."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from posixpath import splitext

from devstudio_server.planning.context.exclusions import excluded_by_content
from devstudio_server.planning.context.index import TreeView
from devstudio_server.planning.context.outline import MAX_PARSED_BYTES, Outline, outline
from devstudio_server.scm import GitRepository

KEPT_BYTES = 32 * 1024 * 1024
KEPT_OUTLINES = 10_000
MOST_PARSED_BYTES = 1024 * 1024
"""So much is parsed for one question; of what comes after only lines are looked at, so that no text stalls a thread."""

_EMPTY = Outline((), ())


class ContentCache:
    """What was read and parsed. Shared by threads; keyed by repository and blob, so that tenants share nothing."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._lock = threading.Lock()
        self._texts: OrderedDict[tuple[str, str], bytes | None] = OrderedDict()
        self._size = 0
        self._outlines: OrderedDict[tuple[str, str, str, bool], Outline] = OrderedDict()

    def texts(self, repository: GitRepository, blobs: Iterable[str]) -> dict[str, bytes | None]:
        """Return the bytes of each blob; None for what is no text, or not there."""
        wanted = list(dict.fromkeys(blobs))
        where = str(repository.path)
        with self._lock:
            found = {blob: self._texts[where, blob] for blob in wanted if (where, blob) in self._texts}
        missing = [blob for blob in wanted if blob not in found]
        if missing:
            for blob, content in zip(missing, repository.blobs(missing), strict=True):
                found[blob] = None if content is None or excluded_by_content(content) else content
        self._keep(where, {blob: found[blob] for blob in wanted})
        return found

    def outlines(self, repository: GitRepository, view: TreeView, places: Sequence[int]) -> Mapping[int, Outline]:
        """Return the outline of each file, the first of ``places`` parsed first."""
        where = str(repository.path)
        keys: dict[int, tuple[str, str, str, bool]] = {}
        parsed = 0
        for place in places:
            entry = view.entries[place]
            parsed += min(entry.size, MAX_PARSED_BYTES)
            keys[place] = (where, entry.blob, splitext(entry.path)[1], parsed <= MOST_PARSED_BYTES)
        with self._lock:
            known = {place: self._outlines[key] for place, key in keys.items() if key in self._outlines}
        missing = [place for place in places if place not in known]
        texts = self.texts(repository, [view.entries[place].blob for place in missing])
        for place in missing:
            entry = view.entries[place]
            content = texts[entry.blob]
            known[place] = _EMPTY if content is None else outline(entry.path, content, by_grammar=keys[place][3])
        with self._lock:
            for place, key in keys.items():
                self._outlines[key] = known[place]
                self._outlines.move_to_end(key)
            while len(self._outlines) > KEPT_OUTLINES:
                self._outlines.popitem(last=False)
        return known

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._texts.clear()
            self._outlines.clear()
            self._size = 0

    def _keep(self, where: str, texts: Mapping[str, bytes | None]) -> None:
        with self._lock:
            for blob, content in texts.items():
                if (where, blob) not in self._texts:
                    self._size += len(content or b"")
                self._texts[where, blob] = content
                self._texts.move_to_end((where, blob))
            while self._size > KEPT_BYTES:
                self._size -= len(self._texts.popitem(last=False)[1] or b"")
