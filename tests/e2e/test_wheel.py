"""The wheel, in an empty environment without Node: `jupyter lab` serves the studio."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.checkout import MakeRun, clean_environment
from support.studio import TOKEN, Api, Studio


@pytest.fixture(scope="module")
def wheel(fresh_studio: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `make build` makes in the fresh clone."""
    checkout = fresh_studio.checkout
    environment = clean_environment(tmp_path_factory.mktemp("build") / "home")
    done = subprocess.run(["make", "build"], cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (found,) = (checkout / "dist").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty virtual environment with only the wheel in it."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    subprocess.run([venv / "bin/python", "-m", "pip", "install", "--quiet", wheel], check=True)
    return venv


def without_node(venv: Path, home: Path, **own: str) -> dict[str, str]:
    """Return an environment whose PATH has the virtual environment, git and the shell's tools, and no Node."""
    tools = home / "tools"
    tools.mkdir(parents=True, exist_ok=True)
    for name in ("git", "sh", "env", "uname"):
        (tools / name).symlink_to(str(shutil.which(name)))
    environment = clean_environment(home, **own) | {"PATH": f"{venv / 'bin'}{os.pathsep}{tools}"}
    assert shutil.which("node", path=environment["PATH"]) is None
    return environment


def test_the_wheel_carries_what_it_needs(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    data = next(name.split("/")[0] for name in names if ".data/" in name) + "/data"
    for expected in (
        "devstudio_server/migrations/env.py",
        "devstudio_server/migrations/versions/0001_first_schema.py",
        "devstudio_sandbox/pytest_criteria.py",
        "devstudio_kernels/__init__.py",
        f"{data}/share/jupyter/labextensions/@renum/devstudio/package.json",
        f"{data}/share/jupyter/labextensions/@renum/devstudio/static/style.js",
        f"{data}/etc/jupyter/jupyter_server_config.d/renum_devstudio.json",
        f"{data}/etc/jupyter/jupyter_config.py",
    ):
        assert expected in names
    assert [name for name in names if "node_modules" in name or name.startswith("tests/")] == []
    templates = [name for name in names if name.startswith("devstudio_server/ai/offline/skeletons/")]
    assert len(templates) >= 16


def test_both_extensions_are_listed_as_ok(installed: Path, tmp_path: Path) -> None:
    environment = without_node(installed, tmp_path / "home")
    for kind, name in (("server", "devstudio_server"), ("lab", "@renum/devstudio")):
        command = [
            installed / "bin/jupyter",
            *(["server", "extension"] if kind == "server" else ["labextension"]),
            "list",
        ]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        lines = [line for line in (done.stdout + done.stderr).splitlines() if name in line and "OK" in line]
        assert lines, done.stdout + done.stderr


class InstalledStudio(Studio):
    """`jupyter lab` of an environment that has only the wheel, with the configuration that the wheel ships."""

    def __init__(self, venv: Path, folder: Path) -> None:
        super().__init__(folder / "data")
        self._venv = venv
        self._home = folder / "home"

    def command(self) -> list[str]:
        return [str(self._venv / "bin/jupyter"), "lab", "--allow-root"]

    def environment(self) -> dict[str, str]:
        own = {"JUPYTER_TOKEN": TOKEN, "DEVSTUDIO_DATA_DIR": str(self.data_dir), "PORT": str(self.port)}
        return without_node(self._venv, self._home, **own)


@pytest.fixture
def installed_studio(installed: Path, tmp_path: Path) -> Iterator[Studio]:
    with InstalledStudio(installed, tmp_path) as studio:
        yield studio


def test_jupyter_lab_serves_the_studio_and_its_notebooks(installed_studio: Studio) -> None:
    api: Api = installed_studio.api
    assert api.get("health").expect(200)["status"] == "healthy"
    session = api.session(api.project()["id"])
    api.send("GET", f"{installed_studio.url}/api/contents/{session['notebook_path']}").expect(200)
    page = api.send("GET", f"{installed_studio.url}/lab").expect(200)
    assert "@renum/devstudio" in page
    planned = api.post("plan", {"session_id": session["id"], "stage": "all", "model": "offline"}).expect(200)
    patch = api.post("code/generate", {"task_id": planned["tasks"][0]["id"], "model": "offline"}).expect(201)
    assert api.apply(patch["patch_id"])["status"] == "success"
