"""Kernel managers and kernelspecs of tenants, without a server; kernels that run are in tests/security."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from jupyter_client.kernelspec import NoSuchKernel
from tornado.web import HTTPError

from devstudio_server.db import Actor, acting, current_actor, set_current_actor
from devstudio_server.jupyter.contents_manager import TenantContentsManager
from devstudio_server.jupyter.kernels import TenantKernelManager
from devstudio_server.jupyter.kernelspecs import IsolatingKernelSpecManager
from devstudio_server.jupyter.sessions import TenantSessionManager

ANA = Actor(tenant_id=UUID(int=1), user_id=UUID(int=11))
BOB = Actor(tenant_id=UUID(int=2), user_id=UUID(int=12))


@pytest.fixture(autouse=True)
def nobody() -> Iterator[None]:
    set_current_actor(None)
    yield
    set_current_actor(None)


def spec(folder: Path, name: str, provisioner: str | None) -> None:
    (folder / name).mkdir(parents=True)
    metadata = {"kernel_provisioner": {"provisioner_name": provisioner}} if provisioner else {}
    model = {"argv": ["true"], "display_name": name, "language": "python", "metadata": metadata}
    (folder / name / "kernel.json").write_text(json.dumps(model))


@pytest.fixture
def specs(tmp_path: Path) -> IsolatingKernelSpecManager:
    folder = tmp_path / "kernels"
    spec(folder, "plain", None)
    spec(folder, "explicit", "local-provisioner")
    spec(folder, "broken", None)
    (folder / "broken" / "kernel.json").write_text("{")
    return IsolatingKernelSpecManager(kernel_dirs=[str(folder)])


@pytest.fixture
def kernels(tmp_path: Path, specs: IsolatingKernelSpecManager) -> TenantKernelManager:
    return TenantKernelManager(
        workspaces=str(tmp_path / "workspaces"), connection_dir=str(tmp_path / "runtime"), kernel_spec_manager=specs
    )


def fake(kernels: TenantKernelManager, actor: Actor, kernel_id: str, idle_s: float = 0) -> Any:
    """Put a kernel that does not run into the tenant's manager."""
    kernel = SimpleNamespace(
        kernel_name="plain",
        kernel_spec=SimpleNamespace(metadata={}),
        execution_state="idle",
        last_activity=datetime.now(UTC) - timedelta(seconds=idle_s),
    )
    kernels.tenants.of(actor.tenant_id)._kernels[kernel_id] = kernel
    return kernel


def test_kernels_that_nothing_contains_do_not_exist(specs: IsolatingKernelSpecManager) -> None:
    assert specs.find_kernel_specs() == {}
    assert specs.get_all_specs() == {}
    for name in ("plain", "explicit", "python3"):
        with pytest.raises(NoSuchKernel):
            specs.get_kernel_spec(name)
    specs.isolating_provisioners = ["local-provisioner"]
    assert set(specs.get_all_specs()) == {"plain", "explicit", "python3"}


def test_the_default_kernel_is_one_that_may_be_started(
    kernels: TenantKernelManager, specs: IsolatingKernelSpecManager
) -> None:
    assert kernels.usable_kernel_name() == ""
    specs.isolating_provisioners = ["local-provisioner"]
    assert kernels.usable_kernel_name() == "python3"
    specs.ensure_native_kernel = False
    assert kernels.usable_kernel_name() == "explicit"
    specs.isolating_provisioners = []
    with acting(ANA), pytest.raises(HTTPError) as refused:
        asyncio.run(kernels.start_kernel(kernel_name="plain"))
    assert refused.value.status_code == 404
    assert "plain" in str(refused.value)


def test_a_tenant_sees_its_own_kernels_alone(kernels: TenantKernelManager) -> None:
    mine = fake(kernels, ANA, "a-kernel")
    fake(kernels, BOB, "b-kernel")
    with acting(ANA):
        assert [kernel["id"] for kernel in kernels.list_kernels()] == ["a-kernel"]
        assert kernels.list_kernel_ids() == ["a-kernel"]
        assert len(kernels) == 1
        assert kernels.get_kernel("a-kernel") is mine
        assert "a-kernel" in kernels
        assert "b-kernel" not in kernels
        for call in (kernels.get_kernel, kernels.kernel_model, kernels.interrupt_kernel):
            with pytest.raises(HTTPError) as missing:
                call("b-kernel")
            assert missing.value.status_code == 404


