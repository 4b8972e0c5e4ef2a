"""Public shapes of text from a model."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

from devstudio_server.ai.schemas import UsageRead
from devstudio_server.planning.schemas import MAX_PROMPT, MODEL_ID
from devstudio_server.web.schemas import Payload, Shape


class TextRequest(Payload):
    """What to ask a model. The project, or that of the task, says which model and within which limits."""

    prompt: str = Field(min_length=1, max_length=MAX_PROMPT)
    system: str | None = Field(None, max_length=MAX_PROMPT, description="Who the model shall be, and by which rules.")
    project_id: UUID | None = None
    task_id: UUID | None = Field(None, description="Counts against the budget of the task, too.")
    model: str | None = MODEL_ID
    max_tokens: int | None = Field(None, ge=1, le=1_000_000, description="Tokens of the answer, within the limits.")
    temperature: float | None = Field(None, ge=0, le=2)


class TextResult(Shape):
    """What the model wrote. ``stop`` is ``length`` when it was cut at the limit of tokens."""

    text: str
    stop: Literal["end", "length", "refusal"]
    model: str
    usage: UsageRead
