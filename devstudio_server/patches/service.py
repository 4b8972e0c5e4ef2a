"""The rules of patches: made from a change, shown, applied only when approved (`patches.review`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.db import Actor
from devstudio_server.execution.control import RunControl
from devstudio_server.execution.logs import LogStorage
from devstudio_server.execution.schemas import RunStatus, RunType
from devstudio_server.execution.service import RunService
from devstudio_server.jobs import JobQueue
from devstudio_server.kit.pagination import page_of
from devstudio_server.patches.content import PatchContent, compare
from devstudio_server.patches.contributors import Contributors
from devstudio_server.patches.envelope import Envelopes
from devstudio_server.patches.envelope_schemas import SignatureRead
from devstudio_server.patches.errors import (
    ApplyUnderWay,
    BranchInvalid,
    BranchMismatch,
    PatchNotFound,
    PatchNotPending,
)
from devstudio_server.patches.models import Approval, Patch, PatchRevision
from devstudio_server.patches.repository import PatchRepository
from devstudio_server.patches.review_rules import ReviewRules, Standing
from devstudio_server.patches.review_shapes import review_fields
from devstudio_server.patches.schemas import (
    ApplyResult,
    FixRound,
    LoopEnd,
    PatchOrigin,
    PatchPreview,
    PatchQuery,
    PatchRead,
    PatchStatus,
    RevisionReason,
)
from devstudio_server.projects.models import Project
from devstudio_server.scm import GitRepository, GitStorage
from devstudio_server.scm.workspace import WorkspaceStorage
from devstudio_server.specs.models import Task
from devstudio_server.specs.schemas import TaskStatus
from devstudio_server.specs.service import SpecService
from devstudio_server.web import ListPage, Ports

APPLY_JOB = "patches.apply"
"""The job that looks whether a patch can be applied now, and makes the tree that is tested."""
COMMIT_JOB = "patches.commit"
"""The job that commits what was tested, or writes why not."""


@dataclass(frozen=True)
class Origin:
    """Where a patch comes from, and which branch it is for: the project's default branch when none is named."""

    base: str
    summary: str
    warnings: list[str]
    model: str = ""
    provider: str = ""
    kind: PatchOrigin = PatchOrigin.GENERATED
    branch: str | None = None
    reverts: UUID | None = None
    rounds: Sequence[FixRound] = ()
    tested: bool = False
    stopped: LoopEnd | None = None


