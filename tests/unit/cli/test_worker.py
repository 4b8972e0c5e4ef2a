"""`devstudio worker` refuses what it cannot work with, and says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from devstudio_server.cli import app
from support.studio import free_port


@pytest.mark.parametrize(
    ("environment", "arguments", "said"),
    [
        ({}, (), "it needs the PostgreSQL database of the servers (DEVSTUDIO_DATABASE_URL)"),
        ({"DEVSTUDIO_DATABASE_URL": "postgresql://ana:canary-pw@127.0.0.1:{port}/x"}, (), "cannot be used"),
        ({"DEVSTUDIO_DATABASE_URL": "postgresql://h/x"}, ("--sandbox", "cage"), "it takes auto, docker, bubblewrap"),
        (
            {"DEVSTUDIO_DATABASE_URL": "postgresql://h/x", "DEVSTUDIO_SANDBOX_RUNTIME": "kata"},
            (),
            "it takes auto, runc",
        ),
        (
            {"DEVSTUDIO_DATABASE_URL": "postgresql://h/x", "DEVSTUDIO_AUTH": "team"},
            ("--sandbox", "process"),
            "code of a team never runs as a plain process",
        ),
    ],
    ids=["sqlite", "no database", "unknown sandbox", "unknown runtime", "team without isolation"],
)
def test_a_worker_that_cannot_work_says_why(
    environment: dict[str, str],
    arguments: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("DEVSTUDIO_DATABASE_URL", "DEVSTUDIO_AUTH", "DEVSTUDIO_SANDBOX_RUNTIME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DEVSTUDIO_DATA_DIR", str(tmp_path))
    for name, value in environment.items():
        monkeypatch.setenv(name, value.format(port=free_port()))
    result = CliRunner().invoke(app, ["worker", *arguments])
    assert result.exit_code == 1, result.output
    assert said in " ".join(result.output.split())
    assert "canary-pw" not in result.output
