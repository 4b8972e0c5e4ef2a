"""Conversations with a model, through the real SDKs, over HTTP, in both protocols."""

from __future__ import annotations

import threading
from decimal import Decimal
from uuid import uuid4

import pytest

from devstudio_server.ai.contract import ContractViolation, ProposeChanges
from devstudio_server.ai.errors import ClientLeft, ModelContractError, ModelRefusal, ModelUnknown, PriceUnknown
from support.ai_world import (
    FILES,
    GOOD_CHANGE,
    GOOD_PLAN,
    PRICE_INPUT,
    PRICE_OUTPUT,
    MemoryReader,
    World,
    generation_conversation,
    plan_conversation,
    plan_subject,
)
from support.model_server import Answer, Call, Fault

COST_OF_ONE = Decimal(1000 * PRICE_INPUT + 100 * PRICE_OUTPUT) / 1_000_000

NO_CALL = Answer("Here are your requirements: …")
UNKNOWN_TOOL = Answer(calls=[Call("run_shell", {"command": "ls"})])
BAD_ARGUMENTS = Answer(calls=[Call("write_documents", {"requirements": 7, "extra": True})])
MISSING_STAGE = Answer(calls=[Call("write_documents", {"design": "# Design"})])
CUT = Answer(calls=[Call("write_documents", {})], stop="length")
CUT_TEXT = Answer("I was about to", stop="length")
CUT_EMPTY = Answer("", stop="length", usage=(1000, 16_000))

VIOLATIONS = {
    "no tool call": (NO_CALL, "there was no tool call"),
    "unknown tool": (UNKNOWN_TOOL, "there is no tool `run_shell`"),
    "reading without a repository": (Answer(calls=[Call("read_file", {"path": "a"})]), "there is no tool `read_file`"),
    "bad arguments": (BAD_ARGUMENTS, "requirements: Input should be a valid string"),
    "missing stage": (MISSING_STAGE, "missing or empty: requirements"),
    "cut in a call": (CUT, "cut at the limit of 16000 tokens"),
    "cut in text": (CUT_TEXT, "cut at the limit of 16000 tokens"),
    "cut at once": (CUT_EMPTY, "cut at the limit of 16000 tokens"),
}


def test_answer_usage_cost_and_row_of_a_plan(world: World) -> None:
    task_id = uuid4()
    outcome = world.converse(world.gateway([GOOD_PLAN]), plan_conversation(task_id=task_id))
    assert outcome.answer.requirements == "# Requirements\n"
    assert outcome.model.id == f"{world.protocol}/{world.model}"
    assert (outcome.usage.tokens_input, outcome.usage.tokens_output, outcome.usage.calls) == (1000, 100, 1)
    assert outcome.usage.cost_estimated == COST_OF_ONE
    assert not outcome.usage.estimated
    (row,) = world.rows()
    assert (row.operation_type, row.provider, row.model_used) == ("plan", world.protocol, world.model)
    assert (row.tokens_input, row.tokens_output, row.cost_estimated) == (1000, 100, COST_OF_ONE)
    assert (row.task_id, row.success, row.estimated) == (task_id, True, False)
    assert row.tenant_id == world.tenant()
    assert row.context_size is not None
    assert row.context_size > len("You plan.Plan the requirements.")
    assert row.diff_size is not None
    assert row.diff_size >= len("# Requirements\n")


def test_request_carries_system_prompt_tools_and_limit(world: World) -> None:
    world.converse(world.gateway([GOOD_PLAN], max_tokens=777), plan_conversation())
    (request,) = world.requests
    assert (request.system, request.turns[0].text, request.max_tokens) == ("You plan.", "Plan the requirements.", 777)
    assert request.tools == ("write_documents",)
    if world.protocol == "openai":
        assert "max_tokens" not in request.body  # OpenAI's current models refuse it


def test_old_compatible_servers_get_max_tokens(world: World) -> None:
    gateway = world.gateway([GOOD_PLAN], openai_token_parameter="max_tokens")
    world.converse(gateway, plan_conversation())
    assert "max_tokens" in world.requests[0].body
    assert "max_completion_tokens" not in world.requests[0].body


def test_model_reads_the_repository_and_answers(world: World) -> None:
    reading = Answer(
        "Let me look.",
        calls=[Call("list_files", {"glob": "**/*.py"}), Call("read_file", {"path": "app/main.py"})],
    )
    missing = Answer(calls=[Call("read_file", {"path": "../etc/passwd"}), Call("list_files", {})])
    outcome = world.converse(world.gateway([reading, missing, GOOD_CHANGE]), generation_conversation())
    assert outcome.answer.files[0].path == "a.py"
    assert outcome.usage.calls == 3
    assert [row.success for row in world.rows()] == [True, True, True]
    assert world.requests[0].tools == ("read_file", "list_files", "propose_changes")
    listing, text, refused, everything = [turn for turn in world.requests[2].turns if turn.role == "tool"]
    assert "app/main.py" in listing.text.splitlines()
    assert "README.md" not in listing.text
    assert "print('hello')" in text.text.splitlines()
    assert "not instructions" in text.text
    assert "There is no text file '../etc/passwd'" in refused.text
    assert refused.is_error or refused.text.startswith("Error: ")
    assert set(FILES) <= set(everything.text.splitlines())


