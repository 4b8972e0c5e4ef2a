"""Applies an approved patch: sandbox first, and one commit only when the tests pass.

The order makes a crash harmless: the commit's id is stored before the branch moves, so a run that is done again after a
crash sees whether the branch has it already, and commits once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import TypeVar
from uuid import UUID

from devstudio_sandbox import Recipe, Sandbox, SandboxError
from devstudio_server.db import Actor
from devstudio_server.execution.logs import LogStorage, LogWriter
from devstudio_server.execution.models import Run
from devstudio_server.execution.runner import SandboxRunner, TestedTree, TestJob
from devstudio_server.execution.schemas import RunStatus
from devstudio_server.execution.service import RunEnd
from devstudio_server.jobs import JobContext
from devstudio_server.kit.errors import AppError, NotFound
from devstudio_server.kit.logging import get_logger
from devstudio_server.patches.errors import DigestMismatch
from devstudio_server.patches.models import Approval, Patch
from devstudio_server.patches.service import PatchService
from devstudio_server.scm.errors import BranchMoved
from devstudio_server.scm.git import Author
from devstudio_server.specs.models import Task
from devstudio_server.specs.schemas import TaskStatus

_log = get_logger("patches")

T = TypeVar("T")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class PatchApplication:
    """One run that applies one patch."""

    def __init__(self, context: JobContext, run_id: UUID) -> None:
        """Do the run ``run_id``."""
        self._context = context
        self._run_id = run_id
        self._actor: Actor = context.actor

    def run(self) -> None:
        """Do the run to a final status, whatever happens."""
        logs = self._context.ports.get(LogStorage)
        with self._context.units.begin(self._actor) as session:
            run = PatchService(session, self._actor, self._context.ports).runs.start(self._run_id)
        if run is None:
            return
        try:
            with logs.writer(self._actor.tenant_id, self._run_id) as log:
                self._apply(run, log)
        except Exception as error:  # noqa: BLE001 - a run always ends in a final status with a reason
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        foreseen = isinstance(error, (AppError, SandboxError))
        if not foreseen:
            _log.error("apply_failed", run_id=str(self._run_id), exc_info=error)
        reason = (
            str(error)
            if foreseen
            else "An internal error ended the run; nothing was committed. The server's log says more."
        )
        if isinstance(error, OSError) and error.errno is not None:
            reason = (
                f"{error.strerror} while the run was under way; nothing was committed. Free some space and apply again."
            )
        self._finish(TestedTree(RunEnd(RunStatus.FAILED, reason)))

    def _apply(self, run: Run, log: LogWriter) -> None:
        with self._context.units.begin(self._actor) as session:
            patches = PatchService(session, self._actor, self._context.ports)
            patch = patches.get(_required(run.patch_id))
            task = patches.specs.get_task(patch.task_id)
            approvals = patches.approved_digests(patch)
            digests = patches.specs.criteria_digests(task.session_id)
            repository = patches.repository(patch)
        branch = run.branch or "main"
        if run.commit and repository.contains(branch, run.commit):
            log.note(f"The branch has commit {run.commit[:12]} of this run already.")
            tested = _committed_before(run)
            self._finish(tested, run.commit, tested.metrics.pop("proven", {}))
            return
        if not approvals:
            raise DigestMismatch("No approval names the bytes that this patch has now, so it was not applied.")
        head = repository.require_head(branch)
        base = repository.tree(head)
        diff = patch.patch_content.encode()
        result = repository.apply(base, diff)
        runner = self._context.ports.get(SandboxRunner)
        job = TestJob(self._run_id, self._actor.tenant_id, repository, base, diff, result, runner.deadline_s)
        tested = runner.test(job, log, self._opened)
        if tested.end.status is not RunStatus.SUCCESS or self._cancelled():
            self._finish(_unless_cancelled(tested, cancelled=self._cancelled()))
            return
        message = commit_message(patch, task, self._run_id, approvals)
        commit = repository.commit(
            result, (head,), message, Author(self._actor.name or "DevStudio", "devstudio@localhost")
        )
        self._note(
            commit=commit,
            tests=[test.model_dump() for test in tested.tests],
            metrics_json=tested.metrics | {"proven": {key: digests.get(key, "") for key in sorted(tested.proven)}},
        )
        if repository.head(branch) != head:
            raise BranchMoved(
                f"The branch {branch} moved while the patch was tested; nothing was committed. Apply it again."
            )
        repository.move_branch(branch, commit, head)
        log.note(f"Committed {commit[:12]} to {branch}.")
        self._finish(tested, commit, digests)

    def _opened(self, sandbox: Sandbox, recipe: Recipe) -> None:
        self._note(container_id=sandbox.handle[:100], isolation=sandbox.isolation, command=" ".join(recipe.argv))
        if self._cancelled():
            sandbox.kill()

    def _cancelled(self) -> bool:
        with self._context.units.begin(self._actor, read_only=True) as session:
            return PatchService(session, self._actor, self._context.ports).runs.get(self._run_id).cancel_requested

    def _note(self, **fields: object) -> None:
        with self._context.units.begin(self._actor) as session:
            PatchService(session, self._actor, self._context.ports).runs.note(self._run_id, **fields)

    def _finish(self, tested: TestedTree, commit: str | None = None, digests: dict[str, str] | None = None) -> None:
        """Write the run's end and all that follows from it in one transaction."""
        with self._context.units.begin(self._actor) as session:
            patches = PatchService(session, self._actor, self._context.ports)
            if not patches.runs.finish(self._run_id, tested.end):
                return
            run = patches.runs.get(self._run_id)
            metrics = tested.metrics or run.metrics_json
            fields: dict[str, object] = {"commit": commit, "metrics_json": metrics}
            if tested.tests:
                fields["tests"] = [test.model_dump() for test in tested.tests]
            patches.runs.note(self._run_id, **fields)
            # A task, session or project that was removed meanwhile keeps no run from its end.
            with suppress(NotFound):
                patch = patches.get(_required(run.patch_id))
                if commit is not None:
                    self._record(patches, patch, commit, tested, digests or {})
                    return
                reason = f"The run did not pass: {tested.end.reason}"
                patches.specs.record_progress(patch.task_id, TaskStatus.IN_PROGRESS, reason)

    def _record(
        self, patches: PatchService, patch: Patch, commit: str, tested: TestedTree, digests: dict[str, str]
    ) -> None:
        patches.mark_applied(patch, commit, self._run_id)
        patches.specs.projects.check_out(patch.project_id, commit, [file["path"] for file in patch.files])
        task = patches.specs.get_task(patch.task_id)
        proven = {key: digests[key] for key in tested.proven if key in digests}
        missing = [key for key in task.criteria if key not in proven]
        reason = f"Applied, but no passing test names {', '.join(missing)}." if missing else "Applied."
        patches.specs.record_evidence(task.session_id, self._run_id, commit, proven)
        patches.specs.record_progress(patch.task_id, TaskStatus.IN_PROGRESS, reason)
        patches.specs.link_commit(task.id, commit, self._run_id)


