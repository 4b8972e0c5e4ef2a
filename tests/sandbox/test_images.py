"""The images: built, kept when they are up to date, and refused with a reason."""

import pytest

from devstudio_sandbox.docker_backend import DockerBackend
from devstudio_sandbox.images.__main__ import main
from devstudio_sandbox.images.build import recipe_digest

pytestmark = pytest.mark.usefixtures("docker_backend")


def test_what_is_up_to_date_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--if-missing"]) == 0
    assert capsys.readouterr().out.count("is up to date") == 2
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    assert listed.count("up to date") == 2
    assert "renum-devstudio-node:latest" in listed


def test_a_base_that_cannot_be_had_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "python", "--base-image", "127.0.0.1:1/no-such-image:1"]) == 1
    assert "leave --base-image away" in capsys.readouterr().err


def test_no_engine_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--docker-host", "unix:///no/such/docker.sock", "list"]) == 1
    assert "set DOCKER_HOST" in capsys.readouterr().err


def test_each_language_has_a_recipe_of_its_own(docker_backend: DockerBackend) -> None:
    assert docker_backend.status().hint == ""
    assert recipe_digest("python") != recipe_digest("node")
