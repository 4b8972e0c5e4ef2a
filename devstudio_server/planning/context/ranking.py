"""Ranks the files of a tree for a task: by the words they say, by their names, by what they define and import.

Words are counted over the whole tree (a word that few files say weighs more); only the best of those files are parsed,
so a file that says nothing of the task, and that no file near it imports, is not found.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from posixpath import basename, splitext

from devstudio_server.planning.context.imports import resolve
from devstudio_server.planning.context.index import TreeView
from devstudio_server.planning.context.languages import is_source, is_test
from devstudio_server.planning.context.outline import Outline
from devstudio_server.planning.context.words import Term, path_words

CANDIDATES = 48
"""So many files, and as many tests at most, are parsed for their definitions and imports."""
NEIGHBOURS = 16
"""So many files that those import are parsed as well."""

_NAMED = 1000.0
_IN_PATH = 3.0
_DEFINED = 2.0
_IMPORTED = 0.2
_TESTS = 0.5
_COMMON = 0.2  # a word that more of the files say tells nothing, in a tree of more than a few
_FEW = 20
_SHOWN_WORDS = 4
_LOOKED_AT = 300  # of the files that say a word, the best, tests among them
_TESTED = 16  # of the best files, those whose tests are looked for by name

Outliner = Callable[[Sequence[int]], Mapping[int, Outline]]


@dataclass
class Ranked:
    """A file with its score, and why it has it."""

    place: int
    path: str
    test: bool
    score: float = 0.0
    outline: Outline = field(default_factory=lambda: Outline((), ()))
    reasons: list[str] = field(default_factory=list)

    @property
    def why(self) -> str:
        """What brought the file in, the strongest reason first."""
        return "; ".join(dict.fromkeys(self.reasons))


@dataclass(frozen=True)
class Query:
    """What a task asks for: words with their weights, paths that it names, and those that its design names."""

    terms: tuple[Term, ...]
    paths: Sequence[str] = ()
    design_paths: Sequence[str] = ()

    @cached_property
    def words(self) -> Mapping[str, float]:
        """The weight of each form of each word."""
        return {form: term.weight for term in reversed(self.terms) for form in term.forms}


@dataclass(frozen=True)
class _Found:
    """A word with the files that say it, those that have it in their path, and what it is worth."""

    word: str
    value: float
    saying: Sequence[int]
    in_path: Sequence[int]


def rank(view: TreeView, saying: Callable[[str], Sequence[int]], query: Query, outliner: Outliner) -> list[Ranked]:
    """Return the files that have to do with ``query``, the best first. ``saying`` gives the files that say a word."""
    found = _find(view, saying, query.terms)
    ranked = _by_words(view, found)
    best = max((file.score for file in ranked.values()), default=1.0)
    for path in query.design_paths:
        _name(view, ranked, path, best / 2, "named in the design")
    for path in query.paths:
        _name(view, ranked, path, _NAMED, "named in the task")
    sources = _best(ranked.values(), tests=False)
    _find_tests(view, ranked, sources[:_TESTED])
    chosen = sources + _best(ranked.values(), tests=True)
    _parse(chosen, outliner)
    values = {one.word: one.value for one in found}
    worth = {form: values.get(term.word, 0.0) for term in reversed(query.terms) for form in term.forms}
    for file in chosen:
        _score_definitions(file, worth)
    near = _import(view, ranked, chosen)
    _parse(near, outliner)
    _connect_tests(view, ranked, chosen)
    return _sorted({file.path: file for file in (*chosen, *near)}.values())


def _sorted(files: Iterable[Ranked]) -> list[Ranked]:
    return sorted(files, key=lambda file: (-round(file.score, 6), file.path))


def _best(files: Iterable[Ranked], *, tests: bool) -> list[Ranked]:
    return _sorted(file for file in files if file.test is tests)[:CANDIDATES]


def _find(view: TreeView, saying: Callable[[str], Sequence[int]], terms: Sequence[Term]) -> list[_Found]:
    """Look each word up; the fewer files say it, the more it is worth."""
    total = len(view.entries)
    found = []
    for term in terms:
        said = _joined(saying(form) for form in term.forms)
        in_path = _joined(view.by_path_word.get(form, ()) for form in term.forms)
        if said or in_path:
            value = term.weight * math.log(1 + total / max(len(said), len(in_path)))
            common = len(said) > _COMMON * total and total > _FEW
            found.append(_Found(term.word, value, () if common else said, in_path))
    return sorted(found, key=lambda one: (-round(one.value, 6), one.word))


def _joined(lists: Iterable[Sequence[int]]) -> Sequence[int]:
    full = [places for places in lists if places]
    return full[0] if len(full) == 1 else sorted({place for places in full for place in places})


def _by_words(view: TreeView, found: Sequence[_Found]) -> dict[int, Ranked]:
    scores: defaultdict[int, float] = defaultdict(float)
    for one in found:
        for place in one.saying:
            scores[place] += one.value
        for place in one.in_path:
            scores[place] += _IN_PATH * one.value
    best = sorted(scores, key=lambda place: (-round(scores[place], 6), place))[:_LOOKED_AT]
    return {place: _said(view, place, scores[place], found) for place in best}


def _said(view: TreeView, place: int, score: float, found: Sequence[_Found]) -> Ranked:
    path = view.entries[place].path
    file = Ranked(place, path, is_test(path), score if is_source(path) else score / 2)
    words = [one.word for one in found if _has(one.saying, place) or _has(one.in_path, place)]
    file.reasons.append(f"says {', '.join(words[:_SHOWN_WORDS])}")
    return file


def _has(places: Sequence[int], place: int) -> bool:
    """Tell whether ``places``, which are sorted, have ``place``."""
    at = bisect_left(places, place)
    return at < len(places) and places[at] == place


def _name(view: TreeView, ranked: dict[int, Ranked], path: str, score: float, why: str) -> None:
    """Raise a file that is named; a bare name counts where only one file has it."""
    place = view.paths.get(path)
    if place is None:
        alike = [at for at in view.by_name.get(basename(path), ()) if view.entries[at].path.endswith(f"/{path}")]
        if len(alike) != 1:
            return
        place = alike[0]
    named = view.entries[place].path
    file = ranked.setdefault(place, Ranked(place, named, is_test(named)))
    file.score += score
    file.reasons.insert(0, why)


def _find_tests(view: TreeView, ranked: dict[int, Ranked], sources: Sequence[Ranked]) -> None:
    """Take the tests that are named after one of ``sources``, whatever they say."""
    for source in sources:
        stem, ending = splitext(basename(source.path))
        for name in (f"test_{stem}{ending}", f"{stem}_test{ending}", f"{stem}.test{ending}", f"{stem}.spec{ending}"):
            for place in view.by_name.get(name, ())[:_TESTED]:
                file = ranked.setdefault(place, Ranked(place, view.entries[place].path, test=True))
                file.score += _TESTS * source.score
                file.reasons.insert(0, f"tests {source.path}, by its name")


def _parse(files: Sequence[Ranked], outliner: Outliner) -> None:
    outlines = outliner([file.place for file in files])
    for file in files:
        file.outline = outlines[file.place]


def _score_definitions(file: Ranked, worth: Mapping[str, float]) -> None:
    found: dict[str, float] = {}
    for symbol in file.outline.symbols:
        value = sum(sorted(worth.get(word, 0.0) for word in path_words(symbol.name)))
        if value:
            found[symbol.name] = value
    if found:
        best = sorted(found, key=lambda name: (-found[name], name))[:_SHOWN_WORDS]
        file.score += _DEFINED * found[best[0]]
        file.reasons.insert(0 if file.score < _NAMED else 1, f"defines {', '.join(best)}")


def _import(view: TreeView, ranked: dict[int, Ranked], chosen: Sequence[Ranked]) -> list[Ranked]:
    """Let each file pass some of its score to those that it imports; return the best of those not chosen yet."""
    passed: dict[int, tuple[float, str]] = {}
    for file in chosen:
        for module in file.outline.imports if not file.test else ():
            path = resolve(view, file.path, module)
            if path is not None and path != file.path:
                place = view.paths[path]
                passed[place] = max(passed.get(place, (0.0, "")), (_IMPORTED * min(file.score, _NAMED), file.path))
    known = {file.place for file in chosen}
    fresh = []
    for place, (score, importer) in passed.items():
        path = view.entries[place].path
        file = ranked.setdefault(place, Ranked(place, path, is_test(path)))
        file.score += score
        file.reasons.append(f"imported by {importer}")
        if place not in known:
            fresh.append(file)
    return _sorted(fresh)[:NEIGHBOURS]


def _connect_tests(view: TreeView, ranked: dict[int, Ranked], chosen: Sequence[Ranked]) -> None:
    """Raise the tests that import one of the files."""
    sources = {file.path: file for file in ranked.values() if not file.test and basename(file.path) != "__init__.py"}
    for test in (file for file in chosen if file.test):
        touched = [resolve(view, test.path, module) for module in test.outline.imports]
        best = _sorted(sources[path] for path in dict.fromkeys(touched) if path in sources)
        if best:
            test.score += _TESTS * best[0].score
            test.reasons.insert(0, f"tests {best[0].path}, which it imports")
