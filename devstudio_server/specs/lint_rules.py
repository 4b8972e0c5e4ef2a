"""What the lint can find: one table of codes, and the rules that judge a single criterion."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from devstudio_server.specs.ears import OBLIGATION, Criterion, Part, read_criterion
from devstudio_server.specs.lint_words import (
    ABLE,
    ABSOLUTES,
    ACTOR,
    AND_OR,
    ESCAPES,
    MEASURED,
    PASSIVE,
    PLACEHOLDERS,
    PRONOUNS,
    SEVERAL_EN,
    SEVERAL_PT,
    UNOBSERVABLE,
    VAGUE,
    VAGUE_PHRASES,
    WEAK,
    WORD,
)

Severity = Literal["error", "warning", "info"]
MAX_CRITERION = 5_000
"""Characters of one criterion that are judged; nobody tests a longer sentence."""


@dataclass(frozen=True)
class Rule:
    """How much a finding matters, and what it says; ``{key}`` and ``{word}`` are filled in."""

    severity: Severity
    message: str
    suggestion: str


CODES: dict[str, Rule] = {
    "not-ears": Rule(
        "error",
        "Criterion {key} is not in EARS form: it says no SHALL (DEVE).",
        "Write “WHEN … THE SYSTEM SHALL …” (“QUANDO … O SISTEMA DEVE …”).",
    ),
    "weak-obligation": Rule(
        "warning",
        "Criterion {key} says “{word}”, which leaves open whether it is meant.",
        "Say what happens: “SHALL …” (“DEVE …”) and the verb itself.",
    ),
    "no-subject": Rule(
        "error",
        "Criterion {key} does not say who SHALL do it.",
        "Name the part that acts, such as THE SYSTEM (O SISTEMA), before SHALL (DEVE).",
    ),
    "no-trigger": Rule(
        "error",
        "Criterion {key} says nothing after “{word}”.",
        "Name the event or state, or leave the keyword out.",
    ),
    "if-without-then": Rule(
        "warning",
        "Criterion {key} has “{word}” without THEN (ENTÃO).",
        "Write IF … THEN … SHALL (SE … ENTÃO … DEVE) for what is unwanted, and WHEN (QUANDO) for an event.",
    ),
    "no-response": Rule(
        "error",
        "Criterion {key} ends after “{word}”: it does not say what happens.",
        "Add what somebody can see, with its values.",
    ),
    "vague-word": Rule(
        "warning",
        "Criterion {key} says “{word}”, which two people measure differently.",
        "Give a figure with its unit, a list, or the exact text.",
    ),
    "escape-clause": Rule(
        "warning",
        "Criterion {key} says “{word}”, so that it can never fail.",
        "Name the cases in which it holds, or the whole list.",
    ),
    "and-or": Rule(
        "warning",
        "Criterion {key} says “{word}”, which is two criteria at once.",
        "Choose one, or write a criterion each.",
    ),
    "placeholder": Rule(
        "error", "Criterion {key} is not finished: “{word}”.", "Decide it, and write the decision in its place."
    ),
    "unbounded": Rule(
        "warning",
        "Criterion {key} says “{word}” without a measure, so that no test can show it.",
        "Say for how long, how often, or in which cases; or drop the word.",
    ),
    "not-observable": Rule(
        "warning",
        "Criterion {key} says “{word}”, which nobody can see from outside.",
        "Say what comes out of it: an answer, a text, a stored value.",
    ),
    "passive-without-actor": Rule(
        "warning",
        "Criterion {key} says “{word}” without saying who does it.",
        "Begin with who acts: THE SYSTEM SHALL … (O SISTEMA DEVE …).",
    ),
    "several-behaviours": Rule(
        "warning",
        "Criterion {key} asks for more than one thing: “{word}” is another.",
        "Write a criterion for each, so that each has its own test.",
    ),
    "contradiction": Rule(
        "error",
        "Criterion {key} contradicts {word}: the same condition, another response.",
        "Keep one of the two, or make their conditions differ.",
    ),
    "duplicate-criterion": Rule("warning", "Criterion {key} says the same as {word}.", "Remove one of the two."),
    "no-criteria": Rule("warning", "", "Add `#### Acceptance Criteria` and a numbered list."),
    "unknown-shape": Rule("info", "", "See “The format of documents” in the user guide."),
    "duplicate-requirement": Rule("error", "", "Give it a number of its own."),
    "duplicate-task": Rule("error", "", "Give it a number of its own."),
    "ticked": Rule("info", "", "Leave the box empty; a passing test run ticks the task."),
    "no-references": Rule("warning", "", "Add a line `_Requirements: 1.1_` with the criteria that its tests prove."),
    "unknown-reference": Rule("error", "", "Name a criterion that is there, or write it."),
    "uncovered-criterion": Rule(
        "warning",
        "No task names criterion {key}, so nobody will build it.",
        "Add it to the `_Requirements: …_` of a task.",
    ),
    "upstream-not-approved": Rule(
        "info",
        "“{word}” is {key}, so what is planned on them may have to change.",
        "Have them approved first, or go on and look through the plan again.",
    ),
    "restricted": Rule(
        "info",
        "{key} was not shown {word}, which are restricted; they stay as they are.",
        "Choose a model that runs inside the house if it has to know them.",
    ),
    "prompt-cut": Rule(
        "warning",
        "{key} was not shown {word}: they do not fit into its window.",
        "Choose a model with a larger window, or part the session.",
    ),
}
"""Every code, in the order of the user guide's table, which a test holds to this one."""


