"""Applies an approved patch: sandbox first, and one commit only when the tests pass.

Three jobs: `Preparation` settles on the server what is tested, a worker tests exactly the tree that would be committed,
and `Commitment` commits it on the server. Each ends with one transaction that enqueues the next, and the commit's id is
stored before the branch moves, so whatever is done again after a crash finds how far it came, and commits once.

Where the project asks for strict proof, `Commitment` first enqueues a run of the tests without the change, and leaves;
the transaction that ends that run enqueues `Commitment` again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

from devstudio_server.db import DatabaseUnavailable
from devstudio_server.execution.command_policy import RunPolicy
from devstudio_server.execution.inputs import RunInputs
from devstudio_server.execution.logs import LogStorage, LogWriter
from devstudio_server.execution.models import Run
from devstudio_server.execution.plans import RunPlan, find_recipe, settle, with_install
from devstudio_server.execution.results import NO_TESTS, RunResult
from devstudio_server.execution.schemas import RunStage, RunStatus, RunType
from devstudio_server.execution.service import RUN_JOB, RunEnd
from devstudio_server.execution.settings_service import RunSettingsService
from devstudio_server.execution.work import CANCELLED, reason_of
from devstudio_server.jobs import JobContext, LeaseLost
from devstudio_server.kit.errors import NotFound
from devstudio_server.patches.application_message import commit_message, still_true, with_base_run
from devstudio_server.patches.application_record import Applied, digest_of_log
from devstudio_server.patches.application_strict import Begun, WithoutChange, problem_of
from devstudio_server.patches.envelope_statements import PatchStatement
from devstudio_server.patches.errors import PatchNotApproved
from devstudio_server.patches.models import Approval, Patch
from devstudio_server.patches.service import COMMIT_JOB, PatchService
from devstudio_server.patches.witness import witness_if_any
from devstudio_server.scm import GitRepository, GitStorage
from devstudio_server.scm.errors import BranchMoved
from devstudio_server.scm.git import Author
from devstudio_server.specs.schemas import TaskStatus

T = TypeVar("T")
_NOTHING = "Nothing was committed."
_OTHERS = "The approvals changed while the patch was tested, and the commit would name the old ones. Apply it again."
_REMOVED = "The task, the session or the project of the patch was removed while it was tested."


class _Step:
    """One job of a run that applies a patch."""

    def __init__(self, context: JobContext, run_id: UUID) -> None:
        """Do the run ``run_id``."""
        self._context = context
        self._run_id = run_id
        self._actor = context.actor

    def fail(self, reason: str) -> None:
        """End the run, and say why."""
        self._finish(RunResult(RunEnd(RunStatus.FAILED, reason)))

    def _finish(self, result: RunResult, commit: str | None = None) -> None:
        """Write the run's end and all that follows from it in one transaction."""
        log_sha256 = digest_of_log(self._context.ports.get(LogStorage), self._actor.tenant_id, self._run_id)
        with self._context.begin() as session:
            patches = PatchService(session, self._actor, self._context.ports)
            if not patches.runs.finish(self._run_id, result.end if commit else _nothing_committed(result.end)):
                return
            run = patches.runs.get(self._run_id)
            patches.runs.note(self._run_id, commit=commit)
            patches.runs.cancel_base(run)
            # A task, session or project that was removed meanwhile keeps no run from its end.
            with suppress(NotFound):
                patch = patches.get(_required(run.patch_id))
                if commit is not None:
                    Applied(patches, self._context.ports, patch, run).record(result, log_sha256)
                    return
                reason = f"The run did not pass: {run.reason}"
                patches.specs.record_progress(patch.task_id, TaskStatus.IN_PROGRESS, reason)

    def _guarded(self, run: Run | None, stage: RunStage) -> Run | None:
        """Return the run when it has come to ``stage`` and is not final."""
        due = run is not None and not RunStatus(run.status).final and run.stage == stage
        return run if due else None


