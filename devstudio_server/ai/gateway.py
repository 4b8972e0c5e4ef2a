"""The one door to every model: which there are, what they cost, and conversations under the model contract."""

from __future__ import annotations

import threading
from fnmatch import fnmatchcase
from typing import Any, TypeVar
from uuid import UUID

from devstudio_server.ai.calls import Line, Progress
from devstudio_server.ai.dialogue import Conversation, Dialogue, Outcome
from devstudio_server.ai.endpoints import Endpoint, SettingsError, TokenPrice
from devstudio_server.ai.errors import ModelUnknown
from devstudio_server.ai.ledger import Account, Ledger
from devstudio_server.ai.offline import OfflineAdapter
from devstudio_server.ai.ports import ModelAdapter
from devstudio_server.ai.prices import PriceBook
from devstudio_server.ai.reading import ReadingBounds
from devstudio_server.ai.schemas import Model, Provider
from devstudio_server.ai.settings import GatewaySettings
from devstudio_server.ai.text import Question, Written, write
from devstudio_server.ai.use import ModelUse
from devstudio_server.db import Actor, Units
from devstudio_server.kit.metrics import Conversation as Operation
from devstudio_server.kit.metrics import measured_conversation
from devstudio_server.kit.stopping import StopSignal
from devstudio_server.web.schemas import Payload

__all__ = ["OFFLINE_MODEL", "Conversation", "Gateway", "GatewaySettings", "Outcome"]

OFFLINE_MODEL = "offline"

T = TypeVar("T", bound=Payload)


