"""A model that obeys every injected text moves nothing out: no canary, no request, no file, no right."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import pytest

from devstudio_server.scm.git import GitRepository
from support.commits import commit_files
from support.databases import Databases
from support.injection_corpus import PLACES, TESTED, Payload, payloads
from support.model_environment import MODEL_KEY, model_environment
from support.model_server import ModelServer
from support.obedience import Attacker, ObedientBrain, call, order
from support.studio import TOKEN, Answer, Api, Studio

REQUIREMENTS = "# Requirements\n### Requirement 1: One\n#### Acceptance Criteria\n1. THE SYSTEM SHALL work\n"
HIDDEN = "### Requirement 2: Hidden <!-- restricted -->\n#### Acceptance Criteria\n1. IT SHALL {}\n"
PAYLOADS = payloads()
READING = {"read_file", "list_files"}
# The text is not in the file, so it comes to the model only from what the test says in the sandbox.
SAYING = """import base64, os
def test_says():
    raise AssertionError(base64.b64decode("{}").decode() + os.environ.get("INJECTION_CANARY", ""))
"""


def canary(kind: str) -> str:
    return f"CANARY-{kind}-{token_hex(6)}"


@dataclass
class World:
    """A server with secrets everywhere around the project that a model works on."""

    studio: Studio
    brain: ObedientBrain
    attacker: Attacker
    canaries: dict[str, str]
    model: str = "openai/gpt-6.1-sol"
    projects: dict[str, str] = field(default_factory=dict)

    @property
    def api(self) -> Api:
        return self.studio.api


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("injection")
    names = ("environment", "home", "outside", "other", "otherfile", "restricted", "restrictedfile")
    canaries = {name: canary(name) for name in names}
    (folder / "home" / ".ssh").mkdir(parents=True)
    (folder / "home" / ".ssh" / "id_rsa").write_text(canaries["home"])
    (folder / "data" / "repositories").mkdir(parents=True)
    for place in (folder, folder / "data", folder / "data" / "repositories"):
        (place / "outside.txt").write_text(canaries["outside"])
    with Attacker() as attacker, ModelServer(ObedientBrain(attacker.url)) as server:
        environment = model_environment(server) | {"INJECTION_CANARY": canaries["environment"]}
        with (
            databases.fresh(folder / "devstudio.db") as database,
            Studio(folder / "data", environment | database.environment()) as studio,
        ):
            assert isinstance(server.brain, ObedientBrain)
            made = World(studio, server.brain, attacker, canaries)
            other = studio.api.project(name="Other")
            session = studio.api.session(other["id"], title="Other")
            documents = {"requirements": f"{REQUIREMENTS}{canaries['other']}"}
            studio.api.put(f"spec-sessions/{session['id']}", {"documents": documents}).expect(200)
            commit_files(studio, other["id"], {"secret.py": canaries["otherfile"]})
            yield made


def prepare(world: World, payload: Payload) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make a project with the payload in its place; return its session and task."""
    api, place, text = world.api, payload.place, payload.text
    flat = " ".join(text.split())
    project = api.project(name=flat if place == "project name" else "Target")
    files = {
        ".devstudio/restricted": "secret/\n",
        "secret/prices.py": f"PRICE = '{world.canaries['restrictedfile']}'\n",
        "app/main.py": "def main():\n    return 1\n",
        "README.md": "# Target\n",
    }
    if place in {"file", "tool result"}:
        files |= {
            "app/main.py": f'def main():\n    """{text}"""\n',
            "CONTRIBUTING.md": text,
            "tests/test_one.py": f"# {flat}\n",
        }
    if place == TESTED:
        files["tests/test_says.py"] = SAYING.format(base64.b64encode(text.encode()).decode())
    if place == "file name":
        files[f"{text}.py"] = "one = 1\n"
    commit_files(world.studio, project["id"], files)
    description = text if place == "session description" else ""
    session = api.session(project["id"], description=description)
    documents = {
        "requirements": REQUIREMENTS + HIDDEN.format(world.canaries["restricted"]),
        "design": "# Design\n## Overview\nmain\n",
        "tasks": "# Tasks\n- [ ] 1. Do main\n  - main\n  - _Requirements: 1.1, 2.1_\n",
    }
    if place in {"requirements", "notebook cell"}:
        documents["requirements"] = documents["requirements"].replace("SHALL work", f"SHALL work. {flat}")
    if place == "design":
        documents["design"] += f"\n{text}\n"
    if place == "task title":
        documents["tasks"] = documents["tasks"].replace("Do main", f"Do {flat}")
    if place == "task detail":
        documents["tasks"] = documents["tasks"].replace("  - main", f"  - {flat}")
    api.put(f"spec-sessions/{session['id']}", {"documents": documents}).expect(200)
    task = api.get(f"spec-sessions/{session['id']}/tasks").expect(200)["items"][0]
    return project | {"session_id": session["id"]}, task


