"""The signed envelopes of patches and approvals: made when a patch gets its bytes, checked before anything is done.

An envelope is never believed where a row or a git object can be asked: everything that it says is worked out again
and compared, so a changed row is found as surely as a changed envelope.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.db import actor_of
from devstudio_server.kit.clock import now
from devstudio_server.kit.errors import NotFound
from devstudio_server.patches.content import digest_of
from devstudio_server.patches.contributors import Contributors
from devstudio_server.patches.envelope_errors import (
    ApprovalUnsigned,
    ContentChanged,
    CriterionChanged,
    PatchUnsigned,
    SignatureExpired,
    WrongBranch,
    WrongPatch,
)
from devstudio_server.patches.envelope_schemas import SignatureRead
from devstudio_server.patches.envelope_statements import (
    APPROVAL_TYPE,
    PATCH_TYPE,
    ApprovalStatement,
    PatchStatement,
    SignedContributor,
    SignedCriterion,
)
from devstudio_server.patches.models import Approval, Patch
from devstudio_server.patches.policy import ReviewPolicyService
from devstudio_server.patches.schemas import PatchStatus
from devstudio_server.patches.witness import Witness, witness
from devstudio_server.scm import GitStorage
from devstudio_server.scm.workspace import WorkspaceStorage
from devstudio_server.signing.errors import SignatureInvalid
from devstudio_server.signing.signer import Signed, Signer, digest_of_envelope
from devstudio_server.specs.service import SpecService
from devstudio_server.web import Ports

AGAIN = "Look at the patch again and approve it again."
_OPEN = (PatchStatus.PENDING, PatchStatus.APPROVED)
_CONTENT = {
    "diff_sha256": "its bytes",
    "base_commit": "its base commit",
    "base_tree": "the tree of its base commit",
    "result_tree": "the tree that it makes",
    "files": "what it does to files",
    "author": "its author",
    "contributors": "who had a hand in it",
    "model": "the model that made it",
}


def seal(session: Session, ports: Ports, patch: Patch) -> PatchStatement:
    """Sign what the patch is now, as its one envelope, in the caller's unit; every approval of before names another."""
    return Envelopes(session, ports).seal(patch)


def check(session: Session, ports: Ports, patch: Patch, *, branch: str | None = None) -> PatchStatement:
    """Return what the patch's envelope says, when it is all still so; ``branch`` is where the patch shall go.

    Raises `PatchUnsigned`, `KeyUnknown`, `KeyRevoked`, `WrongPatch`, `WrongBranch`, `ContentChanged`,
    `SignatureExpired`, `CriterionChanged`, or another `SignatureInvalid`.
    """
    return Envelopes(session, ports).check(patch, branch=branch)


