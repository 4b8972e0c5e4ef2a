"""Idempotency keys over HTTP: the first answer again, one effect, and nothing kept of what failed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from support.studio import Answer, Api, Studio

MISSING = "0199aa00-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    data = tmp_path_factory.mktemp("keys") / "data"
    with Studio(data, {}, ("--DevStudioApp.sandbox_backend=process",)) as server:
        yield server


@pytest.fixture
def api(studio: Studio) -> Api:
    return studio.api


def keyed(api: Api, path: str, body: Any, key: str, **headers: str) -> Answer:
    return api.send("POST", path, json=body, headers={"Idempotency-Key": key, **headers})


def names(api: Api) -> list[str]:
    return [item["name"] for item in api.get("projects", limit=200).expect(200)["items"]]


def task_of(api: Api) -> str:
    session = api.session(api.project()["id"])
    planned = api.post("plan", {"session_id": session["id"], "stage": "all", "model": "offline"}).expect(200)
    return str(planned["tasks"][0]["id"])


def test_the_first_answer_comes_again_with_all_that_it_had(api: Api) -> None:
    name, key = f"Once {uuid4()}", str(uuid4())
    first = keyed(api, "projects", {"name": name, "description": "d"}, key)
    again = keyed(api, "projects", {"description": "d", "name": name}, key)  # the order of members does not count
    assert first.expect(201) == again.expect(201)
    assert first.headers["etag"] == again.headers["etag"] == '"1"'
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert first.headers["x-request-id"] != again.headers["x-request-id"]
    assert names(api).count(name) == 1


def test_the_answer_is_the_first_one_even_when_the_object_has_changed(api: Api) -> None:
    key = str(uuid4())
    made = keyed(api, "projects", {"name": "Before"}, key).expect(201)
    api.put(f"projects/{made['id']}", {"name": "After"}).expect(200)
    assert keyed(api, "projects", {"name": "Before"}, key).expect(201)["name"] == "Before"


@pytest.mark.parametrize(
    ("path", "body"),
    [("projects", {"name": "Two"}), ("projects", {"name": "One", "description": "x"}), ("code/preview", None)],
)
def test_a_key_with_another_request_is_refused(api: Api, path: str, body: Any) -> None:
    key = str(uuid4())
    keyed(api, "projects", {"name": "One"}, key).expect(201)
    before = len(names(api))
    refused = keyed(api, path, body or {"patch_id": MISSING}, key)
    assert "create_project" in refused.problem(409)["detail"]
    assert refused.body["type"] == "urn:devstudio:problem:IdempotencyKeyReused"
    assert len(names(api)) == before


def test_a_path_is_part_of_the_request(api: Api) -> None:
    task = task_of(api)
    first = api.post("code/generate", {"task_id": task, "model": "offline"}).expect(201)
    second = api.post("code/generate", {"task_id": task, "model": "offline"}).expect(201)
    key, body = str(uuid4()), {"reason": "No."}
    keyed(api, f"code/patches/{first['patch_id']}/reject", body, key).expect(200)
    keyed(api, f"code/patches/{second['patch_id']}/reject", body, key).problem(409)
    assert keyed(api, f"code/patches/{first['patch_id']}/reject", body, key).headers["idempotent-replayed"] == "true"


def test_what_failed_is_not_kept(api: Api) -> None:
    key = str(uuid4())
    body = {"project_id": MISSING, "title": "x"}
    keyed(api, "spec-sessions", body, key).problem(404)
    again = keyed(api, "spec-sessions", body, key)
    again.problem(404)
    assert "idempotent-replayed" not in again.headers
    # so the key is still free
    keyed(api, "spec-sessions", {"project_id": api.project()["id"], "title": "x"}, key).expect(201)
    keyed(api, "code/generate", {"task_id": MISSING, "model": "offline"}, second := str(uuid4())).problem(404)
    keyed(api, "code/generate", {"task_id": task_of(api), "model": "offline"}, second).expect(201)


@pytest.mark.parametrize("key", ["", "a" * 256, "a b", "é", "tab\tin"])
def test_a_key_that_is_none_is_refused(api: Api, key: str) -> None:
    before = len(names(api))
    headers = [(b"Idempotency-Key", key.encode("latin-1"))]
    problem = api.send("POST", "projects", json={"name": "x"}, headers=headers).problem(422)
    assert problem["errors"][0]["loc"] == ["header", "Idempotency-Key"]
    assert len(names(api)) == before


@pytest.mark.parametrize("key", ["a", "!" * 255, "'; DROP TABLE ds_idempotency_keys; --".replace(" ", "_"), "../../x"])
def test_any_visible_key_is_taken(api: Api, key: str) -> None:
    body = {"name": f"Key {uuid4()}"}
    made = keyed(api, "projects", body, key).expect(201)
    assert keyed(api, "projects", body, key).expect(201) == made


def test_a_key_on_another_method_changes_nothing(api: Api) -> None:
    key = str(uuid4())
    project = api.project()
    for name in ("A", "B"):
        answer = api.send("PUT", f"projects/{project['id']}", json={"name": name}, headers={"Idempotency-Key": key})
        assert answer.expect(200)["name"] == name


def race(api: Api, count: int, path: str, body: Any, key: str) -> list[Answer]:
    barrier = threading.Barrier(count)

    def send(_: int) -> Answer:
        with Api(api.url) as own:
            barrier.wait(60)
            return keyed(own, path, body, key)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(send, range(count)))


def test_twenty_equal_requests_at_once_have_one_effect(api: Api) -> None:
    name = f"Raced {uuid4()}"
    answers = race(api, 20, "projects", {"name": name}, str(uuid4()))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body["id"] for answer in answers}) == 1
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 19
    assert names(api).count(name) == 1


def test_twenty_equal_requests_to_a_model_make_one_patch(api: Api) -> None:
    task = task_of(api)
    key, body = str(uuid4()), {"task_id": task, "model": "offline"}
    answers = race(api, 20, "code/generate", body, key)
    assert {answer.status for answer in answers} <= {201, 409}
    for answer in answers:
        if answer.status == 409:
            assert answer.problem(409)["type"] == "urn:devstudio:problem:IdempotencyKeyInUse"
            assert int(answer.headers["retry-after"]) > 0
    made = {answer.body["patch_id"] for answer in answers if answer.status == 201}
    assert len(made) == 1
    assert keyed(api, "code/generate", body, key).expect(201)["patch_id"] in made
    assert len(api.get("code/patches", task_id=task).expect(200)["items"]) == 1


def test_a_replay_is_a_stream_when_it_is_asked_for_as_one(api: Api) -> None:
    key, body = str(uuid4()), {"task_id": task_of(api), "model": "offline"}
    first = keyed(api, "code/generate", body, key).expect(201)
    headers = {"Idempotency-Key": key}
    events = list(api.events("POST", "code/generate", body, **headers))
    assert [event["event"] for event in events] == ["result"]
    assert events[0]["data"] == first


def test_a_restart_forgets_no_key(tmp_path: Path) -> None:
    key, body = str(uuid4()), {"name": "Kept"}
    with Studio(tmp_path / "data", {}, ("--DevStudioApp.sandbox_backend=process",)) as server:
        first = keyed(server.api, "projects", body, key).expect(201)
        server.kill()
        server.start()
        again = keyed(server.api, "projects", body, key)
        assert again.expect(201) == first
        assert names(server.api) == ["Kept"]
