"""The rules of costs: what calls are summed by, what groups are called, and what an accepted criterion cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.ai.budget_schemas import BudgetRead, BudgetScope, BudgetWrite
from devstudio_server.ai.budgets import BudgetService, Purpose, rounded
from devstudio_server.ai.service import CostColumn, CostFilter, GroupedCosts, MetricService
from devstudio_server.costs.schemas import CostGroup, CostItem, CostQuery, CostReport, CostSums
from devstudio_server.kit.errors import NotFound
from devstudio_server.specs.service import SpecService

_NOTHING = GroupedCosts(None, None, 0, 0, 0, 0, 0, Decimal(0))
_MAX_LABEL = 200


class CostService:
    """Budgets and costs of what the caller's tenant has. Another tenant's is missing."""

    def __init__(self, session: Session, specs: SpecService) -> None:
        """Work in ``session``; ``specs`` knows what projects, sessions and tasks there are."""
        self._session = session
        self._specs = specs

    def tenant_budget(self) -> BudgetRead:
        """Return what the tenant may spend."""
        return BudgetService(self._session).read(BudgetScope.TENANT, Purpose())

    def set_tenant_budget(self, payload: BudgetWrite, expected: int | None) -> BudgetRead:
        """Set what the tenant may spend."""
        return BudgetService(self._session).put(BudgetScope.TENANT, Purpose(), payload, expected)

    def project_budget(self, project_id: UUID) -> BudgetRead:
        """Return what a project may spend."""
        return BudgetService(self._session).read(BudgetScope.PROJECT, self._project(project_id))

    def set_project_budget(self, project_id: UUID, payload: BudgetWrite, expected: int | None) -> BudgetRead:
        """Set what a project may spend."""
        purpose = self._project(project_id)
        return BudgetService(self._session).put(BudgetScope.PROJECT, purpose, payload, expected)

    def task_budget(self, task_id: UUID) -> BudgetRead:
        """Return what a task may spend."""
        return BudgetService(self._session).read(BudgetScope.TASK, self._task(task_id))

    def set_task_budget(self, task_id: UUID, payload: BudgetWrite, expected: int | None) -> BudgetRead:
        """Set what a task may spend."""
        return BudgetService(self._session).put(BudgetScope.TASK, self._task(task_id), payload, expected)

    def report(self, query: CostQuery) -> CostReport:
        """Return what calls cost, by group, and the narrowest budget that they all count in."""
        scope, purpose = self._scope(query)
        wanted = CostFilter(**query.model_dump(exclude={"group_by", "limit"}))
        metrics = MetricService(self._session)
        total = _sum(metrics.costs(wanted, ()))
        report = CostReport(
            items=[],
            total=CostSums.model_validate(total),
            budget=BudgetService(self._session).read(scope, purpose),
        )
        if query.group_by is CostGroup.CRITERION:
            self._by_criterion(report, metrics.costs(wanted, (CostColumn.SESSION, CostColumn.TASK)), query.limit)
        else:
            groups = metrics.costs(wanted, _COLUMNS[query.group_by])
            report.items = self._items(groups, query)
        return report

    def _items(self, groups: Sequence[GroupedCosts], query: CostQuery) -> list[CostItem]:
        by_day = query.group_by is CostGroup.DAY
        ordered = sorted(groups, key=lambda group: group.key or "") if by_day else sorted(groups, key=_dearest)
        told = ordered[-query.limit :] if by_day else ordered[: query.limit]
        rest = ordered[: -query.limit] if by_day else ordered[query.limit :]
        items = [_item(group, group.key, self._label(query.group_by, group.key)) for group in told]
        return [*items, _item(_sum(rest), None, "All others")] if rest else items

    def _by_criterion(self, report: CostReport, groups: Sequence[GroupedCosts], limit: int) -> None:
        """Share what tasks cost by their criteria, and tell it of those that are accepted."""
        shares: dict[str, list[GroupedCosts]] = {}
        labels: dict[str, str] = {}
        for session_id in {group.key for group in groups if group.key is not None}:
            of_session = {UUID(group.second): group for group in groups if group.key == session_id and group.second}
            accepted, tasks = self._accepted(UUID(session_id))
            labels |= {f"{session_id}:{key}": f"{key} {text}"[:_MAX_LABEL] for key, text in accepted.items()}
            for task_id, criteria in tasks.items():
                for key in criteria if task_id in of_session else ():
                    if key in accepted:
                        share = _share(of_session[task_id], len(criteria))
                        shares.setdefault(f"{session_id}:{key}", []).append(share)
        found = sorted((_item(_sum(parts), key, labels[key]) for key, parts in shares.items()), key=_dearest)
        told = sum((item.cost for item in found[:limit]), Decimal(0))
        rest = _item(_NOTHING, None, "Planning, and what led to no accepted criterion")
        rest.cost = report.total.cost - told
        report.items = [*found[:limit], rest]
        report.accepted_criteria = len(labels)
        report.cost_per_accepted_criterion = rounded(report.total.cost / len(labels)) if labels else None

    def _accepted(self, session_id: UUID) -> tuple[dict[str, str], dict[UUID, Sequence[str]]]:
        """Return a session's accepted criteria, by key, and the criteria of its tasks; nothing of a deleted one."""
        try:
            session = self._specs.get(session_id)
        except NotFound:
            return {}, {}
        accepted = {row.key: row.text for row in self._specs.criteria(session) if row.proven}
        return accepted, {task.id: task.criteria for task in self._specs.task_reads(session)}

    def _scope(self, query: CostQuery) -> tuple[BudgetScope, Purpose]:
        """Return the narrowest budget of what is asked; raises `NotFound` for what is not there."""
        if query.task_id is not None:
            return BudgetScope.TASK, self._task(query.task_id)
        if query.session_id is not None:
            return BudgetScope.PROJECT, Purpose(project_id=self._specs.get(query.session_id).project_id)
        if query.project_id is not None:
            return BudgetScope.PROJECT, self._project(query.project_id)
        return BudgetScope.TENANT, Purpose()

    def _project(self, project_id: UUID) -> Purpose:
        return Purpose(project_id=self._specs.projects.get(project_id).id)

    def _task(self, task_id: UUID) -> Purpose:
        task = self._specs.get_task(task_id)
        return Purpose(self._specs.get(task.session_id).project_id, task.session_id, task.id)

    def _label(self, group_by: CostGroup, key: str | None) -> str:
        if key is None:
            return "None"
        names: dict[CostGroup, Callable[[UUID], str]] = {
            CostGroup.PROJECT: lambda found: self._specs.projects.get(found).name,
            CostGroup.SESSION: lambda found: self._specs.get(found).title,
            CostGroup.TASK: self._task_label,
        }
        try:
            return names[group_by](UUID(key)) if group_by in names else key
        except NotFound:
            return "Deleted"

    def _task_label(self, task_id: UUID) -> str:
        task = self._specs.get_task(task_id)
        return f"{task.key} {task.title}"


_COLUMNS: dict[CostGroup, tuple[CostColumn, ...]] = {
    CostGroup.MODEL: (CostColumn.MODEL,),
    CostGroup.OPERATION: (CostColumn.OPERATION,),
    CostGroup.PROJECT: (CostColumn.PROJECT,),
    CostGroup.SESSION: (CostColumn.SESSION,),
    CostGroup.TASK: (CostColumn.TASK,),
    CostGroup.DAY: (CostColumn.DAY,),
}


def _sum(groups: Iterable[GroupedCosts]) -> GroupedCosts:
    total = _NOTHING
    for group in groups:
        total = total.plus(group)
    return total


def _share(group: GroupedCosts, parts: int) -> GroupedCosts:
    return group.with_cost(rounded(group.cost / parts))


def _item(group: GroupedCosts, key: str | None, label: str) -> CostItem:
    sums = CostSums.model_validate(group).model_dump() | {"cost": group.cost}
    return CostItem(key=key, label=label, **sums)


def _dearest(group: GroupedCosts | CostItem) -> tuple[Decimal, str]:
    return -group.cost, group.key or ""
