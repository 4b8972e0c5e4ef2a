"""The rule of two people once more, plainly: what the server must not allow is worked out here without its code."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

REVIEWING = frozenset({"reviewer", "admin_devstudio"})
"""The roles that may approve."""


@dataclass
class Someone:
    """A person's account: the address that their tokens name, and their roles."""

    name: str
    email: str
    roles: frozenset[str]


@dataclass
class Given:
    """An approval, as it was given."""

    who: Someone
    mailbox: str
    digest: str
    revision: int
    epoch: int
    own: bool
    policy: int
    at: datetime
    hours: int
    withdrawn: bool = False


@dataclass
class Rule:
    """The policy of the one project."""

    version: int = 0
    protected: bool = True
    required: int = 1
    roles: tuple[str, ...] = ()
    hours: int = 168


@dataclass
class Modelled:
    """A patch: what it is now, who had a hand in it, and who approved it."""

    digest: str
    branch: str
    revision: int = 1
    epoch: int = 0
    good_until: datetime | None = None
    hands: list[tuple[Someone, str]] = field(default_factory=list)
    given: list[Given] = field(default_factory=list)
    status: str = "open"


def mailbox(email: str) -> str:
    """Return an address without what makes two spellings of it."""
    local, _, domain = email.lower().partition("@")
    return f"{local.split('+', maxsplit=1)[0]}@{domain}" if domain else ""


def one_person(start: Someone, patch: Modelled) -> list[Someone]:
    """Return all accounts that are the same person as ``start``: by any address that they have or had here."""
    seen: list[tuple[Someone, str]] = [(given.who, given.mailbox) for given in patch.given]
    seen += [(who, box) for who, box in patch.hands]
    everyone = {id(who): who for who, _ in seen} | {id(start): start}
    seen += [(who, mailbox(who.email)) for who in everyone.values()]
    found, boxes = {id(start)}, set[str]()
    while True:
        before = len(found), len(boxes)
        boxes |= {box for who, box in seen if id(who) in found and box}
        found |= {id(who) for who, box in seen if box in boxes}
        if (len(found), len(boxes)) == before:
            return [everyone[key] for key in found]


def had_a_hand(who: Someone, patch: Modelled) -> bool:
    """Tell whether someone, under whatever account, worked on the patch."""
    same = one_person(who, patch)
    return any(hand is one for hand, _ in patch.hands for one in same)


def counted(patch: Modelled, rule: Rule, protected: bool, at: datetime) -> int:  # noqa: FBT001
    """Return how many approvals count for the patch as it is, by the rule that holds now."""
    return len(counting(patch, rule, protected, at))


def counting(patch: Modelled, rule: Rule, protected: bool, at: datetime) -> list[Given]:  # noqa: FBT001
    """Return the approvals that count."""
    required = rule.required if protected else 0
    if patch.good_until is not None and patch.good_until <= at:
        return []
    found: list[Given] = []
    for given in patch.given:
        own = given.own or had_a_hand(given.who, patch)
        wrong = (
            given.withdrawn
            or given.digest != patch.digest
            or given.revision != patch.revision
            or given.epoch != patch.epoch
            or given.at + timedelta(hours=min(given.hours, rule.hours)) <= at
            or (own and (required or given.policy != rule.version))
            or not given.who.roles & REVIEWING
            or (protected and rule.roles and not given.who.roles & set(rule.roles))
            or any(one is other.who for one in one_person(given.who, patch) for other in found)
        )
        if not wrong:
            found.append(given)
    return found


def needed(rule: Rule, protected: bool) -> int:  # noqa: FBT001
    """Return how many have to count."""
    return max(1, rule.required) if protected else 1
