"""Key-value entries over HTTP: keys and values are data, versions are kept, and what has expired is missing."""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest

from devstudio_server.kit.ids import new_id
from support.studio import Api

KEYS = [
    "simple",
    "a/b/c",
    "../../etc/passwd",
    "100%",
    "a%2Fb",
    "%25",
    "ünï ¢ode ✓ 名前",
    "'; DROP TABLE ds_kv; --",
    "<script>alert(1)</script>",
    "...",
    "?x=1#y",
    "with space",
    "a\nb\tc",
    "x" * 200,
]


def at(key: str, scope: str = "global") -> str:
    return f"kv/{quote(scope, safe=':')}/{quote(key, safe='')}"


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_any_text(api: Api, key: str) -> None:
    scope = f"session:{new_id()}"
    made = api.put(at(key, scope), {"value_json": {"for": key}})
    body = made.expect(200)
    assert (body["scope"], body["key"], body["value_json"], body["version"]) == (scope, key, {"for": key}, 1)
    assert made.headers["etag"] == '"1"'
    assert api.get(at(key, scope)).expect(200) == body
    assert [item["key"] for item in api.get(f"kv/{scope}").expect(200)["items"]] == [key]
    assert api.delete(at(key, scope), version=1).status == 204
    api.get(at(key, scope)).problem(404)


@pytest.mark.parametrize(
    "value", [None, True, 0, -1.5, "", "text", [], {}, [1, [None, {"a": "ü"}]], {"": {"": 0}}, 2**53]
)
def test_a_value_is_any_json(api: Api, value: Any) -> None:
    path = at(str(new_id()))
    assert api.put(path, {"value_json": value}).expect(200)["value_json"] == value
    assert api.get(path).expect(200)["value_json"] == value


@pytest.mark.parametrize(
    "scope", ["", "Global", "user", "project:", "project:1", f"task:{UUID(int=1)}", "project:" + "-" * 36, "x" * 300]
)
def test_a_scope_has_one_of_three_forms(api: Api, scope: str) -> None:
    assert api.get(at("k", scope)).status in {404, 422}
    assert api.put(at("k", scope), {"value_json": 1}).status in {404, 405, 422}


def test_scopes_are_apart_and_an_id_has_one_spelling(api: Api) -> None:
    number = UUID("0199AA00-0000-7000-8000-00000000ABCD")
    key = str(new_id())
    for scope in ("global", f"project:{number}", f"session:{number}"):
        api.put(at(key, scope), {"value_json": scope}).expect(200)
    for scope in ("global", f"project:{number}", f"session:{number}"):
        assert api.get(at(key, scope)).expect(200)["value_json"] == scope
    loud = f"project:{str(number).upper()}"
    assert api.get(at(key, loud)).expect(200)["scope"] == f"project:{number}"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"value": 1},
        {"value_json": "x" * 65_535},
        {"value_json": {"deep": ["ü" * 40_000]}},
        {"value_json": "a\0b"},
        {"value_json": {"a\0": 1}},
        {"value_json": 1, "ttl_s": 0},
        {"value_json": 1, "ttl_s": 10**12},
        {"value_json": 1, "ttl_s": 5, "expires_at": "2999-01-01T00:00:00Z"},
        {"value_json": 1, "expires_at": "2001-01-01T00:00:00Z"},
        {"value_json": 1, "expires_at": "2999-01-01T00:00:00"},
        {"value_json": 1, "expires_at": "soon"},
    ],
)
def test_what_is_no_entry_is_refused(api: Api, body: dict[str, Any]) -> None:
    key = str(new_id())
    api.put(at(key), body).problem(422)
    api.get(at(key)).problem(404)


@pytest.mark.parametrize("raw", [b'{"value_json": 1e400}', b'{"value_json": NaN}', b'{"value_json": "\\ud800"}', b"["])
def test_what_is_no_json_is_refused(api: Api, raw: bytes) -> None:
    api.send("PUT", at("raw"), content=raw, headers={"Content-Type": "application/json"}).problem(422)


def test_keys_that_cannot_be_are_refused(api: Api) -> None:
    for key in ("a%00b", quote("x" * 201), "%FF", "%2E%2E", "%2E"):
        api.put(f"kv/global/{key}", {"value_json": 1}).problem(422)


def test_versions_guard_an_entry_from_its_first_on(api: Api) -> None:
    path = at(str(new_id()))
    api.put(path, {"value_json": 1}, version=3).problem(412)
    assert api.put(path, {"value_json": 1}, version=0).expect(200)["version"] == 1
    assert api.put(path, {"value_json": 2}, version=0).problem(412)["current_version"] == 1
    assert api.put(path, {"value_json": 2}, version=1).expect(200)["version"] == 2
    assert api.put(path, {"value_json": 2}, version=2).expect(200)["version"] == 2
    api.delete(path, version=1).problem(412)
    assert api.get(path).expect(200)["value_json"] == 2


def test_one_of_many_creates_it(api: Api) -> None:
    path = at(str(new_id()))
    statuses: list[int] = []

    def claim(number: int) -> None:
        with Api(api.url) as own:
            statuses.append(own.put(path, {"value_json": number}, version=0).status)

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(statuses) == [200] + [412] * 7


def test_lists_page_and_filter_by_the_start_of_the_key(api: Api) -> None:
    scope = f"project:{new_id()}"
    for key in ("a.1", "a.2", "A.3", "b.1", "a%"):
        api.put(at(key, scope), {"value_json": "v"}).expect(200)
    page = api.get(f"kv/{scope}", limit=2).expect(200)
    assert [item["key"] for item in page["items"]] == ["a%", "b.1"]
    assert all("value_json" not in item for item in page["items"])
    rest = api.get(f"kv/{scope}", limit=9, cursor=page["next_cursor"]).expect(200)
    assert [item["key"] for item in rest["items"]] == ["A.3", "a.2", "a.1"]
    assert [i["key"] for i in api.get(f"kv/{scope}", prefix="a.").expect(200)["items"]] == ["a.2", "a.1"]
    assert [i["key"] for i in api.get(f"kv/{scope}", prefix="a%").expect(200)["items"]] == ["a%"]


def test_a_change_is_told_without_the_value(api: Api) -> None:
    before = api.get("events", limit=1).expect(200)["newest"]
    key = str(new_id())
    api.put(at(key), {"value_json": "a value that stays here"}).expect(200)
    api.delete(at(key)).expect(204)
    told = api.get("events", after=before, types="kv").expect(200)["items"]
    assert [(e["type"], e["payload"]["scope"], e["payload"]["key"]) for e in told] == [
        ("kv.created", "global", key),
        ("kv.deleted", "global", key),
    ]
    assert "stays here" not in str(told)
