"""Real backends on this machine: Docker with the product's images on runc and gVisor, bubblewrap, a plain process."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstudio_sandbox import Backend, Language, Limits, Sandbox
from devstudio_sandbox.bubblewrap_backend import BubblewrapBackend
from devstudio_sandbox.docker_backend import DockerBackend
from devstudio_sandbox.images.__main__ import main as build_images
from devstudio_sandbox.process_backend import ProcessBackend

sys.path.insert(0, str(Path(__file__).parent))  # whatever the import mode, the tests find the kit beside them

from sandbox_kit import Open, spec


@pytest.fixture(scope="session")
def docker_backend() -> Iterator[DockerBackend]:
    """Give the Docker backend, with images that are up to date."""
    assert build_images(["build", "--if-missing"]) == 0
    backend = DockerBackend(runtime="runc")
    yield backend
    backend.close()


@pytest.fixture(scope="session")
def gvisor_backend(docker_backend: DockerBackend) -> Iterator[DockerBackend]:
    """Give the Docker backend on gVisor; the images are the same."""
    backend = DockerBackend(runtime="runsc")
    yield backend
    backend.close()


@pytest.fixture(params=["docker", "gvisor", "bubblewrap", "process"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Give each backend in turn."""
    if request.param in ("docker", "gvisor"):
        docker: DockerBackend = request.getfixturevalue(f"{request.param}_backend")
        return docker
    return BubblewrapBackend() if request.param == "bubblewrap" else ProcessBackend()


@pytest.fixture
def sandbox(backend: Backend) -> Iterator[Sandbox]:
    """Give an open sandbox of each backend in turn."""
    with backend.open(spec()) as opened:
        yield opened


@pytest.fixture
def container(docker_backend: DockerBackend) -> Iterator[Open]:
    """Open containers with limits of the test's choice."""
    opened: list[Sandbox] = []

    def open_one(limits: Limits | None = None, *, language: Language = "python") -> Sandbox:
        opened.append(docker_backend.open(spec(language, limits)))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()
