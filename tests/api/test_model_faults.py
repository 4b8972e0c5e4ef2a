"""Answers of a model that cannot be used: the cause is named, the cost recorded, and nothing is applied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.model_environment import MODEL_KEY
from support.model_server import Answer, Call, Fault, ModelServer, ScriptBrain
from support.studio import Api, Studio

MODELS = {"openai": 0, "anthropic": 0}
DOCUMENT = "# Requirements\n### Requirement 1: One\n#### Acceptance Criteria\n1. THE SYSTEM SHALL work\n"
TASKS = "# Tasks\n- [ ] 1. Do it\n  - _Requirements: 1.1_\n"


@pytest.fixture
def script(model_server: ModelServer) -> Iterator[Any]:
    """Let the model server follow a script, and give it its examples back afterwards."""
    usual = model_server.brain

    def follow(*answers: Answer | Fault) -> None:
        model_server.brain = ScriptBrain(answers)

    yield follow
    model_server.brain = usual


@pytest.fixture(params=["openai", "anthropic"])
def model(api: Api, request: pytest.FixtureRequest) -> str:
    models = api.get("ai/models").expect(200)["items"]
    return str(next(item["id"] for item in models if item["provider"] == request.param))


@pytest.fixture
def task(api: Api) -> dict[str, Any]:
    session = api.session(api.project()["id"])
    documents = {"requirements": DOCUMENT, "tasks": TASKS}
    api.put(f"spec-sessions/{session['id']}", {"documents": documents}).expect(200)
    return dict(api.get(f"spec-sessions/{session['id']}/tasks").expect(200)["items"][0])


def propose(path: str = "a.py", action: str = "create", content: str | None = "x = 1\n") -> Answer:
    file = {"path": path, "action": action} | ({} if content is None else {"content": content})
    return Answer(calls=[Call("propose_changes", {"summary": "s", "files": [file]})])


GOOD = propose()
WRONG = {
    "no tool call": Answer("Here is the code: x = 1"),
    "an unknown tool": Answer(calls=[Call("delete_everything", {})]),
    "invalid arguments": Answer(calls=[Call("propose_changes", {"files": "none"})]),
    "a path outside": propose("../../etc/passwd"),
    "an absolute path": propose("/etc/passwd"),
    "git's own folder": propose(".git/hooks/post-checkout"),
    "a disguised git folder": propose(".GIT/config"),
    "the spec's folder": propose(".devstudio/specs/x/requirements.md"),
    "a missing file deleted": propose("gone.py", "delete", None),
    "nothing changed": Answer(calls=[Call("propose_changes", {"summary": "s", "files": []})]),
    "cut at the limit": Answer("x = ", stop="length"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_answer_is_fed_back_once(
    api: Api, script: Any, task: dict[str, Any], model: str, wrong: Answer, model_server: ModelServer
) -> None:
    script(wrong, GOOD)
    before = len(model_server.requests)
    patch = api.post("code/generate", {"task_id": task["id"], "model": model}).expect(201)
    assert [file["path"] for file in patch["files"]] == ["a.py"]
    assert patch["usage"]["calls"] == 2
    assert patch["usage"]["tokens_input"] == 2000, "the wrong answer is paid for, too"
    assert len(model_server.requests) == before + 2


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_second_wrong_answer_is_an_error_that_says_why(
    api: Api, script: Any, task: dict[str, Any], model: str, wrong: Answer
) -> None:
    script(wrong)
    problem = api.post("code/generate", {"task_id": task["id"], "model": model}).problem(502)
    assert len(problem["detail"]) > 40
    assert api.get("code/patches", task_id=task["id"]).expect(200)["items"] == []
    assert api.get(f"tasks/{task['id']}").expect(200)["status"] == "todo"


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault(status=401), 503),
        (Fault(status=429, headers={"retry-after": "0"}), 503),
        (Fault(status=500), 502),
        (Fault(cut=True), 503),
        (Fault(body=b"{not json"), 502),
    ],
)
def test_a_provider_that_fails(
    api: Api, studio: Studio, script: Any, task: dict[str, Any], model: str, fault: Fault, status: int
) -> None:
    script(fault)
    problem = api.post("code/generate", {"task_id": task["id"], "model": model}).body
    assert problem["status"] in {status, 429}, problem
    assert problem["detail"]
    assert MODEL_KEY not in str(problem)
    assert MODEL_KEY not in studio.log


def test_a_failed_plan_leaves_the_documents_as_they_are(api: Api, script: Any, model: str) -> None:
    session = api.session(api.project()["id"])
    before = api.put(f"spec-sessions/{session['id']}", {"documents": {"requirements": DOCUMENT}}).expect(200)
    script(Answer("no tool"))
    api.post("plan", {"session_id": session["id"], "stage": "all", "model": model}).problem(502)
    assert api.get(f"spec-sessions/{session['id']}").expect(200) == before


def test_a_document_that_a_person_changed_meanwhile_is_not_overwritten(
    api: Api, model_server: ModelServer, model: str
) -> None:
    session = api.session(api.project()["id"])
    api.put(f"spec-sessions/{session['id']}", {"documents": {"requirements": DOCUMENT}}).expect(200)
    usual = model_server.brain

    class MeddlingBrain:
        def think(self, _request: Any) -> Answer:
            typed = {"documents": {"requirements": DOCUMENT + "2. THE SYSTEM SHALL rest\n"}}
            api.put(f"spec-sessions/{session['id']}", typed).expect(200)
            return Answer(calls=[Call("write_documents", {"requirements": "# Requirements\nmodel's own\n"})])

    model_server.brain = MeddlingBrain()
    try:
        body = {"session_id": session["id"], "stage": "requirements", "model": model}
        problem = api.post("plan", body).problem(409)
    finally:
        model_server.brain = usual
    assert problem["proposal"] == {"requirements": "# Requirements\nmodel's own\n"}
    kept = api.get(f"spec-sessions/{session['id']}").expect(200)["documents"]["requirements"]["content"]
    assert "SHALL rest" in kept


def test_planning_tells_its_progress(api: Api, script: Any, model: str) -> None:
    session = api.session(api.project()["id"])
    script(Answer(calls=[Call("write_documents", {"requirements": DOCUMENT})]))
    body = {"session_id": session["id"], "stage": "requirements", "model": model}
    events = list(api.events("POST", "plan", body))
    assert [event["event"] for event in events][-1] == "result"
    assert {"reading", "model", "saving"} <= {
        event["data"]["phase"] for event in events if event["event"] == "progress"
    }
    assert "SHALL work" in events[-1]["data"]["documents"]["requirements"]["content"]
    script(Answer("no tool"))
    last = list(api.events("POST", "plan", body))[-1]
    assert last["event"] == "error"
    assert last["data"]["status"] == 502
