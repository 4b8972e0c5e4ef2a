"""Blocks of documents: cut, compared, and put into a text that changed meanwhile."""

from __future__ import annotations

import random

import pytest

from devstudio_server.specs.block_ids import keep_ids
from devstudio_server.specs.markdown import assign_ids, parse, strip_ids
from devstudio_server.specs.schemas import DocumentType
from devstudio_server.specs.segments import PREAMBLE, apply, choose_with, compare, join, split

R, D, T = DocumentType.REQUIREMENTS, DocumentType.DESIGN, DocumentType.TASKS
BASE = """# Requirements

### Requirement 1: Add <!-- id:r1 -->
**User Story:** As a clerk, I want sums.

#### Acceptance Criteria
1. WHEN two numbers are given THE SYSTEM SHALL add them. <!-- id:c1 -->
2. IF none is given THEN THE SYSTEM SHALL answer 0. <!-- id:c2 -->

### Requirement 2: Print <!-- id:r2 -->
#### Acceptance Criteria
1. WHEN asked THE SYSTEM SHALL print the sum. <!-- id:c3 -->
"""


def ids_of(kind: DocumentType, text: str) -> dict[str, str]:
    """Return each block's id by its text."""
    return {block.text: block.id or "" for block in parse(kind, text).blocks()}


