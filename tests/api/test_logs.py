"""One line for each request, and no secret and nothing personal in any line, at debug level and on failures, too."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from support.studio import TOKEN, Api, Studio

EMAIL = "canary.person@example.org"
CPF = "123.456.789-09"
API_KEY = "sk-canary-3f9b77c1d2e4f5a6"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlLWNhbmFyeQ"
COOKIE = "canary-cookie-5512aa"
PASSWORD = "canary-password-hunter2"
MODEL_KEY = "canary-model-key-99182"
SIGNING_KEY = "Y2FuYXJ5LXNpZ25pbmcta2V5LTMyLWJ5dGVzLTc3MTI="
CANARIES = (EMAIL, CPF, API_KEY, JWT, COOKIE, PASSWORD, TOKEN, MODEL_KEY, SIGNING_KEY)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A server at debug level, whose model's provider does not answer."""
    data = tmp_path_factory.mktemp("logs") / "data"
    env = {"OPENAI_API_KEY": MODEL_KEY, "OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "DEVSTUDIO_MODEL_TIMEOUT_S": "2"}
    env["DEVSTUDIO_SIGNING_KEY"] = SIGNING_KEY
    with Studio(data, env, ("--DevStudioApp.sandbox_backend=process", "--ServerApp.log_level=DEBUG")) as server:
        yield server


@pytest.fixture
def api(studio: Studio) -> Api:
    return studio.api


def line_of(studio: Studio, request_id: str) -> dict[str, Any]:
    """Return the line of one request; it is written just after the answer."""
    deadline = time.monotonic() + 10
    while True:
        found = [line for line in studio.log.splitlines() if request_id in line and '"event": "request"' in line]
        if found:
            (line,) = found  # one, and not two
            return dict(json.loads(line))
        assert time.monotonic() < deadline, studio.log[-3000:]
        time.sleep(0.02)


def sent(api: Api, method: str, path: str, **options: Any) -> tuple[str, int]:
    request_id = f"log-{uuid4()}"
    headers = {"X-Request-ID": request_id} | options.pop("headers", {})
    return request_id, api.send(method, path, headers=headers, **options).status


def test_a_line_says_who_did_what_with_which_result(studio: Studio, api: Api) -> None:
    project = api.project()
    me = api.get("me").expect(200)
    request_id, status = sent(api, "GET", f"projects/{project['id']}")
    line = line_of(studio, request_id)
    assert status == line["status"] == 200
    assert (line["method"], line["operation"]) == ("GET", "get_project")
    assert (line["route"], line["project_id"]) == ("/api/v1/projects/{project_id}", project["id"])
    assert (line["tenant_id"], line["user_id"]) == (me["tenant_id"], me["user_id"])
    assert line["level"] == "info"
    assert line["bytes_out"] > 100
    assert 0 < line["duration_ms"] < 60_000


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("POST", "projects", {"content": b"{"}, 422),
        ("GET", "projects?colour=red", {}, 422),
        ("DELETE", "projects", {}, 405),
        ("PATCH", "projects", {}, 405),
        ("GET", "nothing/here", {}, 404),
        ("GET", "projects/0199aa00-0000-7000-8000-000000000000", {}, 404),
        ("POST", "projects", {"content": b"<a/>", "headers": {"Content-Type": "text/xml"}}, 415),
        ("HEAD", "projects", {}, 200),
    ],
)
def test_every_refusal_has_its_line(
    studio: Studio, api: Api, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    request_id, got = sent(api, method, path, **options)
    line = line_of(studio, request_id)
    assert got == line["status"] == status
    assert line["method"] == method
    if status == 404 and "nothing" in path:
        assert line["route"] == "unmatched"
    assert "colour" not in json.dumps(line)


def test_a_stranger_has_a_line_without_a_name(studio: Studio) -> None:
    with Api(studio.url, token="wrong-token-1234") as stranger:
        request_id, status = sent(stranger, "GET", "projects")
    line = line_of(studio, request_id)
    assert status == line["status"] == 401
    assert not {"user_id", "tenant_id"} & set(line)
    assert line["route"] == "/api/v1/projects"
    assert "wrong-token-1234" not in studio.log


def test_background_work_of_a_request_has_its_id_and_actor_in_the_audit(api: Api) -> None:
    request_id, status = sent(api, "POST", "projects", json={"name": "Audited"})
    assert status == 201
    entries = api.get("audit", limit=50).expect(200)["items"]
    assert [entry for entry in entries if entry["request_id"] == request_id]


def test_what_a_save_in_jupyter_changes_is_in_the_audit_under_the_id_of_its_line(studio: Studio, api: Api) -> None:
    session = api.session(api.project(name="Saved in Jupyter")["id"])
    path = f"{studio.url}/api/contents/{session['notebook_path']}"
    headers = {"Authorization": f"token {TOKEN}"}
    with httpx.Client(headers=headers, trust_env=False, timeout=60) as jupyter:
        notebook = jupyter.get(path).json()["content"]
        notebook["cells"][0]["source"] += (
            "\n### Requirement 1: Saved\n#### Acceptance Criteria\n1. THE SYSTEM SHALL save\n"
        )
        jupyter.put(path, json={"type": "notebook", "content": notebook}).raise_for_status()
    entries = api.get("audit", limit=50).expect(200)["items"]
    (saved,) = [entry for entry in entries if entry["action"] == "spec.created"][:1]
    assert saved["request_id"]
    changes = [entry["action"] for entry in entries if entry["request_id"] == saved["request_id"]]
    assert "spec_session.updated" in changes, "all that one save changed has one id"


def everywhere(studio: Studio, api: Api) -> None:
    """Send every canary in headers, query, path and body, to our handlers and to Jupyter's, well and badly."""
    headers = {
        "Cookie": f"session={COOKIE}; _xsrf={COOKIE}",
        "X-API-Key": API_KEY,
        "Referer": f"http://x/?token={TOKEN}&mail={EMAIL}",
        "User-Agent": f"agent {EMAIL} {API_KEY}",
        "X-Request-ID": EMAIL,
    }
    texts = (EMAIL, CPF, API_KEY, JWT, TOKEN)
    query = {"password": PASSWORD, "mail": EMAIL, "cpf": CPF, "api_key": API_KEY, "jwt": JWT}
    body = {"name": f"{EMAIL} {CPF}", "description": f"{API_KEY} {JWT}", "password": PASSWORD}
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "FOO"):
        for path in ("projects", "none/such", *(f"projects/{text}" for text in texts), *(f"kv/{t}/{t}" for t in texts)):
            api.send(method, path, headers=headers, params=query, json=body)
    with httpx.Client(base_url=studio.url, trust_env=False, timeout=60) as jupyter:
        for credential in ({"Authorization": f"Bearer {JWT}"}, {"Authorization": f"token {TOKEN}"}, {}):
            for path in ("/api/contents/", "/files/", "/api/kernels/", "/nothing/", "/lab/tree/", "/nbconvert/html/"):
                for text in texts:
                    jupyter.get(path + text, headers=headers | credential, params=query)
                    jupyter.post(path + text, headers=headers | credential, params=query, json=body)
            jupyter.get("/api/contents", headers=headers | credential, params=query | {"token": TOKEN})
            jupyter.put("/api/contents/x.ipynb", headers=headers | credential, content=f"{{bad {EMAIL} {API_KEY}")
            jupyter.post("/login", headers=headers | credential, data={"password": PASSWORD})
            jupyter.post("/api/v1/projects", headers=headers | credential, files={"x": (EMAIL, PASSWORD)})


