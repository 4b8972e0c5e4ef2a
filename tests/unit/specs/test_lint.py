"""The lint of documents: exact places, what hangs together, and texts in any shape."""

from __future__ import annotations

import pytest

from devstudio_server.specs.ears import read_criterion
from devstudio_server.specs.lint import lint
from devstudio_server.specs.lint_rules import CODES, MAX_CRITERION, judge, read
from devstudio_server.specs.schemas import DocumentType, LintRead, LintWarning

R, T = DocumentType.REQUIREMENTS, DocumentType.TASKS
HEAD = "### Requirement 1: X\n#### Acceptance Criteria\n"


def marked(text: str, warning: LintWarning) -> str:
    """Return the characters of ``text`` that a warning points at."""
    return text.split("\n")[warning.line - 1][warning.column - 1 : warning.end_column - 1]


def lint_criteria(*criteria: str) -> tuple[str, LintRead]:
    text = HEAD + "\n".join(f"{number}. {line}" for number, line in enumerate(criteria, 1)) + "\n"
    return text, lint({R: text})


@pytest.mark.parametrize(
    ("criterion", "code", "place"),
    [
        ("WHEN x happens THE SYSTEM SHALL answer fast. <!-- id:abc -->", "vague-word", "fast"),
        ("WHEN x happens THE SYSTEM SHALL\n   answer\n\n     in a timely manner.", "vague-word", "timely"),
        ("  WHEN\tx happens THE SYSTEM SHALL show nice things", "vague-word", "nice"),
        ("WHEN THE SYSTEM SHALL answer 1", "no-trigger", "WHEN"),
        ("WHEN x happens THE SYSTEM SHALL", "no-response", "SHALL"),
        ("IF x happens THE SYSTEM SHALL answer 1", "if-without-then", "IF"),
        ("WHEN x happens it SHALL answer 1", "no-subject", "it"),
        ("a b", "not-ears", "a b"),
        ("WHEN x happens THE SYSTEM SHALL save and/or log it", "and-or", "and/or"),
        ("THE SYSTEM SHALL never fail", "unbounded", "never"),
        ("Photos SHALL be kept for 30 days", "passive-without-actor", "SHALL be kept"),
        ("THE SYSTEM SHALL stop the pump and close the valve", "several-behaviours", "close"),
        ("O SISTEMA DEVE tratar o erro", "not-observable", "tratar"),
        ("THE SYSTEM SHALL print the total, if needed", "escape-clause", "if needed"),
        ("THE SYSTEM SHALL answer within TBD ms", "placeholder", "TBD"),
        ("THE SYSTEM SHALL be able to print", "weak-obligation", "be able to"),
    ],
)
def test_a_finding_points_at_its_words(criterion: str, code: str, place: str) -> None:
    text, found = lint_criteria(criterion)
    (warning,) = [warning for warning in found.warnings if warning.code == code]
    assert marked(text, warning) == place
    assert (warning.key, warning.severity) == ("1.1", CODES[code].severity)
    assert warning.suggestion
    assert "1.1" in warning.message


def test_places_hold_with_windows_line_ends_and_with_a_line_that_is_there_twice() -> None:
    text = (HEAD + "1. THE SYSTEM SHALL do\n   so\n   so well and good <!-- id:a -->\n").replace("\n", "\r\n")
    (warning,) = [warning for warning in lint({R: text}).warnings if warning.code == "vague-word"]
    assert (warning.line, marked(text, warning)) == (5, "good")


def test_code_and_quotations_are_not_judged() -> None:
    text, found = lint_criteria('WHEN `fast and/or easy()` is called THE SYSTEM SHALL show "Should be fast, etc."')
    assert [warning for warning in found.warnings if warning.key] == [], text


def test_contradictions_name_the_earlier_criterion_and_the_later_place() -> None:
    text, found = lint_criteria(
        "WHEN a guest asks, IF it is late THEN THE SYSTEM SHALL show 3 rooms.",
        "IF it is late, WHEN the guest asks, THEN the system SHALL hide 3 rooms.",
        "WHEN a guest asks, IF it is late THEN THE SYSTEM SHALL NOT hide 3 rooms.",
    )
    assert [(warning.key, warning.code) for warning in found.warnings] == [
        ("1.2", "contradiction"),
        ("1.3", "duplicate-criterion"),
    ]
    assert "1.2 contradicts 1.1" in found.warnings[0].message
    assert marked(text, found.warnings[0]) == "hide 3 rooms"


def test_code_tells_criteria_apart() -> None:
    _text, found = lint_criteria(
        "WHEN `f(1)` is called THE SYSTEM SHALL return 1.", "WHEN `f(2)` is called THE SYSTEM SHALL return 2."
    )
    assert [warning.code for warning in found.warnings] == []


