"""The servers that have models: the two providers, and those that an operator names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from devstudio_server.ai.schemas import Provider
from devstudio_server.web.schemas import Payload

TokenParameter = Literal["max_completion_tokens", "max_tokens"]

_VARIABLE = "DEVSTUDIO_MODEL_ENDPOINTS"
# It is the first part of a model's id, and the column of the calls has room for 20.
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,19}")
_NO_KEY = "none"


class SettingsError(ValueError):
    """A variable of the environment cannot be read; the message names it and says what it takes."""


@dataclass(frozen=True)
class TokenPrice:
    """US dollars per million tokens."""

    input: Decimal
    output: Decimal


@dataclass(frozen=True)
class Endpoint:
    """A server that has models: its protocol, address, key and models. ``base_url`` is ``None`` for the provider's own.

    ``outside`` is false for one that runs inside the company's own house. ``prices`` and ``context_windows`` are the
    operator's, by the name of a model. The variables are what an operator checks when it does not work.
    """

    name: str
    protocol: Provider
    api_key: str | None = field(repr=False)
    models: tuple[str, ...]
    base_url: str | None = field(default=None, repr=False)
    token_parameter: TokenParameter = "max_completion_tokens"  # noqa: S105 - the name of a parameter
    outside: bool = True
    prices: Mapping[str, TokenPrice] = field(default_factory=dict)
    context_windows: Mapping[str, int] = field(default_factory=dict)
    key_variable: str = ""
    url_variable: str = _VARIABLE
    models_variable: str = _VARIABLE


class _Price(Payload):
    input: Decimal = Field(ge=0, allow_inf_nan=False)
    output: Decimal = Field(ge=0, allow_inf_nan=False)


class _Entry(Payload):
    """One endpoint as it is written in the variable."""

    model_config = ConfigDict(extra="forbid")

    protocol: Literal["openai", "anthropic"]
    base_url: str = Field(pattern=r"^https?://[^\s]+$")
    api_key_env: str | None = None
    models: list[str] = Field(min_length=1)
    token_parameter: TokenParameter = "max_completion_tokens"  # noqa: S105 - the name of a parameter
    prices: dict[str, _Price] = Field(default_factory=dict)
    context_windows: dict[str, int] = Field(default_factory=dict)
    outside: bool = True


def read_endpoints(env: Mapping[str, str]) -> tuple[Endpoint, ...]:
    """Read DEVSTUDIO_MODEL_ENDPOINTS; raises `SettingsError`, which shows no value."""
    text = env.get(_VARIABLE, "").strip()
    if not text:
        return ()
    try:
        table = json.loads(text)
    except ValueError as error:
        message = f"{_VARIABLE} is no JSON: {error}"
        raise SettingsError(message) from None
    if not isinstance(table, dict):
        message = f'{_VARIABLE} takes a JSON object such as {{"house": {{"protocol": "openai", "base_url": …}}}}'
        raise SettingsError(message)
    return tuple(_endpoint(name, entry, env) for name, entry in table.items())


def read_price(entry: Mapping[str, Any]) -> TokenPrice:
    """Read a price; raises ``ValueError`` and its like."""
    price = TokenPrice(Decimal(entry["input"]), Decimal(entry["output"]))
    if not (price.input.is_finite() and price.output.is_finite() and min(price.input, price.output) >= 0):
        raise InvalidOperation
    return price


def _endpoint(name: str, value: Any, env: Mapping[str, str]) -> Endpoint:
    if not _NAME.fullmatch(name) or name in set(Provider):
        message = (
            f"{_VARIABLE}: an endpoint's name has 1 to 20 small letters, digits, `.`, `_` and `-`, and is none of "
            f"{', '.join(Provider)}; {name!r} is not such a name"
        )
        raise SettingsError(message)
    try:
        entry = _Entry.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in (name, *first["loc"]))
        message = f"{_VARIABLE}: {place}: {first['msg']}"
        raise SettingsError(message) from None
    return Endpoint(
        name=name,
        protocol=Provider(entry.protocol),
        api_key=_key(name, entry.api_key_env, env),
        models=tuple(dict.fromkeys(entry.models)),
        base_url=entry.base_url,
        token_parameter=entry.token_parameter,
        outside=entry.outside,
        prices={model: TokenPrice(price.input, price.output) for model, price in entry.prices.items()},
        context_windows=entry.context_windows,
        key_variable=entry.api_key_env or _VARIABLE,
    )


def _key(name: str, variable: str | None, env: Mapping[str, str]) -> str:
    if variable is None:
        return _NO_KEY  # the SDKs want one, and a server that asks for none ignores it
    if not env.get(variable):
        message = f"{_VARIABLE}: {name}: the variable {variable}, which shall hold its key, is not set"
        raise SettingsError(message)
    return env[variable]