@dataclass(frozen=True)
class Mark:
    """A finding in one criterion: ``start`` and ``end`` are places in its text."""

    code: str
    start: int
    end: int
    word: str


def read(text: str) -> Criterion:
    """Read as much of a criterion as is judged."""
    return read_criterion(text[:MAX_CRITERION])


def judge(criterion: Criterion) -> list[Mark]:
    """Return what is wrong with one criterion by itself, in the order of the text."""
    marks = [mark for rule in _RULES for mark in rule(criterion)]
    return sorted(marks, key=lambda mark: (mark.start, mark.code))


def _mark(code: str, criterion: Criterion, start: int, end: int) -> Mark:
    return Mark(code, start, end, " ".join(criterion.text[start:end].split()))


def _marks(code: str, criterion: Criterion, pattern: re.Pattern[str]) -> Iterator[Mark]:
    for found in pattern.finditer(criterion.masked):
        yield _mark(code, criterion, found.start(), found.end())


def _obligation(criterion: Criterion) -> Iterator[Mark]:
    if criterion.obligation is None:
        weak = WEAK.search(criterion.masked)
        if weak:
            yield _mark("weak-obligation", criterion, weak.start(), weak.end())
        else:
            yield _mark("not-ears", criterion, 0, len(criterion.text))
        return
    able = ABLE.match(criterion.response.text)
    if able:
        start = criterion.response.start
        yield _mark("weak-obligation", criterion, start, start + able.end())


def _parts(criterion: Criterion) -> Iterator[Mark]:
    """Mark parts of the form that are missing. Where a part is missing, the place is the word before the gap."""
    for clause in criterion.clauses:
        if not clause.condition.text:
            yield _mark("no-trigger", criterion, clause.keyword.start, clause.keyword.end)
        elif clause.name == "IF" and criterion.then is None and clause.keyword.text.upper() != "CASO":
            yield _mark("if-without-then", criterion, clause.keyword.start, clause.keyword.end)
    obligation = criterion.obligation
    if obligation is None:
        return
    if not criterion.subject.text or criterion.subject.text.lower() in PRONOUNS:
        place = criterion.subject if criterion.subject.text else obligation
        yield _mark("no-subject", criterion, place.start, place.end)
    if not criterion.response.text:
        yield _mark("no-response", criterion, obligation.start, obligation.end)


def _words(criterion: Criterion) -> Iterator[Mark]:
    escapes = list(_marks("escape-clause", criterion, ESCAPES))
    yield from escapes
    for found in (*WORD.finditer(criterion.masked), *VAGUE_PHRASES.finditer(criterion.masked)):
        vague = found.re is VAGUE_PHRASES or found.group().casefold() in VAGUE
        if vague and not any(escape.start <= found.start() < escape.end for escape in escapes):
            yield _mark("vague-word", criterion, found.start(), found.end())
    yield from _marks("and-or", criterion, AND_OR)
    yield from _marks("placeholder", criterion, PLACEHOLDERS)


def _measures(criterion: Criterion) -> Iterator[Mark]:
    if criterion.obligation is None:
        return
    response = criterion.response.text
    for found in ABSOLUTES.finditer(response):
        if not re.search(r"\d|q{3,}", response.replace(found.group(), " ")):
            start = criterion.response.start + found.start()
            yield _mark("unbounded", criterion, start, start + len(found.group()))
    verb = UNOBSERVABLE.match(response)
    if verb and not MEASURED.search(response):
        start = criterion.response.start
        yield _mark("not-observable", criterion, start + verb.start("verb"), start + verb.end("verb"))


def _voice(criterion: Criterion) -> Iterator[Mark]:
    found = PASSIVE.match(criterion.response.text)
    if criterion.obligation is not None and found and not ACTOR.search(criterion.response.text):
        yield _mark(
            "passive-without-actor", criterion, criterion.obligation.start, criterion.response.start + found.end()
        )


def _number(criterion: Criterion) -> Iterator[Mark]:
    if criterion.obligation is None:
        return
    response: Part = criterion.response
    again = OBLIGATION.search(response.text)
    pattern = SEVERAL_EN if criterion.language == "en" else SEVERAL_PT
    joined = pattern.search(response.text)
    if again:
        yield _mark("several-behaviours", criterion, response.start + again.start(), response.start + again.end())
    elif joined:
        start, end = joined.span("verb")
        yield _mark("several-behaviours", criterion, response.start + start, response.start + end)


_RULES: tuple[Callable[[Criterion], Iterator[Mark]], ...] = (_obligation, _parts, _words, _measures, _voice, _number)
