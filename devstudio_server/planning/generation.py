"""Code generation: a model proposes whole files for a task; they become a pending patch, and nothing is applied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any

from devstudio_server.ai.agent_settings import AgentSettingsService
from devstudio_server.ai.contract import ContractViolation, ProposeChanges
from devstudio_server.ai.gateway import Conversation, Gateway, Outcome
from devstudio_server.ai.subjects import CriterionText, GenerationSubject
from devstudio_server.db import Actor, Units
from devstudio_server.kit.errors import Invalid
from devstudio_server.patches.content import build_content, check_files
from devstudio_server.patches.schemas import PatchedFile, PatchStatus
from devstudio_server.patches.service import Origin, PatchService, criterion_warnings
from devstudio_server.planning.prompts_generation import GENERATION_RULES, generation_prompt
from devstudio_server.planning.schemas import GenerateRequest, GenerateResult
from devstudio_server.planning.subjects import language_of, requirements_of
from devstudio_server.scm import GitRepository
from devstudio_server.specs.schemas import DocumentType
from devstudio_server.web import Ports


@dataclass(frozen=True)
class _Snapshot:
    """The task and its project as they were when the model was asked."""

    subject: GenerationSubject
    documents: dict[str, str]
    rejections: Sequence[str]
    repository: GitRepository
    base: str
    tree: str


class _TreeReader:
    """Shows a model the task's base tree, and nothing else."""

    def __init__(self, repository: GitRepository, tree: str, files: Sequence[str]) -> None:
        self._repository = repository
        self._tree = tree
        self._files = files

    def list_files(self) -> Sequence[str]:
        return self._files

    def read_file(self, path: str) -> str | None:
        if path not in self._files:
            return None
        content = self._repository.read(self._tree, path)
        return None if content is None else content.decode("utf-8", "replace")


class GenerationService:
    """Generates patches: read (commit), call the model, store (commit)."""

    def __init__(
        self, units: Units, actor: Actor, ports: Ports, progress: Callable[[dict[str, Any]], None], left: Event
    ) -> None:
        """Work for ``actor``; ``progress`` is told what happens, ``left`` is set when nobody waits any more."""
        self._units = units
        self._actor = actor
        self._ports = ports
        self._progress = progress
        self._left = left

    def generate(self, request: GenerateRequest) -> GenerateResult:
        """Have a model propose the change for a task, and store it as a pending patch."""
        gateway = self._ports.get(Gateway)
        asked = gateway.resolve(request.model) if request.model is not None else None
        self._progress({"phase": "reading", "message": "Reading the task and the repository"})
        with self._units.begin(self._actor, read_only=True) as session:
            patches = PatchService(session, self._actor, self._ports)
            snapshot = self._snapshot(patches, request)
            project_id = patches.specs.get(patches.specs.get_task(request.task_id).session_id).project_id
            model = asked or AgentSettingsService(session, gateway).model(project_id)
        outcome = gateway.converse(
            Conversation(
                operation="generation",
                model=model.id,
                system=GENERATION_RULES,
                prompt=generation_prompt(snapshot.subject, snapshot.documents, snapshot.rejections),
                answer=ProposeChanges,
                subject=snapshot.subject,
                reader=_TreeReader(snapshot.repository, snapshot.tree, snapshot.subject.files),
                task_id=request.task_id,
                check=lambda answer: _check(answer, snapshot.subject.files),
            ),
            units=self._units,
            actor=self._actor,
            progress=self._progress,
            left=self._left,
        )
        self._progress({"phase": "saving", "message": "Making the patch"})
        return self._store(request, snapshot, outcome)

    def _snapshot(self, patches: PatchService, request: GenerateRequest) -> _Snapshot:
        task = patches.specs.get_task(request.task_id)
        session = patches.specs.get(task.session_id)
        project = patches.specs.projects.get_writable(session.project_id)
        texts = patches.specs.documents.texts(session)
        requirements = requirements_of(texts[DocumentType.REQUIREMENTS])
        known = {criterion.key: criterion for requirement in requirements for criterion in requirement.criteria}
        repository = patches.specs.projects.repository(project)
        base = repository.require_head(project.default_branch)
        tree = repository.tree(base)
        subject = GenerationSubject(
            project_name=project.name,
            project_type=project.type,
            language=language_of(project),
            task_key=task.key,
            task_title=task.title,
            task_description=task.description or "",
            criteria=tuple(known.get(key, CriterionText(key, "")) for key in task.criteria),
            requirements=requirements,
            instructions=request.instructions or "",
            files=tuple(repository.files(tree)),
        )
        documents = {kind.value: text for kind, text in texts.items()}
        return _Snapshot(subject, documents, patches.rejection_reasons(task.id), repository, base, tree)

    def _store(self, request: GenerateRequest, snapshot: _Snapshot, outcome: Outcome[ProposeChanges]) -> GenerateResult:
        files = _files(outcome.answer)
        content = build_content(snapshot.repository, snapshot.tree, files)
        warnings = criterion_warnings(
            [criterion.key for criterion in snapshot.subject.criteria], [text for text in files.values() if text]
        )
        origin = Origin(
            base=snapshot.base,
            summary=outcome.answer.summary,
            warnings=warnings,
            model=outcome.model.id,
            provider=outcome.model.provider,
        )
        with self._units.begin(self._actor) as session:
            patches = PatchService(session, self._actor, self._ports)
            task = patches.specs.get_task(request.task_id)
            project = patches.specs.projects.get_writable(patches.specs.get(task.session_id).project_id)
            patch = patches.create(task, project, content, origin)
        return GenerateResult(
            patch_id=patch.id,
            task_id=patch.task_id,
            status=PatchStatus.PENDING,
            summary=patch.summary,
            digest=patch.digest,
            files=[PatchedFile.model_validate(file) for file in patch.files],
            warnings=warnings,
            usage=outcome.usage,
        )


def _files(answer: ProposeChanges) -> dict[str, str | None]:
    return {file.path: None if file.action == "delete" else file.content for file in answer.files}


def _check(answer: ProposeChanges, existing: Sequence[str]) -> None:
    """Tell the model, by `ContractViolation`, what is wrong with the files that it proposes."""
    named = [file.path for file in answer.files]
    doubled = sorted({path for path in named if named.count(path) > 1})
    if doubled:
        message = f"The file {doubled[0]} is proposed twice. Propose each file once, whole."
        raise ContractViolation(message)
    try:
        check_files(_files(answer), existing)
    except Invalid as error:
        raise ContractViolation(error.detail) from error
