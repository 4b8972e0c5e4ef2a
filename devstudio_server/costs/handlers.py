"""HTTP of budgets and costs."""

from __future__ import annotations

from uuid import UUID

from devstudio_server.ai.budget_schemas import BudgetRead, BudgetWrite
from devstudio_server.auth import Permission
from devstudio_server.costs.schemas import CostQuery, CostReport
from devstudio_server.costs.service import CostService
from devstudio_server.kit.errors import NotFound
from devstudio_server.scm import GitStorage
from devstudio_server.scm.workspace import WorkspaceStorage
from devstudio_server.specs.service import SpecService
from devstudio_server.web import Call, Operations

operations = Operations("costs")


def _service(call: Call) -> CostService:
    specs = SpecService(call.session, call.actor, call.port(GitStorage), call.port(WorkspaceStorage))
    return CostService(call.session, specs)


@operations.operation("GET", "budgets", permission=Permission.SPEC_READ, summary="Get the budget of the tenant")
def get_budget(call: Call) -> BudgetRead:
    """Return what the tenant may spend on models, by default each month, and what it has spent."""
    return _service(call).tenant_budget()


@operations.operation("PUT", "budgets", permission=Permission.BUDGET_UPDATE, summary="Set the budget of the tenant")
def put_budget(call: Call, body: BudgetWrite) -> BudgetRead:
    """Limit what the tenant may spend. What was spent before counts; calls under way are not stopped."""
    return _service(call).set_tenant_budget(body, call.if_match)


@operations.operation(
    "GET", "projects/{project_id}/budget", permission=Permission.SPEC_READ, summary="Get the budget of a project"
)
def get_project_budget(call: Call, project_id: UUID) -> BudgetRead:
    """Return what a project may spend on models, and what it has spent."""
    return _service(call).project_budget(project_id)


@operations.operation(
    "PUT", "projects/{project_id}/budget", permission=Permission.BUDGET_UPDATE, summary="Set the budget of a project"
)
def put_project_budget(call: Call, project_id: UUID, body: BudgetWrite) -> BudgetRead:
    """Limit what a project may spend. What was spent before counts; calls under way are not stopped."""
    return _service(call).set_project_budget(project_id, body, call.if_match)


@operations.operation(
    "GET", "tasks/{task_id}/budget", permission=Permission.SPEC_READ, summary="Get the budget of a task"
)
def get_task_budget(call: Call, task_id: UUID) -> BudgetRead:
    """Return what a task may spend on models, and what it has spent."""
    return _service(call).task_budget(task_id)


@operations.operation(
    "PUT", "tasks/{task_id}/budget", permission=Permission.BUDGET_UPDATE, summary="Set the budget of a task"
)
def put_task_budget(call: Call, task_id: UUID, body: BudgetWrite) -> BudgetRead:
    """Limit what a task may spend. What was spent before counts; calls under way are not stopped."""
    return _service(call).set_task_budget(task_id, body, call.if_match)


@operations.operation(
    "GET", "ai/costs", permission=Permission.SPEC_READ, summary="Get what models cost", errors=(NotFound,)
)
def get_costs(call: Call, query: CostQuery) -> CostReport:
    """Sum what calls of models cost, by model, operation, project, session, task, accepted criterion or day."""
    return _service(call).report(query)
