"""Refactoring: a model changes how code is written, and the tests that passed before show that it does the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Event
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.ai.gateway import Gateway
from devstudio_server.ai.restricted import is_outside, visible_reader
from devstudio_server.ai.schemas import Provider
from devstudio_server.ai.subjects import CriterionText, GenerationSubject
from devstudio_server.db import Actor, Units
from devstudio_server.execution.results import MAX_TESTS
from devstudio_server.execution.schemas import Failure
from devstudio_server.execution.trials import TrialResult
from devstudio_server.kit.errors import AppError, Invalid
from devstudio_server.patches.schemas import PatchOrigin
from devstudio_server.patches.service import PatchService
from devstudio_server.planning.changes import (
    Basis,
    ChangeMaker,
    Order,
    Progress,
    TreeReader,
    keep_answers,
    origin_of,
    result_of,
    test_warnings,
    trial_of,
)
from devstudio_server.planning.context import MIN_BUDGET_TOKENS, build_context, tokens_of
from devstudio_server.planning.fix_loop import Mended
from devstudio_server.planning.prompts_generation import (
    REFACTORING_RULES,
    context_budget,
    files_prompt,
    generation_prompt,
)
from devstudio_server.planning.public_names import changed_names
from devstudio_server.planning.schemas import RefactorRequest, RefactorResult
from devstudio_server.planning.subjects import language_of, requirements_of, task_text
from devstudio_server.specs.markdown import parse
from devstudio_server.specs.models import SpecSession, Task
from devstudio_server.specs.schemas import DocumentType, SpecSessionCreate
from devstudio_server.web import Ports

_MAX_TITLE = 80
_SPACE = re.compile(r"[\s\x00-\x1f\x7f<>`]+")


class RefactoringInvalid(Invalid):
    """Nothing that can be refactored."""

    title = "Nothing to refactor"


@dataclass(frozen=True)
class _Snapshot:
    basis: Basis
    subject: GenerationSubject
    documents: dict[str, str]
    warnings: list[str]
    paths: tuple[str, ...]
    session_id: UUID | None


@dataclass(frozen=True)
class _Before:
    """How the tests went before; ``result`` is None where nothing was tested."""

    result: TrialResult | None

    @property
    def passed(self) -> set[str]:
        """The names of the tests that passed."""
        return {test.name for test in self.result.tests if test.outcome == "passed"} if self.result else set()

    def judge(self, after: TrialResult) -> list[Failure]:
        """Return what does not pass any more; what failed before in the same place does not count."""
        known = {failure.name for failure in self.result.failures} if self.result else set()
        failures = [failure for failure in after.failures if failure.name not in known]
        named = {failure.name for failure in failures}
        # Of very many tests, a run keeps only some: then one that is not listed says nothing.
        lost = [] if len(self.passed) >= MAX_TESTS or not after.tests else sorted(self.broken(after) - named)
        return failures + [Failure(name=name, message="It passed before, and does not pass now.") for name in lost]

    def broken(self, after: TrialResult) -> set[str]:
        """Return the names of the tests that passed before and do not now."""
        return self.passed - {test.name for test in after.tests if test.outcome == "passed"}


class RefactoringService:
    """Refactors: read (commit), test what is there, call the model and test, store (commit)."""

    def __init__(self, units: Units, actor: Actor, ports: Ports, progress: Progress, left: Event) -> None:
        """Work for ``actor``; ``progress`` is told what happens, ``left`` is set when nobody waits any more."""
        self._units = units
        self._actor = actor
        self._ports = ports
        self._progress = progress
        self._maker = ChangeMaker(units, actor, ports, progress, left)

    def refactor(self, request: RefactorRequest) -> RefactorResult:
        """Have a model refactor, and store what it proposes as a pending patch of a task.

        Raises `RefactoringInvalid` for what names nothing, and for the offline model, which cannot do it.
        """
        self._progress({"phase": "reading", "message": "Reading the code"})
        with self._units.begin(self._actor, read_only=True) as session:
            snapshot = self._snapshot(session, request)
        if snapshot.basis.model.provider is Provider.OFFLINE:
            raise RefactoringInvalid("Templates cannot refactor. Name a model of `GET ai/models` other than `offline`.")
        rounds = snapshot.basis.fix_rounds(request.fix_rounds)
        before = self._before(snapshot, request) if rounds else _Before(None)
        order = Order(
            basis=snapshot.basis,
            subject=snapshot.subject,
            system=REFACTORING_RULES,
            prompt=_prompt(snapshot),
            rounds=rounds,
            about=f"Testing what {snapshot.basis.model.id} refactored",
            task_id=request.task_id,
            session_id=snapshot.session_id,
            judge=before.judge,
        )
        mended = self._maker.make(order)
        self._progress({"phase": "saving", "message": "Making the patch"})
        return self._store(request, snapshot, before, mended)

    def _before(self, snapshot: _Snapshot, request: RefactorRequest) -> _Before:
        """Test the code as it is."""
        basis, trials = snapshot.basis, self._maker.trials
        if not trials.possible():
            return _Before(None)

        def started(run_id: UUID) -> None:
            message = "Testing the code as it is"
            self._progress({"phase": "testing", "message": message, "round": 0, "run_id": str(run_id)})

        trial = trial_of(basis, basis.tree, "Testing the code as it is, before it is refactored", request.task_id)
        try:
            result = trials.test(basis.repository, trial, started)
        except AppError:
            return _Before(None)
        return _Before(None if result.untested or not result.opened else result)

    def _snapshot(self, session: Session, request: RefactorRequest) -> _Snapshot:
        patches = PatchService(session, self._actor, self._ports)
        project = patches.specs.projects.get_writable(request.project_id)
        repository = patches.specs.projects.repository(project)
        basis = Basis.of(session, self._ports.get(Gateway), project, repository, request.model)
        paths = _paths(basis, request)
        task, spec_session = _named(patches, request)
        texts = patches.specs.documents.texts(spec_session) if spec_session else {}
        documents, warnings = basis.visible({kind.value: text for kind, text in texts.items()})
        requirements = requirements_of(documents.get(DocumentType.REQUIREMENTS.value, ""))
        known = {criterion.key: criterion for requirement in requirements for criterion in requirement.criteria}
        title, details = _title(request.instructions), "\n".join(request.paths)
        if task is not None:
            title, details = task_text(documents[DocumentType.TASKS.value], task)
        subject = GenerationSubject(
            project_name=project.name,
            project_type=project.type,
            language=language_of(project),
            task_key=task.key if task else "refactoring",
            task_title=title,
            task_description=details,
            criteria=tuple(known.get(key, CriterionText(key, "")) for key in (task.criteria if task else ())),
            requirements=requirements,
            instructions=request.instructions,
            files=basis.files,
        )
        return _Snapshot(basis, subject, documents, warnings, paths, spec_session.id if spec_session else None)

    def _store(self, request: RefactorRequest, snapshot: _Snapshot, before: _Before, mended: Mended) -> RefactorResult:
        after = mended.kept_result
        broken = sorted(before.broken(after)) if before.result and after else []
        changes = self._api_changes(snapshot, mended)
        warnings = [
            *snapshot.warnings,
            *test_warnings(mended),
            *_said(snapshot, before, mended),
            *(f"Other code may use this: {change}" for change in changes),
        ]
        with self._units.begin(self._actor) as session:
            patches = PatchService(session, self._actor, self._ports)
            project = patches.specs.projects.get_writable(request.project_id)
            task = _task(patches, request)
            origin = origin_of(snapshot.basis, mended, warnings, PatchOrigin.REFACTORED)
            patch = patches.create(task, project, mended.proposal.content, origin)
            keep_answers(session, snapshot.basis, patch, mended)
        return RefactorResult(
            **result_of(patch, mended, warnings).model_dump(),
            base_run_id=before.result.run_id if before.result else None,
            kept_tests=len(before.passed) - len(broken) if after else 0,
            broken_tests=broken,
            api_changes=changes,
        )

    def _api_changes(self, snapshot: _Snapshot, mended: Mended) -> list[str]:
        reader = TreeReader(snapshot.basis.repository, snapshot.basis.tree, snapshot.basis.files)
        files = mended.proposal.files
        return changed_names({path: reader.read_file(path) for path in files}, files)


def _prompt(snapshot: _Snapshot) -> str:
    """Return the prompt: what is meant in full as far as half of the budget reaches, and the context."""
    basis = snapshot.basis
    budget = context_budget(basis.model, basis.use)
    reader = visible_reader(TreeReader(basis.repository, basis.tree, basis.files), basis.viewer)
    shown: dict[str, str] = {}
    left = budget // 2
    for path in snapshot.paths:
        text = reader.read_file(path)
        if text is not None and "\0" not in text and tokens_of(text) <= left:
            shown[path] = text
            left -= tokens_of(text)
    context = build_context(
        basis.repository,
        basis.tree,
        snapshot.subject,
        budget_tokens=max(MIN_BUDGET_TOKENS, budget // 2 + left),
        instructions=snapshot.subject.instructions,
        documents=snapshot.documents,
        outside=is_outside(basis.viewer),
    )
    return "\n\n".join([generation_prompt(snapshot.subject, context), *files_prompt(shown)])


def _paths(basis: Basis, request: RefactorRequest) -> tuple[str, ...]:
    """Return the files that are meant; raises `RefactoringInvalid`."""
    if not (request.paths or request.session_id or request.task_id):
        raise RefactoringInvalid("Name what to refactor: `paths`, a session or a task.")
    meant: dict[str, None] = {}
    for index, path in enumerate(request.paths):
        folder = path.rstrip("/") + "/"
        found = [name for name in basis.files if name == path or name.startswith(folder)]
        if not found:
            message = f"The repository has no file and no folder {path!r}."
            raise RefactoringInvalid(message, errors=[{"loc": ["body", "paths", index], "msg": message}])
        meant |= dict.fromkeys(found)
    return tuple(meant)


def _named(patches: PatchService, request: RefactorRequest) -> tuple[Task | None, SpecSession | None]:
    """Return the task and the session that the request names; raises `RefactoringInvalid` for another project's."""
    task = patches.specs.get_task(request.task_id) if request.task_id else None
    session_id = task.session_id if task else request.session_id
    session = patches.specs.get(session_id) if session_id else None
    if session is not None and session.project_id != request.project_id:
        raise RefactoringInvalid("The session is one of another project.")
    return task, session


