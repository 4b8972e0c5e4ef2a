"""Changing tasks, reading a document's versions, and a project's agent settings, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from devstudio_server.kit.ids import new_id
from support.domain_world import REQUIREMENTS, TASKS
from support.studio import Api


@pytest.fixture(scope="module")
def session(studio: Any) -> dict[str, Any]:
    api: Api = studio.api
    made = api.session(api.project()["id"])
    documents = {"requirements": REQUIREMENTS, "tasks": TASKS}
    return dict(api.put(f"spec-sessions/{made['id']}", {"documents": documents}).expect(200))


@pytest.fixture
def task(api: Api, session: dict[str, Any]) -> dict[str, Any]:
    return dict(api.get(f"spec-sessions/{session['id']}/tasks").expect(200)["items"][0])


def test_a_task_changes_up_to_review_and_only_what_was_sent(api: Api, task: dict[str, Any]) -> None:
    path = f"tasks/{task['id']}"
    changes = {"assignee": "human", "priority": "high", "status": "review", "estimated_hours": 3, "actual_hours": 0}
    changed = api.put(path, changes, version=task["version"])
    body = changed.expect(200)
    assert {name: body[name] for name in changes} == changes
    assert body["version"] == task["version"] + 1
    assert changed.headers["etag"] == f'"{body["version"]}"'
    assert {**body, **{name: task[name] for name in changes}} | {
        "version": task["version"],
        "updated_at": task["updated_at"],
        "status_reason": task["status_reason"],
    } == task
    assert api.put(path, {}).expect(200)["version"] == body["version"]
    assert api.get(path).expect(200) == body
    assert api.put(path, {"status": "todo", "priority": "medium", "assignee": "agent"}).expect(200)["status"] == "todo"


def test_nobody_sets_done(api: Api, task: dict[str, Any]) -> None:
    for status in ("done", "DONE", "nothing", 3, ["review"]):
        assert api.put(f"tasks/{task['id']}", {"status": status}).problem(422)["errors"]
    assert api.get(f"tasks/{task['id']}").expect(200)["status"] != "done"


@pytest.mark.parametrize(
    "change",
    [
        {"assignee": "root"},
        {"priority": "' OR 1=1 --"},
        {"estimated_hours": -1},
        {"estimated_hours": 10**9},
        {"actual_hours": "many"},
        {"title": "not here"},
        {"criteria": []},
        {"key": "9"},
    ],
)
def test_what_a_task_does_not_take_is_refused(api: Api, task: dict[str, Any], change: dict[str, Any]) -> None:
    api.put(f"tasks/{task['id']}", change).problem(422)
    assert api.get(f"tasks/{task['id']}").expect(200)["version"] == task["version"]


def test_a_stale_task_is_not_changed(api: Api, task: dict[str, Any]) -> None:
    path = f"tasks/{task['id']}"
    newer = api.put(path, {"actual_hours": task["version"] % 50 + 1}, version=task["version"]).expect(200)
    answer = api.put(path, {"priority": "low"}, version=task["version"])
    assert answer.problem(412)["current_version"] == newer["version"]
    assert api.get(path).expect(200)["priority"] == newer["priority"]
    api.put(f"tasks/{new_id()}", {"priority": "low"}).problem(404)


def test_a_task_of_an_archived_project_stays_as_it_is(api: Api) -> None:
    project = api.project()
    session = api.session(project["id"])
    api.put(f"spec-sessions/{session['id']}", {"documents": {"tasks": TASKS}}).expect(200)
    task = api.get(f"spec-sessions/{session['id']}/tasks").expect(200)["items"][0]
    api.put(f"projects/{project['id']}", {"status": "archived"}).expect(200)
    api.put(f"tasks/{task['id']}", {"priority": "low"}).problem(409)


def test_each_version_of_a_document_can_be_read(api: Api) -> None:
    session = api.session(api.project()["id"])
    path = f"spec-sessions/{session['id']}/documents/design"
    assert api.get(f"{path}/versions").expect(200) == {"items": [], "next_cursor": None}
    for number in range(1, 6):
        api.put(f"spec-sessions/{session['id']}", {"documents": {"design": f"# Design\n\nText {number}\n"}}).expect(200)
    listed: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = api.get(f"{path}/versions", limit=2, **({"cursor": cursor} if cursor else {})).expect(200)
        listed += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [item["version"] for item in listed] == [5, 4, 3, 2, 1]
    assert all("content" not in item and item["type"] == "design" for item in listed)
    for item in listed:
        read = api.get(f"{path}/versions/{item['version']}").expect(200)
        assert f"Text {item['version']}" in read["content"]
        assert {name: read[name] for name in item} == item
    for wrong in ("0", "6", "-1", "x", "1.0", "9" * 30, "%00", "1%2F2"):
        assert api.get(f"{path}/versions/{wrong}").status in {404, 422}, wrong
    api.get(f"spec-sessions/{session['id']}/documents/secrets/versions").problem(404)
    api.get(f"spec-sessions/{new_id()}/documents/design/versions").problem(404)


def test_agent_settings_have_defaults_and_take_a_model_that_there_is(api: Api) -> None:
    project = api.project()
    path = f"projects/{project['id']}/agent-settings"
    defaults = api.get(path)
    assert defaults.headers["etag"] == '"0"'
    assert defaults.expect(200) | {"model": "", "model_provider": ""} == {
        "project_id": project["id"],
        "model": "",
        "model_provider": "",
        "temperature": 0.7,
        "max_tokens": 4000,
        "policy": {},
        "token_limits": {},
        "version": 0,
        "updated_at": None,
    }
    wanted = {
        "model": "offline",
        "temperature": 1.25,
        "max_tokens": 900,
        "policy": {"a": 1},
        "token_limits": {"plan": 5},
    }
    body = api.put(path, wanted, version=0).expect(200)
    assert {name: body[name] for name in wanted} == wanted
    assert (body["model_provider"], body["version"]) == ("offline", 1)
    assert api.get(path).expect(200) == body
    api.put(path, wanted, version=0).problem(412)
    assert api.put(path, wanted | {"temperature": 0}, version=1).expect(200)["version"] == 2
    api.put(f"projects/{new_id()}/agent-settings", wanted).problem(404)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "gpt-nobody-has"},
        {"model": "offline\0"},
        {"model": ""},
        {"temperature": 2.01},
        {"temperature": -0.1},
        {"temperature": "hot"},
        {"max_tokens": 0},
        {"max_tokens": 10**12},
        {"policy": {"x": "y" * 20_000}},
        {"token_limits": {"plan": -1}},
        {"token_limits": {"plan": "many"}},
        {"token_limits": []},
        {"api_key": "sk-x"},
    ],
)
def test_agent_settings_that_cannot_be_are_refused(api: Api, change: dict[str, Any]) -> None:
    path = f"projects/{api.project()['id']}/agent-settings"
    api.put(path, {"model": "offline"} | change).problem(422)
    assert api.get(path).expect(200)["version"] == 0


def test_the_model_of_the_settings_plans_when_a_request_names_none(api: Api) -> None:
    default = next(model for model in api.get("ai/models").expect(200)["items"] if model["default"])
    assert default["id"] != "offline", "the test needs another default"
    project = api.project()
    session = api.session(project["id"])
    api.put(f"projects/{project['id']}/agent-settings", {"model": "offline"}).expect(200)
    request = {"session_id": session["id"], "stage": "requirements", "prompt": "Add two numbers"}
    assert api.post("plan", request).expect(200)["usage"]["model"] == "offline"
