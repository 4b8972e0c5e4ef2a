"""What a verification found, in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One thing that was found, and the member of the bundle that it was found in; "" is the whole file."""

    member: str
    said: str


@dataclass
class Report:
    """Everything that a verification found. ``pinned``: the signing key is one that the person gave."""

    pinned: bool = False
    key_id: str = ""
    fingerprint: str = ""
    subject: dict[str, Any] = field(default_factory=dict)
    problems: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=dict)
    tasks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong. Whose evidence it is, only `pinned` says."""
        return not self.problems

    def wrong(self, member: str, said: str) -> None:
        """Note a problem."""
        self.problems.append(Finding(member, said))

    def note(self, member: str, said: str) -> None:
        """Note what a reader should know, although nothing is wrong with it."""
        self.notes.append(Finding(member, said))

    def count(self, what: str) -> None:
        """Count something that was checked."""
        self.checked[what] = self.checked.get(what, 0) + 1

    @contextmanager
    def reading(self, member: str) -> Iterator[None]:
        """Turn a member of another shape than expected into a problem."""
        try:
            yield
        except KeyError as error:
            self.wrong(member, f"This member lacks {error}.")
        except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError) as error:
            self.wrong(member, f"This member is not of the expected shape: {error}.")

    def to_json(self) -> dict[str, Any]:
        """Give the report as JSON data."""
        return {
            "holds": self.holds,
            "pinned": self.pinned,
            "key_id": self.key_id,
            "fingerprint": self.fingerprint,
            "subject": self.subject,
            "problems": [{"member": each.member, "said": each.said} for each in self.problems],
            "notes": [{"member": each.member, "said": each.said} for each in self.notes],
            "checked": self.checked,
            "tasks": self.tasks,
        }
