"""Text from a model, for whoever asks: within the project's limits and budgets, and nothing is stored."""

from __future__ import annotations

from dataclasses import replace
from threading import Event
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.ai.agent_settings import AgentSettingsService
from devstudio_server.ai.calls import Progress
from devstudio_server.ai.gateway import Gateway
from devstudio_server.ai.text import Question
from devstudio_server.ai.use import ModelUse
from devstudio_server.db import Actor, Units
from devstudio_server.kit.errors import Invalid
from devstudio_server.planning.text_schemas import TextRequest, TextResult
from devstudio_server.scm import GitStorage
from devstudio_server.scm.workspace import WorkspaceStorage
from devstudio_server.specs.service import SpecService
from devstudio_server.web import Ports


class TextService:
    """Asks models for text: read (commit), call the model."""

    def __init__(self, units: Units, actor: Actor, ports: Ports, progress: Progress, left: Event) -> None:
        """Work for ``actor``; ``progress`` gets each piece, ``left`` is set when nobody waits any more."""
        self._units = units
        self._actor = actor
        self._ports = ports
        self._gateway = ports.get(Gateway)
        self._progress = progress
        self._left = left

    def generate(self, request: TextRequest) -> TextResult:
        """Ask the model that the request names, else the project's, else the server's."""
        with self._units.begin(self._actor, read_only=True) as session:
            question = self._question(session, request)
        written = self._gateway.write(
            question, units=self._units, actor=self._actor, progress=self._progress, left=self._left
        )
        return TextResult(text=written.text, stop=written.stop, model=written.model.id, usage=written.usage)

    def _question(self, session: Session, request: TextRequest) -> Question:
        question = Question(
            prompt=request.prompt, system=request.system or "", model=request.model, task_id=request.task_id
        )
        specs = SpecService(session, self._actor, self._ports.get(GitStorage), self._ports.get(WorkspaceStorage))
        project_id = request.project_id
        if request.task_id is not None:
            spec = specs.get(specs.get_task(request.task_id).session_id)
            project_id = _same(project_id, spec.project_id)
            question = replace(question, session_id=spec.id)
        use = ModelUse()
        if project_id is not None:
            settings = AgentSettingsService(session, self._gateway)
            specs.projects.get_writable(project_id)
            use = settings.use(project_id)
            question = replace(question, model=request.model or settings.model(project_id).id)
        return replace(question, project_id=project_id, settings=_asked(use, request))


def _same(asked: UUID | None, found: UUID) -> UUID:
    if asked not in {None, found}:
        message = "is not the project of the task; leave it out"
        raise Invalid(f"project_id {message}.", errors=[{"loc": ["body", "project_id"], "msg": message}])
    return found


def _asked(use: ModelUse, request: TextRequest) -> ModelUse:
    """Return the project's limits with what the request wants within them."""
    limits = [limit for limit in (use.max_tokens, request.max_tokens) if limit is not None]
    temperature = use.temperature if request.temperature is None else request.temperature
    return replace(use, temperature=temperature, max_tokens=min(limits, default=None))
