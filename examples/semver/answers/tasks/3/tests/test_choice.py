"""Sorting versions and choosing the highest."""

from __future__ import annotations

from itertools import permutations

import pytest

from semver import Version, highest, parse, sort_versions


def versions(*texts: str) -> list[Version]:
    """Read several versions."""
    return [parse(text) for text in texts]


@pytest.mark.criterion("4.2")
def test_the_lowest_comes_first() -> None:
    expected = versions("0.9.0", "1.0.0-alpha", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0")
    for order in permutations(expected):
        assert sort_versions(order) == expected


@pytest.mark.criterion("4.2")
def test_equals_keep_their_order() -> None:
    given = versions("1.0.0+b", "2.0.0", "1.0.0", "1.0.0+a", "0.1.0")
    assert sort_versions(given) == versions("0.1.0", "1.0.0+b", "1.0.0", "1.0.0+a", "2.0.0")


@pytest.mark.criterion("4.3")
def test_the_highest_is_found() -> None:
    assert highest(versions("1.9.0", "1.10.0", "1.10.0-rc.1", "1.2.0")) == parse("1.10.0")
    assert highest(versions("1.0.0", "2.0.0-rc.1")) == parse("2.0.0-rc.1")


@pytest.mark.criterion("4.3")
def test_the_first_of_equals_is_chosen() -> None:
    assert highest(versions("0.1.0", "1.0.0+b", "1.0.0+a", "1.0.0")) == parse("1.0.0+b")


@pytest.mark.criterion("4.4")
def test_prereleases_can_be_excluded() -> None:
    given = versions("1.0.0", "2.0.0-rc.1", "0.9.0")
    assert highest(given, include_prereleases=False) == parse("1.0.0")


@pytest.mark.criterion("4.5")
def test_nothing_to_choose_from() -> None:
    assert highest([]) is None
    assert highest(versions("2.0.0-rc.1", "1.0.0-alpha"), include_prereleases=False) is None
