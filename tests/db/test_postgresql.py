"""What is PostgreSQL's own: connections that die, locks of tenants, and a database that is away."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy import select, text

from devstudio_server.db import Actor, Units, create_engine
from devstudio_server.db import engine as engine_module
from devstudio_server.db.unit_of_work import UNSCOPED
from devstudio_server.kit.errors import Unavailable
from devstudio_server.projects.models import Project
from support.databases import unrestricted
from support.services import Postgres

DATABASE_KINDS = ("postgresql",)


def add(units: Units, actor: Actor, name: str = "mine") -> None:
    with units.begin(actor) as unit:
        unit.add(Project(name=name, type="api", template="python", created_by=actor.user_id))


def names(units: Units, actor: Actor) -> list[str]:
    with units.begin(actor, read_only=True) as unit:
        return sorted(unit.scalars(select(Project.name)))


def end_connections(units: Units) -> int:
    """End every connection of the pool from the server's side; return how many there were."""
    everything = unrestricted(units.engine)
    with everything.begin() as connection:
        query = text(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename = 'devstudio_app'"
        )
        ended = connection.scalar(query)
    everything.dispose()
    return int(ended or 0)


def test_a_connection_that_died_in_the_pool_is_replaced(units: Units, ana: Actor) -> None:
    add(units, ana, "one")
    assert end_connections(units) == 1
    add(units, ana, "two")
    assert end_connections(units) == 1
    assert names(units, ana) == ["one", "two"]


def test_a_connection_that_dies_in_the_middle_saves_nothing_and_says_so(units: Units, ana: Actor) -> None:
    def write_half() -> None:
        with units.begin(ana) as unit:
            unit.add(Project(name="half", type="api", template="python", created_by=ana.user_id))
            unit.flush()
            assert end_connections(units) == 1

    with pytest.raises(Unavailable, match="nothing was saved") as refused:
        write_half()
    assert refused.value.headers == {"Retry-After": "2"}
    assert names(units, ana) == []
    add(units, ana)


def test_a_tenant_whose_lock_is_held_for_too_long_is_unavailable_and_the_others_are_not(
    units: Units, ana: Actor, eve: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "BUSY_TIMEOUT_MS", 50)
    with units.begin(ana) as first:
        first.scalars(select(Project)).all()
        with pytest.raises(Unavailable), units.begin(ana):
            raise AssertionError("two writers of one tenant at once")
        add(units, eve)
        assert names(units, ana) == [], "who only reads waits for nobody"
    assert names(units, eve) == ["mine"]


def test_writers_of_one_tenant_go_one_by_one(units: Units, ana: Actor) -> None:
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        waiting.set()
        with units.begin(ana):
            order.append("second")

    thread = threading.Thread(target=second)
    with units.begin(ana):
        thread.start()
        assert waiting.wait(10)
        thread.join(0.2)  # it waits for the lock
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_times_are_utc_whatever_the_zone_of_the_session(units: Units, ana: Actor) -> None:
    add(units, ana)
    plain = {UNSCOPED: True}
    with units.begin(ana, read_only=True) as unit:
        before = unit.scalars(select(Project)).one().created_at
    for zone in ("America/Sao_Paulo", "Asia/Kathmandu"):
        with units.begin(ana, read_only=True) as unit:
            unit.execute(text(f"SET LOCAL timezone = '{zone}'"), execution_options=plain)
            after = unit.scalars(select(Project)).one().created_at
        assert (after, after.utcoffset()) == (before, before.utcoffset())


@pytest.fixture
def cluster() -> Iterator[Postgres]:
    """A cluster of our own, since it is stopped."""
    with Postgres() as made:
        yield made


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
def test_a_database_that_is_away_is_told_and_comes_back(cluster: Postgres, ana: Actor, how: signal.Signals) -> None:
    engine = create_engine(cluster.app_url(cluster.database()))
    units = Units(engine)
    add(units, ana, "before")
    cluster.stop(how)
    for read_only in (True, False):
        with pytest.raises(Unavailable, match="did not answer"), units.begin(ana, read_only=read_only):
            raise AssertionError("no unit of work without a database")
    with pytest.raises(Unavailable):
        units.tenants()
    cluster.start_again()
    add(units, ana, "after")
    assert names(units, ana) == ["after", "before"]
    assert units.tenants() == [ana.tenant_id]
    engine.dispose()


def test_a_transaction_opens_in_one_round_trip(units: Units, ana: Actor) -> None:
    statements: list[str] = []
    sa.event.listen(units.engine, "before_cursor_execute", lambda *seen: statements.append(seen[2]))
    with units.begin(ana, read_only=True) as unit:
        unit.scalars(select(Project)).all()
    opening, query = statements
    assert opening.startswith("BEGIN READ ONLY; SELECT set_config('search_path', 'devstudio', true), ")
    assert f"set_config('devstudio.tenant_id', '{ana.tenant_id}', true)" in opening
    assert query.startswith("SELECT ds_projects.")
