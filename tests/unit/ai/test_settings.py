"""What the environment may say, and which models and prices follow from it."""

from __future__ import annotations

import json
import socket
from decimal import Decimal
from typing import Any
from uuid import uuid4

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


HOUSE = {
    "protocol": "openai",
    "base_url": "http://models.house:8000/v1",
    "api_key_env": "HOUSE_KEY",
    "models": ["llama", "gpt-6.1-sol"],
    "token_parameter": "max_tokens",
    "prices": {"llama": {"input": 0, "output": 0.5}},
    "context_windows": {"llama": 32_768},
    "outside": False,
}


def test_named_endpoints_offer_their_models() -> None:
    other = {"protocol": "anthropic", "base_url": "https://proxy.example", "models": ["claude-sonnet-5-5"]}
    text = json.dumps({"house": HOUSE, "proxy": other})
    models = {model.id: model for model in gateway(**KEYS, HOUSE_KEY="k", DEVSTUDIO_MODEL_ENDPOINTS=text).models()}
    llama = models["house/llama"]
    assert (llama.endpoint, llama.provider, llama.outside) == ("house", Provider.OPENAI, False)
    assert (llama.price_input, llama.price_output, llama.context_window) == (0, 0.5, 32_768)
    assert models["house/gpt-6.1-sol"].price_input == 2  # what is known of the model, wherever it runs
    assert models["proxy/claude-sonnet-5-5"].outside
    assert (models["openai/gpt-6.1-sol"].endpoint, models["openai/gpt-6.1-sol"].outside) == ("openai", True)
    assert (models["offline"].endpoint, models["offline"].outside) == ("offline", False)
    assert [model.id for model in models.values() if model.default] == ["openai/gpt-6.1-sol"]


def test_the_price_of_an_endpoint_is_its_own() -> None:
    other = HOUSE | {"prices": {"llama": {"input": 7, "output": 7}}}
    text = json.dumps({"a": HOUSE, "b": other})
    models = {model.id: model for model in gateway(HOUSE_KEY="k", DEVSTUDIO_MODEL_ENDPOINTS=text).models()}
    assert (models["a/llama"].price_input, models["b/llama"].price_input) == (0, 7)
    with pytest.raises(ModelUnknown):
        gateway(HOUSE_KEY="k", DEVSTUDIO_MODEL_ENDPOINTS=text).resolve("llama")


def test_an_endpoint_without_a_key_variable_needs_no_key() -> None:
    entry = {name: value for name, value in HOUSE.items() if name != "api_key_env"}
    assert gateway(DEVSTUDIO_MODEL_ENDPOINTS=json.dumps({"house": entry})).resolve("llama").endpoint == "house"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no JSON"),
        ("[]", "takes a JSON object"),
        (json.dumps({"openai": HOUSE}), "is not such a name"),
        (json.dumps({"offline": HOUSE}), "is not such a name"),
        (json.dumps({"a/b": HOUSE}), "is not such a name"),
        (json.dumps({"x" * 21: HOUSE}), "is not such a name"),
        (json.dumps({"house": HOUSE | {"protocol": "grpc"}}), "house.protocol"),
        (json.dumps({"house": HOUSE | {"base_url": "ftp://x"}}), "house.base_url"),
        (json.dumps({"house": HOUSE | {"models": []}}), "house.models"),
        (json.dumps({"house": HOUSE | {"key": "sk-secret"}}), "house.key"),
        (json.dumps({"house": HOUSE | {"prices": {"llama": {"input": -1, "output": 0}}}}), "house.prices.llama.input"),
        (json.dumps({"house": HOUSE}), "HOUSE_KEY"),
        (json.dumps({"house": 7}), "house"),
    ],
)
def test_a_wrong_endpoint_is_named_and_no_value_shown(text: str, words: str) -> None:
    with pytest.raises(SettingsError) as raised:
        gateway(DEVSTUDIO_MODEL_ENDPOINTS=text)
    assert "DEVSTUDIO_MODEL_ENDPOINTS" in str(raised.value)
    assert words in str(raised.value)
    assert "sk-secret" not in str(raised.value)


TENANT, ANOTHER = uuid4(), uuid4()


def test_a_tenant_is_offered_what_the_operator_lets_it_use() -> None:
    patterns = json.dumps({str(TENANT): ["anthropic/*", "openai/gpt-6-luna"], "*": ["openai/*"]})
    chosen = gateway(**KEYS, DEVSTUDIO_TENANT_MODELS=patterns)
    mine = {model.id: model for model in chosen.models(TENANT)}
    assert "openai/gpt-6.1-sol" not in mine
    assert {"openai/gpt-6-luna", "anthropic/claude-opus-5-5", "offline"} <= set(mine)
    assert [model.id for model in mine.values() if model.default] == ["openai/gpt-6-luna"]
    assert chosen.resolve(None, TENANT).id == "openai/gpt-6-luna"
    with pytest.raises(ModelUnknown) as raised:
        chosen.resolve("openai/gpt-6.1-sol", TENANT)
    assert "gpt-6.1-terra" not in raised.value.detail
    assert {model.endpoint for model in chosen.models(ANOTHER)} == {"openai", "offline"}
    assert chosen.resolve(None, ANOTHER).id == "openai/gpt-6.1-sol"


def test_a_tenant_that_may_use_nothing_has_offline() -> None:
    chosen = gateway(**KEYS, DEVSTUDIO_TENANT_MODELS=json.dumps({str(TENANT): []}))
    assert [model.id for model in chosen.models(TENANT)] == ["offline"]
    assert chosen.resolve(None, TENANT).id == "offline"
    assert len(chosen.models(ANOTHER)) > 3


@pytest.mark.parametrize("text", ["{", "[]", '{"acme": []}', '{"*": "openai/*"}', '{"*": [1]}', "7"])
def test_wrong_tenant_models_are_named(text: str) -> None:
    with pytest.raises(SettingsError, match="DEVSTUDIO_TENANT_MODELS"):
        gateway(DEVSTUDIO_TENANT_MODELS=text)
