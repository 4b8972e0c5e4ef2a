"""What happens around a call: repeats, models that take over, and the limits of a project."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from devstudio_server.ai.budget_errors import BudgetExceeded
from devstudio_server.ai.endpoints import Endpoint, TokenPrice
from devstudio_server.ai.errors import (
    ClientLeft,
    ModelUnknown,
    ProviderError,
    ProviderFailed,
    ProviderRateLimited,
    ProviderTimedOut,
    ProviderUnreachable,
    TokenLimitReached,
)
from devstudio_server.ai.gateway import Gateway
from devstudio_server.ai.schemas import Provider
from devstudio_server.ai.use import ModelUse
from devstudio_server.kit.stopping import StopSignal
from support.ai_world import GOOD_CHANGE, GOOD_PLAN, KEY, World, generation_conversation, plan_conversation
from support.model_server import Answer, Brain, Call, Fault, Flow, ModelServer, ScriptBrain, SeenRequest

NO_WAIT = {"retry-after-ms": "1"}
SAFE = {
    "rate limit": Fault(429, NO_WAIT),
    "internal": Fault(500, NO_WAIT),
    "overloaded": Fault(529, NO_WAIT),
    "cut before anything": Fault(cut=True),
    "reset": Fault(reset=True),
    "an error before any piece": Answer("x" * 100, flow=Flow(after=0, then="error")),
}


@pytest.mark.parametrize("name", SAFE)
def test_what_is_safe_is_repeated(world: World, name: str) -> None:
    gateway = world.gateway([SAFE[name], GOOD_PLAN], retries=1)
    outcome = world.converse(gateway, plan_conversation())
    assert outcome.answer.requirements == "# Requirements\n"
    assert len(world.requests) == 2
    assert [row.success for row in world.rows()] == [False, True]
    assert outcome.usage.calls == 2


def test_no_more_often_than_allowed(world: World) -> None:
    with pytest.raises(ProviderFailed):
        world.converse(world.gateway([SAFE["internal"]], retries=3), plan_conversation())
    assert len(world.requests) == 4
    assert [row.success for row in world.rows()] == [False] * 4


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
def test_what_would_fail_again_is_not_repeated(world: World, status: int) -> None:
    with pytest.raises(ProviderError):
        world.converse(world.gateway([Fault(status, NO_WAIT), GOOD_PLAN], retries=3), plan_conversation())
    assert len(world.requests) == 1


def test_silence_before_the_first_byte_is_repeated_and_both_are_recorded(world: World) -> None:
    gateway = world.gateway([Fault(silent=True), GOOD_PLAN], retries=1, timeout_s=0.5)
    world.converse(gateway, plan_conversation())
    first, second = world.rows()
    assert (first.success, first.estimated, first.tokens_output) == (False, True, 0)
    assert first.tokens_input > 0
    assert second.success


@pytest.mark.parametrize("asked", ["3600", "31", "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_who_is_asked_to_wait_long_is_told_so_at_once(world: World, asked: str) -> None:
    with pytest.raises(ProviderRateLimited) as raised:
        world.converse(world.gateway([Fault(429, {"retry-after": asked}), GOOD_PLAN], retries=5), plan_conversation())
    assert len(world.requests) == 1
    assert int(raised.value.headers["Retry-After"]) >= 20


def test_a_stop_ends_the_wait(world: World) -> None:
    gateway = world.gateway([Fault(429, {"retry-after": "29"}), GOOD_PLAN], retries=5)
    stop = StopSignal()

    def tell(event: dict[str, Any]) -> None:
        if "called again" in event.get("message", ""):
            stop.set()

    with pytest.raises(ClientLeft):
        gateway.converse(plan_conversation(), units=world.units, actor=world.actor, progress=tell, left=stop)
    assert len(world.requests) == 1


@dataclass
class Spare:
    """A second server, of the other protocol than the first."""

    protocol: Provider
    start: Callable[[Brain], ModelServer]
    server: ModelServer | None = None

    def endpoint(self, script: list[Answer | Fault], **changes: Any) -> Endpoint:
        self.server = self.start(ScriptBrain(script))
        endpoint = Endpoint(
            name="house",
            protocol=self.protocol,
            api_key=KEY,
            models=("spare",),
            base_url=self.server.url if self.protocol is Provider.ANTHROPIC else self.server.openai_base_url,
            prices={"spare": TokenPrice(Decimal(1), Decimal(1))},
        )
        return replace(endpoint, **changes)

    @property
    def requests(self) -> list[SeenRequest]:
        assert self.server is not None
        return self.server.requests


@pytest.fixture
def other(world: World, start_server: Callable[[Brain], ModelServer]) -> Spare:
    return Spare(Provider.ANTHROPIC if world.protocol == "openai" else Provider.OPENAI, start_server)


FALLBACK = ModelUse(policy={"fallback": ["nobody/knows", "house/spare"]})


@pytest.mark.parametrize("fault", [Fault(429), Fault(500), Fault(503)])
def test_another_model_takes_over(world: World, other: Spare, fault: Fault) -> None:
    gateway = world.gateway([fault], named_endpoints=(other.endpoint([GOOD_PLAN]),))
    outcome = world.converse(gateway, plan_conversation(settings=FALLBACK))
    assert outcome.model.id == "house/spare"
    assert outcome.usage.model == "house/spare"
    assert any("house/spare answered instead" in warning for warning in outcome.usage.warnings)
    assert [(row.provider, row.success) for row in world.rows()] == [(world.protocol, False), ("house", True)]
    assert world.rows()[1].cost_estimated == Decimal(1100) / 1_000_000


def test_another_model_takes_over_where_nobody_listens(world: World, other: Spare) -> None:
    with ModelServer(ScriptBrain([GOOD_PLAN])) as closed:
        settings = world.settings(closed, named_endpoints=(other.endpoint([GOOD_PLAN]),))
    outcome = world.converse(world.open(settings), plan_conversation(settings=FALLBACK))
    assert outcome.model.id == "house/spare"


def test_the_other_model_goes_on_with_what_the_first_has_read(world: World, other: Spare) -> None:
    read = Answer("Let me look.", calls=[Call("read_file", {"path": "README.md"})])
    gateway = world.gateway([read, Fault(500)], named_endpoints=(other.endpoint([GOOD_CHANGE]),))
    outcome = world.converse(gateway, generation_conversation(settings=FALLBACK))
    assert outcome.model.id == "house/spare"
    (request,) = other.requests
    assert [turn.role for turn in request.turns] == ["user", "assistant", "tool"]
    assert (request.turns[1].text, request.turns[1].calls[0].name) == ("Let me look.", "read_file")
    assert "# Hello" in request.turns[2].text


@pytest.mark.parametrize("fault", [Fault(400), Fault(401), Answer("x" * 99, flow=Flow(after=2, then="error"))])
def test_nobody_takes_over_what_is_wrong_or_has_begun(world: World, other: Spare, fault: Fault | Answer) -> None:
    gateway = world.gateway([fault], named_endpoints=(other.endpoint([GOOD_PLAN]),))
    with pytest.raises(ProviderError):
        world.converse(gateway, plan_conversation(settings=FALLBACK))
    assert other.requests == []


def test_no_outside_model_takes_over_from_one_in_the_house(world: World, other: Spare) -> None:
    house = other.endpoint([Fault(500)], outside=False)
    gateway = world.gateway([GOOD_PLAN], named_endpoints=(house,))
    use = ModelUse(policy={"fallback": [f"{world.protocol}/{world.model}"]})
    with pytest.raises(ProviderFailed):
        world.converse(gateway, plan_conversation(model="house/spare", settings=use))
    assert world.requests == []


def test_without_a_policy_nobody_takes_over(world: World, other: Spare) -> None:
    gateway = world.gateway([Fault(500)], named_endpoints=(other.endpoint([GOOD_PLAN]),))
    with pytest.raises(ProviderFailed):
        world.converse(gateway, plan_conversation())
    assert other.requests == []


def test_settings_of_the_project_reach_the_model(world: World) -> None:
    use = ModelUse(temperature=0.25, max_tokens=321)
    world.converse(world.gateway([GOOD_PLAN]), plan_conversation(settings=use))
    assert world.requests[0].body["temperature"] == 0.25
    assert world.requests[0].max_tokens == 321


def test_a_model_that_takes_no_temperature_is_asked_without(world: World) -> None:
    refused = Fault(400, message="Unsupported value: 'temperature' does not support 0.25 with this model.")
    gateway = world.gateway([refused, GOOD_PLAN])
    for _ in range(2):
        outcome = world.converse(gateway, plan_conversation(settings=ModelUse(temperature=0.25)))
        assert outcome.usage.calls == 1
    assert ["temperature" in request.body for request in world.requests] == [True, False, False]


def test_without_settings_the_model_keeps_its_own_temperature(world: World) -> None:
    world.converse(world.gateway([GOOD_PLAN], max_tokens=500), plan_conversation(settings=ModelUse(max_tokens=900)))
    assert "temperature" not in world.requests[0].body
    assert world.requests[0].max_tokens == 500


@pytest.mark.parametrize("limits", [{"plan": 10}, {"plan": 0}])
def test_the_limit_of_tokens_is_kept_before_the_call(world: World, limits: dict[str, int]) -> None:
    with pytest.raises(TokenLimitReached) as raised:
        world.converse(world.gateway([GOOD_PLAN]), plan_conversation(settings=ModelUse(token_limits=limits)))
    assert raised.value.status == 429
    assert world.requests == []


def test_the_limit_of_tokens_counts_all_calls_and_bounds_the_last(world: World) -> None:
    use = ModelUse(token_limits={"plan": 2000, "generation": 1})
    bad = Answer("no call", usage=(1000, 100))
    with pytest.raises(TokenLimitReached):
        world.converse(world.gateway([bad, bad, bad]), plan_conversation(prompt="p" * 3000, settings=use))
    first, *_others = world.requests
    assert first.max_tokens is not None
    assert first.max_tokens < 1300
    assert len(world.requests) == 1


def test_the_limit_of_one_call_is_kept_before_the_call(world: World) -> None:
    use = ModelUse(policy={"call_limit_usd": 0.0001})
    with pytest.raises(BudgetExceeded):
        world.converse(world.gateway([GOOD_PLAN]), plan_conversation(settings=use))
    assert world.requests == []
    assert world.rows() == []


@pytest.mark.parametrize("limit", ["much", -1, None, True, [1], "nan"])
def test_a_limit_that_is_no_amount_is_none(limit: object) -> None:
    assert ModelUse(policy={"call_limit_usd": limit}).call_limit is None


def test_many_calls_at_once_share_the_lines(world: World) -> None:
    gateway: Gateway = world.gateway([GOOD_PLAN])
    failed: list[BaseException] = []

    def run() -> None:
        try:
            world.converse(gateway, plan_conversation())
        except BaseException as error:  # noqa: BLE001 - counted below
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(world.rows()) == 40


def test_unreachable_is_repeated(world: World) -> None:
    with ModelServer(ScriptBrain([GOOD_PLAN])) as closed:
        settings = world.settings(closed, retries=1)
    with pytest.raises(ProviderUnreachable):
        world.converse(world.open(settings), plan_conversation())
    assert len(world.rows()) == 2
    assert sum(row.cost_estimated for row in world.rows()) == 0


def test_timeouts_are_not_repeated_for_ever(world: World) -> None:
    with pytest.raises(ProviderTimedOut):
        world.converse(world.gateway([Fault(silent=True)], retries=1, timeout_s=0.3), plan_conversation())
    assert len(world.rows()) == 2


def test_what_a_tenant_may_not_use_is_not_called_by_any_way(world: World, other: Spare) -> None:
    models = {str(world.tenant()): [f"{world.protocol}/*"]}
    gateway = world.gateway([Fault(500)], named_endpoints=(other.endpoint([GOOD_PLAN]),), tenant_models=models)
    with pytest.raises(ModelUnknown):
        world.converse(gateway, plan_conversation(model="house/spare"))
    with pytest.raises(ProviderFailed):
        world.converse(gateway, plan_conversation(settings=FALLBACK))
    assert other.requests == []
