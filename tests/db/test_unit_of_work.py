"""The unit of work: one transaction, one tenant, and callbacks only after a commit."""

from __future__ import annotations

import threading
from uuid import UUID

import pytest
import sqlalchemy
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from devstudio_server.db import Actor, Units, after_commit, check_version
from devstudio_server.db.unit_of_work import ForeignTenantError
from devstudio_server.kit.clock import now
from devstudio_server.kit.errors import PreconditionFailed
from devstudio_server.projects.models import Project
from devstudio_server.specs.models import SpecSession
from support.databases import unrestricted


def project(name: str, actor: Actor) -> Project:
    return Project(name=name, type="api", template="python", created_by=actor.user_id)


def add(units: Units, actor: Actor, name: str = "mine") -> UUID:
    with units.begin(actor) as unit:
        row = project(name, actor)
        unit.add(row)
    return row.id


def names(units: Units) -> dict[str, UUID]:
    """Return every project, whoever's, past the unit of work."""
    everything = unrestricted(units.engine)
    with everything.connect() as connection:
        found = {row.name: row.tenant_id for row in connection.execute(sqlalchemy.select(Project.__table__))}
    everything.dispose()
    return found


def test_a_new_row_gets_the_tenant_and_others_do_not_see_it(units: Units, ana: Actor, eve: Actor) -> None:
    row_id = add(units, ana)
    assert names(units) == {"mine": ana.tenant_id}
    queries = (
        select(Project),
        select(Project).where(Project.id == row_id),
        select(Project.id),
        select(func.count(Project.id)).having(func.count(Project.id) > 0),
        select(func.count()).select_from(Project).having(func.count() > 0),
        select(aliased(Project)),
        select(select(Project.id).subquery()),
        select(Project.name).where(Project.id.in_(select(Project.id))),
    )
    for query in queries:
        with units.begin(ana, read_only=True) as unit:
            assert len(unit.execute(query).all()) == 1, query
        with units.begin(eve, read_only=True) as unit:
            assert unit.execute(query).all() == [], query
    with units.begin(eve) as unit:
        assert unit.get(Project, row_id) is None
        assert not unit.scalar(select(select(Project).exists()))


def test_joins_are_filtered_on_every_side(units: Units, ana: Actor, eve: Actor) -> None:
    row_id = add(units, ana)
    with units.begin(ana) as unit:
        unit.add(SpecSession(project_id=row_id, title="S", slug="s", author_id=ana.user_id))
    # Eve's session points to Ana's project, as a broken import could make it.
    with units.begin(eve) as unit:
        unit.add(SpecSession(project_id=row_id, title="E", slug="e", author_id=eve.user_id))
    joined = select(SpecSession.title, Project.name).join(Project, Project.id == SpecSession.project_id)
    outer = select(SpecSession.title, Project.name).outerjoin(Project, Project.id == SpecSession.project_id)
    with units.begin(ana) as unit:
        assert unit.execute(joined).all() == [("S", "mine")]
    with units.begin(eve) as unit:
        assert unit.execute(joined).all() == []
        assert unit.execute(outer).all() == [("E", None)]


def test_updates_and_deletes_reach_only_own_rows(units: Units, ana: Actor, eve: Actor) -> None:
    row_id = add(units, ana)
    add(units, eve, "eves")
    with units.begin(eve) as unit:
        assert unit.execute(update(Project).where(Project.id == row_id).values(name="stolen")).rowcount == 0
        assert unit.execute(update(Project).values(name="all of mine")).rowcount == 1
        assert unit.execute(delete(Project).where(Project.id == row_id)).rowcount == 0
    assert names(units) == {"mine": ana.tenant_id, "all of mine": eve.tenant_id}
    with units.begin(eve) as unit:
        unit.execute(delete(Project))
    assert names(units) == {"mine": ana.tenant_id}


def test_a_refresh_reads_the_own_row(units: Units, ana: Actor) -> None:
    row_id = add(units, ana)
    with units.begin(ana) as unit:
        row = unit.get_one(Project, row_id)
        unit.execute(update(Project).values(name="new"), execution_options={"synchronize_session": False})
        unit.refresh(row)
        assert row.name == "new"
        unit.expire(row)
        assert row.name == "new"


def test_rows_of_another_tenant_are_never_written(units: Units, ana: Actor, eve: Actor) -> None:
    row_id = add(units, ana)
    foreign = project("planted", eve)
    foreign.tenant_id = ana.tenant_id
    with pytest.raises(ForeignTenantError), units.begin(eve) as unit:
        unit.add(foreign)
    with units.begin(ana) as unit:
        mine = unit.get_one(Project, row_id)
    with pytest.raises(ForeignTenantError), units.begin(ana) as unit:
        unit.get_one(Project, row_id).tenant_id = eve.tenant_id
    mine.name = "stolen"
    with pytest.raises(ForeignTenantError), units.begin(eve) as unit:
        unit.add(mine)
    with pytest.raises(ForeignTenantError), units.begin(eve) as unit:
        unit.merge(mine)
    assert names(units) == {"mine": ana.tenant_id}


