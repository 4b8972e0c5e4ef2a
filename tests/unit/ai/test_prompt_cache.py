"""What is marked for a provider's cache, and what it tells of it."""

from __future__ import annotations

from typing import Any

from support.ai_world import GOOD_CHANGE, GOOD_PLAN, World, generation_conversation, plan_conversation
from support.model_server import Answer, Call

READ = Answer(calls=[Call("list_files", {}), Call("read_file", {"path": "README.md"})])


def marks(body: dict[str, Any]) -> list[str]:
    """Return where a request to Anthropic has a mark for the cache."""
    found = ["system" for block in body["system"] if "cache_control" in block]
    for index, message in enumerate(body["messages"]):
        content = message["content"]
        found += [
            f"{index}.{place}"
            for place, block in enumerate(content if isinstance(content, list) else [])
            if "cache_control" in block
        ]
    return found


def test_anthropic_is_told_what_comes_again(world: World) -> None:
    world.converse(world.gateway([READ, READ, GOOD_CHANGE]), generation_conversation())
    bodies = [request.body for request in world.requests]
    if world.protocol == "openai":
        assert "cache_control" not in str(bodies)
        return
    # The system text with the tools before it, the prompt, and the end of what was said so far.
    assert [marks(body) for body in bodies] == [["system", "0.0"], ["system", "0.0", "2.1"], ["system", "0.0", "4.1"]]


def test_what_is_asked_once_is_not_written_into_the_cache(world: World) -> None:
    world.converse(world.gateway([GOOD_PLAN]), plan_conversation())
    if world.protocol == "anthropic":
        assert marks(world.requests[0].body) == ["system"]


def test_a_request_begins_with_the_one_before_it(world: World) -> None:
    world.converse(world.gateway([READ, GOOD_CHANGE]), generation_conversation())
    first, second = (request for request in world.requests)
    assert first.body["tools"] == second.body["tools"]
    assert first.system == second.system
    assert second.turns[: len(first.turns)] == first.turns


def test_cache_figures_are_kept_and_cost_what_they_cost(world: World) -> None:
    cached = Answer(calls=GOOD_PLAN.calls, usage=(10_000, 100), cached=(9_000, 500))
    outcome = world.converse(world.gateway([cached, GOOD_PLAN]), plan_conversation())
    (row,) = world.rows()
    assert (row.tokens_input, row.tokens_cache_read) == (10_000, 9_000)
    assert (outcome.usage.tokens_cache_read, outcome.usage.tokens_cache_write) == (9_000, row.tokens_cache_write)
    if world.protocol == "anthropic":
        assert row.tokens_cache_write == 500
    world.converse(world.gateway([Answer(calls=GOOD_PLAN.calls, usage=(10_000, 100))]), plan_conversation())
    assert row.cost_estimated < world.rows()[1].cost_estimated
