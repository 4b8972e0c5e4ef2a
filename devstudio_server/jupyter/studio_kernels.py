"""Kernels that outlive the server, tell why they ended, and are no more than people may have."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import zmq
from jupyter_client.ioloop.restarter import AsyncIOLoopKernelRestarter
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_server._tz import utcnow
from jupyter_server.prometheus.metrics import KERNEL_CURRENTLY_RUNNING_TOTAL
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager, ServerKernelManager
from tornado.web import HTTPError
from traitlets import Bool, Int, Type, Unicode, default

from devstudio_kernels.errors import KernelError, KernelUnavailable
from devstudio_kernels.provisioner import SandboxProvisioner
from devstudio_server.db import current_actor
from devstudio_server.jupyter.kernel_records import KernelRecord, KernelRecords
from devstudio_server.kit.logging import get_logger

QUEUED_MESSAGES = 8
BUFFERED_BYTES = 32 << 20
"""Output that is kept for a kernel whose browser is away."""
_log = get_logger("kernels")


class PromptRestarter(AsyncIOLoopKernelRestarter):
    """Starts a kernel again that has died. It may be told at any time, and then does it once."""

    _is_polling = False

    async def poll(self) -> None:  # type: ignore[override]
        """Look after the kernel."""
        if self._is_polling or self.kernel_manager.shutting_down:
            return
        self._is_polling = True
        try:
            await super().poll()
        finally:
            self._is_polling = False


class StudioKernel(ServerKernelManager):
    """One kernel. In a sandbox it can be adopted, and its end is noticed at once."""

    restarter_class = Type(PromptRestarter, klass=AsyncIOLoopKernelRestarter)
    _end_descriptor = -1

    def __init__(self, **kwargs: Any) -> None:
        """Know of no kernel yet."""
        super().__init__(**kwargs)
        self._turn = asyncio.Lock()
        self._is_over = False
        self.life = 0
        """How often the kernel was started again."""
        self.is_starting_again = False
        self._question: Any = None
        """The channel on which an adopted kernel was asked whether it is at work, until it answers."""
        self._answered = asyncio.Event()

    async def restart_kernel(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """Start the kernel again, unless it was shut down in the meantime."""
        async with self._turn:
            self.is_starting_again = True
            try:
                if self._is_over:
                    return None
                result = await super().restart_kernel(*args, **kwargs)
                if self.sandbox:
                    self.execution_state = "idle"  # it was busy with what ended it, and the new one is not
                return result
            finally:
                self.life += 1
                self.is_starting_again = False

    async def started(self) -> None:
        """Wait until the kernel has started again, if it does so now."""
        async with self._turn:
            return

    async def shutdown_kernel(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """End the kernel. One that is just starting again is ended then."""
        async with self._turn:
            self._is_over = True
            return await super().shutdown_kernel(*args, **kwargs)

    @property
    def sandbox(self) -> SandboxProvisioner | None:
        """Return what keeps the kernel in its container; None for one that has none."""
        return self.provisioner if isinstance(self.provisioner, SandboxProvisioner) else None

    async def _async_post_start_kernel(self, **kw: Any) -> None:
        await super()._async_post_start_kernel(**kw)
        self.watch_end()
        if self.sandbox and isinstance(self.parent, StudioKernels):
            self.parent.keep_record(self)

    async def _async_cleanup_resources(self, restart: bool = False) -> None:  # noqa: FBT001, FBT002 - Jupyter's signature
        self.unwatch_end()
        self._close_question()
        await super()._async_cleanup_resources(restart=restart)

    def _create_connected_socket(self, channel: str, identity: bytes | None = None) -> Any:
        """Connect to a channel; of a sandboxed kernel's output, only so much waits here as is bounded in bytes, too."""
        if channel != "iopub" or self.sandbox is None:
            return super()._create_connected_socket(channel, identity=identity)
        socket = self.context.socket(zmq.SUB)
        socket.linger, socket.rcvhwm = 1000, QUEUED_MESSAGES
        socket.connect(self._make_url(channel))
        return socket

    def watch_end(self) -> None:
        """Look after the kernel as soon as its container ends, not only every three seconds."""
        self.unwatch_end()
        descriptor = self.sandbox.end_descriptor if self.sandbox else -1
        if descriptor >= 0:
            self.loop.add_handler(descriptor, self._on_end, self.loop.READ)
            self._end_descriptor = descriptor

    def unwatch_end(self) -> None:
        """Let the descriptor be closed."""
        if self._end_descriptor >= 0:
            self.loop.remove_handler(self._end_descriptor)
            self._end_descriptor = -1

    def _on_end(self, *_: Any) -> None:
        self.unwatch_end()
        if self._restarter is not None and not self.shutting_down:
            self._restarter._running_poll = asyncio.ensure_future(self._restarter.poll())  # noqa: SLF001 - keeps the task

    def adopt(self, record: KernelRecord) -> bool:
        """Take over a kernel that another life of the server started; tell whether it still runs."""
        self.kernel_id = record.id
        factory: Any = KernelProvisionerFactory.instance(parent=self.parent)
        self.provisioner = factory.create_provisioner_instance(record.id, self.kernel_spec, parent=self)
        if self.sandbox is None or not self.sandbox.adopt(record.adoption):
            return False
        self._launch_args = dict(record.arguments)
        self._attempted_start = True
        self.ready.set_result(None)
        self.reason, self.last_activity = "", utcnow()
        self.start_restarter()
        self._connect_control_socket()
        self.watch_end()
        return True

    def ask_whether_idle(self) -> None:
        """Ask an adopted kernel on the channel of its cells, where it answers when none runs. Until then it is busy."""
        self.execution_state = "busy"
        self._question = self.connect_shell()
        self._question.on_recv(self._on_answer)
        self.session.send(self._question, "kernel_info_request")

    def _on_answer(self, _message: Any) -> None:
        self.execution_state = "idle"
        self._close_question()

    def _close_question(self) -> None:
        if self._question is not None:
            self._question.close()
            self._question = None
            self._answered.set()

    async def settle(self) -> None:
        """Wait until it is known that no cell of the last life of the server is at work."""
        if self._question is not None:
            await self._answered.wait()

    def leave(self) -> None:
        """Let go of the kernel without ending it."""
        self.shutting_down = True
        self.stop_restarter()
        self.unwatch_end()
        self._close_question()
        if self.sandbox:
            self.sandbox.forget()
        self._close_control_socket()


