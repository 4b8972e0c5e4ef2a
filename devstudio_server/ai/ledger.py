"""Holds what the calls of one conversation may cost, and keeps what they used and cost, whatever becomes of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from devstudio_server.ai.budget_desk import desk_of
from devstudio_server.ai.budgets import Hold, Purpose, rounded, rounded_up
from devstudio_server.ai.errors import PriceUnknown
from devstudio_server.ai.metering import CountedTokens, count_unanswered, request_size, worst_case
from devstudio_server.ai.models import Metric
from devstudio_server.ai.outgoing import Carried
from devstudio_server.ai.ports import ModelRequest
from devstudio_server.ai.prices import PriceBook
from devstudio_server.ai.schemas import Model, UsageRead
from devstudio_server.db import Actor, Units
from devstudio_server.kit.metrics import Conversation as Operation
from devstudio_server.kit.metrics import count_call

CALL_S = 600.0
"""How long a call may take where the account does not say."""


@dataclass(frozen=True)
class Account:
    """Who pays for which work on which model.

    ``call_limit`` is what one call may cost at most, in US dollars; ``call_s`` is how long one may take, retries
    included: a reservation holds a little longer.
    """

    units: Units
    actor: Actor
    operation: Operation
    task_id: UUID | None
    model: Model
    prices: PriceBook
    project_id: UUID | None = None
    session_id: UUID | None = None
    call_limit: Decimal | None = None
    call_s: float = CALL_S

    @property
    def purpose(self) -> Purpose:
        """What the work is for."""
        return Purpose(self.project_id, self.session_id, self.task_id)


@dataclass(frozen=True)
class CallRecord:
    """One call. ``context_size`` and ``diff_size`` are the characters that went out and that came back as an answer.

    ``success`` tells whether it led to something usable, ``carried`` what was sent, as digests.
    """

    tokens: CountedTokens
    duration_ms: int
    context_size: int
    success: bool
    diff_size: int | None = None
    carried: tuple[Carried, ...] = ()


class Ledger:
    """The calls of one conversation: `reserve` (commit), the call, and then `record` or `release` (commit).

    Each is a short transaction of its own, never around the call. Of one thread: it holds one reservation at a time.
    """

    def __init__(self, account: Account) -> None:
        """Start at nothing."""
        self._account = account
        self._desk = desk_of(account.units)
        self._model = account.model
        self._held: UUID | None = None
        self._calls: list[CallRecord] = []
        self._cost = Decimal(0)
        self._warnings: list[str] = []

    def reserve(self, request: ModelRequest, model: Model) -> None:
        """Hold what a call of ``model`` may cost at worst, before it is made.

        Raises `BudgetExceeded` and `PriceUnknown`. What costs nothing needs no reservation and is never refused.
        """
        self.release()
        account = self._account
        if account.prices.price(model.provider, model.name, model.endpoint) is None:
            raise PriceUnknown(model.id)
        self._model = model
        tokens = count_unanswered(request)
        amount = account.prices.worst_cost(model.provider, model.name, worst_case(request), model.endpoint)
        if not amount:
            return
        hold = Hold(
            purpose=account.purpose,
            operation=account.operation,
            provider=model.endpoint or model.provider.value,
            model=model.name,
            amount=rounded_up(amount),
            estimate=rounded(account.prices.cost(model.provider, model.name, tokens, model.endpoint)),
            tokens_input=tokens.input,
            context_size=request_size(request),
            hold_s=account.call_s,
            limit=account.call_limit,
        )
        self._held = self._desk.do(account.actor, lambda budgets: budgets.reserve(hold), account.purpose)

    def record(self, call: CallRecord) -> None:
        """Write one call down, and settle what was held for it."""
        account, model = self._account, self._model
        cost = account.prices.cost(model.provider, model.name, call.tokens, model.endpoint)
        self._calls.append(call)
        self._cost += cost
        count_call(account.operation, model.id, call.tokens.input + call.tokens.output, float(cost))
        held, self._held = self._held, None
        warnings = self._desk.do(
            account.actor,
            lambda budgets: budgets.settle(_metric(account, model, call, cost), held),
            account.purpose,
            held,
        )
        self._warnings += [warning for warning in warnings if warning not in self._warnings]

    def release(self) -> None:
        """Hold nothing any more for a call that was not made, or not billed."""
        held, self._held = self._held, None
        if held is not None:
            account = self._account
            self._desk.do(account.actor, lambda budgets: budgets.release(held), account.purpose, held)

    def usage(self) -> UsageRead:
        """Return the sums so far."""
        return UsageRead(
            model=self._model.id,
            provider=self._model.provider,
            tokens_input=sum(call.tokens.input for call in self._calls),
            tokens_output=sum(call.tokens.output for call in self._calls),
            cost_estimated=self._cost,
            estimated=any(call.tokens.estimated for call in self._calls),
            calls=len(self._calls),
            duration_ms=sum(call.duration_ms for call in self._calls),
            tokens_cache_read=sum(call.tokens.cache_read for call in self._calls),
            tokens_cache_write=sum(call.tokens.cache_write for call in self._calls),
            warnings=list(self._warnings),
        )

    def progress(self, message: str) -> dict[str, Any]:
        """Return a progress event that carries the sums so far."""
        sums = self.usage().model_dump(
            mode="json", include={"calls", "tokens_input", "tokens_output", "cost_estimated"}
        )
        return {"phase": "model", "message": message, "model": self._model.id, **sums}


def _metric(account: Account, model: Model, call: CallRecord, cost: Decimal) -> Metric:
    return Metric(
        project_id=account.project_id,
        session_id=account.session_id,
        task_id=account.task_id,
        operation_type=account.operation,
        provider=model.endpoint or model.provider.value,
        model_used=model.name,
        tokens_input=call.tokens.input,
        tokens_output=call.tokens.output,
        tokens_cache_read=call.tokens.cache_read,
        tokens_cache_write=call.tokens.cache_write,
        cost_estimated=cost,
        estimated=call.tokens.estimated,
        duration_ms=call.duration_ms,
        success=call.success,
        context_size=call.context_size,
        diff_size=call.diff_size,
        carried=[asdict(part) for part in call.carried],
    )
