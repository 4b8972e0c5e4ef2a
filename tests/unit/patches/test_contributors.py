"""Who had a hand in a patch, under which name and address, and which accounts are one person."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from devstudio_server.auth import Role
from devstudio_server.auth.models import UserRow
from devstudio_server.auth.people import mailbox
from devstudio_server.db import Actor
from devstudio_server.patches.content import build_content
from devstudio_server.patches.contributors import Contributors
from devstudio_server.patches.errors import OwnPatch, PatchNotApproved
from devstudio_server.patches.models import Approval, PatchContributor
from devstudio_server.patches.policy_schemas import PolicyWrite
from devstudio_server.patches.schemas import PatchStatus, RevisionReason
from support.domain_world import ADDER, REQUIREMENTS, TASKS, DomainWorld


@pytest.fixture
def patch(domain: DomainWorld) -> UUID:
    session = domain.session(requirements=REQUIREMENTS, tasks=TASKS)
    return domain.patch(domain.tasks(session.id)[0].id, dict(ADDER))


def person(domain: DomainWorld, name: str, email: str, *roles: Role) -> Actor:
    """Return somebody whom the identity provider has described."""
    actor = replace(domain.other_user(), name=name)
    row = UserRow(user_id=actor.user_id, issuer="i", subject=name, name=name, email=email)
    row.roles, row.last_seen_at = [*(roles or (Role.REVIEWER,))], None
    with domain.unit() as unit:
        unit.add(row)
    return actor


def described(domain: DomainWorld, actor: Actor, email: str) -> None:
    with domain.unit() as unit:
        unit.scalars(select(UserRow).where(UserRow.user_id == actor.user_id)).one().email = email


def edit(domain: DomainWorld, patch_id: UUID, actor: Actor, text: str) -> None:
    with domain.patches(actor) as patches:
        patch = patches.get(patch_id)
        repository = patches.repository(patch)
        content = build_content(repository, repository.tree(patch.base), {**ADDER, "more.txt": text})
        patches.revise(patch, content, RevisionReason.EDITED)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a@b.c", "A@B.C", True),
        ("a@b.c", " a@b.c ", True),
        ("a+x@b.c", "a@b.c", True),
        ("a+x+y@b.c", "a+z@b.c", True),
        ("\uff41@b.c", "a@b.c", True),
        ("stra\u00dfe@b.c", "STRASSE@b.c", True),
        ("a@b.c", "b@b.c", False),
        ("a@b.c", "a@b.d", False),
        ("ab@b.c", "a+b@b.c", False),
    ],
)
def test_spellings_of_an_address_are_one(one: str, other: str, *, same: bool) -> None:
    assert (mailbox(one) == mailbox(other)) is same


@pytest.mark.parametrize("nothing", ["", " ", "no address"])
def test_what_is_no_address_makes_nobody_the_same(nothing: str) -> None:
    assert mailbox(nothing) == ""


def test_hands_are_noted_once_with_the_name_and_address_of_then(domain: DomainWorld, patch: UUID) -> None:
    eve = person(domain, "Eve", "eve@x.org")
    for _ in range(2):
        with domain.patches(eve) as patches:
            Contributors(patches._session).note(patches.get(patch), eve, "editor", "prompter")
    described(domain, eve, "eve@y.org")
    edit(domain, patch, replace(eve, name="Eve Y."), "more\n")
    with domain.unit() as unit:
        rows = unit.scalars(select(PatchContributor).order_by(PatchContributor.id)).all()
        noted = [(row.user_name, row.email, row.role) for row in rows if row.user_id == eve.user_id]
    assert noted == [
        ("Eve", "eve@x.org", "editor"),
        ("Eve", "eve@x.org", "prompter"),
        ("Eve Y.", "eve@y.org", "editor"),
    ]


@pytest.mark.parametrize("now_called", ["old@x.org", "new@y.org"])
def test_an_account_with_an_address_of_then_or_of_now_is_the_editor(
    domain: DomainWorld, patch: UUID, now_called: str
) -> None:
    eve, other = person(domain, "Eve", "old@x.org"), person(domain, "Other", f"{now_called.upper()}")
    edit(domain, patch, eve, "more\n")
    described(domain, eve, "new@y.org")
    said = "Eve, whose e-mail address is yours, edited this patch"
    with pytest.raises(OwnPatch, match=said), domain.reviews(other) as reviews:
        reviews.approve(patch, reviews.patches.read(patch).digest)


def test_whoever_becomes_the_same_person_later_counts_no_more(domain: DomainWorld, patch: UUID) -> None:
    eve, bob = person(domain, "Eve", "eve@x.org"), person(domain, "Bob", "bob@x.org")
    edit(domain, patch, eve, "more\n")
    with domain.reviews(bob) as reviews:
        assert reviews.approve(patch, reviews.patches.read(patch).digest).status is PatchStatus.APPROVED
    described(domain, bob, "Eve+work@X.org")
    with domain.patches(eve) as patches:
        (approval,) = patches.read(patch).approvals
    assert approval.void_reason == "Bob edited this patch."
    with pytest.raises(PatchNotApproved, match="0 of 1 approvals count"), domain.patches(eve) as patches:
        patches.apply(patch, None)


def test_an_older_approval_ends_with_a_shorter_policy_and_no_longer_one_revives_it(
    domain: DomainWorld, patch: UUID
) -> None:
    bob = person(domain, "Bob", "bob@x.org", Role.ADMIN_DEVSTUDIO)
    with domain.reviews(bob) as reviews:
        project = reviews.patches.specs.projects.get(reviews.patches.get(patch).project_id)
        reviews.set_policy(project, PolicyWrite(approval_hours=2), None)
        reviews.approve(patch, reviews.patches.read(patch).digest)
        reviews.set_policy(project, PolicyWrite(approval_hours=500), None)
        (approval,) = reviews.patches.read(patch).approvals
        assert approval.expires_at - approval.created_at == timedelta(hours=2)
        reviews.set_policy(project, PolicyWrite(approval_hours=1), None)
        (approval,) = reviews.patches.read(patch).approvals
        assert approval.expires_at - approval.created_at == timedelta(hours=1)
    with domain.unit() as unit:
        unit.scalars(select(Approval)).one().expires_at = approval.created_at
    with domain.patches(bob) as patches:
        shown = patches.read(patch)
    assert (shown.status, shown.review.missing) == (PatchStatus.PENDING, 1)
    assert str(shown.approvals[0].void_reason).startswith("It expired at ")


def test_the_reason_of_a_rejection_goes_on_from_an_edited_patch_and_makes_no_contributor(
    domain: DomainWorld, patch: UUID
) -> None:
    eve, bob = person(domain, "Eve", "eve@x.org"), person(domain, "Bob", "bob@x.org")
    edit(domain, patch, eve, "more\n")
    with domain.reviews(bob) as reviews:
        task_id = reviews.patches.get(patch).task_id
        reviews.reject(patch, "Use Decimal.")
    with domain.patches() as patches:
        assert patches.rejection_reasons(task_id) == ["Use Decimal."]
    again = domain.patch(task_id, {**ADDER, "decimal.txt": "1\n"})
    with domain.reviews(bob) as reviews:
        assert reviews.patches.read(again).review.may_approve
