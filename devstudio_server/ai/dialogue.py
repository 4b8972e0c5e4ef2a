"""One conversation with a model under the model contract: tools, one correction, and a record of every call."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import ValidationError

from devstudio_server.ai.contract import ContractViolation, explain_invalid, reading_tools, terminal_tool
from devstudio_server.ai.errors import ClientLeft, ModelContractError, ModelRefusal, ProviderError
from devstudio_server.ai.ledger import CallRecord, Ledger
from devstudio_server.ai.metering import CountedTokens, count, count_unanswered, reply_size, request_size
from devstudio_server.ai.ports import (
    AssistantMessage,
    Message,
    ModelAdapter,
    ModelReply,
    ModelRequest,
    RepositoryReader,
    ToolCall,
    ToolMessage,
    ToolResult,
    UserMessage,
)
from devstudio_server.ai.reading import READING_TOOLS, ReadingBounds, RepositoryTools
from devstudio_server.ai.schemas import Model, Provider, UsageRead
from devstudio_server.ai.subjects import PlanSubject, Subject
from devstudio_server.web.schemas import Payload

T = TypeVar("T", bound=Payload)


@dataclass(frozen=True)
class Conversation(Generic[T]):
    """What is asked of a model.

    ``answer`` is the shape of the answer, `WriteDocuments` or `ProposeChanges`. ``check`` judges what only the caller
    can, and raises `ContractViolation` with a message for the model. ``reader`` lets the model read the task's base
    tree. ``earlier`` are the turns of a conversation that goes on: `Outcome.follow_up` makes them.
    """

    operation: Literal["plan", "generation"]
    model: str | None
    system: str
    prompt: str
    answer: type[T]
    subject: Subject
    reader: RepositoryReader | None = None
    task_id: UUID | None = None
    check: Callable[[T], None] | None = None
    earlier: tuple[Message, ...] = ()


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """A valid answer, what it used over all calls, and the model that gave it. ``turns`` are the whole conversation."""

    answer: T
    usage: UsageRead
    model: Model
    turns: tuple[Message, ...] = ()

    def follow_up(self, feedback: str) -> tuple[Message, ...]:
        """Return the turns with which the conversation goes on after ``feedback`` on the answer."""
        last = self.turns[-1]
        calls = last.tool_calls if isinstance(last, AssistantMessage) else ()
        return (*self.turns, ToolMessage(tuple(ToolResult(call.id, feedback) for call in calls)))


@dataclass(frozen=True)
class Line:
    """What a conversation runs on: the model and its adapter, the bounds, the ledger, and who listens."""

    model: Model
    adapter: ModelAdapter
    ledger: Ledger
    bounds: ReadingBounds
    max_calls: int
    max_tokens: int
    progress: Callable[[dict[str, Any]], None]
    left: threading.Event


class Dialogue(Generic[T]):
    """Runs one `Conversation` to its `Outcome`."""

    def __init__(self, conversation: Conversation[T], line: Line) -> None:
        """Prepare the first request."""
        self._conversation = conversation
        self._line = line
        self._messages: list[Message] = [*(conversation.earlier or (UserMessage(conversation.prompt),))]
        self._terminal = terminal_tool(conversation.answer)
        self._repository = RepositoryTools(conversation.reader, line.bounds) if conversation.reader else None
        self._tools = (*(reading_tools() if self._repository else ()), self._terminal)

    def run(self) -> Outcome[T]:
        """Call the model until it answers.

        A first violation of the contract is fed back, a second one raises `ModelContractError`. Raises `ProviderError`,
        `ModelRefusal` and `ClientLeft` as well; what was used until then is recorded in every case.
        """
        corrected = False
        for _ in range(self._line.max_calls):
            try:
                answer = self._turn()
            except _Violation as violation:
                if corrected:
                    raise ModelContractError(self._line.model.id, str(violation)) from None
                corrected = True
                self._messages += violation.turns
                self._report(f"The answer could not be used, so the model is told and asked again: {violation}")
                continue
            if answer is not None:
                return Outcome(answer, self._line.ledger.usage(), self._line.model, tuple(self._messages))
        cause = f"it made {self._line.max_calls} calls without coming to `{self._terminal.name}`."
        raise ModelContractError(self._line.model.id, cause)

    def _turn(self) -> T | None:
        """Call once. ``None`` means that the model only read; its turn and the results are in the conversation then."""
        if self._line.left.is_set():
            raise ClientLeft
        self._report(f"Asking {self._line.model.id}")
        request = self._request()
        reply, duration_ms = self._call(request)
        answer: T | None = None
        usable = False
        try:
            answer = self._judge(reply)
            if answer is not None:
                self._messages.append(reply.as_message())
            usable = True
        finally:
            size = None if answer is None else reply_size(reply)
            tokens = self._count(request, reply)
            self._line.ledger.record(CallRecord(tokens, duration_ms, request_size(request), usable, size))
        return answer

    def _call(self, request: ModelRequest) -> tuple[ModelReply, int]:
        """Return the reply and how many milliseconds it took; a failed call is recorded here."""
        started = time.monotonic()
        try:
            return self._line.adapter.reply(request), _milliseconds_since(started)
        except ProviderError as error:
            tokens = count_unanswered(request) if error.may_be_billed else CountedTokens()
            self._line.ledger.record(
                CallRecord(tokens, _milliseconds_since(started), request_size(request), success=False)
            )
            raise

    def _request(self) -> ModelRequest:
        return ModelRequest(
            model=self._line.model.name,
            system=self._conversation.system,
            messages=tuple(self._messages),
            tools=self._tools,
            max_tokens=self._line.max_tokens,
            subject=self._conversation.subject,
            reader=self._conversation.reader,
        )

    def _count(self, request: ModelRequest, reply: ModelReply) -> CountedTokens:
        offline = self._line.model.provider is Provider.OFFLINE
        return CountedTokens() if offline else count(request, reply)

    def _judge(self, reply: ModelReply) -> T | None:
        """Return the answer, or ``None`` after answering readings; raises `_Violation` and `ModelRefusal`."""
        if reply.stop == "refusal":
            raise ModelRefusal(self._line.model.id)
        if reply.stop == "length":
            limit = f"the answer was cut at the limit of {self._line.max_tokens} tokens."
            raise self._violation(reply, f"{limit} A whole answer must fit into one call.")
        if not reply.tool_calls:
            raise self._violation(reply, f"there was no tool call. Only `{self._terminal.name}` carries an answer.")
        causes = []
        for call in reply.tool_calls:
            if call.name == self._terminal.name:
                try:
                    return self._answer(call)
                except ContractViolation as error:
                    causes.append(str(error))
        if causes:
            raise self._violation(reply, causes[0])
        self._read(reply)
        return None

    def _answer(self, call: ToolCall) -> T:
        """Turn a call of the terminal tool into the answer; raises `ContractViolation`."""
        if call.arguments is None:
            message = f"the arguments of `{call.name}` were no JSON object."
            raise ContractViolation(message)
        try:
            answer = self._conversation.answer.model_validate(call.arguments)
        except ValidationError as error:
            message = f"the arguments of `{call.name}` were wrong: {explain_invalid(error)}."
            raise ContractViolation(message) from error
        self._check_stages(answer)
        if self._conversation.check:
            self._conversation.check(answer)
        return answer

    def _check_stages(self, answer: T) -> None:
        subject = self._conversation.subject
        stages = subject.stages if isinstance(subject, PlanSubject) else ()
        missing = [stage for stage in stages if not (getattr(answer, stage, None) or "").strip()]
        if missing:
            message = f"documents were asked for and are missing or empty: {', '.join(missing)}."
            raise ContractViolation(message)

    def _read(self, reply: ModelReply) -> None:
        """Answer the readings of a turn; raises `_Violation` for a tool that was not offered."""
        repository = self._repository
        unknown = [call.name for call in reply.tool_calls if repository is None or call.name not in READING_TOOLS]
        if unknown or repository is None:
            offered = ", ".join(f"`{tool.name}`" for tool in self._tools)
            raise self._violation(reply, f"there is no tool `{unknown[0][:100]}`. The tools are {offered}.")
        results = []
        for call in reply.tool_calls:
            self._report(f"The model reads the repository ({call.name})")
            results.append(repository.answer(call))
        self._messages += [reply.as_message(), ToolMessage(tuple(results))]

    def _violation(self, reply: ModelReply, cause: str) -> _Violation:
        """Answer each call of the broken turn, as both protocols demand, or the turn itself when it made none."""
        feedback = f"Your answer could not be used: {cause} Nothing was applied. Answer again, and mend this."
        results = tuple(ToolResult(call.id, feedback, is_error=True) for call in reply.tool_calls)
        reaction: Message = ToolMessage(results) if results else UserMessage(feedback)
        return _Violation(cause, (reply.as_message(), reaction))

    def _report(self, message: str) -> None:
        self._line.progress(self._line.ledger.progress(message))


class _Violation(Exception):
    """The model broke the contract. ``turns`` continue the conversation: its own turn, and what was wrong with it."""

    def __init__(self, cause: str, turns: tuple[Message, ...]) -> None:
        super().__init__(cause)
        self.turns = turns


def _milliseconds_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
