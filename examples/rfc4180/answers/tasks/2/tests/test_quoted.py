"""Quoted fields."""

from __future__ import annotations

import pytest

from rfc4180 import CsvError, parse


@pytest.mark.criterion("2.1")
@pytest.mark.parametrize(
    ("text", "records"),
    [
        ('"a",""', [["a", ""]]),
        ('"aaa","bbb","ccc"\r\nzzz,yyy,xxx', [["aaa", "bbb", "ccc"], ["zzz", "yyy", "xxx"]]),
        ('a,"b"\r\n"c",d\r\n', [["a", "b"], ["c", "d"]]),
        ('" a "', [[" a "]]),
        ('""\r\n""', [[""], [""]]),
    ],
)
def test_enclosing_quotes_are_removed(text: str, records: list[list[str]]) -> None:
    assert parse(text) == records


@pytest.mark.criterion("2.2")
@pytest.mark.parametrize(
    ("text", "records"),
    [
        ('"a,b\r\nc",d', [["a,b\r\nc", "d"]]),
        ('"aaa","b\r\nbb","ccc"\r\nzzz,yyy,xxx', [["aaa", "b\r\nbb", "ccc"], ["zzz", "yyy", "xxx"]]),
        ('"\n","\r",","', [["\n", "\r", ","]]),
        ('"\r\n"\r\n"\r\n"\r\n', [["\r\n"], ["\r\n"]]),
    ],
)
def test_commas_and_line_breaks_are_content(text: str, records: list[list[str]]) -> None:
    assert parse(text) == records


@pytest.mark.criterion("2.3")
@pytest.mark.parametrize(
    ("text", "field"), [('"a""b"', 'a"b'), ('""""', '"'), ('""""""', '""'), ('"""a"""', '"a"'), ('""","""', '","')]
)
def test_two_quotes_are_one(text: str, field: str) -> None:
    assert parse(text) == [[field]]
    assert parse(f"x,{text}\r\n{text},y") == [["x", field], [field, "y"]]


@pytest.mark.criterion("2.4")
@pytest.mark.parametrize("text", ['a"b', ' "a"', 'a"', 'a,b"c",d', 'a\r\nb"', 'a""b'])
def test_a_quote_in_a_plain_field_is_refused(text: str) -> None:
    with pytest.raises(CsvError, match="does not start with one"):
        parse(text)


@pytest.mark.criterion("2.5")
@pytest.mark.parametrize("text", ['"a"b', '"a" ,b', '"a" "b"', '""a', '"a"b"', '"a""" '])
def test_text_after_a_closing_quote_is_refused(text: str) -> None:
    with pytest.raises(CsvError, match="follow a closing quote"):
        parse(text)


@pytest.mark.criterion("2.5")
@pytest.mark.parametrize("text", ['"a"\n', '"a"\r', '"a"\nb', '"a"\rb'])
def test_a_stray_line_break_after_a_closing_quote_is_refused(text: str) -> None:
    with pytest.raises(CsvError):
        parse(text)


@pytest.mark.criterion("2.6")
@pytest.mark.parametrize("text", ['"a', '"a""', 'a,"', '"', '"""', '"a\r\nb,c\r\n', '"a","b\r\n'])
def test_an_unclosed_field_is_refused(text: str) -> None:
    with pytest.raises(CsvError, match="never closed"):
        parse(text)