def test_deleting_a_foreign_row_is_refused(units: Units, ana: Actor, eve: Actor) -> None:
    row_id = add(units, ana)
    with units.begin(ana) as unit:
        mine = unit.get_one(Project, row_id)

    def delete_as_eve() -> None:
        with units.begin(eve) as unit:
            unit.add(mine)
            unit.delete(mine)

    with pytest.raises(ForeignTenantError):
        delete_as_eve()
    assert names(units) == {"mine": ana.tenant_id}


def test_without_an_actor_tenant_rows_are_out_of_reach(units: Units, ana: Actor) -> None:
    add(units, ana)
    with Session(units.engine) as session:
        with pytest.raises(ForeignTenantError):
            session.scalars(select(Project)).all()
        session.add(project("x", ana))
        with pytest.raises(ForeignTenantError):
            session.flush()


def test_every_tenant_is_known_from_its_first_write_on(units: Units, ana: Actor, eve: Actor) -> None:
    assert units.tenants() == []
    with units.begin(eve, read_only=True) as unit:
        assert unit.scalars(select(Project)).all() == []
    assert units.tenants() == []
    add(units, ana, "one")
    add(units, eve, "two")
    add(units, ana, "three")
    assert sorted(units.tenants()) == sorted([ana.tenant_id, eve.tenant_id])


def test_statements_that_cannot_be_filtered_are_refused(units: Units, ana: Actor) -> None:
    add(units, ana)
    statements = (
        text("SELECT * FROM ds_projects"),
        select(Project.__table__),
        sqlalchemy.delete(Project.__table__),
        sqlalchemy.insert(Project),
    )
    for statement in statements:
        with pytest.raises(ForeignTenantError), units.begin(ana) as unit:
            unit.execute(statement)


def test_a_unit_that_raises_leaves_nothing(units: Units, ana: Actor) -> None:
    def fail() -> None:
        with units.begin(ana) as unit:
            unit.add(project("half", ana))
            unit.flush()
            raise KeyError("x")

    with pytest.raises(KeyError):
        fail()
    assert names(units) == {}
    add(units, ana)
    assert list(names(units)) == ["mine"]


def test_callbacks_run_after_the_commit_only_and_in_order(units: Units, ana: Actor) -> None:
    seen: list[object] = []
    with units.begin(ana) as unit:
        unit.add(project("mine", ana))
        after_commit(unit, lambda: seen.append(sorted(names(units))))
        after_commit(unit, lambda: seen.append("second"))
        unit.flush()
        assert seen == []
    assert seen == [["mine"], "second"]

    def fail() -> None:
        with units.begin(ana) as unit:
            after_commit(unit, lambda: seen.append("never"))
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    def break_a_constraint() -> None:
        with units.begin(ana) as unit:
            after_commit(unit, lambda: seen.append("never"))
            unit.add(SpecSession(project_id=ana.user_id, title="S", slug="s", author_id=ana.user_id))

    with pytest.raises(IntegrityError):
        break_a_constraint()
    assert seen == [["mine"], "second"]


def test_a_callback_that_fails_keeps_neither_the_commit_nor_the_next_from_happening(units: Units, ana: Actor) -> None:
    seen: list[str] = []

    def fail() -> None:
        raise OSError(28, "No space left on device")

    with units.begin(ana) as unit:
        unit.add(project("mine", ana))
        after_commit(unit, fail)
        after_commit(unit, lambda: seen.append("next"))
    assert seen == ["next"]
    assert list(names(units)) == ["mine"]


def test_readers_do_not_wait_for_a_writer_nor_it_for_them(units: Units, ana: Actor) -> None:
    with units.begin(ana) as writer, units.begin(ana, read_only=True) as reader:
        writer.add(project("mine", ana))
        writer.flush()
        assert reader.scalars(select(Project)).all() == []
    assert list(names(units)) == ["mine"]


def test_many_writers_never_see_a_locked_database_nor_lose_an_update(units: Units, ana: Actor) -> None:
    row_id = add(units, ana)
    errors: list[BaseException] = []

    def count_up() -> None:
        try:
            for _ in range(15):
                with units.begin(ana) as unit:
                    row = unit.get_one(Project, row_id)  # read first, then write: the order that deadlocks
                    row.version += 1
        except BaseException as error:  # noqa: BLE001 - shown by the test
            errors.append(error)

    threads = [threading.Thread(target=count_up) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    with units.begin(ana) as unit:
        assert unit.get_one(Project, row_id).version == 1 + 8 * 15


def test_times_come_back_aware_in_utc_and_versions_are_checked(units: Units, ana: Actor) -> None:
    row_id = add(units, ana)
    with units.begin(ana) as unit:
        row = unit.get_one(Project, row_id)
        assert row.created_at.utcoffset() is not None
        assert abs((now() - row.created_at).total_seconds()) < 60
        check_version(row, None)
        check_version(row, 1)
        with pytest.raises(PreconditionFailed) as refused:
            check_version(row, 2)
    assert refused.value.extra == {"current_version": 1}
    assert refused.value.headers["ETag"] == '"1"'
