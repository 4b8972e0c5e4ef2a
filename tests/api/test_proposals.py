"""Proposals and approvals of documents over HTTP, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from devstudio_server.kit.ids import new_id
from support.domain_world import REQUIREMENTS, TASKS
from support.model_server import Answer as ModelAnswer
from support.model_server import Call, Flow, ModelServer, ScriptBrain
from support.studio import TOKEN, Answer, Api, Studio
from support.team import Team

MORE = REQUIREMENTS + "3. THE SYSTEM SHALL print the sum.\n"
WISH = "- Add two numbers\n- Print the sum\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, team: Team) -> Iterator[Studio]:
    with team.studio(tmp_path_factory.mktemp("proposals") / "data") as studio:
        yield studio


@pytest.fixture
def session(api: Api) -> dict[str, Any]:
    return api.session(api.project()["id"])


def plan(api: Api, session: dict[str, Any], stage: str = "requirements", **fields: Any) -> Answer:
    asked = {"session_id": session["id"], "stage": stage, "model": "offline", "mode": "propose", **fields}
    return api.post("plan", asked)


def test_a_plan_proposes_and_a_person_accepts_block_by_block(api: Api, session: dict[str, Any]) -> None:
    planned = plan(api, session, prompt=WISH).expect(200)
    proposal = planned["proposal"]
    assert (planned["documents"], planned["tasks"], planned["session_id"]) == (None, None, session["id"])
    assert (proposal["status"], proposal["stage"], proposal["model"]) == ("open", "requirements", "offline")
    assert {block["kind"] for block in proposal["blocks"]} == {"added"}
    home = f"proposals/{proposal['id']}"
    assert api.get(home).expect(200) == proposal
    listed = api.get(f"spec-sessions/{session['id']}/proposals", status="open").expect(200)
    assert [row["id"] for row in listed["items"]] == [proposal["id"]]
    criterion = next(block["id"] for block in proposal["blocks"] if block["key"] == "1.1")
    first = api.post(f"{home}/accept", {"blocks": [criterion]}).expect(200)
    told = {block["key"]: block["accepted"] for block in first["proposal"]["blocks"]}
    assert (told["1"], told["1.1"]) == (True, True), "a criterion brings its requirement"
    assert first["session"]["document_versions"] == {"requirements": 1}
    rest = api.post(f"{home}/accept", {}).expect(200)
    assert rest["proposal"]["status"] == "accepted"
    assert api.post(f"{home}/accept", {}).problem(409)["state"] == "accepted"
    assert api.post(f"{home}/reject", {"reason": "late"}).problem(409)["state"] == "accepted"


def test_a_plan_writes_as_before_when_nobody_says_otherwise(api: Api, session: dict[str, Any]) -> None:
    asked = {"session_id": session["id"], "stage": "all", "model": "offline", "prompt": WISH}
    planned = api.post("plan", asked).expect(200)
    assert planned["proposal"] is None
    assert planned["tasks"]
    assert planned["documents"]["tasks"]["version"] == 1


def test_a_change_meanwhile_is_a_conflict_of_that_block_alone(api: Api, session: dict[str, Any]) -> None:
    proposal = plan(api, session, prompt=WISH).expect(200)["proposal"]
    home = f"proposals/{proposal['id']}"
    written = api.post(f"{home}/accept", {}).expect(200)["session"]["documents"]["requirements"]["content"]
    second = plan(api, session, prompt="- Subtract two numbers\n").expect(200)["proposal"]
    changed = [block for block in second["blocks"] if block["kind"] != "same"]
    assert changed
    mine = written + "\nA note of mine.\n"
    api.put(f"spec-sessions/{session['id']}", {"documents": {"requirements": mine}}).expect(200)
    after = api.post(f"proposals/{second['id']}/accept", {}).expect(200)
    assert "A note of mine." in after["session"]["documents"]["requirements"]["content"]


@pytest.mark.parametrize(
    ("deed", "body", "status"),
    [
        ("accept", {"blocks": []}, 422),
        ("accept", {"blocks": ["requirements.none"]}, 422),
        ("accept", {"blocks": "all"}, 422),
        ("accept", {"everything": True}, 422),
        ("reject", {}, 422),
        ("reject", {"reason": ""}, 422),
        ("reject", {"reason": "x" * 10_001}, 422),
    ],
)
def test_bad_decisions_are_refused_and_decide_nothing(
    api: Api, session: dict[str, Any], deed: str, body: dict[str, Any], status: int
) -> None:
    proposal = plan(api, session, prompt=WISH).expect(200)["proposal"]
    api.post(f"proposals/{proposal['id']}/{deed}", body).problem(status)
    assert api.get(f"proposals/{proposal['id']}").expect(200) == proposal


def test_what_is_not_there_is_404(api: Api, session: dict[str, Any]) -> None:
    for path in (f"proposals/{new_id()}", f"spec-sessions/{new_id()}/proposals"):
        api.get(path).problem(404)
    for deed, body in (("accept", {}), ("reject", {"reason": "x"})):
        api.post(f"proposals/{new_id()}/{deed}", body).problem(404)
    home = f"spec-sessions/{session['id']}/documents"
    api.post(f"{home}/poems/approve", {"version": 1}).problem(404)
    api.post(f"{home}/poems/reopen", {}).problem(404)
    api.get(f"spec-sessions/{session['id']}/proposals", status="odd").problem(422)


@pytest.mark.parametrize("body", [{}, {"version": 0}, {"version": "new"}, {"version": 1, "by": "me"}])
def test_an_approval_names_a_version(api: Api, session: dict[str, Any], body: dict[str, Any]) -> None:
    api.post(f"spec-sessions/{session['id']}/documents/requirements/approve", body).problem(422)


def test_a_document_is_approved_and_an_edit_upstream_makes_it_suspect(api: Api, session: dict[str, Any]) -> None:
    home = f"spec-sessions/{session['id']}"
    assert api.post(f"{home}/documents/requirements/approve", {"version": 1}).problem(409)
    api.put(home, {"documents": {"requirements": REQUIREMENTS, "tasks": TASKS}}).expect(200)
    approved = api.post(f"{home}/documents/tasks/approve", {"version": 1}).expect(200)["documents"]["tasks"]
    assert (approved["status"], approved["approved_by"]) == ("approved", api.get("me").expect(200)["user_id"])
    edited = api.put(home, {"documents": {"requirements": MORE}}).expect(200)["documents"]
    assert edited["tasks"]["status"] == "suspect"
    assert edited["tasks"]["status_reason"] == "In the requirements, criterion 1.3 was added."
    stale = api.post(f"{home}/documents/requirements/approve", {"version": 1}).problem(409)
    assert stale["current_version"] == 2
    reopened = api.post(f"{home}/documents/tasks/reopen", {}).expect(200)["documents"]["tasks"]
    assert (reopened["status"], reopened["approved_by"]) == ("draft", None)


def test_a_policy_makes_approvals_a_condition(api: Api, session: dict[str, Any]) -> None:
    home = f"spec-sessions/{session['id']}"
    settings = {"model": "offline", "policy": {"require_approved_stages": True}}
    api.put(f"projects/{session['project_id']}/agent-settings", settings).expect(200)
    api.put(home, {"documents": {"requirements": REQUIREMENTS}}).expect(200)
    refused = plan(api, session, "design").problem(409)
    assert refused["unapproved"] == {"requirements": "draft"}
    api.post(f"{home}/documents/requirements/approve", {"version": 1}).expect(200)
    assert plan(api, session, "design").expect(200)["warnings"] == []


def test_documents_that_are_too_large_are_refused_clearly(api: Api, session: dict[str, Any]) -> None:
    home = f"spec-sessions/{session['id']}"
    refused = api.put(home, {"documents": {"requirements": "A line.\n" * 650_000}})
    assert refused.status in {413, 422}
    assert api.get(home).expect(200)["documents"]["requirements"]["version"] == 0


def test_a_reviewer_approves_and_a_viewer_reads(team: Team, server: Studio) -> None:
    tenant = new_id()
    with (
        closing(team.api(server.url, tenant)) as admin,
        closing(team.api(server.url, tenant, roles=("reviewer",))) as reviewer,
        closing(team.api(server.url, tenant, roles=("executor",))) as executor,
        closing(team.api(server.url, tenant, roles=("viewer",))) as viewer,
        closing(team.api(server.url, new_id())) as eve,
    ):
        session = admin.session(admin.project()["id"])
        home = f"spec-sessions/{session['id']}"
        admin.put(home, {"documents": {"requirements": REQUIREMENTS}}).expect(200)
        proposal = plan(admin, session, "tasks").expect(200)["proposal"]
        accept, approve = f"proposals/{proposal['id']}/accept", f"{home}/documents/requirements/approve"
        assert executor.post(approve, {"version": 1}).problem(403)["permission"] == "code:approve"
        assert viewer.post(accept, {}).problem(403)["permission"] == "spec:update"
        assert viewer.get(f"proposals/{proposal['id']}").expect(200)["id"] == proposal["id"]
        reviewer.post(approve, {"version": 1}).expect(200)
        executor.post(accept, {}).expect(200)
        for path in (f"proposals/{proposal['id']}", f"{home}/proposals", f"{home}/lint"):
            eve.get(path).problem(404)
        eve.post(accept, {}).problem(404)
        eve.post(approve, {"version": 1}).problem(404)


Script = Callable[[ModelAnswer], None]


@pytest.fixture
def script(model_server: ModelServer) -> Iterator[Script]:
    usual = model_server.brain

    def follow(answer: ModelAnswer) -> None:
        model_server.brain = ScriptBrain([answer])
        model_server.requests.clear()

    yield follow
    model_server.brain = usual


def asked_of(api: Api, session: dict[str, Any], endpoint: str) -> dict[str, Any]:
    models = api.get("ai/models").expect(200)["items"]
    model = next(item["id"] for item in models if item["endpoint"] == endpoint)
    return {"session_id": session["id"], "stage": "requirements", "mode": "propose", "model": model}


@pytest.mark.parametrize("endpoint", ["openai", "anthropic"])
def test_a_proposal_shows_while_the_model_writes_it(
    api: Api, session: dict[str, Any], script: Script, endpoint: str
) -> None:
    flow = Flow(piece=40, after=1, then="hold")
    script(ModelAnswer(calls=[Call("write_documents", {"requirements": REQUIREMENTS})], flow=flow))
    texts, result = [], None
    for event in api.events("POST", "plan", asked_of(api, session, endpoint)):
        if event["event"] == "progress" and event["data"]["phase"] == "delta":
            if not texts:
                assert not flow.release.is_set()
                flow.release.set()
            texts.append(event["data"]["text"])
        elif event["event"] == "result":
            result = event["data"]
    assert len(texts) > 1
    assert "two numbers are given" in "".join(texts)
    assert result is not None
    assert result["proposal"]["status"] == "open"
    assert {block["kind"] for block in result["proposal"]["blocks"]} == {"added"}


def test_who_leaves_in_mid_stream_leaves_no_proposal(
    api: Api, studio: Studio, session: dict[str, Any], script: Script, model_server: ModelServer
) -> None:
    flow = Flow(piece=10, after=3, then="silent")
    script(ModelAnswer(calls=[Call("write_documents", {"requirements": REQUIREMENTS})], flow=flow))
    with Api(studio.url, TOKEN) as leaver:
        for event in leaver.events("POST", "plan", asked_of(api, session, "openai")):
            if event["event"] == "progress" and event["data"]["phase"] == "delta":
                break
    assert model_server.left.acquire(timeout=20)
    assert api.get(f"spec-sessions/{session['id']}/proposals").expect(200)["items"] == []
    assert api.get(f"spec-sessions/{session['id']}").expect(200)["version"] == session["version"]
