"""What follows from a patch that is on its branch: evidence, the signed statement of it, and the task's words."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from devstudio_server.execution.evidence import tested_by
from devstudio_server.execution.logs import LogStorage
from devstudio_server.execution.models import Run
from devstudio_server.execution.plans import RunPlan
from devstudio_server.execution.results import RunResult
from devstudio_server.execution.schemas import TestOutcome
from devstudio_server.patches.application_strict import Weighed, weigh
from devstudio_server.patches.envelope_statements import Statement
from devstudio_server.patches.models import Approval, Patch
from devstudio_server.patches.service import PatchService
from devstudio_server.signing.signer import Signer, digest_of_envelope
from devstudio_server.specs.models import EvidenceRow, Task
from devstudio_server.specs.schemas import TaskStatus
from devstudio_server.specs.tested import Proof, ProvingRun
from devstudio_server.web import Ports

EVIDENCE_TYPE = "application/vnd.devstudio.evidence+json"
_LOG_BYTES = 1024 * 1024

T = TypeVar("T")


class SignedProof(Statement):
    """A criterion that the run proves: its key, the digest of its text, and the tests."""

    key: str
    sha256: str
    tests: tuple[str, ...]
    strict: bool


class EvidenceStatement(Statement):
    """What a run that committed a patch proves, and on whose word: signed where the commit is made."""

    tenant_id: UUID
    project_id: UUID
    run_id: UUID
    base_run_id: UUID | None
    patch_id: UUID
    patch_envelope_sha256: str
    approvals: tuple[str, ...]
    task_id: UUID
    tree: str
    commit: str
    branch: str
    criteria: tuple[SignedProof, ...]
    log_sha256: str | None
    isolation: str | None
    finished_at: datetime


class Applied:
    """A patch that a run committed."""

    def __init__(self, patches: PatchService, ports: Ports, patch: Patch, run: Run) -> None:
        """Write in the unit of ``patches``; ``run`` is final."""
        self._patches = patches
        self._ports = ports
        self._patch = patch
        self._run = run
        self._commit = _required(run.commit)

    def record(self, result: RunResult, log_sha256: str | None) -> None:
        """Note that the patch is applied, what that proves, and what it takes away."""
        specs, patch, run = self._patches.specs, self._patch, self._run
        approvals = self._patches.rules.standing(patch).approvals
        self._patches.mark_applied(patch, self._commit, run.id)
        specs.projects.check_out(patch.project_id, self._commit, [file["path"] for file in patch.files])
        task = specs.get_task(patch.task_id)
        weighed = self._weigh(self._own(task, result.proofs))
        proving = ProvingRun(run.id, self._commit, run.tree, run.branch, patch.id, run.base_run_id, log_sha256)
        rows = specs.evidence.record(task.session_id, proving, weighed.proofs, self._digests())
        specs.evidence.follow(patch.project_id, proving, tested_by(run), whole=True)
        if patch.reverts is not None:
            specs.evidence.revert(patch.project_id, patch.reverts, proving)
        run.statement = self._statement(rows, approvals, log_sha256)
        specs.record_progress(patch.task_id, TaskStatus.IN_PROGRESS, self._told(task, rows, weighed))
        specs.link_commit(task.id, self._commit, run.id)

    def _own(self, task: Task, proofs: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
        """Leave out tests that prove criteria of other sessions, whose keys read the same: the patch touched none.

        And what a reverted patch had proven: undoing it proves none of that, whatever the tests of before say.
        """
        claimed = self._patches.specs.evidence.claimed(self._patch.project_id, task.session_id)
        touched = {str(file["path"]) for file in self._patch.files}
        tests = [TestOutcome.model_validate(test) for test in self._run.tests]
        others = claimed - {test.id for test in tests if test.file in touched}
        own = {key: [test for test in found if test not in others] for key, found in proofs.items()}
        undone = self._patch.reverts and self._patches.specs.evidence.proven_by(task.session_id, self._patch.reverts)
        return {key: own[key] for key in own if (own[key] or not proofs[key]) and key not in (undone or ())}

    def _weigh(self, proofs: Mapping[str, Sequence[str]]) -> Weighed:
        if not self._facts().get("strict"):
            return Weighed({key: Proof(tuple(tests)) for key, tests in proofs.items()})
        base_run_id = self._run.base_run_id
        return weigh(proofs, None if base_run_id is None else self._patches.runs.get(base_run_id))

    def _facts(self) -> Mapping[str, object]:
        return RunPlan.from_json(_required(self._run.plan)).facts

    def _digests(self) -> dict[str, str]:
        digests = self._facts()["digests"]
        return {str(key): str(value) for key, value in digests.items()} if isinstance(digests, dict) else {}

    def _statement(
        self, rows: Sequence[EvidenceRow], approvals: Sequence[Approval], log_sha256: str | None
    ) -> str | None:
        """Sign what the run proves. A patch of before there were signatures has none, and proves without one."""
        patch, run = self._patch, self._run
        if patch.envelope is None:
            return None
        statement = EvidenceStatement(
            tenant_id=run.tenant_id,
            project_id=run.project_id,
            run_id=run.id,
            base_run_id=run.base_run_id,
            patch_id=patch.id,
            patch_envelope_sha256=digest_of_envelope(patch.envelope),
            approvals=tuple(digest_of_envelope(row.envelope) for row in approvals if row.envelope),
            task_id=patch.task_id,
            tree=_required(run.tree),
            commit=self._commit,
            branch=_required(run.branch),
            criteria=tuple(
                SignedProof(key=row.key, sha256=row.sha256, tests=tuple(row.tests), strict=row.strict) for row in rows
            ),
            log_sha256=log_sha256,
            isolation=run.isolation,
            finished_at=_required(run.finished_at),
        )
        return self._ports.get(Signer).sign(EVIDENCE_TYPE, statement.members())

    def _told(self, task: Task, rows: Sequence[EvidenceRow], weighed: Weighed) -> str:
        return "Reverted." if self._patch.reverts else told(task, rows, weighed)


def told(task: Task, rows: Sequence[EvidenceRow], weighed: Weighed) -> str:
    """Say what keeps the task from being done, if anything."""
    proven = {row.key for row in rows}
    missing = [key for key in task.criteria if key not in proven]
    said = weighed.reasons(missing)
    unnamed = [key for key in missing if key not in {*weighed.passing, *weighed.unknown, *weighed.proofs}]
    if unnamed:
        said.append(f"no passing test names {', '.join(unnamed)}")
    changed = [key for key in missing if key in weighed.proofs]
    if changed:
        said.append(f"{', '.join(changed)} changed while the tests ran")
    return f"Applied, but {'; and '.join(said)}." if said else "Applied."


def digest_of_log(logs: LogStorage, tenant_id: UUID, run_id: UUID) -> str | None:
    """Return the SHA-256 of all that a run's log holds; None when it holds nothing."""
    digest, offset = hashlib.sha256(), 0
    while data := logs.read(tenant_id, run_id, offset, _LOG_BYTES):
        digest.update(data)
        offset += len(data)
    return digest.hexdigest() if offset else None


def _required(value: T | None) -> T:
    if value is None:
        message = "a run that committed a patch has a tree, a branch, a commit and an end"
        raise LookupError(message)
    return value
