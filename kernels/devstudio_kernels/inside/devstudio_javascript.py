"""JavaScript for Jupyter: ipykernel speaks with the server, and Node, a child of it, runs the cells.

What Node's programs print comes out of pipes, and what Node says of a cell out of a socket that its children do not
have. A cell's output is read to its end before its answer is sent.
"""

from __future__ import annotations

import array
import asyncio
import codecs
import contextlib
import fcntl
import itertools
import json
import os
import select
import signal
import socket
import sys
import termios
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from devstudio_kernels.inside.devstudio_kernel import Adoptable
    from devstudio_kernels.inside.devstudio_kernel import main as run_kernel
else:
    from devstudio_kernel import Adoptable
    from devstudio_kernel import main as run_kernel

HERE = os.path.dirname(os.path.abspath(__file__))
PIECE_BYTES = 1 << 16
LAST_S = 5.0
"""For how long a kernel whose Node has ended waits until its last output is taken."""
Answer = dict[str, Any]


class Node:
    """The process that runs the cells."""

    def __init__(self, say: Callable[[str, str], None], end: Callable[[int], None]) -> None:
        """Start it and wait until it is ready; ``say`` gets its output, ``end`` its exit code."""
        self._say, self._end = say, end
        self._waiting: dict[int, tuple[asyncio.AbstractEventLoop, asyncio.Future[Answer]]] = {}
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._unread = b""
        self._channel, theirs = socket.socketpair()
        (out, out_end), (err, err_end), nothing = os.pipe(), os.pipe(), os.open(os.devnull, os.O_RDONLY)
        given = (nothing, out_end, err_end, theirs.fileno())
        self.pid = os.posix_spawnp(
            "node",
            ["node", os.path.join(HERE, "javascript.mjs")],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, one, number) for number, one in enumerate(given)],
            setsid=True,  # an interrupt is for cells, and comes by `interrupt`
        )
        theirs.close()
        for one in given[:-1]:
            os.close(one)
        utf_8 = codecs.getincrementaldecoder("utf-8")
        self._pipes = {out: ("stdout", utf_8("replace").decode), err: ("stderr", utf_8("replace").decode)}
        self.version = self._await_ready()

    def start(self) -> None:
        """Begin to read."""
        threading.Thread(target=self._read, daemon=True, name="Node").start()

    async def ask(self, operation: str, **arguments: Any) -> Answer:
        """Send a request and wait for its answer."""
        number, loop = next(self._ids), asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        self._waiting[number] = loop, answer
        try:
            self._send({"id": number, "op": operation, **arguments})
            return await answer
        finally:
            self._waiting.pop(number, None)

    def tell(self, operation: str, **arguments: Any) -> None:
        """Send a request whose answer nobody waits for."""
        self._send({"id": next(self._ids), "op": operation, **arguments})

    def interrupt(self) -> None:
        """End the cell that runs, and the programs that it started and waits for."""
        if self._waiting:
            with contextlib.suppress(ProcessLookupError, BrokenPipeError):  # it has just ended
                os.killpg(self.pid, signal.SIGINT)
                self._send({"op": "interrupt"})

    def _send(self, request: dict[str, Any]) -> None:
        with self._lock:
            self._channel.sendall(json.dumps(request).encode() + b"\n")

    def _await_ready(self) -> str:
        while b"\n" not in self._unread and (piece := self._channel.recv(PIECE_BYTES)):
            self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        if not line:
            words = os.read(list(self._pipes)[-1], PIECE_BYTES)
            raise RuntimeError(f"Node did not start: {words.decode(errors='replace').strip()}")
        return str(json.loads(line)["version"])

    def _read(self) -> None:
        poller = select.poll()
        for descriptor in (*self._pipes, self._channel.fileno()):
            poller.register(descriptor, select.POLLIN)
        lives = True
        while lives:
            for descriptor, _ in poller.poll():
                if descriptor == self._channel.fileno():
                    lives = self._take_answers()
                elif not self._take_output(descriptor, PIECE_BYTES):
                    poller.unregister(descriptor)
        self._drain()
        self._end(os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]))

    def _take_answers(self) -> bool:
        try:
            piece = self._channel.recv(PIECE_BYTES)
        except ConnectionError:
            return False
        *lines, self._unread = (self._unread + piece).split(b"\n")
        for line in lines:
            self._drain()
            answer = json.loads(line)
            if waiting := self._waiting.get(answer["id"]):
                loop, future = waiting
                loop.call_soon_threadsafe(settle, future, answer)
        return bool(piece)

    def _take_output(self, descriptor: int, most: int) -> int:
        name, decode = self._pipes[descriptor]
        piece = os.read(descriptor, most)
        if text := decode(piece):
            self._say(name, text)
        return len(piece)

    def _drain(self) -> None:
        """Take what is in the pipes by now; programs in the background may go on to write."""
        for descriptor in self._pipes:
            there = array.array("i", [0])
            fcntl.ioctl(descriptor, termios.FIONREAD, there)
            left = there[0]
            while left > 0 and (taken := self._take_output(descriptor, min(left, PIECE_BYTES))):
                left -= taken


