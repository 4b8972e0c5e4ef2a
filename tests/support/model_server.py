"""A local server that speaks OpenAI's Chat Completions and Anthropic's Messages, for the real SDKs to talk to.

What it answers comes from a `Brain`; what it was asked is kept in `ModelServer.requests`. Like the real ones it refuses
a conversation in which a tool call has no result. Run it by itself, with ``tests`` on the path:
``python -m support.model_server --port 0 --answers examples/semver/answers`` prints its URL.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self, cast

_OPENAI_PATH = "/v1/chat/completions"
_ANTHROPIC_PATH = "/v1/messages"
_TASK_KEY = re.compile(r"task key: ([\d.]+)", re.IGNORECASE)
_ids = itertools.count(1)


@dataclass(frozen=True)
class Call:
    """A tool call. ``arguments`` as text is sent as it is by the OpenAI protocol; the other one knows only objects."""

    name: str
    arguments: Mapping[str, Any] | str
    id: str = ""


@dataclass(frozen=True)
class Turn:
    """One message of a conversation; ``call_id`` and ``is_error`` belong to the results of tools."""

    role: Literal["user", "assistant", "tool"]
    text: str
    calls: tuple[Call, ...] = ()
    call_id: str = ""
    is_error: bool = False


@dataclass(frozen=True)
class SeenRequest:
    """A request in one form for both protocols; ``body`` and ``headers`` (lower case) are as they came."""

    protocol: Literal["openai", "anthropic"]
    model: str
    system: str
    turns: tuple[Turn, ...]
    tools: tuple[str, ...]
    max_tokens: int | None
    body: dict[str, Any]
    headers: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """What the model says. ``usage`` is (input, output) as sent, absurd or not; ``None`` leaves it out."""

    text: str = ""
    calls: Sequence[Call] = ()
    stop: Literal["tool_calls", "end", "length", "refusal"] | None = None
    usage: tuple[Any, Any] | None = (1000, 100)


@dataclass(frozen=True)
class Fault:
    """What goes wrong instead: an HTTP error, silence until the server closes, a cut, or a body of its own."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "made to fail"
    code: str | None = None
    silent: bool = False
    cut: bool = False
    body: bytes | None = None


class Brain(Protocol):
    """Decides what to answer. Called from many threads."""

    def think(self, request: SeenRequest) -> Answer | Fault:
        """Answer one request."""
        ...


class ScriptBrain:
    """Gives the listed answers one after the other, and the last one for ever."""

    def __init__(self, script: Sequence[Answer | Fault]) -> None:
        """Take the script."""
        self._script = list(script)
        self._lock = threading.Lock()

    def think(self, request: SeenRequest) -> Answer | Fault:
        """Give the next answer."""
        del request
        with self._lock:
            return self._script.pop(0) if len(self._script) > 1 else self._script[0]


class AnswersBrain:
    """Answers from a folder: ``requirements.md``, ``design.md``, ``tasks.md``, and ``tasks/<key>/`` with whole files.

    ``tasks/<key>.summary.txt`` is the summary. The task's key is found in the prompt, as ``Task key: 1.2``.
    """

    def __init__(self, folder: Path) -> None:
        """Answer from ``folder``; raises ``NotADirectoryError``."""
        if not folder.is_dir():
            raise NotADirectoryError(folder)
        self._folder = folder

    def think(self, request: SeenRequest) -> Answer | Fault:
        """Answer with the tool that is offered for it."""
        if "write_documents" in request.tools:
            return Answer(calls=[Call("write_documents", self._documents())])
        key = _TASK_KEY.search("\n".join(turn.text for turn in request.turns))
        if "propose_changes" not in request.tools or key is None:
            return Answer("I know neither the tool nor the task.")
        listing = [turn.text for turn in request.turns if turn.role == "tool"]
        if "list_files" in request.tools and not listing:
            return Answer(calls=[Call("list_files", {"glob": "*"})])
        return self._changes(key.group(1).rstrip("."), set("\n".join(listing).splitlines()))

    def _documents(self) -> dict[str, str]:
        paths = [self._folder / f"{name}.md" for name in ("requirements", "design", "tasks")]
        return {path.stem: path.read_text("utf-8") for path in paths if path.exists()}

    def _changes(self, key: str, existing: set[str]) -> Answer:
        folder = self._folder / "tasks" / key
        files = [
            {
                "path": path.relative_to(folder).as_posix(),
                "action": "update" if path.relative_to(folder).as_posix() in existing else "create",
                "content": path.read_text("utf-8"),
            }
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        ]
        if not files:
            return Answer(f"There is no answer for task {key}.")
        summary = self._folder / "tasks" / f"{key}.summary.txt"
        text = summary.read_text("utf-8").strip() if summary.exists() else f"Task {key}"
        return Answer(calls=[Call("propose_changes", {"summary": text, "files": files})])


