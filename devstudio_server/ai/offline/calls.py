"""Finds the criteria that state a call and its result exactly, and so can be tested without guessing.

``WHEN add(2, 3) is called, THE SYSTEM SHALL return 5`` is such an example; ``WHEN greet is called with a name, THE
SYSTEM SHALL return Hello, <name>!`` is a template. English and Portuguese, with or without backticks. Anything that
leaves room for a meaning is not matched.
"""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from typing import Any

from devstudio_server.ai.offline.literals import NotLiteralError, Reader, whole_literal

_EARS = re.compile(
    r"^(?:WHEN|IF|QUANDO|SE)\s+(?P<condition>.+?)\s*,?\s*(?:(?:THEN|ENTÃO|ENTAO)\s+)?"
    r"(?:THE\s+SYSTEM\s+SHALL|O\s+SISTEMA\s+DEVE(?:RÁ)?)\s+"
    r"(?:return|give|answer|yield|retornar|devolver|responder|dar)\s+(?P<result>.+)$",
    re.IGNORECASE | re.DOTALL,
)
_CALLED = (
    r"(?:is|gets|was)\s+(?:called|invoked|evaluated|executed|run)"
    r"|(?:é|e|for)\s+(?:chamad[ao]|invocad[ao]|executad[ao]|avaliad[ao])"
)
_AFTER_CALL = re.compile(rf"`?\s*(?:{_CALLED})?\s*$", re.IGNORECASE)
_NAME = re.compile(r"`?\s*([A-Za-z_][A-Za-z0-9_]*)\s*")
_CALLED_WITH = re.compile(rf"^`?([A-Za-z_][A-Za-z0-9_]*)`?\s+(?:{_CALLED})\s+(?:with|com)\s+(.+)$", re.IGNORECASE)
_SEPARATOR = re.compile(r"\s*(?:,\s*(?:and|e)\b|,|\band\b|\be\b)\s*", re.IGNORECASE)
_ARTICLE = re.compile(r"^(?:an?|the|ume?a?|[oa]s?|any|some|qualquer)\s+", re.IGNORECASE)
_SLOT = re.compile(r"<([^<>]{1,40})>")
_JAVASCRIPT_WORDS = frozenset(
    """
    abstract arguments await boolean break byte case catch char class const continue debugger default delete do
    double else enum eval export extends false final finally float for function goto if implements import in
    instanceof int interface let long native new null package private protected public return short static super
    switch synchronized this throw throws transient true try typeof undefined var void volatile while with yield
    Object Array String Error JSON NaN Infinity
    """.split()  # noqa: SIM905 - a list of words reads better without its quotes
)
_PYTHON_WORDS = frozenset({*keyword.kwlist, *keyword.softkwlist})
# What the generated modules use themselves.
_USED_NAMES = frozenset(
    """
    NoRuleError ValueError deepcopy dict isDeepStrictEqual isinstance lookUp noRule object repr rules str
    tuple structuredClone len
    """.split()  # noqa: SIM905 - a list of words reads better without its quotes
)
# What the generated functions use, where parameters of a template come in.
_LOCAL_NAMES = frozenset(
    {"args", "argument", "candidate", "exact", "len", "repr", "rules", "texts", "value", "isinstance"}
)


@dataclass(frozen=True)
class Example:
    """A function, its arguments, and exactly what it returns."""

    function: str
    arguments: tuple[Any, ...]
    result: Any


@dataclass(frozen=True)
class TextTemplate:
    """A function that puts texts into a text. ``pieces`` are the fixed parts, ``slots`` the parameters between them."""

    function: str
    parameters: tuple[str, ...]
    pieces: tuple[str, ...]
    slots: tuple[str, ...]

    def fill(self, values: dict[str, str]) -> str:
        """Return the text for ``values``, by parameter."""
        middle = "".join(values[slot] + piece for slot, piece in zip(self.slots, self.pieces[1:], strict=True))
        return self.pieces[0] + middle