def test_coverage_tells_what_nobody_builds_and_what_is_not_there() -> None:
    requirements = HEAD + "1. THE SYSTEM SHALL add.\n2. THE SYSTEM SHALL print.\n3. THE SYSTEM SHALL stop.\n"
    tasks = "- [ ] 1. A\n  - _Requirements: 1.1, 1.9_\n- [ ] 2. B\n- [ ] 3. C\n  - [ ] 3.1 D\n    - _Requirements: 7_\n"
    found = lint({R: requirements, T: tasks}, proven={"1.1"})
    assert found.coverage.model_dump() == {
        "criteria": 3,
        "tasks": 4,
        "criteria_without_task": ["1.2", "1.3"],
        "tasks_without_criterion": ["2"],
        "unknown_criteria": {"1": ["1.9"], "3.1": ["7"]},
        "criteria_without_evidence": ["1.2", "1.3"],
    }
    codes = [(warning.document, warning.line, warning.code, warning.key) for warning in found.warnings]
    assert codes == [
        (R, 4, "uncovered-criterion", "1.2"),
        (R, 5, "uncovered-criterion", "1.3"),
        (T, 1, "unknown-reference", "1"),
        (T, 3, "no-references", "2"),
        (T, 5, "unknown-reference", "3.1"),
    ]


def test_before_there_are_tasks_nothing_is_uncovered() -> None:
    found = lint({R: HEAD + "1. THE SYSTEM SHALL add 1.\n"})
    assert found.warnings == []
    assert found.coverage.criteria_without_task == ["1.1"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\r\n \t",
        "no shape at all",
        HEAD + "1.\n2.  \n3. <!-- id:x -->\n",
        HEAD + "1. 1. 1. SHALL SHALL\n",
        HEAD + "1. \U0001f389 WHEN IF WHILE WHERE SHALL NOT NOT\n",
        HEAD + '1. `open "quote SHALL “ \n```\nfenced\n```\nmore\n',
        HEAD + "1. " + "WHEN " * 20_000 + "SHALL\n",
        HEAD + "1. " + "a and/or " * 20_000 + "\n",
        HEAD + "1. THE SYSTEM SHALL " + "and, then; " * 20_000 + "\n",
        HEAD + "1. " + " " * 100_000 + "x\n",
    ],
)
@pytest.mark.timeout(30)
def test_any_text_is_judged_and_every_place_is_inside_of_it(text: str) -> None:
    found = lint({R: text, T: text})
    lines = text.split("\n")
    for warning in found.warnings:
        assert 1 <= warning.line <= len(lines)
        assert 1 <= warning.column <= len(lines[warning.line - 1]) + 1


def test_a_document_of_hundreds_of_pages_is_judged() -> None:
    criterion = "WHEN a guest asks for room {0} THE SYSTEM SHALL show {0} beds, quickly.\n"
    text = HEAD + "".join(f"{number}. {criterion.format(number)}" for number in range(1, 6_000))
    found = lint({R: text})
    assert len(text) > 450_000
    assert sum(warning.code == "vague-word" for warning in found.warnings) == 5_999
    assert not any(warning.code == "contradiction" for warning in found.warnings)


def test_what_is_longer_than_any_sentence_is_judged_at_its_start() -> None:
    assert judge(read("THE SYSTEM SHALL print " + "x" * MAX_CRITERION + " fast")) == []


@pytest.mark.parametrize(
    ("text", "clauses", "subject", "response", "negated"),
    [
        ("WHILE a, WHEN b, THE SYSTEM SHALL c.", [("WHILE", "a"), ("WHEN", "b")], "THE SYSTEM", "c", False),
        ("IF a THEN the gate SHALL NOT open", [("IF", "a")], "the gate", "NOT open", True),
        ("SE a ENTÃO O SISTEMA NÃO DEVE abrir", [("IF", "a")], "O SISTEMA", "abrir", True),
        ("Where a is on, the app shall beep", [("WHERE", "a is on")], "the app", "beep", False),
        ("The page where it stands SHALL load", [], "The page where it stands", "load", False),
        ("nothing of the kind", [], "", "", False),
    ],
)
def test_a_criterion_is_read_into_its_parts(
    text: str, clauses: list[tuple[str, str]], subject: str, response: str, *, negated: bool
) -> None:
    read = read_criterion(text)
    assert [(clause.name, clause.condition.text) for clause in read.clauses] == clauses
    assert (read.subject.text, read.response.text, read.negated) == (subject, response, negated)
    for part in (read.subject, read.response):
        assert text[part.start : part.end] == part.text
