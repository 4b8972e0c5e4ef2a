"""Records and plain fields."""

from __future__ import annotations

import pytest

from rfc4180 import CsvError, parse


@pytest.mark.criterion("1.1")
@pytest.mark.parametrize(
    ("text", "records"),
    [
        ("a,b\r\nc,d", [["a", "b"], ["c", "d"]]),
        ("aaa,bbb,ccc\r\nzzz,yyy,xxx", [["aaa", "bbb", "ccc"], ["zzz", "yyy", "xxx"]]),
        ("a", [["a"]]),
        ("a\r\nb,c", [["a"], ["b", "c"]]),
        ("caf\u00e9,\u20ac\r\n\U0001f600,x", [["caf\u00e9", "\u20ac"], ["\U0001f600", "x"]]),
        ("a\u2028b,c\x0bd", [["a\u2028b", "c\x0bd"]]),
    ],
)
def test_records_are_split(text: str, records: list[list[str]]) -> None:
    assert parse(text) == records


@pytest.mark.criterion("1.2")
@pytest.mark.parametrize("text", ["a\r\nb", "a,b\r\nc,d", "x", "a,\r\n,b"])
def test_the_last_line_break_is_optional(text: str) -> None:
    assert parse(text + "\r\n") == parse(text)


@pytest.mark.criterion("1.3")
def test_spaces_belong_to_the_field() -> None:
    assert parse(" a,b , c \r\n ,  ,\td") == [[" a", "b ", " c "], [" ", "  ", "\td"]]


@pytest.mark.criterion("1.4")
@pytest.mark.parametrize(
    ("text", "records"),
    [
        ("a,,c", [["a", "", "c"]]),
        ("a,", [["a", ""]]),
        (",a", [["", "a"]]),
        (",", [["", ""]]),
        ("a,\r\nb,\r\n", [["a", ""], ["b", ""]]),
        ("a\r\n\r\nb", [["a"], [""], ["b"]]),
        ("\r\n", [[""]]),
        ("a\r\n\r\n", [["a"], [""]]),
    ],
)
def test_empty_fields_are_fields(text: str, records: list[list[str]]) -> None:
    assert parse(text) == records


@pytest.mark.criterion("1.5")
@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\n", "a\r", "\n", "a\r\r\nb", "a\n\r\nb", "a,b\r\nc\nd,e\r\n"])
def test_other_line_breaks_are_refused(text: str) -> None:
    with pytest.raises(CsvError):
        parse(text)


@pytest.mark.criterion("1.6")
def test_an_empty_text_has_no_records() -> None:
    assert parse("") == []
