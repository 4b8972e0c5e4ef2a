"""The offline provider through the gateway: same contract, no cost, and nothing but the subject is read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devstudio_server.ai.contract import ContractViolation, ProposeChanges
from devstudio_server.ai.errors import ModelContractError
from devstudio_server.ai.gateway import Gateway, GatewaySettings
from devstudio_server.ai.offline.names import LABEL
from devstudio_server.ai.service import MetricService
from support.ai_world import GOOD_PLAN, World, generation_conversation, plan_conversation, plan_subject
from support.databases import Database


@pytest.fixture
def offline(database: Database) -> Iterator[World]:
    def start(_brain: object) -> None:
        raise AssertionError("the offline provider needs no server")

    world = World("openai", database, start)  # type: ignore[arg-type]
    yield world
    world.units.engine.dispose()


def test_plan_costs_nothing_and_is_recorded(offline: World) -> None:
    gateway = Gateway(GatewaySettings())
    subject = plan_subject(prompt="- Export CSV")
    outcome = offline.converse(gateway, plan_conversation(subject=subject, prompt="SECRET"))
    assert LABEL in (outcome.answer.requirements or "")
    assert "SECRET" not in (outcome.answer.requirements or "")
    assert outcome.answer.design is None
    assert (outcome.usage.model, outcome.usage.estimated) == ("offline", False)
    assert outcome.usage.cost_estimated == 0
    (row,) = offline.rows()
    assert (row.provider, row.tokens_input, row.tokens_output, row.success) == ("offline", 0, 0, True)
    again = offline.converse(gateway, plan_conversation(subject=subject))
    assert again.answer == outcome.answer


def test_generation_is_a_valid_proposal(offline: World) -> None:
    outcome = offline.converse(Gateway(GatewaySettings()), generation_conversation(model="offline"))
    assert outcome.answer.summary.startswith(LABEL)
    assert {file.action for file in outcome.answer.files} == {"create"}


def test_a_check_that_fails_ends_as_for_any_model(offline: World) -> None:
    def never(_answer: ProposeChanges) -> None:
        message = "the path is bad."
        raise ContractViolation(message)

    with pytest.raises(ModelContractError, match="the path is bad"):
        offline.converse(Gateway(GatewaySettings()), generation_conversation(check=never))
    assert [row.success for row in offline.rows()] == [False, False]


def test_totals_by_task_and_tenant(world: World) -> None:
    first = plan_conversation(task_id=(one := world.tenant()))
    gateway = world.gateway([GOOD_PLAN])
    for conversation in (first, first, plan_conversation()):
        world.converse(gateway, conversation)
    with world.units.begin(world.actor, read_only=True) as session:
        totals, of_one = MetricService(session).totals(), MetricService(session).totals(task_id=one)
        nobody = MetricService(session).totals(task_id=world.actor.user_id)
    assert (totals.calls, totals.tokens_input, totals.tokens_output) == (3, 3000, 300)
    assert (of_one.calls, of_one.cost_estimated) == (2, 2 * world.rows()[0].cost_estimated)
    assert nobody.calls == nobody.cost_estimated == 0
