"""What row-level security costs, and that a late page of a long list costs what the first one does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from benchmarks.reporter import Figure, Reporter
from devstudio_server.db import Actor, Units
from devstudio_server.db.registry import all_tables
from devstudio_server.kit.ids import new_id
from devstudio_server.kit.pagination import PageRequest
from devstudio_server.specs.repository import SpecRepository
from support.databases import KINDS, Database, Databases, Kind, unrestricted
from support.rows import add_rows, fill, tables_of, value_of
from support.services import Postgres

PAGES = 1_000
LIMIT = 50
OTHERS = 9
"""Tenants beside the one that is measured, with a tenth of its sessions each."""


@dataclass(frozen=True)
class Size:
    """How many sessions the measured tenant has, and how often each thing is done."""

    sessions: int
    rounds: int


SIZES = {"small": Size(10_000, 60), "full": Size(100_000, 1_000)}


@pytest.fixture(scope="module")
def size(request: pytest.FixtureRequest) -> Size:
    return SIZES[request.config.getoption("--bench-scale")]


@dataclass(frozen=True)
class Filled:
    """A database with many sessions of one tenant, oldest first."""

    database: Database
    actor: Actor
    ids: Sequence[UUID]


def filled(database: Database, size: Size) -> Filled:
    """Add the sessions of all tenants."""
    everything = unrestricted(database.engine())
    actor = Actor(new_id(), new_id())
    ids = [new_id() for _ in range(size.sessions)]
    table = all_tables().tables["ds_spec_sessions"]
    for tenant, mine in [(actor.tenant_id, ids)] + [
        (new_id(), [new_id() for _ in range(size.sessions // 10)]) for _ in range(OTHERS)
    ]:
        made = fill(everything, tenant)
        plain = {column.name: value_of(column, tenant, made) for column in table.columns}
        plain |= {"deleted": False, "description": "What it is for, in a sentence or two as people write them. " * 2}
        with everything.begin() as connection:
            add_rows(connection, table, [plain | {"id": row, "slug": str(number)} for number, row in enumerate(mine)])
    with everything.begin() as connection:
        connection.exec_driver_sql("ANALYZE")
    everything.dispose()
    return Filled(database, actor, ids)


def timed(units: Units, actor: Actor, read: Callable[[SpecRepository], Any]) -> tuple[float, Any]:
    """Read in a unit of work; return the milliseconds from its begin to its end, and what was read."""
    begun = perf_counter()
    with units.begin(actor, read_only=True) as session:
        found = read(SpecRepository(session))
    return (perf_counter() - begun) * 1000, found


def paired(
    sides: tuple[Units, Units], actor: Actor, reads: tuple[Callable[[SpecRepository], Any], ...], rounds: int
) -> tuple[list[float], list[float]]:
    """Read from both sides in turn, the one first in one round and the other in the next; return the milliseconds."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 10):
        for side in (0, 1) if number % 2 else (1, 0):
            taken, _ = timed(sides[side], actor, reads[side])
            if number >= 10:  # the first ones warm caches and connections
                times[side].append(taken)
    return times


@pytest.fixture(scope="module")
def twins(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory, size: Size
) -> Iterator[tuple[Filled, Units, Units]]:
    """One database twice: with row-level security, and with every policy taken off."""
    databases = Databases("postgresql", tmp_path_factory.mktemp("twins"), postgres)
    with databases.fresh(tmp_path_factory.mktemp("unused") / "x") as database, ExitStack() as stack:
        ours = filled(database, size)
        twin = postgres.empty_database(template=database.url.rsplit("/", 1)[1])
        stack.callback(postgres.drop, twin)
        open_to_all(Database("postgresql", postgres.app_url(twin), postgres.owner_url(twin)))
        engines = database.engine(), Database("postgresql", postgres.app_url(twin), "").engine()
        for engine in engines:
            stack.callback(engine.dispose)
        yield ours, Units(engines[0]), Units(engines[1])


def open_to_all(database: Database) -> None:
    """Take row-level security off every table."""
    owner = database.owner()
    with owner.begin() as connection:
        for name in tables_of(connection):
            connection.execute(sa.text(f"ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY"))
            connection.execute(sa.text(f"ALTER TABLE {name} DISABLE ROW LEVEL SECURITY"))
    owner.dispose()


@pytest.mark.timeout(900)
def test_row_level_security_on_beside_off(twins: tuple[Filled, Units, Units], size: Size, reporter: Reporter) -> None:
    ours, secured, opened = twins
    stranger = Actor(new_id(), new_id())
    one = ours.ids[len(ours.ids) // 2]
    for units, protected in ((secured, True), (opened, False)):
        assert timed(units, ours.actor, lambda sessions: sessions.find(one))[1].id == one
        assert timed(units, stranger, lambda sessions: sessions.find(one))[1] is None
        with units.begin(stranger, read_only=True) as session:
            past = session.execute(
                sa.text("SELECT count(*) FROM ds_specs"), execution_options={"devstudio_unscoped": True}
            )
            assert (past.scalar_one() == 0) is protected, "the one side is protected by the database, the other is not"
    reads: dict[str, Callable[[SpecRepository], Any]] = {
        "GET one": lambda sessions: sessions.find(one),
        f"list of {LIMIT}": lambda sessions: sessions.list(PageRequest(LIMIT, None), project_id=None, status=None),
    }
    figures = [
        Figure(name, "ms", *paired((secured, opened), ours.actor, (read, read), size.rounds))
        for name, read in reads.items()
    ]
    title = f"A unit of work with row-level security, {len(ours.ids)} sessions in the tenant"
    reporter.add(title, "the same on a twin of the database without policies", figures)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
def test_page_1000_beside_page_1(
    kind: Kind, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, size: Size, reporter: Reporter
) -> None:
    folder = tmp_path_factory.mktemp("pages")
    cluster = request.getfixturevalue("postgres") if kind == "postgresql" else None
    with Databases(kind, folder, cluster).fresh(folder / "many.db") as database:
        ours = filled(database, size)
        limit = size.sessions // PAGES
        newest_first = ours.ids[::-1]
        engine = database.engine()
        units = Units(engine)

        def page(number: int) -> Callable[[SpecRepository], Any]:
            after = newest_first[(number - 1) * limit - 1] if number > 1 else None
            return lambda sessions: sessions.list(PageRequest(limit, after), project_id=None, status=None)

        for number in (1, 2, PAGES):
            _, found = timed(units, ours.actor, page(number))
            assert [row.id for row in found][:limit] == newest_first[(number - 1) * limit : number * limit]
        figure = Figure(
            f"page {PAGES}, {limit} a page",
            "ms",
            *paired((units, units), ours.actor, (page(PAGES), page(1)), size.rounds),
        )
        engine.dispose()
    reporter.add(f"Listing {size.sessions} sessions on {kind}", "page 1 of the same list", [figure])
