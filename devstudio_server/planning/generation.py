"""Code generation: a model proposes whole files for a task; they become a pending patch, and nothing is applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.ai.gateway import Gateway
from devstudio_server.ai.restricted import is_outside
from devstudio_server.ai.subjects import CriterionText, GenerationSubject
from devstudio_server.db import Actor, Units
from devstudio_server.patches.content import build_content
from devstudio_server.patches.recording import files_of
from devstudio_server.patches.schemas import LoopEnd, PatchOrigin
from devstudio_server.patches.service import PatchService, criterion_warnings
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
)
from devstudio_server.planning.context import build_context
from devstudio_server.planning.fix_loop import Mended, Proposal
from devstudio_server.planning.prompts_generation import GENERATION_RULES, context_budget, generation_prompt
from devstudio_server.planning.schemas import GenerateRequest, GenerateResult
from devstudio_server.planning.subjects import language_of, requirements_of, task_text
from devstudio_server.planning.templates import template_outcome
from devstudio_server.specs.schemas import DocumentType
from devstudio_server.web import Ports


@dataclass(frozen=True)
class _Snapshot:
    """The task and its project as they were when the model was asked."""

    basis: Basis
    session_id: UUID
    subject: GenerationSubject
    documents: dict[str, str]
    rejections: Sequence[str]
    warnings: list[str]


class GenerationService:
    """Generates patches: read (commit), call the model and test, store (commit)."""

    def __init__(self, units: Units, actor: Actor, ports: Ports, progress: Progress, left: Event) -> None:
        """Work for ``actor``; ``progress`` is told what happens, ``left`` is set when nobody waits any more."""
        self._units = units
        self._actor = actor
        self._ports = ports
        self._progress = progress
        self._maker = ChangeMaker(units, actor, ports, progress, left)

    def generate(self, request: GenerateRequest) -> GenerateResult:
        """Have a model propose the change for a task, and store it as a pending patch."""
        self._progress({"phase": "reading", "message": "Reading the task and the repository"})
        with self._units.begin(self._actor, read_only=True) as session:
            snapshot = self._snapshot(session, request)
        mended = self._made(request, snapshot)
        self._progress({"phase": "saving", "message": "Making the patch"})
        return self._store(request, snapshot, mended)

    def _made(self, request: GenerateRequest, snapshot: _Snapshot) -> Mended:
        """Return what a model made, or the template that was asked for."""
        if request.template is None:
            return self._maker.make(self._order(request, snapshot))
        basis = snapshot.basis
        reader = TreeReader(basis.repository, basis.tree, basis.files)
        outcome = template_outcome(self._ports.get(Gateway), request.template, snapshot.subject, reader)
        files = files_of(outcome.answer)
        proposal = Proposal(outcome, files, build_content(basis.repository, basis.tree, files))
        return Mended(proposal, outcome.usage, stopped=LoopEnd.OFFLINE)

    def _snapshot(self, session: Session, request: GenerateRequest) -> _Snapshot:
        gateway = self._ports.get(Gateway)
        if request.model is not None:
            gateway.resolve(request.model)
        patches = PatchService(session, self._actor, self._ports)
        task = patches.specs.get_task(request.task_id)
        spec_session = patches.specs.get(task.session_id)
        project = patches.specs.projects.get_writable(spec_session.project_id)
        basis = Basis.of(session, gateway, project, patches.specs.projects.repository(project), request.model)
        texts = {kind.value: text for kind, text in patches.specs.documents.texts(spec_session).items()}
        documents, warnings = basis.visible(texts)
        requirements = requirements_of(documents[DocumentType.REQUIREMENTS.value])
        known = {criterion.key: criterion for requirement in requirements for criterion in requirement.criteria}
        title, description = task_text(documents[DocumentType.TASKS.value], task)
        subject = GenerationSubject(
            project_name=project.name,
            project_type=project.type,
            language=language_of(project),
            task_key=task.key,
            task_title=title,
            task_description=description,
            criteria=tuple(known.get(key, CriterionText(key, "")) for key in task.criteria),
            requirements=requirements,
            instructions=request.instructions or "",
            files=basis.files,
        )
        reasons = patches.rejection_reasons(task.id)
        return _Snapshot(basis, spec_session.id, subject, documents, reasons, warnings)

    def _order(self, request: GenerateRequest, snapshot: _Snapshot) -> Order:
        basis, subject = snapshot.basis, snapshot.subject
        context = build_context(
            basis.repository,
            basis.tree,
            subject,
            budget_tokens=context_budget(basis.model, basis.use),
            instructions=subject.instructions,
            documents=snapshot.documents,
            rejections=snapshot.rejections,
            outside=is_outside(basis.viewer),
        )
        return Order(
            basis=basis,
            subject=subject,
            system=GENERATION_RULES,
            prompt=generation_prompt(subject, context),
            rounds=basis.fix_rounds(request.fix_rounds),
            about=f"Testing the proposal of {basis.model.id} for task {subject.task_key}",
            task_id=request.task_id,
            session_id=snapshot.session_id,
        )

    def _store(self, request: GenerateRequest, snapshot: _Snapshot, mended: Mended) -> GenerateResult:
        keys = [criterion.key for criterion in snapshot.subject.criteria]
        warnings = criterion_warnings(keys, [text for text in mended.proposal.files.values() if text])
        warnings += [*snapshot.warnings, *test_warnings(mended)]
        with self._units.begin(self._actor) as session:
            patches = PatchService(session, self._actor, self._ports)
            task = patches.specs.get_task(request.task_id)
            project = patches.specs.projects.get_writable(patches.specs.get(task.session_id).project_id)
            kind = PatchOrigin.TEMPLATE if request.template else PatchOrigin.GENERATED
            origin = origin_of(snapshot.basis, mended, warnings, kind)
            patch = patches.create(task, project, mended.proposal.content, origin)
            keep_answers(session, snapshot.basis, patch, mended)
        return result_of(patch, mended, warnings)
