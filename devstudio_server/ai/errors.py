"""What can go wrong with models. No message holds a key, a provider's own words, or a piece of the prompt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar, Protocol

from devstudio_server.ai.waiting import asked_wait_s
from devstudio_server.kit.errors import AppError, BadGateway, Invalid, Unavailable

if TYPE_CHECKING:
    from devstudio_server.ai.ports import ModelReply

_DEFAULT_RETRY_S = 20
_MAX_RETRY_S = 3600


class Place(Protocol):
    """Where models are, and the variables that an operator checks when it does not work."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def key_variable(self) -> str:
        """The variable with its key."""
        ...

    @property
    def url_variable(self) -> str:
        """The variable with its address."""
        ...

    @property
    def models_variable(self) -> str:
        """The variable with its models."""
        ...


class ModelUnknown(Invalid):
    """The request names a model that this server does not have."""

    def __init__(self, model_id: str, known: Sequence[str]) -> None:
        """List the ids that can be named instead."""
        message = f"There is no model “{model_id}” here. Name one of: {', '.join(known)}."
        super().__init__(message, errors=[{"loc": ["body", "model"], "msg": message}])


class PriceUnknown(Unavailable):
    """A call whose cost nobody could tell is not made."""

    title = "Price of the model unknown"

    def __init__(self, model_id: str) -> None:
        """Say how an operator sets the price."""
        super().__init__(
            f"The price of “{model_id}” is not known, so it was not called. An operator sets it, in US dollars per "
            f'million tokens, with DEVSTUDIO_MODEL_PRICES=\'{{"{model_id}": {{"input": 1.0, "output": 4.0}}}}\'; '
            "0 is a price too. Or choose another model."
        )


class ModelContractError(BadGateway):
    """The model broke the model contract twice, or never came to an answer. Nothing was applied."""

    title = "The model gave no usable answer"

    def __init__(self, model_id: str, cause: str) -> None:
        """``cause`` says what the model did wrong."""
        super().__init__(
            f"“{model_id}” gave no answer that can be used: {cause} It was told so and had another try. Nothing "
            "was applied; what the calls cost is recorded. Try again, choose another model, or give more precise "
            "instructions."
        )


class ModelRefusal(BadGateway):
    """The model, or its provider's filter, declined. It is not asked again: it would decline again, at a cost."""

    title = "The model declined"

    def __init__(self, model_id: str) -> None:
        """Name the model."""
        super().__init__(
            f"“{model_id}” declined to answer this request. Nothing was applied; what the call cost is recorded. "
            "Change the wording of the specification or the instructions, or choose another model."
        )


class ClientLeft(Unavailable):
    """The client that asked has gone, so no further call is paid for."""

    title = "Stopped"

    def __init__(self) -> None:
        """Say what became of it."""
        super().__init__("The client left, so the model was not called again. Nothing was applied.")


class TokenLimitReached(AppError):
    """A call that the project's limit of tokens has no room for is not made."""

    status = 429
    title = "The limit of tokens is reached"

    def __init__(self, operation: str, limit: int, needed: int) -> None:
        """Tell the figures."""
        super().__init__(
            f"The project's settings allow {limit} tokens for one operation “{operation}”. With the next call it would "
            f"use more than {needed}, so that was not made. Ask for less at once, or raise the limit in the project's "
            "agent settings.",
            limit=limit,
            needed=needed,
        )


class ProviderError(AppError):
    """A provider gave no reply. ``may_be_billed`` is true when it may have worked, and charged, all the same.

    ``repeatable`` when the same call may well succeed later; ``elsewhere`` when another model may be asked instead.
    ``asked_wait_s`` are the seconds that the provider asks to wait. ``partial`` is what had come of a reply that broke;
    it is billed.
    """

    may_be_billed: ClassVar[bool] = False
    repeatable: bool = False
    elsewhere: bool = False
    asked_wait_s: float | None = None
    partial: ModelReply | None = None


class ProviderMisconfigured(ProviderError, Unavailable):
    """The provider answers, but not to this key, model or account."""

    title = "The model's provider does not accept the configuration"


class ProviderRateLimited(ProviderError):
    """The provider asks to slow down."""

    status = 429
    title = "The model's provider is at its limit"
    repeatable = True
    elsewhere = True


class ProviderTimedOut(ProviderError, Unavailable):
    """No reply in time."""

    title = "The model took too long"
    may_be_billed = True
    repeatable = True


class ProviderUnreachable(ProviderError, Unavailable):
    """No connection could be made."""

    title = "The model's provider cannot be reached"
    repeatable = True
    elsewhere = True


class ProviderDisconnected(ProviderError, Unavailable):
    """The connection broke before the reply was complete."""

    title = "The connection to the model's provider broke"
    may_be_billed = True
    repeatable = True


