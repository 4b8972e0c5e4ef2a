"""Reads one acceptance criterion in EARS form, English or Portuguese, into its parts with their places in the text.

The forms are those of Mavin et al., "Easy Approach to Requirements Syntax" (RE 2009): a ubiquitous sentence, WHEN,
WHILE, WHERE, IF … THEN, and their combinations. A text in another shape gives a `Criterion` without an obligation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "pt"]

OBLIGATION = re.compile(r"\b(?:SHALL|DEVEM?|DEVER[ÁA]|DEVERÃO)\b", re.IGNORECASE)

_QUOTED = re.compile(r"`[^`\n]*`|\"[^\"\n]*\"|“[^”\n]*”|«[^»\n]*»|(?<=\bthe word )\w+|(?<=\ba palavra )\w+")
_EMPHASIS = re.compile(r"\*{1,3}|(?<!\w)_{1,2}(?=\w)|(?<=\w)_{1,2}(?!\w)")
_NAMES = {
    "WHEN": "WHEN",
    "WHENEVER": "WHEN",
    "WHILE": "WHILE",
    "IF": "IF",
    "WHERE": "WHERE",
    "QUANDO": "WHEN",
    "SEMPRE QUE": "WHEN",
    "ENQUANTO": "WHILE",
    "SE": "IF",
    "CASO": "IF",
    "ONDE": "WHERE",
}
_WORDS = r"WHENEVER|WHEN|WHILE|IF|WHERE|QUANDO|SEMPRE QUE|ENQUANTO|SE|CASO|ONDE"
# In any case at the start and after a comma; in the middle of a clause only in capitals, as EARS writes it.
_KEYWORD = re.compile(rf"(?:^\W{{0,5}}|,\s{{0,5}})((?i:{_WORDS}))\b|\b({_WORDS})\b")
_THEN = re.compile(r"\bTHEN\b|\bENT[ÃA]O\b", re.IGNORECASE)
_SYSTEM = re.compile(r"\b(?:the\s+system|o\s+sistema)\s*$", re.IGNORECASE)
_DETERMINER = re.compile(r"\b(?:the|an?|each|every|all|o|os|as|uma?|cada|todos?|todas?)\s", re.IGNORECASE)
_PRONOUN = re.compile(r"\b(?:it|they|he|she|this|that|these|those|el[ea]s?|isso|isto)\s*$", re.IGNORECASE)
_NOT_BEFORE = re.compile(r"\bN[ÃA]O\s*$", re.IGNORECASE)
_NOT_AFTER = re.compile(r"^\s*NOT\b", re.IGNORECASE)
_FINITE = re.compile(
    r"\b(?:is|are|was|were|has|have|had|does|do|did|é|são|está|estão|foi|foram|estiver|estiverem|for|forem|tem|têm|tiver)\b",
    re.IGNORECASE,
)
_PORTUGUESE = re.compile(
    r"\b(?:o|os|um|uma|não|é|são|que|com|para|por|dos?|das?|nos?|nas?|ao|à|e|usuário|sistema|deve|quando|se|então)\b",
    re.IGNORECASE,
)
_ENGLISH = re.compile(
    r"\b(?:the|an|is|are|must|should|shall|can|may|when|if|that|with|of|in|on|and|or|user|system|to)\b", re.IGNORECASE
)
_PUNCTUATION = " \t\r\n,;:.-\u2013\u2014"


@dataclass(frozen=True)
class Part:
    """A piece of a criterion, and where it stands in it."""

    text: str
    start: int

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.start + len(self.text)


@dataclass(frozen=True)
class Clause:
    """A condition under its keyword. ``name`` is the English keyword, whatever the language is."""

    name: str
    keyword: Part
    condition: Part


@dataclass(frozen=True)
class Criterion:
    """A criterion's parts. ``masked`` is its text with code and quotations blanked, at the same places."""

    text: str
    masked: str
    language: Language
    clauses: tuple[Clause, ...]
    then: Part | None
    subject: Part
    obligation: Part | None
    negated: bool
    response: Part


def read_criterion(text: str) -> Criterion:
    """Read ``text``, which may be in any shape."""
    masked = _EMPHASIS.sub(lambda marks: " " * len(marks.group()), text)
    masked = _QUOTED.sub(lambda quoted: "q" * len(quoted.group()), masked)
    found = OBLIGATION.search(masked)
    head = masked[: found.start()] if found else ""
    denied = _NOT_BEFORE.search(head)
    head = head[: denied.start()] if denied else head
    response = _part(masked, found.end() if found else len(masked), len(masked))
    denied = denied or _NOT_AFTER.search(response.text)
    clauses, then, subject_start = _read_head(head)
    return Criterion(
        text=text,
        masked=masked,
        language=_language(masked, found.group() if found else ""),
        clauses=clauses,
        then=then,
        subject=_part(head, subject_start, len(head)),
        obligation=Part(found.group(), found.start()) if found else None,
        negated=bool(denied),
        response=response,
    )


def _language(text: str, obligation: str) -> Language:
    if obligation:
        return "en" if obligation.upper() == "SHALL" else "pt"
    return "pt" if len(_PORTUGUESE.findall(text)) > len(_ENGLISH.findall(text)) else "en"


def _read_head(head: str) -> tuple[tuple[Clause, ...], Part | None, int]:
    """Return the clauses before the obligation, THEN, and where the subject starts."""
    keywords = [_keyword(found) for found in _KEYWORD.finditer(head)]
    if not keywords:
        return (), None, 0
    last = keywords[-1]
    then = next((Part(found.group(), found.start()) for found in _THEN.finditer(head, last.end)), None)
    subject_start = then.end if then else _subject_start(head, last.end)
    ends = [*(keyword.start for keyword in keywords[1:]), then.start if then else subject_start]
    clauses = tuple(
        Clause(_NAMES[" ".join(keyword.text.upper().split())], keyword, _part(head, keyword.end, end))
        for keyword, end in zip(keywords, ends, strict=True)
    )
    return clauses, then, subject_start


def _keyword(found: re.Match[str]) -> Part:
    group = 1 if found.group(1) else 2
    return Part(found.group(group), found.start(group))


def _subject_start(head: str, after: int) -> int:
    """Return where the subject starts behind a condition that no THEN ends; the end of ``head`` when there is none."""
    rest = head[after:]
    named = _SYSTEM.search(rest) or _PRONOUN.search(rest)
    if named:
        return after + named.start()
    comma = rest.rfind(",")
    if comma >= 0 and not _FINITE.search(rest, comma):
        return after + comma + 1
    determiners = list(_DETERMINER.finditer(rest))
    if determiners and not _FINITE.search(rest, determiners[-1].start()):
        return after + determiners[-1].start()
    return len(head)


def _part(text: str, start: int, end: int) -> Part:
    """Return the piece without the white space and punctuation around it."""
    piece = text[start:end]
    stripped = piece.lstrip(_PUNCTUATION)
    start += len(piece) - len(stripped)
    return Part(stripped.rstrip(_PUNCTUATION), start)
