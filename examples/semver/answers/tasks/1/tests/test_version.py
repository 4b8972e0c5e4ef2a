"""Reading versions, and refusing what is none."""

from __future__ import annotations

import pytest

from semver import InvalidVersion, Version, parse

# Versions look like criteria: without `ids=repr`, a test named "…[1.2]" would claim to prove criterion 1.2.


@pytest.mark.criterion("1.1")
@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1.10.3", (1, 10, 3)),
        ("0.0.0", (0, 0, 0)),
        ("99999999999999999999.2.18446744073709551616", (99999999999999999999, 2, 18446744073709551616)),
    ],
)
def test_numbers_are_read(text: str, numbers: tuple[int, int, int]) -> None:
    assert parse(text) == Version(*numbers)


@pytest.mark.criterion("1.2")
@pytest.mark.parametrize(
    ("text", "identifiers"),
    [
        ("1.0.0-alpha", ("alpha",)),
        ("1.0.0-alpha.1", ("alpha", "1")),
        ("1.0.0-x-y.-", ("x-y", "-")),
        ("1.0.0-0.3.7", ("0", "3", "7")),
        ("1.0.0--1", ("-1",)),
    ],
)
def test_prerelease_is_read(text: str, identifiers: tuple[str, ...]) -> None:
    assert parse(text) == Version(1, 0, 0, prerelease=identifiers)


@pytest.mark.criterion("1.3")
@pytest.mark.parametrize(
    ("text", "prerelease", "build"),
    [
        ("1.0.0+20130313144700", (), ("20130313144700",)),
        ("1.0.0-beta+exp.007.a-b", ("beta",), ("exp", "007", "a-b")),
        ("1.0.0+21AF26D3---117B344092BD", (), ("21AF26D3---117B344092BD",)),
    ],
)
def test_build_metadata_is_read(text: str, prerelease: tuple[str, ...], build: tuple[str, ...]) -> None:
    assert parse(text) == Version(1, 0, 0, prerelease=prerelease, build=build)


@pytest.mark.criterion("1.4")
@pytest.mark.parametrize(
    "text", ["1.10.3", "1.0.0-alpha.1", "1.0.0+007", "1.0.0-x-y.-+exp.a-b.00", "0.0.0--+-"], ids=repr
)
def test_text_is_kept(text: str) -> None:
    assert str(parse(text)) == text


@pytest.mark.criterion("2.1")
@pytest.mark.parametrize(
    "text",
    ["", "1", "1.2", "1..3", ".1.2", "1.2.", "1.2-rc.1", "1.2+3.4", "1.2.3.4", "-1.0.0", "+1.0.0"],
    ids=repr,
)
def test_three_numbers_are_needed(text: str) -> None:
    with pytest.raises(InvalidVersion):
        parse(text)


@pytest.mark.criterion("2.2")
@pytest.mark.parametrize(
    "text", ["01.0.0", "1.01.0", "1.0.00", "1.0.0-01", "1.0.0-alpha.00", "1.0.0-alpha.010.b"], ids=repr
)
def test_leading_zeros_are_refused(text: str) -> None:
    with pytest.raises(InvalidVersion):
        parse(text)


@pytest.mark.criterion("2.2")
@pytest.mark.parametrize("text", ["0.0.0", "1.0.0-0", "1.0.0-0a", "1.0.0-00-", "10.20.30-100", "1.0.0+01"], ids=repr)
def test_other_zeros_are_not_refused(text: str) -> None:
    assert str(parse(text)) == text


@pytest.mark.criterion("2.3")
@pytest.mark.parametrize(
    "text", ["1.0.0-", "1.0.0-a..b", "1.0.0-a.", "1.0.0-.a", "1.0.0+", "1.0.0+a..b", "1.0.0+a.", "1.0.0-+b"]
)
def test_empty_identifiers_are_refused(text: str) -> None:
    with pytest.raises(InvalidVersion):
        parse(text)


@pytest.mark.criterion("2.4")
@pytest.mark.parametrize(
    "text",
    [
        "v1.0.0",
        " 1.0.0",
        "1.0.0 ",
        "1.0.0\n",
        "1.0.0-a\n",
        "1.0.0+a\n",
        "1.0.-1",
        "1.0.0-a_b",
        "1.0.0+a+b",
        "1.0.0-\u00e9",
        "1.0.0+\u00e9",
        "\uff11.0.0",
        "\u0661.0.0",
        "1,0,0.0.0",
        "1_0.0.0",
    ],
)
def test_other_characters_are_refused(text: str) -> None:
    with pytest.raises(InvalidVersion):
        parse(text)


@pytest.mark.criterion("2.5")
def test_the_longest_text() -> None:
    longest = "1.0.0-" + "a" * 249
    assert str(parse(longest)) == longest
    for longer in (longest + "a", "1.0.0-" + "1" * 10_000):
        with pytest.raises(InvalidVersion):
            parse(longer)


@pytest.mark.criterion("2.6")
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1.2", "three numbers"),
        ("1.02.0", "'02' starts with a zero"),
        ("1.0.0-01", "'01' starts with a zero"),
        ("1.0.0-a..b", "identifier of the pre-release is empty"),
        ("1.0.0+", "identifier of the build metadata is empty"),
        ("v1.0.0", "'v1' is not a number"),
        ("1.0.0-a_b", "pre-release may hold"),
    ],
)
def test_the_error_says_why(text: str, reason: str) -> None:
    with pytest.raises(InvalidVersion) as caught:
        parse(text)
    assert reason in str(caught.value)
    assert repr(text) in str(caught.value)


@pytest.mark.criterion("2.6")
def test_the_error_quotes_only_the_start_of_a_long_text() -> None:
    with pytest.raises(InvalidVersion) as caught:
        parse("1.0.0-" + "a" * 34 + "b" * 1_000)
    assert "longer than 255" in str(caught.value)
    assert "1.0.0-" + "a" * 34 in str(caught.value)
    assert "b" not in str(caught.value).rpartition(":")[2]
