"""Everything that is not what an operation takes gets a clear problem document, and nothing changes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.studio import Api, Studio

MISSING = "0199aa00-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "empty"),
        (b"{", "line 1, column 2"),
        (b'{"name": "x",}', "not JSON"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"[" * 100_000, "body"),
    ],
)
def test_a_body_that_is_no_json(api: Api, raw: bytes, says: str) -> None:
    answer = api.send("POST", "projects", content=raw, headers={"Content-Type": "application/json"})
    problem = answer.problem(422)
    assert says in problem["detail"]
    assert problem["errors"][0]["loc"][0] == "body"


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ([], ["body"]),
        ("text", ["body"]),
        (None, ["body"]),
        ({}, ["body", "name"]),
        ({"name": ""}, ["body", "name"]),
        ({"name": "   "}, ["body", "name"]),
        ({"name": "x" * 101}, ["body", "name"]),
        ({"name": 7}, ["body", "name"]),
        ({"name": "x", "type": "desktop"}, ["body", "type"]),
        ({"name": "x", "template": "cobol"}, ["body", "template"]),
        ({"name": "x", "colour": "red"}, ["body", "colour"]),
        ({"name": "x", "id": MISSING}, ["body", "id"]),
        ({"name": "x", "tenant_id": MISSING}, ["body", "tenant_id"]),
        ({"name": "x", "description": "d" * 10_001}, ["body", "description"]),
        ({"name": "nul \u0000 byte", "description": 5}, ["body", "name"]),
    ],
)
def test_fields_that_are_wrong_are_named(api: Api, body: Any, loc: list[str]) -> None:
    before = len(api.get("projects", limit=200).expect(200)["items"])
    problem = api.post("projects", body).problem(422)
    assert loc in [error["loc"] for error in problem["errors"]]
    assert len(api.get("projects", limit=200).expect(200)["items"]) == before


@pytest.mark.parametrize(
    "path",
    [
        *("projects/{}", "spec-sessions/{}", "spec-sessions/{}/tasks", "tasks/{}"),
        *("exec/{}", "exec/{}/logs", "code/patches/{}"),
    ],
)
def test_ids_that_are_no_uuid_and_ids_that_are_missing(api: Api, path: str) -> None:
    for bad in ("7", "not-a-uuid", "0199aa00-0000-7000-8000-00000000000g", "%2e%2e", "a" * 300, "1%00"):
        problem = api.get(path.format(bad)).problem(422)
        assert problem["errors"][0]["loc"][0] == "path"
    api.get(path.format(MISSING)).problem(404)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("spec-sessions", {"project_id": MISSING, "title": "x"}),
        ("plan", {"session_id": MISSING, "stage": "all", "model": "offline"}),
        ("code/generate", {"task_id": MISSING, "model": "offline"}),
        ("code/preview", {"patch_id": MISSING}),
        ("code/apply", {"patch_id": MISSING}),
        (f"code/patches/{MISSING}/approve", {"digest": "0" * 64}),
        (f"code/patches/{MISSING}/reject", {"reason": "no"}),
    ],
)
def test_bodies_that_name_something_missing(api: Api, path: str, body: dict[str, Any]) -> None:
    assert MISSING in api.post(path, body).problem(404)["detail"]
    for name in body:
        if name.endswith("_id"):
            problem = api.post(path, body | {name: "nonsense"}).problem(422)
            assert problem["errors"][0]["loc"] == ["body", name]
    problem = api.post(path, body | {"surplus": 1}).problem(422)
    assert ["body", "surplus"] in [error["loc"] for error in problem["errors"]]


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 201}, {"limit": "x"}, {"cursor": "zzz"}, {"colour": "red"}])
def test_queries_that_are_wrong(api: Api, query: dict[str, Any]) -> None:
    for path in ("projects", "spec-sessions", "exec", "code/patches"):
        problem = api.get(path, **query).problem(422)
        assert problem["errors"][0]["loc"] == ["query", next(iter(query))]


def test_an_unknown_stage_and_an_unknown_model(api: Api) -> None:
    session = api.session(api.project()["id"])
    body = {"session_id": session["id"], "stage": "all"}
    assert api.post("plan", body | {"stage": "code"}).problem(422)["errors"][0]["loc"] == ["body", "stage"]
    problem = api.post("plan", body | {"model": "gpt-none"}).problem(422)
    assert "offline" in problem["detail"]


def test_a_body_that_is_too_large(api: Api) -> None:
    raw = json.dumps({"name": "x", "description": "d" * 11_000_000}).encode()
    answer = api.send("POST", "projects", content=raw, headers={"Content-Type": "application/json"})
    assert "at most" in answer.problem(413)["detail"]


def test_a_body_of_another_type(api: Api) -> None:
    answer = api.send("POST", "projects", content=b"<a/>", headers={"Content-Type": "application/xml"})
    assert "application/json" in answer.problem(415)["detail"]


def test_an_address_that_is_nothing_and_a_method_that_is_not_taken(api: Api) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        api.send(method, "nothing/here").problem(404)
    answer = api.send("DELETE", "projects")
    assert "GET, HEAD, POST" in answer.problem(405)["detail"]
    assert answer.headers["allow"] == "GET, HEAD, POST"


def test_without_a_token_every_operation_is_refused(studio: Studio) -> None:
    document = studio.api.get("openapi.json").expect(200)
    paths = [
        (method.upper(), url.removeprefix("/api/v1/").replace("{", "").replace("}", ""))
        for url, methods in document["paths"].items()
        for method in methods
    ]
    assert len(paths) >= 25
    for token in (None, "wrong"):
        with Api(studio.url, token=token) as stranger:
            for method, path in [*paths, ("GET", "openapi.json"), ("GET", "nothing/here")]:
                stranger.send(method, path, json={}).problem(401)


def test_a_request_id_that_is_sent_comes_back_and_a_hostile_one_does_not(api: Api) -> None:
    kept = api.send("GET", "me", headers={"X-Request-ID": "trace-1234-abcd"})
    assert kept.headers["x-request-id"] == "trace-1234-abcd"
    refused = api.send("GET", "me", headers={"X-Request-ID": "<script>alert(1)</script>"})
    assert "<" not in refused.headers["x-request-id"]


def test_a_lost_repository_is_told_and_never_made_anew(studio: Studio, api: Api) -> None:
    project = api.project()
    repositories = next((studio.data_dir / "repositories").iterdir())
    session = api.session(project["id"])
    planned = api.post("plan", {"session_id": session["id"], "stage": "all", "model": "offline"}).expect(200)
    lost = repositories / f"{project['id']}.git"
    moved = lost.rename(repositories / "moved-away.git")
    try:
        problem = api.post("code/generate", {"task_id": planned["tasks"][0]["id"], "model": "offline"}).problem(503)
        assert "Restore" in problem["detail"]
        assert str(studio.data_dir) not in json.dumps(problem)
        assert not lost.exists()
    finally:
        moved.rename(lost)
    api.post("code/generate", {"task_id": planned["tasks"][0]["id"], "model": "offline"}).expect(201)
