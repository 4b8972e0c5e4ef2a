"""A page of a list is read from an index, whatever page it is: no sort, no scan of the tenant's other rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from devstudio_server.db import Actor, Units, create_engine
from devstudio_server.db.migrate import migrate
from devstudio_server.execution.repository import RunRepository
from devstudio_server.kit.ids import new_id
from devstudio_server.kit.pagination import PageRequest
from devstudio_server.patches.repository import PatchRepository
from devstudio_server.projects.repository import ProjectRepository
from devstudio_server.specs.repository import SpecRepository

LISTS: dict[str, Callable[[Session, PageRequest], Any]] = {
    "projects": lambda session, page: ProjectRepository(session).list(page, status=None, kind=None),
    "sessions": lambda session, page: SpecRepository(session).list(page, project_id=None, status=None),
    "runs": lambda session, page: RunRepository(session).list(page, project_id=None, status=None),
    "patches": lambda session, page: PatchRepository(session).list(page, task_id=None, status=None),
}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = create_engine(f"sqlite:///{tmp_path / 'test.db'}")
    migrate(made)
    yield made
    made.dispose()


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("after", [None, new_id()], ids=["first page", "later page"])
def test_a_page_is_read_from_the_index(engine: Engine, name: str, after: Any) -> None:
    statements: list[tuple[str, Any]] = []
    event.listen(engine, "before_cursor_execute", lambda *seen: statements.append((seen[2], seen[3])))
    with Units(engine).begin(Actor(new_id(), new_id()), read_only=True) as session:
        LISTS[name](session, PageRequest(50, after))
    select, parameters = next(seen for seen in statements if seen[0].startswith("SELECT"))
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {select}", parameters).all()
    plan = " / ".join(str(row[3]) for row in rows)
    assert "_tenant_id_id (tenant_id=?" in plan
    assert "TEMP B-TREE" not in plan
    assert "SCAN" not in plan
