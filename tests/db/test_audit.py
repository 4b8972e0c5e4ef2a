"""The audit on both databases: written with each change, append-only, told when it is broken, kept for two years."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, Table, delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from devstudio_server.audit.chain import hash_of
from devstudio_server.audit.models import AuditEntry
from devstudio_server.audit.recorder import Deed, audit, record_audit
from devstudio_server.audit.schemas import AuditQuery
from devstudio_server.audit.service import PRUNED, AuditService, log_data_access, prune
from devstudio_server.audit.verify import reports, verify, verify_all
from devstudio_server.db import Actor, Units
from devstudio_server.db.models import NO_HASH, Tenant
from devstudio_server.db.scope import REQUEST_ID
from devstudio_server.kit.clock import now
from devstudio_server.kit.ids import new_id
from devstudio_server.projects.models import Project
from support.databases import Database, unrestricted

AUDIT: Table = AuditEntry.__table__  # type: ignore[assignment]
TENANTS: Table = Tenant.__table__  # type: ignore[assignment]


@pytest.fixture
def units(database: Database) -> Iterator[Units]:
    engine = database.engine()
    yield Units(engine, recorders=(record_audit,))
    engine.dispose()


def note(units: Units, actor: Actor, count: int = 1) -> None:
    """Add ``count`` entries, each in a unit of its own."""
    for number in range(count):
        with units.begin(actor) as session:
            audit(session, Deed("test.noted", "thing", f"thing-{number}", {"number": number}))


def entries(units: Units, actor: Actor) -> list[AuditEntry]:
    with units.begin(actor, read_only=True) as session:
        return list(session.scalars(select(AuditEntry).order_by(AuditEntry.seq)))


@dataclass
class Tampering:
    """Who owns the database, and cares for no trigger."""

    engine: Engine

    def run(self, *statements: Any) -> None:
        with self.engine.begin() as connection:
            self._allow_anything(connection)
            for statement in statements:
                connection.execute(statement)

    def _allow_anything(self, connection: Connection) -> None:
        if self.engine.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        else:
            for trigger in ("ds_audit_no_update", "ds_audit_no_delete"):
                connection.execute(text(f"DROP TRIGGER IF EXISTS {trigger}"))

    def rows(self, table: Table) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            order = table.c.seq if "seq" in table.c else table.c.id
            return [dict(row._mapping) for row in connection.execute(select(table).order_by(order))]

    def restore(self, saved: dict[Table, list[dict[str, Any]]]) -> None:
        for table, rows in saved.items():
            self.run(delete(table), *([insert(table).values(rows)] if rows else []))


@pytest.fixture
def tampering(units: Units) -> Iterator[Tampering]:
    engine = unrestricted(units.engine)
    yield Tampering(engine)
    engine.dispose()


def test_each_change_and_each_deed_is_an_entry_of_its_transaction(units: Units, ana: Actor) -> None:
    token = REQUEST_ID.set("request-12345")
    with units.begin(ana) as session:
        row = Project(name="Secret name", type="api", template="python", created_by=ana.user_id)
        session.add(row)
        session.flush()
        row.name = "Other"
        log_data_access(session, "notebook", "download", "folder/a.ipynb")
    with units.begin(ana) as session:
        session.get_one(Project, row.id).description = "x"
    REQUEST_ID.reset(token)
    found = entries(units, ana)
    assert [(e.seq, e.action, e.resource_type, e.resource_id) for e in found] == [
        (1, "project.created", "project", str(row.id)),
        (2, "data_download", "notebook", "folder/a.ipynb"),
        (3, "project.updated", "project", str(row.id)),
    ]
    assert {e.request_id for e in found} == {"request-12345"}
    assert {e.user_id for e in found} == {ana.user_id}
    assert found[0].prev_hash == NO_HASH
    assert all(newer.prev_hash == older.hash for older, newer in pairwise(found))
    assert all(entry.hash == hash_of(entry) for entry in found)
    assert json.loads(found[2].details) == {"fields": ["description"], "version": 1}
    assert "Secret name" not in "".join(e.details for e in found)
    assert verify_all(units.engine) == []


def test_a_unit_that_raises_leaves_no_entry_and_no_gap(units: Units, ana: Actor) -> None:
    note(units, ana)

    def fail() -> None:
        with units.begin(ana) as session:
            audit(session, Deed("test.never", "thing"))
            session.add(Project(name="x", type="api", template="python", created_by=ana.user_id))
            session.flush()
            raise KeyError

    for _ in range(3):
        with pytest.raises(KeyError):
            fail()
    note(units, ana)
    assert [entry.seq for entry in entries(units, ana)] == [1, 2]
    assert verify_all(units.engine) == []


PERSONAL = {
    "cpf": "CPF 123.456.789-09 of the customer",
    "cnpj": "12.345.678/0001-95",
    "mail": "write to ana.souza+x@empresa.com.br now",
    "phone": "call (11) 98765-4321",
    "phone_abroad": "+55 11 98765-4321",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJl",
    "header": "Authorization: Bearer abcdef1234567890",
    "url": "https://ana:hunter2@example.org/x",
    "provider": "sk-live-abcdefghijklmnop1234",
}
SECRETS = {
    "password": "hunter2-a",
    "api_key": "hunter2-b",
    "token": {"value": "hunter2-c"},
    "cookies": ["hunter2-d"],
    "senha": "hunter2-e",
}


def test_personal_data_and_secrets_never_reach_an_entry(units: Units, ana: Actor) -> None:
    nested = {"plain": "kept", "count": 3, "tokens_input": 12, "deep": [{"again": PERSONAL}]}
    with units.begin(ana) as session:
        audit(session, Deed("test.masked", "thing", "ana.souza@empresa.com.br/file.txt", nested | PERSONAL | SECRETS))
    (entry,) = entries(units, ana)
    said = entry.details + entry.resource_id
    for hidden in ("123.456.789-09", "12.345.678/0001-95", "ana.souza", "98765-4321", "eyJzdWIi", "abcdef1234567890"):
        assert hidden not in said, hidden
    for hidden in ("hunter2", "sk-live"):
        assert hidden not in said, hidden
    details = json.loads(entry.details)
    assert (details["plain"], details["count"], details["tokens_input"]) == ("kept", 3, 12)
    assert details["cpf"] == "CPF <CPF> of the customer"
    assert details["deep"][0]["again"]["mail"] == "write to <e-mail> now"
    assert entry.resource_id == "<e-mail>/file.txt"


def test_texts_that_are_long_or_hold_nul_are_kept_as_far_as_they_can_be(units: Units, ana: Actor) -> None:
    with units.begin(ana) as session:
        audit(session, Deed("test.long", "file", "a\0b/" + "ü" * 500, {"path": "x\0y" * 100}))
    (entry,) = entries(units, ana)
    assert len(entry.resource_id) == 255
    assert "\0" not in entry.resource_id
    assert verify_all(units.engine) == []


def test_who_reads_the_audit_is_in_it(units: Units, ana: Actor, eve: Actor) -> None:
    note(units, ana, 3)
    note(units, eve, 2)
    with units.begin(ana) as session:
        page = AuditService(session).list(AuditQuery(limit=2, action="test.noted"))
    assert [entry.seq for entry in page.items] == [3, 2]
    assert page.next_cursor is not None
    with units.begin(ana) as session:
        rest = AuditService(session).list(AuditQuery(limit=2, action="test.noted", cursor=page.next_cursor))
    assert [entry.seq for entry in rest.items] == [1]
    newest = entries(units, ana)[-1]
    assert (newest.action, newest.resource_type) == ("data_read", "audit")
    assert json.loads(newest.details) == {"action": "test.noted", "entries": 1}


@pytest.mark.parametrize(
    ("filters", "seqs"),
    [
        ({"resource_id": "thing-1"}, [2]),
        ({"resource_type": "nothing"}, []),
        ({"since": "2000-01-01T00:00:00Z", "until": "2001-01-01T00:00:00Z"}, []),
        ({"since": "2000-01-01T00:00:00-03:00"}, [3, 2, 1]),
        ({"user_id": str(UUID(int=7))}, []),
        ({"action": "' OR 1=1 --"}, []),
    ],
)
def test_entries_are_found_by_their_fields(units: Units, ana: Actor, filters: dict[str, Any], seqs: list[int]) -> None:
    note(units, ana, 3)
    with units.begin(ana) as session:
        assert [e.seq for e in AuditService(session).list(AuditQuery(**filters)).items] == seqs


def test_the_database_refuses_every_change_of_an_entry(units: Units, ana: Actor, database: Database) -> None:
    note(units, ana, 3)
    statements = [
        "UPDATE ds_audit SET details = '{}'",
        "UPDATE ds_audit SET hash = prev_hash WHERE seq = 2",
        "DELETE FROM ds_audit",
        "DELETE FROM ds_audit WHERE seq = 3",
    ]
    roles = [database.engine(), database.owner(), unrestricted(units.engine)]
    if database.kind == "postgresql":
        statements.append("TRUNCATE ds_audit")
        # the schema's owner sees no row without a tenant, so it names one
        statements = [f"SET LOCAL devstudio.tenant_id = '{ana.tenant_id}'; {each}" for each in statements]
    for engine in roles:
        for statement in statements:
            with pytest.raises(DBAPIError, match=r"append-only|permission denied"), engine.begin() as connection:
                connection.exec_driver_sql(statement)
        engine.dispose()
    assert [entry.seq for entry in entries(units, ana)] == [1, 2, 3]
    assert verify_all(units.engine) == []


CHANGED: dict[str, Any] = {
    "id": st.uuids(),
    "tenant_id": st.uuids(),
    "source_module": st.sampled_from(["", "devstudi0", "other"]),
    "seq": st.sampled_from([-5, 0, 100, 2**60]),
    "action": st.text("abc.", max_size=20),
    "resource_type": st.text("abc", max_size=20),
    "resource_id": st.text("abc-1", max_size=20),
    "user_id": st.uuids(),
    "request_id": st.text("abc", min_size=1, max_size=20),
    "details": st.sampled_from(["", "{}", "{ }", '{"number": 1}', "[]", "no json"]),
    "prev_hash": st.text("123456789abcdef", min_size=64, max_size=64),
    "hash": st.text("123456789abcdef", min_size=64, max_size=64),
    "created_at": st.timedeltas(min_value=timedelta(microseconds=1), max_value=timedelta(days=900)),
}
COUNTERS: dict[str, Any] = {
    "audit_seq": st.integers(0, 50),
    "audit_hash": st.text("123456789abcdef", min_size=64, max_size=64),
    "audit_anchor_seq": st.integers(0, 50),
    "audit_anchor_hash": st.text("123456789abcdef", min_size=64, max_size=64),
}
LENGTH = 12


def field_changed(draw: st.DrawFn, rows: list[dict[str, Any]]) -> list[Any]:
    row = draw(st.sampled_from(rows))
    name = draw(st.sampled_from(sorted(CHANGED)))
    value = draw(CHANGED[name])
    value = row[name] + value if isinstance(row[name], datetime) else value
    return [] if value == row[name] else [update(AUDIT).where(AUDIT.c.id == row["id"]).values({name: value})]


def rows_deleted(draw: st.DrawFn, rows: list[dict[str, Any]]) -> list[Any]:
    first = draw(st.integers(0, len(rows) - 1))
    last = draw(st.integers(first, len(rows) - 1))
    return [delete(AUDIT).where(AUDIT.c.id.in_([row["id"] for row in rows[first : last + 1]]))]


def rows_swapped(draw: st.DrawFn, rows: list[dict[str, Any]]) -> list[Any]:
    one, two = draw(st.lists(st.sampled_from(rows), min_size=2, max_size=2, unique_by=lambda row: row["seq"]))
    numbers = ((one["id"], -1), (two["id"], one["seq"]), (one["id"], two["seq"]))
    return [update(AUDIT).where(AUDIT.c.id == row_id).values(seq=seq) for row_id, seq in numbers]


def row_inserted(draw: st.DrawFn, rows: list[dict[str, Any]]) -> list[Any]:
    """Add an entry that is well hashed, at the end or before the start."""
    last = rows[-1] if draw(st.booleans()) else rows[0] | {"seq": -1, "hash": NO_HASH}
    made = last | {"id": new_id(), "seq": last["seq"] + 1, "prev_hash": last["hash"], "action": "forged"}
    return [insert(AUDIT).values(made | {"hash": hash_of(AuditEntry(**made))})]


def tail_rehashed(draw: st.DrawFn, rows: list[dict[str, Any]]) -> list[Any]:
    """Change an entry, and hash it and all after it anew, as who knows the code would."""
    first = draw(st.integers(0, len(rows) - 1))
    statements = []
    before = rows[first]["prev_hash"]
    for position, row in enumerate(rows[first:]):
        made = row | {"prev_hash": before} | ({"action": "forged"} if position == 0 else {})
        made["hash"] = before = hash_of(AuditEntry(**made))
        statements.append(update(AUDIT).where(AUDIT.c.id == row["id"]).values(made))
    return statements


def counter_changed(draw: st.DrawFn, rows: list[dict[str, Any]]) -> list[Any]:
    name = draw(st.sampled_from(sorted(COUNTERS)))
    value = draw(COUNTERS[name])
    now_so = {"audit_seq": rows[-1]["seq"], "audit_anchor_seq": 0}
    if value == now_so.get(name):
        return []
    return [update(TENANTS).where(TENANTS.c.tenant_id == rows[0]["tenant_id"]).values({name: value})]


def tenant_forgotten(_draw: st.DrawFn, rows: list[dict[str, Any]]) -> list[Any]:
    return [delete(TENANTS).where(TENANTS.c.tenant_id == rows[0]["tenant_id"])]


def pruned_in_secret(draw: st.DrawFn, rows: list[dict[str, Any]]) -> list[Any]:
    """Remove the oldest entries and move the anchor, but write no entry of it."""
    last = rows[draw(st.integers(0, len(rows) - 1))]
    anchor = {"audit_anchor_seq": last["seq"], "audit_anchor_hash": last["hash"]}
    return [
        update(TENANTS).where(TENANTS.c.tenant_id == last["tenant_id"]).values(anchor),
        delete(AUDIT).where(AUDIT.c.tenant_id == last["tenant_id"], AUDIT.c.seq <= last["seq"]),
    ]


KINDS_OF_TAMPERING = (
    field_changed,
    field_changed,
    field_changed,
    rows_deleted,
    rows_swapped,
    row_inserted,
    tail_rehashed,
    counter_changed,
    tenant_forgotten,
    pruned_in_secret,
)


@pytest.mark.timeout(600)
def test_any_tampering_is_found(
    units: Units, ana: Actor, eve: Actor, tampering: Tampering, request: pytest.FixtureRequest
) -> None:
    cases = 250 if request.config.getoption("--bench-scale") == "small" else 5000
    note(units, ana, LENGTH)
    note(units, eve, 3)
    saved = {table: tampering.rows(table) for table in (AUDIT, TENANTS)}
    mine = [row for row in saved[AUDIT] if row["tenant_id"] == ana.tenant_id]
    tried: list[str] = []

    @settings(
        max_examples=cases, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(st.data())
    def tamper(data: st.DataObject) -> None:
        kind = data.draw(st.sampled_from(KINDS_OF_TAMPERING))
        statements = kind(data.draw, mine)
        if not statements:
            return
        tampering.run(*statements)
        found = verify_all(units.engine)
        tampering.restore(saved)
        tried.append(kind.__name__)
        assert found, kind.__name__
        assert all(str(finding.tenant_id) in str(finding) and finding.detail for finding in found)
        assert eve.tenant_id not in {finding.tenant_id for finding in found}

    tamper()
    assert len(tried) >= cases * 0.8
    assert set(tried) == {kind.__name__ for kind in KINDS_OF_TAMPERING}
    assert verify_all(units.engine) == []


def test_findings_name_the_entry_and_what_is_wrong(units: Units, ana: Actor, tampering: Tampering) -> None:
    note(units, ana, 8)
    saved = {table: tampering.rows(table) for table in (AUDIT, TENANTS)}
    rows = saved[AUDIT]

    def found(*statements: Any) -> list[tuple[int, str]]:
        tampering.run(*statements)
        told = [(finding.seq, finding.fault) for finding in verify(units, ana.tenant_id).findings]
        tampering.restore(saved)
        return told

    def row(seq: int) -> Any:
        return AUDIT.c.id == rows[seq - 1]["id"]

    assert found(update(AUDIT).where(row(4)).values(details="{}")) == [(4, "changed")]
    assert found(delete(AUDIT).where(row(4))) == [(4, "missing")]
    assert found(delete(AUDIT).where(row(1))) == [(1, "missing")]
    assert found(delete(AUDIT).where(row(8))) == [(8, "missing")]
    assert found(delete(AUDIT)) == [(1, "missing")]
    swap = [update(AUDIT).where(row(3)).values(seq=-1), update(AUDIT).where(row(5)).values(seq=3)]
    swapped = found(*swap, update(AUDIT).where(row(3)).values(seq=5))
    assert {(3, "reordered"), (3, "changed"), (5, "reordered"), (5, "changed")} <= set(swapped)
    assert found(update(TENANTS).values(audit_hash="0" * 64)) == [(8, "changed")]
    assert found(update(TENANTS).values(audit_seq=6)) == [(7, "inserted")]
    assert found(update(TENANTS).values(audit_seq=11)) == [(9, "missing")]
    assert found(delete(TENANTS)) == [(1, "unknown tenant")]


def test_text_that_cannot_be_read_is_a_finding(units: Units, ana: Actor, tampering: Tampering) -> None:
    if units.engine.dialect.name != "sqlite":
        with pytest.raises(DBAPIError):
            tampering.run(text("UPDATE ds_audit SET user_id = 'nobody'"))
        return
    note(units, ana, 5)
    tampering.run(text("UPDATE ds_audit SET user_id = 'nobody', created_at = 'never' WHERE seq = 3"))
    (finding,) = verify_all(units.engine)
    assert (finding.fault, finding.tenant_id) == ("changed", ana.tenant_id)


def aged(tampering: Tampering, units: Units, actor: Actor, days: dict[int, int]) -> None:
    """Make entries old, and the chain whole again, as it would be if time had passed."""
    before = NO_HASH
    statements = []
    for entry in entries(units, actor):
        entry.created_at = now() - timedelta(days=days.get(entry.seq, 0))
        entry.prev_hash = before
        entry.hash = before = hash_of(entry)
        changed = {"created_at": entry.created_at, "prev_hash": entry.prev_hash, "hash": entry.hash}
        statements.append(update(AUDIT).where(AUDIT.c.id == entry.id).values(changed))
    tampering.run(*statements, update(TENANTS).where(TENANTS.c.tenant_id == actor.tenant_id).values(audit_hash=before))


def triggers(engine: Engine) -> None:
    """Put back what `Tampering` dropped on SQLite."""
    if engine.dialect.name == "postgresql":
        return
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER ds_audit_no_delete BEFORE DELETE ON ds_audit WHEN OLD.seq > coalesce((SELECT"
            " audit_anchor_seq FROM ds_tenants WHERE tenant_id = OLD.tenant_id), 0)"
            " BEGIN SELECT RAISE(ABORT, 'ds_audit is append-only'); END"
        )


def test_retention_removes_the_oldest_and_the_rest_is_still_whole(
    units: Units, ana: Actor, eve: Actor, tampering: Tampering, database: Database
) -> None:
    note(units, ana, 6)
    note(units, eve, 2)
    aged(tampering, units, ana, {1: 900, 2: 800, 3: 740, 4: 100, 5: 800, 6: 10})
    triggers(tampering.engine)
    assert verify_all(units.engine) == []
    owner = database.owner()
    cut = now() - timedelta(days=730)
    assert prune(owner, cut) == {ana.tenant_id: 3}  # the fifth is old by its clock, but a newer one is before it
    left = entries(units, ana)
    assert (left[0].seq, left[0].action) == (4, "test.noted")
    assert (left[-1].seq, left[-1].action) == (7, PRUNED)
    assert json.loads(left[-1].details)["through"] == 3
    assert verify_all(units.engine) == []
    assert prune(owner, cut) == {}
    note(units, ana, 2)
    assert prune(owner, now() + timedelta(days=1)) == {ana.tenant_id: 6, eve.tenant_id: 2}
    owner.dispose()
    assert verify_all(units.engine) == []
    assert [report.entries for report in reports(units.engine)] == [1, 1]
    tampering.run(update(TENANTS).where(TENANTS.c.tenant_id == ana.tenant_id).values(audit_anchor_seq=8))
    assert {finding.fault for finding in verify_all(units.engine)} == {"missing", "anchor moved"}


def test_the_servers_own_role_prunes_nothing_on_postgresql(units: Units, ana: Actor, database: Database) -> None:
    note(units, ana, 3)
    if database.kind == "sqlite":
        assert prune(units.engine, now() + timedelta(days=1)) == {ana.tenant_id: 3}
        return
    with pytest.raises(DBAPIError, match="permission denied"):
        prune(units.engine, now() + timedelta(days=1))
    assert len(entries(units, ana)) == 3


def test_a_long_chain_is_walked_in_pieces_while_writers_go_on(
    units: Units, ana: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devstudio_server.audit.verify.PAGE", 7)
    note(units, ana, 30)
    steps = random.Random(3)
    walked = 0
    original = units.begin

    def begin(actor: Actor, *, read_only: bool = False) -> Any:
        nonlocal walked
        if read_only and walked < 10:
            walked += 1
            for _ in range(steps.randrange(4)):
                with original(ana) as session:
                    audit(session, Deed("test.meanwhile", "thing"))
        return original(actor, read_only=read_only)

    monkeypatch.setattr(units, "begin", begin)
    report = verify(units, ana.tenant_id)
    assert report.findings == []
    assert report.entries == report.newest_seq > 30
    assert walked > 4
