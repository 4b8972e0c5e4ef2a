"""ipykernel that loses no output, and that can be started before it is known for which notebook.

Output: ipykernel publishes what a cell says on a ZeroMQ socket that drops what its readers do not take in time. Here
that socket waits for them, and whoever writes waits for the socket, so that a slow reader slows the cell down.

Hand-over: a kernel of the pool is told its key, folder and variables by one ``adopt_request``, once, before it has run
anything.
"""

from __future__ import annotations

import codecs
import os
import sys
import threading
from typing import Any

import zmq
from ipykernel import kernelapp
from ipykernel.iostream import IOPubThread, OutStream
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from ipykernel.kernelbase import Kernel

PIECE = 1 << 20
"""Characters in one message of a stream."""
QUEUED_BYTES = 1 << 22
"""What may wait for the socket before whoever writes waits, too."""
QUEUED_MESSAGES = 12
"""Messages that ZeroMQ queues for each reader."""
NEVER_WAIT = ("IOPub", "Control")


class WaitingThread(IOPubThread):
    """Publishes in the background, and lets the other threads wait while too much is queued."""

    def __init__(self, socket: Any, *args: Any, **kwargs: Any) -> None:
        socket.setsockopt(zmq.XPUB_NODROP, 1)
        self._queued = 0
        self._drained = threading.Condition()
        super().__init__(socket, *args, **kwargs)

    def send_multipart(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Queue a message; wait when there is too much already."""
        size = sum(len(part) for part in msg)
        with self._drained:
            self._queued += size

        def send() -> None:
            try:
                self._really_send(msg, *args, **kwargs)
            finally:
                with self._drained:
                    self._queued -= size
                    self._drained.notify_all()

        self.schedule(send)
        self.wait()

    def wait(self) -> None:
        """Wait until there is room. An interrupt of the cell ends that."""
        if threading.current_thread().name in NEVER_WAIT or not self._is_master_process():
            return
        with self._drained:
            while self._queued > QUEUED_BYTES and self.thread.is_alive():
                self._drained.wait(1.0)

    def await_empty(self, most_s: float) -> None:
        """Wait until all is on its way to the readers, but no longer than ``most_s``."""
        with self._drained:
            self._drained.wait_for(lambda: not self._queued, most_s)


class WaitingStream(OutStream):
    """stdout and stderr in pieces of bounded size; bytes of programs are decoded across pieces."""

    flush_timeout = None  # type: ignore[assignment]  # the reader may take its time

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._unflushed = 0
        super().__init__(*args, **kwargs)

    def write(self, string: str) -> int:
        """Write, and send each full piece at once."""
        if not string or not isinstance(string, str):
            return super().write(string) or 0
        if len(string) > PIECE:
            return sum(self.write(string[begin : begin + PIECE]) for begin in range(0, len(string), PIECE))
        super().write(string)
        self._unflushed += len(string)
        if self._unflushed >= PIECE and self._is_master_process() and not self._in_publisher():
            self._unflushed = 0
            self.flush()
            self.pub_thread.wait()
        return len(string)

    def _in_publisher(self) -> bool:
        return threading.current_thread() is self.pub_thread.thread

    def _watch_pipe_fd(self) -> None:
        fid: Any = self._fid
        decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        try:
            while self._should_watch and (piece := os.read(fid, 1 << 16)):
                self.write(decode(piece))
                if self.name == "stderr":
                    os.write(self._original_stdstream_copy, piece)  # the engine keeps the last of it
        except Exception:  # noqa: BLE001 - as in the method that this replaces
            self._exc = sys.exc_info()


class Adoptable(Kernel):
    """For kernels that may wait in a pool."""

    session: Any
    control_msg_types = [*Kernel.control_msg_types, "adopt_request"]  # noqa: RUF012 - a list in ipykernel, too
    waits_in_pool = os.environ.pop("DEVSTUDIO_POOLED", "") == "1"

    async def adopt_request(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        """Take over key, folder and variables; only once, before anything was run: nobody else has the first key."""
        content, waited = parent["content"], self.waits_in_pool
        if waited:
            Adoptable.waits_in_pool = False
            self.take_place(content["cwd"], content["env"])
        self.session.send(stream, "adopt_reply", {"status": "ok" if waited else "error"}, parent, ident)
        if waited:
            self.session.key = content["key"].encode()

    def take_place(self, cwd: str, env: dict[str, str]) -> None:
        """Go where the notebook is."""
        os.environ.update(env)
        os.chdir(cwd)


class PythonKernel(Adoptable, IPythonKernel):
    """Python, as in any notebook."""

    shell: Any
    control_msg_types = [*IPythonKernel.control_msg_types, "adopt_request"]  # noqa: RUF012 - a list in ipykernel, too

    def take_place(self, cwd: str, env: dict[str, str]) -> None:
        """Go where the notebook is, and name it where ipykernel does."""
        super().take_place(cwd, env)
        if name := env.get("JPY_SESSION_NAME"):
            self.shell.user_ns["__session__"] = name


class KernelApp(IPKernelApp):
    """ipykernel with the parts above."""

    def init_iopub(self, context: Any) -> None:
        """Bind the socket of the output with bounds that hold for each of its readers."""
        vars(kernelapp)["IOPubThread"] = WaitingThread
        context.sndhwm = QUEUED_MESSAGES
        super().init_iopub(context)
        context.sndhwm = 1000


def main(kernel_class: type = PythonKernel) -> None:
    """Run the kernel to its end."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.remove(here)
    KernelApp.launch_instance(
        argv=["-f", os.path.join(here, "kernel.json"), "--HistoryManager.hist_file=:memory:"],
        kernel_class=kernel_class,
        outstream_class="devstudio_kernel.WaitingStream",
    )