def test_without_an_actor_only_the_servers_own_work_sees_kernels(kernels: TenantKernelManager) -> None:
    fake(kernels, ANA, "a-kernel")
    fake(kernels, BOB, "b-kernel")
    for call in (kernels.list_kernels, lambda: kernels.get_kernel("a-kernel"), lambda: "a-kernel" in kernels):
        with pytest.raises(HTTPError) as refused:
            call()
        assert refused.value.status_code == 403
    assert len(kernels) == 2, "a server that ends when nothing runs must see what runs"
    with acting(ANA), pytest.raises(HTTPError):
        asyncio.run(kernels.shutdown_all())


def test_shutdown_and_culling_reach_the_kernels_of_all_tenants(
    kernels: TenantKernelManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[tuple[str, UUID | None]] = []
    for actor, kernel_id in ((ANA, "a-kernel"), (BOB, "b-kernel")):
        fake(kernels, actor, kernel_id, idle_s=100)
        own = kernels.tenants.of(actor.tenant_id)
        own.cull_idle_timeout = 10

        async def end(kernel_id: str, own: Any = own, **_: Any) -> None:
            acts = current_actor()
            ended.append((kernel_id, acts.tenant_id if acts else None))
            own._kernels.pop(kernel_id)

        monkeypatch.setattr(own, "shutdown_kernel", end)

    async def cull() -> None:
        with acting(ANA):  # whoever started the first kernel started the timer, too
            for own in kernels.tenants:
                await own.cull_kernels()

    asyncio.run(cull())
    assert ended == [("a-kernel", ANA.tenant_id), ("b-kernel", BOB.tenant_id)]
    asyncio.run(kernels.shutdown_all())


@pytest.mark.parametrize("path", ["", "folder", "../..", "/../../etc", "out", "missing/folder"])
def test_a_kernel_starts_inside_its_tenants_files(kernels: TenantKernelManager, path: str) -> None:
    with acting(ANA):
        root = Path(kernels.tenants.mine().root_dir)
        (root / "folder").mkdir()
        (root / "out").symlink_to("/etc")
        assert Path(kernels.cwd_for_path(path)) == (root / "folder" if path == "folder" else root)


def test_a_kernel_gets_no_variable_that_is_not_named(
    kernels: TenantKernelManager, specs: IsolatingKernelSpecManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs.isolating_provisioners = ["local-provisioner"]
    monkeypatch.setenv("DEVSTUDIO_DATABASE_URL", "postgresql://secret")
    given: list[dict[str, str]] = []

    async def start(**options: Any) -> str:
        given.append(options["env"])
        return "id"

    monkeypatch.setattr(kernels.tenants.of(ANA.tenant_id), "_async_start_kernel", start)
    with acting(ANA):
        asyncio.run(kernels.start_kernel(kernel_name="plain", env={"JPY_SESSION_NAME": "n", "DEVSTUDIO_KEY": "secret"}))
    assert given[0]["JPY_SESSION_NAME"] == "n"
    assert set(given[0]) <= {"JPY_SESSION_NAME", "PATH", "LANG", "LC_ALL", "TZ"}


def test_connection_files_of_tenants_are_in_folders_of_their_own(kernels: TenantKernelManager) -> None:
    folders = {kernels.tenants.of(actor.tenant_id).connection_dir for actor in (ANA, BOB)}
    assert {Path(folder).name for folder in folders} == {str(ANA.tenant_id), str(BOB.tenant_id)}
    assert {Path(folder).stat().st_mode & 0o777 for folder in folders} == {0o700}


def test_sessions_are_the_tenants_own(kernels: TenantKernelManager) -> None:
    sessions = TenantSessionManager(
        kernel_manager=kernels, contents_manager=TenantContentsManager(workspaces=kernels.workspaces)
    )
    fake(kernels, ANA, "a-kernel")

    async def create() -> dict[str, Any]:
        return await sessions.create_session(path="a.ipynb", name="a", type="notebook", kernel_id="a-kernel")

    with acting(ANA):
        made = asyncio.run(create())
        assert [session["id"] for session in asyncio.run(sessions.list_sessions())] == [made["id"]]
    with acting(BOB):
        assert asyncio.run(sessions.list_sessions()) == []
        assert not asyncio.run(sessions.session_exists("a.ipynb"))
        for call in (sessions.get_session(session_id=made["id"]), sessions.delete_session(made["id"])):
            with pytest.raises(HTTPError) as missing:
                asyncio.run(call)
            assert missing.value.status_code == 404
    with pytest.raises(HTTPError) as refused:
        asyncio.run(sessions.list_sessions())
    assert refused.value.status_code == 403
    opened = [own.connection for own in sessions.tenants]
    sessions.close()
    for connection in opened:
        connection.close()
