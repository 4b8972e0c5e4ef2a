"""Which file of a repository says which word: read once, kept for the next task, and bounded.

A blob's id names its bytes for ever, so what was read of it is never out of date: after a commit only the blobs that
it brought are read. Words are counted in the files of the tree asked for and in no others, so that the answer does not
depend on what was asked before.
"""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from devstudio_server.planning.context.exclusions import excluded_by_content, excluded_by_path
from devstudio_server.planning.context.languages import is_source
from devstudio_server.planning.context.words import path_words, pieces_of, raw_words_of
from devstudio_server.scm import GitRepository
from devstudio_server.scm.git import TreeEntry

MAX_READ_FILES = 20_000
MAX_READ_BYTES = 48 * 1024 * 1024
"""So much of a tree is read for its words; of what is beyond, only the paths count."""

_KEPT_REPOSITORIES = 4
_KEPT_TREES = 4
_STALE_FACTOR = 3  # an index with this many times the blobs of a tree is made anew

Excluder = Callable[[str], bool]
"""Tells which paths are restricted: never listed and never read."""


@dataclass(frozen=True)
class TreeView:
    """The files of one tree that a model may be shown, by their place in ``entries``."""

    entries: Sequence[TreeEntry]
    excluded: Mapping[str, int]
    """How many files were left out, by the reason."""
    unread: int
    """How many files were not read for their words, because the tree is too large."""
    paths: Mapping[str, int]
    by_name: Mapping[str, Sequence[int]]
    """Files by their base name."""
    by_path_word: Mapping[str, Sequence[int]]
    folders: Mapping[str, int]
    """How many files each folder has by itself; a folder ends with ``/``, the root is empty."""
    by_number: tuple[Mapping[int, int], Mapping[int, Sequence[int]]]
    """Files by the number that the index gave to their blob: where one file has it, and where several do."""


def _places() -> array[int]:
    """Return an empty list of numbers: four bytes each, and nothing that the garbage collector walks through."""
    return array("I")


@dataclass
class _Blobs:
    """What was read of the blobs of one repository.

    A blob has a number; ``postings`` has those that say a word as it is written, ``written`` the ways to write a word,
    parted by spaces.
    """

    numbers: dict[str, int] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)
    postings: defaultdict[bytes, array[int]] = field(default_factory=lambda: defaultdict(_places))
    written: dict[str, bytes] = field(default_factory=dict)


