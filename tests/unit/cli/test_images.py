"""`devstudio images`, as a person calls it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

from devstudio_sandbox.images.__main__ import main
from devstudio_server.cli import app

NOWHERE = "unix:///no/such/docker.sock"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["images", *arguments])


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    assert main(["build", "--if-missing"]) == 0


def test_the_images_are_listed_and_left_alone() -> None:
    shown = run("list")
    assert shown.exit_code == 0, shown.output
    rows = [line.split("\t") for line in shown.output.splitlines()]
    assert [row[1] for row in rows] == ["up to date"] * 2
    assert all(row[3].startswith("sha256:") for row in rows)
    assert run("build", "python", "--if-missing").output == "renum-devstudio-python:latest is up to date\n"


def test_a_bill_of_materials_is_printed_as_json() -> None:
    shown = run("list", "--sbom", "node")
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout)["bomFormat"] == "CycloneDX"


def test_an_image_is_verified() -> None:
    shown = run("verify", "node")
    assert (shown.exit_code, shown.output) == (0, "renum-devstudio-node:latest\tverified\n")


@pytest.mark.parametrize("command", [["list"], ["build"], ["verify"], ["list", "--sbom", "python"]])
def test_without_an_engine_it_ends_with_three_and_says_how_to_mend_it(command: list[str]) -> None:
    shown = run(*command, "--docker-host", NOWHERE)
    assert shown.exit_code == 3
    assert "no Docker engine answers" in shown.stderr
    assert "set DOCKER_HOST" in shown.stderr


def test_the_environment_has_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVSTUDIO_IMAGES_PIP_INDEX", "https://ana:secret@pypi.example/simple")
    shown = run("build", "--if-missing")
    assert shown.exit_code == 1
    assert "would stay in the image" in shown.stderr
    assert "secret" not in shown.output
