"""How a project wants models used: what its agent settings say, as calls need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any


@dataclass(frozen=True)
class ModelUse:
    """The limits of calls. ``None`` where nobody has set one: then the server's and the model's own hold.

    ``policy`` are rules by name: ``fallback`` lists the models that take over, ``call_limit_usd`` is what one call may
    cost. ``token_limits`` are the most tokens of all calls of an operation, by its name.
    """

    temperature: float | None = None
    max_tokens: int | None = None
    policy: Mapping[str, Any] = field(default_factory=dict)
    token_limits: Mapping[str, int] = field(default_factory=dict)

    @property
    def fallback(self) -> list[str]:
        """The ids of the models that take over, in their order."""
        named = self.policy.get("fallback")
        return [name for name in named if isinstance(name, str)] if isinstance(named, list) else []

    @property
    def call_limit(self) -> Decimal | None:
        """What one call may cost at most, in US dollars."""
        value = self.policy.get("call_limit_usd")
        if value is None or isinstance(value, bool):
            return None
        try:
            amount = Decimal(str(value))
        except InvalidOperation:
            return None
        return amount if amount.is_finite() and amount >= 0 else None

    def token_limit(self, operation: str) -> int | None:
        """Return the most tokens that all calls of an operation may use."""
        limit = self.token_limits.get(operation)
        return limit if isinstance(limit, int) else None
