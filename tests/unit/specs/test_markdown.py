"""The documents' format: what is read, what is kept byte for byte, and who gets which id."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devstudio_server.specs.markdown import assign_ids, expand_references, parse, strip_ids
from devstudio_server.specs.schemas import DocumentType

R, D, T = DocumentType.REQUIREMENTS, DocumentType.DESIGN, DocumentType.TASKS

ENGLISH = """# Requirements
### Requirement 1: Parse versions
**User Story:** As a user, I want versions, so that I can compare.
#### Acceptance Criteria
1. WHEN a version is given THE SYSTEM SHALL parse it
   into three numbers.

2. IF it is malformed THEN THE SYSTEM SHALL refuse it.

### Requirement 2 - Compare
#### Acceptance Criteria
1) WHILE comparing THE SYSTEM SHALL ignore build metadata.
"""
PORTUGUESE = """# Requisitos
### Requisito 1: Ler versões
**História de Usuário:** Como pessoa, quero versões.
#### Critérios de Aceitação
1. QUANDO uma versão é dada O SISTEMA DEVE lê-la.
2. SE for inválida ENTÃO O SISTEMA DEVERÁ recusá-la.
### Requisito 2
#### Criterios de Aceite
1. ENQUANTO compara O SISTEMA DEVE ignorar metadados.
"""

LINES = [
    "# Requirements", "### Requirement 1: A", "### Requirement 2", "#### Acceptance Criteria", "1. x SHALL y", "1. ",
    "2) y", "10. z  ", "   more", "", " ", "\r", "1. cr\r", "```", "```py", "```a```", "~~~", "    ```", "## Section",
    "##  ", "# Tasks", "- [ ] 1. A", "- [ ] ", "- [x] b", "  - [ ]* 1.1 c  ", "\t* [-]\t2.\td", "  - _Requirements: 1_",
    "- [ ] 1.", "text", "\x0b1. v", "\u2028", "### Requisito 3 \u2013 B\t",
]  # fmt: skip
TEXTS = st.lists(
    st.sampled_from(LINES) | st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=8),
    max_size=14,
).map("\n".join)


def ids(kind: DocumentType, text: str) -> list[str | None]:
    return [block.id for block in parse(kind, text).blocks()]


@pytest.mark.parametrize(("text", "keys"), [(ENGLISH, ["1.1", "1.2", "2.1"]), (PORTUGUESE, ["1.1", "1.2", "2.1"])])
def test_criteria_get_the_keys_of_the_contract_in_both_languages(text: str, keys: list[str]) -> None:
    parsed = parse(R, text)
    assert list(parsed.criteria()) == keys
    assert parsed.findings == []


def test_a_criterion_goes_on_until_the_next_one_or_a_heading() -> None:
    criteria = parse(R, ENGLISH + "\n## Glossary\n1. not a criterion SHALL\n").criteria()
    assert criteria["1.1"].text == "WHEN a version is given THE SYSTEM SHALL parse it\ninto three numbers."
    assert list(criteria) == ["1.1", "1.2", "2.1"]


def test_wrapping_a_criterion_anew_keeps_its_digest_and_other_words_do_not() -> None:
    one = parse(R, ENGLISH).criteria()["1.1"].sha256
    wrapped = ENGLISH.replace("parse it\n   into", "parse\n it into")
    assert parse(R, wrapped).criteria()["1.1"].sha256 == one
    assert parse(R, ENGLISH.replace("three", "four")).criteria()["1.1"].sha256 != one


def test_titles_and_labels_lose_their_punctuation() -> None:
    first, second = parse(R, ENGLISH).requirements
    assert (first.label, first.text, second.label, second.text) == ("1", "Parse versions", "2", "Compare")


@pytest.mark.parametrize("fence", ["```", "~~~", "````", "  ```"])
def test_what_is_in_a_fenced_block_is_code(fence: str) -> None:
    code = f"{fence}md\n### Requirement 9: X\n#### Acceptance Criteria\n1. SHALL\n{fence}\n"
    parsed = parse(R, code + ENGLISH)
    assert list(parsed.criteria()) == ["1.1", "1.2", "2.1"]
    assert strip_ids(assign_ids(R, code)) == code
    assert assign_ids(R, code) == code


def test_a_shorter_or_other_fence_does_not_close_a_block() -> None:
    text = "````\n```\n~~~\n### Requirement 1\n````\n### Requirement 2\n"
    assert [block.label for block in parse(R, text).requirements] == ["2"]


def test_inline_code_in_three_backticks_opens_no_block() -> None:
    assert list(parse(R, "```so``` it begins\n" + ENGLISH).criteria()) == ["1.1", "1.2", "2.1"]


@pytest.mark.parametrize("text", ["Just prose.\nAnd more.", "# A\r\n\r\n* odd\r\n", "\n\n  x\n\n", "- [] 1 no task"])
@pytest.mark.parametrize("kind", [R, T])
def test_an_unknown_shape_is_kept_byte_for_byte_and_found(kind: DocumentType, text: str) -> None:
    assert assign_ids(kind, text) == text
    assert [finding.code for finding in parse(kind, text).findings] == ["unknown-shape"]


def test_an_empty_document_has_no_findings() -> None:
    assert all(parse(kind, text).findings == [] for kind in DocumentType for text in ("", "\n \n"))


def test_findings_name_line_and_cause() -> None:
    text = "### Requirement 1: A\n### Requirement 1: B\n#### Acceptance Criteria\n1. it should work\n"
    found = [(finding.line, finding.code) for finding in parse(R, text).findings]
    assert found == [(1, "no-criteria"), (2, "duplicate-requirement"), (4, "not-ears")]


def test_criteria_of_a_second_requirement_with_the_same_number_do_not_count() -> None:
    heading = "### Requirement 1\n#### Acceptance Criteria\n"
    text = f"{heading}1. a SHALL\n{heading}1. b\n2. c\n"
    assert {key: block.text for key, block in parse(R, text).criteria().items()} == {"1.1": "a SHALL"}


def test_a_number_that_no_person_writes_is_no_requirement() -> None:
    assert parse(R, f"### Requirement {'9' * 5000}: x\n").requirements == []


def test_ids_stand_at_the_end_of_first_lines_and_line_ends_stay() -> None:
    text = "### Requirement 1: A\r\n#### Acceptance Criteria\r\n1. x SHALL\r\n   y\r\n"
    lines = assign_ids(R, text).split("\r\n")
    assert [bool(line.endswith("-->")) for line in lines] == [True, False, True, False, False]
    assert "\n" not in assign_ids(R, text).replace("\r\n", "")


def test_ids_that_are_there_are_kept() -> None:
    text = "## Overview <!-- id:mine -->\ntext\n## Parts\n"
    given_id, new = ids(D, assign_ids(D, text))
    assert given_id == "mine"
    assert new not in (None, "mine")


def test_a_doubled_id_stays_with_the_first_block() -> None:
    text = "- [ ] 1. A <!-- id:same -->\n- [ ] 2. B <!-- id:same -->\n"
    first, second = ids(T, assign_ids(T, text))
    assert first == "same"
    assert second not in (None, "same")
    assert strip_ids(assign_ids(T, text)) == strip_ids(text)


def test_lost_ids_come_back_by_text_first_and_then_by_label() -> None:
    before = assign_ids(T, "- [ ] 1. Alpha\n- [ ] 2. Beta\n- [ ] 3. Gamma\n")
    alpha, beta, gamma = ids(T, before)
    # Beta moved to the front; Alpha was reworded in second place; the third is Gamma still.
    after = assign_ids(T, "- [ ] 1. Beta\n- [ ] 2. Alpha, better\n- [ ] 3. Gamma\n", before)
    first, second, third = ids(T, after)
    assert (first, third) == (beta, gamma)
    assert second not in (None, beta, gamma)
    again = assign_ids(T, "- [ ] 1. Alpha, better\n- [ ] 2. Beta\n", before)
    assert ids(T, again) == [alpha, beta]


def test_an_id_is_never_given_to_two_blocks_and_never_crosses_kinds() -> None:
    before = "### Requirement 1: A <!-- id:req -->\n#### Acceptance Criteria\n1. A <!-- id:crit -->\n"
    after = assign_ids(R, "### Requirement 1: A\n### Requirement 1: A\n#### Acceptance Criteria\n1. A\n", before)
    first, second, criterion = ids(R, after)
    assert (first, criterion) == ("req", "crit")
    assert second not in (None, "req", "crit")


@settings(max_examples=150, deadline=None)
@given(text=TEXTS, before=TEXTS)
@pytest.mark.parametrize("kind", list(DocumentType))
def test_ids_come_and_go_without_a_trace(kind: DocumentType, text: str, before: str) -> None:
    old = assign_ids(kind, before)
    with_ids = assign_ids(kind, text, old)
    assert strip_ids(with_ids) == text
    assert assign_ids(kind, with_ids, old) == with_ids, "idempotent"
    assert assign_ids(kind, with_ids) == with_ids
    found = ids(kind, with_ids)
    assert None not in found
    assert len(found) == len(set(found))
    plain, marked = parse(kind, text), parse(kind, with_ids)
    assert [(b.kind, b.label, b.text) for b in plain.blocks()] == [(b.kind, b.label, b.text) for b in marked.blocks()]


@settings(max_examples=60, deadline=None)
@given(text=TEXTS)
@pytest.mark.parametrize("kind", list(DocumentType))
def test_an_editor_that_drops_the_comments_loses_no_id(kind: DocumentType, text: str) -> None:
    before = assign_ids(kind, text)
    assert assign_ids(kind, strip_ids(before), before) == before


TASKS = """# Tasks
- [ ] 1. Write the parser
  - reads three numbers
  - _Requirements: 1.1, 1.2_
