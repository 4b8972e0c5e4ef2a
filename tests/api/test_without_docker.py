"""What works without Docker, and what is said when something that is needed is not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.databases import Database
from support.example_brain import EXAMPLES
from support.model_environment import model_environment
from support.model_server import ModelServer
from support.studio import CHECKOUT, TOKEN, Api, Studio

NOWHERE = "unix:///nonexistent/docker.sock"


def offline_task(api: Api) -> tuple[dict[str, Any], dict[str, Any]]:
    """Plan offline and generate the first task's patch; return task and patch."""
    session = api.session(api.project()["id"])
    planned = api.post("plan", {"session_id": session["id"], "stage": "all", "model": "offline"}).expect(200)
    task = planned["tasks"][0]
    return task, api.post("code/generate", {"task_id": task["id"], "model": "offline"}).expect(201)


@pytest.mark.parametrize(
    ("backend", "warns"),
    [("bubblewrap", "bubblewrap"), ("process", "NOT isolated")],
)
def test_the_main_job_without_docker(tmp_path: Path, database: Database, backend: str, warns: str) -> None:
    arguments = () if backend == "bubblewrap" else ("--DevStudioApp.sandbox_backend=process",)
    with Studio(tmp_path / "data", {"DOCKER_HOST": NOWHERE} | database.environment(), arguments) as studio:
        health = studio.api.get("health").expect(200)
        assert (health["sandbox"]["backend"], health["sandbox"]["isolation"]) == (backend, backend)
        assert warns in health["sandbox"]["warning"]
        assert health["checks"]["docker"]["ok"] is False
        assert health["checks"]["docker"]["hint"]
        task, patch = offline_task(studio.api)
        run = studio.api.apply(patch["patch_id"])
        assert (run["status"], run["isolation"]) == ("success", backend)
        done = studio.api.get(f"tasks/{task['id']}").expect(200)
        assert done["status"] == "done"


