"""Planning: a model writes documents; what a person wrote meanwhile is never overwritten."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Any

from sqlalchemy.orm import Session

from devstudio_server.ai.agent_settings import AgentSettingsService
from devstudio_server.ai.contract import WriteDocuments
from devstudio_server.ai.gateway import Conversation, Gateway, Outcome
from devstudio_server.ai.subjects import PlanSubject
from devstudio_server.db import Actor, Units
from devstudio_server.planning.prompts import PLANNING_RULES, planning_prompt
from devstudio_server.planning.schemas import PlannedTask, PlanRequest, PlanResult
from devstudio_server.planning.subjects import language_of, requirements_of
from devstudio_server.scm import GitStorage
from devstudio_server.scm.workspace import WorkspaceStorage
from devstudio_server.specs.errors import DocumentConflict
from devstudio_server.specs.markdown import strip_ids
from devstudio_server.specs.schemas import DocumentType
from devstudio_server.specs.service import SpecService
from devstudio_server.web import Ports

Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class _Snapshot:
    """The session as it was when the model was asked."""

    subject: PlanSubject
    texts: dict[DocumentType, str]


class PlanningService:
    """Plans documents: read (commit), call the model, store (commit)."""

    def __init__(self, units: Units, actor: Actor, ports: Ports, progress: Progress, left: Event) -> None:
        """Work for ``actor``; ``progress`` is told what happens, ``left`` is set when nobody waits any more."""
        self._units = units
        self._actor = actor
        self._ports = ports
        self._progress = progress
        self._left = left

    def plan(self, request: PlanRequest) -> PlanResult:
        """Have a model write the documents of a stage, and store them as new versions."""
        gateway = self._ports.get(Gateway)
        asked = gateway.resolve(request.model) if request.model is not None else None
        self._progress({"phase": "reading", "message": "Reading the session"})
        with self._units.begin(self._actor, read_only=True) as session:
            specs = self._specs(session)
            snapshot = self._snapshot(specs, request)
            project_id = specs.get(request.session_id).project_id
            model = asked or AgentSettingsService(session, gateway).model(project_id)
        outcome = gateway.converse(
            Conversation(
                operation="plan",
                model=model.id,
                system=PLANNING_RULES,
                prompt=planning_prompt(snapshot.subject),
                answer=WriteDocuments,
                subject=snapshot.subject,
            ),
            units=self._units,
            actor=self._actor,
            progress=self._progress,
            left=self._left,
        )
        self._progress({"phase": "saving", "message": "Saving the documents"})
        with self._units.begin(self._actor) as session:
            return self._store(self._specs(session), request, snapshot, outcome)

    def _specs(self, session: Session) -> SpecService:
        return SpecService(session, self._actor, self._ports.get(GitStorage), self._ports.get(WorkspaceStorage))

    def _snapshot(self, specs: SpecService, request: PlanRequest) -> _Snapshot:
        session = specs.get(request.session_id)
        project = specs.projects.get_writable(session.project_id)
        texts = specs.documents.texts(session)
        subject = PlanSubject(
            project_name=project.name,
            project_type=project.type,
            language=language_of(project),
            session_title=session.title,
            session_description=session.description or "",
            prompt=request.prompt or "",
            stages=tuple(kind.value for kind in request.stage.documents),
            documents={kind.value: text for kind, text in texts.items()},
            requirements=requirements_of(texts[DocumentType.REQUIREMENTS]),
        )
        return _Snapshot(subject, texts)

    def _store(
        self, specs: SpecService, request: PlanRequest, snapshot: _Snapshot, outcome: Outcome[WriteDocuments]
    ) -> PlanResult:
        session = specs.get(request.session_id)
        answered = {kind: getattr(outcome.answer, kind.value) for kind in request.stage.documents}
        written = {kind: text for kind, text in answered.items() if text is not None}
        self._refuse_overwriting(specs.documents.texts(session), snapshot, written)
        specs.write(session, written)
        read = specs.read(session)
        tasks = [PlannedTask.model_validate(task) for task in specs.task_reads(session)]
        return PlanResult(
            session_id=session.id,
            version=session.version,
            documents=read.documents,
            tasks=tasks,
            usage=outcome.usage,
            warnings=read.warnings,
        )

    def _refuse_overwriting(
        self, present: dict[DocumentType, str], snapshot: _Snapshot, written: dict[DocumentType, str]
    ) -> None:
        """Raise `DocumentConflict`, which carries what the model wrote, when a person changed the same document."""
        changed = [kind.value for kind in written if strip_ids(present[kind]) != strip_ids(snapshot.texts[kind])]
        if changed:
            message = (
                f"The {' and '.join(changed)} were changed while the model wrote, so nothing was overwritten. "
                "What the model wrote is in `proposal`; bring over what you want, or plan again."
            )
            proposal = {kind.value: text for kind, text in written.items()}
            raise DocumentConflict(message, proposal=proposal)
