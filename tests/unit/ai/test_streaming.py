"""Replies that come piece by piece: told at once, kept when they break or are stopped, and billed once."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any, Literal

import pytest

from devstudio_server.ai.errors import (
    ClientLeft,
    ProviderDisconnected,
    ProviderError,
    ProviderFailed,
    ProviderMalformed,
    ProviderTimedOut,
)
from devstudio_server.ai.gateway import Gateway
from devstudio_server.kit.stopping import StopSignal
from support.ai_world import GOOD_PLAN, World, plan_conversation
from support.model_server import Answer, Call, Fault, Flow

LONG_PLAN = Answer(calls=[Call("write_documents", {"requirements": "# Requirements\n" + "word " * 400})])
BOTH = Answer("Here it is.", calls=[Call("write_documents", {"requirements": "# Ação “ü”\n"})], flow=Flow(piece=3))
WAIT_S = 20.0
# Far beyond what a test waits: that something ends is then never the work of this timeout.
FAR_S = 120.0


def streamed(answer: Answer, **flow: Any) -> Answer:
    return replace(answer, flow=Flow(**flow))


def pieces(world: World, kind: str) -> str:
    return "".join(event["text"] for event in world.events if event["phase"] == "delta" and event["kind"] == kind)


def test_every_piece_is_told_in_its_order(world: World) -> None:
    outcome = world.converse(world.gateway([BOTH]), plan_conversation())
    assert outcome.answer.requirements == "# Ação “ü”\n"
    assert pieces(world, "text") == "Here it is."
    assert '"requirements"' in pieces(world, "tool")
    names = {event["name"] for event in world.events if event.get("kind") == "tool"}
    assert names == {"write_documents"}
    assert sum(event["phase"] == "delta" for event in world.events) > 10


def test_a_piece_is_told_while_the_rest_is_held_back(world: World) -> None:
    flow = Flow(after=1, then="hold")
    gateway = world.gateway([replace(LONG_PLAN, flow=flow)], timeout_s=FAR_S)
    told: list[str] = []

    def tell(event: dict[str, Any]) -> None:
        if event["phase"] == "delta" and not flow.release.is_set():
            told.append(event["text"])
            flow.release.set()

    outcome = in_time(
        lambda: gateway.converse(plan_conversation(), units=world.units, actor=world.actor, progress=tell)
    )
    assert len(told) == 1
    assert "".join(told) in '{"requirements": "# Requirements'
    assert outcome.usage.calls == 1


def in_time(work: Any) -> Any:
    """Return what ``work`` returns, or raise what it raises; fail when it hangs."""
    box: dict[str, Any] = {}

    def run() -> None:
        try:
            box["value"] = work()
        except BaseException as error:  # noqa: BLE001 - raised again below
            box["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(WAIT_S)
    assert not thread.is_alive(), "it hangs"
    if "error" in box:
        raise box["error"]
    return box["value"]


BREAKS: dict[Literal["end", "cut", "reset", "garbage", "error"], type[ProviderError]] = {
    "end": ProviderDisconnected,
    "cut": ProviderDisconnected,
    "reset": ProviderDisconnected,
    "garbage": ProviderMalformed,
    "error": ProviderFailed,
}


@pytest.mark.parametrize("then", BREAKS)
def test_a_broken_stream_is_an_error_billed_once_and_not_repeated(
    world: World, then: Literal["end", "cut", "reset", "garbage", "error"]
) -> None:
    gateway = world.gateway([streamed(LONG_PLAN, after=4, then=then), GOOD_PLAN], retries=3)
    with pytest.raises(ProviderError) as raised:
        world.converse(gateway, plan_conversation())
    assert type(raised.value) is BREAKS[then]
    assert raised.value.partial is not None
    assert raised.value.partial.tool_calls[0].raw == pieces(world, "tool")
    assert len(pieces(world, "tool")) == 4 * 16
    assert len(world.requests) == 1
    (row,) = world.rows()
    assert not row.success
    assert row.estimated
    assert row.tokens_input > 0
    assert row.tokens_output == 16  # 64 characters, four a token
    assert row.cost_estimated > 0


@pytest.mark.parametrize("then", ["silent", "endless"])
def test_a_stream_that_never_ends_is_ended_in_time(world: World, then: Literal["silent", "endless"]) -> None:
    gateway = world.gateway([streamed(LONG_PLAN, after=2, then=then)], timeout_s=0.5)
    with pytest.raises(ProviderTimedOut):
        in_time(lambda: world.converse(gateway, plan_conversation()))
    assert world.server is not None
    assert world.server.left.acquire(timeout=WAIT_S)
    (row,) = world.rows()
    assert row.tokens_output >= 8


def test_a_stream_far_beyond_its_limit_is_ended(world: World) -> None:
    gateway = world.gateway([streamed(Answer("x" * 3_000_000), piece=100_000)], max_tokens=10)
    with pytest.raises(ProviderMalformed):
        world.converse(gateway, plan_conversation())
    assert len(pieces(world, "text")) < 400_000
    assert len(world.rows()) == 1


def stop_when(world: World, gateway: Gateway, condition: threading.Event, stop: StopSignal) -> None:
    """Converse in a thread of its own, and stop from this one."""
    errors: list[BaseException] = []

    def tell(event: dict[str, Any]) -> None:
        world.events.append(event)
        if event["phase"] == "delta":
            condition.set()

    def run() -> None:
        try:
            gateway.converse(plan_conversation(), units=world.units, actor=world.actor, progress=tell, left=stop)
        except BaseException as error:  # noqa: BLE001 - looked at below
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert condition.wait(WAIT_S)
    stop.set()
    thread.join(WAIT_S)
    assert not thread.is_alive(), "the stop did not end the call"
    assert [type(error) for error in errors] == [ClientLeft]


def test_stop_in_mid_stream_closes_the_connection_keeps_the_text_and_bills_once(world: World) -> None:
    gateway = world.gateway([streamed(LONG_PLAN, after=3, then="silent"), GOOD_PLAN], timeout_s=FAR_S, retries=2)
    seen = threading.Event()
    stop_when(world, gateway, seen, StopSignal())
    assert world.server is not None
    assert world.server.left.acquire(timeout=WAIT_S)
    assert pieces(world, "tool").startswith('{"requirements":')
    assert len(world.requests) == 1
    (row,) = world.rows()
    assert not row.success
    assert row.tokens_input > 0
    assert row.tokens_output > 0
    # The line that was cut hurts no other call.
    assert world.converse(gateway, plan_conversation()).usage.calls == 1


def test_stop_before_the_first_byte(world: World) -> None:
    arrived = threading.Event()

    class Silent:
        def think(self, _request: object) -> Fault:
            arrived.set()
            return Fault(silent=True)

    gateway = world.gateway(Silent(), timeout_s=FAR_S)
    stop_when(world, gateway, arrived, StopSignal())
    (row,) = world.rows()
    assert row.tokens_input > 0
    assert row.tokens_output == 0


def test_an_event_that_calls_nobody_back_stops_at_the_next_piece(world: World) -> None:
    left = threading.Event()
    gateway = world.gateway([LONG_PLAN])

    def tell(event: dict[str, Any]) -> None:
        world.events.append(event)
        if event["phase"] == "delta":
            left.set()

    with pytest.raises(ClientLeft):
        gateway.converse(plan_conversation(), units=world.units, actor=world.actor, progress=tell, left=left)
    assert sum(event["phase"] == "delta" for event in world.events) == 1
    assert len(world.rows()) == 1


def test_what_a_listener_raises_ends_the_call_and_is_no_fault_of_the_provider(world: World) -> None:
    def tell(event: dict[str, Any]) -> None:
        if event["phase"] == "delta":
            raise ValueError

    gateway = world.gateway([LONG_PLAN])
    with pytest.raises(ValueError, match=r"^$"):
        gateway.converse(plan_conversation(), units=world.units, actor=world.actor, progress=tell)
    assert len(world.rows()) == 1
    assert world.rows()[0].tokens_input > 0