class Envelopes:
    """Signs and checks in one unit of work, in which the spec stays as it is: each envelope is verified once."""

    def __init__(self, session: Session, ports: Ports, specs: SpecService | None = None) -> None:
        """Work in ``session``, for who opened it. Git is asked what ``witnessed`` does not tell."""
        self.witnessed: Witness | None = None
        actor = actor_of(session)
        self._git = ports.get(GitStorage)
        self._signer = ports.get(Signer)
        self._specs = specs or SpecService(session, actor, self._git, ports.get(WorkspaceStorage))
        self._policy = ReviewPolicyService(session, actor)
        self._contributors = Contributors(session)
        self._session = session
        self._verified: dict[tuple[str | None, str | None], PatchStatement] = {}
        self._criteria_of: dict[UUID, tuple[SignedCriterion, ...]] = {}

    def seal(self, patch: Patch) -> PatchStatement:
        """Sign what the patch is now; raises `ContentChanged` when its bytes do not make the tree that it names."""
        rule = self._policy.rule(self._specs.projects.get(patch.project_id), patch.branch)
        issued = now().replace(microsecond=0)
        rows, seen = self._facts_of_rows(patch), self._witness(patch, made=True)
        statement = PatchStatement(
            **rows,
            **_facts_of_git(seen),
            criteria=self._criteria(patch),
            required_approvals=rule.required_approvals,
            issued_at=issued,
            expires_at=issued + timedelta(hours=rule.expiry_hours),
        )
        if seen.made != patch.result_tree:
            raise ContentChanged("The bytes of the patch make another tree than the one that it names.")
        patch.envelope = self._signer.sign(PATCH_TYPE, statement.members())
        signed = self._signer.open(patch.envelope, PATCH_TYPE)
        patch.signature = base64.b64encode(signed.signature).decode()
        self._session.flush()
        return statement

    def check(self, patch: Patch, *, branch: str | None = None) -> PatchStatement:
        """Return what the envelope says, when it is all still so, and in time."""
        statement = self.check_content(patch, branch=branch)
        self._check_fresh(patch, statement)
        return statement

    def check_content(self, patch: Patch, *, branch: str | None = None) -> PatchStatement:
        """Check all but what time and the spec have made of it, which approving again puts right."""
        statement = self._statement(patch)
        _check_identity(statement, patch, branch)
        _compare(statement, self._facts_of_rows(patch))
        _compare(statement, _facts_of_git(self._witness(patch)))
        return statement

    def seal_for_approval(self, patch: Patch, counted: Sequence[Approval]) -> None:
        """Check what is to be approved, and sign it anew unless approvals count already, which name it as it is."""
        self.check_content(patch)
        if not counted:
            self.seal(patch)

    def sign_approval(self, patch: Patch, approval: Approval) -> None:
        """Sign that somebody approved the patch's present envelope; the approval has its id, and is not stored yet."""
        statement = self._statement(patch)
        said = ApprovalStatement(
            tenant_id=patch.tenant_id,
            approval_id=approval.id,
            patch_id=patch.id,
            revision=patch.revision,
            diff_sha256=statement.diff_sha256,
            patch_envelope_sha256=digest_of_envelope(patch.envelope or ""),
            user_id=approval.user_id,
            user_name=approval.user_name,
            self_reviewed=approval.self_reviewed,
            required_approvals=statement.required_approvals,
            at=now().replace(microsecond=0),
        )
        approval.envelope = self._signer.sign(APPROVAL_TYPE, said.members())

    def why_void(self, patch: Patch, approval: Approval) -> str | None:
        """Return why an approval does not count for what the patch is now, if so. Git is not asked.

        Time and the spec take approvals from what is not applied yet; approving again gives them back.
        """
        try:
            check_approval(self._signer, patch, approval)
            if patch.status in _OPEN:
                self._check_fresh(patch, self._statement(patch))
        except SignatureInvalid as error:
            return error.detail
        except NotFound:  # of its task or project, whose end is told elsewhere
            return None
        return None

    def read(self, patch: Patch) -> SignatureRead:
        """Return what is shown of a patch's signature; git and the spec are only asked before something is done."""
        return read_signature(self._signer, patch)

    def _facts_of_rows(self, patch: Patch) -> dict[str, object]:
        """Return what the rows say that the patch is."""
        people = self._contributors.of([patch])[patch.id]
        found = {SignedContributor(user_id=row.user_id, role=row.role) for row in people}
        return {
            **_identity(patch),
            "branch": patch.branch,
            "base_commit": patch.base,
            "result_tree": patch.result_tree,
            "diff_sha256": _digest(patch),
            "author": patch.created_by,
            "contributors": tuple(sorted(found, key=lambda one: (str(one.user_id), one.role))),
            "model": patch.model,
        }

    def _witness(self, patch: Patch, *, made: bool = False) -> Witness:
        """Return what the repository says that the patch is: from before, if the patch is still what was seen."""
        repository, seen = self._git.repository(patch.tenant_id, patch.project_id), self.witnessed
        if seen is None or not seen.saw(repository, patch) or (made and seen.made is None):
            seen = self.witnessed = witness(repository, patch, made=made)
        return seen

    def _criteria(self, patch: Patch) -> tuple[SignedCriterion, ...]:
        if patch.task_id not in self._criteria_of:
            task = self._specs.get_task(patch.task_id)
            digests = self._specs.criteria_digests(task.session_id)
            signed = (SignedCriterion(key=key, sha256=digests.get(key, "")) for key in task.criteria)
            self._criteria_of[patch.task_id] = tuple(signed)
        return self._criteria_of[patch.task_id]

    def _statement(self, patch: Patch) -> PatchStatement:
        """Return what is signed; raises `SignatureInvalid`."""
        key = (patch.envelope, patch.signature)
        if key not in self._verified:
            self._verified[key] = PatchStatement.read(_opened(self._signer, patch).statement)
        return self._verified[key]

    def _check_fresh(self, patch: Patch, statement: PatchStatement) -> None:
        """Raise for what time and the spec have made of a statement."""
        _check_time(statement)
        present, signed = self._criteria(patch), statement.criteria
        if present != signed:
            changed = sorted({one.key for one in set(present) ^ set(signed)})
            named = f"Criterion {changed[0]}" if len(changed) == 1 else f"The criteria {', '.join(changed)}"
            raise CriterionChanged(f"{named} changed since this was approved. {AGAIN}")


