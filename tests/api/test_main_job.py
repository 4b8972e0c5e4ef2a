"""The main job over HTTP: the worked examples through both protocols with the real SDKs, and once offline."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from support.example_brain import EXAMPLES, SLUGS
from support.studio import CHECKOUT, TOKEN, Api, Studio

PROVIDERS = ("openai", "anthropic")


def first_model(api: Api, provider: str) -> str:
    models = api.get("ai/models").expect(200)["items"]
    return str(next(model["id"] for model in models if model["provider"] == provider))


def git(studio: Studio, project: dict[str, Any], *arguments: str) -> str:
    path = studio.data_dir / "repositories" / project["tenant_id"] / f"{project['id']}.git"
    command = ["git", f"--git-dir={path}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("slug", SLUGS)
def test_an_example_is_done_through_a_model(studio: Studio, api: Api, slug: str, provider: str) -> None:
    script = EXAMPLES / slug / "run.py"
    model = first_model(api, provider)
    command = [*(CHECKOUT / ".venv/bin/python", script), "--url", studio.url, "--token", TOKEN, "--model", model]
    done = subprocess.run([*map(str, command), "--auto-approve"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "Every required task is done." in done.stdout
    session = api.get("spec-sessions", limit=1).expect(200)["items"][0]
    tasks = api.get(f"spec-sessions/{session['id']}/tasks").expect(200)
    assert all(criterion["proven"] for criterion in tasks["criteria"])
    for task in tasks["items"]:
        assert task["status"] == "done"
        assert set(task["evidence"]) >= {"run_id", "commit", "criteria"}
        assert task["evidence"]["criteria"] == task["criteria"]
        run = api.get(f"exec/{task['evidence']['run_id']}").expect(200)
        assert (run["status"], run["exit_code"], run["isolation"]) == ("success", 0, "container")


def test_the_main_job_call_by_call(studio: Studio, api: Api) -> None:
    model = first_model(api, "openai")
    project = api.project(name="Semantic versions", type="integration")
    session = api.session(project["id"], title="Precedence")
    requirements = (EXAMPLES / "semver/requirements.md").read_text()
    api.put(f"spec-sessions/{session['id']}", {"documents": {"requirements": requirements}}, version=1).expect(200)

    planned = api.post("plan", {"session_id": session["id"], "stage": "tasks", "model": model}).expect(200)
    assert planned["usage"]["model"] == model
    assert planned["usage"]["tokens_input"] > 0
    assert planned["usage"]["cost_estimated"] > 0
    assert planned["documents"]["design"]["version"] == 0, "only the asked stage is read"
    task = planned["tasks"][0]
    assert set(task) == {"id", "key", "title", "status", "criteria"}
    assert task["status"] == "todo"

    generated = api.post("code/generate", {"task_id": task["id"], "model": model}).expect(201)
    assert generated["status"] == "pending"
    assert all(set(file) >= {"path", "change", "additions", "deletions"} for file in generated["files"])
    assert task_of(api, session, task)["status"] == "review"

    shown = api.post("code/preview", {"patch_id": generated["patch_id"]}).expect(200)
    assert shown["base"] == git(studio, project, "rev-parse", "main").strip()
    assert shown["diff"].startswith("diff --git ")
    new = {file["path"]: file["new"] for file in shown["files"]}
    assert new["semver/__init__.py"] == (EXAMPLES / "semver/answers/tasks/1/semver/__init__.py").read_text()
    assert all(file["old"] is None for file in shown["files"])

    api.post("code/apply", {"patch_id": generated["patch_id"]}).problem(409)
    api.post(f"code/patches/{generated['patch_id']}/approve", {"digest": "0" * 64}).problem(409)
    approved = api.post(f"code/patches/{generated['patch_id']}/approve", {"digest": shown["digest"]}).expect(200)
    assert (approved["id"], approved["status"]) == (generated["patch_id"], "approved")
    assert [approval["self_reviewed"] for approval in approved["approvals"]] == [True]

    started = api.post("code/apply", {"patch_id": generated["patch_id"]})
    assert set(started.expect(202)) == {"run_id", "patch_id"}
    run = api.wait_for_run(started.body["run_id"])
    assert (run["status"], run["exit_code"], run["type"]) == ("success", 0, "test")
    assert set(run["metrics_json"]) >= {"duration", "cpu", "memory"}

    head = git(studio, project, "rev-parse", "main").strip()
    assert run["commit"] == head
    assert git(studio, project, "rev-parse", "main^").strip() == shown["base"]
    message = git(studio, project, "log", "-1", "--format=%B")
    for trailer in (f"DevStudio-Run: {run['id']}", f"sha256:{shown['digest']}", "(self-reviewed)"):
        assert trailer in message
    done = task_of(api, session, task)
    assert done["status"] == "done"
    assert done["evidence"].items() >= {"run_id": run["id"], "commit": head, "criteria": task["criteria"]}.items()
    tree = studio.data_dir / "workspaces" / project["tenant_id"] / project["path"]
    assert (tree / "semver/__init__.py").read_text() == new["semver/__init__.py"]

    again = api.post("code/apply", {"patch_id": generated["patch_id"]}).problem(409)
    assert "applied" in again["detail"]


def task_of(api: Api, session: dict[str, Any], task: dict[str, Any]) -> dict[str, Any]:
    items = api.get(f"spec-sessions/{session['id']}/tasks").expect(200)["items"]
    return dict(next(item for item in items if item["id"] == task["id"]))


def test_editing_a_criterion_takes_done_away_and_undoing_gives_it_back(studio: Studio, api: Api) -> None:
    model = first_model(api, "openai")
    example = json.loads((EXAMPLES / "luhn/example.json").read_text())
    project = api.project(**example["project"])
    session = api.session(project["id"])
    text = (EXAMPLES / "luhn/requirements.md").read_text()
    api.put(f"spec-sessions/{session['id']}", {"documents": {"requirements": text}}).expect(200)
    task = api.post("plan", {"session_id": session["id"], "stage": "tasks", "model": model}).expect(200)["tasks"][0]
    patch = api.post("code/generate", {"task_id": task["id"], "model": model}).expect(201)
    assert api.apply(patch["patch_id"])["status"] == "success"
    assert task_of(api, session, task)["status"] == "done"

    current = api.get(f"spec-sessions/{session['id']}").expect(200)["documents"]["requirements"]["content"]
    first = next(line for line in current.splitlines() if line.startswith("1. "))
    edited = current.replace(first, first.replace("SHALL", "SHALL always", 1))
    api.put(f"spec-sessions/{session['id']}", {"documents": {"requirements": edited}}).expect(200)
    suspect = task_of(api, session, task)
    assert suspect["status"] != "done"
    assert "Suspect" in suspect["status_reason"]
    assert "1.1" not in suspect["evidence"]["criteria"]

    api.put(f"spec-sessions/{session['id']}", {"documents": {"requirements": current}}).expect(200)
    assert task_of(api, session, task)["status"] == "done"


@pytest.mark.parametrize("template", ["python", "node"])
@pytest.mark.parametrize("kind", ["api", "web", "mobile", "integration"])
def test_offline_brings_its_skeleton_to_done_and_claims_nothing_more(api: Api, kind: str, template: str) -> None:
    project = api.project(name=f"Offline {kind}", type=kind, template=template)
    session = api.session(project["id"], title="Skeleton", description="A first version.")
    body = {"session_id": session["id"], "stage": "all", "model": "offline"}
    planned = api.post("plan", body | {"prompt": "The reports shall be beautiful."}).expect(200)
    assert planned["usage"] | {"cost_estimated": 0} == planned["usage"]
    for name in ("requirements", "design", "tasks"):
        assert "offline" in planned["documents"][name]["content"].lower()
    outcomes = {}
    for task in planned["tasks"]:
        patch = api.post("code/generate", {"task_id": task["id"], "model": "offline"}).expect(201)
        run = api.apply(patch["patch_id"])
        assert run["status"] == "success", run["reason"]
        outcomes[task["key"]] = task_of(api, session, task)["status"]
    assert outcomes.pop("1") == "done"
    assert outcomes
    assert "done" not in outcomes.values(), "what templates cannot prove stays open"


def test_offline_proves_criteria_that_are_examples(api: Api) -> None:
    session = api.session(api.project()["id"])
    text = (
        "# Requirements\n### Requirement 1: Add\n#### Acceptance Criteria\n"
        "1. WHEN add(2, 3) is called THE SYSTEM SHALL return 5\n"
        '2. WHEN greet("Ana") is called THE SYSTEM SHALL return "Hi"\n'
    )
    api.put(f"spec-sessions/{session['id']}", {"documents": {"requirements": text}}).expect(200)
    body = {"session_id": session["id"], "stage": "tasks", "model": "offline"}
    planned = api.post("plan", body).expect(200)
    task = next(task for task in planned["tasks"] if "1.1" in task["criteria"])
    patch = api.post("code/generate", {"task_id": task["id"], "model": "offline"}).expect(201)
    assert api.apply(patch["patch_id"])["status"] == "success"
    assert task_of(api, session, task)["status"] == "done"


@pytest.mark.parametrize("slug", SLUGS)
def test_every_example_runs_offline_and_ends_honestly(studio: Studio, slug: str) -> None:
    script = EXAMPLES / slug / "run.py"
    command = [str(CHECKOUT / ".venv/bin/python"), str(script), "--url", studio.url, "--token", TOKEN]
    arguments = ["--model", "offline", "--auto-approve"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stdout[-3000:] + done.stderr
    assert "Still open" in done.stdout
