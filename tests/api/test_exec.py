"""Runs that people ask for: tests, builds and commands of real projects in the sandbox, and what is refused."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any
from uuid import uuid4

import httpx
import pytest

from support.commits import commit_files
from support.studio import TOKEN, Api, Studio

CALC = "def add(a, b):\n    if a > 100:\n        return 0\n    return a + b\n"
PYTHON = {
    "src/calc.py": CALC,
    "tests/test_calc.py": (
        "from pathlib import Path\n\nfrom calc import add\n\n\n"
        "def test_adds():\n    assert add(1, 2) == 3\n\n\n"
        "def test_leaves():\n    Path('dist').mkdir()\n    Path('dist/<b>ä.html').write_text('<script>')\n"
    ),
}
NODE = {
    "package.json": json.dumps({"type": "module", "scripts": {"test": "node --test", "build": "node build.js"}}),
    "calc.js": (
        "export function add(a, b) {\n  if (a > 100) {\n    throw new Error('too large');\n  }\n  return a + b;\n}\n"
    ),
    "calc.test.js": (
        "import test from 'node:test';\nimport assert from 'node:assert';\nimport { add } from './calc.js';\n"
        "test('adds [1.1]', () => assert.equal(add(1, 2), 3));\n"
        "test('is too large', () => {\n  assert.equal(add(101, 2), 103);\n});\n"
    ),
    "build.js": (
        "import { mkdirSync, writeFileSync } from 'node:fs';\nmkdirSync('dist');\nwriteFileSync('dist/out.js', '1');\n"
    ),
}
UNKNOWN = "0199aa00-0000-7000-8000-000000000000"


@pytest.fixture
def project(api: Api) -> str:
    """A project without files."""
    return str(api.project()["id"])


@pytest.fixture
def python_project(studio: Studio, project: str) -> str:
    """A project of Python."""
    commit_files(studio, project, PYTHON)
    return project


def ended(api: Api, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Start a run and return it when it has ended."""
    return api.wait_for_run(api.post(path, body).expect(202)["id"])


def test_a_python_project_is_tested_with_coverage_and_artifacts(api: Api, python_project: str) -> None:
    started = api.post("exec/test", {"project_id": python_project}).expect(202)
    assert (started["status"], started["recipe"], started["ref"], started["attempt"]) == (
        "pending",
        "pytest",
        "main",
        0,
    )
    assert started["argv"][:3] == ["python3", "-m", "pytest"]
    run = api.wait_for_run(started["id"])
    assert (run["status"], run["reason"], run["exit_code"], run["attempt"]) == ("success", "2 tests passed.", 0, 1)
    assert (run["type"], run["tree"], run["commit"], run["failures"]) == ("test", started["tree"], None, [])
    assert run["deadline_at"] > run["started_at"]
    assert set(run["metrics_json"]) >= {"cpu", "memory", "duration", "queue_wait"}
    assert run["metrics_json"]["memory"] > 1_000_000
    covered = {file["path"]: (file["covered"], file["total"]) for file in run["coverage"]["files"]}
    assert covered["src/calc.py"] == (3, 4)
    assert run["coverage"]["percent"] == round(
        100 * run["coverage"]["lines_covered"] / run["coverage"]["lines_total"], 2
    )
    artifact = {
        "name": "dist/<b>ä.html",
        "size": 8,
        "sha256": sha256(b"<script>").hexdigest(),
        "media_type": "text/html",
    }
    assert api.get(f"exec/{run['id']}/artifacts").expect(200) == {"items": [artifact]}
    assert run["artifacts"] == [artifact]