class Preparation(_Step):
    """Settles what a run tests: the tree that the patch makes of the branch as it is now."""

    def run(self) -> None:
        """Bring the run to its worker, or to its end."""
        with self._context.begin(read_only=True) as session:
            runs = PatchService(session, self._actor, self._context.ports).runs
            run = self._guarded(runs.get(self._run_id), RunStage.QUEUED)
        if run is None:
            return
        try:
            self._prepare(run)
        except (LeaseLost, DatabaseUnavailable):  # the job is done again
            raise
        except Exception as error:  # noqa: BLE001 - a run always ends in a final status with a reason
            self.fail(reason_of(error, self._run_id))

    def _prepare(self, run: Run) -> None:
        with self._context.begin(read_only=True) as session:
            patches = PatchService(session, self._actor, self._context.ports)
            patch = patches.get(_required(run.patch_id))
            task = patches.specs.get_task(patch.task_id)
            approvals, signed = _require(patches, patch, _required(run.branch))
            rule = patches.rules.standing(patch).rule
            message = commit_message(patch, task, self._run_id, approvals, rule.required_approvals)
            digests = patches.specs.criteria_digests(task.session_id)
            policy = self._context.ports.get(RunPolicy)
            settings = RunSettingsService(session, policy).values(patch.project_id)
            repository = patches.repository(patch)
        head = repository.require_head(_required(run.branch))
        tree = _applied(repository, repository.tree(head), patch, signed)
        recipe = find_recipe(RunType.TEST, repository, tree, settings)
        if recipe is None:
            with self._context.ports.get(LogStorage).writer(self._actor.tenant_id, self._run_id) as log:
                log.note(NO_TESTS)
            self.fail(NO_TESTS)
            return
        plan = replace(
            with_install(settle(recipe, settings, policy, then=COMMIT_JOB), repository, tree, settings),
            note=f"Applying the patch to {head[:12]} makes the tree {tree[:12]}, which is what is tested.",
            facts={"head": head, "digests": digests, "message": message, "strict": rule.strict_proof},
        )
        self._hand_over(run, plan, tree, repository)

    def _hand_over(self, run: Run, plan: RunPlan, tree: str, repository: GitRepository) -> None:
        inputs = self._context.ports.get(RunInputs)
        repository.keep(f"runs/{run.id}", tree)
        run.tree = tree
        if inputs.shipped:
            inputs.ship(run)
        with self._context.begin() as session:
            runs = PatchService(session, self._actor, self._context.ports).runs
            runs.plan(self._run_id, plan, tree=tree, ref=run.branch)
            runs.advance(self._run_id, RunStage.READY, RUN_JOB)


