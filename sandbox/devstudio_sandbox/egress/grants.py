"""The leases in force: what each allows, until when, and how many bytes are left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .rules import Rule, read_rule

Clock = Callable[[], float]


@dataclass
class Grant:
    """One lease. ``up`` and ``down`` count what went through this proxy because of it."""

    id: str
    rules: tuple[Rule, ...]
    ends: float
    """On the monotonic clock."""
    up_limit: int
    down_limit: int
    up: int = 0
    down: int = 0

    def over(self, now: float) -> str | None:
        """Say why nothing more may go through because of it."""
        if now >= self.ends:
            return "the lease has expired"
        if self.up >= self.up_limit:
            return "the lease's bytes to send are used up"
        if self.down >= self.down_limit:
            return "the lease's bytes to receive are used up"
        return None


@dataclass
class Grants:
    """All leases of one run."""

    clock: Clock = time.monotonic
    _by_id: dict[str, Grant] = field(default_factory=dict)

    def replace(self, told: Iterable[Mapping[str, Any]]) -> None:
        """Take the leases as the host tells them now; the counters of those that stay go on."""
        present = {}
        for item in told:
            grant = Grant(
                id=str(item["id"]),
                rules=tuple(read_rule(text) for text in item["domains"]),
                ends=self.clock() + float(item["expires_in_s"]),
                up_limit=int(item["up_limit"]),
                down_limit=int(item["down_limit"]),
            )
            known = self._by_id.get(grant.id)
            if known is not None:
                grant.up, grant.down = known.up, known.down
            present[grant.id] = grant
        self._by_id = present

    def find(self, host: str, port: int) -> tuple[Grant | None, str]:
        """Return a lease that allows this now, or why there is none."""
        why = f"no lease in force allows {host} at port {port}"
        for grant in self._by_id.values():
            if any(rule.covers(host, port) for rule in grant.rules):
                over = grant.over(self.clock())
                if over is None:
                    return grant, ""
                why = over
        return None, why

    def why_cut(self, grant_id: str) -> str | None:
        """Say why what goes on because of a lease must end; None while it may go on."""
        grant = self._by_id.get(grant_id)
        return "the lease was revoked" if grant is None else grant.over(self.clock())

    def count(self, grant_id: str, up: int, down: int) -> None:
        """Count bytes; those of a lease that is gone have nowhere to count."""
        grant = self._by_id.get(grant_id)
        if grant is not None:
            grant.up += up
            grant.down += down

    def names(self) -> list[str]:
        """Return what the leases allow, as a person wrote it."""
        return sorted({str(rule) for grant in self._by_id.values() for rule in grant.rules})
