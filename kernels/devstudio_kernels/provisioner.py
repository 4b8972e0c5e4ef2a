"""Jupyter's way to a kernel in a container: `devstudio-sandbox` in a kernelspec's metadata."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase
from traitlets import Enum, Float, Int, Unicode

from devstudio_kernels.boxes import PORTS, Box
from devstudio_kernels.errors import KernelError, KernelUnavailable
from devstudio_kernels.host import Place, Watch, current_host
from devstudio_kernels.pool import KernelPool
from devstudio_sandbox.ports import MIB, Limits

PASSED = ("JPY_SESSION_NAME", "LANG", "LC_ALL", "TZ")
"""Variables that a kernel gets when the server names them; nothing else of the server's environment."""
LOOK_S = 0.1
UNSAFE_ROOTS = (Path("/"), Path.home())


class SandboxProvisioner(KernelProvisionerBase):
    """Starts a kernel in a hardened container, with its tenant's files and without a network.

    The kernel's manager says whose it is: ``tenant_id`` and ``root_dir`` of the manager of kernels above it.
    """

    language: str = Enum(("python", "node"), "python", help="Which image the kernel runs in.")  # type: ignore[assignment]
    memory_mib = Int(2048, min=128, help="Memory of one kernel, in MiB; one that takes more is killed.").tag(
        config=True
    )
    cpus = Float(1.0, min=0.05, help="Processors of one kernel.").tag(config=True)
    pids = Int(256, min=16, help="Processes and threads of one kernel.").tag(config=True)
    end_reason = Unicode("", help="Why the kernel ended, for people; empty while it runs.")

    _box: Box | None = None
    _watch: Watch | None = None
    _cwd = ""
    _env: dict[str, str] = {}  # noqa: RUF012 - never changed in place

    @property
    def has_process(self) -> bool:
        """Tell whether there is a container."""
        return self._box is not None

    @property
    def place(self) -> Place:
        """Return for whom the kernel is."""
        kernels = getattr(self.parent, "parent", None)
        root = Path(str(getattr(kernels, "root_dir", "") or self._cwd or Path.cwd()))
        if root.resolve() in (folder.resolve() for folder in UNSAFE_ROOTS):
            raise KernelUnavailable(
                f"a sandboxed kernel would see all of {root}: start the server in a folder of its own"
            )
        named = str(getattr(kernels, "tenant_id", "") or "")
        tenant_id = UUID(named) if named else uuid5(NAMESPACE_URL, root.as_uri())
        limits = Limits(memory_bytes=self.memory_mib * MIB, cpus=self.cpus, pids=self.pids)
        return Place("node" if self.language == "node" else "python", tenant_id, root, limits)

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Give the kernel its address, which it keeps over restarts, and take what of its environment it may see."""
        self._cwd = str(kwargs.get("cwd") or "")
        asked = kwargs.get("env") or {}
        self._env = {name: str(asked[name]) for name in PASSED if asked.get(name)}
        kwargs["env"] = {}
        if self.parent is not None:
            self._address(current_host().folders.address(str(self.kernel_id)))
        kwargs = await super().pre_launch(cmd=list(self.kernel_spec.argv), **kwargs)
        self._env |= {name: value for name, value in kwargs["env"].items() if name in self.kernel_spec.env}
        return kwargs

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:  # noqa: ARG002 - the image has its own
        """Take a kernel from the pool, or start one."""
        host, place = current_host(), self.place
        cwd, env = place.inside(self._cwd or place.root), self._env_inside(place)
        self.end_reason = ""
        key = text(self.connection_info["key"])
        warm = await KernelPool.of(host).take(place, key, cwd, env)
        await self._take(warm if warm is not None else await host.call(host.start, place, key, cwd, env))
        return self.connection_info

    async def poll(self) -> int | None:
        """Return the exit code, or None while the kernel runs."""
        if self._watch is None or self._box is None:
            return 0
        ended = self._watch.ended or await current_host().call(self._watch.look)
        if ended is None:
            return None
        if not self.end_reason:
            self.end_reason = why(ended.exit_code, self.memory_mib if ended.out_of_memory else 0)
        return ended.exit_code

    async def wait(self) -> int | None:
        """Wait for the end, and forget the container's process."""
        while (code := await self.poll()) is None:  # noqa: ASYNC110 - nothing tells where there is no descriptor
            await asyncio.sleep(LOOK_S)
        return code

    async def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel and the processes of its group; SIGKILL to all in the container."""
        if self._box is not None and signum:
            host = current_host()
            await host.call(host.engine.send_signal, self._box.container, signum)

    async def kill(self, restart: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - Jupyter's signature
        """Kill everything in the container."""
        await self.send_signal(signal.SIGKILL)

    async def terminate(self, restart: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Ask the kernel to end."""
        await self.send_signal(signal.SIGTERM)

    async def cleanup(self, restart: bool = False) -> None:  # noqa: FBT001, FBT002
        """Remove the container; the address stays when another one takes it over."""
        host, box = current_host(), self._box
        self.forget()
        if box is not None:
            await host.call(host.end, box)
        if not restart:
            host.folders.unpoint(str(self.kernel_id))

    async def get_provisioner_info(self) -> dict[str, Any]:
        """Return what another life of the server needs to adopt the kernel."""
        return {**await super().get_provisioner_info(), **self.adoption()}

    async def load_provisioner_info(self, provisioner_info: dict[str, Any]) -> None:
        """Adopt a kernel. Raises `KernelError` when it has ended."""
        await super().load_provisioner_info(provisioner_info)
        if not self.adopt(provisioner_info):
            raise KernelError("the kernel has ended while the server was away")

    def adoption(self) -> dict[str, Any]:
        """Return the container and what it was started with."""
        box = self._box.as_json() if self._box else None
        info = self.connection_info
        return {"box": box, "cwd": self._cwd, "env": self._env, "ip": info["ip"], "key": text(info["key"])}

    def adopt(self, adoption: dict[str, Any]) -> bool:
        """Take over a kernel that another life of the server started; tell whether it still runs. Blocks shortly."""
        if not adoption.get("box"):
            return False
        host, box = current_host(), Box(**adoption["box"])
        watch = Watch(host.engine, box.container)
        if watch.ended is not None:
            host.end(box)
            return False
        self._cwd, self._env = adoption["cwd"], adoption["env"]
        manager: Any = self.parent
        manager.session.key = adoption["key"].encode()
        self._address(adoption["ip"])
        self._box, self._watch = box, watch
        host.keeper.keep(box)
        host.folders.point(str(self.kernel_id), box)
        return True

    @property
    def container(self) -> str:
        """Return the id of the container, or an empty text."""
        return self._box.container if self._box else ""

    @property
    def end_descriptor(self) -> int:
        """Return a file descriptor that becomes readable when the kernel ends; -1 where there is none."""
        return self._watch.fileno() if self._watch else -1

    def forget(self) -> None:
        """Let go of the kernel without ending it."""
        if self._watch is not None:
            self._watch.close()
        if self._box is not None:
            current_host().keeper.drop(self._box)
        self._box = self._watch = None

    def get_shutdown_wait_time(self, recommended: float = 5.0) -> float:
        """Return how long a kernel may take to end by itself."""
        return recommended

    async def _take(self, box: Box) -> None:
        host = current_host()
        self._box = box
        self._watch = await host.call(Watch, host.engine, box.container)
        host.keeper.keep(box)
        host.folders.point(str(self.kernel_id), box)

    def _address(self, ip: str) -> None:
        """Set where the kernel's manager finds the kernel's sockets."""
        manager: Any = self.parent
        manager.transport, manager.ip = "ipc", ip
        for name, port in PORTS.items():
            setattr(manager, name, port)
        self.connection_info = manager.get_connection_info()

    def _env_inside(self, place: Place) -> dict[str, str]:
        """Return the variables, with the notebook's path as it is inside."""
        env = dict(self._env)
        if name := env.get("JPY_SESSION_NAME"):
            folder, _, file = os.path.normpath(name).rpartition("/")
            env["JPY_SESSION_NAME"] = f"{place.inside(folder)}/{file}" if name.startswith("/") else name
        return env


def text(key: str | bytes) -> str:
    """Return a key as JSON has it."""
    return key.decode() if isinstance(key, bytes) else key


def why(exit_code: int, memory_mib: int) -> str:
    """Say why a kernel ended; ``memory_mib`` is its limit when memory ran out, else 0."""
    if memory_mib:
        return f"The kernel ran out of memory: it may use {memory_mib} MiB. Its variables are lost."
    if exit_code > 128:  # noqa: PLR2004 - as a shell counts
        try:
            name = signal.Signals(exit_code - 128).name
        except ValueError:
            name = f"signal {exit_code - 128}"
        return f"The kernel was ended by {name}. Its variables are lost."
    return f"The kernel ended by itself with exit code {exit_code}. Its variables are lost."
