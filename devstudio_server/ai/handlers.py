"""HTTP of the AI gateway."""

from __future__ import annotations

from uuid import UUID

from devstudio_server.ai.agent_settings import AgentSettingsService
from devstudio_server.ai.errors import ModelUnknown
from devstudio_server.ai.gateway import Gateway
from devstudio_server.ai.schemas import AgentSettingsRead, AgentSettingsWrite, ModelList
from devstudio_server.auth import Permission
from devstudio_server.kit.errors import Conflict
from devstudio_server.projects.service import ProjectService
from devstudio_server.scm import GitStorage
from devstudio_server.scm.workspace import WorkspaceStorage
from devstudio_server.web import Call, Operations

operations = Operations("ai")


@operations.operation("GET", "ai/models", permission=Permission.SPEC_READ, summary="List models")
def list_models(call: Call) -> ModelList:
    """List the models that this tenant may use, with price and context size; nothing outside is asked."""
    return ModelList(items=call.port(Gateway).models(call.actor.tenant_id))


def _projects(call: Call) -> ProjectService:
    return ProjectService(call.session, call.actor, call.port(GitStorage), call.port(WorkspaceStorage))


@operations.operation(
    "GET",
    "projects/{project_id}/agent-settings",
    permission=Permission.SPEC_READ,
    summary="Get the agent settings of a project",
)
def get_agent_settings(call: Call, project_id: UUID) -> AgentSettingsRead:
    """Return which model works on a project, and within which limits; the defaults until someone sets them."""
    project = _projects(call).get(project_id)
    return AgentSettingsService(call.session, call.port(Gateway)).get(project.id)


@operations.operation(
    "PUT",
    "projects/{project_id}/agent-settings",
    permission=Permission.SPEC_UPDATE,
    summary="Set the agent settings of a project",
    errors=(Conflict, ModelUnknown),
)
def put_agent_settings(call: Call, project_id: UUID, body: AgentSettingsWrite) -> AgentSettingsRead:
    """Set them all. Plans and generated code use this model when a request names none."""
    project = _projects(call).get_writable(project_id)
    return AgentSettingsService(call.session, call.port(Gateway)).put(project.id, body, call.if_match)
