"""`devstudio migrate` and `devstudio serve`, as a person calls them."""

from __future__ import annotations

import socket
from pathlib import Path

import jwt
import pytest
from typer.testing import CliRunner

from devstudio_server._version import __version__
from devstudio_server.auth.local_keys import PRIVATE_KEY
from devstudio_server.cli import app
from devstudio_server.db import create_engine
from devstudio_server.db.migrate import current_revision, newest_revision
from devstudio_server.kit.ids import new_id
from support.services import Postgres
from support.studio import free_port


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DEVSTUDIO_DATABASE_URL", "DEVSTUDIO_DATABASE_OWNER_URL", "PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DEVSTUDIO_DATA_DIR", str(tmp_path / "data"))


def test_migrate_makes_the_embedded_database_once() -> None:
    first = CliRunner().invoke(app, ["migrate"])
    assert (first.exit_code, first.output) == (0, f"Schema empty -> {newest_revision()}.\n")
    second = CliRunner().invoke(app, ["migrate"])
    assert (second.exit_code, second.output) == (0, f"The schema is {newest_revision()} already.\n")


def test_migrate_as_the_owner_lets_the_servers_role_in(postgres: Postgres) -> None:
    database = postgres.empty_database()
    arguments = ["migrate", "--database-url", postgres.app_url(database), "--owner-url", postgres.owner_url(database)]
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, result.output) == (0, f"Schema empty -> {newest_revision()}.\n")
    engine = create_engine(postgres.app_url(database))
    assert current_revision(engine) == newest_revision()
    engine.dispose()


def test_migrate_without_the_owners_rights_changes_nothing_and_says_so(postgres: Postgres) -> None:
    url = postgres.app_url(postgres.empty_database())
    result = CliRunner().invoke(app, ["migrate", "--database-url", url])
    assert result.exit_code == 1
    assert "was not changed" in result.output
    assert "permission denied" in result.output
    assert "DEVSTUDIO_DATABASE_OWNER_URL" in result.output


def test_migrate_says_when_nothing_answers() -> None:
    url = f"postgresql://ana:canary-pw@127.0.0.1:{free_port()}/x"
    result = CliRunner().invoke(app, ["migrate", "--owner-url", url])
    assert result.exit_code == 1
    assert "was not changed" in result.output
    assert "canary-pw" not in result.output


def test_serve_says_that_the_port_is_taken(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(app, ["serve", "--port", str(port)])
    assert result.exit_code == 1
    assert f"Port {port} cannot be used" in result.output + capfd.readouterr().err


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"{__version__}\n"


def test_a_token_is_good_for_the_public_key_that_is_named(tmp_path: Path) -> None:
    named = CliRunner().invoke(app, ["token", "--public-key"])
    public = Path(named.output.strip())
    assert (named.exit_code, public.parent) == (0, tmp_path / "data")
    tenant = str(new_id())
    made = CliRunner().invoke(app, ["token", "--tenant", tenant, "--user", "eva", "--role", "viewer", "--hours", "0.5"])
    assert made.exit_code == 0, made.output
    claims = jwt.decode(made.output.strip(), public.read_text(), ["EdDSA"], audience="devstudio", issuer="local")
    assert (claims["tenant_id"], claims["sub"], claims["devstudio_roles"]) == (tenant, "eva", ["viewer"])
    assert claims["exp"] - claims["iat"] == 1800
    private = tmp_path / "data" / PRIVATE_KEY
    assert private.stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" not in public.read_text()
    assert CliRunner().invoke(app, ["token", "--public-key"]).output == named.output, "the pair is made once"


def test_a_token_can_be_signed_with_the_servers_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVSTUDIO_JWT_SECRET", "s" * 40)
    made = CliRunner().invoke(app, ["token", "--tenant", str(new_id())])
    assert jwt.decode(made.output.strip(), "s" * 40, ["HS256"], audience="devstudio")["devstudio_roles"] == ["executor"]


def test_what_is_missing_or_broken_is_said(tmp_path: Path) -> None:
    without = CliRunner().invoke(app, ["token"])
    assert (without.exit_code, "--tenant" in without.output) == (1, True)
    assert CliRunner().invoke(app, ["token", "--tenant", "acme"]).exit_code == 2
    assert CliRunner().invoke(app, ["token", "--tenant", str(new_id()), "--role", "king"]).exit_code == 2
    (tmp_path / "data" / PRIVATE_KEY).write_text("no key")
    broken = CliRunner().invoke(app, ["token", "--public-key"])
    assert (broken.exit_code, "cannot be used" in broken.output) == (1, True)
