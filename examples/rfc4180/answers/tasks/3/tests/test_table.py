"""Tables, and where an error is reported."""

from __future__ import annotations

import pytest

from rfc4180 import CsvError, Table, parse, read_table


@pytest.mark.criterion("3.1")
@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("name,age\r\nAda,36\r\nAlan,41\r\n", Table(["name", "age"], [["Ada", "36"], ["Alan", "41"]])),
        ('"first\r\nname",age', Table(["first\r\nname", "age"], [])),
    ],
)
def test_the_header_is_apart(text: str, table: Table) -> None:
    assert read_table(text, header=True) == table


@pytest.mark.criterion("3.2")
@pytest.mark.parametrize(
    ("text", "table"),
    [("name,age\r\nAda,36\r\n", Table(None, [["name", "age"], ["Ada", "36"]])), ("", Table(None, []))],
)
def test_without_a_header_all_records_count(text: str, table: Table) -> None:
    assert read_table(text, header=False) == table


@pytest.mark.criterion("3.3")
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize(
    ("text", "expected", "found"),
    [("a,b\r\nc", 2, 1), ("a,b\r\nc,d,", 2, 3), ("a,b\r\nc,d\r\n\r\n", 2, 1), ('a\r\nb\r\n"c",d', 1, 2)],
)
def test_uneven_records_are_refused(text: str, expected: int, found: int, header: bool) -> None:
    with pytest.raises(CsvError) as caught:
        read_table(text, header=header)
    assert f"first record has {expected} fields" in str(caught.value)
    assert f"this one has {found}" in str(caught.value)


@pytest.mark.criterion("3.3")
def test_records_of_one_length_are_accepted() -> None:
    assert len(read_table("a,b\r\n,\r\nc,d", header=True).records) == 2


@pytest.mark.criterion("3.4")
@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a\nb", 1, 2),
        ("a,b\r\ncd\re,f", 2, 3),
        ('a,b"', 1, 4),
        ('a,b\r\nc, "d"', 2, 4),
        ('"a"b', 1, 4),
        ('"1\r\n2\r\n3"x', 3, 3),
        ('"1\n2\r3",x\r\n"y" ', 4, 4),
        ('a\r\nb,"c\r\nd', 2, 3),
        ('"', 1, 1),
    ],
)
def test_the_place_of_an_error(text: str, line: int, column: int) -> None:
    with pytest.raises(CsvError) as caught:
        parse(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert f"line {line}, column {column}" in str(caught.value)


@pytest.mark.criterion("3.4")
@pytest.mark.parametrize(
    ("text", "line"), [("a,b\r\nc,d\r\ne", 3), ('"a\r\nb",c\r\n"d\ne",f\r\ng', 5), ("a,b\r\n\r\nc,d", 2)]
)
def test_an_uneven_record_is_reported_where_it_starts(text: str, line: int) -> None:
    with pytest.raises(CsvError) as caught:
        read_table(text, header=False)
    assert (caught.value.line, caught.value.column) == (line, 1)


@pytest.mark.criterion("3.5")
def test_a_promised_header_must_be_there() -> None:
    with pytest.raises(CsvError, match="header"):
        read_table("", header=True)