def settle(future: asyncio.Future[Answer], answer: Answer) -> None:
    """Answer who waits, unless nobody does any more."""
    if not future.done():
        future.set_result(answer)


class JavaScriptKernel(Adoptable):
    """Node's JavaScript, with `await`, `require` and `import()`."""

    implementation = "devstudio-javascript"
    implementation_version = "1"
    banner = "JavaScript in a sandbox"
    exit_code = 0
    engine_log = 2
    iopub_thread: Any
    iopub_socket: Any
    io_loop: Any

    def __init__(self, **kwargs: Any) -> None:
        """Start Node."""
        super().__init__(**kwargs)
        self._said_for: dict[str, Any] = {}
        self.node = Node(self._say, self._end)
        self.language_info = {
            "name": "javascript",
            "version": self.node.version,
            "mimetype": "text/javascript",
            "file_extension": ".js",
            "pygments_lexer": "javascript",
            "codemirror_mode": "javascript",
        }
        self.banner = f"Node {self.node.version} in a sandbox"

    def start(self) -> None:
        """Serve."""
        super().start()
        self.io_loop.asyncio_loop.add_signal_handler(signal.SIGINT, self.node.interrupt)
        self.node.start()

    def pre_handler_hook(self) -> None:
        """Keep the signal handler."""

    post_handler_hook = pre_handler_hook

    def take_place(self, cwd: str, env: dict[str, str]) -> None:
        """Go where the notebook is, and Node, too: before any cell, since it takes requests in turn."""
        super().take_place(cwd, env)
        self.node.tell("place", cwd=cwd, env=env)

    async def do_execute(self, code: str, silent: bool, *_: Any, **_more: Any) -> Answer:  # noqa: FBT001 - ipykernel's
        """Run a cell."""
        self._said_for = self.get_parent("shell")
        told = await self.node.ask("run", code=code, count=self.execution_count)
        count = {"execution_count": self.execution_count}
        if error := told.get("error"):
            content = {"ename": error["name"], "evalue": error["message"], "traceback": error["lines"]}
            if not silent:
                self.send_response(self.iopub_socket, "error", content)
            return {"status": "error", **count, **content}
        if "shown" in told and not silent:
            result = {**count, "data": {"text/plain": told["shown"]}, "metadata": {}}
            self.send_response(self.iopub_socket, "execute_result", result)
        return {"status": "ok", **count, "payload": [], "user_expressions": {}}

    async def do_complete(self, code: str, cursor_pos: int) -> Answer:
        """Find the names that fit."""
        told = await self.node.ask("complete", before=code[:cursor_pos])
        return {
            "status": "ok",
            "matches": told.get("names", []),
            "cursor_start": cursor_pos - told.get("length", 0),
            "cursor_end": cursor_pos,
            "metadata": {},
        }

    async def do_inspect(self, code: str, cursor_pos: int, *_: Any) -> Answer:
        """Show what a name stands for."""
        told = await self.node.ask("inspect", before=code[:cursor_pos], after=code[cursor_pos:])
        text = told.get("text", "")
        return {"status": "ok", "found": bool(text), "data": {"text/plain": text} if text else {}, "metadata": {}}

    async def do_is_complete(self, code: str) -> Answer:
        """Tell whether a cell could run."""
        status = (await self.node.ask("check", code=code)).get("status", "unknown")
        return {"status": status, **({"indent": ""} if status == "incomplete" else {})}

    def _say(self, name: str, text: str) -> None:
        topic = self._topic(f"stream.{name}")
        content = {"name": name, "text": text}
        self.session.send(self.iopub_socket, "stream", content, parent=self._said_for, ident=topic)
        if name == "stderr":
            os.write(self.engine_log, text.encode(errors="replace"))

    def _end(self, code: int) -> None:
        """End with Node, as it did, when what it said has been taken."""
        self.iopub_thread.await_empty(LAST_S)
        self.exit_code = code if code >= 0 else 128 - code
        self.io_loop.add_callback(self.io_loop.stop)


def main() -> None:
    """Run the kernel to its end, which is Node's."""
    JavaScriptKernel.engine_log = os.dup(2)
    run_kernel(JavaScriptKernel)
    sys.exit(JavaScriptKernel.instance().exit_code)