def test_an_example_runs_in_bubblewrap_through_a_model(
    tmp_path: Path, database: Database, model_server: ModelServer
) -> None:
    environment = model_environment(model_server) | database.environment() | {"DOCKER_HOST": NOWHERE}
    with Studio(tmp_path / "data", environment) as studio:
        command = [
            sys.executable,
            str(EXAMPLES / "luhn/run.py"),
            "--url",
            studio.url,
            "--token",
            TOKEN,
            "--auto-approve",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr


def test_docker_asked_for_and_not_there(tmp_path: Path) -> None:
    arguments = ("--DevStudioApp.sandbox_backend=docker",)
    with Studio(tmp_path / "data", {"DOCKER_HOST": NOWHERE}, arguments) as studio:
        health = studio.api.get("health").expect(200)
        assert health["status"] == "unhealthy"
        assert health["sandbox"]["backend"] == "none"
        assert "docker" in health["checks"]["docker"]["hint"].lower()
        task, patch = offline_task(studio.api)
        run = studio.api.apply(patch["patch_id"])
        assert run["status"] == "failed"
        assert "docker" in run["reason"].lower()
        assert run["commit"] is None
        assert studio.api.get(f"code/patches/{patch['patch_id']}").expect(200)["status"] == "approved"
        assert studio.api.get(f"tasks/{task['id']}").expect(200)["status"] == "in_progress"


def test_a_port_that_is_taken(studio: Studio, tmp_path: Path) -> None:
    environment = os.environ | {
        "PORT": str(studio.port),
        "HOME": str(tmp_path),
        "DEVSTUDIO_DATA_DIR": str(tmp_path / "data"),
    }
    environment["PYTHONPATH"] = os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "sandbox"), str(CHECKOUT / "evidence")])
    command = [sys.executable, "-m", "devstudio_server.serve"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert f"Port {studio.port} cannot be used" in done.stderr
    assert f"PORT={studio.port + 1} make run" in done.stderr
    lab = [sys.executable, "-m", "jupyterlab", f"--config={CHECKOUT / 'jupyter_config.py'}", "--allow-root"]
    done = subprocess.run(lab, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert str(studio.port) in done.stderr


@pytest.mark.parametrize("port", ["abc", "0", "70000", "-1"])
def test_a_port_that_is_none(port: str, tmp_path: Path) -> None:
    environment = os.environ | {"PORT": port, "HOME": str(tmp_path), "DEVSTUDIO_DATA_DIR": str(tmp_path / "data")}
    environment["PYTHONPATH"] = os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "sandbox"), str(CHECKOUT / "evidence")])
    command = [sys.executable, "-m", "devstudio_server.serve"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "takes a number" in done.stderr


def test_a_full_disk_of_the_database(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", disk], check=True)
    try:
        with Studio(disk / "data", {"HOME": str(tmp_path)}) as studio:
            project = studio.api.project()
            session = studio.api.session(project["id"])
            text = "# Requirements\n" + "x" * 1_500_000
            url = f"spec-sessions/{session['id']}"
            answers = [studio.api.put(url, {"documents": {"requirements": f"{text}{n}"}}) for n in range(8)]
            refused = next(answer for answer in answers if answer.status != 200)
            assert "full" in refused.problem(507)["detail"]
            accepted = [answer for answer in answers if answer.status == 200]
            kept = studio.api.get(url).expect(200)["documents"]["requirements"]
            assert kept == accepted[-1].body["documents"]["requirements"], "what was acknowledged is there"
            assert studio.api.get("health").expect(200)["checks"]["storage"]["ok"] is False
    finally:
        subprocess.run(["umount", disk], check=True)


def test_killed_in_the_middle_of_a_run_it_ends_the_run_after_the_next_start(tmp_path: Path, database: Database) -> None:
    studio = Studio(tmp_path / "data", database.environment())
    with studio:
        task, patch = offline_task(studio.api)
        digest = studio.api.post("code/preview", {"patch_id": patch["patch_id"]}).expect(200)["digest"]
        studio.api.post(f"code/patches/{patch['patch_id']}/approve", {"digest": digest}).expect(200)
        run_id = studio.api.post("code/apply", {"patch_id": patch["patch_id"]}).expect(202)["run_id"]
        studio.kill()
    again = Studio(tmp_path / "data", database.environment())
    with again:
        run = again.api.wait_for_run(run_id)
        assert run["status"] == "success"
        assert again.api.get(f"tasks/{task['id']}").expect(200)["status"] == "done"
        filters = ["--filter", f"label=renum.devstudio.run={run_id}"]
        left = subprocess.run(["docker", "ps", "-aq", *filters], check=True, capture_output=True, text=True)
        assert left.stdout == "", "no container is left"
        path = next(again.data_dir.glob(f"repositories/*/{run['project_id']}.git"))
        count = ["git", f"--git-dir={path}", "rev-list", "--count", "main"]
        assert subprocess.run(count, check=True, capture_output=True, text=True).stdout.strip() == "2"


def test_an_image_that_was_never_built_is_built_by_the_first_run(api: Api) -> None:
    """The tag is taken away, as on a machine where nobody ran `make sandbox-image`."""
    project = api.project(template="node", type="integration")
    session = api.session(project["id"])
    planned = api.post("plan", {"session_id": session["id"], "stage": "all", "model": "offline"}).expect(200)
    patch = api.post("code/generate", {"task_id": planned["tasks"][0]["id"], "model": "offline"}).expect(201)
    subprocess.run(["docker", "rmi", "--force", "renum-devstudio-node:latest"], check=True, capture_output=True)
    run = api.apply(patch["patch_id"])
    assert (run["status"], run["isolation"]) == ("success", "container"), run["reason"]
    log = api.get(f"exec/{run['id']}/logs", limit=1_000_000).expect(200)["content"]
    assert "Building it now" in log
    assert "renum-devstudio-node:latest is ready" in log
