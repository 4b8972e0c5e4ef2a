"""What an operator configures of the gateway."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import cast
from uuid import UUID

from pydantic import TypeAdapter

from devstudio_server.ai.cassette_settings import CassetteSettings
from devstudio_server.ai.endpoints import (
    Endpoint,
    SettingsError,
    TokenParameter,
    TokenPrice,
    read_endpoints,
    read_price,
)
from devstudio_server.ai.schemas import Provider

__all__ = ["Endpoint", "GatewaySettings", "SettingsError", "TokenPrice"]

DEFAULT_OPENAI_MODELS = ("gpt-6.1-sol", "gpt-6.1-terra", "gpt-6-luna")
DEFAULT_ANTHROPIC_MODELS = ("claude-sonnet-5-5", "claude-opus-5-5", "claude-haiku-5-5")


@dataclass(frozen=True)
class GatewaySettings:
    """Keys, addresses, models and bounds. A provider without a key is not offered.

    ``max_tokens`` bounds one reply. ``timeout_s`` is how long one call may take, ``connect_timeout_s`` how long its
    connection. ``retries`` is how often a call is made again on 429, 5xx, lost connections and time-outs, while nothing
    of an answer has come. ``max_calls`` and ``max_reads`` bound the calls and the reading tool calls of one
    conversation; ``max_file_bytes`` and ``max_read_bytes`` bound what one reading, and all of them together, hand to
    the model. ``prices`` (by model id) come before the known ones. ``openai_token_parameter`` is the name that the
    server at ``openai_base_url`` takes: OpenAI's current models refuse ``max_tokens``, some old compatible servers know
    nothing else. ``named_endpoints`` are the operator's own servers. ``tenant_models`` are patterns of the ids that a
    tenant may use, by the tenant's id; ``*`` is every tenant that is not named.
    """

    openai_api_key: str | None = field(default=None, repr=False)
    openai_base_url: str | None = field(default=None, repr=False)
    openai_models: tuple[str, ...] = DEFAULT_OPENAI_MODELS
    openai_token_parameter: TokenParameter = "max_completion_tokens"  # noqa: S105 - the name of a parameter
    anthropic_api_key: str | None = field(default=None, repr=False)
    anthropic_base_url: str | None = field(default=None, repr=False)
    anthropic_models: tuple[str, ...] = DEFAULT_ANTHROPIC_MODELS
    default_model: str | None = None
    max_tokens: int = 16_000
    timeout_s: float = 300.0
    connect_timeout_s: float = 10.0
    retries: int = 1
    max_calls: int = 24
    max_reads: int = 60
    max_file_bytes: int = 65_536
    max_read_bytes: int = 524_288
    prices: Mapping[str, TokenPrice] = field(default_factory=dict)
    named_endpoints: tuple[Endpoint, ...] = ()
    tenant_models: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cassette: CassetteSettings | None = None

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> GatewaySettings:
        """Read the variables of ``env``; raises `SettingsError`."""
        cassette = _cassette(env, "DEVSTUDIO_MODEL_CASSETTE")
        # A replay goes to no provider, so it needs no key; the SDKs want one all the same.
        no_key = "replay" if cassette and cassette.mode == "replay" else None
        return cls(
            openai_api_key=env.get("OPENAI_API_KEY") or no_key,
            openai_base_url=env.get("OPENAI_BASE_URL") or None,
            openai_models=_names(env, "DEVSTUDIO_OPENAI_MODELS", cls.openai_models),
            openai_token_parameter=_token_parameter(env, "DEVSTUDIO_OPENAI_TOKEN_PARAMETER"),
            anthropic_api_key=env.get("ANTHROPIC_API_KEY") or no_key,
            anthropic_base_url=env.get("ANTHROPIC_BASE_URL") or None,
            anthropic_models=_names(env, "DEVSTUDIO_ANTHROPIC_MODELS", cls.anthropic_models),
            default_model=env.get("DEVSTUDIO_DEFAULT_MODEL") or None,
            max_tokens=int(_number(env, "DEVSTUDIO_MODEL_MAX_TOKENS", cls.max_tokens, least=1)),
            timeout_s=_number(env, "DEVSTUDIO_MODEL_TIMEOUT_S", cls.timeout_s, least=1),
            retries=int(_number(env, "DEVSTUDIO_MODEL_RETRIES", cls.retries, least=0)),
            prices=_prices(env, "DEVSTUDIO_MODEL_PRICES"),
            named_endpoints=read_endpoints(env),
            tenant_models=_patterns(env, "DEVSTUDIO_TENANT_MODELS"),
            cassette=cassette,
        )

    def endpoints(self) -> list[Endpoint]:
        """Return every endpoint that has a key, in the order of their configuration."""
        openai = Endpoint(
            name="openai",
            protocol=Provider.OPENAI,
            api_key=self.openai_api_key,
            models=self.openai_models,
            base_url=self.openai_base_url,
            token_parameter=self.openai_token_parameter,
            key_variable="OPENAI_API_KEY",
            url_variable="OPENAI_BASE_URL",
            models_variable="DEVSTUDIO_OPENAI_MODELS",
        )
        anthropic = Endpoint(
            name="anthropic",
            protocol=Provider.ANTHROPIC,
            api_key=self.anthropic_api_key,
            models=self.anthropic_models,
            base_url=self.anthropic_base_url,
            key_variable="ANTHROPIC_API_KEY",
            url_variable="ANTHROPIC_BASE_URL",
            models_variable="DEVSTUDIO_ANTHROPIC_MODELS",
        )
        return [*(endpoint for endpoint in (openai, anthropic) if endpoint.api_key), *self.named_endpoints]


def _names(env: Mapping[str, str], name: str, default: tuple[str, ...]) -> tuple[str, ...]:
    names = [part.strip() for part in env.get(name, "").split(",")]
    return tuple(dict.fromkeys(part for part in names if part)) or default


def _number(env: Mapping[str, str], name: str, default: float, *, least: float) -> float:
    text = env.get(name, "").strip()
    try:
        value = float(text) if text else default
    except ValueError:
        value = float("nan")
    if not least <= value < float("inf"):
        message = f"{name} takes a number from {least}, not {text!r}"
        raise SettingsError(message)
    return value


def _token_parameter(env: Mapping[str, str], name: str) -> TokenParameter:
    value = env.get(name, "").strip() or "max_completion_tokens"
    if value not in {"max_completion_tokens", "max_tokens"}:
        message = f"{name} takes max_completion_tokens or max_tokens, not {value!r}"
        raise SettingsError(message)
    return cast("TokenParameter", value)


def _cassette(env: Mapping[str, str], name: str) -> CassetteSettings | None:
    text = env.get(name, "").strip()
    try:
        return CassetteSettings.parse(text) if text else None
    except ValueError as error:
        message = f"{name} {error}"
        raise SettingsError(message) from error


def _patterns(env: Mapping[str, str], name: str) -> dict[str, tuple[str, ...]]:
    text = env.get(name, "").strip() or "{}"
    try:
        table = TypeAdapter(dict[str, list[str]]).validate_json(text, strict=True)
        return {tenant if tenant == "*" else str(UUID(tenant)): tuple(ids) for tenant, ids in table.items()}
    except ValueError as error:
        message = f'{name} takes JSON such as {{"*": ["openai/*"], "<id of a tenant>": ["house/*"]}}'
        raise SettingsError(message) from error


def _prices(env: Mapping[str, str], name: str) -> dict[str, TokenPrice]:
    text = env.get(name, "").strip()
    if not text:
        return {}
    try:
        table = json.loads(text, parse_float=Decimal, parse_int=Decimal)
        return {str(model): read_price(entry) for model, entry in table.items()}
    except (ValueError, TypeError, KeyError, AttributeError, InvalidOperation) as error:
        message = f'{name} takes JSON such as {{"openai/my-model": {{"input": 1.0, "output": 4.0}}}}, prices from 0'
        raise SettingsError(message) from error
