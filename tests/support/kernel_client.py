"""Kernels as a browser reaches them: over HTTP and the kernel WebSocket of a running server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
from websockets.sync.client import ClientConnection, connect

WAIT_S = 120.0
SANDBOX = "devstudio-python"


@dataclass
class Ran:
    """What came of one cell."""

    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    error: dict[str, Any] | None = None
    states: list[str] = field(default_factory=list)
    """What was said of the kernel itself, and not for the cell: `restarting`."""

    def note(self, kind: str, content: dict[str, Any]) -> None:
        """Take what was said for the cell."""
        if kind == "stream":
            (self.out if content["name"] == "stdout" else self.err).append(content["text"])
        elif kind in {"execute_result", "display_data"}:
            self.results.append(content["data"])
        elif kind == "error":
            self.error = content

    @property
    def stdout(self) -> str:
        return "".join(self.out)

    @property
    def stderr(self) -> str:
        return "".join(self.err)


class Channels:
    """An open kernel WebSocket."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def send(self, kind: str, content: dict[str, Any], channel: str = "shell") -> str:
        """Send a message, and return its id."""
        message_id = uuid4().hex
        header = {
            "msg_id": message_id,
            "msg_type": kind,
            "username": "",
            "session": "test",
            "version": "5.4",
            "date": "",
        }
        message = {"channel": channel, "header": header, "parent_header": {}, "metadata": {}, "content": content}
        self.socket.send(json.dumps(message | {"buffers": []}))
        return message_id

    def execute(self, code: str, *, stdin: bool = False) -> str:
        """Send a cell."""
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": stdin}
        return self.send("execute_request", content)

    def messages(self, wait_s: float = WAIT_S) -> Iterator[dict[str, Any]]:
        """Yield what comes."""
        while True:
            yield json.loads(self.socket.recv(timeout=wait_s))

    def follow(self, message_id: str, *, answer: str = "", on_message: Callable[[Any], None] | None = None) -> Ran:
        """Collect what comes of a cell until it is done, or until its kernel starts again."""
        ran, left = Ran(), {"idle", "execute_reply"}
        while left:
            message = json.loads(self.socket.recv(timeout=WAIT_S))
            kind, content = message["msg_type"], message["content"]
            state = content["execution_state"] if kind == "status" else kind
            if on_message:
                on_message(message)
            if message["parent_header"].get("msg_id") == message_id:
                left.discard(state)
                ran.note(kind, content)
                if kind == "input_request":
                    self.send("input_reply", {"value": answer}, "stdin")
            elif state in {"restarting", "dead"}:
                ran.states.append(state)
                break
        return ran

    def run(self, code: str, *, answer: str = "") -> Ran:
        """Run a cell to its end."""
        return self.follow(self.execute(code, stdin=bool(answer)), answer=answer)


class KernelClient:
    """Somebody with a browser. ``authorization`` is the header of who it is."""

    def __init__(self, url: str, authorization: str) -> None:
        self.url, self._headers = url, {"Authorization": authorization}
        self.http = httpx.Client(base_url=url, headers=self._headers, timeout=WAIT_S, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def session(self, path: str, kernel: str = SANDBOX) -> dict[str, Any]:
        """Open a notebook's session, which starts its kernel."""
        answer = self.open(path, kernel)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def open(self, path: str, kernel: str = SANDBOX) -> httpx.Response:
        """Ask for a notebook's session."""
        name = path.rpartition("/")[2]
        body = {"path": path, "name": name, "type": "notebook", "kernel": {"name": kernel}}
        return self.http.post("/api/sessions", json=body)

    def kernel(self, path: str = "a.ipynb", kernel: str = SANDBOX) -> str:
        """Open a notebook's session, and return the id of its kernel."""
        return str(self.session(path, kernel)["kernel"]["id"])

    def post(self, path: str) -> None:
        """Ask for an action, and expect that it is done."""
        answer = self.http.post(path)
        assert answer.is_success, answer.text

    @contextmanager
    def channels(self, kernel_id: str, session: str | None = None, **options: Any) -> Iterator[Channels]:
        """Open the kernel's WebSocket."""
        url = (
            f"{self.url.replace('http', 'ws', 1)}/api/kernels/{kernel_id}/channels?session_id={session or uuid4().hex}"
        )
        with connect(url, additional_headers=self._headers, max_size=None, proxy=None, **options) as socket:
            try:
                yield Channels(socket)
            finally:
                socket.close()
                socket.socket.close()  # a server that is slow to say goodbye leaves it open

    def run(self, kernel_id: str, code: str) -> Ran:
        """Run a cell over a WebSocket of its own."""
        with self.channels(kernel_id) as channels:
            return channels.run(code)


def until(true: Callable[[], Any], what: str, wait_s: float = 60.0) -> Any:
    """Wait for what another process brings about, and return it."""
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        if found := true():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {wait_s} s: {what}")