def commit_message(patch: Patch, task: Task, run_id: UUID, approvals: Sequence[Approval]) -> str:
    """Return the commit's message: what and why, and trailers that name the evidence."""
    title = _CONTROL.sub(" ", task.title)
    subject = " ".join(_CONTROL.sub(" ", patch.summary or title).split())[:72]
    trailers = [
        f"DevStudio-Task: {task.key} {task.id}",
        f"DevStudio-Criteria: {', '.join(task.criteria) or 'none'}",
        f"DevStudio-Run: {run_id}",
        f"DevStudio-Patch: {patch.id} sha256:{patch.digest}",
        *(
            f"DevStudio-Approved-By: {row.user_id}{' (self-reviewed)' if row.self_reviewed else ''}"
            for row in approvals
        ),
    ]
    return f"{subject}\n\nTask {task.key}: {title}\n\n" + "\n".join(trailers) + "\n"


def _unless_cancelled(tested: TestedTree, *, cancelled: bool) -> TestedTree:
    if cancelled and tested.end.status is not RunStatus.CANCELLED:
        tested.end = RunEnd(RunStatus.CANCELLED, "Cancelled. Nothing was committed.", tested.end.exit_code)
    return tested


def _committed_before(run: Run) -> TestedTree:
    metrics = dict(run.metrics_json or {})
    end = RunEnd(RunStatus.SUCCESS, "The tests passed; the commit was there when the server came back.", 0)
    return TestedTree(end, [], set(metrics.get("proven", [])), metrics)


def _required(value: T | None) -> T:
    if value is None:
        message = "a run that applies a patch always has one, and a branch"
        raise LookupError(message)
    return value