class RepositoryIndex:
    """The words of one repository. Shared by threads: one reads at a time."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._lock = threading.Lock()
        self._blobs = _Blobs()
        self._trees: OrderedDict[tuple[str, bool], TreeView] = OrderedDict()

    def view(self, repository: GitRepository, tree: str, rules: Callable[[str], Excluder | None] | None) -> TreeView:
        """Return the files of ``tree``, without those that its own ``rules`` restrict; ``rules`` are asked once."""
        key = (tree, rules is not None)
        with self._lock:
            known = self._trees.get(key)
            if known is None:
                known = self._read(repository, repository.listing(tree), rules(tree) if rules else None)
                self._trees[key] = known
                while len(self._trees) > _KEPT_TREES:
                    self._trees.popitem(last=False)
            self._trees.move_to_end(key)
            return known

    def saying(self, view: TreeView, word: str) -> list[int]:
        """Return the places of the files of ``view`` that say ``word``, in their order."""
        with self._lock:
            lists = [self._blobs.postings[raw] for raw in self._blobs.written.get(word, b"").split()]
            numbers = lists[0][:] if len(lists) == 1 else set().union(*lists)
        one, many = view.by_number
        places = [one[number] for number in numbers if number in one]
        if many:
            places += [place for number in numbers for place in many.get(number, ())]
        return sorted(places)

    def _read(self, repository: GitRepository, listing: Sequence[TreeEntry], restricted: Excluder | None) -> TreeView:
        excluded: defaultdict[str, int] = defaultdict(int)
        kept = []
        for entry in listing:
            reason = _excluded(entry, restricted)
            if reason:
                excluded[reason] += 1
            else:
                kept.append(entry)
        read = _readable(kept)
        self._learn(repository, dict.fromkeys(entry.blob for entry in read))
        return self._view(kept, {entry.path for entry in read}, excluded)

    def _learn(self, repository: GitRepository, wanted: Iterable[str]) -> None:
        blobs = list(wanted)
        if len(self._blobs.numbers) > _STALE_FACTOR * len(blobs) + 1000:
            self._blobs, self._trees = _Blobs(), OrderedDict()
        known = self._blobs
        postings, spelled = known.postings, len(known.postings)
        missing = [blob for blob in blobs if blob not in known.numbers]
        for blob, content in zip(missing, repository.blobs(missing) if missing else (), strict=True):
            number = known.numbers[blob] = len(known.numbers)
            reason = "missing in the repository" if content is None else excluded_by_content(content)
            if reason or content is None:
                known.reasons[number] = reason or ""
                continue
            for word in raw_words_of(content):
                postings[word].append(number)
        for word in islice(postings, spelled, None):  # those that are new
            for piece in pieces_of(word):
                known.written[piece] = known.written[piece] + b" " + word if piece in known.written else word

    def _view(self, kept: Sequence[TreeEntry], read: set[str], excluded: defaultdict[str, int]) -> TreeView:
        numbers, reasons = self._blobs.numbers, self._blobs.reasons
        entries: list[TreeEntry] = []
        by_number: defaultdict[int, array[int]] = defaultdict(_places)
        for entry in kept:
            number = numbers[entry.blob] if entry.path in read else -1
            reason = reasons.get(number)
            if reason:
                excluded[reason] += 1
                continue
            by_number[number].append(len(entries))
            entries.append(entry)
        unread = len(by_number.pop(-1, ()))
        names = _read_paths(entries)
        paths = {entry.path: place for place, entry in enumerate(entries)}
        left_out = dict(sorted(excluded.items()))
        return TreeView(
            entries, left_out, unread, paths, names.by_name, names.by_word, names.folders, _numbered(by_number)
        )


class IndexCache:
    """The indexes of the repositories that were asked for last."""

    def __init__(self, kept: int = _KEPT_REPOSITORIES) -> None:
        """Keep ``kept`` repositories."""
        self._kept = kept
        self._lock = threading.Lock()
        self._indexes: OrderedDict[str, RepositoryIndex] = OrderedDict()

    def of(self, repository: GitRepository) -> RepositoryIndex:
        """Return the index of ``repository``. Nothing is shared between repositories, whatever blobs they share."""
        with self._lock:
            index = self._indexes.setdefault(str(repository.path), RepositoryIndex())
            self._indexes.move_to_end(str(repository.path))
            while len(self._indexes) > self._kept:
                self._indexes.popitem(last=False)
            return index

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._indexes.clear()


def _numbered(by_number: Mapping[int, Sequence[int]]) -> tuple[Mapping[int, int], Mapping[int, Sequence[int]]]:
    one = {number: places[0] for number, places in by_number.items() if len(places) == 1}
    return one, {number: places for number, places in by_number.items() if len(places) > 1}


def _excluded(entry: TreeEntry, restricted: Excluder | None) -> str | None:
    if restricted and restricted(entry.path):
        return "restricted"
    if not entry.path.isascii() and any("\ud800" <= character <= "\udfff" for character in entry.path):
        return "a name that is not UTF-8"
    cut = entry.path.rfind("/") + 1
    return excluded_by_path(entry.path[:cut], entry.path[cut:], entry.mode, entry.size)


def _readable(kept: Sequence[TreeEntry]) -> list[TreeEntry]:
    """Return the files to read: all, or of too many the source files first, those near the root before others."""
    if len(kept) > MAX_READ_FILES or sum(entry.size for entry in kept) > MAX_READ_BYTES:
        kept = sorted(kept, key=lambda entry: (not is_source(entry.path), entry.path.count("/"), entry.path))
    chosen: list[TreeEntry] = []
    room = MAX_READ_BYTES
    for entry in kept[:MAX_READ_FILES]:
        room -= entry.size
        if room < 0:
            break
        chosen.append(entry)
    return chosen


@dataclass(frozen=True)
class _Paths:
    by_name: Mapping[str, Sequence[int]]
    by_word: Mapping[str, Sequence[int]]
    folders: Mapping[str, int]


def _read_paths(entries: Sequence[TreeEntry]) -> _Paths:
    by_name: defaultdict[str, array[int]] = defaultdict(_places)
    by_word: defaultdict[str, array[int]] = defaultdict(_places)
    folders: defaultdict[str, array[int]] = defaultdict(_places)
    for place, entry in enumerate(entries):
        cut = entry.path.rfind("/") + 1
        name = entry.path[cut:]
        by_name[name].append(place)
        folders[entry.path[:cut]].append(place)
        for word in path_words(name.rpartition(".")[0] or name):
            by_word[word].append(place)
    for folder, places in folders.items():
        for word in path_words(folder):
            by_word[word] += places
    ordered = {word: array("I", sorted(set(places))) for word, places in by_word.items()}
    return _Paths(by_name, ordered, {folder: len(places) for folder, places in folders.items()})