def _facts_of_git(seen: Witness) -> dict[str, object]:
    return {"base_tree": seen.base_tree, "files": seen.files}


def _compare(statement: PatchStatement, found: Mapping[str, object]) -> None:
    """Raise for what is not as it was signed."""
    for name, called in _CONTENT.items():
        if name in found and getattr(statement, name) != found[name]:
            raise ContentChanged(f"The patch is not what was signed: {called} changed since. Nothing was done.")


def check_approval(signer: Signer, patch: Patch, approval: Approval) -> ApprovalStatement:
    """Return what an approval's envelope says, when it approves the patch's present envelope.

    Raises `ApprovalUnsigned`, `WrongPatch`, `ContentChanged`, or another `SignatureInvalid`.
    """
    if approval.envelope is None:
        raise ApprovalUnsigned(f"This approval was given before approvals were signed. {AGAIN}")
    said = ApprovalStatement.read(signer.verify(approval.envelope, APPROVAL_TYPE))
    if (said.tenant_id, said.patch_id, said.approval_id) != (patch.tenant_id, patch.id, approval.id):
        raise WrongPatch("The signature of this approval belongs to another approval or patch.")
    if patch.envelope is None or said.patch_envelope_sha256 != digest_of_envelope(patch.envelope):
        raise ContentChanged(f"What was approved was signed anew since. {AGAIN}")
    rows = (approval.user_id, approval.user_name, approval.self_reviewed, approval.revision, approval.digest)
    if rows != (said.user_id, said.user_name, said.self_reviewed, said.revision, said.diff_sha256):
        raise ContentChanged("The approval is not what was signed: its row changed since.")
    return said


def read_signature(signer: Signer, patch: Patch) -> SignatureRead:
    """Return what is shown of a patch's signature; git and the spec are only asked before something is done."""
    try:
        signed = _opened(signer, patch)
        statement = PatchStatement.read(signed.statement)
    except SignatureInvalid as error:
        return SignatureRead(key_id=None, valid=False, expires_at=None, problem=error.detail)
    problem = None
    try:
        _check_identity(statement, patch, None)
        if statement.diff_sha256 != _digest(patch):
            raise ContentChanged("The patch is not what was signed: its bytes changed since.")
        _check_time(statement)
    except SignatureInvalid as error:
        problem = error.detail
    return SignatureRead(key_id=signed.key_id, valid=problem is None, expires_at=statement.expires_at, problem=problem)


def _opened(signer: Signer, patch: Patch) -> Signed:
    if patch.envelope is None:
        raise _unsigned()
    signed = signer.open(patch.envelope, PATCH_TYPE)
    if patch.signature != base64.b64encode(signed.signature).decode():
        raise SignatureInvalid("The signature of the patch is not the one in its envelope.")
    return signed


def _unsigned() -> PatchUnsigned:
    return PatchUnsigned(
        "The patch was made before patches were signed, so nobody can tell whether it is what was made. Edit it or "
        "rebase it, which signs it, or generate it anew."
    )


def _check_identity(statement: PatchStatement, patch: Patch, branch: str | None) -> None:
    for name, value in _identity(patch).items():
        if getattr(statement, name) != value:
            called = name.removesuffix("_id")
            raise WrongPatch(f"The signature belongs to another {called}, so it says nothing about this patch.")
    for wanted in (patch.branch, branch or patch.branch):
        if statement.branch != wanted:
            raise WrongBranch(f"The patch was signed for the branch {statement.branch}, not for {wanted}.")


def _identity(patch: Patch) -> dict[str, object]:
    return {
        "tenant_id": patch.tenant_id,
        "project_id": patch.project_id,
        "repository": f"{patch.tenant_id}/{patch.project_id}",  # the project's own, on this server
        "patch_id": patch.id,
        "revision": patch.revision,
        "task_id": patch.task_id,
    }


def _check_time(statement: PatchStatement) -> None:
    if statement.expires_at <= now():
        raise SignatureExpired(f"The signature was good until {statement.expires_at.isoformat()}. {AGAIN}")


def _digest(patch: Patch) -> str:
    """Return the digest of the bytes; raises `ContentChanged` when the row names another."""
    digest = digest_of(patch.patch_content)
    if digest != patch.digest:
        raise ContentChanged("The bytes of the patch are not those that its digest names.")
    return digest