def test_an_artifact_is_saved_and_never_shown(api: Api, studio: Studio, python_project: str) -> None:
    run = ended(api, "exec/test", {"project_id": python_project})
    url = f"{studio.url}/api/v1/exec/{run['id']}/artifacts/dist%2F%3Cb%3E%C3%A4.html"
    answer = httpx.get(url, headers={"Authorization": f"token {TOKEN}"}, trust_env=False)
    assert (answer.status_code, answer.content) == (200, b"<script>")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"_b__.html\"; filename*=UTF-8''%3Cb%3E%C3%A4.html"
    )
    head = httpx.head(url, headers={"Authorization": f"token {TOKEN}"}, trust_env=False)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "8", b"")
    for name in ("input.tar", "dist", "dist%2Fb.html", "..%2F..%2Fetc%2Fpasswd", "%2Fetc%2Fpasswd"):
        answer = httpx.get(
            f"{url.rpartition('/')[0]}/{name}", headers={"Authorization": f"token {TOKEN}"}, trust_env=False
        )
        assert answer.status_code == 404, name
        assert answer.json()["type"] == "urn:devstudio:problem:ArtifactNotFound"


def test_a_failing_node_project_points_to_file_and_line(api: Api, studio: Studio, project: str) -> None:
    commit_files(studio, project, NODE)
    run = ended(api, "exec/test", {"project_id": project})
    assert (run["status"], run["recipe"], run["exit_code"]) == ("failed", "npm test", 1)
    assert [(place["name"], place["file"], place["line"]) for place in run["failures"]] == [
        ("is too large", "calc.js", 3)
    ]
    assert run["reason"] == "1 of 2 tests failed; first: is too large (calc.js:3)."
    assert {file["path"]: (file["covered"], file["total"]) for file in run["coverage"]["files"]}["calc.js"] == (6, 6)
    built = ended(api, "exec/build", {"project_id": project})
    assert (built["status"], built["recipe"], built["reason"]) == ("success", "npm run build", "The build passed.")
    assert [artifact["name"] for artifact in built["artifacts"]] == ["dist/out.js"]


def test_a_command_runs_without_a_shell_on_any_branch_or_commit(api: Api, studio: Studio, project: str) -> None:
    first = commit_files(studio, project, {"a.txt": "one"})
    commit_files(studio, project, {"a.txt": "two"})
    commit_files(studio, project, {"a.txt": "three"}, branch="topic/x")
    seen = {}
    for ref in (None, "main", "topic/x", first):
        body = {"project_id": project, "type": "build", "command": ["cat", "a.txt", "$HOME", "; ls"], "ref": ref}
        run = ended(api, "exec", body)
        assert (run["status"], run["recipe"], run["exit_code"]) == ("failed", "command", 1)
        seen[ref] = api.get(f"exec/{run['id']}/logs").expect(200)["content"]
        assert "cat: '$HOME': No such file" in seen[ref]
        assert run["ref"] == (ref or "main")
    assert ["two" in seen[None], "two" in seen["main"], "three" in seen["topic/x"], "one" in seen[first]] == [True] * 4


def test_a_rerun_does_the_same_on_the_same_tree(api: Api, studio: Studio, python_project: str) -> None:
    first = ended(api, "exec/test", {"project_id": python_project, "timeout_s": 100})
    commit_files(studio, python_project, {"tests/test_calc.py": "def test_other():\n    assert False\n"})
    again = api.post(f"exec/{first['id']}/rerun", None).expect(202)
    assert (again["rerun_of"], again["tree"], again["argv"]) == (first["id"], first["tree"], first["argv"])
    assert again["id"] != first["id"]
    again = api.wait_for_run(again["id"])
    assert (again["status"], again["reason"]) == ("success", "2 tests passed.")
    listed = api.get("exec", project_id=python_project, type="test").expect(200)["items"]
    assert [run["id"] for run in listed] == [again["id"], first["id"]]
    assert api.get("exec", project_id=python_project, type="build").expect(200)["items"] == []


def test_what_is_not_final_is_not_repeated_and_a_cancel_ends_it(api: Api, project: str) -> None:
    body = {
        "project_id": project,
        "type": "test",
        "command": ["python3", "-c", "print('UP'); import time; time.sleep(600)"],
    }
    run_id = api.post("exec", body).expect(202)["id"]
    assert "Wait for its end" in api.post(f"exec/{run_id}/rerun", None).problem(409)["detail"]
    for event in api.events("GET", f"exec/{run_id}/logs"):
        if "UP" in event["data"]["content"]:
            api.post(f"exec/{run_id}/cancel", {}).expect(200)
    run = api.get(f"exec/{run_id}").expect(200)
    assert (run["status"], run["reason"], run["failures"]) == ("cancelled", "Cancelled.", [])


