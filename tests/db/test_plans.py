"""Every query of every repository reads from an index, with row-level security on: asked of PostgreSQL and SQLite."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any, get_type_hints
from uuid import UUID

import pytest
import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

import devstudio_server
from devstudio_server.db import Actor, Base, Units
from devstudio_server.db.base import UtcDateTime
from devstudio_server.db.registry import all_tables
from devstudio_server.jobs.life import Life
from devstudio_server.kit.clock import now
from devstudio_server.kit.ids import new_id
from devstudio_server.kit.pagination import PageRequest
from support.databases import Databases, unrestricted
from support.rows import add_rows, value_of

SHARES = (10_000, *[1_000] * 10)
"""Rows of each tenant in every table: 20,000 together; on SQLite, which plans by fewer, a tenth of it."""
PARENTS = 50
"""Rows that share a project, a session, or a task."""
AN_ID = new_id()
NOW = now()


@dataclass
class Filled:
    """A database with many rows in every table, and somebody of its largest tenant and of another."""

    engine: Engine
    giant: Actor
    actor: Actor
    statements: list[tuple[str, Any]] = field(default_factory=list)

    def plan(self, actor: Actor, query: tuple[str, Any]) -> str:
        """Return the plan of a statement as the server's role gets it, on one line."""
        parameters = query[1][0] if isinstance(query[1], list) else query[1]  # of many, the first
        prefix = "EXPLAIN" if self.engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        with Units(self.engine).begin(actor) as unit:
            rows = unit.connection().exec_driver_sql(f"{prefix} {query[0]}", parameters).all()
            unit.rollback()
        return " / ".join(str(row[-1]) for row in rows)


