"""Budgets and costs over HTTP: who sets them, what they refuse, what calls cost, and what a crash leaves behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from devstudio_server.kit.clock import now
from devstudio_server.kit.ids import new_id
from support.databases import Database, Databases, unrestricted
from support.domain_world import REQUIREMENTS, TASKS
from support.model_environment import model_environment
from support.model_server import Answer, Call, Flow, ModelServer, ScriptBrain, SeenRequest
from support.studio import Api, Studio
from support.team import Team

MODEL = "openai/priced"
PRICES = '{"openai/priced": {"input": 1000, "output": 2000}, "openai/free": {"input": 0, "output": 0}}'
COST = 1.2
"""US dollars of one call: 1,000 tokens in, 100 out, at prices that make figures easy to read."""
PLANNED = Answer(calls=[Call("write_documents", {"requirements": REQUIREMENTS})])


class Watched(ScriptBrain):
    """A script that tells when it is asked."""

    def __init__(self, *script: Answer) -> None:
        super().__init__(script)
        self.asked = threading.Event()

    def think(self, request: SeenRequest) -> Any:
        self.asked.set()
        return super().think(request)


@dataclass
class World:
    """A server of a team, its database, and the model."""

    team: Team
    studio: Studio
    database: Database
    model: ModelServer

    def someone(self, tenant: Any = None, *roles: str) -> Api:
        """Return a client of a new tenant, or of ``tenant``."""
        return self.team.api(self.studio.url, tenant or new_id(), **({"roles": roles} if roles else {}))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, team: Team, databases: Databases) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("budgets")
    more = {"DEVSTUDIO_MODEL_PRICES": PRICES, "DEVSTUDIO_OPENAI_MODELS": "priced,free,unpriced"}
    with (
        ModelServer(ScriptBrain([Answer("Hello.")])) as model,
        databases.fresh(folder / "devstudio.db") as database,
        team.studio(folder / "data", model_environment(model) | database.environment() | more) as studio,
    ):
        yield World(team, studio, database, model)


@pytest.fixture
def api(world: World) -> Iterator[Api]:
    world.model.brain = ScriptBrain([Answer("Hello.")])
    with closing(world.someone()) as api:
        yield api


def ask(api: Api, model: str = MODEL, **fields: Any) -> Any:
    return api.post("ai/generate", {"prompt": "Say hello.", "model": model, "max_tokens": 100} | fields)


def a_task(api: Api) -> dict[str, Any]:
    session = api.session(api.project()["id"])
    documents = {"requirements": REQUIREMENTS, "tasks": TASKS}
    api.put(f"spec-sessions/{session['id']}", {"documents": documents}).expect(200)
    task: dict[str, Any] = api.get(f"spec-sessions/{session['id']}/tasks").expect(200)["items"][0]
    return task | {"project_id": session["project_id"]}


def test_a_budget_is_unlimited_until_somebody_sets_it(api: Api) -> None:
    assert api.get("budgets").expect(200) == {
        "scope": "tenant", "project_id": None, "task_id": None, "period": "month", "limit": None, "spent": 0.0,
        "reserved": 0.0, "left": None, "warned": 0, "warned_at": None, "version": 0, "updated_at": None,
    }  # fmt: skip
    made = api.put("budgets", {"limit": 5}, version=0)
    assert made.headers["etag"] == '"1"'
    assert made.expect(200)["left"] == 5
    assert api.put("budgets", {"limit": 6}, version=0).problem(412)["current_version"] == 1
    assert api.put("budgets", {"limit": 6, "period": "total"}, version=1).expect(200)["period"] == "total"
    assert api.put("budgets", {"limit": None}).expect(200)["left"] is None


@pytest.mark.parametrize(
    "body",
    [{}, {"limit": -1}, {"limit": "much"}, {"limit": 1e12}, {"limit": 1, "period": "week"}, {"limit": 1, "spent": 0}],
)
def test_what_is_no_limit_is_refused(api: Api, body: dict[str, Any]) -> None:
    api.put("budgets", body).problem(422)


def test_only_an_administrator_sets_budgets_and_each_tenant_has_its_own(world: World) -> None:
    tenant = new_id()
    with closing(world.someone(tenant)) as admin, closing(world.someone()) as eve:
        task = a_task(admin)
        paths = ("budgets", f"projects/{task['project_id']}/budget", f"tasks/{task['id']}/budget")
        for path in paths:
            admin.put(path, {"limit": 7}).expect(200)
        for role in ("reviewer", "executor", "viewer"):
            with closing(world.someone(tenant, role)) as other:
                for path in paths:
                    assert other.put(path, {"limit": 8}).problem(403)["permission"] == "budget:update"
                    assert other.get(path).expect(200)["limit"] == 7
        for path in paths[1:]:
            eve.get(path).problem(404)
            eve.put(path, {"limit": 8}).problem(404)
        assert eve.get("budgets").expect(200)["limit"] is None
        eve.get("ai/costs", task_id=task["id"]).problem(404)


def test_nothing_that_costs_passes_a_limit_of_nothing(api: Api, world: World) -> None:
    api.put("budgets", {"limit": 0}).expect(200)
    before = len(world.model.requests)
    problem = ask(api).problem(429)
    assert (problem["type"], problem["scope"]) == ("urn:devstudio:problem:BudgetExceeded", "tenant")
    assert (problem["limit"], problem["spent"], problem["left"]) == (0, 0, 0)
    assert problem["needed"] > COST
    assert len(world.model.requests) == before, "nothing was sent"
    ask(api, "openai/free").expect(200)
    session = api.session(api.project()["id"])
    api.post("plan", {"session_id": session["id"], "stage": "all", "model": "offline"}).expect(200)
    ask(api, "openai/unpriced").problem(503)


def test_the_narrowest_budget_that_does_not_suffice_is_named(api: Api) -> None:
    task = a_task(api)
    wide, narrow = {"limit": 1000}, {"limit": 0.5}
    asked = {"task_id": task["id"]}
    for path, scope in ((f"tasks/{task['id']}", "task"), (f"projects/{task['project_id']}", "project")):
        api.put(f"{path}/budget", narrow).expect(200)
        assert ask(api, **asked).problem(429)["scope"] == scope
        api.put(f"{path}/budget", wide).expect(200)
    settings = {"model": MODEL, "policy": {"call_limit_usd": 0.5}}
    api.put(f"projects/{task['project_id']}/agent-settings", settings).expect(200)
    assert ask(api, **asked).problem(429)["scope"] == "call"
    for wrong in ("much", -1, True, [1]):
        settings["policy"] = {"call_limit_usd": wrong}
        api.put(f"projects/{task['project_id']}/agent-settings", settings).problem(422)


def test_what_a_call_cost_is_counted_told_and_warned_of_once(api: Api) -> None:
    task = a_task(api)
    api.put("budgets", {"limit": 100}).expect(200)
    usage = ask(api, task_id=task["id"]).expect(200)["usage"]
    assert (usage["cost_estimated"], usage["warnings"]) == (COST, [])
    for path in ("budgets", f"tasks/{task['id']}/budget", f"projects/{task['project_id']}/budget"):
        read = api.get(path).expect(200)
        assert (read["spent"], read["reserved"]) == (COST, 0)
    api.put(f"tasks/{task['id']}/budget", {"limit": 2.3}).expect(200)
    refused = ask(api, task_id=task["id"]).problem(429)
    assert (refused["scope"], refused["spent"], refused["reserved"]) == ("task", COST, 0)
    ask(api, project_id=task["project_id"]).expect(200)
    assert api.get("budgets").expect(200)["left"] == pytest.approx(100 - 2 * COST)


def test_warnings_are_in_the_usage_in_the_budget_and_in_the_events(api: Api) -> None:
    api.put("budgets", {"limit": 6}).expect(200)
    said = [ask(api).expect(200)["usage"]["warnings"] for _ in range(4)]
    assert said == [[], [], [], ["80 % of this month's budget of the tenant are spent: $4.80 of $6.00."]]
    ask(api).problem(429)
    read = api.get("budgets").expect(200)
    assert read["warned"] == 80
    assert read["warned_at"] is not None
    events = api.get("events", types="budget_warning", limit=200).expect(200)["items"]
    assert [(event["payload"]["scope"], event["payload"]["key"]) for event in events] == [("tenant", "80")]
    assert len(api.get("audit", action="budget_warning.created").expect(200)["items"]) == 1


def test_costs_are_told_by_what_the_calls_were_for(api: Api, world: World) -> None:
    task = a_task(api)
    ask(api, task_id=task["id"]).expect(200)
    ask(api, project_id=task["project_id"]).expect(200)
    world.model.brain = ScriptBrain([PLANNED])
    asked = {"session_id": task["session_id"], "stage": "requirements", "model": MODEL}
    api.post("plan", asked).expect(200)

    def costs(group_by: str, **query: str) -> dict[str | None, tuple[str, float]]:
        report = api.get("ai/costs", group_by=group_by, **query).expect(200)
        assert report["total"]["cost"] == pytest.approx(sum(item["cost"] for item in report["items"]))
        return {item["key"]: (item["label"], item["cost"]) for item in report["items"]}

    three = pytest.approx(3 * COST)
    assert costs("model") == {MODEL: (MODEL, three)}
    assert {key for key in costs("operation") if key} >= {"plan"}
    assert costs("project") == {task["project_id"]: ("Project", three)}
    assert costs("session")[task["session_id"]] == ("Session", pytest.approx(2 * COST))
    assert costs("task")[task["id"]] == ("1 Write the adder", COST)
    assert costs("day") == {f"{now():%Y-%m-%d}": (f"{now():%Y-%m-%d}", three)}
    assert costs("model", to="2020-01-01T00:00:00Z") == {}
    assert costs("model", task_id=task["id"]) == {MODEL: (MODEL, COST)}
    criterion = api.get("ai/costs", group_by="criterion").expect(200)
    assert (criterion["accepted_criteria"], criterion["cost_per_accepted_criterion"]) == (0, None)
    report = api.get("ai/costs", task_id=task["id"]).expect(200)
    assert (report["budget"]["scope"], report["budget"]["spent"]) == ("task", COST)
    assert report["total"]["calls"] == 1
    api.get("ai/costs", group_by="mood").problem(422)


def test_a_server_that_is_killed_in_mid_call_leaves_no_reservation_after_its_expiry(world: World, api: Api) -> None:
    """The call's deadline is put into the past; to wait for it would show the same, and take minutes."""
    api.put("budgets", {"limit": 5}).expect(200)
    world.model.brain = brain = Watched(Answer("Hello, and much more.", flow=Flow(piece=4, after=2, then="silent")))

    def lose() -> None:
        with suppress(httpx.HTTPError):
            ask(api, max_tokens=1000)

    caller = threading.Thread(target=lose)
    caller.start()
    assert brain.asked.wait(60)
    world.studio.kill()
    caller.join()
    world.studio.start()
    world.model.brain = ScriptBrain([Answer("Hello.")])
    held = api.get("budgets").expect(200)
    assert (held["spent"], held["reserved"] > 3) == (0, True), "the provider may be at work for it"
    ask(api, max_tokens=1000).problem(429)
    pass_the_deadlines(world.database)
    freed = api.get("budgets").expect(200)
    assert freed["reserved"] == 0
    assert 0 < freed["spent"] < COST, "the input, as far as it can be guessed"
    ask(api, max_tokens=1000).expect(200)
    after = api.get("budgets").expect(200)
    assert (after["reserved"], after["spent"]) == (0, pytest.approx(freed["spent"] + COST))
    assert api.get("ai/costs").expect(200)["total"]["calls"] == 2


def pass_the_deadlines(database: Database) -> None:
    engine = unrestricted(database.engine())
    with engine.begin() as connection:
        changed = connection.execute(
            text("UPDATE ds_budget_reservations SET expires_at = '2026-01-01 00:00:00+00:00' WHERE status = 'open'")
        )
        assert changed.rowcount == 1
    engine.dispose()