def find_rule(criterion: str) -> Example | TextTemplate | None:
    """Return what ``criterion`` states exactly, or ``None`` when a person has to decide what it means."""
    found = _EARS.match(re.sub(r"\s*\n\s*", " ", criterion.strip()))
    if not found:
        return None
    condition, result = found.group("condition"), found.group("result").strip()
    try:
        return _example(condition, result)
    except NotLiteralError:
        return _template(condition, result)


def _example(condition: str, result: str) -> Example:
    function, arguments = _call(condition)
    return Example(function, tuple(arguments), _result(result))


def _call(condition: str) -> tuple[str, list[Any]]:
    """Read ``add(2, 3) is called`` or ``add is called with 2 and 3``; raises `NotLiteralError`."""
    with_arguments = _CALLED_WITH.match(condition)
    if with_arguments:
        return _function(with_arguments.group(1)), _listed(with_arguments.group(2))
    reader = Reader(condition)
    name = reader.take_match(_NAME)
    if not name or not reader.take("("):
        raise NotLiteralError
    arguments = reader.sequence(")", reader.literal)
    if not _AFTER_CALL.match(condition[reader.at :]):
        raise NotLiteralError
    return _function(name.group(1)), arguments


def _listed(text: str) -> list[Any]:
    reader = Reader(text.replace("`", " "))
    arguments = [reader.literal()]
    while not reader.at_end():
        if not reader.take_match(_SEPARATOR):
            raise NotLiteralError
        arguments.append(reader.literal())
    return arguments


def _function(name: str) -> str:
    """Refuse what is no name for a function in both languages, or would hide something that the file needs."""
    if name in _PYTHON_WORDS | _JAVASCRIPT_WORDS | _USED_NAMES or name.startswith("_"):
        raise NotLiteralError
    return name


def _result(text: str) -> Any:
    """Read the result, which may stand in backticks and end with a full stop."""
    bare = text.removesuffix(".").strip()
    if len(bare) > 1 and bare[0] == bare[-1] == "`":
        bare = bare[1:-1]
    return whole_literal(bare)


def _template(condition: str, result: str) -> TextTemplate | None:
    called, text = _CALLED_WITH.match(condition), _unquoted(result)
    if not called or text is None:
        return None
    try:
        function = _function(called.group(1))
    except NotLiteralError:
        return None
    labels = [_ARTICLE.sub("", part.strip(" `<>")).lower() for part in _SEPARATOR.split(called.group(2))]
    parameters = {label: _parameter(label) for label in labels}
    parts = _SLOT.split(text)
    slots = [label.strip().lower() for label in parts[1::2]]
    names = list(parameters.values())
    if not slots or set(slots) != set(labels) or None in names or len(set(names)) != len(labels):
        return None
    chosen = {label: name for label, name in parameters.items() if name is not None}
    return TextTemplate(function, tuple(chosen.values()), tuple(parts[0::2]), tuple(chosen[slot] for slot in slots))


def _unquoted(result: str) -> str | None:
    """Return the text that a template spells, without the quotes or backticks around it.

    Without them `the words of <text>` could as well describe a text: only what looks like a text itself is taken.
    """
    bare = result.removesuffix(".") if result[-2:-1] in {"`", '"', "'", "”"} else result
    for opening, closing in (("`", "`"), ('"', '"'), ("'", "'"), ("“", "”")):
        inner = bare[1:-1]
        if len(bare) > 1 and bare.startswith(opening) and bare.endswith(closing):
            return None if opening in inner or closing in inner else inner
    return bare if bare[:1].isupper() and bare[-1:] in {">", "!", "?"} and "`" not in bare else None


def _parameter(label: str) -> str | None:
    name = re.sub(r"\W+", "_", label).strip("_")
    valid = re.fullmatch(r"[a-z][a-z0-9_]*", name) and name not in _PYTHON_WORDS | _JAVASCRIPT_WORDS | _LOCAL_NAMES
    return name if valid else None