def test_the_turns_of_the_model_go_back_as_it_made_them(world: World) -> None:
    reading = Answer("Let me look.", calls=[Call("read_file", {"path": "README.md"})])
    world.converse(world.gateway([reading, GOOD_CHANGE]), generation_conversation())
    turn = world.requests[1].turns[1]
    assert (turn.role, turn.text) == ("assistant", "Let me look.")
    assert [(call.name, call.arguments) for call in turn.calls] == [("read_file", {"path": "README.md"})]


def test_reading_is_bounded_in_count_and_bytes(world: World) -> None:
    read = Answer(calls=[Call("read_file", {"path": "big.txt"})])
    gateway = world.gateway(
        [read, read, read, read, GOOD_CHANGE], max_reads=3, max_file_bytes=1000, max_read_bytes=1500
    )
    world.converse(gateway, generation_conversation())
    first, second, third, fourth = [turn.text for turn in world.requests[-1].turns if turn.role == "tool"]
    assert first.count("x" * 10) == 100
    assert "cut after 1000 of 5000 bytes" in first
    assert "cut after 500 of 5000 bytes" in second
    assert "read all 1500 bytes" in third
    assert "used all 3 readings" in fourth


class ObligingReader(MemoryReader):
    """Reads whatever path it is given, listed or not."""

    def read_file(self, path: str) -> str | None:
        return f"the text of {path}"


def test_only_listed_files_are_read_whatever_the_reader_would_do(world: World) -> None:
    paths = ["../secret", "/etc/passwd", "app/../README.md", "readme.md", "README.md"]
    read = Answer(calls=[Call("read_file", {"path": path}) for path in paths])
    conversation = generation_conversation(reader=ObligingReader(FILES))
    world.converse(world.gateway([read, GOOD_CHANGE]), conversation)
    results = [turn.text for turn in world.requests[1].turns if turn.role == "tool"]
    assert ["the text of" in text for text in results] == [False, False, False, False, True]


def test_wrong_arguments_of_a_reading_are_an_error_result(world: World) -> None:
    read = Answer(calls=[Call("read_file", {"file": "README.md"})])
    world.converse(world.gateway([read, GOOD_CHANGE]), generation_conversation())
    result = world.requests[1].turns[-1]
    assert "path: Field required" in result.text


def test_a_model_that_only_reads_is_stopped(world: World) -> None:
    read = Answer(calls=[Call("list_files", {})])
    with pytest.raises(ModelContractError, match="it made 3 calls without coming to `propose_changes`"):
        world.converse(world.gateway([read], max_calls=3), generation_conversation())
    assert len(world.rows()) == 3


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violation_is_fed_back_once(world: World, name: str) -> None:
    bad, cause = VIOLATIONS[name]
    outcome = world.converse(world.gateway([bad, GOOD_PLAN]), plan_conversation())
    assert outcome.answer.requirements == "# Requirements\n"
    assert outcome.usage.calls == 2
    assert [row.success for row in world.rows()] == [False, True]
    feedback = world.requests[1].turns[-1]
    assert cause in feedback.text
    assert feedback.role == ("tool" if bad.calls else "user")


@pytest.mark.parametrize("name", VIOLATIONS)
def test_second_violation_is_an_error_and_both_calls_are_paid(world: World, name: str) -> None:
    bad, cause = VIOLATIONS[name]
    with pytest.raises(ModelContractError) as raised:
        world.converse(world.gateway([NO_CALL, bad]), plan_conversation())
    assert raised.value.status == 502
    assert cause in raised.value.detail
    assert "choose another model" in raised.value.detail
    assert [row.success for row in world.rows()] == [False, False]
    assert [row.tokens_input for row in world.rows()] == [1000, 1000]
    assert world.rows()[0].cost_estimated == COST_OF_ONE


def test_check_of_the_caller_is_fed_back(world: World) -> None:
    def no_a(answer: ProposeChanges) -> None:
        if answer.files[0].path == "a.py":
            message = "the path `a.py` lies outside the tree."
            raise ContractViolation(message)

    good = Call("propose_changes", {"summary": "s", "files": [{"path": "b.py", "action": "delete"}]})
    # Of several calls in one turn the first valid one counts.
    both = Answer(calls=[*GOOD_CHANGE.calls, good])
    outcome = world.converse(world.gateway([GOOD_CHANGE, both]), generation_conversation(check=no_a))
    assert outcome.answer.files[0].path == "b.py"
    assert "outside the tree" in world.requests[1].turns[-1].text


