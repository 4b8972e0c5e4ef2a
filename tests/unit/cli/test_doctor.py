"""`devstudio doctor`: every part, whole and broken, and what is said to mend it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from typer.testing import CliRunner

from devstudio_server.cli import app
from devstudio_server.db import create_engine
from devstudio_server.db.migrate import migrate, newest_revision
from devstudio_server.doctor import Finding, check_ai, check_database, check_redis, check_sandbox, check_storage
from support.services import Postgres, RedisServer
from support.studio import free_port


def told(finding: Finding) -> str:
    return f"{finding.said} {finding.mend}"


def test_a_fresh_machine_has_nothing_to_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DEVSTUDIO_DATABASE_URL", "DEVSTUDIO_REDIS_URL", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DEVSTUDIO_DATA_DIR", str(tmp_path / "data"))
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert [line.split()[1] for line in lines if not line.startswith(" ")] == [
        *("storage", "signing", "git", "database", "workers", "redis", "sandbox", "ai")
    ]
    assert "FAIL" not in result.output
    assert "the first start makes it" in result.output.lower()


def test_what_is_broken_ends_with_one_and_every_line_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("DEVSTUDIO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("DEVSTUDIO_DATABASE_URL", f"postgresql://ana:canary-pw@127.0.0.1:{port}/x")
    monkeypatch.setenv("DEVSTUDIO_REDIS_URL", f"redis://:canary-pw@127.0.0.1:{port}")
    monkeypatch.setenv("OPENAI_API_KEY", "canary-pw")
    monkeypatch.setenv("DEVSTUDIO_DEFAULT_MODEL", "nobody/has-this")
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    failed = [line.split()[1] for line in result.output.splitlines() if line.startswith("FAIL")]
    assert failed == ["database", "redis", "ai"]
    assert "Start the database" in result.output
    assert "Start Redis" in result.output
    assert "canary-pw" not in result.output, "no password and no key is shown"


def test_storage_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    finding = check_storage(tmp_path / "file" / "data")
    assert finding.state == "fail"
    assert "DEVSTUDIO_DATA_DIR" in finding.mend
    assert check_storage(tmp_path / "data").state in {"ok", "note"}


@pytest.mark.parametrize("url", ["no url at all", "oracle://x", "sqlite+nothing:///x"])
def test_a_url_that_cannot_be_read_is_told(url: str) -> None:
    finding = check_database(url)
    assert (finding.state, "DEVSTUDIO_DATABASE_URL" in finding.mend) == ("fail", True)


def test_an_older_sqlite_file_is_only_noted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    engine = create_engine(url)
    migrate(engine, "0001")
    assert check_database(url) == Finding(
        "database",
        "note",
        f"{url} has the schema 0001; this version needs {newest_revision()}",
        "The next start does it.",
    )
    migrate(engine)
    assert check_database(url).state == "ok"
    engine.dispose()


def test_postgresql_is_ok_as_the_servers_role_and_refused_as_its_owner_or_empty(postgres: Postgres) -> None:
    database = postgres.database()
    assert check_database(postgres.app_url(database)).state == "ok"
    owner = check_database(postgres.owner_url(database))
    assert (owner.state, "owns the tables" in owner.said, "operations.md" in owner.mend) == ("fail", True, True)
    empty = check_database(postgres.app_url(postgres.empty_database()))
    assert (empty.state, "devstudio migrate" in empty.mend) == ("fail", True)


def test_redis_answers_or_is_told(redis_server: RedisServer) -> None:
    assert check_redis("").state == "ok"
    assert check_redis(redis_server.url).state == "ok"
    assert check_redis("http://not-redis").state == "fail"
    assert "polled" in check_redis(f"redis://127.0.0.1:{free_port()}").mend


def test_the_sandbox_is_found_and_its_absence_is_told(tmp_path: Path) -> None:
    assert check_sandbox({}).state == "ok", "Docker runs on the machine of the tests"
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    alone = check_sandbox(nowhere)
    assert alone.state == "note", "one person may use what is weaker"
    assert "Docker" in alone.mend


def test_without_docker_and_bubblewrap_a_team_has_no_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    alone, team = check_sandbox(nowhere), check_sandbox(nowhere | {"DEVSTUDIO_AUTH": "team"})
    assert (alone.state, "your own rights" in alone.said) == ("note", True)
    assert team.state == "fail"


class Models(BaseHTTPRequestHandler):
    """Lists models to whoever has the key."""

    def do_GET(self) -> None:
        known = "good-key" in (self.headers["Authorization"] or "") + (self.headers["x-api-key"] or "")
        self.send_response(200 if known else 401)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def provider() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Models) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize("name", ["OPENAI", "ANTHROPIC"])
def test_keys_are_tried_only_when_asked(provider: str, name: str) -> None:
    good = {f"{name}_API_KEY": "good-key", f"{name}_BASE_URL": provider}
    bad = good | {f"{name}_API_KEY": "bad-key"}
    assert check_ai(good, online=True).state == "ok"
    assert check_ai(bad).state == "ok", "not asked, so not known"
    refused = check_ai(bad, online=True)
    assert (refused.state, "401" in refused.said, f"{name}_API_KEY" in refused.mend) == ("fail", True, True)
    away = check_ai(good | {f"{name}_BASE_URL": f"http://127.0.0.1:{free_port()}"}, online=True)
    assert (away.state, "cannot be reached" in away.said) == ("fail", True)
    assert check_ai({}).state == "note"


def test_the_program_is_installed_and_helps() -> None:
    program = shutil.which("devstudio", path=str(Path(__file__).resolve().parents[3] / ".venv/bin"))
    assert program
    shown = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    for command in ("serve", "migrate", "audit", "token", "doctor"):
        assert command in shown
