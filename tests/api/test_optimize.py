"""What would be sent to a model, told over HTTP: sizes, cuts, duplicates, cache, cost, and nothing that is hidden."""

from __future__ import annotations

from typing import Any

import pytest

from devstudio_server.kit.ids import new_id
from support.commits import commit_files
from support.domain_world import REQUIREMENTS
from support.model_server import Answer, ModelServer, ScriptBrain
from support.studio import Api, Studio

CANARY = "canary-7d1f"
DESIGN = f"""# Design
## Adder
The adder lives in `shop/adder.py` and adds two numbers.
## Letters
Letters go by post.
## Hidden <!-- restricted -->
The adder numbers are {CANARY}.
"""
TASKS = """# Tasks
- [ ] 1. Write the adder of numbers
  - see shop/adder.py
  - _Requirements: 1.1, 1.2_
- [ ] 2. Say thanks in a letter
"""
FILES = {
    "shop/adder.py": "def add_numbers(one, two):\n    return one + two\n",
    "tests/test_adder.py": "from shop.adder import add_numbers\n\n\ndef test_add():\n    add_numbers(1, 2)\n",
    "shop/secret_adder.py": f"NUMBERS = '{CANARY}'\n",
    "package-lock.json": "{}\n",
    "pyproject.toml": "[tool.ruff]\nline-length = 99\n",
    ".devstudio/restricted": "shop/secret*\n",
}


@pytest.fixture(scope="module")
def session(studio: Studio) -> dict[str, Any]:
    api = studio.api
    project = api.project()
    commit_files(studio, project["id"], FILES)
    made = api.session(project["id"])
    documents = {"requirements": REQUIREMENTS, "design": DESIGN, "tasks": TASKS}
    return dict(api.put(f"spec-sessions/{made['id']}", {"documents": documents}).expect(200))


@pytest.fixture
def task(api: Api, session: dict[str, Any]) -> dict[str, Any]:
    return dict(api.get(f"spec-sessions/{session['id']}/tasks").expect(200)["items"][0])


@pytest.fixture(params=["openai", "anthropic"])
def model(api: Api, request: pytest.FixtureRequest) -> dict[str, Any]:
    models = api.get("ai/models").expect(200)["items"]
    return dict(next(item for item in models if item["endpoint"] == request.param))


def test_what_is_sent_for_a_task(api: Api, task: dict[str, Any], model: dict[str, Any]) -> None:
    answer = api.post("ai/optimize", {"task_id": task["id"], "model": model["id"], "instructions": "Keep it short"})
    told = answer.expect(200)
    parts = {(part["kind"], part["name"]): part for part in told["parts"]}
    assert ("file", "shop/adder.py") in parts
    assert "named in the task" in parts["file", "shop/adder.py"]["why"]
    assert "tests shop/adder.py" in parts["test", "tests/test_adder.py"]["why"]
    assert {("design", "Adder"), ("conventions", "pyproject.toml"), ("task", "task"), ("rules", "rules")} <= set(parts)
    assert ("instructions", "instructions of the person") in parts
    assert ("design", "Letters") not in parts
    left = {(one["kind"], one["why"]): one["count"] for one in told["omitted"]}
    assert left["file", "a lock file"] == 1
    assert left["file", "restricted"] == 2, "the file, and the list that names it"
    assert sum(part["tokens"] for part in told["parts"]) <= told["tokens_budget"]
    assert told["after"]["tokens"] < told["before"]["tokens"]
    for size in (told["before"], told["after"]):
        assert size["cost"] == pytest.approx(size["tokens"] * model["price_input"] / 1e6, abs=1e-7)
    assert sum(part["share"] for part in told["parts"]) == pytest.approx(1, abs=0.1)


def test_what_is_hidden_is_neither_shown_nor_named(api: Api, task: dict[str, Any], model: dict[str, Any]) -> None:
    answer = api.post("ai/optimize", {"task_id": task["id"], "model": model["id"]})
    told = answer.expect(200)
    assert CANARY not in str(told)
    assert "secret_adder" not in str(told)
    assert any("design" in warning for warning in told["warnings"])


def test_nothing_is_asked_and_the_same_is_told_again(
    api: Api, task: dict[str, Any], model: dict[str, Any], model_server: ModelServer
) -> None:
    model_server.requests.clear()
    asked = {"task_id": task["id"], "model": model["id"]}
    assert api.post("ai/optimize", asked).expect(200) == api.post("ai/optimize", asked).expect(200)
    assert model_server.requests == []


def test_a_raised_limit_changes_the_budget(api: Api, session: dict[str, Any], task: dict[str, Any]) -> None:
    asked = {"task_id": task["id"]}
    before = api.post("ai/optimize", asked).expect(200)["tokens_budget"]
    path = f"projects/{session['project_id']}/agent-settings"
    settings = api.get(path).expect(200)
    wanted = {name: settings[name] for name in ("model", "temperature", "max_tokens", "policy")}
    api.put(path, {**wanted, "token_limits": {"generation": 1000}}).expect(200)
    told = api.post("ai/optimize", asked).expect(200)
    assert told["tokens_budget"] < before
    assert "cut" in [one["code"] for one in told["suggestions"]]
    assert all(part["tokens_whole"] >= part["tokens"] for part in told["parts"])
    version = api.get(path).expect(200)["version"]
    api.put(path, {**wanted, "token_limits": {}}, version=version).expect(200)


