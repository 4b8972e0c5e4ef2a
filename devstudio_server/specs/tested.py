"""What the tests of a run say about the tests that once proved a criterion."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self
from uuid import UUID

_BROKEN = ("failed", "error")
_FILE = re.compile(r"\.[cm]?[jt]sx?$")


class ReportedTest(Protocol):
    """One test as a run keeps it."""

    @property
    def id(self) -> str:
        """What tells it from the other tests of its project."""

    @property
    def outcome(self) -> str:
        """How it ended."""


@dataclass(frozen=True)
class Tested:
    """The outcomes of a run's tests, by id; ``complete`` unless the report was cut."""

    __test__ = False  # not a test of ours, whatever pytest thinks of the name

    outcomes: Mapping[str, str] = field(default_factory=dict)
    modules: frozenset[str] = frozenset()
    """What broke as a whole: a module of Python that cannot be imported, a file of another language."""
    complete: bool = True

    @classmethod
    def of(cls, tests: Iterable[ReportedTest], *, complete: bool) -> Self:
        """Read a run's tests. Of two with one id the broken one counts."""
        outcomes: dict[str, str] = {}
        for test in tests:
            if outcomes.get(test.id) not in _BROKEN:
                outcomes[test.id] = test.outcome
        broken = {test for test, outcome in outcomes.items() if outcome in _BROKEN and "::" not in test}
        return cls(outcomes, frozenset(broken), complete)

    def failing(self, tests: Sequence[str]) -> list[str]:
        """Return those of ``tests`` that failed, or could not even be loaded."""
        return [test for test in tests if self.outcomes.get(test) in _BROKEN or self._not_loaded(test)]

    def _not_loaded(self, test: str) -> bool:
        """Tell whether the test is not there because its module, or for all one knows its file, could not be loaded."""
        if test in self.outcomes or not self.complete:
            return False
        where, named, _name = test.partition("::")
        if not named:
            return any(_FILE.search(broken) for broken in self.modules)
        return any(where == broken or where.startswith(f"{broken}.") for broken in self.modules)

    def gone(self, tests: Sequence[str]) -> bool:
        """Tell whether the report, a whole one, has none of ``tests``."""
        return self.complete and bool(tests) and not any(test in self.outcomes for test in tests)

    def passed(self, tests: Sequence[str]) -> bool:
        """Tell whether all of ``tests`` passed."""
        return bool(tests) and all(self.outcomes.get(test) == "passed" for test in tests)


@dataclass(frozen=True)
class ProvingRun:
    """A final run on a committed tree of a branch."""

    run_id: UUID
    commit: str
    tree: str | None
    branch: str | None
    patch_id: UUID | None = None
    base_run_id: UUID | None = None
    log_sha256: str | None = None


@dataclass(frozen=True)
class Proof:
    """The tests that prove a criterion; ``strict``: they were seen to fail without the change."""

    tests: tuple[str, ...] = ()
    strict: bool = False