class ProviderFailed(ProviderError, BadGateway):
    """The provider answered with an error of its own, or refused the request."""

    title = "The model's provider failed"


class TemperatureRefused(ProviderFailed):
    """The model takes no temperature, or not this one."""


class ProviderMalformed(ProviderError, BadGateway):
    """The provider answered with something that is not its protocol."""

    title = "The model's provider gave a malformed answer"
    may_be_billed = True


def error_for_status(
    endpoint: Place, model: str, status: int, headers: Mapping[str, str], code: str | None, message: str = ""
) -> ProviderError:
    """Return the error for an HTTP ``status`` of ``endpoint``.

    ``code`` and ``message`` are the provider's, looked at and never shown. Of the ``headers`` only those count that say
    when to come again.
    """
    if status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY} and "temperature" in message.lower():
        return TemperatureRefused(f"“{model}” of {endpoint.name} takes no temperature, or not this one. Set another.")
    error = _error_for_status(endpoint, model, status, headers.get("retry-after"), code)
    error.asked_wait_s = asked_wait_s(headers)
    return error


def _error_for_status(
    endpoint: Place, model: str, status: int, retry_after: str | None, code: str | None
) -> ProviderError:
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return ProviderMisconfigured(
            f"{endpoint.name} refused the server's key (HTTP {status}). An operator checks {endpoint.key_variable}, "
            f"and {endpoint.url_variable} if it is set, and restarts the server. The model `offline` needs no key."
        )
    if status == HTTPStatus.PAYMENT_REQUIRED or code == "insufficient_quota":
        return ProviderMisconfigured(
            f"The {endpoint.name} account of this server has no credit left. An operator checks its billing; meanwhile "
            "choose a model of another provider."
        )
    if status == HTTPStatus.NOT_FOUND:
        return ProviderMisconfigured(
            f"{endpoint.name} does not know the model “{model}”, or {endpoint.url_variable} is wrong (HTTP 404). An "
            f"operator checks it and {endpoint.models_variable}; meanwhile choose another model."
        )
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        seconds = _seconds(retry_after)
        return ProviderRateLimited(
            f"{endpoint.name} takes no more requests from this server right now. Try again in {seconds} seconds.",
            headers={"Retry-After": str(seconds)},
        )
    return _error_for_other_status(endpoint.name, status, retry_after)


def _error_for_other_status(name: str, status: int, retry_after: str | None) -> ProviderError:
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return ProviderFailed(
            f"{name} refused the request (HTTP {status}). It may be too long for this model: shorten the documents "
            "or the instructions, or choose a model with a larger context."
        )
    error = ProviderFailed(
        f"{name} failed on its side (HTTP {status}). Try again in a moment, or choose another model.",
        headers={"Retry-After": str(_seconds(retry_after))},
    )
    error.repeatable = error.elsewhere = True
    return error


def _seconds(retry_after: str | None) -> int:
    try:
        seconds = float(retry_after or "")
    except ValueError:
        return _DEFAULT_RETRY_S
    return _DEFAULT_RETRY_S if math.isnan(seconds) else round(min(max(seconds, 1), _MAX_RETRY_S))


def error_for_connection(endpoint: Place, cause: BaseException | None) -> ProviderError:
    """Return the error for a lost connection: ``cause`` is the HTTP library's exception beneath the SDK's."""
    if type(cause).__name__ in {"ConnectError", "ConnectTimeout", "UnsupportedProtocol", "PoolTimeout"}:
        return ProviderUnreachable(
            f"No connection to {endpoint.name} could be made. An operator checks the network and "
            f"{endpoint.url_variable}; the model `offline` needs neither.",
            headers={"Retry-After": str(_DEFAULT_RETRY_S)},
        )
    return error_for_incomplete(endpoint)


def error_for_incomplete(endpoint: Place) -> ProviderError:
    """Return the error for a reply that broke off."""
    return ProviderDisconnected(
        f"The connection to {endpoint.name} broke before the answer was complete. Nothing was applied. Try again.",
        headers={"Retry-After": "1"},
    )


def error_for_timeout(endpoint: Place, timeout_s: float) -> ProviderError:
    """Return the error for a call that took longer than ``timeout_s``."""
    return ProviderTimedOut(
        f"{endpoint.name} gave no answer within {timeout_s:g} seconds. Try again, choose a faster model, or ask for "
        "less at once; an operator can raise DEVSTUDIO_MODEL_TIMEOUT_S.",
        headers={"Retry-After": "1"},
    )


def error_for_malformed(endpoint: Place) -> ProviderError:
    """Return the error for an answer that is not the provider's protocol."""
    return ProviderMalformed(
        f"{endpoint.name} answered with something that is not its protocol. An operator checks "
        f"{endpoint.url_variable}. Otherwise try again."
    )
