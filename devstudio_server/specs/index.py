"""Derives criteria and tasks from the documents, in the transaction that changes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from devstudio_server.kit.clock import now
from devstudio_server.specs.facts import CriterionFacts, TaskFacts
from devstudio_server.specs.markdown import Block, Finding, Parsed, TaskBlock, expand_references, parse
from devstudio_server.specs.models import Criterion, SpecSession, Task
from devstudio_server.specs.repository import SpecRepository
from devstudio_server.specs.schemas import DocumentType, TaskStatus
from devstudio_server.specs.status import derive_status, proofs_of, standings

MAX_TITLE = 200


class SpecIndex:
    """Keeps a session's rows of criteria and tasks equal to its texts. Only rows that come to differ are touched."""

    def __init__(self, specs: SpecRepository, session: SpecSession) -> None:
        """Work on ``session`` through ``specs``."""
        self._specs = specs
        self._session = session

    def rebuild(self, texts: dict[DocumentType, str]) -> None:
        """Derive criteria and tasks from ``texts``, then every status."""
        requirements = parse(DocumentType.REQUIREMENTS, texts.get(DocumentType.REQUIREMENTS, ""))
        tasks = parse(DocumentType.TASKS, texts.get(DocumentType.TASKS, ""))
        changed, criteria = self._index_criteria(requirements)
        facts = self._index_tasks(tasks, requirements, changed)
        self._specs.flush()
        self._derive(facts, criteria)

    def _index_criteria(self, parsed: Parsed) -> tuple[set[str], list[CriterionFacts]]:
        """Bring the rows of criteria in line; return the keys that say something else than before, and all facts."""
        before = {facts.block_id: facts for facts in self._specs.criterion_facts(self._session.id)}
        after = {
            block.id or "": CriterionFacts(block.id or "", key, block.text, block.sha256, position)
            for position, (key, block) in enumerate(parsed.criteria().items())
        }
        for row in self._specs.criteria_of(self._session.id, _differing(before, after)):
            facts = after.get(row.block_id)
            if facts is None:
                self._specs.remove_row(row)
            else:
                _fill(row, facts)
        for block_id in [key for key in after if key not in before]:
            row = Criterion(session_id=self._session.id)
            _fill(row, after[block_id])
            self._specs.add_row(row)
        sha256 = {facts.key: facts.sha256 for facts in after.values()}
        return {f.key for f in before.values() if sha256.get(f.key) != f.sha256}, [*after.values()]

    def _index_tasks(self, parsed: Parsed, requirements: Parsed, changed: set[str]) -> list[TaskFacts]:
        """Bring the rows of tasks in line, but for what is derived; return all facts."""
        before = {facts.block_id: facts for facts in self._specs.task_facts(self._session.id)}
        criteria = requirements.criteria()
        named = {block.id or "" for block in parsed.tasks}
        after = {key: facts if key in named else facts._replace(removed=True) for key, facts in before.items()}
        for position, block in enumerate(parsed.tasks):
            row = before.get(block.id or "", _NEW)
            after[block.id or ""] = _suspect(_task_facts(row, block, criteria, position), changed)
        for task in self._specs.tasks_of(self._session.id, _differing(before, after)):
            _fill(task, after[task.block_id])
        for block_id in [key for key in after if key not in before]:
            task = Task(session_id=self._session.id)
            _fill(task, after[block_id])
            self._specs.add_row(task)
        return [*after.values()]

    def answer_ticks(self, ticked: set[str], tasks: str) -> None:
        """Say at the tasks that somebody ticked in a file why they are not done; the boxes are put back already.

        A tick that is in the document itself is its text, of which the linter says that it changes nothing.
        """
        if not ticked:
            return
        asked = ticked - {block.id for block in parse(DocumentType.TASKS, tasks).tasks if block.ticked}
        proven = proofs_of(self._specs.criterion_facts(self._session.id), self._specs.evidence(self._session.id))
        for task in self._specs.tasks_of(self._session.id, asked):
            if task.removed or task.status == TaskStatus.DONE:
                continue
            missing = ", ".join(key for key in task.criteria if key not in proven)
            why = f"no passing run proves {missing}" if missing else "it names no criteria, so no run can prove it"
            task.progress_reason = f"It was ticked by hand, and the box was put back: {why}."
        self.refresh_statuses()

    def refresh_statuses(self) -> None:
        """Derive the status of every task."""
        self._specs.flush()
        self._derive(self._specs.task_facts(self._session.id), self._specs.criterion_facts(self._session.id))

    def _derive(self, tasks: Iterable[TaskFacts], criteria: Iterable[CriterionFacts]) -> None:
        known = standings(criteria, self._specs.evidence(self._session.id))
        derived = {task.block_id: derive_status(task, known) for task in tasks}
        stale = {
            task.block_id
            for task in tasks
            if (task.status, task.status_reason) != (derived[task.block_id].status, derived[task.block_id].reason)
        }
        for row in self._specs.tasks_of(self._session.id, stale):
            found = derived[row.block_id]
            row.completed_at = (row.completed_at or now()) if found.status is TaskStatus.DONE else None
            row.status, row.status_reason = found.status, found.reason
            row.version = (row.version or 0) + 1
        self._specs.flush()


_NEW = TaskFacts("", "", "", None, [], False, 0, False, TaskStatus.TODO, "", TaskStatus.TODO, "")


def _task_facts(before: TaskFacts, block: TaskBlock, criteria: dict[str, Block], position: int) -> TaskFacts:
    keys, _unknown = expand_references(block, criteria)
    return before._replace(
        block_id=block.id or "",
        key=block.label[:20],
        title=block.title[:MAX_TITLE],
        description="\n".join(block.details) or None,
        criteria=keys,
        optional=block.optional,
        position=position,
        removed=False,
    )


def _suspect(task: TaskFacts, changed: set[str]) -> TaskFacts:
    """Note at a task that is worked on which of its criteria changed since."""
    keys = [key for key in task.criteria if key in changed]
    if not keys or task.progress not in {TaskStatus.IN_PROGRESS, TaskStatus.REVIEW}:
        return task
    return task._replace(progress_reason=f"Suspect: {', '.join(keys)} changed since the work on the task began.")


def _differing(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """Return the blocks that have a row which does not say what it is to say."""
    return [block_id for block_id, facts in before.items() if after.get(block_id) != facts]


def _fill(row: Criterion | Task, facts: CriterionFacts | TaskFacts) -> None:
    for name, value in facts._asdict().items():
        setattr(row, name, value)


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
