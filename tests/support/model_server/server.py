"""The server itself: HTTP, streaming, and every way to fail."""

from __future__ import annotations

import itertools
import json
import select
import socket
import struct
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, cast

from support.model_server.brains import Brain
from support.model_server.dialects import Anthropic, Dialect, OpenAI
from support.model_server.forms import Answer, Fault, Flow, SeenRequest, Turn
from support.model_server.streams import AnthropicStream, Event, OpenAIStream, Stream

_PROTOCOLS: Mapping[str, tuple[Dialect, Stream]] = {
    "/v1/chat/completions": (OpenAI(), OpenAIStream()),
    "/v1/messages": (Anthropic(), AnthropicStream()),
}
# How long until it is noticed that a client has left, or that the test lets go.
_LOOK_S = 0.01


class ModelServer:
    """The server, in its own thread for as long as its ``with`` block. ``keys`` limits the API keys it accepts."""

    def __init__(self, brain: Brain, *, port: int = 0, keys: frozenset[str] | None = None) -> None:
        """Listen on 127.0.0.1; port 0 takes a free one."""
        self.brain = brain
        self.keys = keys
        self.requests: list[SeenRequest] = []
        self.closing = threading.Event()
        # Released for each streamed answer whose client left before its end.
        self.left = threading.Semaphore(0)
        # `time.monotonic()` of the moment before each streamed piece was sent.
        self.sent: list[float] = []
        self._http = _HttpServer(("127.0.0.1", port), _Handler)
        self._http.owner = self
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """The address, which is also ANTHROPIC_BASE_URL."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def openai_base_url(self) -> str:
        """The value of OPENAI_BASE_URL."""
        return f"{self.url}/v1"

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Let go of silent connections, and stop."""
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024
    owner: ModelServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that leave: that is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body go out in two writes: without this the second may wait 40 ms for the client's acknowledgement.
    disable_nagle_algorithm = True

    @property
    def owner(self) -> ModelServer:
        return cast("_HttpServer", self.server).owner

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing: standard output is for the URL."""

    def do_POST(self) -> None:
        """Answer one call of a model."""
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        protocol = _PROTOCOLS.get(self.path.partition("?")[0])
        if protocol is None:
            return self._send(404, {"error": {"type": "not_found_error", "message": self.path}})
        dialect, stream = protocol
        request = dialect.read(json.loads(raw), {name.lower(): value for name, value in self.headers.items()})
        self.owner.requests.append(request)
        reaction = _refusal(request, self.owner.keys) or self.owner.brain.think(request)
        if isinstance(reaction, Fault):
            return self._fail(dialect, reaction)
        if request.streams:
            return self._stream(stream, request, reaction)
        return self._send(200, dialect.write(request, reaction))

    def _stream(self, stream: Stream, request: SeenRequest, answer: Answer) -> None:
        flow = answer.flow
        self.send_response(200)
        self.send_header("Content-Type", flow.content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            self._pour(stream, request, answer)
        except OSError:
            self._ended()

    def _pour(self, stream: Stream, request: SeenRequest, answer: Answer) -> None:
        flow, poured, last, turned = answer.flow, 0, Event(b""), False
        for event in stream.events(request, answer):
            if poured == flow.after and (event.piece or poured) and not turned:
                turned = True
                if not self._turn_of_fate(stream, flow, last):
                    return
            self._chunk(event)
            poured, last = (poured + 1, event) if event.piece else (poured, last)
        self.wfile.write(b"0\r\n\r\n")

    def _turn_of_fate(self, stream: Stream, flow: Flow, last: Event) -> bool:
        """Let happen what shall; tell whether the answer goes on."""
        if flow.then == "hold":
            return self._wait(flow.release)
        if flow.then == "silent":
            self._wait(threading.Event())
        elif flow.then == "endless":
            while self._wait(threading.Event(), 1):
                self._chunk(last)
        elif flow.then == "reset":
            self._reset()
        elif flow.then in {"garbage", "error", "end"}:
            endings = {"garbage": stream.garbage, "error": stream.error(Fault(529, message="Overloaded"))}
            self._chunk(Event(endings.get(flow.then, b"")))
            self.wfile.write(b"0\r\n\r\n")
            return False
        self.close_connection = True
        return False

    def _wait(self, until: threading.Event, looks: int | None = None) -> bool:
        """Wait, ``looks`` times at most; false once the client left or the server closes."""
        for look in itertools.count():
            if self.owner.closing.is_set() or self._is_gone():
                self._ended()
                return False
            if until.wait(_LOOK_S) or look + 1 == looks:
                return True
        return False

    def _is_gone(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        try:
            return bool(readable) and self.connection.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True

    def _ended(self) -> None:
        self.close_connection = True
        if not self.owner.closing.is_set():
            self.owner.left.release()

    def _chunk(self, event: Event) -> None:
        if event.data:
            if event.piece:
                self.owner.sent.append(time.monotonic())
            self.wfile.write(b"%x\r\n%b\r\n" % (len(event.data), event.data))

    def _reset(self) -> None:
        """Close so that the other side is told of a reset, not of an end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _fail(self, dialect: Dialect, fault: Fault) -> None:
        if fault.silent:
            self.owner.closing.wait()
            self.close_connection = True
        elif fault.reset:
            self._reset()
        elif fault.cut:
            self.wfile.write(
                b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{"id": "'
            )
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif fault.body is not None:
            self._send_bytes(fault.status, fault.body, fault.headers)
        else:
            self._send(fault.status, dialect.error(fault), fault.headers)

    def _send(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        self._send_bytes(status, json.dumps(body).encode(), headers or {})

    def _send_bytes(self, status: int, data: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        fields = {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def _refusal(request: SeenRequest, keys: frozenset[str] | None) -> Fault | None:
    """Refuse as the real servers do: a wrong key, no limit, a tool call without a result."""
    # Anthropic takes both, and its SDK has changed from the one to the other.
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    key = bearer if request.protocol == "openai" else request.headers.get("x-api-key", bearer)
    if not key or (keys is not None and key not in keys):
        return Fault(401, message=f"Incorrect API key provided: {key}", code="invalid_api_key")
    if request.protocol == "anthropic" and (request.max_tokens is None or "anthropic-version" not in request.headers):
        return Fault(400, message="max_tokens and anthropic-version are required")
    for turn, after in itertools.pairwise((*request.turns, Turn("user", ""))):
        if turn.role == "assistant" and turn.calls and after.role != "tool":
            return Fault(400, message="tool calls must be followed by their results")
    wanted = sorted(call.id for turn in request.turns for call in turn.calls)
    if wanted != sorted(turn.call_id for turn in request.turns if turn.role == "tool"):
        return Fault(400, message="each tool call needs exactly one result")
    return None