def test_create_without_content_is_invalid(world: World) -> None:
    bad = Answer(calls=[Call("propose_changes", {"summary": "s", "files": [{"path": "b.py", "action": "create"}]})])
    world.converse(world.gateway([bad, GOOD_CHANGE]), generation_conversation())
    assert "`content` is missing" in world.requests[1].turns[-1].text


def test_the_unexpected_in_a_check_still_costs(world: World) -> None:
    def broken(_answer: ProposeChanges) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        world.converse(world.gateway([GOOD_CHANGE]), generation_conversation(check=broken))
    assert [row.success for row in world.rows()] == [False]


def test_arguments_that_are_no_json(world: World) -> None:
    bad = Answer(calls=[Call("write_documents", '{"requirements": "# Req')])
    outcome = world.converse(world.gateway([bad, GOOD_PLAN]), plan_conversation())
    assert outcome.usage.calls == 2
    assert "were no JSON object" in world.requests[1].turns[-1].text


def test_refusal_is_not_asked_again(world: World) -> None:
    with pytest.raises(ModelRefusal, match="declined"):
        world.converse(world.gateway([Answer("", stop="refusal"), GOOD_PLAN]), plan_conversation())
    assert [row.success for row in world.rows()] == [False]


def test_unknown_model_lists_the_known(world: World) -> None:
    with pytest.raises(ModelUnknown) as raised:
        world.converse(world.gateway([GOOD_PLAN]), plan_conversation(model="gpt-0"))
    assert raised.value.status == 422
    assert f"{world.protocol}/{world.model}" in raised.value.detail
    assert "offline" in raised.value.detail
    assert world.rows() == []


def test_unknown_price_refuses_before_the_call(world: World) -> None:
    with pytest.raises(PriceUnknown, match="DEVSTUDIO_MODEL_PRICES"):
        world.converse(world.gateway([GOOD_PLAN]), plan_conversation(model="nobody-knows-its-price"))
    assert world.requests == []
    assert world.rows() == []


@pytest.mark.parametrize(
    ("sent", "tokens_input", "tokens_output"),
    [
        (None, None, None),
        ((None, None), None, None),
        ((-5, 10), None, 10),
        ((1000, -1), 1000, None),
        ((10**15, 10**15), None, None),
        (("many", 1.5), None, None),
        ((0, 0), None, None),
    ],
)
def test_usage_that_cannot_be_true_is_estimated(
    world: World, sent: tuple[object, object] | None, tokens_input: int | None, tokens_output: int | None
) -> None:
    answer = Answer(calls=GOOD_PLAN.calls, usage=sent)
    outcome = world.converse(world.gateway([answer]), plan_conversation(prompt="p" * 4000))
    (row,) = world.rows()
    assert row.estimated
    assert outcome.usage.estimated
    assert row.success
    if tokens_input is None:
        assert 1000 < row.tokens_input < 2000  # four characters a token, the tools' schema included
    else:
        assert row.tokens_input == tokens_input
    if tokens_output is None:
        assert 0 < row.tokens_output < 100
    else:
        assert row.tokens_output == tokens_output
    assert row.cost_estimated > 0


def test_progress_counts_calls_and_cost(world: World) -> None:
    world.converse(world.gateway([NO_CALL, GOOD_PLAN]), plan_conversation())
    assert {event["phase"] for event in world.events} == {"model", "delta"}
    steps = [event for event in world.events if event["phase"] == "model"]
    assert [event["calls"] for event in steps] == [0, 1, 1]
    assert steps[-1]["cost_estimated"] == pytest.approx(float(COST_OF_ONE))
    assert steps[-1]["tokens_input"] == 1000
    assert steps[-1]["model"] == f"{world.protocol}/{world.model}"


def test_no_further_call_once_the_client_has_left(world: World) -> None:
    left = threading.Event()
    gateway = world.gateway([NO_CALL, GOOD_PLAN])

    def leave_after_first(event: dict[str, object]) -> None:
        if event.get("calls") == 1:
            left.set()

    with pytest.raises(ClientLeft):
        gateway.converse(
            plan_conversation(), units=world.units, actor=world.actor, progress=leave_after_first, left=left
        )
    assert len(world.requests) == 1
    assert len(world.rows()) == 1


def test_only_asked_stages_are_required(world: World) -> None:
    both = Answer(calls=[Call("write_documents", {"design": "# D", "tasks": "# T"})])
    subject = plan_subject(stages=("design", "tasks"))
    outcome = world.converse(world.gateway([both]), plan_conversation(subject=subject))
    assert outcome.answer.requirements is None


def test_what_is_safe_to_repeat_is_repeated_and_each_attempt_is_recorded(world: World) -> None:
    busy = Fault(503, headers={"retry-after-ms": "1"})
    outcome = world.converse(world.gateway([busy, GOOD_PLAN], retries=1), plan_conversation())
    assert outcome.usage.calls == 2
    assert len(world.requests) == 2
    assert [(row.success, row.cost_estimated) for row in world.rows()] == [(False, 0), (True, COST_OF_ONE)]
