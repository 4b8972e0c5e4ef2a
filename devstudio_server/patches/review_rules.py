"""Whose approvals of a patch count: of its exact bytes, by people who had no hand in it, each once, in time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.auth import Permission
from devstudio_server.auth.people import People, Person, mailbox
from devstudio_server.db import Actor
from devstudio_server.kit.clock import now
from devstudio_server.kit.errors import AppError, Forbidden, NotFound
from devstudio_server.patches.content import digest_of
from devstudio_server.patches.contributors import Contributors
from devstudio_server.patches.errors import (
    ApprovalWouldNotCount,
    BranchMismatch,
    DigestMismatch,
    OwnPatch,
    PatchNotApproved,
    PatchNotPending,
)
from devstudio_server.patches.models import Approval, Patch
from devstudio_server.patches.policy import BranchRule, ReviewPolicyService
from devstudio_server.patches.repository import PatchRepository
from devstudio_server.patches.review_models import PatchContributor
from devstudio_server.patches.schemas import PatchStatus
from devstudio_server.projects.service import ProjectService

OPEN = (PatchStatus.PENDING, PatchStatus.APPROVED)
DEEDS = {"author": "made", "editor": "edited", "prompter": "prompted"}
_SOMEONE_ELSE = "so someone else has to approve it."


@dataclass(frozen=True)
class VoidApproval:
    """An approval that does not count, and why."""

    approval: Approval
    why: str


@dataclass(frozen=True)
class Standing:
    """How the review of a patch stands now. ``obstacle`` is what keeps the actor from approving it."""

    rule: BranchRule
    approvals: Sequence[Approval]
    void: Sequence[VoidApproval]
    contributors: Sequence[PatchContributor]
    obstacle: AppError | None
    own: bool

    @property
    def required(self) -> int:
        """How many approvals by other people the policy asks for."""
        return self.rule.required_approvals

    @property
    def missing(self) -> int:
        """How many approvals are missing before the patch can be applied."""
        return max(0, self.rule.needed - len(self.approvals))

    @property
    def approved(self) -> bool:
        """Tell whether nothing is missing."""
        return not self.missing

    @property
    def may_approve(self) -> bool:
        """Tell whether an approval by the actor would count."""
        return self.obstacle is None

    @property
    def why_not(self) -> str | None:
        """Say what keeps the actor from approving."""
        return self.obstacle.detail if self.obstacle else None


class ReviewRules:
    """Says how reviews stand, for whoever asks."""

    def __init__(
        self,
        session: Session,
        actor: Actor,
        projects: ProjectService,
        why_unsigned: Callable[[Patch, Approval], str | None],
    ) -> None:
        """Work in ``session`` for ``actor``; ``why_unsigned`` says why an approval's signature does not hold."""
        self._actor = actor
        self._why_unsigned = why_unsigned
        self._projects = projects
        self._patches = PatchRepository(session)
        self._contributors = Contributors(session)
        self._policies = ReviewPolicyService(session, actor)
        self._people = People(session)

    def standing(self, patch: Patch) -> Standing:
        """Return how the review of one patch stands."""
        return self.standings([patch])[patch.id]

    def standings(self, patches: Sequence[Patch]) -> Mapping[UUID, Standing]:
        """Return how the reviews of patches stand, by patch."""
        approvals = self._patches.approvals([patch.id for patch in patches])
        contributors = self._contributors.of(patches)
        rules = self._rules(patches)
        ids = {row.user_id for rows in approvals.values() for row in rows}
        ids |= {row.user_id for rows in contributors.values() for row in rows} | {self._actor.user_id}
        known = self._people.known(ids)
        found = {}
        for patch in patches:
            rule = rules.get(patch.id, BranchRule())
            people = (approvals[patch.id], contributors[patch.id])
            case = _Case(patch, rule, *people, known, self._actor, self._why_unsigned)
            found[patch.id] = case.standing()
        return found

    def require(self, patch: Patch, branch: str | None = None) -> Sequence[Approval]:
        """Return the approvals that count; raises when they are too few, or the patch is for another branch."""
        if branch is not None and branch != patch.branch:
            raise BranchMismatch(f"The patch is approved for the branch {patch.branch}, not for {branch}.")
        if patch.status not in OPEN:
            raise PatchNotApproved(f"The patch is {patch.status}. Only an approved patch is applied.")
        standing = self.standing(patch)
        if standing.approved:
            return standing.approvals
        digest = digest_of(patch.patch_content)
        if patch.status == PatchStatus.APPROVED and not any(row.digest == digest for row in self._rows_of(patch)):
            raise DigestMismatch("No approval names the bytes that this patch has now, so it was not applied.")
        needed = f"{len(standing.approvals)} of {standing.rule.needed} approvals count"
        void = "".join(f" {named(row.approval)}'s is void: {row.why}" for row in standing.void)
        raise PatchNotApproved(f"The patch is pending: {needed}. Only an approved patch is applied.{void}")

    def _rows_of(self, patch: Patch) -> Sequence[Approval]:
        return self._patches.approvals([patch.id])[patch.id]

    def _rules(self, patches: Sequence[Patch]) -> Mapping[UUID, BranchRule]:
        """Return what holds for each patch. One of a project that is gone is not applied anyway."""
        projects = {}
        for project_id in {patch.project_id for patch in patches}:
            try:
                projects[project_id] = self._projects.get(project_id)
            except NotFound:
                continue
        there = [patch for patch in patches if patch.project_id in projects]
        rules = self._policies.rules([(projects[patch.project_id], patch.branch) for patch in there])
        return {patch.id: rule for patch, rule in zip(there, rules, strict=True)}


