"""The second `make run` of a clone to the first 200, beside plain `jupyter lab` in the same virtual environment."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from benchmarks.conftest import Scale
from benchmarks.reporter import Figure, Reporter
from support.checkout import MakeRun
from support.studio import TOKEN

# One rule of make stands between the two ways to start, as short as one can be, so that both are measured alike.
PLAIN = """\
run:
\t@exec {python} -m jupyterlab --allow-root --no-browser --ServerApp.port=$(PORT) --ServerApp.port_retries=0 \\
\t--ServerApp.root_dir={root} --ServerApp.jpserver_extensions="{extensions}"
"""


class LabRun(MakeRun):
    """`make run` to the first 200 of JupyterLab's page, which is what a person waits for."""

    def _answers(self) -> bool:
        return self.status("lab") == 200

    def status(self, path: str) -> int | None:
        """Return what the server answers, ``None`` while it does not."""
        try:
            return httpx.get(
                f"{self.url}/{path}", headers={"Authorization": f"token {TOKEN}"}, trust_env=False
            ).status_code
        except httpx.TransportError:
            return None


def standard_extensions(checkout: Path) -> dict[str, bool]:
    """Return the server extensions that plain JupyterLab enables in this environment, with ours switched off."""
    folder = checkout / ".venv/etc/jupyter/jupyter_server_config.d"
    files = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
    enabled = {name: on for file in files for name, on in file["ServerApp"]["jpserver_extensions"].items()}
    assert enabled.get("devstudio_server"), "the wheel's file that enables us is not where it should be"
    return enabled | {"devstudio_server": False}


@pytest.fixture(scope="module")
def built_checkout(fresh_checkout: Path) -> Path:
    """The fresh clone after a first `make run`, unless a test before this one made that."""
    if not (fresh_checkout / ".stamps/app").exists():
        with LabRun(fresh_checkout, fresh_checkout.parent / "first-home"):
            pass
    return fresh_checkout


@pytest.fixture(scope="module")
def plain_folder(built_checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose `make run` is plain `jupyter lab`."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "root").mkdir()
    python, extensions = built_checkout / ".venv/bin/python", standard_extensions(built_checkout)
    (folder / "Makefile").write_text(PLAIN.format(python=python, root=folder / "root", extensions=extensions), "utf-8")
    return folder


def start_ours(checkout: Path, home: Path) -> float:
    """Return the seconds of one start of ours."""
    with LabRun(checkout, home) as run:
        assert run.status("api/v1/me") == 200
        assert run.status("lsp/status") == 200
        assert "Setting up" not in run.log
        return run.started_s


def start_plain(folder: Path, home: Path) -> float:
    """Return the seconds of one start without us; none of our configuration is read."""
    with LabRun(folder, home, {"JUPYTER_NO_CONFIG": "1"}) as run:
        assert run.status("api/v1/me") == 404
        assert run.status("lsp/status") == 200
        assert "evstudio" not in run.log.replace(str(folder), "")
        return run.started_s


@pytest.mark.timeout(1800)
def test_second_start(
    built_checkout: Path, plain_folder: Path, tmp_path: Path, scale: Scale, reporter: Reporter
) -> None:
    homes = tmp_path / "ours", tmp_path / "plain"
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(scale.starts + 1):
        taken = start_ours(built_checkout, homes[0]), start_plain(plain_folder, homes[1])
        if turn:  # the first one has a home to fill, and files to bring into memory
            times[0].append(taken[0])
            times[1].append(taken[1])
    reporter.add(
        "Second `make run` to the first 200 (goal: at most 2 times plain JupyterLab)",
        "plain `jupyter lab` in the same environment, without our extension and configuration",
        [Figure("start to GET /lab = 200", "s", *times)],
    )