class Gateway:
    """Calls models. Shared by all threads. Never call it inside a transaction: a call takes seconds to minutes."""

    def __init__(self, settings: GatewaySettings) -> None:
        """Offer `offline` and the models that ``settings`` has keys for; raises `SettingsError`."""
        self._settings = settings
        self._endpoints = settings.endpoints()
        self._prices = PriceBook(_operator_prices(self._endpoints, settings))
        self._adapters: dict[str, ModelAdapter] = {}
        self._adapters_lock = threading.Lock()
        self._models = self._list_models()

    def models(self, tenant_id: UUID | None = None) -> list[Model]:
        """Return every model that a request may name, of this tenant if one is given; exactly one is the default."""
        allowed = self._allowed(tenant_id)
        if allowed is self._models:
            return list(allowed)
        default = next((model for model in allowed if model.default), allowed[0])
        return [model.model_copy(update={"default": model is default}) for model in allowed]

    def resolve(self, model_id: str | None, tenant_id: UUID | None = None) -> Model:
        """Return the model with this id, or with this bare name; ``None`` gives the default. Raises `ModelUnknown`."""
        models = self.models(tenant_id)
        if model_id is None:
            return next(model for model in models if model.default)
        return _find(models, model_id)

    def converse(
        self,
        conversation: Conversation[T],
        *,
        units: Units,
        actor: Actor,
        progress: Progress,
        left: threading.Event | None = None,
    ) -> Outcome[T]:
        """Ask a model, until it gives an answer that keeps the contract or fails to for the second time.

        Every call is recorded for ``actor`` in a transaction of its own. ``progress`` gets the sums so far with each
        step, and each piece of a reply. Once ``left`` is set, the call under way is ended and no further one is made.
        Raises `ModelUnknown`, `PriceUnknown`, `ModelContractError`, `ModelRefusal`, `ClientLeft`,
        `BudgetExceeded`, `TokenLimitReached`, and `ProviderError`.
        """
        settings = self._settings
        bounds = ReadingBounds(settings.max_reads, settings.max_file_bytes, settings.max_read_bytes)
        account = self._account(conversation, conversation.operation, units, actor)
        line = self._line(account, conversation.settings, progress, left)
        with measured_conversation(account.operation, account.model.id, len(conversation.prompt)):
            return Dialogue(conversation, line, bounds, settings.max_calls).run()

    def write(
        self,
        question: Question,
        *,
        units: Units,
        actor: Actor,
        progress: Progress,
        left: threading.Event | None = None,
    ) -> Written:
        """Have a model write text; `converse` says what is recorded, told and raised."""
        account = self._account(question, "text", units, actor)
        line = self._line(account, question.settings, progress, left)
        with measured_conversation(account.operation, account.model.id, len(question.prompt)):
            return write(question, line)

    def close(self) -> None:
        """Close the connections to the providers; the next conversation opens new ones."""
        with self._adapters_lock:
            adapters, self._adapters = self._adapters, {}
        for adapter in adapters.values():
            adapter.close()

    def _account(self, work: Conversation[Any] | Question, operation: Operation, units: Units, actor: Actor) -> Account:
        return Account(
            units=units,
            actor=actor,
            operation=operation,
            task_id=work.task_id,
            model=self.resolve(work.model, actor.tenant_id),
            prices=self._prices,
            project_id=work.project_id,
            session_id=work.session_id,
            call_limit=work.settings.call_limit,
            call_s=self._settings.timeout_s + self._settings.connect_timeout_s,
        )

    def _line(self, account: Account, use: ModelUse, progress: Progress, left: threading.Event | None) -> Line:
        most = self._settings.max_tokens
        return Line(
            operation=account.operation,
            models=[account.model, *self._fallbacks(account, use)],
            adapter=self._adapter,
            ledger=Ledger(account),
            max_tokens=min(use.max_tokens or most, most),
            temperature=use.temperature,
            token_limit=use.token_limit(account.operation),
            retries=self._settings.retries,
            progress=progress,
            stop=StopSignal.of(left),
        )

    def _allowed(self, tenant_id: UUID | None) -> list[Model]:
        """Return the models that the operator lets a tenant use; `offline` goes nowhere, and is always one."""
        patterns = self._settings.tenant_models
        named = patterns.get(str(tenant_id), patterns.get("*")) if tenant_id is not None else None
        if named is None:
            return self._models
        return [model for model in self._models if not _is_real(model) or any(fnmatchcase(model.id, p) for p in named)]

    def _fallbacks(self, account: Account, use: ModelUse) -> list[Model]:
        """Return the models that may take over: never an outside one from one inside the house, which is told more."""
        model, allowed = account.model, self.models(account.actor.tenant_id)
        found: list[Model] = []
        for other in (_found(allowed, name) for name in use.fallback):
            if other is None or other == model or other in found:
                continue
            if other.price_input is not None and (model.outside or not other.outside):
                found.append(other)
        return found

    def _list_models(self) -> list[Model]:
        models = [
            self._model(endpoint.protocol, name, endpoint) for endpoint in self._endpoints for name in endpoint.models
        ]
        models.append(self._model(Provider.OFFLINE, OFFLINE_MODEL, None))
        default = _default(models, self._settings.default_model)
        return [model.model_copy(update={"default": model is default}) for model in models]

    def _model(self, provider: Provider, name: str, endpoint: Endpoint | None) -> Model:
        place = endpoint.name if endpoint else OFFLINE_MODEL
        price = self._prices.price(provider, name, place)
        window = endpoint.context_windows.get(name) if endpoint else None
        return Model(
            id=f"{place}/{name}" if endpoint else OFFLINE_MODEL,
            provider=provider,
            name=name,
            context_window=window or self._prices.context_window(provider, name),
            price_input=float(price.input) if price else None,
            price_output=float(price.output) if price else None,
            endpoint=place,
            outside=endpoint.outside if endpoint else False,
        )

    def _adapter(self, model: Model) -> ModelAdapter:
        with self._adapters_lock:
            if model.endpoint not in self._adapters:
                self._adapters[model.endpoint] = self._make_adapter(model.endpoint)
            return self._adapters[model.endpoint]

    def _make_adapter(self, name: str) -> ModelAdapter:
        endpoint = next((endpoint for endpoint in self._endpoints if endpoint.name == name), None)
        if endpoint is None:
            return OfflineAdapter()
        # The SDKs take most of a second to import, which the start of the server need not wait for.
        if endpoint.protocol is Provider.OPENAI:
            from devstudio_server.ai.openai_adapter import OpenAIAdapter  # noqa: PLC0415 - see above

            return OpenAIAdapter(endpoint, self._settings)
        from devstudio_server.ai.anthropic_adapter import AnthropicAdapter  # noqa: PLC0415 - see above

        return AnthropicAdapter(endpoint, self._settings)


def _operator_prices(endpoints: list[Endpoint], settings: GatewaySettings) -> dict[str, TokenPrice]:
    named = {f"{endpoint.name}/{name}": price for endpoint in endpoints for name, price in endpoint.prices.items()}
    return {**named, **settings.prices}


def _default(models: list[Model], wanted: str | None) -> Model:
    try:
        return _find(models, wanted) if wanted else models[0]
    except ModelUnknown as error:
        message = f"DEVSTUDIO_DEFAULT_MODEL cannot be used: {error.detail}"
        raise SettingsError(message) from error


def _is_real(model: Model) -> bool:
    return model.provider is not Provider.OFFLINE


def _find(models: list[Model], model_id: str) -> Model:
    """Return the model with this id; a bare name is enough when only one endpoint has it. Raises `ModelUnknown`."""
    model = _found(models, model_id)
    if model is None:
        raise ModelUnknown(model_id, [model.id for model in models])
    return model


def _found(models: list[Model], model_id: str) -> Model | None:
    for model in models:
        if model.id == model_id:
            return model
    named = [model for model in models if model.name == model_id]
    return named[0] if len(named) == 1 else None