def test_a_deadline_and_a_memory_limit_end_a_run_with_their_name(api: Api, project: str) -> None:
    sleep = {"project_id": project, "type": "test", "command": ["python3", "-c", "import time; time.sleep(60)"]}
    run = ended(api, "exec", sleep | {"timeout_s": 1})
    assert (run["status"], "deadline of 1 s" in run["reason"]) == ("timeout", True)
    settings = {"limits": {"memory_bytes": 64 * 1024 * 1024}}
    api.put(f"projects/{project}/run-settings", settings, 0).expect(200)
    eat = "data = []\nwhile True:\n    data.append(bytearray(4 * 1024 * 1024))\n"
    run = ended(api, "exec", sleep | {"command": ["python3", "-c", eat]})
    assert (run["status"], run["reason"]) == ("failed", "It needed more memory than the sandbox has (64 MiB).")


def test_settings_say_how_a_project_is_tested_and_have_versions(api: Api, studio: Studio, python_project: str) -> None:
    path = f"projects/{python_project}/run-settings"
    first = api.get(path).expect(200)
    assert (first["version"], first["commands"], first["coverage"]) == (0, {"test": None, "build": None}, True)
    assert first["caps"]["deadline_s"] == 600
    assert "docker" not in first["caps"]["programs"]
    mine = {
        "commands": {"test": ["python3", "-c", "import os; print('I am', os.environ['WHO'])"]},
        "env": {"WHO": "me"},
    }
    api.put(path, mine, 7).problem(412)
    put = api.put(path, mine, 0)
    assert (put.expect(200)["version"], put.headers["etag"]) == (1, '"1"')
    assert api.put(path, mine, 1).expect(200)["version"] == 1, "nothing changed"
    assert api.put(path, mine | {"coverage": False}, 1).expect(200)["version"] == 2
    assert api.put(path, mine, 1).problem(412)["current_version"] == 2
    run = ended(api, "exec/test", {"project_id": python_project})
    assert (run["status"], run["recipe"]) == ("success", "command")
    assert "I am me" in api.get(f"exec/{run['id']}/logs").expect(200)["content"]


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"unknown": 1}, ["body", "unknown"]),
        ({"commands": {"deploy": ["x"]}}, ["body", "commands", "deploy"]),
        ({"commands": {"test": []}}, ["body", "commands", "test"]),
        ({"commands": {"test": ["docker", "ps"]}}, ["body", "commands", "test", 0]),
        ({"commands": {"build": ["/bin/sh"]}}, ["body", "commands", "build", 0]),
        ({"limits": {"memory_bytes": 1}}, ["body", "limits", "memory_bytes"]),
        ({"limits": {"memory_bytes": 2**50}}, ["body", "limits", "memory_bytes"]),
        ({"limits": {"cpus": 512}}, ["body", "limits", "cpus"]),
        ({"deadline_s": 601}, ["body", "deadline_s"]),
        ({"env": {"1x": ""}}, ["body", "env"]),
        ({"env": {"MY_TOKEN": "x"}}, ["body", "env"]),
        ({"env": {"RENUM_DEVSTUDIO_RUN": "x"}}, ["body", "env"]),
        ({"env": {"A": "x" * 4097}}, ["body", "env", "A"]),
        ({"artifacts": ["../x"]}, ["body", "artifacts"]),
        ({"artifacts": ["/etc/*"]}, ["body", "artifacts"]),
        ({"artifacts": ["a"] * 21}, ["body", "artifacts"]),
        ({"language": "cobol"}, ["body", "language"]),
    ],
)
def test_settings_that_are_wrong_are_refused_with_their_place(
    api: Api, project: str, settings: dict[str, Any], where: list[str | int]
) -> None:
    problem = api.put(f"projects/{project}/run-settings", settings).problem(422)
    assert problem["errors"][0]["loc"] == where
    assert api.get(f"projects/{project}/run-settings").expect(200)["version"] == 0


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    [
        ({"project_id": UNKNOWN}, 404, "ProjectNotFound"),
        ({"task_id": UNKNOWN}, 404, "TaskNotFound"),
        ({"ref": "nowhere"}, 422, "RefInvalid"),
        ({"ref": "--upload-pack=x"}, 422, "RefInvalid"),
        ({"ref": "f" * 40}, 422, "RefInvalid"),
        ({"ref": "a..b"}, 422, "RefInvalid"),
        ({"ref": ""}, 422, "Invalid"),
        ({"type": "deploy"}, 409, "DeployUnavailable"),
        ({"type": "gen"}, 422, "Invalid"),
        ({"command": ["docker", "run"]}, 422, "CommandRefused"),
        ({"command": ["sudo", "make"]}, 422, "CommandRefused"),
        ({"command": ["/usr/bin/make"]}, 422, "CommandRefused"),
        ({"command": ["make; ls"]}, 422, "CommandRefused"),
        ({"command": "make test"}, 422, "Invalid"),
        ({"command": []}, 422, "Invalid"),
        ({"command": [""]}, 422, "Invalid"),
        ({"command": ["make", "a\0b"]}, 422, "Invalid"),
        ({"command": ["make"] * 257}, 422, "Invalid"),
        ({"command": ["make", "x" * 8193]}, 422, "Invalid"),
        ({"timeout_s": 0}, 422, "Invalid"),
        ({"timeout_s": 601}, 422, "LimitExceeded"),
        ({"timeout_s": "NaN"}, 422, "Invalid"),
        ({"shell": True}, 422, "Invalid"),
        ({"command": None}, 409, "NothingToRun"),
        ({"command": None, "type": "build"}, 409, "NothingToRun"),
    ],
)
def test_what_cannot_run_is_refused_clearly(
    api: Api, project: str, change: dict[str, Any], status: int, kind: str
) -> None:
    body = {"project_id": project, "type": "test", "command": ["make"]} | change
    problem = api.post("exec", body).problem(status)
    assert problem["type"] == f"urn:devstudio:problem:{kind}"
    assert api.get("exec", project_id=project).expect(200)["items"] == [], "nothing was enqueued"


