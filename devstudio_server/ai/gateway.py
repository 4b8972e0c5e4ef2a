"""The one door to every model: which there are, what they cost, and conversations under the model contract."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from devstudio_server.ai.dialogue import Conversation, Dialogue, Line, Outcome
from devstudio_server.ai.errors import ModelUnknown, PriceUnknown
from devstudio_server.ai.ledger import Account, Ledger
from devstudio_server.ai.offline import OfflineAdapter
from devstudio_server.ai.ports import ModelAdapter
from devstudio_server.ai.prices import PriceBook
from devstudio_server.ai.reading import ReadingBounds
from devstudio_server.ai.schemas import Model, Provider
from devstudio_server.ai.settings import GatewaySettings, SettingsError
from devstudio_server.db import Actor, Units
from devstudio_server.kit.metrics import measured_conversation
from devstudio_server.web.schemas import Payload

__all__ = ["OFFLINE_MODEL", "Conversation", "Gateway", "GatewaySettings", "Outcome"]

OFFLINE_MODEL = "offline"

T = TypeVar("T", bound=Payload)


class Gateway:
    """Calls models. Shared by all threads. Never call it inside a transaction: a call takes seconds to minutes."""

    def __init__(self, settings: GatewaySettings) -> None:
        """Offer `offline` and the models that ``settings`` has keys for; raises `SettingsError`."""
        self._settings = settings
        self._prices = PriceBook(settings.prices)
        self._adapters: dict[Provider, ModelAdapter] = {}
        self._adapters_lock = threading.Lock()
        self._models = self._list_models()

    def models(self) -> list[Model]:
        """Return every model that a request may name; exactly one is the default."""
        return list(self._models)

    def resolve(self, model_id: str | None) -> Model:
        """Return the model with this id, or with this bare name; ``None`` gives the default. Raises `ModelUnknown`."""
        if model_id is None:
            return next(model for model in self._models if model.default)
        return _find(self._models, model_id)

    def converse(
        self,
        conversation: Conversation[T],
        *,
        units: Units,
        actor: Actor,
        progress: Callable[[dict[str, Any]], None],
        left: threading.Event | None = None,
    ) -> Outcome[T]:
        """Ask a model, until it gives an answer that keeps the contract or fails to for the second time.

        Every call is recorded for ``actor`` in a transaction of its own. ``progress`` gets the sums so far with each
        step; once ``left`` is set no further call is made. Raises `ModelUnknown`, `PriceUnknown`, `ModelContractError`,
        `ModelRefusal`, `ClientLeft`, and `ProviderError`.
        """
        model = self.resolve(conversation.model)
        if self._prices.price(model.provider, model.name) is None:
            raise PriceUnknown(model.id)
        settings = self._settings
        account = Account(units, actor, conversation.operation, conversation.task_id, model, self._prices)
        line = Line(
            model=model,
            adapter=self._adapter(model.provider),
            ledger=Ledger(account),
            bounds=ReadingBounds(settings.max_reads, settings.max_file_bytes, settings.max_read_bytes),
            max_calls=settings.max_calls,
            max_tokens=settings.max_tokens,
            progress=progress,
            left=left or threading.Event(),
        )
        with measured_conversation(conversation.operation, model.id, len(conversation.prompt)):
            return Dialogue(conversation, line).run()

    def close(self) -> None:
        """Close the connections to the providers; the next conversation opens new ones."""
        with self._adapters_lock:
            adapters, self._adapters = self._adapters, {}
        for adapter in adapters.values():
            adapter.close()

    def _list_models(self) -> list[Model]:
        models = [self._model(provider, name) for provider, name in self._settings.names()]
        models.append(self._model(Provider.OFFLINE, OFFLINE_MODEL))
        default = _default(models, self._settings.default_model)
        return [model.model_copy(update={"default": model is default}) for model in models]

    def _model(self, provider: Provider, name: str) -> Model:
        price = self._prices.price(provider, name)
        return Model(
            id=OFFLINE_MODEL if provider is Provider.OFFLINE else f"{provider}/{name}",
            provider=provider,
            name=name,
            context_window=self._prices.context_window(provider, name),
            price_input=float(price.input) if price else None,
            price_output=float(price.output) if price else None,
        )

    def _adapter(self, provider: Provider) -> ModelAdapter:
        with self._adapters_lock:
            if provider not in self._adapters:
                self._adapters[provider] = _make_adapter(provider, self._settings)
            return self._adapters[provider]


def _default(models: list[Model], wanted: str | None) -> Model:
    try:
        return _find(models, wanted) if wanted else models[0]
    except ModelUnknown as error:
        message = f"DEVSTUDIO_DEFAULT_MODEL cannot be used: {error.detail}"
        raise SettingsError(message) from error


def _find(models: list[Model], model_id: str) -> Model:
    """Return the model with this id; a bare name is enough when only one provider has it."""
    for model in models:
        if model.id == model_id:
            return model
    named = [model for model in models if model.name == model_id]
    if len(named) == 1:
        return named[0]
    raise ModelUnknown(model_id, [model.id for model in models])


def _make_adapter(provider: Provider, settings: GatewaySettings) -> ModelAdapter:
    # The SDKs take most of a second to import, which the start of the server need not wait for.
    if provider is Provider.OPENAI:
        from devstudio_server.ai.openai_adapter import OpenAIAdapter  # noqa: PLC0415 - see above

        return OpenAIAdapter(settings)
    if provider is Provider.ANTHROPIC:
        from devstudio_server.ai.anthropic_adapter import AnthropicAdapter  # noqa: PLC0415 - see above

        return AnthropicAdapter(settings)
    return OfflineAdapter()
