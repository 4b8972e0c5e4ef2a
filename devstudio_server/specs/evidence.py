"""The ledger of evidence: rows that are added and never changed, and what they say about criteria now.

The newest row of a criterion's text counts. A passing run on an applied patch adds one that proves; what takes a proof
away, a later run or a patch that reverts, adds one that says why. Runs of trees that nobody committed never write here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.kit.clock import now
from devstudio_server.specs.errors import SpecSessionNotFound
from devstudio_server.specs.index import SpecIndex
from devstudio_server.specs.models import Criterion, EvidenceRow, SpecSession, Task
from devstudio_server.specs.repository import SpecRepository
from devstudio_server.specs.schemas import (
    CriterionEvidence,
    Evidence,
    EvidenceEntry,
    EvidenceOutcome,
    EvidenceState,
    LostCriterion,
    TaskEvidence,
    TaskStatus,
)
from devstudio_server.specs.status import Standing, listed, newest_by_text, standings
from devstudio_server.specs.tested import Proof, ProvingRun, Tested


class EvidenceLedger:
    """Writes and reads the evidence of a tenant's criteria."""

    def __init__(self, session: Session) -> None:
        """Work in ``session``."""
        self._specs = SpecRepository(session)

    def record(
        self, session_id: UUID, run: ProvingRun, proofs: Mapping[str, Proof], digests: Mapping[str, str]
    ) -> list[EvidenceRow]:
        """Note which criteria a passing run proved, by key; ``digests`` has the sha256 of each text that was tested.

        A criterion whose text changed while the run was under way is not proven by it.
        """
        rows = [
            _row(session_id, criterion, run, proofs[criterion.key])
            for criterion in self._specs.criteria(session_id)
            if criterion.key in proofs and digests.get(criterion.key) == criterion.sha256
        ]
        self._add(rows)
        self._refresh({session_id})
        return rows

    def follow(self, project_id: UUID, run: ProvingRun, tested: Tested, *, whole: bool) -> None:
        """Take away what a later run on the branch refutes, and give back what it shows again, in all sessions.

        ``whole``: the run tested everything, so a proving test that is not there is gone. Rows that are newer than the
        run's commit can be known to be are left alone, as is what a reverted patch had proven.
        """
        added = []
        for row in self._newest(project_id):
            if row.branch != run.branch or row.run_id == run.run_id or (not whole and row.id > run.run_id):
                continue
            problem = _problem(row, run, tested, whole=whole)
            if row.outcome == EvidenceOutcome.PROVEN and problem:
                added.append(_lost(row, run, problem, run.run_id))
            elif row.outcome == EvidenceOutcome.FAILED and _by_run(row) and tested.passed(row.tests):
                added.append(_again(row, run))
        self._add(added)
        self._refresh({row.session_id for row in added})

    def revert(self, project_id: UUID, reverted: UUID, run: ProvingRun) -> None:
        """Take away what the patch ``reverted`` had proven: ``run`` committed the patch that undoes it."""
        why = f"The patch {reverted}, which had proven it, was reverted by commit {run.commit[:12]}."
        added = [
            _lost(row, run, why, run.patch_id or run.run_id)
            for row in self._newest(project_id)
            if row.patch_id == reverted and (row.outcome == EvidenceOutcome.PROVEN or _by_run(row))
        ]
        self._add(added)
        self._refresh({row.session_id for row in added})

    def proven_by(self, session_id: UUID, patch_id: UUID) -> set[str]:
        """Return the keys of the criteria whose present text a patch had proven."""
        rows = [row for row in self._specs.evidence(session_id) if row.patch_id == patch_id]
        texts = {(row.block_id, row.sha256) for row in rows}
        return {row.key for row in self._specs.criteria(session_id) if (row.block_id, row.sha256) in texts}

    def claimed(self, project_id: UUID, session_id: UUID) -> set[str]:
        """Return the tests that prove criteria of the project's other sessions, whose keys may read the same."""
        rows = self._newest(project_id)
        return {test for row in rows if row.session_id != session_id for test in row.tests}

    def of_task(self, task: Task) -> TaskEvidence:
        """Return where each criterion of a task stands, why, and all that runs ever said about it."""
        criteria = {row.key: row for row in self._specs.criteria(task.session_id)}
        rows = self._specs.evidence(task.session_id)
        found = standings(criteria.values(), rows)
        missing = Standing(EvidenceState.MISSING, "The requirements have no such criterion.")
        return TaskEvidence(
            task_id=task.id,
            session_id=task.session_id,
            status=TaskStatus(task.status),
            status_reason=task.status_reason,
            criteria=[_criterion(key, criteria.get(key), found.get(key, missing), rows) for key in task.criteria],
        )

    def _newest(self, project_id: UUID) -> Iterable[EvidenceRow]:
        """Return the newest row of each text of each criterion of a project."""
        rows = self._specs.project_evidence(project_id)
        sessions = {row.session_id for row in rows}
        return [row for key in sessions for row in newest_by_text(it for it in rows if it.session_id == key).values()]

    def _add(self, rows: Sequence[EvidenceRow]) -> None:
        for row in rows:
            self._specs.add_row(row)
        self._specs.flush()

    def _refresh(self, session_ids: Iterable[UUID]) -> None:
        """Derive the statuses of the sessions' tasks anew."""
        for session_id in sorted(session_ids):
            SpecIndex(self._specs, self._session_of(session_id)).refresh_statuses()

    def _session_of(self, session_id: UUID) -> SpecSession:
        session = self._specs.find(session_id)
        if session is None:
            raise SpecSessionNotFound(session_id)
        return session