def test_refusals_say_what_to_do(api: Api, project: str) -> None:
    body = {"project_id": project, "type": "test", "command": ["curl", "http://x"]}
    problem = api.post("exec", body).problem(422)
    assert problem["errors"][0]["loc"] == ["body", "command", 0]
    assert "pytest, python, python3" in problem["detail"]
    assert "run-settings" in api.post("exec/build", {"project_id": project}).problem(409)["detail"]
    other = api.session(api.project()["id"])
    documents = {"tasks": "# Tasks\n- [ ] 1. Do it\n"}
    api.put(f"spec-sessions/{other['id']}", {"documents": documents}).expect(200)
    task = api.get(f"spec-sessions/{other['id']}/tasks").expect(200)["items"][0]["id"]
    problem = api.post("exec", body | {"command": ["ls"], "task_id": task}).problem(422)
    assert problem["type"] == "urn:devstudio:problem:TaskOfOtherProject"
    api.put(f"projects/{project}", {"status": "archived"}).expect(200)
    assert "archived" in api.post("exec", body | {"command": ["ls"]}).problem(409)["detail"]


def test_the_same_key_starts_one_run(api: Api, project: str) -> None:
    body = {"project_id": project, "type": "test", "command": ["echo", "hi"]}
    headers = {"Idempotency-Key": str(uuid4())}
    first = api.send("POST", "exec", json=body, headers=headers)
    again = api.send("POST", "exec", json=body, headers=headers)
    assert first.expect(202)["id"] == again.expect(202)["id"]
    assert again.headers["idempotent-replayed"] == "true"
    assert len(api.get("exec", project_id=project).expect(200)["items"]) == 1
    api.wait_for_run(first.body["id"])


@pytest.mark.parametrize("path", ["exec/{id}/artifacts", "exec/{id}/artifacts/x", "projects/{id}/run-settings"])
def test_what_is_not_there_is_missing(api: Api, path: str) -> None:
    api.get(path.replace("{id}", UNKNOWN)).problem(404)
    api.get(path.replace("{id}", "x")).problem(422)
