"""Looks at what is sent to a model, part by part, without sending it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.ai.agent_settings import AgentSettingsService
from devstudio_server.ai.gateway import Gateway
from devstudio_server.ai.restricted import is_outside, visible_documents
from devstudio_server.ai.service import CostFilter, GroupedCosts, MetricService
from devstudio_server.ai.subjects import CriterionText, GenerationSubject
from devstudio_server.db import Actor, Units
from devstudio_server.patches.service import PatchService
from devstudio_server.planning.changes import Basis
from devstudio_server.planning.context import Context, build_context
from devstudio_server.planning.material import Material, TaskMaterial
from devstudio_server.planning.optimize_report import report_generation, report_plan
from devstudio_server.planning.optimize_schemas import OptimizeRequest, OptimizeResult
from devstudio_server.planning.prompts_generation import context_budget, generation_prompt
from devstudio_server.planning.subjects import language_of, requirements_of, task_text
from devstudio_server.projects.models import Project
from devstudio_server.specs.models import SpecSession, Task
from devstudio_server.specs.schemas import DocumentType
from devstudio_server.web import Ports


class OptimizeService:
    """Tells what is sent: read (commit), then look."""

    def __init__(self, units: Units, actor: Actor, ports: Ports) -> None:
        """Work for ``actor``."""
        self._units = units
        self._actor = actor
        self._ports = ports
        self._gateway = ports.get(Gateway)

    def optimize(self, request: OptimizeRequest) -> OptimizeResult:
        """Return what would be sent for a task or a session, what of it is too much, and what it costs."""
        with self._units.begin(self._actor, read_only=True) as session:
            material = self._read(session, request)
        if not isinstance(material, TaskMaterial):
            return report_plan(material, request.instructions or "")
        budget = context_budget(material.model, material.basis.use)
        context = self._context(material, material.subject, budget)
        prompt = generation_prompt(material.subject, context)
        shared = self._shared_with_sibling(material, prompt, budget)
        return report_generation(material, context, prompt, budget, shared)

    def _read(self, session: Session, request: OptimizeRequest) -> Material:
        patches = PatchService(session, self._actor, self._ports)
        metrics = MetricService(session)
        if request.task_id is not None:
            used = metrics.costs(CostFilter(task_id=request.task_id), ())[0]
            return self._read_task(session, patches, patches.specs.get_task(request.task_id), request, used)
        spec = patches.specs.get(cast("UUID", request.session_id))  # a request has one of the two
        settings = AgentSettingsService(session, self._gateway)
        model = self._gateway.resolve(request.model) if request.model else settings.model(spec.project_id)
        documents, warnings = visible_documents(_texts(patches, spec), model)
        used = metrics.costs(CostFilter(session_id=spec.id), ())[0]
        return Material(spec.id, spec.title, model, documents, warnings, used)

    def _read_task(
        self, session: Session, patches: PatchService, task: Task, request: OptimizeRequest, used: GroupedCosts
    ) -> TaskMaterial:
        specs = patches.specs
        spec = specs.get(task.session_id)
        project = specs.projects.get(spec.project_id)
        basis = Basis.of(session, self._gateway, project, specs.projects.repository(project), request.model)
        documents, warnings = basis.visible(_texts(patches, spec))
        others = [other.id for other in specs.task_reads(spec) if other.id != task.id]
        return TaskMaterial(
            session_id=spec.id,
            title=spec.title,
            model=basis.model,
            documents=documents,
            warnings=warnings,
            used=used,
            task_id=task.id,
            basis=basis,
            subject=_subject(project, task, documents, request.instructions or ""),
            rejections=patches.rejection_reasons(task.id),
            sibling=_subject(project, specs.get_task(others[0]), documents, "") if others else None,
        )

    def _context(self, material: TaskMaterial, subject: GenerationSubject, budget: int) -> Context:
        return build_context(
            material.basis.repository,
            material.basis.tree,
            subject,
            budget_tokens=budget,
            instructions=subject.instructions,
            documents=material.documents,
            rejections=material.rejections if subject is material.subject else (),
            outside=is_outside(material.basis.viewer),
        )

    def _shared_with_sibling(self, material: TaskMaterial, prompt: str, budget: int) -> int:
        """Return how many characters the prompt has in common with that of another task, from its beginning on."""
        if material.sibling is None:
            return 0
        other = generation_prompt(material.sibling, self._context(material, material.sibling, budget))
        pairs = zip(prompt, other, strict=False)
        return next((at for at, (mine, its) in enumerate(pairs) if mine != its), min(len(prompt), len(other)))


def _texts(patches: PatchService, spec: SpecSession) -> dict[str, str]:
    return {kind.value: text for kind, text in patches.specs.documents.texts(spec).items()}


def _subject(project: Project, task: Task, documents: Mapping[str, str], instructions: str) -> GenerationSubject:
    requirements = requirements_of(documents[DocumentType.REQUIREMENTS.value])
    known = {criterion.key: criterion for requirement in requirements for criterion in requirement.criteria}
    title, description = task_text(documents[DocumentType.TASKS.value], task)
    return GenerationSubject(
        project_name=project.name,
        project_type=project.type,
        language=language_of(project),
        task_key=task.key,
        task_title=title,
        task_description=description,
        criteria=tuple(known.get(key, CriterionText(key, "")) for key in task.criteria),
        requirements=requirements,
        instructions=instructions,
        files=(),
    )
