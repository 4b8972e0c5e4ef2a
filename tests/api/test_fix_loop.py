"""Proposals over HTTP, tested in real containers before anyone sees them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.domain_world import ADDER, REQUIREMENTS, TASKS
from support.fix_bench import propose
from support.model_server import Answer, ModelServer, ScriptBrain
from support.studio import Api

BROKEN = {**ADDER, "adder.py": "def add(*numbers):\n    return sum(numbers) + 1\n"}


@pytest.fixture
def script(model_server: ModelServer) -> Iterator[Any]:
    """Let the model server follow a script, and give it its examples back afterwards."""
    usual = model_server.brain

    def follow(*answers: Answer) -> None:
        model_server.brain = ScriptBrain(answers)

    yield follow
    model_server.brain = usual


@pytest.fixture
def asked(api: Api) -> dict[str, Any]:
    session = api.session(api.project()["id"])
    documents = {"requirements": REQUIREMENTS, "tasks": TASKS}
    api.put(f"spec-sessions/{session['id']}", {"documents": documents}).expect(200)
    task = api.get(f"spec-sessions/{session['id']}/tasks").expect(200)["items"][0]
    models = api.get("ai/models").expect(200)["items"]
    return {"task_id": task["id"], "model": next(item["id"] for item in models if item["provider"] == "anthropic")}


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
def test_the_second_proposal_mends_the_first_in_real_containers(
    api: Api, script: Any, asked: dict[str, Any], protocol: str
) -> None:
    models = api.get("ai/models").expect(200)["items"]
    model = next(item["id"] for item in models if item["provider"] == protocol)
    script(propose(dict(BROKEN)), propose({"adder.py": ADDER["adder.py"]}))
    events = list(api.events("POST", "code/generate", {**asked, "model": model}))
    result = events[-1]["data"]
    assert (result["stopped"], result["tested"], result["warnings"]) == ("passed", True, [])
    assert [(done["passed"], done["failed"]) for done in result["rounds"]] == [(0, 2), (2, 0)]
    runs = [api.get(f"exec/{done['run_id']}").expect(200) for done in result["rounds"]]
    assert [(run["status"], run["isolation"], run["patch_id"]) for run in runs] == [
        ("failed", "container", None),
        ("success", "container", None),
    ]
    phases = [event["data"]["phase"] for event in events if event["event"] == "progress"]
    assert [phase for phase in phases if phase in {"testing", "tested"}] == ["testing", "tested"] * 2
    patch = api.get(f"code/patches/{result['patch_id']}").expect(200)
    assert (patch["status"], patch["rounds"], patch["stopped"]) == ("pending", result["rounds"], "passed")
    assert api.apply(result["patch_id"])["status"] == "success"


def test_who_gets_stuck_leaves_a_patch_with_a_warning(api: Api, script: Any, asked: dict[str, Any]) -> None:
    script(propose(dict(BROKEN)))
    result = api.post("code/generate", asked).expect(201)
    assert (result["stopped"], result["status"], len(result["rounds"])) == ("stuck", "pending", 1)
    assert "do not pass" in result["warnings"][0]


def test_a_budget_of_nothing_more_ends_the_rounds(api: Api, script: Any, asked: dict[str, Any]) -> None:
    script(propose(dict(BROKEN)), propose(dict(ADDER)))
    for event in (stream := api.events("POST", "code/generate", asked)):
        if event["event"] == "progress" and event["data"]["phase"] == "testing":
            api.put(f"tasks/{asked['task_id']}/budget", {"limit": 0}).expect(200)
            break
    result = list(stream)[-1]["data"]
    assert (result["stopped"], result["status"], len(result["rounds"])) == ("budget", "pending", 1)
