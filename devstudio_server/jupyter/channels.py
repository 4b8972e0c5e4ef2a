"""The way of a kernel's messages to a browser: at once, all of them, and no faster than they are taken."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from jupyter_client.jsonutil import json_default
from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1, serialize_msg_to_ws_v1
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from tornado.websocket import WebSocketClosedError
from traitlets import Bool

from devstudio_server.jupyter.output_check import OutputCheck
from devstudio_server.jupyter.studio_kernels import StudioKernel

HIGH_WATER = 4 << 20
LOW_WATER = 1 << 20
"""Bytes on their way to a browser: above the first nothing more is read from the kernel until below the second."""
ANSWER_S = 1.0
"""How long a kernel that was taken over has to say that it runs no cell, before a browser is told that it is busy."""


class Flow:
    """Counts what a WebSocket has not sent yet, and stops to read from the kernel while that is too much."""

    def __init__(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        """Call ``pause`` and ``resume`` as the level asks for it."""
        self._pause, self._resume = pause, resume
        self.waiting, self.paused = 0, False

    def sent(self, size: int, future: Any) -> None:
        """Count a message until ``future`` says that it was written."""
        self.waiting += size
        future.add_done_callback(lambda done: self._written(size, done))
        if self.waiting > HIGH_WATER:
            self.paused = True
            self._pause()

    def _written(self, size: int, done: Any) -> None:
        if not done.cancelled():
            done.exception()  # a closed socket says so elsewhere
        self.waiting -= size
        if self.paused and self.waiting < LOW_WATER:
            self.paused = False
            self._resume()


class LosslessConnection(ZMQChannelsWebsocketConnection):
    """Jupyter's connection without its rate limits; a slow browser slows the kernel down instead."""

    limit_rate = Bool(
        False, help="Whether to drop output that comes too fast, as Jupyter does by default. Here it waits instead."
    ).tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        """Send each message at once, in place of waiting for the answer to the one before."""
        super().__init__(**kwargs)
        self._flow = Flow(self._pause, self._go_on)
        self._restored = False
        """The sockets are those of the connection before, and nothing in them may be taken for a sign of life."""
        self._check: OutputCheck | None = None
        self._asked: dict[str, Any] = {}
        """Headers of the cells that this browser sent and that are not done, by their ids, in their order."""

    @property
    def write_message(self) -> Callable[..., Any]:
        """Write to the browser, and count what is not written yet."""
        return self._write

    def _write(self, message: Any, binary: bool = False) -> None:  # noqa: FBT001, FBT002 - tornado's signature
        try:
            future = self.websocket_handler.write_message(message, binary=binary)
        except WebSocketClosedError:
            return
        self._flow.sent(len(message), future)

    def _pause(self) -> None:
        stream = self.channels.get("iopub")
        # What is not in the sandbox drops what is not taken at once; the sandbox waits.
        if stream is not None and not stream.closed() and getattr(self.kernel_manager, "sandbox", None):
            stream.stop_on_recv()

    def _go_on(self) -> None:
        stream = self.channels.get("iopub")
        if stream is not None and not stream.closed() and self.websocket_handler.ws_connection is not None:
            stream.on_recv_stream(self.handle_outgoing_message)

    def connect(self) -> Any:
        """Connect to the kernel."""
        self.websocket_handler.set_nodelay(True)
        kept = self.multi_kernel_manager._kernel_buffers.get(self.kernel_id)  # noqa: SLF001 - `get_buffer` takes it away
        self._restored = bool(kept) and kept["session_key"] == self.session_key
        return super().connect()

    def nudge(self) -> Any:
        """Wait until the kernel's sockets answer, and say then what it does, before anything else is said."""
        return asyncio.ensure_future(self._begin(super().nudge))

    async def _begin(self, nudge: Callable[[], Any]) -> None:
        if isinstance(self.kernel_manager, StudioKernel):
            await self.kernel_manager.started()
            settled = asyncio.ensure_future(self.kernel_manager.settle())
            if not (await asyncio.wait([settled], timeout=ANSWER_S))[0]:
                settled.add_done_callback(lambda _: self._tell_state())
        self._check = self._output_check()
        # The sockets of a connection that was interrupted answered before.
        if not self._restored and self.channels:
            life = getattr(self.kernel_manager, "life", 0)
            await nudge()
            if self._check is not None:
                self._check.passed(life)
        self._tell_state()

    def _output_check(self) -> OutputCheck | None:
        """Only a sandboxed kernel keeps its address; Jupyter gives others a new one when they start again."""
        kernel, output = self.kernel_manager, self.channels.get("iopub")
        if output is None or not isinstance(kernel, StudioKernel) or kernel.sandbox is None:
            return None
        return OutputCheck(kernel, output, self.session, super().handle_incoming_message)

    def disconnect(self) -> None:  # type: ignore[override]
        """Let go of the browser, which has gone."""
        if self._check is not None:
            self._check.end()
        super().disconnect()  # type: ignore[no-untyped-call]

    def _tell_state(self) -> None:
        # JupyterLab forgets what a kernel does when it loses it, and learns nothing from the answer to its greeting.
        state = getattr(self.kernel_manager, "execution_state", "")
        if state not in {"idle", "busy"}:
            return
        # Jupyter's own way reads the output's socket empty first, and loses what it reads before anyone takes it.
        message = self.session.msg("status", {"execution_state": state})
        if self.subprotocol == "v1.kernel.websocket.jupyter.org":
            self.write_message(serialize_msg_to_ws_v1(message, "iopub", self.session.pack), binary=True)
        else:
            self.write_message(json.dumps(message | {"channel": "iopub"}, default=json_default))

    def _send_status_message(self, status: str) -> None:
        """Say that a kernel starts again or is dead, behind what it said before, be that paused or not."""
        stream = self.channels.get("iopub")
        if stream is not None and not stream.closed() and not stream.receiving():
            stream.on_recv_stream(self.handle_outgoing_message)
        super()._send_status_message(status)  # type: ignore[no-untyped-call]

    def request_kernel_info(self) -> Any:
        """Ask who the kernel is, where a kernel answers that is at work, too."""
        if self.kernel_info_channel is None and not hasattr(self.kernel_manager, "_kernel_info_future"):
            self.kernel_info_channel = self.multi_kernel_manager.connect_control(self.kernel_id)
        return super().request_kernel_info()  # type: ignore[no-untyped-call]

    def handle_incoming_message(self, incoming_msg: Any) -> None:
        """Pass a message of the browser on, and remember which cells it asks for."""
        v1 = self.subprotocol == "v1.kernel.websocket.jupyter.org"
        channel, header = header_of(incoming_msg, v1=v1)
        if channel == "shell" and header.get("msg_type") == "execute_request":
            self._asked[str(header.get("msg_id"))] = header
        if channel == "shell" and self.channels and self._check is not None and self._check.hold(incoming_msg):
            return
        super().handle_incoming_message(incoming_msg)

    def handle_outgoing_message(self, stream: Any, outgoing_msg: list[Any]) -> None:
        """Pass a message of the kernel on, and remember which cells are done."""
        channel = getattr(stream, "channel", stream)
        if channel == "shell" or (channel == "iopub" and self._check is not None and self._check.is_asking):
            parts: list[Any] = self.session.feed_identities(outgoing_msg)[1]
            parent_id = str(self.session.unpack(parts[2]).get("msg_id"))
            if channel == "shell":
                self._asked.pop(parent_id, None)
            elif self._check is not None:
                self._check.hear(parent_id)
        super().handle_outgoing_message(stream, outgoing_msg)

    def on_kernel_restarted(self) -> None:
        """Say in the cell that was running why the kernel ended, and tell that it starts again."""
        kernel = self.kernel_manager
        reason = kernel.sandbox.end_reason if isinstance(kernel, StudioKernel) and kernel.sandbox else ""
        if reason:
            kernel.reason = reason
            self.write_stderr(reason, next(iter(self._asked.values()), {}))  # type: ignore[no-untyped-call]
        self._asked.clear()
        super().on_kernel_restarted()  # type: ignore[no-untyped-call]


def header_of(message: str | bytes, *, v1: bool) -> tuple[str, dict[str, Any]]:
    """Return the channel and the header of a browser's message, in either of Jupyter's two forms."""
    try:
        if v1 and isinstance(message, bytes):
            channel, parts = deserialize_msg_from_ws_v1(message)
            header = json.loads(parts[0])
        else:
            told = json.loads(message)
            channel, header = told.get("channel"), told.get("header")
    except (ValueError, IndexError, AttributeError):
        return "", {}
    return str(channel), header if isinstance(header, dict) else {}
