"""Marks of restricted parts: what they hold for, cutting out and putting back, and that odd places restrict more."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devstudio_server.kit.restricted import cut, is_all_restricted, mark, put_back, restricted_parts, unmark

CANARY = "CANARY-7c1f"
M = "<!-- restricted -->"

# The text, and what of it may be seen; `S` is where the canary stands.
HIDDEN = {
    "heading": (f"# T\n## A {M}\nS\n### B\nS\n## C\nseen", "seen"),
    "heading under a line": (f"A {M}\n===\nS\n\nS\n# C\nseen", "seen"),
    "title": (f"# T {M}\n## A\nS\n## B\nS", ""),
    "requirement": (
        f"### Requirement 2: S {M} <!-- id:a -->\n#### Acceptance Criteria\n1. S\n### Requirement 3: seen",
        "seen",
    ),
    "mark behind the id": (f"### Requirement 2: S <!-- id:a --> {M}\n1. S\n### Requirement 3: seen", "seen"),
    "criteria as high as the requirement": (f"### Requirement 2: S {M}\n### Acceptance Criteria\n1. S\n# seen", "seen"),
    "criteria in Portuguese": (f"### Requisito 2: S {M}\n### Critérios de Aceitação\n1. S\n# seen", "seen"),
    "criterion": (f"1. seen\n2. S {M}\n   S\n\n   S\n- S\n3. seen", "seen"),
    "task": (f"- [ ] 1. seen\n- [ ] 2. S {M}\n  - S\n- [ ] 2.1 S\n- [ ] 3. seen", "seen"),
    "item's second line": (f"- seen\n- S\n  S {M}\n- seen", "seen"),
    "item's second paragraph": (f"- S\n\n  S {M}\n\n- seen", "seen"),
    "paragraph": (f"seen\n\nS {M}\nS\n\nseen", "seen"),
    "paragraph's last line": (f"seen\n\nS\nS {M}\n\nseen", "seen"),
    "table": (f"| S | S {M} |\n|---|---|\n| S | S |\n\nseen", "seen"),
    "fence's first line": (f"seen\n\n```python {M}\nS\n\n# S\nS\n```\nseen", "seen"),
    "inside a fence": (f"seen\n\n```\nS\n\nS {M}\n# S\n```\nseen", "seen"),
    "open fence": (f"```\nS\n{M}\n# S\n\nS", ""),
    "alone above a block": (f"seen\n\n{M}\n\nS\nS\n\nseen", "seen"),
    "alone above a heading": (f"seen\n\n{M}\n## S\nS\n\nS\n## seen", "seen"),
    "alone twice": (f"seen\nS {M}\n{M}\n## S\nS\n## seen", "## seen"),
    "alone as the first line": (f"\n{M}\n# S\nS\n# S", ""),
    "list and rule in a section": (f"# T\n## A {M}\n- S\n---\nS\n## seen", "seen"),
    "heading in a fence": (f"## A {M}\n```\n# not a heading\n```\nS\n## seen", "seen"),
    "other writings": ("S <!--Restricted-->\n\nS <!--  restricted: prices -->\n\nS <!-- restrito -->\n\nseen", "seen"),
    "never closed": ("S <!-- restricted\nS\n\nseen", "seen"),
    "Windows lines": (f"seen\r\n\r\nS {M}\r\nS\r\n\r\nseen", "seen"),
    "two marks on the way": ("S <!-- restricted --> S <!-- restricted -->\n\nseen", "seen"),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_what_is_below_a_mark_is_cut_out(name: str) -> None:
    template, seen = HIDDEN[name]
    text = template.replace("S", CANARY)
    result = cut(text)
    assert CANARY not in result.text
    assert seen in result.text
    assert put_back(result, result.text) == text


def test_numbers_and_ids_of_what_is_left_stay() -> None:
    text = f"#### Acceptance Criteria\n1. A\n2. B {M} <!-- id:b -->\n3. C\n- [ ]* 4. D {M}\n### Requirement 5: E {M}"
    lines = cut(text).text.split("\n")
    assert lines[1] == "1. A"
    assert lines[2].startswith("2. [restricted part 1-")
    assert lines[2].endswith("not shown] <!-- id:b -->")
    assert lines[3] == "3. C"
    assert lines[4].startswith("- [ ]* 4. [restricted part")
    assert lines[5].startswith("### Requirement 5: [restricted part")


def test_a_text_without_marks_is_left_alone() -> None:
    text = "# A\n\nrestricted access <!-- id:x -->\n<!-- unrestricted -->"
    assert cut(text).text == text
    assert cut(text).parts == ()


def test_puts_parts_back_into_a_changed_text() -> None:
    before = cut(f"# T\n\nfirst {M}\n\nseen\n\nsecond {M}")
    one, two = before.stubs
    after = put_back(before, f"# T\n\nnew\n\n{two}\n\n- {two}\n\nalso new")
    assert after == f"# T\n\nnew\n\nsecond {M}\n\n\nalso new\n\nfirst {M}"
    assert one not in after


@pytest.mark.parametrize(
    "text", ["A\nb", "## A\n\nb\n\n### C\nd", "a\n\nb\n\n# C", "- a\n- b\n\nc", "```\na\n```\nb", "1. a\n2. b"]
)
def test_marks_all_of_a_text_and_takes_the_marks_off(text: str) -> None:
    marked = mark(text)
    assert is_all_restricted(marked)
    assert not is_all_restricted(text)
    assert mark(marked) == marked
    assert unmark(marked) == text


def test_the_mark_stands_before_the_id() -> None:
    assert mark("## A <!-- id:x -->") == f"## A {M} <!-- id:x -->"


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "# h",
                "## h",
                "### Requirement 1: r",
                "t",
                "  t",
                "",
                "- i",
                "  - i",
                "1. n",
                "---",
                "===",
                "```",
                "> q",
                f"t {M}",
                f"# h {M}",
                f"- i {M}",
                f"  t {M}",
                M,
                f"``` {M}",
            ]
        ),
        max_size=14,
    )
)
def test_every_marked_line_is_inside_a_part(lines: list[str]) -> None:
    text = "\n".join(lines)
    result = cut(text)
    assert "<!-- restricted" not in result.text
    assert put_back(result, result.text) == text
    covered = {at for part in restricted_parts(text) for at in range(part.start, part.end)}
    assert all(at in covered for at, line in enumerate(lines) if M in line)
    assert is_all_restricted(mark(text)) or not text.strip()
