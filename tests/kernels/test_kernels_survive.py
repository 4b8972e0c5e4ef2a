"""Kernels and the life of their server: stopped, killed, away, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from devstudio_kernels.host import own_name
from support.kernel_client import KernelClient, until
from support.studio import TOKEN, Studio

AUTHORIZATION = f"token {TOKEN}"
Containers = Callable[[Path], set[str]]


@pytest.fixture
def data_dir(tmp_path: Path, engine: docker.DockerClient) -> Iterator[Path]:
    """The data folder of a server; whatever kernels are left in the end are removed."""
    data_dir = tmp_path / "data"
    yield data_dir
    labels = ["renum.devstudio.kind=kernel", f"renum.devstudio.installation={own_name(data_dir)}"]
    for left in engine.api.containers(all=True, filters={"label": labels}):
        engine.api.remove_container(left["Id"], force=True)


@pytest.mark.parametrize("end", [Studio.stop, Studio.kill], ids=["SIGTERM", "SIGKILL"])
def test_variables_and_sessions_outlive_the_server(data_dir: Path, end: Callable[[Studio], None]) -> None:
    with Studio(data_dir) as studio:
        person = KernelClient(studio.url, AUTHORIZATION)
        session = person.session("a.ipynb")
        kernel = session["kernel"]["id"]
        assert person.run(kernel, "kept = 'still here'").error is None
        with person.channels(kernel) as channels:
            channels.execute("import time\nfor number in range(3): time.sleep(1)\nfinished = number")
            next(message for message in channels.messages() if message["msg_type"] == "execute_input")
        person.close()
        end(studio)
    with Studio(data_dir) as studio:
        person = KernelClient(studio.url, AUTHORIZATION)
        assert [(one["id"], one["path"], one["kernel"]["id"]) for one in person.http.get("/api/sessions").json()] == [
            (session["id"], "a.ipynb", kernel)
        ]
        assert person.run(kernel, "print(kept, finished)").stdout == "still here 2\n"
        person.post(f"/api/kernels/{kernel}/restart")
        assert person.run(kernel, "print('kept' in globals(), __session__)").stdout == "False /workspace/a.ipynb\n"
        assert person.http.delete(f"/api/sessions/{session['id']}").status_code == 204
        person.close()


def test_a_kernel_that_ended_while_the_server_was_away_is_not_shown(
    data_dir: Path, engine: docker.DockerClient, containers_of: Containers
) -> None:
    with Studio(data_dir, arguments=("--DevStudioApp.warm_kernels=0",)) as studio:
        person = KernelClient(studio.url, AUTHORIZATION)
        assert person.run(person.kernel(), "print('up')").stdout == "up\n"
        person.close()
    (container,) = containers_of(data_dir)
    state, said = engine.api.inspect_container(container)["State"], engine.api.logs(container)
    assert state["Running"], f"the kernel did not outlive its server: {state}, {said!r}"
    engine.api.kill(container)
    with Studio(data_dir) as studio:
        person = KernelClient(studio.url, AUTHORIZATION)
        assert person.http.get("/api/sessions").json() == []
        assert person.http.get("/api/kernels").json() == []
        person.close()
        assert containers_of(data_dir) == set()


def test_kernels_may_be_told_not_to_survive(data_dir: Path, containers_of: Containers) -> None:
    with Studio(data_dir, arguments=("--StudioKernels.kernels_survive=False",)) as studio:
        person = KernelClient(studio.url, AUTHORIZATION)
        person.kernel()
        person.close()
    assert containers_of(data_dir) == set()


def test_kernels_that_nobody_knows_are_removed_and_warm_ones_with_them(
    data_dir: Path, containers_of: Containers
) -> None:
    with Studio(data_dir) as studio:
        person = KernelClient(studio.url, AUTHORIZATION)
        kernel = person.kernel()
        until(lambda: len(containers_of(data_dir)) == 2, "a warm kernel")
        person.close()
        studio.kill()
    (record,) = data_dir.glob(f"jupyter/*/kernels/{kernel}.json")
    container = json.loads(record.read_text())["adoption"]["box"]["container"]
    assert container in containers_of(data_dir)
    record.unlink()
    with Studio(data_dir):
        until(lambda: not containers_of(data_dir), "no container of a kernel that nobody knows")


def test_a_kernel_ends_when_its_server_stays_away(
    data_dir: Path, engine: docker.DockerClient, containers_of: Containers
) -> None:
    away = ("--DevStudioApp.kernel_away_hours=0.002", "--DevStudioApp.warm_kernels=0")
    with Studio(data_dir, arguments=away) as studio:
        person = KernelClient(studio.url, AUTHORIZATION)
        kernel = person.kernel()
        assert person.run(kernel, "import time; time.sleep(9); print('the server is there')").stdout
        person.close()
        studio.kill()
    (container,) = containers_of(data_dir)
    until(
        lambda: not engine.api.inspect_container(container)["State"]["Running"], "the end of a kernel without a server"
    )


def test_too_many_kernels_are_refused_in_words(data_dir: Path) -> None:
    arguments = ("--StudioKernels.max_kernels_per_person=1", "--DevStudioApp.warm_kernels=0")
    with Studio(data_dir, arguments=arguments) as studio:
        person = KernelClient(studio.url, AUTHORIZATION)
        kernel = person.kernel()
        for refused in (person.open("b.ipynb"), person.http.post("/api/kernels", json={"name": "python3"})):
            assert refused.status_code == 429
            assert "You have 1 kernels" in refused.json()["message"]
        assert person.http.delete(f"/api/kernels/{kernel}").status_code == 204
        second = person.kernel("b.ipynb", "python3")
        assert person.http.delete(f"/api/kernels/{second}").status_code == 204
        person.close()


def test_an_idle_kernel_is_culled_and_its_container_removed(data_dir: Path, containers_of: Containers) -> None:
    cull = ("--MappingKernelManager.cull_idle_timeout=1", "--MappingKernelManager.cull_interval=1")
    with Studio(data_dir, arguments=(*cull, "--DevStudioApp.warm_kernels=0")) as studio:
        person = KernelClient(studio.url, AUTHORIZATION)
        person.kernel()
        until(lambda: not containers_of(data_dir), "the end of an idle kernel")
        until(lambda: person.http.get("/api/kernels").json() == [], "that it is not listed any more")
        person.close()


def test_without_an_engine_the_person_is_told_what_is_missing(data_dir: Path) -> None:
    with Studio(data_dir, {"DOCKER_HOST": "unix:///nowhere/docker.sock"}) as studio:
        person = KernelClient(studio.url, AUTHORIZATION)
        refused = person.open("a.ipynb")
        assert refused.status_code == 503
        assert "no Docker engine answers" in refused.json()["message"]
        assert "start it" in refused.json()["message"]
        plain = person.kernel("b.ipynb", "python3")
        assert person.run(plain, "print('plain')").stdout == "plain\n"
        person.close()
