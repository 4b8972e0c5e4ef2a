"""Turns the sentences and bullets of a wish into EARS criteria, in English or Portuguese, and invents nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_FENCE = re.compile(r"^\s*(```|~~~)")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$")
_BULLET = re.compile(r"^\s*(?:[-*+•]|\d+[.)])\s+(?:\[[ xX]\]\s+)?(.+)$")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-ZÀ-Ý`\"“])")
_OBLIGATION = re.compile(r"\b(?:SHALL|DEVE|DEVERÁ)\b")
_PORTUGUESE = re.compile(
    r"\b(?:o|os|as|um|uma|uns|não|nao|é|são|deve|devem|pode|podem|quando|enquanto|então|que|com|para|por|dos?|das?|nos?|nas?"
    r"|ao|aos|à|às|e|ou|usuário|usuários|sistema|eu|quero|precisa|retorna|devolve|criar|permitir|cada)\b",
    re.IGNORECASE,
)
_ENGLISH = re.compile(
    r"\b(?:the|an?|is|are|must|should|shall|can|may|when|while|if|then|that|with|for|of|in|on|and|or|user|users|system|i"
    r"|want|need|returns?|create|allow|each|every|to)\b",
    re.IGNORECASE,
)
_CALL = re.compile(
    r"^`?(?P<call>[A-Za-z_]\w*\(.*?\))`?\s*(?:returns?|gives?|yields?|is|->|=>|→|==?|retorna|devolve|dá|é)\s+(?P<result>.+)$",
    re.IGNORECASE,
)

_CONDITIONS_EN = re.compile(
    r"^(?P<word>when(?:ever)?|while|if|where)\s+(?P<condition>[^,]+?),\s*(?:then\s+)?(?P<response>.+)$"
    r"|^(?P<word2>if)\s+(?P<condition2>.+?)\s+then\s+(?P<response2>.+)$",
    re.IGNORECASE,
)
_CONDITIONS_PT = re.compile(
    r"^(?P<word>quando|sempre que|enquanto|se|caso|onde)\s+(?P<condition>[^,]+?),\s*(?:ent[ãa]o\s+)?(?P<response>.+)$"
    r"|^(?P<word2>se)\s+(?P<condition2>.+?)\s+ent[ãa]o\s+(?P<response2>.+)$",
    re.IGNORECASE,
)
_WORDS = {
    "when": "WHEN",
    "whenever": "WHEN",
    "while": "WHILE",
    "if": "IF",
    "where": "WHERE",
    "quando": "QUANDO",
    "sempre que": "QUANDO",
    "enquanto": "ENQUANTO",
    "se": "SE",
    "caso": "SE",
    "onde": "ONDE",
}
_SYSTEM_EN = re.compile(
    r"^(?:the\s+)?(?:system|app|application|api|service|program|server|site|website|it)\s+"
    r"(?:shall|must|should|will|has to|needs to)\s+(?:be able to\s+)?(?P<response>.+)$",
    re.IGNORECASE,
)
_SYSTEM_PT = re.compile(
    r"^(?:[oa]\s+)?(?:sistema|app|aplicação|aplicativo|api|serviço|programa|servidor|site|ele|ela)\s+"
    r"(?:deve|deverá|precisa|tem que|tem de)\s+(?P<response>.+)$",
    re.IGNORECASE,
)
_ABLE_EN = re.compile(
    r"^(?P<who>(?:an?\s+|the\s+|every\s+|each\s+|all\s+)?[\w -]{1,40}?)\s+"
    r"(?:can|may|should be able to|must be able to|shall be able to)\s+(?P<what>(?!not\b|only\b).+)$",
    re.IGNORECASE,
)
_ABLE_PT = re.compile(
    r"^(?P<who>(?:(?:o|a|os|as|um|uma|cada|todo|toda)\s+)?[\w -]{1,40}?)\s+"
    r"(?:pode|podem|poderá|poderão|deve poder|devem poder)\s+(?P<what>.+)$",
    re.IGNORECASE,
)
_CONTRACTED = {"o": "ao", "a": "à", "os": "aos", "as": "às"}
# Verbs that begin a wish in the imperative or the infinitive.
_VERBS_EN = frozenset(
    """
    accept add allow answer archive authenticate calculate check compute convert count create delete detect
    display download edit encrypt ensure export fetch filter find format generate handle hide import keep let
    limit list load log mark notify parse print process publish read receive record reject remember remove
    render report return save search send serve show sign sort start stop store support sync test track
    translate update upload use validate verify warn write
    """.split()  # noqa: SIM905 - a list of words reads better without its quotes
)
_VERB_PT = re.compile(r"^\w+[aei]r$", re.IGNORECASE)

_MAX_ITEMS = 200


@dataclass
class Wish:
    """A part of the text under one heading: its title, empty when there was no heading, and its statements."""

    title: str
    statements: list[str] = field(default_factory=list)


def read_wishes(text: str) -> list[Wish]:
    """Split a text into statements, grouped by its headings; code blocks are left out, and what is beyond 200 items."""
    wishes = [Wish("")]
    for kind, piece in _pieces(text):
        if kind == "heading":
            wishes.append(Wish(piece))
        elif sum(len(wish.statements) for wish in wishes) < _MAX_ITEMS:
            wishes[-1].statements.append(piece)
    return [wish for wish in wishes if wish.statements]


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    paragraph: list[str] = []
    fenced = False
    for line in [*text.splitlines(), ""]:
        heading, bullet = _HEADING.match(line), _BULLET.match(line)
        is_fence = bool(_FENCE.match(line))
        if fenced or is_fence:
            fenced = fenced != is_fence
        elif heading or bullet or not line.strip():
            yield from _statements(paragraph)
            paragraph = []
            if heading:
                yield "heading", heading.group(1)
            elif bullet:
                paragraph = [bullet.group(1)]  # its continuation lines follow
        else:
            paragraph.append(line.strip())
    yield from _statements(paragraph)


def _statements(lines: list[str]) -> Iterator[tuple[str, str]]:
    for sentence in _SENTENCE_END.split(" ".join(lines)):
        # A line such as "It must:" only introduces the bullets below it.
        if len(sentence.strip(" .!?")) > 1 and not sentence.rstrip().endswith(":"):
            yield "statement", " ".join(sentence.split())


def is_portuguese(text: str, *, otherwise: bool = False) -> bool:
    """Tell Portuguese from English by its small words; ``otherwise`` is the answer when they say nothing."""
    difference = len(_PORTUGUESE.findall(text)) - len(_ENGLISH.findall(text))
    return difference > 0 or (difference == 0 and otherwise)


def to_ears(statement: str, *, portuguese: bool) -> str:
    """Return the criterion that says what ``statement`` says. One that has its SHALL (DEVE) already stays as it is."""
    if _OBLIGATION.search(statement):
        return statement
    bare = statement.rstrip(" .;")
    called = _CALL.match(bare)
    if called:
        words = ("QUANDO", "é chamada", "O SISTEMA DEVE retornar") if portuguese else _CALL_WORDS_EN
        return f"{words[0]} `{called.group('call')}` {words[1]}, {words[2]} {called.group('result')}."
    found = (_CONDITIONS_PT if portuguese else _CONDITIONS_EN).match(bare)
    if not found:
        return f"{_response(bare, portuguese=portuguese)}."
    word, condition, response = (found.group(name) or found.group(f"{name}2") for name in _PARTS)
    keyword = _WORDS[word.lower()]
    then = {"IF": "THEN ", "SE": "ENTÃO "}.get(keyword, "")
    return f"{keyword} {condition}, {then}{_response(response, portuguese=portuguese)}."


_CALL_WORDS_EN = ("WHEN", "is called", "THE SYSTEM SHALL return")
_PARTS = ("word", "condition", "response")


def _response(text: str, *, portuguese: bool) -> str:
    return _response_pt(text) if portuguese else _response_en(text)


def _response_en(text: str) -> str:
    system, able = _SYSTEM_EN.match(text), _ABLE_EN.match(text)
    if system:
        return f"THE SYSTEM SHALL {system.group('response')}"
    if able:
        return f"THE SYSTEM SHALL let {_lower_first(able.group('who'))} {able.group('what')}"
    if text.split(maxsplit=1)[0].lower() in _VERBS_EN:
        return f"THE SYSTEM SHALL {_lower_first(text)}"
    return f"THE SYSTEM SHALL fulfil this: {text}"


def _response_pt(text: str) -> str:
    system, able = _SYSTEM_PT.match(text), _ABLE_PT.match(text)
    if system:
        return f"O SISTEMA DEVE {system.group('response')}"
    if able:
        article, _, noun = _lower_first(able.group("who")).partition(" ")
        who = f"{_CONTRACTED[article]} {noun}" if article in _CONTRACTED and noun else f"a {article} {noun}".strip()
        return f"O SISTEMA DEVE permitir {who} {able.group('what')}"
    if _VERB_PT.match(text.split(maxsplit=1)[0]):
        return f"O SISTEMA DEVE {_lower_first(text)}"
    return f"O SISTEMA DEVE cumprir isto: {text}"


def _lower_first(text: str) -> str:
    """Lower the first letter, unless the word is an abbreviation."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]
