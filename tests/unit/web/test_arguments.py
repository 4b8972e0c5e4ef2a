"""What a request says, read into what an operation takes: bodies, ids in paths, queries and headers."""

from __future__ import annotations

from uuid import UUID

import pytest

from devstudio_server.kit.errors import Invalid
from devstudio_server.web.arguments import parse_json, path_value, validate
from devstudio_server.web.schemas import ListQuery, Payload


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "empty"),
        (b" \n\t", "empty"),
        (b"{", "line 1, column 2"),
        (b'{"a": 1,\n}', "line 2, column 1"),
        (b"\xff", "UTF-8 (byte 0)"),
        (b'{"a": "\xe9"}', "UTF-8 (byte 7)"),
        (b"[" * 200_000, "nested too deeply"),
        (b"1" * 5000, "not JSON"),
        (b'{"a": NaN}', "NaN"),
        (b"[-Infinity]", "Infinity"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"\\uDC00": 1}', "surrogate"),
        (b"{} {}", "column 4"),
        (b"{'a': 1}", "column 2"),
    ],
)
def test_a_body_that_is_no_json_is_refused_with_the_place(raw: bytes, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_json(raw)
    assert words in refused.value.detail
    assert refused.value.errors[0]["loc"][0] == "body"
    refused.value.detail.encode()


@pytest.mark.parametrize(
    ("raw", "data"),
    [
        (b'{"a": [1, null, true]}', {"a": [1, None, True]}),
        ('"é🙂"'.encode(), "é🙂"),
        (b'"\\ud83d\\ude42 \\\\ud800"', "🙂 \\ud800"),
        (b" 1.5 ", 1.5),
    ],
)
def test_json_is_read(raw: bytes, data: object) -> None:
    assert parse_json(raw) == data


@pytest.mark.parametrize("value", ["", "1", "x", "0199aa00-0000-7000-8000-00000000000g", "../etc", "1" * 33, "é"])
def test_ids_in_paths_are_uuids(value: str) -> None:
    with pytest.raises(Invalid) as refused:
        path_value("project_id", value, UUID)
    assert refused.value.errors[0]["loc"] == ["path", "project_id"]
    assert refused.value.detail.startswith("project_id is not an id")
    assert path_value("name", value, str) == value


class Body(Payload):
    name: str
    count: int = 0


@pytest.mark.parametrize(
    "data", [None, [], "x", {}, {"name": 1}, {"name": "a", "other": 1}, {"name": "a", "count": "x"}, {"name": None}]
)
def test_payloads_of_another_shape_are_refused(data: object) -> None:
    with pytest.raises(Invalid) as refused:
        validate(Body, data, "body")
    assert refused.value.errors


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "201"}, {"limit": "x"}, {"offset": "1"}, {"cursor": "x" * 201}]
)
def test_list_queries_are_bounded(query: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        validate(ListQuery, query, "query")
