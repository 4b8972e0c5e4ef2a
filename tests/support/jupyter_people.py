"""People of a team, as they call Jupyter's own services: over HTTP, byte for byte, and over WebSocket."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
from websockets.sync.client import ClientConnection, connect

NOTEBOOK: dict[str, Any] = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}
WAIT_S = 60.0


@dataclass
class Person:
    """Somebody with a token; without one, nobody."""

    url: str
    token: str | None = None
    tenant: UUID | None = None
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.url, headers=self.headers, timeout=WAIT_S, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return self.http.request(method, path, json=body, headers=headers)

    def get(self, path: str) -> httpx.Response:
        return self.send("GET", path)

    def raw(self, method: str, target: str, body: Any = None) -> tuple[int, str]:
        """Send ``target`` as it is: a client that tidies dots and escapes up would hide what is tested."""
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=WAIT_S)
        try:
            connection.putrequest(method, target)
            sent = b"" if body is None else json.dumps(body).encode()
            for name, value in {**self.headers, "Content-Length": str(len(sent))}.items():
                connection.putheader(name, value)
            connection.endheaders(sent)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        finally:
            connection.close()

    def socket(self, path: str, **headers: str) -> ClientConnection:
        return connect(
            f"{self.url.replace('http', 'ws', 1)}{path}",
            additional_headers={**self.headers, **headers},
            open_timeout=WAIT_S,
            close_timeout=5,
            proxy=None,
        )

    def handshake(self, path: str, **headers: str) -> tuple[int, str]:
        """Ask for a socket, and return the status (101: it opened) and where a redirect leads."""
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=WAIT_S)
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
        try:
            connection.request("GET", path, headers={**self.headers, **upgrade, **key, **headers})
            answer = connection.getresponse()
            return answer.status, answer.headers.get("Location", "")
        finally:
            connection.close()

    def save(self, path: str, content: Any = NOTEBOOK) -> None:
        kind = "notebook" if path.endswith(".ipynb") else "file"
        model = {"type": kind, "format": "json" if kind == "notebook" else "text", "content": content}
        answer = self.send("PUT", f"/api/contents/{path}", model)
        assert answer.status_code in {200, 201}, answer.text

    def names(self, folder: str = "") -> set[str]:
        return {entry["name"] for entry in self.get(f"/api/contents/{folder}").json()["content"]}

    def run(self, kernel_id: str, code: str) -> str:
        """Run ``code`` in a kernel, and return what it printed."""
        with self.socket(f"/api/kernels/{kernel_id}/channels?session_id={uuid4()}") as socket:
            message_id = uuid4().hex
            socket.send(json.dumps(_execute_request(message_id, code)))
            return _printed(socket, message_id)


def _execute_request(message_id: str, code: str) -> dict[str, Any]:
    header = {
        "msg_id": message_id,
        "msg_type": "execute_request",
        "session": uuid4().hex,
        "username": "",
        "version": "5.3",
    }
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    return {
        "header": header,
        "parent_header": {},
        "metadata": {},
        "content": content,
        "channel": "shell",
        "buffers": [],
    }


def _printed(socket: ClientConnection, message_id: str) -> str:
    printed, deadline = "", time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        message = json.loads(socket.recv(timeout=WAIT_S))
        if message["parent_header"].get("msg_id") != message_id:
            continue
        content = message["content"]
        if message["msg_type"] == "stream":
            printed += content["text"]
        assert message["msg_type"] != "error", content
        if message["msg_type"] == "status" and content["execution_state"] == "idle":
            return printed
    raise AssertionError(f"the kernel is still busy; it printed {printed!r}")
