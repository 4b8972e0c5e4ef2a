"""Derives criteria and tasks from the documents, in the transaction that changes them."""

from __future__ import annotations

from devstudio_server.kit.clock import now
from devstudio_server.specs.markdown import Finding, Parsed, TaskBlock, expand_references, parse
from devstudio_server.specs.models import Criterion, SpecSession, Task
from devstudio_server.specs.repository import SpecRepository
from devstudio_server.specs.schemas import DocumentType, TaskStatus
from devstudio_server.specs.status import DerivedStatus, derive_status, proofs_of, standings

MAX_TITLE = 200


class SpecIndex:
    """Keeps a session's rows of criteria and tasks equal to its texts."""

    def __init__(self, specs: SpecRepository, session: SpecSession) -> None:
        """Work on ``session`` through ``specs``."""
        self._specs = specs
        self._session = session

    def rebuild(self, texts: dict[DocumentType, str]) -> None:
        """Derive criteria and tasks from ``texts``, then every status."""
        requirements = parse(DocumentType.REQUIREMENTS, texts.get(DocumentType.REQUIREMENTS, ""))
        tasks = parse(DocumentType.TASKS, texts.get(DocumentType.TASKS, ""))
        changed = self._index_criteria(requirements)
        self._index_tasks(tasks, requirements)
        self._suspect(changed)
        self._specs.flush()
        self.refresh_statuses()

    def _index_criteria(self, parsed: Parsed) -> set[str]:
        """Bring the rows of criteria in line; return the keys that say something else than before, or nothing now."""
        rows = self._specs.criteria(self._session.id)
        before = {row.key: row.sha256 for row in rows}
        stale = {row.block_id: row for row in rows}
        for position, (key, block) in enumerate(parsed.criteria().items()):
            row = stale.pop(block.id or "", None)
            if row is None:
                row = Criterion(session_id=self._session.id, block_id=block.id)
                self._specs.add_row(row)
            row.key, row.text, row.sha256, row.position = key, block.text, block.sha256, position
        for row in stale.values():
            self._specs.remove_row(row)
        after = {key: block.sha256 for key, block in parsed.criteria().items()}
        return {key for key, sha256 in before.items() if after.get(key) != sha256}

    def _suspect(self, changed: set[str]) -> None:
        """Note at tasks that are worked on which of their criteria changed since."""
        for task in self._specs.all_tasks(self._session.id) if changed else ():
            keys = [key for key in task.criteria if key in changed]
            if keys and not task.removed and task.progress in {TaskStatus.IN_PROGRESS, TaskStatus.REVIEW}:
                task.progress_reason = f"Suspect: {', '.join(keys)} changed since the work on the task began."

    def _index_tasks(self, parsed: Parsed, requirements: Parsed) -> None:
        stale = {row.block_id: row for row in self._specs.all_tasks(self._session.id)}
        for position, block in enumerate(parsed.tasks):
            row = stale.pop(block.id or "", None)
            if row is None:
                row = Task(session_id=self._session.id, block_id=block.id)
                self._specs.add_row(row)
            self._fill_task(row, block, requirements, position)
        for row in stale.values():
            row.removed = True

    def _fill_task(self, row: Task, block: TaskBlock, requirements: Parsed, position: int) -> None:
        keys, _unknown = expand_references(block, requirements.criteria())
        row.key, row.title = block.label[:20], block.title[:MAX_TITLE]
        row.description = "\n".join(block.details) or None
        row.criteria, row.optional, row.position, row.removed = keys, block.optional, position, False

    def answer_ticks(self, ticked: set[str], tasks: str) -> None:
        """Say at the tasks that somebody ticked in a file why they are not done; the boxes are put back already.

        A tick that is in the document itself is its text, of which the linter says that it changes nothing.
        """
        if not ticked:
            return
        asked = ticked - {block.id for block in parse(DocumentType.TASKS, tasks).tasks if block.ticked}
        proven = proofs_of(self._specs.criteria(self._session.id), self._specs.evidence(self._session.id))
        for task in self._specs.all_tasks(self._session.id):
            if task.block_id not in asked or task.removed or task.status == TaskStatus.DONE:
                continue
            missing = ", ".join(key for key in task.criteria if key not in proven)
            why = f"no passing run proves {missing}" if missing else "it names no criteria, so no run can prove it"
            task.progress_reason = f"It was ticked by hand, and the box was put back: {why}."
        self.refresh_statuses()

    def refresh_statuses(self) -> dict[str, DerivedStatus]:
        """Derive the status of every task; return them by the task's block id."""
        known = standings(self._specs.criteria(self._session.id), self._specs.evidence(self._session.id))
        found: dict[str, DerivedStatus] = {}
        for task in self._specs.all_tasks(self._session.id):
            derived = derive_status(task, known)
            found[task.block_id] = derived
            if (task.status, task.status_reason) != (derived.status, derived.reason):
                done = derived.status is TaskStatus.DONE
                task.completed_at = (task.completed_at or now()) if done else None
                task.status, task.status_reason = derived.status, derived.reason
                task.version = (task.version or 0) + 1
        self._specs.flush()
        return found


def findings(texts: dict[DocumentType, str]) -> list[tuple[DocumentType, Finding]]:
    """Return everything that looks wrong in the documents, references between them included."""
    parsed = {kind: parse(kind, text) for kind, text in texts.items()}
    found = [(kind, finding) for kind, document in parsed.items() for finding in document.findings]
    requirements, tasks = parsed.get(DocumentType.REQUIREMENTS), parsed.get(DocumentType.TASKS)
    if requirements is not None and tasks is not None:
        for task in tasks.tasks:
            unknown = expand_references(task, requirements.criteria())[1]
            found += [(DocumentType.TASKS, finding) for finding in unknown]
    return found
