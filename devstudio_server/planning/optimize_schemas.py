"""Public shapes of what is sent to a model, and of how it could be less."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from devstudio_server.planning.schemas import MAX_PROMPT, MODEL_ID
from devstudio_server.web.schemas import Payload, Shape


class Optimized(StrEnum):
    """The operation whose prompt is looked at."""

    GENERATION = "generation"
    PLAN = "plan"


class OptimizeRequest(Payload):
    """What to look at: the generation for a task, or the planning of a session; exactly one of the two."""

    task_id: UUID | None = None
    session_id: UUID | None = None
    operation: Optimized | None = Field(None, description="Follows from the id; given, it must agree with it.")
    model: str | None = MODEL_ID
    instructions: str | None = Field(None, max_length=MAX_PROMPT, description="As they would be sent along.")

    @property
    def wanted(self) -> Optimized:
        """The operation that the id means."""
        return Optimized.GENERATION if self.task_id is not None else Optimized.PLAN

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.task_id is None) == (self.session_id is None):
            message = "name a task_id or a session_id, and not both"
            raise ValueError(message)
        if self.operation not in {None, self.wanted}:
            message = f"the operation of this id is {self.wanted.value}"
            raise ValueError(message)
        return self


class OptimizePart(Shape):
    """A part of the prompt. ``why`` says what brought it in, ``cut`` what is missing; ``share`` is of all tokens."""

    name: str
    kind: str
    tokens: int
    tokens_whole: int
    share: float
    why: str
    cut: str | None


class OptimizeOmitted(Shape):
    """What is not sent, and why; ``tokens`` is what it would have been, 0 where nobody looked."""

    name: str
    kind: str
    why: str
    count: int
    tokens: int


class OptimizeDuplicate(Shape):
    """Text that is there more than once: the whole of two, most lines of two, or lines within one."""

    kind: Literal["same", "near", "repeated"]
    names: list[str]
    lines: int
    tokens: int = Field(description="What is sent again.")


class OptimizeCache(Shape):
    """What the provider's cache can give, and gave.

    ``stable`` are the parts before the first difference between the prompt of this task and that of ``compared_with``,
    another task of the session; they come from the cache when both are asked for soon after each other. Calls for one
    task share the whole prompt.
    """

    stable: list[str]
    tokens_stable: int
    compared_with: str | None
    calls: int
    tokens_input: int
    tokens_read: int
    tokens_written: int
    hit_rate: float = Field(description="Of all tokens sent so far, the share that came from the cache.")


class OptimizeSize(Shape):
    """Tokens of one call's prompt, an estimate, and its cost in US dollars; null when nobody knows the price."""

    tokens: int
    cost: float | None


class OptimizeSuggestion(Shape):
    """What would make the prompt better; ``tokens`` is what it concerns."""

    code: str
    message: str
    tokens: int


class OptimizeResult(Shape):
    """What is sent for a task or a session, part by part.

    ``before`` is the prompt without choosing: the documents whole, and whole every file that has to do with the task;
    ``after`` is what is sent.
    """

    task_id: UUID | None
    session_id: UUID
    operation: Optimized
    model: str
    tokens_budget: int | None
    parts: list[OptimizePart]
    omitted: list[OptimizeOmitted]
    duplicates: list[OptimizeDuplicate]
    cache: OptimizeCache
    before: OptimizeSize
    after: OptimizeSize
    suggestions: list[OptimizeSuggestion]
    warnings: list[str]
