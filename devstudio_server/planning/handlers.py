"""HTTP of planning and generation."""

from __future__ import annotations

from devstudio_server.auth import Permission
from devstudio_server.kit.errors import BadGateway, Conflict, NotFound, Unavailable
from devstudio_server.planning.code_schemas import TemplateList, TemplateShow
from devstudio_server.planning.generation import GenerationService
from devstudio_server.planning.refactor import RefactoringService
from devstudio_server.planning.schemas import (
    GenerateRequest,
    GenerateResult,
    PlanRequest,
    PlanResult,
    RefactorRequest,
    RefactorResult,
)
from devstudio_server.planning.service import PlanningService
from devstudio_server.planning.templates import list_templates, show_template
from devstudio_server.web import Call, Limit, Operations

operations = Operations("planning")

_ERRORS = (NotFound, Conflict, BadGateway, Unavailable)


@operations.operation(
    "POST",
    "plan",
    permission=Permission.SPEC_UPDATE,
    summary="Plan documents with a model",
    errors=_ERRORS,
    outside=True,
    limit=Limit.PLAN,
)
def plan(call: Call, body: PlanRequest) -> PlanResult:
    """Have a model write the documents of a stage; a change made meanwhile by a person is never overwritten."""
    return PlanningService(call.units, call.actor, call.ports, call.progress, call.left).plan(body)


@operations.operation(
    "POST",
    "code/generate",
    permission=Permission.CODE_GENERATE,
    status=201,
    summary="Generate code for a task",
    errors=_ERRORS,
    outside=True,
    limit=Limit.GENERATE,
)
def generate_code(call: Call, body: GenerateRequest) -> GenerateResult:
    """Have a model propose the change that implements a task; the result is a pending patch, nothing is applied."""
    return GenerationService(call.units, call.actor, call.ports, call.progress, call.left).generate(body)


@operations.operation(
    "POST",
    "code/refactor",
    permission=Permission.CODE_GENERATE,
    status=201,
    summary="Refactor code",
    errors=_ERRORS,
    outside=True,
    limit=Limit.GENERATE,
)
def refactor_code(call: Call, body: RefactorRequest) -> RefactorResult:
    """Have a model refactor; tests that passed before have to pass after. The result is a pending patch of a task."""
    return RefactoringService(call.units, call.actor, call.ports, call.progress, call.left).refactor(body)


@operations.operation("GET", "code/templates", permission=Permission.SPEC_READ, summary="List project templates")
def list_code_templates(call: Call) -> TemplateList:
    """List the templates that `code/generate` can give to a task instead of asking a model."""
    del call
    return list_templates()


@operations.operation(
    "GET",
    "code/templates/{template_id}",
    permission=Permission.SPEC_READ,
    summary="Show a project template",
    errors=(NotFound,),
)
def show_code_template(call: Call, template_id: str) -> TemplateShow:
    """Show a template with its files."""
    del call
    return show_template(template_id)
