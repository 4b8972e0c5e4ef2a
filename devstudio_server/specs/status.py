"""The status of a task, derived from evidence. Nobody writes `done`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from devstudio_server.specs.models import Criterion, EvidenceRow, Task
from devstudio_server.specs.schemas import TaskStatus


@dataclass(frozen=True)
class DerivedStatus:
    """A status, why it is so, and the evidence of the criteria that are proven, by key."""

    status: TaskStatus
    reason: str
    proofs: dict[str, EvidenceRow]


def proofs_of(criteria: Iterable[Criterion], evidence: Iterable[EvidenceRow]) -> dict[str, EvidenceRow]:
    """Return the newest evidence of each criterion whose present text it proves, by key."""
    newest = {(row.block_id, row.sha256): row for row in sorted(evidence, key=lambda row: row.id)}
    found = {criterion.key: newest.get((criterion.block_id, criterion.sha256)) for criterion in criteria}
    return {key: row for key, row in found.items() if row is not None}


def derive_status(
    task: Task, criteria: Mapping[str, Criterion], proofs: Mapping[str, EvidenceRow], suspects: set[str]
) -> DerivedStatus:
    """Derive a task's status. ``suspects`` are blocks that have evidence, but for an earlier text."""
    proven = {key: proofs[key] for key in task.criteria if key in proofs}
    missing = [key for key in task.criteria if key not in proofs]
    progress = TaskStatus(task.progress)
    if not task.criteria:
        reason = task.progress_reason or "The task names no criteria, so no run can prove it."
        return DerivedStatus(progress, reason, proven)
    if not missing:
        return DerivedStatus(TaskStatus.DONE, f"Proven by tests: {', '.join(task.criteria)}.", proven)
    edited = [key for key in missing if key in criteria and criteria[key].block_id in suspects]
    if edited:
        changed = f"Suspect: {', '.join(edited)} changed after being proven."
        stepped_back = TaskStatus.IN_PROGRESS if progress is TaskStatus.TODO else progress
        return DerivedStatus(stepped_back, changed, proven)
    reason = task.progress_reason or f"No passing test names {', '.join(missing)} yet."
    return DerivedStatus(progress, reason, proven)
