"""Public shapes of models and usage."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import Field, field_serializer, field_validator

from devstudio_server.web.schemas import Payload, Shape


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
    endpoint: str = Field("", description="The server that has it; the first part of the id.")
    outside: bool = Field(default=True, description="False when it runs inside the company's own house.")


class ModelList(Shape):
    """The models of this server. ``offline`` is always among them."""

    items: list[Model]
    next_cursor: str | None = None


MAX_SETTING_BYTES = 16_384


class AgentSettingsWrite(Payload):
    """Which model works on a project, and within which limits; all of it, as it shall be from now on."""

    model: str = Field(min_length=1, max_length=200, description="The id of one of `GET ai/models`.")
    temperature: float = Field(0.7, ge=0, le=2)
    max_tokens: int = Field(4000, ge=1, le=1_000_000, description="Tokens in one reply.")
    policy: dict[str, Any] = Field(default_factory=dict, description="Rules of use, by name.")
    token_limits: dict[str, int] = Field(default_factory=dict, description="Most tokens, by operation.")

    @field_validator("policy", "token_limits")
    @classmethod
    def _is_small(cls, value: dict[str, Any]) -> dict[str, Any]:
        size = len(json.dumps(value, ensure_ascii=False).encode())
        if size > MAX_SETTING_BYTES:
            message = f"has {size} bytes; at most {MAX_SETTING_BYTES} are kept"
            raise ValueError(message)
        return value

    @field_validator("policy")
    @classmethod
    def _limits_money(cls, value: dict[str, Any]) -> dict[str, Any]:
        limit = value.get("call_limit_usd")
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float) or not limit >= 0):
            message = "call_limit_usd is a number of US dollars from 0, or null"
            raise ValueError(message)
        return value

    @field_validator("token_limits")
    @classmethod
    def _are_counts(cls, value: dict[str, int]) -> dict[str, int]:
        if any(count < 0 for count in value.values()):
            message = "a limit is a number of tokens from 0"
            raise ValueError(message)
        return value


class AgentSettingsRead(Shape):
    """The settings of a project. ``version`` is 0, and the values are the defaults, until someone sets them."""

    project_id: UUID
    model: str
    model_provider: Provider
    temperature: float
    max_tokens: int
    policy: dict[str, Any]
    token_limits: dict[str, Any]
    version: int
    updated_at: datetime | None


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
    tokens_cache_read: int = Field(0, description="Of `tokens_input`, those that the provider's cache gave.")
    tokens_cache_write: int = Field(0, description="Of `tokens_input`, those that the provider's cache took.")
    warnings: list[str] = Field(default_factory=list, description="What to know about what it cost.")

    @field_serializer("cost_estimated")
    def _as_number(self, value: Decimal) -> float:
        return float(value)
