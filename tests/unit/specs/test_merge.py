"""Three-way merge: both changes or none."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devstudio_server.specs.merge import merge

LINES = st.lists(st.sampled_from(["a", "b", "c", "d\r", ""]), max_size=6).map("\n".join)


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "merged"),
    [
        ("a\nb\nc\n", "A\nb\nc\n", "a\nb\nC\n", "A\nb\nC\n"),
        ("a\n", "a\nb\n", "a\n", "a\nb\n"),
        ("a\n", "a\n", "b\n", "b\n"),
        ("a\n", "b\n", "b\n", "b\n"),
        ("a\n", "b\n", "c\n", None),
        ("", "x", "y", None),
        ("a\nb\nc\nd\n", "a\nc\nd\n", "a\nb\nc\nd\ne\n", "a\nc\nd\ne\n"),
        ("a\r\nb\r\nc", "A\r\nb\r\nc", "a\r\nb\r\nC", "A\r\nb\r\nC"),
    ],
)
def test_merge(base: str, ours: str, theirs: str, merged: str | None) -> None:
    assert merge(base, ours, theirs) == merged
    assert merge(base, theirs, ours) == merged


@settings(max_examples=200, deadline=None)
@given(base=LINES, ours=LINES, theirs=LINES)
def test_an_unchanged_side_never_wins_over_a_change(base: str, ours: str, theirs: str) -> None:
    assert merge(base, ours, base) == ours
    assert merge(base, base, theirs) == theirs
    assert merge(base, ours, ours) == ours
    assert merge(base, ours, theirs) == merge(base, theirs, ours)
