"""What the environment may say, and which models and prices follow from it."""

from __future__ import annotations

import socket
from decimal import Decimal
from typing import Any

import pytest

from devstudio_server.ai.errors import ModelUnknown
from devstudio_server.ai.gateway import Gateway, GatewaySettings
from devstudio_server.ai.metering import CountedTokens
from devstudio_server.ai.prices import PriceBook
from devstudio_server.ai.schemas import Provider
from devstudio_server.ai.settings import SettingsError, TokenPrice

KEYS = {"OPENAI_API_KEY": "sk-a", "ANTHROPIC_API_KEY": "sk-b"}


def gateway(**env: str) -> Gateway:
    return Gateway(GatewaySettings.from_environment(env))


def test_without_keys_only_offline() -> None:
    (model,) = gateway().models()
    assert (model.id, model.provider, model.default) == ("offline", Provider.OFFLINE, True)
    assert (model.price_input, model.price_output, model.context_window) == (0, 0, None)
    assert gateway(OPENAI_API_KEY="").resolve(None).id == "offline"


def test_models_have_prices_and_context_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_kwargs: Any) -> None:
        raise AssertionError("something outside was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    models = {model.id: model for model in gateway(**KEYS).models()}
    assert models["openai/gpt-6.1-sol"].price_input == 2
    assert models["anthropic/claude-sonnet-5-5"].price_output == 10
    assert all(model.context_window for model in models.values() if model.provider is not Provider.OFFLINE)
    assert [model.id for model in models.values() if model.default] == ["openai/gpt-6.1-sol"]
    assert list(models)[-1] == "offline"


def test_every_default_model_has_a_known_price() -> None:
    assert all(model.price_input is not None for model in gateway(**KEYS).models())


def test_configured_models_and_default() -> None:
    chosen = gateway(
        **KEYS,
        DEVSTUDIO_OPENAI_MODELS=" mine , gpt-6-luna,, mine",
        DEVSTUDIO_ANTHROPIC_MODELS="gpt-6-luna",
        DEVSTUDIO_DEFAULT_MODEL="mine",
    )
    ids = [model.id for model in chosen.models()]
    assert ids == ["openai/mine", "openai/gpt-6-luna", "anthropic/gpt-6-luna", "offline"]
    assert chosen.resolve(None).id == "openai/mine"
    assert chosen.resolve("mine").id == "openai/mine"
    assert chosen.resolve("mine").price_input is None
    with pytest.raises(ModelUnknown, match="anthropic/gpt-6-luna"):
        chosen.resolve("gpt-6-luna")  # two providers have it, so the bare name is not enough


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEVSTUDIO_MODEL_MAX_TOKENS", "many"),
        ("DEVSTUDIO_MODEL_MAX_TOKENS", "0"),
        ("DEVSTUDIO_MODEL_TIMEOUT_S", "nan"),
        ("DEVSTUDIO_MODEL_TIMEOUT_S", "inf"),
        ("DEVSTUDIO_MODEL_RETRIES", "-1"),
        ("DEVSTUDIO_OPENAI_TOKEN_PARAMETER", "tokens"),
        ("DEVSTUDIO_MODEL_PRICES", "1.0"),
        ("DEVSTUDIO_MODEL_PRICES", '{"m": {"input": 1}}'),
        ("DEVSTUDIO_MODEL_PRICES", '{"m": {"input": -1, "output": 1}}'),
        ("DEVSTUDIO_MODEL_PRICES", '{"m": {"input": NaN, "output": 1}}'),
        ("DEVSTUDIO_MODEL_PRICES", '{"m": {"input": "x", "output": 1}}'),
        ("DEVSTUDIO_DEFAULT_MODEL", "nobody"),
    ],
)
def test_what_cannot_be_read_names_the_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        gateway(**{name: value})


def test_operator_prices_come_first() -> None:
    prices = '{"openai/gpt-6-luna": {"input": 1.5, "output": 3}, "free": {"input": 0, "output": 0}}'
    settings = GatewaySettings.from_environment({"DEVSTUDIO_MODEL_PRICES": prices})
    book = PriceBook(settings.prices)
    tokens = CountedTokens(input=1_000_000, output=1_000_000)
    assert book.cost(Provider.OPENAI, "gpt-6-luna", tokens) == Decimal("4.5")
    assert book.price(Provider.ANTHROPIC, "free") == TokenPrice(Decimal(0), Decimal(0))
    assert book.price(Provider.ANTHROPIC, "gpt-6-luna") is None


def test_cached_tokens_cost_what_the_provider_asks() -> None:
    book = PriceBook({})
    fresh = book.cost(Provider.OPENAI, "gpt-6.1-sol", CountedTokens(input=1000, output=100))
    cached = book.cost(Provider.OPENAI, "gpt-6.1-sol", CountedTokens(input=1000, output=100, cache_read=500))
    assert (fresh, cached) == (Decimal("0.003"), Decimal("0.00205"))


def test_a_model_that_is_not_billed_by_text_tokens_has_no_price() -> None:
    assert PriceBook({}).price(Provider.OPENAI, "gpt-live-1") is None


def test_keys_are_not_in_the_settings_text() -> None:
    text = repr(GatewaySettings.from_environment({**KEYS, "OPENAI_BASE_URL": "http://user:secret@host"}))
    assert "sk-a" not in text
    assert "sk-b" not in text
    assert "secret" not in text