class ModelServer:
    """The server, in its own thread for as long as its ``with`` block. ``keys`` limits the API keys it accepts."""

    def __init__(self, brain: Brain, *, port: int = 0, keys: frozenset[str] | None = None) -> None:
        """Listen on 127.0.0.1; port 0 takes a free one."""
        self.brain = brain
        self.keys = keys
        self.requests: list[SeenRequest] = []
        self.closing = threading.Event()
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
    owner: ModelServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing: standard output is for the URL."""

    def do_POST(self) -> None:
        """Answer one call of a model."""
        owner = cast("_HttpServer", self.server).owner
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        dialect = _DIALECTS.get(self.path.partition("?")[0])
        if dialect is None:
            return self._send(404, {"error": {"type": "not_found_error", "message": self.path}})
        request = dialect.read(json.loads(raw), {name.lower(): value for name, value in self.headers.items()})
        owner.requests.append(request)
        refusal = _refusal(request, owner.keys)
        reaction = refusal or owner.brain.think(request)
        if isinstance(reaction, Answer):
            return self._send(200, dialect.write(request, reaction))
        return self._fail(dialect, reaction, owner.closing)

    def _fail(self, dialect: Dialect, fault: Fault, closing: threading.Event) -> None:
        if fault.silent:
            closing.wait()
            self.close_connection = True
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
    """Refuse as the real servers do: a wrong key, no limit, streaming (not built), a tool call without a result."""
    # Anthropic takes both, and its SDK has changed from the one to the other.
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    key = bearer if request.protocol == "openai" else request.headers.get("x-api-key", bearer)
    if not key or (keys is not None and key not in keys):
        return Fault(401, message=f"Incorrect API key provided: {key}", code="invalid_api_key")
    if request.body.get("stream"):
        return Fault(400, message="this server does not stream")
    if request.protocol == "anthropic" and (request.max_tokens is None or "anthropic-version" not in request.headers):
        return Fault(400, message="max_tokens and anthropic-version are required")
    for turn, after in itertools.pairwise((*request.turns, Turn("user", ""))):
        if turn.role == "assistant" and turn.calls and after.role != "tool":
            return Fault(400, message="tool calls must be followed by their results")
    wanted = sorted(call.id for turn in request.turns for call in turn.calls)
    if wanted != sorted(turn.call_id for turn in request.turns if turn.role == "tool"):
        return Fault(400, message="each tool call needs exactly one result")
    return None


class Dialect(Protocol):
    """One protocol: reads requests into the common form, writes answers and errors out of it."""

    def read(self, body: dict[str, Any], headers: dict[str, str]) -> SeenRequest:
        """Read a request."""
        ...

    def write(self, request: SeenRequest, answer: Answer) -> dict[str, Any]:
        """Return the body of an answer."""
        ...

    def error(self, fault: Fault) -> dict[str, Any]:
        """Return the body of an error."""
        ...


class _OpenAI:
    _stops: Mapping[str, str] = {
        "tool_calls": "tool_calls",
        "end": "stop",
        "length": "length",
        "refusal": "content_filter",
    }

    def read(self, body: dict[str, Any], headers: dict[str, str]) -> SeenRequest:
        system = "\n".join(message["content"] for message in body["messages"] if message["role"] == "system")
        return SeenRequest(
            protocol="openai",
            model=body["model"],
            system=system,
            turns=tuple(self._turn(message) for message in body["messages"] if message["role"] != "system"),
            tools=tuple(tool["function"]["name"] for tool in body.get("tools", ())),
            max_tokens=body.get("max_completion_tokens", body.get("max_tokens")),
            body=body,
            headers=headers,
        )

    def _turn(self, message: dict[str, Any]) -> Turn:
        calls = tuple(
            Call(call["function"]["name"], json.loads(call["function"]["arguments"]), call["id"])
            for call in message.get("tool_calls", ())
        )
        return Turn(message["role"], message["content"] or "", calls, message.get("tool_call_id", ""))

    def write(self, request: SeenRequest, answer: Answer) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": answer.text or None, "refusal": None}
        if answer.calls:
            message["tool_calls"] = [
                {"id": f"call_{next(_ids):08d}", "type": "function", "function": self._function(call)}
                for call in answer.calls
            ]
        finish = self._stops[answer.stop or ("tool_calls" if answer.calls else "end")]
        body: dict[str, Any] = {
            "id": f"chatcmpl-{next(_ids):08d}",
            "object": "chat.completion",
            "created": 1_790_000_000,
            "model": request.model,
            "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
        }
        if answer.usage is not None:
            tokens_input, tokens_output = answer.usage
            numbers = isinstance(tokens_input, int) and isinstance(tokens_output, int)
            total = tokens_input + tokens_output if numbers else None
            body["usage"] = {
                "prompt_tokens": tokens_input,
                "completion_tokens": tokens_output,
                "total_tokens": total,
            }
        return body

    def _function(self, call: Call) -> dict[str, str]:
        arguments = call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments)
        return {"name": call.name, "arguments": arguments}

    def error(self, fault: Fault) -> dict[str, Any]:
        return {"error": {"message": fault.message, "type": "error", "param": None, "code": fault.code}}


class _Anthropic:
    _stops: Mapping[str, str] = {
        "tool_calls": "tool_use",
        "end": "end_turn",
        "length": "max_tokens",
        "refusal": "refusal",
    }

    def read(self, body: dict[str, Any], headers: dict[str, str]) -> SeenRequest:
        return SeenRequest(
            protocol="anthropic",
            model=body["model"],
            system=body.get("system", ""),
            turns=tuple(turn for message in body["messages"] for turn in self._turns(message)),
            tools=tuple(tool["name"] for tool in body.get("tools", ())),
            max_tokens=body.get("max_tokens"),
            body=body,
            headers=headers,
        )

    def _turns(self, message: dict[str, Any]) -> Iterator[Turn]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for block in blocks:
            if block["type"] == "tool_result":
                yield Turn("tool", block["content"], (), block["tool_use_id"], bool(block.get("is_error")))
        text = "".join(block["text"] for block in blocks if block["type"] == "text")
        calls = tuple(
            Call(block["name"], block["input"], block["id"]) for block in blocks if block["type"] == "tool_use"
        )
        if text or calls:
            yield Turn(message["role"], text, calls)

    def write(self, request: SeenRequest, answer: Answer) -> dict[str, Any]:
        content: list[dict[str, Any]] = [{"type": "text", "text": answer.text}] if answer.text else []
        for call in answer.calls:
            arguments = {} if isinstance(call.arguments, str) else dict(call.arguments)
            identity = f"toolu_{next(_ids):08d}"
            content.append({"type": "tool_use", "id": identity, "name": call.name, "input": arguments})
        body: dict[str, Any] = {
            "id": f"msg_{next(_ids):08d}",
            "type": "message",
            "role": "assistant",
            "model": request.model,
            "content": content,
            "stop_reason": self._stops[answer.stop or ("tool_calls" if answer.calls else "end")],
            "stop_sequence": None,
        }
        if answer.usage is not None:
            body["usage"] = {"input_tokens": answer.usage[0], "output_tokens": answer.usage[1]}
        return body

    def error(self, fault: Fault) -> dict[str, Any]:
        return {"type": "error", "error": {"type": "api_error", "message": fault.message}}


_DIALECTS: Mapping[str, Dialect] = {_OPENAI_PATH: _OpenAI(), _ANTHROPIC_PATH: _Anthropic()}


def main() -> None:
    """Serve the answers of a folder until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--answers", type=Path, required=True, help="a folder such as examples/semver/answers")
    options = parser.parse_args()
    with ModelServer(AnswersBrain(options.answers), port=options.port) as server:
        print(server.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
