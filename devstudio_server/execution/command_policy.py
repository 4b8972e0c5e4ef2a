"""What people may ask a sandbox to run, and how much of the machine a run may take.

This is no boundary: `make`, `python -c` and `npm` start whatever they like. The sandbox is the boundary; the policy
says early and clearly what a run is for. Source of the programs: the seed's list, without `docker`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

from devstudio_sandbox import Limits
from devstudio_server.execution.errors import CommandRefused, LimitExceeded

DEADLINE_S = 600.0
"""Longest that one run's command may take, in seconds of wall time."""
PROGRAMS = (
    "npm", "npx", "yarn", "node", "python", "python3", "pip", "git", "ls", "cat", "echo", "mkdir", "rm", "cp", "mv",
    "test", "build", "lint", "format", "tsc", "jest", "pytest", "coverage", "ruff", "make",
)  # fmt: skip


def limits_of(values: Mapping[str, float | None], base: Limits) -> Limits:
    """Return ``base`` with what ``values`` give, by the names of `Limits`."""
    named = {item.name: type(getattr(base, item.name)) for item in fields(Limits)}
    given = {name: named[name](value) for name, value in values.items() if value is not None}
    return Limits(**{name: getattr(base, name) for name in named} | given)


@dataclass(frozen=True)
class RunPolicy:
    """What this server allows. ``limits`` are both what a run gets and the most that a project can ask for."""

    programs: tuple[str, ...] = PROGRAMS
    deadline_s: float = DEADLINE_S
    limits: Limits = field(default_factory=Limits)

    def check_command(self, argv: Sequence[str], where: Sequence[str | int]) -> None:
        """Raise `CommandRefused` unless the first word is one of the programs; ``where`` is the command's place."""
        if argv[0] not in self.programs:
            raise CommandRefused(argv[0], self.programs, [*where, 0])

    def check_deadline(self, seconds: float | None, where: Sequence[str | int]) -> None:
        """Raise `LimitExceeded` when ``seconds`` is more than a run may take."""
        if seconds is not None and seconds > self.deadline_s:
            raise LimitExceeded(where, seconds, self.deadline_s)

    def check_limits(self, values: Mapping[str, float | None], where: Sequence[str | int]) -> None:
        """Raise `LimitExceeded` when one of ``values`` is more than a run may have."""
        for name, value in values.items():
            most = getattr(self.limits, name)
            if value is not None and value > most:
                raise LimitExceeded([*where, name], value, most)