def kinds(before: str, after: str) -> dict[str, str]:
    return {change.id: change.kind for change in compare(R, before, after) if change.kind != "same"}


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", "x", BASE, BASE.rstrip("\n"), BASE.replace("\n", "\r\n"), "\n\n" + BASE,
        "```\n# x\n### Requirement 1: y\n", BASE.replace("c2", "c1"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", list(DocumentType))
def test_segments_joined_are_the_text(kind: DocumentType, text: str) -> None:
    segments = split(kind, text)
    assert join(segments) == text
    assert len({segment.id for segment in segments}) == len(segments)


def test_blocks_are_told_apart() -> None:
    assert [(segment.id, segment.kind, segment.label, segment.parent) for segment in split(R, BASE)] == [
        (PREAMBLE, PREAMBLE, "", ""),
        ("r1", "requirement", "1", ""),
        ("c1", "criterion", "1.1", "r1"),
        ("c2", "criterion", "1.2", "r1"),
        ("r2", "requirement", "2", ""),
        ("c3", "criterion", "2.1", "r2"),
    ]


def test_a_comparison_names_what_became_of_each_block() -> None:
    after = (
        BASE.replace("add them", "multiply them")
        .replace("2. IF none is given THEN THE SYSTEM SHALL answer 0. <!-- id:c2 -->\n", "")
        .replace("1. WHEN asked", "1. THE SYSTEM SHALL sing. <!-- id:new -->\n2. WHEN asked")
    )
    assert kinds(BASE, after) == {"c1": "changed", "c2": "removed", "new": "added"}
    changes = {change.id: change for change in compare(R, BASE, after)}
    assert changes["c1"].before == "1. WHEN two numbers are given THE SYSTEM SHALL add them."
    assert changes["c1"].after == "1. WHEN two numbers are given THE SYSTEM SHALL multiply them."
    assert (changes["c2"].after, changes["new"].before) == (None, None)


def test_a_moved_block_is_one_change_and_a_new_number_is_none() -> None:
    lines = BASE.split("\n")
    lines[6], lines[7] = lines[7].replace("2.", "1.", 1), lines[6].replace("1.", "2.", 1)
    assert list(kinds(BASE, "\n".join(lines)).values()) == ["moved"]


def test_all_changes_give_the_new_text_byte_for_byte() -> None:
    after = BASE.replace("add them", "x").replace("Print", "Say") + "\n\n"
    every = [change.id for change in compare(R, BASE, after)]
    assert apply(R, BASE, after, BASE, every).text == after


def test_some_changes_leave_the_others_as_they_were() -> None:
    after = BASE.replace("add them", "multiply them").replace("answer 0", "answer 1")
    applied = apply(R, BASE, after, BASE, ["c2"])
    assert applied.text == BASE.replace("answer 0", "answer 1")
    assert applied.conflicts == {}


def test_a_block_that_somebody_changed_is_a_conflict_with_its_text_and_the_rest_applies() -> None:
    after = BASE.replace("add them", "multiply them").replace("answer 0", "answer 1")
    present = BASE.replace("add them", "subtract them")
    applied = apply(R, BASE, after, present, ["c1", "c2"])
    assert applied.conflicts == {"c1": "1. WHEN two numbers are given THE SYSTEM SHALL subtract them."}
    assert applied.text == present.replace("answer 0", "answer 1")


def test_a_block_that_somebody_removed_is_a_conflict_without_text() -> None:
    present = BASE.replace("1. WHEN two numbers are given THE SYSTEM SHALL add them. <!-- id:c1 -->\n", "")
    applied = apply(R, BASE, BASE.replace("add them", "x"), present, ["c1"])
    assert applied.conflicts == {"c1": None}
    assert applied.text == present


def test_a_requirement_does_not_go_with_criteria_that_somebody_added() -> None:
    after = BASE[: BASE.index("### Requirement 2")]
    present = BASE + "2. THE SYSTEM SHALL sing. <!-- id:mine -->\n"
    applied = apply(R, BASE, after, present, ["r2", "c3"])
    assert list(applied.conflicts) == ["r2"]
    assert "SHALL sing" in applied.text
    assert "### Requirement 2" in applied.text


def test_a_new_requirement_comes_behind_criteria_that_somebody_added() -> None:
    after = BASE.replace(
        "### Requirement 2",
        "### Requirement 3: New <!-- id:r3 -->\n#### Acceptance Criteria\n1. It SHALL x. <!-- id:c9 -->\n\n"
        "### Requirement 2",
    )
    present = BASE.replace("<!-- id:c2 -->\n", "<!-- id:c2 -->\n3. THE SYSTEM SHALL sing. <!-- id:mine -->\n")
    applied = apply(R, BASE, after, present, ["r3", "c9"])
    assert [segment.id for segment in split(R, applied.text)] == [
        PREAMBLE,
        "r1",
        "c1",
        "c2",
        "mine",
        "r3",
        "c9",
        "r2",
        "c3",
    ]


def test_a_criterion_brings_its_new_requirement_and_a_requirement_takes_its_criteria_along() -> None:
    added = (
        BASE
        + "\n### Requirement 3: N <!-- id:r3 -->\n#### Acceptance Criteria\n1. THE SYSTEM SHALL x. <!-- id:c9 -->\n"
    )
    assert choose_with(R, BASE, added, {"c9"}) == {"c9", "r3"}
    removed = BASE[: BASE.index("### Requirement 2")]
    assert choose_with(R, BASE, removed, {"r2"}) == {"r2", "c3"}


def test_removing_keeps_one_empty_line_before_the_next_heading() -> None:
    after = BASE.replace("2. IF none is given THEN THE SYSTEM SHALL answer 0. <!-- id:c2 -->\n", "").replace(
        "Print", "Say"
    )
    assert apply(R, BASE, after, BASE, ["c2"]).text == BASE.replace(
        "2. IF none is given THEN THE SYSTEM SHALL answer 0. <!-- id:c2 -->\n", ""
    )


def test_any_choice_of_any_change_loses_nothing_that_was_not_chosen() -> None:
    """Random edits on both sides: what nobody chose to change stays, and what conflicts is told."""
    rng = random.Random(5)
    for _ in range(300):
        after, present = (edited(rng, BASE) for _ in range(2))
        changes = [change for change in compare(R, BASE, after) if change.kind != "same"]
        wanted = {change.id for change in changes if rng.random() < 0.6}
        chosen = choose_with(R, BASE, after, wanted)
        applied = apply(R, BASE, after, present, chosen)
        was = {segment.id: segment.core for segment in split(R, present)}
        now = {segment.id: segment.core for segment in split(R, applied.text)}
        new = {segment.id: segment.core for segment in split(R, after)}
        for block_id in was.keys() - chosen:
            assert now.get(block_id) == was[block_id]
        for block_id in chosen - applied.conflicts.keys():
            assert now.get(block_id) == new.get(block_id)
        for block_id in applied.conflicts:
            assert now.get(block_id) == was.get(block_id)


def edited(rng: random.Random, text: str) -> str:
    """Reword, remove, add and swap criteria at random."""
    lines = text.split("\n")
    places = [index for index, line in enumerate(lines) if "id:c" in line]
    for index in sorted(places, reverse=True):
        deed = rng.randrange(5)
        if deed == 0:
            lines[index] = lines[index].replace("SHALL", f"SHALL {rng.randrange(3)}")
        elif deed == 1:
            del lines[index]
        elif deed == 2:
            lines.insert(index, f"9. THE SYSTEM SHALL sing {rng.random()}. <!-- id:n{rng.randrange(10**9)} -->")
    return "\n".join(lines)


def test_a_model_that_drops_reorders_and_renumbers_ids_changes_no_identity() -> None:
    before = assign_ids(R, strip_ids(BASE))
    was = ids_of(R, before)
    rng = random.Random(7)
    for _ in range(50):
        lines = before.split("\n")
        comments = [line[line.index("<!--") :] for line in lines if "<!--" in line]
        rng.shuffle(comments)
        given = iter(comments)
        broken = []
        for line in lines:
            if "<!--" in line:
                comment = rng.choice([next(given), "", "<!-- id:invented -->", "<!-- id:1 -->"])
                line = f"{line[: line.index('<!--')]}{comment}".rstrip()  # noqa: PLW2901 - the line as the model has it
            broken.append(line)
        assert ids_of(R, keep_ids(R, "\n".join(broken), before)) == was


def test_renumbered_and_reordered_requirements_keep_their_ids() -> None:
    first, second = BASE.index("### Requirement 1"), BASE.index("### Requirement 2")
    swapped = BASE[:first] + BASE[second:].replace("Requirement 2", "Requirement 1") + "\n"
    swapped += BASE[first:second].replace("Requirement 1", "Requirement 2")
    assert ids_of(R, keep_ids(R, strip_ids(swapped), BASE)) == ids_of(R, BASE)


def test_a_reworded_block_keeps_its_id_and_a_new_one_between_gets_a_new_one() -> None:
    text = strip_ids(BASE).replace("add them", "add them exactly").replace(
        "2. IF none", "2. THE SYSTEM SHALL log each sum to a file.\n3. IF none"
    )  # fmt: skip
    found = ids_of(R, keep_ids(R, text, BASE))
    assert found["WHEN two numbers are given THE SYSTEM SHALL add them exactly."] == "c1"
    assert found["IF none is given THEN THE SYSTEM SHALL answer 0."] == "c2"
    assert found["THE SYSTEM SHALL log each sum to a file."] not in {"c1", "c2", "c3", "r1", "r2"}


def test_an_id_swapped_between_two_texts_goes_back() -> None:
    swapped = BASE.replace("id:c1", "id:x").replace("id:c2", "id:c1").replace("id:x", "id:c2")
    assert ids_of(R, keep_ids(R, swapped, BASE)) == ids_of(R, BASE)


def test_ids_nobody_gave_are_not_taken_over() -> None:
    text = keep_ids(T, "- [ ] 1. A <!-- id:evil -->\n", "")
    assert "evil" not in text
    assert len(ids_of(T, text)) == 1


@pytest.mark.parametrize("kind", list(DocumentType))
def test_the_same_text_is_the_same_to_the_byte(kind: DocumentType) -> None:
    before = {R: BASE, D: "# D\n\n## A <!-- id:a -->\nx\n## A <!-- id:b -->\ny\n", T: "- [ ] 1. A <!-- id:t -->\n"}[
        kind
    ]
    assert keep_ids(kind, before, before) == before
    assert keep_ids(kind, strip_ids(before), before) == before
