"""Kernels of two tenants in containers: neither reaches anything of the other, and both outlive the server apart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import docker
import pytest

from devstudio_kernels.host import own_name
from support.kernel_client import SANDBOX, KernelClient
from support.studio import Studio
from support.team import Team

CANARY = "canary-of-tenant-a-7d20"


@dataclass
class World:
    """A team's server, and one person of each of two tenants."""

    studio: Studio
    tenants: tuple[UUID, UUID]
    tokens: tuple[str, str]

    def person(self, number: int) -> KernelClient:
        return KernelClient(self.studio.url, f"Bearer {self.tokens[number]}")

    def files(self, number: int) -> Path:
        return self.studio.data_dir / "workspaces" / str(self.tenants[number])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, engine: docker.DockerClient) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("team-kernels")
    team = Team(folder / "team")
    tenants = (uuid4(), uuid4())
    with team.studio(folder / "data", arguments=("--StudioKernels.max_kernels_per_tenant=2",)) as studio:
        yield World(studio, tenants, (team.token(tenants[0]), team.token(tenants[1], user="bob")))
    labels = ["renum.devstudio.kind=kernel", f"renum.devstudio.installation={own_name(folder / 'data')}"]
    for left in engine.api.containers(all=True, filters={"label": labels}):
        engine.api.remove_container(left["Id"], force=True)


def test_only_sandboxed_kernels_are_offered(world: World) -> None:
    person = world.person(0)
    told = person.http.get("/api/kernelspecs").json()
    assert told["default"] == SANDBOX
    assert told["kernelspecs"]
    for one in told["kernelspecs"].values():
        assert one["spec"]["metadata"]["kernel_provisioner"]["provisioner_name"] == "devstudio-sandbox"
    assert person.open("plain.ipynb", "python3").status_code in {404, 501}
    person.close()


def test_two_tenants_kernels_share_nothing_and_outlive_the_server(world: World) -> None:
    ana, bob = world.person(0), world.person(1)
    hers, his = ana.kernel("secret.ipynb"), bob.kernel("his.ipynb")
    assert ana.run(hers, f"open('secret.txt', 'w').write('{CANARY}'); kept = 'hers'").error is None
    assert bob.run(his, "kept = 'his'").error is None
    look = (
        "import json, os, subprocess\n"
        "files = [os.path.join(f, n) for f, _, names in os.walk('/workspace') for n in names]\n"
        "argv = ['grep', '-rlsI', %r, '/workspace', '/tmp', '/run', '/home', '/mnt']\n"
        "seen = subprocess.run(argv, capture_output=True, text=True).stdout\n"
        "print(json.dumps([os.getuid(), files, seen, len([p for p in os.listdir('/proc') if p.isdigit()])]))"
    )
    my_uid, my_files, my_seen, _ = json.loads(ana.run(hers, look % CANARY).stdout)
    uid, files, seen, processes = json.loads(bob.run(his, look % CANARY).stdout)
    assert my_uid != uid
    assert "/workspace/secret.txt" in my_files
    assert "/workspace/secret.txt" in my_seen
    assert not [name for name in files if "secret" in name]
    assert seen == ""
    assert processes < 10
    assert bob.http.get(f"/api/kernels/{hers}").status_code == 404
    assert not list(world.files(1).glob("secret*"))

    for person in (ana, bob):
        person.close()
    world.studio.kill()
    world.studio.start()
    ana, bob = world.person(0), world.person(1)
    assert [one["id"] for one in ana.http.get("/api/kernels").json()] == [hers]
    assert [one["id"] for one in bob.http.get("/api/kernels").json()] == [his]
    assert bob.http.get(f"/api/kernels/{hers}").status_code == 404
    assert ana.run(hers, "print(kept)").stdout == "hers\n"
    assert bob.run(his, "print(kept)").stdout == "his\n"

    ana.kernel("second.ipynb")
    refused = ana.open("third.ipynb")
    assert refused.status_code == 429
    assert "your team has 2" in refused.json()["message"]
    assert bob.http.get("/api/kernels").json(), "the limit of one tenant is not that of the other"
    for person in (ana, bob):
        for session in person.http.get("/api/sessions").json():
            assert person.http.delete(f"/api/sessions/{session['id']}").status_code == 204
        person.close()
