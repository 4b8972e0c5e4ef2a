"""HTTP of runs."""

from __future__ import annotations

from uuid import UUID

from devstudio_server.auth import Permission
from devstudio_server.execution.artifacts import open_artifact
from devstudio_server.execution.command_policy import RunPolicy
from devstudio_server.execution.control import RunControl
from devstudio_server.execution.logs import LogStorage
from devstudio_server.execution.run_files import RunFiles
from devstudio_server.execution.run_settings import RunSettingsRead, RunSettingsWrite
from devstudio_server.execution.schemas import (
    ArtifactList,
    ArtifactRead,
    RecipeRequest,
    RequestedType,
    RunCreate,
    RunQuery,
    RunRead,
)
from devstudio_server.execution.service import RunService
from devstudio_server.execution.settings_service import RunSettingsService
from devstudio_server.execution.starting import RunStarter
from devstudio_server.jobs import JobQueue
from devstudio_server.kit.errors import Conflict, NotFound
from devstudio_server.projects.service import ProjectService
from devstudio_server.scm import GitStorage
from devstudio_server.scm.workspace import WorkspaceStorage
from devstudio_server.web import Attachment, Call, Limit, ListPage, Operations
from devstudio_server.web.schemas import list_page

operations = Operations("exec")


def _service(call: Call) -> RunService:
    return RunService(call.session, call.actor, call.port(JobQueue), call.port(LogStorage), call.port(RunControl))


def _start(call: Call, payload: RunCreate) -> RunRead:
    return RunRead.model_validate(RunStarter(call.session, call.actor, call.ports).start(payload))


@operations.operation(
    "POST",
    "exec",
    permission=Permission.EXEC_RUN,
    status=202,
    summary="Run something in the sandbox",
    errors=(NotFound, Conflict),
    limit=Limit.EXECUTE,
)
def run_command(call: Call, body: RunCreate) -> RunRead:
    """Queue a run on a state of the project: a command of an allowed program, or how the project is tested or built."""
    return _start(call, body)


@operations.operation(
    "POST",
    "exec/test",
    permission=Permission.EXEC_RUN,
    status=202,
    summary="Test a project",
    errors=(NotFound, Conflict),
    limit=Limit.EXECUTE,
)
def run_tests(call: Call, body: RecipeRequest) -> RunRead:
    """Queue a run of the project's tests, as its settings or its files say."""
    return _start(call, RunCreate(type=RequestedType.TEST, **body.model_dump()))


@operations.operation(
    "POST",
    "exec/build",
    permission=Permission.EXEC_RUN,
    status=202,
    summary="Build a project",
    errors=(NotFound, Conflict),
    limit=Limit.EXECUTE,
)
def run_build(call: Call, body: RecipeRequest) -> RunRead:
    """Queue a run that builds the project, as its settings or its files say."""
    return _start(call, RunCreate(type=RequestedType.BUILD, **body.model_dump()))


@operations.operation(
    "POST",
    "exec/{run_id}/rerun",
    permission=Permission.EXEC_RUN,
    status=202,
    summary="Repeat a run",
    errors=(Conflict,),
    limit=Limit.EXECUTE,
)
def repeat_run(call: Call, run_id: UUID) -> RunRead:
    """Queue a new run with the plan of one that has ended: the same command on the same tree."""
    return RunRead.model_validate(RunStarter(call.session, call.actor, call.ports).repeat(run_id))


@operations.operation("GET", "exec", permission=Permission.EXEC_VIEW_LOGS, summary="List runs")
def list_runs(call: Call, query: RunQuery) -> ListPage[RunRead]:
    """List the tenant's runs, newest first."""
    return list_page(RunRead, _service(call).list(query))


@operations.operation("GET", "exec/{run_id}", permission=Permission.EXEC_VIEW_LOGS, summary="Get a run")
def get_run(call: Call, run_id: UUID) -> RunRead:
    """Return one run with its status, report and figures."""
    return RunRead.model_validate(_service(call).get(run_id))


@operations.operation(
    "POST", "exec/{run_id}/cancel", permission=Permission.EXEC_RUN, summary="Cancel a run", errors=(Conflict,)
)
def cancel_run(call: Call, run_id: UUID) -> RunRead:
    """Stop a run that is not final. Everything it started is killed; nothing is committed."""
    return RunRead.model_validate(_service(call).cancel(run_id))


@operations.operation(
    "GET", "exec/{run_id}/artifacts", permission=Permission.EXEC_VIEW_LOGS, summary="List the artifacts of a run"
)
def list_artifacts(call: Call, run_id: UUID) -> ArtifactList:
    """List the files that a run left."""
    found = _service(call).get(run_id).artifacts
    return ArtifactList(items=[ArtifactRead.model_validate(artifact) for artifact in found])


@operations.operation(
    "GET", "exec/{run_id}/artifacts/{name}", permission=Permission.EXEC_VIEW_LOGS, summary="Download an artifact"
)
def get_artifact(call: Call, run_id: UUID, name: str) -> Attachment:
    """Return the bytes of a file that a run left, as a download; write `/` in its name as `%2F`."""
    return open_artifact(_service(call).get(run_id), name, call.port(RunFiles))


def _project(call: Call, project_id: UUID, *, change: bool = False) -> UUID:
    projects = ProjectService(call.session, call.actor, call.port(GitStorage), call.port(WorkspaceStorage))
    return (projects.get_writable if change else projects.get)(project_id).id


@operations.operation(
    "GET",
    "projects/{project_id}/run-settings",
    permission=Permission.SPEC_READ,
    summary="Get the run settings of a project",
)
def get_run_settings(call: Call, project_id: UUID) -> RunSettingsRead:
    """Return how the project is tested and built, and what this server allows; the defaults until someone sets them."""
    return RunSettingsService(call.session, call.port(RunPolicy)).get(_project(call, project_id))


@operations.operation(
    "PUT",
    "projects/{project_id}/run-settings",
    permission=Permission.SPEC_UPDATE,
    summary="Set the run settings of a project",
    errors=(Conflict,),
)
def put_run_settings(call: Call, project_id: UUID, body: RunSettingsWrite) -> RunSettingsRead:
    """Set them all. Runs that are asked for from now on have them, those that apply patches, too."""
    settings = RunSettingsService(call.session, call.port(RunPolicy))
    return settings.put(_project(call, project_id, change=True), body, call.if_match)
