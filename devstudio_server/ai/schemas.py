"""Public shapes of models and usage."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from pydantic import Field, field_serializer

from devstudio_server.web.schemas import Shape


class Provider(StrEnum):
    """Who answers. ``offline`` is rules and templates on this server, no model at all."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    OFFLINE = "offline"


class Model(Shape):
    """A model that may be named in a request. Prices are US dollars per million tokens; null when unknown."""

    id: str
    provider: Provider
    name: str
    context_window: int | None
    price_input: float | None
    price_output: float | None
    default: bool = False


class ModelList(Shape):
    """The models of this server. ``offline`` is always among them."""

    items: list[Model]
    next_cursor: str | None = None


class UsageRead(Shape):
    """What one operation used, over all its calls. ``cost_estimated`` is in US dollars.

    ``estimated`` when a provider gave no token counts that can be true: they were made from the length of the texts.
    """

    model: str
    provider: Provider
    tokens_input: int
    tokens_output: int
    cost_estimated: Decimal = Field(description="US dollars")
    estimated: bool = False
    calls: int
    duration_ms: int

    @field_serializer("cost_estimated")
    def _as_number(self, value: Decimal) -> float:
        return float(value)
