"""Which of two versions comes first."""

from __future__ import annotations

from itertools import combinations

import pytest

from semver import compare, parse


def assert_before(lower: str, higher: str) -> None:
    """Check both directions."""
    assert compare(parse(lower), parse(higher)) == -1
    assert compare(parse(higher), parse(lower)) == 1


@pytest.mark.criterion("3.1")
@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("1.0.0", "2.0.0"),
        ("2.0.0", "2.1.0"),
        ("2.1.0", "2.1.1"),
        ("1.9.0", "1.10.0"),
        ("1.1.9", "1.2.0"),
        ("1.99.99", "2.0.0"),
        ("9.0.0", "10.0.0"),
        ("1.0.9", "1.0.10"),
        ("1.0.0", "1.0.1-alpha"),
        ("1.0.0+z", "1.0.1+a"),
    ],
)
def test_numbers_decide_first(lower: str, higher: str) -> None:
    assert_before(lower, higher)


@pytest.mark.criterion("3.2")
@pytest.mark.parametrize(
    ("lower", "higher"), [("1.0.0-rc.1", "1.0.0"), ("1.0.0-zzz", "1.0.0"), ("1.0.0-999", "1.0.0+0")]
)
def test_a_prerelease_comes_before_its_release(lower: str, higher: str) -> None:
    assert_before(lower, higher)


@pytest.mark.criterion("3.3")
@pytest.mark.parametrize(
    ("lower", "higher"), [("1.0.0-beta.2", "1.0.0-beta.11"), ("1.0.0-9", "1.0.0-10"), ("1.0.0-1.9.z", "1.0.0-1.10.a")]
)
def test_digits_are_compared_as_numbers(lower: str, higher: str) -> None:
    assert_before(lower, higher)


@pytest.mark.criterion("3.4")
@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("1.0.0-alpha", "1.0.0-beta"),
        ("1.0.0-RC", "1.0.0-alpha"),
        ("1.0.0-rc10", "1.0.0-rc2"),
        ("1.0.0--", "1.0.0-A"),
        ("1.0.0-a-b", "1.0.0-a0"),
        ("1.0.0-a", "1.0.0-aa"),
    ],
)
def test_other_identifiers_are_compared_in_ascii_order(lower: str, higher: str) -> None:
    assert_before(lower, higher)


@pytest.mark.criterion("3.5")
@pytest.mark.parametrize(
    ("lower", "higher"), [("1.0.0-alpha.999", "1.0.0-alpha.beta"), ("1.0.0-1", "1.0.0--"), ("1.0.0-9", "1.0.0-1a")]
)
def test_digits_come_before_other_identifiers(lower: str, higher: str) -> None:
    assert_before(lower, higher)


@pytest.mark.criterion("3.6")
@pytest.mark.parametrize(
    ("lower", "higher"), [("1.0.0-alpha", "1.0.0-alpha.1"), ("1.0.0-0", "1.0.0-0.0"), ("1.0.0-a.b", "1.0.0-a.b.-")]
)
def test_more_identifiers_come_later(lower: str, higher: str) -> None:
    assert_before(lower, higher)


@pytest.mark.criterion("3.6")
def test_the_chain_of_section_11() -> None:
    tails = ["-alpha", "-alpha.1", "-alpha.beta", "-beta", "-beta.2", "-beta.11", "-rc.1", ""]
    for lower, higher in combinations(tails, 2):
        assert_before("1.0.0" + lower, "1.0.0" + higher)


@pytest.mark.criterion("4.1")
@pytest.mark.parametrize(
    ("left", "right"),
    [("1.0.0+1", "1.0.0+2"), ("1.0.0", "1.0.0+1"), ("1.0.0-rc.1+z", "1.0.0-rc.1+a.b"), ("1.0.0-a", "1.0.0-a")],
)
def test_build_metadata_does_not_count(left: str, right: str) -> None:
    assert compare(parse(left), parse(right)) == 0
    assert compare(parse(right), parse(left)) == 0
