"""`devstudio audit verify` and `devstudio audit prune` on both databases."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from devstudio_server.audit.recorder import record_audit
from devstudio_server.cli import app
from devstudio_server.db import Actor, Units, create_engine
from devstudio_server.db.migrate import migrate
from devstudio_server.kit.clock import now
from devstudio_server.kit.ids import new_id
from devstudio_server.projects.models import Project
from support.services import Postgres


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["audit", *arguments])


@pytest.fixture(params=["sqlite", "postgresql"])
def urls(request: pytest.FixtureRequest, tmp_path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Return the URL of a migrated database for the server and for its owner."""
    monkeypatch.setenv("DEVSTUDIO_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("DEVSTUDIO_DATABASE_OWNER_URL", raising=False)
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'x.db'}"
        engine = create_engine(url)
        migrate(engine)
        engine.dispose()
        found = url, url
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        database = postgres.database()
        found = postgres.app_url(database), postgres.owner_url(database)
    monkeypatch.setenv("DEVSTUDIO_DATABASE_URL", found[0])
    return found


def write(url: str, count: int) -> UUID:
    engine = create_engine(url)
    units, ana = Units(engine, recorders=(record_audit,)), Actor(new_id(), new_id(), "Ana")
    for number in range(count):
        with units.begin(ana) as unit:
            unit.add(Project(name=f"P{number}", type="api", template="python", created_by=ana.user_id))
    engine.dispose()
    return ana.tenant_id


def tamper(owner_url: str, tenant: UUID, statement: str) -> None:
    """Change the audit as only who may drop the triggers can."""
    engine = create_engine(owner_url)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text(f"SELECT set_config('devstudio.tenant_id', '{tenant}', true)"))
            connection.execute(sa.text("ALTER TABLE ds_audit DISABLE TRIGGER USER"))
        else:
            connection.execute(sa.text("DROP TRIGGER ds_audit_no_update"))
        connection.execute(sa.text(statement))
    engine.dispose()


def test_a_whole_audit_is_told_with_its_head(urls: tuple[str, str]) -> None:
    empty = run("verify")
    assert (empty.exit_code, empty.output) == (0, "")
    tenants = sorted([write(urls[0], 5), write(urls[0], 3)])
    shown = run("verify")
    assert shown.exit_code == 0, shown.output
    lines = shown.output.splitlines()
    assert [UUID(line.split()[1].rstrip(":")) for line in lines] == tenants
    assert all(": whole: " in line and len(line.split()[-1]) == 64 for line in lines)


def test_a_changed_entry_is_named_and_ends_with_one(urls: tuple[str, str]) -> None:
    tenant = write(urls[0], 5)
    tamper(urls[1], tenant, "UPDATE ds_audit SET action = 'project.kept' WHERE seq = 3")
    shown = run("verify")
    assert shown.exit_code == 1
    assert "BROKEN" in shown.output
    assert "entry 3: changed" in shown.output


def test_old_entries_go_and_the_rest_verifies(urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    write(urls[0], 5)
    nothing = run("prune", "--owner-url", urls[1])
    assert (nothing.exit_code, nothing.output) == (0, "0 entries of more than 730 days removed.\n")
    later = now() + timedelta(days=3)
    monkeypatch.setattr("devstudio_server.cli.now", lambda: later)
    pruned = run("prune", "--days", "1", "--owner-url", urls[1])
    assert pruned.exit_code == 0, pruned.output
    assert "5 entries of more than 1 days removed." in pruned.output
    verified = run("verify")
    assert (verified.exit_code, "whole: 1 entries" in verified.output) == (0, True), verified.output


def test_the_servers_role_cannot_prune(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    url = postgres.app_url(postgres.database())
    monkeypatch.setenv("DEVSTUDIO_DATABASE_URL", url)
    monkeypatch.delenv("DEVSTUDIO_DATABASE_OWNER_URL", raising=False)
    write(url, 3)
    later = now() + timedelta(days=3)
    monkeypatch.setattr("devstudio_server.cli.now", lambda: later)
    refused = run("prune", "--days", "1")
    assert (refused.exit_code, "DEVSTUDIO_DATABASE_OWNER_URL" in refused.output) == (1, True), refused.output
    assert run("verify").exit_code == 0


def test_a_database_that_is_not_there_is_said(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVSTUDIO_DATABASE_URL", f"sqlite:///{tmp_path / 'none.db'}")
    shown = run("verify")
    assert (shown.exit_code, "There is no database" in shown.output) == (1, True)
    assert not (tmp_path / "none.db").exists()
