"""Text that is sent more than once is found, and nothing else."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from devstudio_server.planning.context.duplicates import Duplicate, find_duplicates

LINES = [f"This is sentence number {number} of a long text." for number in range(20)]
TEXT = "\n".join(LINES)


def test_the_same_text_in_two_places() -> None:
    found = find_duplicates({"design": TEXT, "tasks": f"  {TEXT}\n\n", "other": "Something else that is long enough."})
    assert [(one.kind, one.names, one.lines) for one in found] == [("same", ("design", "tasks"), 20)]
    assert found[0].tokens == sum(-(-len(line) // 4) for line in LINES)


def test_nearly_the_same_text() -> None:
    changed = "\n".join([*LINES[:15], "A line that is only here, and long enough."])
    found = find_duplicates({"a": TEXT, "b": changed})
    assert [(one.kind, one.names, one.lines) for one in found] == [("near", ("a", "b"), 15)]
    assert (
        find_duplicates({"a": TEXT, "b": "\n".join([*LINES[:5], *(f"Only here, and long: {n}" for n in range(9))])})
        == []
    )


def test_lines_repeated_within_a_text() -> None:
    found = find_duplicates({"a": "\n".join([*LINES[:4], *LINES[:4], "short", "short", "short", "short"])})
    assert found == [Duplicate("repeated", ("a",), 4, sum(-(-len(line) // 4) for line in LINES[:4]))]


def test_megabytes_and_many_texts_are_bounded() -> None:
    long = "\n".join(f"A line with the number {number} in it" for number in range(200_000))
    found = find_duplicates({f"text {number}": long for number in range(100)})
    assert [(one.kind, len(one.names), one.lines) for one in found] == [("same", 60, 5000)]


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=5), st.lists(st.sampled_from(LINES), max_size=12), max_size=5))
def test_what_is_found_is_there(lines: dict[str, list[str]]) -> None:
    for one in find_duplicates({name: "\n".join(of) for name, of in lines.items()}):
        sets = [set(lines[name]) for name in one.names]
        if one.kind == "same":
            assert sets[0] == sets[1]
        elif one.kind == "near":
            assert len(sets[0] & sets[1]) == one.lines >= 3
        else:
            assert len(lines[one.names[0]]) - len(sets[0]) == one.lines