class PatchService:
    """Creates, shows and applies patches."""

    def __init__(self, session: Session, actor: Actor, ports: Ports) -> None:
        """Work in ``session`` for ``actor``."""
        self._session = session
        self._actor = actor
        self._patches = PatchRepository(session)
        self.specs = SpecService(session, actor, ports.get(GitStorage), ports.get(WorkspaceStorage))
        self.envelopes = Envelopes(session, ports, self.specs)
        self.rules = ReviewRules(session, actor, self.specs.projects, self.envelopes.why_void)
        self.runs = RunService(session, actor, ports.get(JobQueue), ports.get(LogStorage), ports.get(RunControl))

    def create(self, task: Task, project: Project, content: PatchContent, origin: Origin) -> Patch:
        """Store a pending patch for a task. Only `revise` changes its bytes, base or branch."""
        patch = Patch(
            task_id=task.id,
            project_id=project.id,
            patch_content=content.diff,
            summary=origin.summary,
            branch=origin.branch or project.default_branch,
            origin=origin.kind,
            reverts=origin.reverts,
            base=origin.base,
            result_tree=content.result_tree,
            digest=content.digest,
            files=[file.model_dump() for file in content.files],
            warnings=origin.warnings,
            rounds=[done.model_dump(mode="json") for done in origin.rounds],
            tested=origin.tested,
            stopped=origin.stopped,
            model=origin.model,
            provider=origin.provider,
            created_by=self._actor.user_id,
        )
        self._patches.add(patch)
        self._note_revision(patch, RevisionReason.CREATED)
        self.specs.record_progress(task.id, TaskStatus.REVIEW, "A patch waits for review.")
        return patch

    def revise(
        self,
        patch: Patch,
        content: PatchContent,
        reason: RevisionReason,
        *,
        base: str | None = None,
        branch: str | None = None,
    ) -> Patch:
        """Give a patch other bytes, another base or another branch, which takes every approval away.

        Nothing else changes them. Raises `PatchNotPending` when it is decided, `ApplyUnderWay` while it is applied.
        """
        if patch.status not in (PatchStatus.PENDING, PatchStatus.APPROVED):
            raise PatchNotPending(f"The patch is {patch.status} already. Make a new one to change it.")
        self._refuse_second_run(patch)
        patch.patch_content, patch.digest, patch.result_tree = content.diff, content.digest, content.result_tree
        patch.files = [file.model_dump() for file in content.files]
        patch.base, patch.branch = base or patch.base, branch or patch.branch
        patch.tested, patch.approved_by = False, None
        patch.revision += 1
        self._note_revision(patch, reason)
        self.set_status(patch, PatchStatus.PENDING)
        self.specs.record_progress(patch.task_id, TaskStatus.REVIEW, "The patch was changed and waits for review.")
        return patch

    def _note_revision(self, patch: Patch, reason: RevisionReason) -> None:
        """Write down what the patch is now, and who made it so, and sign it."""
        revision = PatchRevision(patch_id=patch.id, number=patch.revision, reason=reason)
        for name in ("patch_content", "digest", "branch", "base", "result_tree", "files"):
            setattr(revision, name, getattr(patch, name))
        revision.author_id, revision.author_name = self._actor.user_id, self._actor.name
        self._patches.add(revision)
        self._note_hand(patch, reason)
        self.repository(patch).keep(f"revisions/{patch.id}/{patch.revision}", patch.result_tree)
        self.envelopes.seal(patch)

    def _note_hand(self, patch: Patch, reason: RevisionReason) -> None:
        """Note the actor as author, and as prompter of what a model wrote; or as editor of what was there."""
        contributors = Contributors(self._session)
        if reason is not RevisionReason.CREATED:
            contributors.note(patch, self._actor, "editor")
        elif patch.origin in (PatchOrigin.GENERATED, PatchOrigin.REFACTORED):
            contributors.note(patch, self._actor, "author", "prompter")
        else:
            contributors.note(patch, self._actor, "author")

    def get(self, patch_id: UUID) -> Patch:
        """Return a patch of a project that is still there; raises `PatchNotFound`."""
        patch = self._patches.find(patch_id)
        if patch is None:
            raise PatchNotFound(patch_id)
        self.specs.projects.get(patch.project_id)
        return patch

    def repository(self, patch: Patch) -> GitRepository:
        """Return the repository of a patch's project."""
        return self.specs.projects.repository(self.specs.projects.get(patch.project_id))

    def read(self, patch_id: UUID) -> PatchRead:
        """Return the public shape of a patch."""
        return self._read([self.get(patch_id)])[0]

    def _read(self, patches: Sequence[Patch]) -> Sequence[PatchRead]:
        standings = self.rules.standings(patches)
        return [_patch_read(patch, standings[patch.id], self.envelopes.read(patch)) for patch in patches]

    def list(self, query: PatchQuery) -> ListPage[PatchRead]:
        """Return one page of patches, newest first."""
        rows = self._patches.list(query.page(), task_id=query.task_id, status=query.status)
        page = page_of(rows, query.limit, lambda patch: patch.id)
        return ListPage[PatchRead](items=[*self._read(page.items)], next_cursor=page.next_cursor)

    def preview(self, patch_id: UUID) -> PatchPreview:
        """Return the diff and both sides of every file, and whether the branch has moved since."""
        patch = self.get(patch_id)
        repository = self.repository(patch)
        head = repository.head(patch.branch)
        return PatchPreview(
            patch_id=patch.id,
            task_id=patch.task_id,
            status=PatchStatus(patch.status),
            branch=patch.branch,
            revision=patch.revision,
            base=patch.base,
            head=head,
            base_moved=head != patch.base,
            digest=patch.digest,
            diff=patch.patch_content,
            files=compare(repository, repository.tree(patch.base), patch.result_tree),
            warnings=patch.warnings,
        )

    def revisions(self, patch_id: UUID) -> Sequence[PatchRevision]:
        """Return what a patch was, oldest first."""
        return self._patches.revisions(self.get(patch_id).id)

    def set_status(self, patch: Patch, status: PatchStatus) -> None:
        """Note where a patch stands now."""
        patch.status = status
        patch.version += 1
        self._patches.flush()

    def apply(self, patch_id: UUID, branch: str | None) -> ApplyResult:
        """Queue the run that applies an approved patch, tests it, and commits when the tests pass."""
        patch = self.get(patch_id)
        self.require(patch)
        project = self.specs.projects.get_writable(patch.project_id)
        self._refuse_second_run(patch)
        target = self._branch(patch, project, branch)
        run = self.runs.enqueue(
            APPLY_JOB, RunType.TEST, project.id, patch_id=patch.id, task_id=patch.task_id, branch=target
        )
        patch.run_id = run.id
        patch.version += 1
        self.specs.record_progress(patch.task_id, TaskStatus.REVIEW, "The patch is being applied and tested.")
        return ApplyResult(run_id=run.id, patch_id=patch.id)

    def require(self, patch: Patch, branch: str | None = None) -> Sequence[Approval]:
        """Return the approvals that count, of a patch that is what was signed, for ``branch`` when it is named.

        Raises what `Envelopes.check` and `ReviewRules.require` raise.
        """
        if patch.status == PatchStatus.APPROVED:
            self.envelopes.check(patch)
        return self.rules.require(patch, branch)

    def _refuse_second_run(self, patch: Patch) -> None:
        if patch.run_id is not None and not RunStatus(self.runs.get(patch.run_id).status).final:
            raise ApplyUnderWay(f"The run {patch.run_id} is applying this patch now. Wait for it, or cancel it.")

    def _branch(self, patch: Patch, project: Project, branch: str | None) -> str:
        target = branch or patch.branch
        check_branch(self.repository(patch), target, project)
        if target != patch.branch:
            raise BranchMismatch(
                f"The patch was made and approved for the branch {patch.branch}, not for {target}. To bring it there, "
                f'change it with `PUT /api/v1/code/patches/{patch.id}` and `{{"branch": "{target}"}}`, and have it '
                "approved again."
            )
        return target

    def mark_applied(self, patch: Patch, commit: str, run_id: UUID) -> None:
        """Note that a run committed the patch."""
        patch.commit, patch.run_id = commit, run_id
        patch.applied_at = self.runs.get(run_id).finished_at
        self.set_status(patch, PatchStatus.APPLIED)

    def rejection_reasons(self, task_id: UUID, limit: int = 3) -> Sequence[str]:
        """Return why the newest rejected patches of a task were rejected."""
        return [str(patch.rejected_reason) for patch in self._patches.rejections(task_id, limit)]


def check_branch(repository: GitRepository, branch: str, project: Project) -> str:
    """Return the commit that ``branch`` is at; raises `BranchInvalid`."""
    head = repository.head(branch) if repository.is_branch_name(branch) else None
    if head is None:
        message = f"The project has no branch {branch!r}. Leave `branch` out to use {project.default_branch}."
        raise BranchInvalid(message, errors=[{"loc": ["body", "branch"], "msg": message}])
    return head


def criterion_warnings(criteria: Sequence[str], contents: Sequence[str]) -> list[str]:
    """Return a warning for each criterion that no file of a change names in the form that a report shows."""
    text = "\n".join(contents)
    unnamed = [key for key in criteria if not re.search(rf"""["'\[]{re.escape(key)}["'\]]""", text)]
    return [f"No test in this patch names criterion {key}, so the run cannot prove it." for key in unnamed]


def _patch_read(patch: Patch, standing: Standing, signature: SignatureRead) -> PatchRead:
    told = {**review_fields(patch, standing), "signature": signature}
    values = {name: getattr(patch, name) for name in PatchRead.model_fields if name not in told}
    return PatchRead(**values, **told)
