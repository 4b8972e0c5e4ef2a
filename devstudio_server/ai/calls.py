"""The calls of one conversation: each is paid for, looked at before it leaves, and made again where that is safe."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from devstudio_server.ai.errors import ClientLeft, ProviderError, TokenLimitReached
from devstudio_server.ai.ledger import CallRecord, Ledger
from devstudio_server.ai.metering import CountedTokens, count, count_unanswered, request_size
from devstudio_server.ai.outgoing import Carried, prepare
from devstudio_server.ai.ports import Delta, Listener, ModelAdapter, ModelReply, ModelRequest
from devstudio_server.ai.schemas import Model, Provider, UsageRead
from devstudio_server.ai.waiting import wait_s
from devstudio_server.kit.stopping import StopSignal

Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Line:
    """What calls run on.

    ``models`` are the model and those that take over when it cannot be had; ``adapter`` gives the adapter of one.
    ``retries`` is how often a call is made again. ``token_limit`` is the most tokens that all calls together may use.
    """

    operation: str
    models: Sequence[Model]
    adapter: Callable[[Model], ModelAdapter]
    ledger: Ledger
    max_tokens: int
    temperature: float | None
    token_limit: int | None
    retries: int
    progress: Progress
    stop: StopSignal


@dataclass(frozen=True)
class Called:
    """A call that brought a reply. It is recorded by `Calls.settle`, once it is known what the reply is worth."""

    request: ModelRequest
    reply: ModelReply
    duration_ms: int


class Calls:
    """Makes calls. Of one thread."""

    def __init__(self, line: Line) -> None:
        """Start with the first model."""
        self._line = line
        self._models = list(line.models)
        self._heard = False
        self._carried: tuple[Carried, ...] = ()
        self.warnings: list[str] = []

    @property
    def model(self) -> Model:
        """The model that is called now."""
        return self._models[0]

    def call(self, request: ModelRequest) -> Called:
        """Return the reply, which may be one that was stopped; `settle` it.

        Every attempt that failed is recorded. Raises `ProviderError`, `BudgetExceeded`, `PriceUnknown`,
        `TokenLimitReached`, and `ClientLeft` when nobody waits any more before the call is made.
        """
        while True:
            try:
                return self._repeated(request)
            except ProviderError as error:
                if self._heard or not error.elsewhere or len(self._models) == 1:
                    raise
                self._take_over(error)

    def settle(self, called: Called, *, success: bool, diff_size: int | None = None) -> None:
        """Record a call that brought a reply."""
        tokens = CountedTokens() if self._is_free() else count(called.request, called.reply)
        self._record(tokens, called.duration_ms, called.request, success=success, diff_size=diff_size)

    def usage(self) -> UsageRead:
        """Return the sums so far, and what is to be known of them."""
        usage = self._line.ledger.usage()
        return usage.model_copy(update={"warnings": [*usage.warnings, *self.warnings]})

    def report(self, message: str) -> None:
        """Tell what happens, with the sums so far."""
        self._line.progress(self._line.ledger.progress(message))

    def _attempt(self, request: ModelRequest) -> Called:
        if self._line.stop.is_set():
            raise ClientLeft
        request = self._prepared(request)
        self._line.ledger.reserve(request, self.model)
        self._heard = False
        started = time.monotonic()
        try:
            reply = self._line.adapter(self.model).reply(request, Listener(self._tell, self._line.stop))
        except ProviderError as error:
            tokens = _tokens_of_failed(request, error)
            self._record(tokens, _milliseconds_since(started), request, success=False)
            raise
        except BaseException:
            # Whatever it was, the provider may have worked for it.
            tokens = CountedTokens() if self._is_free() else count_unanswered(request)
            self._record(tokens, _milliseconds_since(started), request, success=False)
            raise
        return Called(request, reply, _milliseconds_since(started))

    def _record(
        self,
        tokens: CountedTokens,
        duration_ms: int,
        request: ModelRequest,
        *,
        success: bool,
        diff_size: int | None = None,
    ) -> None:
        size = request_size(request)
        self._line.ledger.record(CallRecord(tokens, duration_ms, size, success, diff_size, self._carried))

    def _prepared(self, request: ModelRequest) -> ModelRequest:
        """Return the request as it may leave, within the limits."""
        request = replace(
            request, model=self.model.name, max_tokens=self._line.max_tokens, temperature=self._line.temperature
        )
        outgoing = prepare(request, self.model)
        self._carried = outgoing.carried
        self.warnings += [warning for warning in outgoing.warnings() if warning not in self.warnings]
        limit = self._line.token_limit
        if limit is None or self._is_free():
            return outgoing.request
        usage = self._line.ledger.usage()
        needed = usage.tokens_input + usage.tokens_output + count_unanswered(outgoing.request).input
        if needed >= limit:
            raise TokenLimitReached(self._line.operation, limit, needed)
        return replace(outgoing.request, max_tokens=min(self._line.max_tokens, limit - needed))

    def _repeated(self, request: ModelRequest) -> Called:
        """Call one model, again where that is safe: while nothing of an answer has come."""
        for attempt in itertools.count(1):
            try:
                return self._attempt(request)
            except ProviderError as error:
                if self._heard or not error.repeatable or attempt > self._line.retries:
                    raise
                pause = wait_s(attempt, error.asked_wait_s)
                if pause is None:
                    raise
                self.report(f"{error.title}: {self.model.id} is called again in {pause:.1f} seconds")
            if self._line.stop.wait(pause):
                raise ClientLeft
        raise AssertionError  # counting never ends

    def _take_over(self, error: ProviderError) -> None:
        gone = self._models.pop(0)
        self.warnings.append(f"{gone.id} could not be had ({error.title}), so {self.model.id} answered instead.")
        self.report(f"{error.title}: {self.model.id} takes over from {gone.id}")

    def _tell(self, delta: Delta) -> None:
        self._heard = True
        self._line.progress({"phase": "delta", "kind": delta.kind, "text": delta.text, "name": delta.name})

    def _is_free(self) -> bool:
        return self.model.provider is Provider.OFFLINE


def _tokens_of_failed(request: ModelRequest, error: ProviderError) -> CountedTokens:
    if error.partial is not None:
        return count(request, error.partial)
    return count_unanswered(request) if error.may_be_billed else CountedTokens()


def _milliseconds_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
