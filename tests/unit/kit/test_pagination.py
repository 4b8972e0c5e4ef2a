"""Cursors: opaque, exact, and nothing else is taken for one."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstudio_server.kit.errors import Invalid
from devstudio_server.kit.ids import new_id
from devstudio_server.kit.pagination import decode_cursor, encode_cursor, page_of
from devstudio_server.web.schemas import ListQuery


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@given(st.uuids())
def test_a_cursor_comes_back(value: object) -> None:
    cursor = encode_cursor(value)  # type: ignore[arg-type]
    assert decode_cursor(cursor) == value
    assert cursor.isascii()
    assert "=" not in cursor


BAD = [
    "", "x", "é", "====", "%00", "\x00", "a" * 200, encoded("1"), encoded("null"), encoded("[]"), encoded("[1]"),
    encoded("[null]"), encoded('["x"]'), encoded('["a","b"]'), encoded("{}"), encoded('""'), encoded("[[1]]"),
    encoded("[" * 140), str(new_id()), encoded('[{"a":1}]'), encoded("\ufeff[]"), "!!!!",
]  # fmt: skip


@pytest.mark.parametrize("cursor", BAD)
def test_anything_else_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid) as refused:
        decode_cursor(cursor)
    assert refused.value.errors[0]["loc"] == ["query", "cursor"]
    assert "without `cursor`" in refused.value.detail


@given(st.text(max_size=40))
def test_random_text_is_refused_or_a_cursor(cursor: str) -> None:
    try:
        value = decode_cursor(cursor)
    except Invalid:
        return
    assert decode_cursor(encode_cursor(value)) == value


def test_a_query_without_a_cursor_starts_at_the_top() -> None:
    assert ListQuery().page().after is None
    last = new_id()
    assert ListQuery(cursor=encode_cursor(last), limit=3).page().after == last


@pytest.mark.parametrize(("rows", "items", "more"), [(0, 0, False), (1, 1, False), (2, 2, False), (3, 2, True)])
def test_a_page_has_a_cursor_only_when_there_is_more(rows: int, items: int, *, more: bool) -> None:
    ids = [new_id() for _ in range(rows)]
    page = page_of(ids, 2, lambda value: value)
    assert page.items == ids[:items]
    assert (page.next_cursor is not None) == more
    if page.next_cursor is not None:
        assert decode_cursor(page.next_cursor) == ids[1]
