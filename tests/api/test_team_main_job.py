"""The main job in team mode, on PostgreSQL and Redis, by two tenants at once: who makes a patch does not approve it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from devstudio_server.kit.ids import new_id
from support.example_brain import EXAMPLES
from support.studio import Api, Studio
from support.team import Team


@dataclass
class Company:
    """A tenant with a person of each role."""

    tenant: UUID
    executor: Api
    reviewer: Api
    viewer: Api

    def people(self) -> tuple[Api, ...]:
        return self.executor, self.reviewer, self.viewer


def company(team: Team, team_studio: Studio) -> Company:
    tenant = new_id()
    executor = team.api(team_studio.url, tenant, user="eva", roles=("executor",))
    reviewer = team.api(team_studio.url, tenant, user="rui", roles=("reviewer",))
    return Company(tenant, executor, reviewer, team.api(team_studio.url, tenant, user="vera", roles=("viewer",)))


@pytest.fixture
def companies(team: Team, team_studio: Studio) -> Iterator[tuple[Company, Company]]:
    both = company(team, team_studio), company(team, team_studio)
    yield both
    for each in both:
        for person in each.people():
            person.close()


def main_job(ours: Company, slug: str, provider: str) -> dict[str, Any]:
    """Take the first task of an example from requirements to done; return what there is then."""
    api = ours.executor
    models = api.get("ai/models").expect(200)["items"]
    model = next(item["id"] for item in models if item["provider"] == provider)
    project = api.project(**json.loads((EXAMPLES / slug / "example.json").read_text())["project"])
    session = api.session(project["id"], title=f"Session of {ours.tenant}")
    documents = {"documents": {"requirements": (EXAMPLES / slug / "requirements.md").read_text()}}
    api.put(f"spec-sessions/{session['id']}", documents, version=1).expect(200)
    task = api.post("plan", {"session_id": session["id"], "stage": "tasks", "model": model}).expect(200)["tasks"][0]
    patch = api.post("code/generate", {"task_id": task["id"], "model": model}).expect(201)["patch_id"]

    digest = api.post("code/preview", {"patch_id": patch}).expect(200)["digest"]
    refused = api.post(f"code/patches/{patch}/approve", {"digest": digest}).problem(403)
    assert "code:approve" in refused["detail"]
    api.post("code/apply", {"patch_id": patch}).problem(409)
    approved = ours.reviewer.post(f"code/patches/{patch}/approve", {"digest": digest}).expect(200)
    assert [approval["self_reviewed"] for approval in approved["approvals"]] == [False]
    ours.viewer.post("code/apply", {"patch_id": patch}).problem(403)

    run = api.wait_for_run(api.post("code/apply", {"patch_id": patch}).expect(202)["run_id"])
    assert (run["status"], run["isolation"]) == ("success", "container")
    tasks = ours.viewer.get(f"spec-sessions/{session['id']}/tasks").expect(200)["items"]
    assert next(item for item in tasks if item["id"] == task["id"])["status"] == "done"
    return {"project": project, "session": session["id"], "patch": patch, "run": run["id"], "task": task["id"]}


def paths(made: dict[str, Any]) -> list[str]:
    return [
        f"projects/{made['project']['id']}",
        f"spec-sessions/{made['session']}",
        f"spec-sessions/{made['session']}/tasks",
        f"tasks/{made['task']}",
        f"code/patches/{made['patch']}",
        f"exec/{made['run']}",
        f"exec/{made['run']}/logs",
    ]


@pytest.mark.timeout(600)
def test_two_tenants_do_the_main_job_at_once(team_studio: Studio, companies: tuple[Company, Company]) -> None:
    with ThreadPoolExecutor(2) as both:
        jobs = [
            both.submit(main_job, each, slug, provider)
            for each, slug, provider in zip(companies, ("semver", "luhn"), ("openai", "anthropic"), strict=True)
        ]
        made = [job.result(500) for job in jobs]
    for ours, theirs in ((0, 1), (1, 0)):
        for person in companies[ours].people():
            assert [item["id"] for item in person.get("projects").expect(200)["items"]] == [made[ours]["project"]["id"]]
            assert [item["id"] for item in person.get("spec-sessions").expect(200)["items"]] == [made[ours]["session"]]
            for path in paths(made[ours]):
                person.get(path).expect(200)
            for path in paths(made[theirs]):
                person.get(path).problem(404)
    for ours, company_ in zip(made, companies, strict=True):
        repository = team_studio.data_dir / "repositories" / str(company_.tenant) / f"{ours['project']['id']}.git"
        command = ["git", f"--git-dir={repository}", "log", "-1", "--format=%B", "main"]
        message = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert f"DevStudio-Run: {ours['run']}" in message
        assert "(self-reviewed)" not in message


@pytest.mark.timeout(600)
def test_whoever_holds_both_roles_still_needs_a_second_person(team: Team, team_studio: Studio) -> None:
    with team.api(team_studio.url, new_id(), user="solo", roles=("executor", "reviewer")) as api:
        project = api.project(**json.loads((EXAMPLES / "luhn/example.json").read_text())["project"])
        session = api.session(project["id"])
        documents = {"documents": {"requirements": (EXAMPLES / "luhn/requirements.md").read_text()}}
        api.put(f"spec-sessions/{session['id']}", documents).expect(200)
        task = api.post("plan", {"session_id": session["id"], "stage": "tasks"}).expect(200)["tasks"][0]
        patch = api.post("code/generate", {"task_id": task["id"]}).expect(201)["patch_id"]
        digest = api.post("code/preview", {"patch_id": patch}).expect(200)["digest"]
        refused = api.post(f"code/patches/{patch}/approve", {"digest": digest}).problem(409)
        assert "someone else has to approve it" in refused["detail"]
        api.post("code/apply", {"patch_id": patch}).problem(409)
