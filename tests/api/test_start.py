"""The start of a server that has work waiting for it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from support.databases import Database
from support.kernel_client import until
from support.studio import Studio

RUNNING = re.compile(r"\[I ([\d-]+ [\d:.]+) ServerApp\] Jupyter Server \S+ is running at:")
PROGRAM = ["python3", "-c", "import time; time.sleep(600)"]
SLOWLY = """
import time
from jupyter_server.serverapp import ServerApp

start = ServerApp.start_app


def start_later(self):
    time.sleep(5)
    start(self)


ServerApp.start_app = start_later
"""
"""A configuration with which Jupyter takes its port some time after everything was set up."""


def settings(threads: int) -> tuple[str, ...]:
    return "--DevStudioApp.sandbox_backend=process", f"--DevStudioApp.worker_threads={threads}"


def test_no_job_starts_before_the_server_has_its_port(tmp_path: Path, database: Database) -> None:
    with Studio(tmp_path / "data", database.environment(), settings(1)) as studio:
        project = studio.api.project()["id"]
        body = {"project_id": project, "type": "test", "command": PROGRAM}
        first, waiting = (studio.api.post("exec", body).expect(202)["id"] for _ in range(2))
        until(lambda: studio.api.get(f"exec/{first}").expect(200)["started_at"], "the first run starts")
        assert studio.api.get(f"exec/{waiting}").expect(200)["started_at"] is None
        studio.kill()
    configuration = tmp_path / "home/.jupyter/jupyter_config.py"
    configuration.parent.mkdir(parents=True, exist_ok=True)
    configuration.write_text(SLOWLY)
    with Studio(tmp_path / "data", database.environment(), settings(2)) as studio:
        started = until(lambda: studio.api.get(f"exec/{waiting}").expect(200)["started_at"], "the other run starts")
        for run in (first, waiting):
            studio.api.post(f"exec/{run}/cancel", {})
        (told,) = RUNNING.findall(studio.log)
    assert datetime.fromisoformat(started) > datetime.strptime(told, "%Y-%m-%d %H:%M:%S.%f").astimezone(UTC)
