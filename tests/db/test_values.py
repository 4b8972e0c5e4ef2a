"""What a column takes is the same on both databases: SQLite would keep what PostgreSQL refuses."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update

from devstudio_server.db import Actor, Units
from devstudio_server.kit.errors import Invalid
from devstudio_server.projects.models import Project


def project(actor: Actor, **values: Any) -> Project:
    return Project(**{"name": "P", "type": "api", "template": "python", "created_by": actor.user_id} | values)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"name": "x" * 101}, "`name` has 101 characters; at most 100"),
        ({"name": "a\0b"}, "`name` holds the character NUL"),
        ({"description": "\0"}, "`description` holds the character NUL"),
        ({"version": 2**31}, "`version` is out of range"),
        ({"version": -(2**40)}, "`version` is out of range"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_place(
    units: Units, ana: Actor, values: dict[str, Any], words: str
) -> None:
    with pytest.raises(Invalid, match=words) as refused, units.begin(ana) as unit:
        unit.add(project(ana, **values))
    assert refused.value.errors[0]["loc"] == [next(iter(values))]
    with units.begin(ana) as unit:
        row = project(ana)
        unit.add(row)
        unit.flush()
    ((name, value),) = values.items()
    with pytest.raises(Invalid, match=words), units.begin(ana) as unit:
        setattr(unit.get_one(Project, row.id), name, value)
    with units.begin(ana, read_only=True) as unit:
        kept = unit.scalars(select(Project)).one()
        assert (kept.name, kept.description) == ("P", None)


def test_what_just_fits_comes_back_as_it_was(units: Units, ana: Actor) -> None:
    values = {
        "name": "é🙂" * 50,
        "description": "\x01 \x7f \u2028 a\u0301 \ufffd \U0010ffff\n\r\t",
        "metadata_": {"z": 1, "a": [1.5, None, True, "é🙂"], "b": {}, "big": 2**53},
        "version": 2**31 - 1,
    }
    with units.begin(ana) as unit:
        unit.add(project(ana, **values))
    with units.begin(ana, read_only=True) as unit:
        row = unit.scalars(select(Project)).one()
        assert {name: getattr(row, name) for name in values} == values


def test_a_statement_past_the_rows_is_refused_by_the_database_itself(units: Units, ana: Actor) -> None:
    """An update of many rows at once has no row to look at; PostgreSQL refuses it, and it is told as bad input."""
    with units.begin(ana) as unit:
        unit.add(project(ana))
    statement = update(Project).values(name="x" * 101)
    if units.engine.dialect.name == "sqlite":
        with units.begin(ana) as unit:
            assert unit.execute(statement).rowcount == 1, "SQLite knows no lengths"
        return
    with pytest.raises(Invalid, match="too long"), units.begin(ana) as unit:
        unit.execute(statement)
