"""One conversation with a model under the model contract: tools, one correction, and a record of every call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar
from uuid import UUID

from devstudio_server.ai.calls import Calls, Line
from devstudio_server.ai.contract import ContractViolation, read_answer, reading_tools, terminal_tool
from devstudio_server.ai.errors import ClientLeft, ModelContractError, ModelRefusal
from devstudio_server.ai.metering import reply_size
from devstudio_server.ai.ports import (
    AssistantMessage,
    Message,
    ModelReply,
    ModelRequest,
    RepositoryReader,
    ToolCall,
    ToolMessage,
    ToolResult,
    UserMessage,
)
from devstudio_server.ai.reading import READING_TOOLS, ReadingBounds, RepositoryTools
from devstudio_server.ai.restricted import visible_reader
from devstudio_server.ai.schemas import Model, UsageRead
from devstudio_server.ai.subjects import PlanSubject, Subject
from devstudio_server.ai.use import ModelUse
from devstudio_server.web.schemas import Payload

T = TypeVar("T", bound=Payload)


@dataclass(frozen=True)
class Conversation(Generic[T]):
    """What is asked of a model.

    ``answer`` is the shape of the answer, `WriteDocuments` or `ProposeChanges`. ``check`` judges what only the caller
    can, and raises `ContractViolation` with a message for the model. ``reader`` lets the model read the task's base
    tree. ``earlier`` are the turns of a conversation that goes on: `Outcome.follow_up` makes them. ``settings``
    are the project's, from `AgentSettingsService.use`.
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
    project_id: UUID | None = None
    session_id: UUID | None = None
    settings: ModelUse = field(default_factory=ModelUse)


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


class Dialogue(Generic[T]):
    """Runs one `Conversation` to its `Outcome`."""

    def __init__(self, conversation: Conversation[T], line: Line, bounds: ReadingBounds, max_calls: int) -> None:
        """Prepare the first request."""
        self._conversation = conversation
        self._line = line
        self._calls = Calls(line)
        self._max_calls = max_calls
        self._messages: list[Message] = [*(conversation.earlier or (UserMessage(conversation.prompt),))]
        self._terminal = terminal_tool(conversation.answer)
        reader = conversation.reader and visible_reader(conversation.reader, self._calls.model)
        self._repository = RepositoryTools(reader, bounds) if reader else None
        self._tools = (*(reading_tools() if self._repository else ()), self._terminal)

    def run(self) -> Outcome[T]:
        """Call the model until it answers.

        A first violation of the contract is fed back, a second one raises `ModelContractError`. Raises `ProviderError`,
        `ModelRefusal` and `ClientLeft` as well; what was used until then is recorded in every case.
        """
        corrected = False
        for _ in range(self._max_calls):
            try:
                answer = self._turn()
            except _Violation as violation:
                if corrected:
                    raise ModelContractError(self._calls.model.id, str(violation)) from None
                corrected = True
                self._messages += violation.turns
                self._calls.report(f"The answer could not be used, so the model is told and asked again: {violation}")
                continue
            if answer is not None:
                return Outcome(answer, self._calls.usage(), self._calls.model, tuple(self._messages))
        cause = f"it made {self._max_calls} calls without coming to `{self._terminal.name}`."
        raise ModelContractError(self._calls.model.id, cause)

    def _turn(self) -> T | None:
        """Call once. ``None`` means that the model only read; its turn and the results are in the conversation then."""
        self._calls.report(f"Asking {self._calls.model.id}")
        called = self._calls.call(self._request())
        answer: T | None = None
        usable = False
        try:
            answer = self._judge(called.reply, called.request.max_tokens)
            if answer is not None:
                self._messages.append(called.reply.as_message())
            usable = True
        finally:
            size = None if answer is None else reply_size(called.reply)
            self._calls.settle(called, success=usable, diff_size=size)
        return answer

    def _request(self) -> ModelRequest:
        return ModelRequest(
            model=self._calls.model.name,
            system=self._conversation.system,
            messages=tuple(self._messages),
            tools=self._tools,
            max_tokens=self._line.max_tokens,
            temperature=self._line.temperature,
            subject=self._conversation.subject,
            reader=self._conversation.reader,
        )

    def _judge(self, reply: ModelReply, max_tokens: int) -> T | None:
        """Return the answer, or ``None`` after answering readings.

        Raises `_Violation`, `ModelRefusal` and `ClientLeft`.
        """
        if reply.stop == "stopped":
            raise ClientLeft
        if reply.stop == "refusal":
            raise ModelRefusal(self._calls.model.id)
        if reply.stop == "length":
            limit = f"the answer was cut at the limit of {max_tokens} tokens."
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
        answer = read_answer(call, self._conversation.answer)
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
            self._calls.report(f"The model reads the repository ({call.name})")
            results.append(repository.answer(call))
        self._messages += [reply.as_message(), ToolMessage(tuple(results))]

    def _violation(self, reply: ModelReply, cause: str) -> _Violation:
        """Answer each call of the broken turn, as both protocols demand, or the turn itself when it made none."""
        feedback = f"Your answer could not be used: {cause} Nothing was applied. Answer again, and mend this."
        results = tuple(ToolResult(call.id, feedback, is_error=True) for call in reply.tool_calls)
        reaction: Message = ToolMessage(results) if results else UserMessage(feedback)
        return _Violation(cause, (reply.as_message(), reaction))


class _Violation(Exception):
    """The model broke the contract. ``turns`` continue the conversation: its own turn, and what was wrong with it."""

    def __init__(self, cause: str, turns: tuple[Message, ...]) -> None:
        super().__init__(cause)
        self.turns = turns
