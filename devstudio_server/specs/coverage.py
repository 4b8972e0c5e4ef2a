"""How requirements, tasks and evidence hang together: what nobody builds, what proves nothing, what is not there."""

from __future__ import annotations

from collections.abc import Collection

from devstudio_server.specs.markdown import Parsed, TaskBlock, expand_references
from devstudio_server.specs.schemas import SpecCoverage


def cover(requirements: Parsed, tasks: Parsed, proven: Collection[str]) -> SpecCoverage:
    """Compare the two documents; ``proven`` are the keys of the criteria with evidence for their present text."""
    criteria = requirements.criteria()
    parents = {_parent(task) for task in tasks.tasks}
    named: set[str] = set()
    unknown: dict[str, list[str]] = {}
    without: list[str] = []
    for task in tasks.tasks:
        keys, _findings = expand_references(task, criteria)
        missing = [key for key in keys if key not in criteria]
        named |= set(keys)
        if missing:
            unknown[task.label] = list(dict.fromkeys([*unknown.get(task.label, []), *missing]))
        if not task.references and task.label not in parents:
            without.append(task.label)
    return SpecCoverage(
        criteria=len(criteria),
        tasks=len(tasks.tasks),
        criteria_without_task=[key for key in criteria if key not in named],
        tasks_without_criterion=without,
        unknown_criteria=unknown,
        criteria_without_evidence=[key for key in criteria if key not in proven],
    )


def _parent(task: TaskBlock) -> str:
    return task.label.rpartition(".")[0]