def test_nothing_secret_and_nobody_is_in_the_log(studio: Studio, api: Api) -> None:
    everywhere(studio, api)
    session = api.session(api.project()["id"])
    model = next(m["id"] for m in api.get("ai/models").expect(200)["items"] if m["provider"] == "openai")
    plan = {"session_id": session["id"], "stage": "all", "model": model, "prompt": f"Ask {EMAIL} about {API_KEY}"}
    assert api.post("plan", plan).status in {502, 503}
    assert [key["status"] for key in api.get("signing-keys").expect(200)["items"]] == ["active"]
    request_id, _ = sent(api, "GET", "me")
    line_of(studio, request_id)  # everything before it is written now
    log = studio.log
    assert "DEBUG" in log or "[D " in log
    assert len(log) > 50_000
    assert "<e-mail>" in log  # so what was sent did come to the log, masked
    assert "<CPF>" in log
    found = {canary: next(line for line in log.splitlines() if canary in line) for canary in CANARIES if canary in log}
    assert found == {}


def test_an_error_that_nobody_foresaw_is_logged_without_what_it_holds(tmp_path: Path) -> None:
    """The database is taken away under the server; the query's values are in what its driver says."""
    with Studio(tmp_path / "data", {}, ("--DevStudioApp.sandbox_backend=process",)) as studio:
        studio.api.project()
        for path in (tmp_path / "data").glob("devstudio.db*"):
            path.write_bytes(b"no database " * 1000)
        request_id, status = sent(
            studio.api, "POST", "projects", json={"name": EMAIL, "description": f"{CPF} {API_KEY}"}
        )
        assert status >= 500
        assert line_of(studio, request_id)["status"] == status
        assert not [canary for canary in (EMAIL, CPF, API_KEY, TOKEN) if canary in studio.log]


def test_the_token_that_jupyter_made_up_is_still_shown_to_its_one_user(tmp_path: Path) -> None:
    class Unset(Studio):
        def environment(self) -> dict[str, str]:
            found = super().environment()
            del found["JUPYTER_TOKEN"]
            return found

        def _await_answer(self) -> None:
            deadline = time.monotonic() + 60
            while "?token=" not in self.log:
                assert time.monotonic() < deadline, self.log
                time.sleep(0.05)

    with Unset(tmp_path / "data", {}, ("--DevStudioApp.sandbox_backend=process",)) as studio:
        shown = studio.log.split("?token=")[1].split()[0]
        assert len(shown) == 48
        with Api(studio.url, token=shown) as api:
            api.get("me").expect(200)
