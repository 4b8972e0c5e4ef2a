"""Replays over HTTP, in real containers, of what a model answered over the wire."""

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


def asked(api: Api, protocol: str) -> dict[str, Any]:
    session = api.session(api.project()["id"])
    documents = {"requirements": REQUIREMENTS, "tasks": TASKS}
    api.put(f"spec-sessions/{session['id']}", {"documents": documents}).expect(200)
    task = api.get(f"spec-sessions/{session['id']}/tasks").expect(200)["items"][0]
    models = api.get("ai/models").expect(200)["items"]
    return {"task_id": task["id"], "model": next(item["id"] for item in models if item["provider"] == protocol)}


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
def test_what_a_model_answered_makes_and_passes_the_same_again_without_it(
    api: Api, script: Any, model_server: ModelServer, protocol: str
) -> None:
    script(propose(dict(BROKEN)), propose({"adder.py": ADDER["adder.py"]}))
    made = api.post("code/generate", asked(api, protocol)).expect(201)
    requests = len(model_server.requests)
    run_id = api.post(f"code/patches/{made['patch_id']}/replay", {}).expect(202)["run_id"]
    run = api.wait_for_run(run_id)
    assert (run["status"], run["isolation"], run["patch_id"]) == ("success", "container", None)
    (replay,) = api.get(f"code/patches/{made['patch_id']}/replays").expect(200)["items"]
    assert (replay["run_id"], replay["mismatches"]) == (run_id, [])
    assert (replay["model"]["recorded"], replay["model"]["matches"]) == (True, True)
    assert replay["tree"]["expected"] == replay["tree"]["got"] == run["tree"]
    assert replay["digest"] == {"expected": made["digest"], "got": made["digest"], "matches": True}
    assert (replay["tests"]["expected_passed"], replay["tests"]["passed"]) == (2, 2)
    assert len(model_server.requests) == requests


def test_the_keys_are_public_and_the_patch_says_who_signed_it(api: Api) -> None:
    keys = api.get("signing-keys").expect(200)["items"]
    made = api.post("code/generate", {**asked(api, "offline"), "fix_rounds": 0}).expect(201)
    signature = api.get(f"code/patches/{made['patch_id']}").expect(200)["signature"]
    keys = keys or api.get("signing-keys").expect(200)["items"]
    assert (signature["valid"], signature["problem"]) == (True, None)
    assert signature["key_id"] == keys[0]["key_id"] == keys[0]["fingerprint"][:16]
    assert keys[0]["pem"].startswith("-----BEGIN PUBLIC KEY-----")
    assert "PRIVATE" not in f"{keys}"


def test_a_project_may_keep_no_answers(api: Api) -> None:
    order = {**asked(api, "offline"), "fix_rounds": 0}
    first = api.post("code/generate", order).expect(201)["patch_id"]
    project_id = api.get(f"code/patches/{first}").expect(200)["project_id"]
    settings = {"model": "offline", "policy": {"record_generations": False}}
    api.put(f"projects/{project_id}/agent-settings", settings).expect(200)
    second = api.post("code/generate", order).expect(201)["patch_id"]
    kept = []
    for patch_id in (first, second):
        api.wait_for_run(api.post(f"code/patches/{patch_id}/replay", {}).expect(202)["run_id"])
        kept.append(api.get(f"code/patches/{patch_id}/replays").expect(200)["items"][0]["model"]["recorded"])
    assert kept == [True, False]