- [x] 2. Compare
  - [ ]* 2.1 Property tests
    - many
    - _Requirements: 2_
* [ ] 3. With a star bullet
\t- _Requirements: 1.1_ _Requirements: 1.1, 9.9_
-\t[-] 4.\tTabs
  plain text
## Notes
  - indented after a heading
"""


def test_tasks_have_labels_titles_details_and_references() -> None:
    tasks = {task.label: task for task in parse(T, TASKS).tasks}
    assert list(tasks) == ["1", "2", "2.1", "3", "4"]
    assert (tasks["1"].title, tasks["1"].details) == ("Write the parser", ["reads three numbers"])
    assert tasks["1"].references == ["1.1", "1.2"]
    assert (tasks["2"].ticked, tasks["1"].ticked) == (True, False)
    assert (tasks["2.1"].optional, tasks["2.1"].references, tasks["2"].references) == (True, ["2"], [])
    assert tasks["3"].references == ["1.1", "9.9"]


def test_tabs_separate_as_spaces_do() -> None:
    (task,) = parse(T, "\t- [ ]\t7.\tTabs\n\t\t- detail\n\t\t- _Requirements:\t1.1_\n").tasks
    assert (task.label, task.title, task.details, task.references) == ("7", "Tabs", ["detail"], ["1.1"])


def test_text_behind_a_heading_or_outdented_belongs_to_no_task() -> None:
    (task,) = parse(T, "  - [ ] 1. A\n  same depth\n    - deeper\n## Notes\n      - deep but behind\n").tasks
    assert task.details == ["deeper"]


def test_tasks_without_numbers_count_on_and_nested_ones_below_their_parent() -> None:
    text = "- [ ] A\n  - [ ] a\n  - [ ] b\n- [ ] B\n  - [ ] 2.1 c\n  - [ ] d\n- [ ] 7. C\n  - [ ] e\n"
    assert [task.label for task in parse(T, text).tasks] == ["1", "1.1", "1.2", "2", "2.1", "2.2", "7", "7.1"]


def test_findings_of_tasks() -> None:
    found = [(finding.line, finding.code) for finding in parse(T, TASKS + "- [ ] 1. Again\n").findings]
    assert found == [
        (5, "ticked"),
        (11, "no-references"),
        (15, "duplicate-task"),
        (15, "no-references"),
    ]


def test_references_expand_to_criteria_and_unknown_ones_are_found_and_kept() -> None:
    criteria = parse(R, ENGLISH).criteria()
    text = "- [ ] 1. A\n  - _Requirements: 1, 2.1, 1.2, 3.1, 8, 1.2.3_\n"
    keys, findings = expand_references(parse(T, text).tasks[0], criteria)
    assert keys == ["1.1", "1.2", "2.1", "3.1", "8", "1.2.3"], "an unknown one keeps the task from done"
    assert [finding.message.split(",")[0] for finding in findings] == [
        f"Task 1 names {reference}" for reference in ("3.1", "8", "1.2.3")
    ]


def test_portuguese_references_count() -> None:
    (task,) = parse(T, "- [ ] 1. A\n  - _Requisitos: 1.1_\n").tasks
    assert task.references == ["1.1"]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (R, "x" + " " * 1_000_000 + "y"),
        (R, "### Requirement 1\n#### Acceptance Criteria\n" + "1. a\n" * 20_000),
        (T, "- [ ] a\n" * 20_000),
        (T, "- [ ] a\n  - _Requirements: " + "1.1, " * 100_000 + "_\n"),
    ],
)
def test_large_documents_take_linear_time(kind: DocumentType, text: str) -> None:
    started = time.process_time()
    before = assign_ids(kind, text)
    assert assign_ids(kind, text, before) == before
    assert time.process_time() - started < 10
