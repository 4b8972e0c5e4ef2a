"""What a budget refuses."""

from __future__ import annotations

from decimal import Decimal

from devstudio_server.kit.errors import TooManyRequests

_FEW_SECONDS = 30


class BudgetExceeded(TooManyRequests):
    """A call that might cost more than is left was not made. Nothing was sent to a model, and nothing is billed."""

    title = "The budget does not allow this"

    def __init__(self, scope: str, limit: Decimal, needed: Decimal, *, spent: Decimal, reserved: Decimal) -> None:
        """``scope`` is ``call``, ``task``, ``project`` or ``tenant``; the figures are US dollars."""
        left = max(limit - spent - reserved, Decimal(0))
        held = f", {_dollars(reserved)} are held for calls under way" if reserved else ""
        retry = {"Retry-After": str(_FEW_SECONDS)} if needed <= limit - spent else {}
        super().__init__(
            f"The budget of the {scope} is {_dollars(limit)}: {_dollars(spent)} are spent{held}, {_dollars(left)} are "
            f"left. This call may cost up to {_dollars(needed)}, so it was not made. Ask for less at once, choose a "
            "cheaper model, or have an administrator raise the limit. The model `offline` costs nothing."
            if scope != "call"
            else f"One call may cost {_dollars(limit)} by the settings of this project. This one may cost up to "
            f"{_dollars(needed)}, so it was not made. Ask for less at once, lower `max_tokens`, choose a cheaper "
            "model, or raise `call_limit_usd`. The model `offline` costs nothing.",
            headers=retry,
            scope=scope,
            limit=float(limit),
            spent=float(spent),
            reserved=float(reserved),
            left=float(left),
            needed=float(needed),
        )


def _dollars(amount: Decimal) -> str:
    """Write an amount with two places, small ones with as many as they need."""
    text = f"{amount:.8f}".rstrip("0")
    whole, _, places = text.partition(".")
    return f"${whole}.{places.ljust(2, '0')}"