def _task(patches: PatchService, request: RefactorRequest) -> Task:
    """Return the task that the patch belongs to; one that nobody named is added to the session, or to a new one."""
    task, session = _named(patches, request)
    if task is not None:
        return task
    title = _title(request.instructions)
    specs = patches.specs
    if session is None:
        description = f"{request.instructions}\n\n{' '.join(request.paths)}"[:10_000]
        session = specs.create(SpecSessionCreate(project_id=request.project_id, title=title, description=description))
    present = specs.documents.texts(session)[DocumentType.TASKS].rstrip("\n") or "# Tasks\n"
    tops = [int(block.label.split(".")[0]) for block in parse(DocumentType.TASKS, present).tasks]
    number = max(tops, default=0) + 1
    lines = [f"- [ ] {number}. {title}", *(f"  - {_SPACE.sub(' ', path)}" for path in request.paths)]
    specs.write(session, {DocumentType.TASKS: "\n".join([present, *lines]) + "\n"})
    added = next(read.id for read in specs.task_reads(session) if read.key == str(number))
    return specs.get_task(added)


def _title(instructions: str) -> str:
    first = _SPACE.sub(" ", instructions.strip().splitlines()[0] if instructions.strip() else "").strip()
    return f"Refactor: {first or 'as asked'}"[:_MAX_TITLE]


def _said(snapshot: _Snapshot, before: _Before, mended: Mended) -> Sequence[str]:
    """Say what nothing shows, and what nobody asked for."""
    said = []
    if mended.stopped is not None and not before.passed:
        said.append("No test passed before, so nothing shows that the code does the same.")
    others = _others(snapshot.paths, mended.proposal.files)
    if others:
        said.append(f"It also changes what was not named: {', '.join(others)}.")
    return said


def _others(paths: Sequence[str], files: Iterable[str]) -> list[str]:
    return sorted(set(files) - set(paths))[:20] if paths else []
