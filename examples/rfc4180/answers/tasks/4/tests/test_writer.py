"""Writing records, and reading them back."""

from __future__ import annotations

from itertools import product

import pytest

from rfc4180 import parse, write


@pytest.mark.criterion("4.1")
@pytest.mark.parametrize(
    ("field", "written"),
    [
        ("a,b", '"a,b"'),
        ('a"b', '"a""b"'),
        ('"', '""""'),
        ("a\r\nb", '"a\r\nb"'),
        ("\r", '"\r"'),
        ("\n", '"\n"'),
        ('","', '""","""'),
    ],
)
def test_special_fields_are_quoted(field: str, written: str) -> None:
    assert write([[field]]) == written + "\r\n"


@pytest.mark.criterion("4.2")
@pytest.mark.parametrize("field", ["", "a", " a ", "caf\u00e9", "1;2", "it's", "\t"])
def test_other_fields_are_written_as_they_are(field: str) -> None:
    assert write([[field, field]]) == f"{field},{field}\r\n"


@pytest.mark.criterion("4.3")
@pytest.mark.parametrize(
    ("records", "text"),
    [
        ([["a", "b"], ["c", "d"]], "a,b\r\nc,d\r\n"),
        ([["", ""], ["", ""]], ",\r\n,\r\n"),
        ([["a"]], "a\r\n"),
        ([], ""),
    ],
)
def test_commas_and_line_breaks(records: list[list[str]], text: str) -> None:
    assert write(records) == text


@pytest.mark.criterion("4.4")
def test_every_small_table_survives() -> None:
    fields = ["".join(characters) for length in range(3) for characters in product('a," \r\n', repeat=length)]
    for left, right in product(fields, repeat=2):
        for records in ([[left, right]], [[left], [right]]):
            assert parse(write(records)) == records


@pytest.mark.criterion("4.4")
def test_no_records_survive_too() -> None:
    assert parse(write([])) == []


@pytest.mark.criterion("4.5")
@pytest.mark.parametrize("records", [[["a", "b"], ["c"]], [["a"], ["b", "c"]], [[]], [["a"], []], [[], []]])
def test_uneven_records_are_not_written(records: list[list[str]]) -> None:
    with pytest.raises(ValueError, match="fields"):
        write(records)