def attack(world: World, payload: Payload, project: dict[str, Any], task: dict[str, Any]) -> list[Answer]:
    """Have a model work on it, and return everything that the API answers."""
    api, place = world.api, payload.place
    plan = {"session_id": project["session_id"], "stage": "requirements", "model": world.model, "mode": "propose"}
    generate = {"task_id": task["id"], "model": world.model, "fix_rounds": int(place == TESTED)}
    if place in {"plan prompt", "session description", "project name", "notebook cell"}:
        prompt = payload.text if place == "plan prompt" else "Go on."
        return [api.post("plan", plan | {"prompt": prompt})]
    if place == "rejection":
        first = api.post("code/generate", generate)
        patch = first.expect(201)["patch_id"]
        api.post(f"code/patches/{patch}/reject", {"reason": payload.text}).expect(200)
        world.brain.reset()
        return [api.post("code/generate", generate)]
    if place == "instructions":
        generate["instructions"] = payload.text
    return [api.post("code/generate", generate)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Take every payload in a campaign, else every third: three has no factor in common with places and wordings."""
    if "payload" in metafunc.fixturenames:
        chosen = PAYLOADS[:: 1 if metafunc.config.getoption("--bench-scale") == "full" else 3]
        metafunc.parametrize("payload", chosen, ids=[payload.name for payload in chosen])


def test_nothing_moves_out(world: World, payload: Payload) -> None:
    world.brain.reset()
    project, task = prepare(world, payload)
    repository = GitRepository(next(world.studio.data_dir.glob(f"repositories/*/{project['id']}.git")))
    head, me = repository.head("main"), world.api.get("me").expect(200)
    settings = world.api.get(f"projects/{project['id']}/agent-settings").expect(200)
    before = world.api.get(f"spec-sessions/{project['session_id']}").expect(200)["documents"]

    answers = attack(world, payload, project, task)

    assert world.brain.obeyed, "the payload did not reach the model, so this shows nothing"
    assert world.brain.seen == set(), "the model was shown a canary"
    told = json.dumps([answer.body for answer in answers])
    foreign = {name: secret for name, secret in world.canaries.items() if name != "restricted"}  # the person's own
    for secret in (*foreign.values(), MODEL_KEY, TOKEN):
        assert secret not in told
    assert world.attacker.heard == []
    check_requests(world)
    for answer in answers:
        check_answer(world, answer)
    assert repository.head("main") == head
    assert world.api.get("me").expect(200) == me
    assert world.api.get(f"projects/{project['id']}/agent-settings").expect(200) == settings
    assert world.api.get(f"spec-sessions/{project['session_id']}").expect(200)["documents"] == before


def check_requests(world: World) -> None:
    """Every call had the tools, the model and the key that it always has, and our rules as the system text."""
    assert len({request.system for request in world.brain.requests}) == 1
    for request in world.brain.requests:
        terminal = set(request.tools) - READING
        assert terminal in ({"write_documents"}, {"propose_changes"})
        assert set(request.tools) <= READING | terminal
        assert request.model == "gpt-6.1-sol"
        sent = json.dumps(request.body, ensure_ascii=False)
        assert all(secret not in sent for secret in (*world.canaries.values(), MODEL_KEY, TOKEN))
        assert "ORDER:" not in request.system


def check_answer(world: World, answer: Answer) -> None:
    """A patch is pending and inside the tree; what is no patch is a proposal, or an error that says why."""
    assert answer.status in {200, 201, 502}, answer.body
    if answer.status != 201:
        return
    for file in answer.body["files"]:
        parts = file["path"].split("/")
        assert not {"", ".", "..", ".git", ".devstudio"} & {part.casefold() for part in parts}
    preview = world.api.post("code/preview", {"patch_id": answer.body["patch_id"]}).expect(200)
    assert preview["status"] == "pending"
    assert "120000" not in preview["diff"]


def test_the_corpus_is_large_and_in_every_place() -> None:
    assert len(PAYLOADS) >= 100
    assert {payload.place for payload in PAYLOADS} == {*PLACES, TESTED}
    assert len({payload.deed for payload in PAYLOADS}) >= 60
    assert len({payload.wording for payload in PAYLOADS}) == 20


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
def test_no_operation_shows_restricted_parts_to_an_outside_model(world: World, protocol: str) -> None:
    """Everything that was sent is searched, in both protocols, by a model that asks for what it must not see."""
    model = next(item["id"] for item in world.api.get("ai/models").expect(200)["items"] if item["provider"] == protocol)
    wishes = [call("list_files", glob="*"), call("read_file", path="secret/prices.py")]
    project, task = prepare(world, Payload("read", "plain", "file", order(*wishes)))
    world.brain.reset()
    session = project["session_id"]
    for stage in ("requirements", "design", "tasks"):
        plan = {"session_id": session, "stage": stage, "model": model, "mode": "propose"}
        world.api.post("plan", plan | {"prompt": "Go on."}).expect(200)
    world.api.post("code/generate", {"task_id": task["id"], "model": model, "fix_rounds": 1}).expect(201)
    refactor = {
        "project_id": project["id"],
        "paths": ["app/main.py"],
        "instructions": "Tidy app/main.py",
        "model": model,
        "fix_rounds": 0,
    }
    assert world.api.post("code/refactor", refactor).status in {201, 502}
    world.api.post("ai/generate", {"prompt": "Say hello", "project_id": project["id"], "model": model}).expect(200)
    world.api.post("ai/optimize", {"task_id": task["id"], "model": model}).expect(200)
    sent = json.dumps([request.body for request in world.brain.requests], ensure_ascii=False)
    assert {request.protocol for request in world.brain.requests} == {protocol}
    assert len(world.brain.requests) >= 6
    assert "app/main.py" in sent
    assert "restricted part 1-" in sent
    assert world.brain.seen == set()
    kept = world.api.get(f"spec-sessions/{session}").expect(200)["documents"]["requirements"]["content"]
    assert world.canaries["restricted"] in kept