def test_the_prefix_that_tasks_share(api: Api, task: dict[str, Any], model: dict[str, Any]) -> None:
    cache = api.post("ai/optimize", {"task_id": task["id"], "model": model["id"]}).expect(200)["cache"]
    assert cache["compared_with"] == "2"
    assert cache["stable"][0] == "rules"
    assert cache["tokens_stable"] > 100
    assert "task" not in cache["stable"]


def test_cache_hits_of_real_calls_are_counted(
    api: Api, task: dict[str, Any], model: dict[str, Any], model_server: ModelServer
) -> None:
    usual = model_server.brain
    before = api.post("ai/optimize", {"task_id": task["id"]}).expect(200)["cache"]
    model_server.brain = ScriptBrain([Answer("Hello.", usage=(500, 7))])
    try:
        api.post("ai/generate", {"prompt": "Greet.", "model": model["id"], "task_id": task["id"]}).expect(200)
    finally:
        model_server.brain = usual
    after = api.post("ai/optimize", {"task_id": task["id"]}).expect(200)["cache"]
    assert after["calls"] == before["calls"] + 1
    assert after["tokens_input"] == before["tokens_input"] + 500
    assert after["hit_rate"] == pytest.approx(after["tokens_read"] / after["tokens_input"], abs=1e-4)


def test_a_plan_tells_its_documents_and_what_they_repeat(api: Api, model: dict[str, Any]) -> None:
    made = api.session(api.project()["id"])
    twice = "The system adds the two numbers that were given.\n" * 4
    documents = {"requirements": REQUIREMENTS, "design": f"# Design\n## Overview\n{twice}## More\n{REQUIREMENTS}"}
    api.put(f"spec-sessions/{made['id']}", {"documents": documents}).expect(200)
    told = api.post("ai/optimize", {"session_id": made["id"], "model": model["id"]}).expect(200)
    assert told["operation"] == "plan"
    assert {"rules", "session", "requirements", "design"} <= {part["name"] for part in told["parts"]}
    found = {(one["kind"], tuple(one["names"])) for one in told["duplicates"]}
    assert ("near", ("requirements", "design")) in found
    assert ("repeated", ("design",)) in found
    assert "duplicate" in [one["code"] for one in told["suggestions"]]
    assert told["after"]["tokens"] < told["before"]["tokens"]
    assert told["after"]["cost"] < told["before"]["cost"]


def test_offline_costs_nothing_and_sees_what_is_restricted(api: Api, task: dict[str, Any]) -> None:
    told = api.post("ai/optimize", {"task_id": task["id"], "model": "offline"}).expect(200)
    assert told["after"]["cost"] == told["before"]["cost"] == 0
    assert "restricted" not in [one["why"] for one in told["omitted"]]
    assert told["warnings"] == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"task_id": str(new_id()), "session_id": str(new_id())},
        {"task_id": str(new_id()), "operation": "plan"},
        {"session_id": str(new_id()), "operation": "generation"},
        {"session_id": str(new_id()), "operation": "refactor"},
        {"task_id": "1"},
        {"task_id": str(new_id()), "instructions": "x" * 100_001},
        {"task_id": str(new_id()), "apply": True},
    ],
)
def test_what_names_nothing_is_refused(api: Api, body: dict[str, Any]) -> None:
    assert api.post("ai/optimize", body).problem(422)["errors"]


@pytest.mark.parametrize("name", ["task_id", "session_id"])
def test_what_is_not_there_is_not_found(api: Api, name: str) -> None:
    api.post("ai/optimize", {name: str(new_id())}).problem(404)


def test_an_unknown_model_is_refused(api: Api, task: dict[str, Any]) -> None:
    assert api.post("ai/optimize", {"task_id": task["id"], "model": "nobody/nothing"}).status in {404, 422}


def test_documents_of_megabytes_are_answered(api: Api) -> None:
    made = api.session(api.project()["id"])
    body = "Adds numbers that somebody gave before. " * 100
    design = "# Design\n" + "".join(f"## Part {number}\n{body}\n" for number in range(250))
    documents = {"requirements": REQUIREMENTS, "design": design, "tasks": TASKS}
    api.put(f"spec-sessions/{made['id']}", {"documents": documents}).expect(200)
    listed = api.get(f"spec-sessions/{made['id']}/tasks").expect(200)["items"]
    told = api.post("ai/optimize", {"task_id": listed[0]["id"]}).expect(200)
    assert sum(part["tokens"] for part in told["parts"] if part["name"] != "rules") <= told["tokens_budget"]