@dataclass
class _SamePerson:
    """Groups accounts that are one person: those that have, or had, an address in common."""

    parents: dict[object, object] = field(default_factory=dict)

    def join(self, user_id: UUID, address: str) -> None:
        one, other = self.find(user_id), self.find(address or user_id)
        if one != other:
            self.parents[other] = one

    def find(self, key: object) -> object:
        while (parent := self.parents.get(key, key)) != key:
            key = parent
        return key


@dataclass
class _Case:
    """One patch, and all that its review depends on."""

    patch: Patch
    rule: BranchRule
    approvals: Sequence[Approval]
    contributors: Sequence[PatchContributor]
    known: Mapping[UUID, Person]
    actor: Actor
    why_unsigned: Callable[[Patch, Approval], str | None]
    same: _SamePerson = field(default_factory=_SamePerson)
    hands: dict[object, list[PatchContributor]] = field(default_factory=dict)

    def standing(self) -> Standing:
        self._join()
        digest, at = digest_of(self.patch.patch_content), now()
        counted: dict[object, Approval] = {}
        void = []
        for approval in self.approvals:
            person = self.same.find(approval.user_id)
            why = self._why_void(approval, digest, at)
            if why is None and person in counted:
                why = "This person has approved already."
            if why is not None:
                void.append(VoidApproval(approval, why))
            else:
                counted[person] = approval
        me = self.same.find(self.actor.user_id)
        obstacle = self._obstacle(me, me in counted)
        return Standing(self.rule, [*counted.values()], void, self.contributors, obstacle, me in self.hands)

    def _join(self) -> None:
        said = [(row.user_id, row.email) for row in self.contributors]
        said += [(row.user_id, row.email) for row in self.approvals]
        said += [(person.user_id, person.email) for person in self.known.values()]
        for user_id, email in said:
            self.same.join(user_id, mailbox(email))
        for row in self.contributors:
            self.hands.setdefault(self.same.find(row.user_id), []).append(row)

    def _why_void(self, approval: Approval, digest: str, at: datetime) -> str | None:
        """Return why an approval does not count; None when it does."""
        if approval.withdrawn_at is not None:
            return "It was withdrawn."
        if approval.digest != digest or approval.revision != self.patch.revision:
            return "The patch was changed after it."
        if end_of(approval, self.rule) <= at:
            return f"It expired at {end_of(approval, self.rule):%Y-%m-%d %H:%M} UTC."
        return self._why_not_theirs(approval) or self.why_unsigned(self.patch, approval)

    def _why_not_theirs(self, approval: Approval) -> str | None:
        """Return why the approval of this person does not count; None when it does."""
        person = self.same.find(approval.user_id)
        own = approval.self_reviewed or person in self.hands
        if own and self.rule.required_approvals:
            return f"{named(approval)} {_deeds(self.hands.get(person, ()))} this patch."
        if own and approval.policy_version != self.rule.version:
            return "The project's policy was changed after this approval of one's own patch."
        if not self._counts(approval.user_id):
            return f"The project's policy counts only {self._who_counts()}."
        return None if self._may(approval.user_id) else f"{named(approval)} may not approve any more."

    def _obstacle(self, me: object, counted: bool) -> AppError | None:  # noqa: FBT001 - one of two
        """Return what keeps the actor from approving."""
        if self.patch.status not in OPEN:
            return PatchNotPending(f"The patch is {self.patch.status} already. Make a new one to change it.")
        if not self.actor.may(Permission.CODE_APPROVE):
            return Forbidden(f"You need the permission {Permission.CODE_APPROVE}.")
        if me in self.hands and self.rule.required_approvals:
            return OwnPatch(self._own_words(me))
        if counted:
            return PatchNotPending("You approved these bytes already; the approval counts.")
        if not self._counts(self.actor.user_id):
            return ApprovalWouldNotCount(f"The project's policy counts only approvals of {self._who_counts()}.")
        return None

    def _own_words(self, me: object) -> str:
        mine = [row for row in self.hands[me] if row.user_id == self.actor.user_id]
        said = f"You {_deeds(mine)} this patch, {_SOMEONE_ELSE}"
        if not mine:
            name = self.hands[me][0].user_name or "Someone"
            said = f"{name}, whose e-mail address is yours, {_deeds(self.hands[me])} this patch, {_SOMEONE_ELSE}"
        return f"{said} Nobody else is here: set `required_approvals` to 0." if self.actor.sole_user else said

    def _counts(self, user_id: UUID) -> bool:
        """Tell whether the policy counts someone's approvals: by id, or by a role that they have now."""
        if not self.rule.approver_roles and not self.rule.approver_users:
            return True
        return user_id in self.rule.approver_users or bool({*self.rule.approver_roles} & self._roles(user_id))

    def _may(self, user_id: UUID) -> bool:
        """Tell whether someone may still approve, as far as is known."""
        known = self.known.get(user_id)
        return known is None or known.may(Permission.CODE_APPROVE)

    def _roles(self, user_id: UUID) -> frozenset[str]:
        known = self.known.get(user_id)
        if known is not None:
            return known.roles
        return self.actor.roles if user_id == self.actor.user_id else frozenset()

    def _who_counts(self) -> str:
        names = [f"the role {role}" for role in self.rule.approver_roles]
        users = len(self.rule.approver_users)
        return " or ".join([*names, *([f"{users} named {'person' if users == 1 else 'people'}"] if users else [])])


def named(approval: Approval) -> str:
    """Return what to call whoever approved."""
    return approval.user_name or "This person"


def end_of(approval: Approval, rule: BranchRule) -> datetime:
    """Return when an approval expires: as it was said then, or sooner when the policy became shorter."""
    end = approval.created_at + timedelta(hours=rule.expiry_hours)
    return end if approval.expires_at is None else min(end, approval.expires_at)


def _deeds(rows: Collection[PatchContributor]) -> str:
    done = list(dict.fromkeys(DEEDS[row.role] for row in rows)) or ["had a hand in"]
    return " and ".join([", ".join(done[:-1]), done[-1]] if len(done) > 1 else done)