class StudioKernels(AsyncMappingKernelManager):
    """The kernels of one tenant."""

    tenant_id = Unicode(help="Id of the tenant.")
    records_dir = Unicode(help="Folder of the records of kernels.")
    kernels_survive = Bool(
        True, help="Whether sandboxed kernels go on while the server is away, and are there again when it is back."
    ).tag(config=True)
    max_kernels_per_tenant = Int(50, min=1, help="Kernels that one tenant may have at the same time.").tag(config=True)
    max_kernels_per_person = Int(10, min=1, help="Kernels that one person may have at the same time.").tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        """Know nothing of kernels of earlier lives before `adopt`."""
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self.records = KernelRecords(Path(self.records_dir))
        self._starters: dict[str, str] = {}
        self._starting: list[str] = []

    @default("kernel_manager_class")
    def _kernel_manager_class_default(self) -> str:
        return f"{StudioKernel.__module__}.{StudioKernel.__name__}"

    @contextmanager
    def room_for_one_more(self) -> Iterator[None]:
        """Count one that is being started. Raises `HTTPError`: 429 for too many, 503 when it cannot be contained."""
        person = str(actor.user_id) if (actor := current_actor()) else ""
        own = [*self._starting, *(self._starters.get(kernel_id, "") for kernel_id in self._kernels)]
        if len(own) >= self.max_kernels_per_tenant or own.count(person) >= self.max_kernels_per_person:
            most = min(self.max_kernels_per_person, self.max_kernels_per_tenant)
            raise HTTPError(429, _TOO_MANY % (own.count(person), len(own), most))
        self._starting.append(person)
        try:
            yield
        except KernelUnavailable as error:
            raise HTTPError(503, f"No sandboxed kernel can be started: {error}") from error
        except KernelError as error:
            raise HTTPError(500, str(error)) from error
        finally:
            self._starting.remove(person)

    async def start_kernel(self, *, kernel_id: str | None = None, **kwargs: Any) -> str:  # type: ignore[override]
        """Start a kernel, or return ``kernel_id`` when there is that one."""
        if kernel_id is not None and kernel_id in self:
            return str(await self._async_start_kernel(kernel_id=kernel_id, **kwargs))
        with self.room_for_one_more():
            started = str(await self._async_start_kernel(kernel_id=kernel_id, **kwargs))
        self._starters.setdefault(started, str(actor.user_id) if (actor := current_actor()) else "")
        return started

    def keep_record(self, kernel: StudioKernel) -> None:
        """Write down a kernel that has been started, for the first time or again."""
        kernel_id, sandbox = str(kernel.kernel_id), kernel.sandbox
        if sandbox is None:
            return
        if kernel_id not in self._starters:
            self._starters[kernel_id] = str(actor.user_id) if (actor := current_actor()) else ""
        arguments = {"cwd": (kernel._launch_args or {}).get("cwd", ""), "env": sandbox.adoption()["env"]}  # noqa: SLF001 - no other name
        record = KernelRecord(
            kernel_id, str(kernel.kernel_name), self._starters[kernel_id], arguments, sandbox.adoption()
        )
        self.records.save(record)

    def adopt(self) -> int:
        """Take over the kernels that outlived the server; return how many there are."""
        for record in self.records:
            if record.id in self:
                continue
            try:
                self._adopt(record)
            except KernelUnavailable as error:
                _log.warning("kernel_not_adopted", kernel_id=record.id, reason=str(error))  # the engine may come back
            except Exception as error:  # noqa: BLE001 - one kernel that is lost must not keep the others
                _log.warning("kernel_lost", kernel_id=record.id, reason=str(error))
                self.records.remove(record.id)
        return len(self._kernels)

    def _adopt(self, record: KernelRecord) -> None:
        kernel, _, _ = self.pre_start_kernel(record.name, {"kernel_id": record.id})
        if not isinstance(kernel, StudioKernel) or not kernel.adopt(record):
            _log.info("kernel_ended_while_away", kernel_id=record.id)
            self.records.remove(record.id)
            return
        self._kernels[record.id] = kernel
        self._starters[record.id] = record.user_id
        self._kernel_connections[record.id] = 0
        self._kernel_ports[record.id] = kernel.ports
        self.start_watching_activity(record.id)  # type: ignore[no-untyped-call]
        self.add_restart_callback(record.id, lambda: self._handle_kernel_died(record.id), "dead")  # type: ignore[no-untyped-call]
        kernel.ask_whether_idle()
        KERNEL_CURRENTLY_RUNNING_TOTAL.labels(type=kernel.kernel_name).inc()
        if not self._initialized_culler:
            self.initialize_culler()  # type: ignore[no-untyped-call]
        _log.info("kernel_adopted", kernel_id=record.id)

    def start_buffering(self, kernel_id: str, session_key: str, channels: dict[str, Any]) -> None:
        """Keep what a kernel says while nobody is connected; after so much the kernel waits for who comes back."""
        super().start_buffering(kernel_id, session_key, channels)  # type: ignore[no-untyped-call]
        kept, output = self._kernel_buffers.get(kernel_id), channels.get("iopub")
        if kept is None or output is None or not getattr(self._kernels[kernel_id], "sandbox", None):
            return
        size = 0

        def keep(message: list[Any]) -> None:
            nonlocal size
            kept["buffer"].append(("iopub", message))
            size += sum(len(part) for part in message)
            if size > BUFFERED_BYTES:
                output.stop_on_recv()

        output.on_recv(keep)

    def containers(self) -> set[str]:
        """Return the containers of these kernels, and of those that could not be adopted yet."""
        known = {kernel.sandbox.container for kernel in self._kernels.values() if getattr(kernel, "sandbox", None)}
        return known | {str((record.adoption.get("box") or {}).get("container")) for record in self.records}

    def remove_kernel(self, kernel_id: str) -> Any:
        """Forget a kernel that has ended."""
        self.records.remove(kernel_id)
        self._starters.pop(kernel_id, None)
        return super().remove_kernel(kernel_id)

    async def shutdown_all(self, now: bool = False) -> None:  # type: ignore[override]  # noqa: FBT001, FBT002
        """End the kernels at the server's end, but those that survive it."""
        for kernel_id, kernel in list(self._kernels.items()) if self.kernels_survive else ():
            if isinstance(kernel, StudioKernel) and kernel.sandbox and await kernel.is_alive():
                self.stop_watching_activity(kernel_id)  # type: ignore[no-untyped-call]
                self.stop_buffering(kernel_id)  # type: ignore[no-untyped-call]
                kernel.leave()
                del self._kernels[kernel_id]
        await super().shutdown_all(now=now)


class LocalKernels(StudioKernels):
    """The kernels of the single local user, in a sandbox or not."""

    tenant_id = Unicode(help="Id of the tenant that the local user is.").tag(config=True)
    records_dir = Unicode(help="Folder of the records of kernels. `jupyter_config.py` sets both.").tag(config=True)


_TOO_MANY = (
    "You have %d kernels, and your team has %d; at most %d of one person run at the same time. Shut some down first: "
    "in JupyterLab, the tab “Running Terminals and Kernels” lists them."
)


def tenant_of(folder: Path) -> UUID | None:
    """Return the tenant that a folder is named by, or None when it is another folder."""
    try:
        return UUID(folder.name)
    except ValueError:
        return None
