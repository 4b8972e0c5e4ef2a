"""Keeps what the calls of one conversation used and cost, whatever becomes of their answers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from devstudio_server.ai.metering import CountedTokens
from devstudio_server.ai.models import Metric
from devstudio_server.ai.prices import PriceBook
from devstudio_server.ai.schemas import Model, UsageRead
from devstudio_server.ai.service import MetricService
from devstudio_server.db import Actor, Units
from devstudio_server.kit.metrics import count_call


@dataclass(frozen=True)
class Account:
    """Who pays for which work on which model."""

    units: Units
    actor: Actor
    operation: Literal["plan", "generation"]
    task_id: UUID | None
    model: Model
    prices: PriceBook


@dataclass(frozen=True)
class CallRecord:
    """One call. ``context_size`` and ``diff_size`` are the characters that went out and that came back as an answer.

    ``success`` tells whether it led to something usable.
    """

    tokens: CountedTokens
    duration_ms: int
    context_size: int
    success: bool
    diff_size: int | None = None


class Ledger:
    """The calls of one conversation. Each is written in a short transaction of its own, never around the call."""

    def __init__(self, account: Account) -> None:
        """Start at nothing."""
        self._account = account
        self._calls: list[CallRecord] = []
        self._cost = Decimal(0)

    def record(self, call: CallRecord) -> None:
        """Write one call down."""
        account = self._account
        cost = account.prices.cost(account.model.provider, account.model.name, call.tokens)
        self._calls.append(call)
        self._cost += cost
        count_call(account.operation, account.model.id, call.tokens.input + call.tokens.output, float(cost))
        with account.units.begin(account.actor) as session:
            MetricService(session).record(
                Metric(
                    task_id=account.task_id,
                    operation_type=account.operation,
                    provider=account.model.provider.value,
                    model_used=account.model.name,
                    tokens_input=call.tokens.input,
                    tokens_output=call.tokens.output,
                    cost_estimated=cost,
                    estimated=call.tokens.estimated,
                    duration_ms=call.duration_ms,
                    success=call.success,
                    context_size=call.context_size,
                    diff_size=call.diff_size,
                )
            )

    def usage(self) -> UsageRead:
        """Return the sums so far."""
        return UsageRead(
            model=self._account.model.id,
            provider=self._account.model.provider,
            tokens_input=sum(call.tokens.input for call in self._calls),
            tokens_output=sum(call.tokens.output for call in self._calls),
            cost_estimated=self._cost,
            estimated=any(call.tokens.estimated for call in self._calls),
            calls=len(self._calls),
            duration_ms=sum(call.duration_ms for call in self._calls),
        )

    def progress(self, message: str) -> dict[str, Any]:
        """Return a progress event that carries the sums so far."""
        sums = self.usage().model_dump(
            mode="json", include={"calls", "tokens_input", "tokens_output", "cost_estimated"}
        )
        return {"phase": "model", "message": message, "model": self._account.model.id, **sums}