class Commitment(_Step):
    """Commits the tree that a worker tested, or writes why nothing is committed."""

    _patch: Patch | None = None

    def run(self) -> None:
        """Bring the run to its end."""
        with self._context.begin(read_only=True) as session:
            patches = PatchService(session, self._actor, self._context.ports)
            run = self._guarded(patches.runs.get(self._run_id), RunStage.TESTED)
            if run is None:
                return
            with suppress(NotFound):
                self._patch = patches.get(_required(run.patch_id))
        try:
            self._conclude(run, RunResult.from_json(_required(run.result)))
        except (LeaseLost, DatabaseUnavailable):  # the job is done again
            raise
        except Exception as error:  # noqa: BLE001 - a run always ends in a final status with a reason
            self.fail(reason_of(error, self._run_id))

    def _conclude(self, run: Run, result: RunResult) -> None:
        facts = RunPlan.from_json(_required(run.plan)).facts
        branch = _required(run.branch)
        repository = self._context.ports.get(GitStorage).repository(run.tenant_id, run.project_id)
        if run.commit and repository.contains(branch, run.commit):
            self._finish(result, run.commit)
            return
        if result.end.status is RunStatus.SUCCESS and run.cancel_requested:
            result.end = RunEnd(CANCELLED.status, CANCELLED.reason, result.end.exit_code)
        if result.end.status is RunStatus.SUCCESS and facts.get("strict") and not self._seen(run, repository, result):
            return
        if result.end.status is not RunStatus.SUCCESS:
            self._finish(result)
            return
        commit = self._commit(run, repository, facts)
        self._move(run, repository, commit, facts)
        with self._log() as log:
            log.note(f"Committed {commit[:12]} to {branch}.")
        self._finish(result, commit)

    def _seen(self, run: Run, repository: GitRepository, result: RunResult) -> bool:
        """Tell whether the tests were run without the change, as far as they can be; if not, see to it."""
        facts = RunPlan.from_json(_required(run.plan)).facts
        if run.base_run_id is not None:
            with self._context.begin(read_only=True) as session:
                base = PatchService(session, self._actor, self._context.ports).runs.get(run.base_run_id)
            result.end = problem_of(base) or result.end
            return RunStatus(base.status).final
        if not result.proofs.keys() & facts["digests"].keys():
            return True
        begun = WithoutChange(self._context, run).begin(repository, facts)
        if begun is Begun.CANCELLED:
            result.end = RunEnd(CANCELLED.status, CANCELLED.reason, result.end.exit_code)
        if begun is Begun.WAITS:
            with self._log() as log:
                log.note("The tests pass with the patch. Waiting for a run of them without the change.")
        return begun is not Begun.WAITS

    def _log(self) -> LogWriter:
        return self._context.ports.get(LogStorage).writer(self._actor.tenant_id, self._run_id)

    def _commit(self, run: Run, repository: GitRepository, facts: dict[str, Any]) -> str:
        """Store the commit, and then its id. The same run makes the same commit, however often this is done."""
        author = Author(self._actor.name or "DevStudio", "devstudio@localhost", run.started_at)
        message = with_base_run(str(facts["message"]), run.base_run_id)
        commit = repository.commit(_required(run.tree), (str(facts["head"]),), message, author)
        with self._context.begin() as session:
            runs = PatchService(session, self._actor, self._context.ports).runs
            runs.note(self._run_id, commit=commit)
        return commit

    def _move(self, run: Run, repository: GitRepository, commit: str, facts: dict[str, Any]) -> None:
        """Move the branch, if the approvals still count: nobody can take one back while this unit lasts."""
        # Git is asked before the unit in which everybody else waits.
        branch, patch = _required(run.branch), self._patch
        seen = None if patch is None else witness_if_any(repository, patch)
        with self._context.begin() as session:
            patches = PatchService(session, self._actor, self._context.ports)
            patches.envelopes.witnessed = seen
            try:
                patch = patches.get(_required(run.patch_id))
                approvals = _require(patches, patch, branch)[0]
            except NotFound as gone:  # nobody can tell any more whether its approvals count
                raise PatchNotApproved(_REMOVED) from gone
            if not still_true(str(facts["message"]), patch, approvals):
                raise PatchNotApproved(_OTHERS)
            move_branch(repository, branch, commit, str(facts["head"]))


def move_branch(repository: GitRepository, branch: str, commit: str, head: str) -> None:
    """Move the branch unless an attempt before this one did; raises `BranchMoved` when it is somewhere else."""
    try:
        repository.move_branch(branch, commit, head)
    except BranchMoved:
        if not repository.contains(branch, commit):
            raise


def _require(patches: PatchService, patch: Patch, branch: str) -> tuple[Sequence[Approval], PatchStatement]:
    """Return the approvals of a patch that count, and what was signed; raises when they are too few, or it is not so.

    Both are asked for at every step.
    """
    approvals = patches.rules.require(patch, branch)
    return approvals, patches.envelopes.check(patch, branch=branch)


def _applied(repository: GitRepository, tree: str, patch: Patch, signed: PatchStatement) -> str:
    """Return the tree that a patch makes of ``tree``.

    On the tree that it was made for, that is the one that was signed: it was, as these bytes were seen to make it.
    """
    if tree == signed.base_tree:
        return signed.result_tree
    return repository.apply(tree, patch.patch_content.encode())


def _nothing_committed(end: RunEnd) -> RunEnd:
    """Say what every end but a success means for the branch."""
    said = end.reason if _NOTHING.lower() in end.reason.lower() else f"{end.reason} {_NOTHING}"
    return replace(end, reason=said)


def _required(value: T | None) -> T:
    if value is None:
        message = "a run that applies a patch always has one, and a branch"
        raise LookupError(message)
    return value
