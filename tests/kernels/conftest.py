"""A local server with sandboxed kernels, and its engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from devstudio_kernels.host import own_name
from devstudio_sandbox.images.__main__ import main as build_images
from support.kernel_client import KernelClient
from support.studio import TOKEN, Studio


@pytest.fixture(scope="session", autouse=True)
def images() -> None:
    """Bring the images up to date."""
    assert build_images(["build", "--if-missing"]) == 0


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """The engine."""
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture(scope="session")
def containers_of(engine: docker.DockerClient) -> Callable[[Path], set[str]]:
    """Return the kernels' containers of a server, by its data folder."""

    def of(data_dir: Path) -> set[str]:
        labels = ["renum.devstudio.kind=kernel", f"renum.devstudio.installation={own_name(data_dir)}"]
        found = engine.api.containers(all=True, filters={"label": labels})
        return {entry["Id"] for entry in found}

    return of


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, containers_of: Callable[[Path], set[str]]) -> Iterator[Studio]:
    """A local server whose kernels get 512 MiB, so that running out of it is quick."""
    data_dir = tmp_path_factory.mktemp("kernels") / "data"
    with Studio(data_dir, arguments=("--SandboxProvisioner.memory_mib=512", "--DevStudioApp.warm_kernels=0")) as server:
        yield server
        client = KernelClient(server.url, f"token {TOKEN}")
        for kernel in client.http.get("/api/kernels").json():
            client.http.delete(f"/api/kernels/{kernel['id']}")
        client.close()
    assert not containers_of(data_dir), "a kernel outlived its tests"


@pytest.fixture
def person(studio: Studio) -> Iterator[KernelClient]:
    """Who uses the server; its sessions end with the test."""
    client = KernelClient(studio.url, f"token {TOKEN}")
    yield client
    for session in client.http.get("/api/sessions").json():
        client.http.delete(f"/api/sessions/{session['id']}")
    client.close()