@pytest.fixture(scope="module")
def filled(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with databases.fresh(tmp_path_factory.mktemp("plans") / "many.db") as database:
        engine = database.engine()
        made = Filled(engine, *fill_with_many(engine)[:2])
        event.listen(engine, "before_cursor_execute", lambda *seen: made.statements.append((seen[2], seen[3])))
        yield made
        engine.dispose()


def fill_with_many(engine: Engine) -> list[Actor]:
    """Add the rows to every table, have the database count them, and return somebody of each tenant."""
    everything = unrestricted(engine)
    shares = [share if engine.dialect.name == "postgresql" else share // 10 for share in SHARES]
    tenants = [new_id() for _ in shares]
    with everything.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        ids: dict[str, list[UUID]] = {}
        for table in all_tables().sorted_tables:
            sizes = zip(tenants, shares, strict=True)
            add_rows(connection, table, [row for tenant, rows in sizes for row in rows_of(table, tenant, rows, ids)])
    with everything.begin() as connection:
        connection.exec_driver_sql("ANALYZE")
    everything.dispose()
    return [Actor(tenant, tenant) for tenant in tenants]


def rows_of(table: sa.Table, tenant: UUID, count: int, ids: dict[str, list[UUID]]) -> Iterator[dict[str, Any]]:
    """Make the tenant's rows of a table; each value that may differ does."""
    mine = ids[f"{table.name} {tenant}"] = [new_id() for _ in range(1 if table.name == "ds_tenants" else count)]
    plain = {c.name: None if c.foreign_keys else value_of(c, tenant, {table.name: tenant}) for c in table.columns}
    makers = {c.name: make for c in table.columns if (make := maker_of(c, tenant, mine, ids)) is not None}
    for number in range(len(mine)):
        yield plain | {name: make(number) for name, make in makers.items()}


def maker_of(
    column: sa.Column[Any], tenant: UUID, mine: list[UUID], ids: dict[str, list[UUID]]
) -> Callable[[int], Any] | None:
    """Return what makes a column's value by the number of its row; None leaves one value in all rows."""
    for key in column.foreign_keys:
        parents = ids[f"{key.column.table.name} {tenant}"]
        each = 1 if is_alone(column) else PARENTS
        return lambda number: parents[number // each]
    longest = getattr(column.type, "length", None) or 16
    makers: tuple[tuple[bool, Callable[[int], Any]], ...] = (
        (column.name == "id", mine.__getitem__),
        (isinstance(column.type, sa.Boolean), lambda number: number % 10 == 0),
        (isinstance(column.type, sa.Integer), lambda number: number),
        (isinstance(column.type, sa.Uuid) and column.name != "tenant_id", lambda _number: new_id()),
        (isinstance(column.type, sa.String), lambda number: f"{tenant.hex[-12:]}{number:05}"[-longest:]),
        (isinstance(column.type, UtcDateTime), lambda number: NOW + timedelta(minutes=number)),
    )
    return next((make for fits, make in makers if fits), None)


def is_alone(column: sa.Column[Any]) -> bool:
    """Tell whether each parent has one row at most."""
    uniques = [rule for rule in column.table.constraints if isinstance(rule, sa.UniqueConstraint)]
    return any({*rule.columns.keys()} - {"tenant_id"} == {column.name} for rule in uniques)


def repositories() -> Iterator[type]:
    """Yield every repository of the server."""
    for path in sorted(Path(devstudio_server.__file__).parent.glob("*/repository.py")):
        module = import_module(f"devstudio_server.{path.parent.name}.repository")
        for name, found in vars(module).items():
            if inspect.isclass(found) and name.endswith("Repository") and found.__module__ == module.__name__:
                yield found


def queries() -> list[Any]:
    """Return each method that reads or changes rows without being given one, by name."""
    methods = []
    for repository in repositories():
        for name, method in inspect.getmembers(repository, inspect.isfunction):
            hints = get_type_hints(method)
            hints.pop("return", None)
            writes = any(inspect.isclass(hint) and issubclass(hint, Base) for hint in flat(hints.values()))
            if not name.startswith("_") and name != "flush" and not writes:
                methods.append(pytest.param(repository, name, hints, id=f"{repository.__name__}.{name}"))
    return methods


def flat(hints: Any) -> Iterator[Any]:
    """Yield types, those in unions and in sequences each."""
    for hint in hints:
        yield from flat(hint.__args__) if getattr(hint, "__args__", None) else [hint]


def values(hint: Any) -> Sequence[Any]:
    """Return values to call a method with; one that nothing here fits fails the test, to be added."""
    options = list(flat([hint]))
    if options == [Life]:
        return [Life.begun("server")]
    known: dict[Any, Sequence[Any]] = {
        PageRequest: [PageRequest(50, None), PageRequest(50, new_id())],
        UUID: [AN_ID],
        str: ["x"],
        int: [7],
        bool: [False],
        type(None): [None],
    }
    if getattr(hint, "__origin__", None) is tuple:
        return [tuple(values(option)[0] for option in options)]
    if getattr(hint, "__origin__", None) in {Collection, Sequence, list, set, frozenset}:
        return [[value for option in options for value in values(option)]]
    return [value for option in options for value in known.get(option) or special(option)]


def special(option: Any) -> Sequence[Any]:
    """Return values of an enumeration, of a query without filters, or of a time."""
    if hasattr(option, "__members__"):
        return [next(iter(option))]
    if issubclass(option, BaseModel):
        return [option()]
    if option is datetime:
        return [now()]
    message = f"say in `values` how a repository is called with {option!r}"
    raise AssertionError(message)


def test_all_repositories_are_seen() -> None:
    assert {found.__name__ for found in repositories()} >= {
        "MetricRepository", "RunRepository", "JobRepository", "PatchRepository", "ProjectRepository", "SpecRepository",
    }  # fmt: skip
    assert len(queries()) > 25


@pytest.mark.parametrize(("repository", "name", "hints"), queries())
def test_a_query_reads_from_an_index(
    filled: Filled, repository: Callable[[Session], Any], name: str, hints: dict[str, Any]
) -> None:
    plans = []
    for arguments in product(*(values(hint) for hint in hints.values())):
        filled.statements.clear()
        with Units(filled.engine).begin(filled.actor) as unit:
            getattr(repository(unit), name)(**dict(zip(hints, arguments, strict=True)))
            unit.rollback()
        seen = [query for query in filled.statements if query[0].startswith(("SELECT", "UPDATE", "DELETE", "WITH"))]
        seen = [query for query in seen if "ds_" in query[0]]
        plans += [(query[0], filled.plan(filled.actor, query)) for query in seen]
    assert plans, "it asked nothing of the database"
    scans = [(query, plan) for query, plan in plans if scanned(plan)]
    assert scans == [], json.dumps(scans, indent=1)


def scanned(plan: str) -> bool:
    """Tell whether a table is read whole. The row of the tenant itself is found among few however it is read."""
    steps = [step.strip() for step in plan.split(" / ")]
    return any(
        "Seq Scan on ds_" in step or (step.startswith("SCAN ds_") and "INDEX" not in step)
        for step in steps
        if "ds_tenants" not in step
    )


@pytest.mark.parametrize("name", ["ProjectRepository", "SpecRepository", "RunRepository", "PatchRepository"])
@pytest.mark.parametrize("after", [None, new_id()], ids=["first page", "later page"])
def test_a_page_is_read_in_the_order_of_an_index(filled: Filled, name: str, after: UUID | None) -> None:
    """Whatever page it is: no sort, no scan of the tenant's other rows, nor of newer ones of other tenants."""
    repository = next(found for found in repositories() if found.__name__ == name)
    filters = {key: None for key in get_type_hints(repository.list) if key not in {"page", "return"}}
    filled.statements.clear()
    with Units(filled.engine).begin(filled.giant, read_only=True) as unit:
        repository(unit).list(PageRequest(50, after), **filters)
    plan = filled.plan(filled.giant, next(seen for seen in filled.statements if seen[0].startswith("SELECT ds_")))
    assert "_tenant_id_id" in plan, plan
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan, plan
