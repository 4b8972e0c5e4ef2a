"""The status of a task, derived from evidence. Nobody writes `done`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from devstudio_server.specs.facts import CriterionFacts, TaskFacts
from devstudio_server.specs.models import Criterion, EvidenceRow, Task
from devstudio_server.specs.schemas import EvidenceOutcome, EvidenceState, TaskStatus


@dataclass(frozen=True)
class DerivedStatus:
    """A status, why it is so, and the evidence of the criteria that are proven, by key."""

    status: TaskStatus
    reason: str
    proofs: dict[str, EvidenceRow]


@dataclass(frozen=True)
class Standing:
    """Where a criterion stands, why, and the row that says so; ``edited``: that row is about an earlier text."""

    state: EvidenceState
    why: str = ""
    row: EvidenceRow | None = None
    edited: bool = False


def standings(criteria: Iterable[Criterion | CriterionFacts], evidence: Iterable[EvidenceRow]) -> dict[str, Standing]:
    """Return where each criterion stands, by key. Of its present text the newest row counts."""
    ordered = sorted(evidence, key=lambda row: row.id)
    of_text = newest_by_text(ordered)
    of_block = {row.block_id: row for row in ordered if row.outcome == EvidenceOutcome.PROVEN}
    return {
        criterion.key: _standing(of_text.get((criterion.block_id, criterion.sha256)), of_block.get(criterion.block_id))
        for criterion in criteria
    }


def newest_by_text(evidence: Iterable[EvidenceRow]) -> dict[tuple[str, str], EvidenceRow]:
    """Return the newest row of each text that a criterion had."""
    return {(row.block_id, row.sha256): row for row in sorted(evidence, key=lambda row: row.id)}


def _standing(present: EvidenceRow | None, earlier: EvidenceRow | None) -> Standing:
    if present is None and earlier is None:
        return Standing(EvidenceState.MISSING, "No passing test names it yet.")
    if present is None and earlier is not None:
        return Standing(EvidenceState.LOST, f"Its text changed after run {earlier.run_id} proved it.", earlier, True)
    if present is not None and present.outcome == EvidenceOutcome.FAILED:
        return Standing(EvidenceState.LOST, present.lost_reason or "", present)
    return Standing(EvidenceState.PROVEN, _proven(present), present)


def _proven(row: EvidenceRow | None) -> str:
    if row is None:
        return ""
    tests = f" by {listed(row.tests)}" if row.tests else ""
    strictly = ", and not without the change" if row.strict else ""
    return f"Proven{tests} in run {row.run_id} on commit {row.commit[:12]}{strictly}."


def listed(names: Iterable[str], most: int = 3) -> str:
    """Return names for a sentence: the first few, and how many more."""
    every = [f"`{name[:200]}`" for name in names]
    rest = len(every) - most
    return ", ".join(every[:most]) + (f" and {rest} more" if rest > 0 else "")


def proofs_of(
    criteria: Iterable[Criterion | CriterionFacts], evidence: Iterable[EvidenceRow]
) -> dict[str, EvidenceRow]:
    """Return the evidence of each criterion whose present text is proven, by key."""
    found = standings(criteria, evidence)
    return {
        key: standing.row for key, standing in found.items() if standing.row and standing.state is EvidenceState.PROVEN
    }


def derive_status(task: Task | TaskFacts, found: Mapping[str, Standing]) -> DerivedStatus:
    """Derive a task's status from where the criteria stand."""
    mine = {key: found.get(key, Standing(EvidenceState.MISSING)) for key in task.criteria}
    proven = {key: it.row for key, it in mine.items() if it.row is not None and it.state is EvidenceState.PROVEN}
    progress = TaskStatus(task.progress)
    if not mine:
        reason = task.progress_reason or "The task names no criteria, so no run can prove it."
        return DerivedStatus(progress, reason, proven)
    if len(proven) == len(mine):
        return DerivedStatus(TaskStatus.DONE, f"Proven by tests: {', '.join(task.criteria)}.", proven)
    lost = _lost(mine)
    if lost:
        stepped_back = TaskStatus.IN_PROGRESS if progress is TaskStatus.TODO else progress
        return DerivedStatus(stepped_back, lost, proven)
    missing = [key for key in mine if key not in proven]
    reason = task.progress_reason or f"No passing test names {', '.join(missing)} yet."
    return DerivedStatus(progress, reason, proven)


def _lost(mine: Mapping[str, Standing]) -> str:
    """Say which criteria were proven and are no more, and why."""
    edited = [key for key, standing in mine.items() if standing.edited]
    said = [f"Suspect: {', '.join(edited)} changed after being proven."] if edited else []
    by_reason: dict[str, list[str]] = {}
    for key, standing in mine.items():
        if standing.state is EvidenceState.LOST and not standing.edited:
            by_reason.setdefault(standing.why, []).append(key)
    said += [f"No longer proven: {', '.join(keys)}. {why}" for why, keys in by_reason.items()]
    return " ".join(said)