def _row(session_id: UUID, criterion: Criterion, run: ProvingRun, proof: Proof) -> EvidenceRow:
    row = EvidenceRow(session_id=session_id, block_id=criterion.block_id, key=criterion.key, sha256=criterion.sha256)
    row.outcome, row.tests, row.strict = EvidenceOutcome.PROVEN, [*proof.tests], proof.strict
    row.base_run_id, row.patch_id = run.base_run_id if proof.strict else None, run.patch_id
    return _on(row, run)


def _on(row: EvidenceRow, run: ProvingRun) -> EvidenceRow:
    row.run_id, row.commit, row.tree, row.branch, row.log_sha256 = (
        run.run_id,
        run.commit,
        run.tree,
        run.branch,
        run.log_sha256,
    )
    return row


def _copy(row: EvidenceRow, run: ProvingRun, outcome: EvidenceOutcome) -> EvidenceRow:
    """Return a new row about the same text, the same tests and the same strictness, for another run."""
    made = EvidenceRow(session_id=row.session_id, block_id=row.block_id, key=row.key, sha256=row.sha256)
    made.outcome, made.tests, made.strict = outcome, [*row.tests], row.strict
    made.base_run_id, made.patch_id = row.base_run_id, row.patch_id
    return _on(made, run)


def _lost(row: EvidenceRow, run: ProvingRun, why: str, by: UUID) -> EvidenceRow:
    made = _copy(row, run, EvidenceOutcome.FAILED)
    made.lost_at, made.lost_reason, made.lost_by = now(), why, by
    return made


def _again(row: EvidenceRow, run: ProvingRun) -> EvidenceRow:
    return _copy(row, run, EvidenceOutcome.PROVEN)


def _by_run(row: EvidenceRow) -> bool:
    """Tell whether a run took the proof away, which a later run can give back; a patch that reverted it can not."""
    return row.lost_by == row.run_id


def _problem(row: EvidenceRow, run: ProvingRun, tested: Tested, *, whole: bool) -> str:
    """Say what a run found that refutes a row; empty when nothing."""
    where = f"Run {run.run_id} on commit {run.commit[:12]}"
    failing = tested.failing(row.tests)
    if failing:
        return f"{where}: {'test' if len(failing) == 1 else 'tests'} {listed(failing)} failed."
    if whole and tested.gone(row.tests):
        tests = "test" if len(row.tests) == 1 else "tests"
        return f"{where}: the {tests} {listed(row.tests)} that proved it {'is' if tests == 'test' else 'are'} gone."
    return ""


def _criterion(
    key: str, criterion: Criterion | None, standing: Standing, rows: Sequence[EvidenceRow]
) -> CriterionEvidence:
    block = criterion.block_id if criterion else None
    present = criterion.sha256 if criterion else None
    mine = sorted((row for row in rows if row.block_id == block), key=lambda row: row.id, reverse=True)
    return CriterionEvidence(
        key=key,
        text=criterion.text if criterion else None,
        state=standing.state,
        why=standing.why,
        proof=None if standing.row is None else _entry(standing.row, present),
        history=[_entry(row, present) for row in mine],
    )


def _entry(row: EvidenceRow, present: str | None) -> EvidenceEntry:
    values = {name: getattr(row, name) for name in EvidenceEntry.model_fields if name not in {"at", "present", "why"}}
    return EvidenceEntry(**values, at=row.created_at, present=row.sha256 == present, why=row.lost_reason or "")


def summary_of(task: Task, found: Mapping[str, Standing]) -> Evidence | None:
    """Return what proves a task, as lists of tasks show it; None while nothing does."""
    mine = {key: found[key] for key in task.criteria if key in found}
    proven = [standing.row for standing in mine.values() if standing.row and standing.state is EvidenceState.PROVEN]
    if not proven:
        return None
    newest = max(proven, key=lambda row: row.id)
    strict = [row for row in proven if row.strict]
    return Evidence(
        run_id=newest.run_id,
        commit=newest.commit,
        criteria=[key for key, standing in mine.items() if standing.state is EvidenceState.PROVEN],
        strict=len(strict) == len(proven),
        base_run_id=max(strict, key=lambda row: row.id).base_run_id if strict else None,
        lost=[LostCriterion(key=key, why=it.why) for key, it in mine.items() if it.state is EvidenceState.LOST],
    )
