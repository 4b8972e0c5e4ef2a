"""Records the exchanges with models as they went over the wire, and replays them, byte for byte, without a network.

It works beneath the SDKs, which read a replayed answer as they read any. An exchange is a JSON file that a person can
read and review. It holds neither a key nor a header of the request.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

import httpx2

from devstudio_server.ai.cassette_miss import CassetteMiss
from devstudio_server.ai.cassette_settings import CassetteSettings

Hooks = dict[str, list[Callable[..., Any]]]

# What an SDK needs in order to read the body, and what says when to come again.
_KEPT_HEADERS = ("content-type", "content-encoding", "retry-after")
# A shorter key, such as those of local servers, could be a part of any text.
_LEAST_KEY = 8
# What this server makes at random and puts into prompts: ids of blocks, the tags of delimited data made from these.
_MARKS = re.compile(r'(?<=<!-- id:)[0-9a-z]+|(?<=<data id=\\")[0-9a-f]+|(?<=</data id=\\")[0-9a-f]+')
_NAME = re.compile(r"[0-9a-f]{32}-(\d+)\.json")


class HttpOptions(TypedDict, total=False):
    """Arguments of an HTTP client."""

    event_hooks: Hooks
    transport: httpx2.BaseTransport


@dataclass(frozen=True)
class Exchange:
    """What was sent, and what came. ``whole`` is false when no more came, though more was to come or was not read."""

    endpoint: str
    path: str
    request: Any
    status: int
    headers: dict[str, str]
    body: list[str] | str
    encoding: Literal["lines", "base64"]
    whole: bool

    def content(self) -> bytes:
        """Return the body as it came."""
        if isinstance(self.body, str):
            return base64.b64decode(self.body)
        return "".join(self.body).encode()


class Cassette:
    """The exchanges with one endpoint. A request that is made again has its answers in their order."""

    def __init__(self, settings: CassetteSettings, endpoint: str, api_key: str | None) -> None:
        """Open no file yet. ``api_key`` is what never gets into one."""
        self._folder = settings.folder
        self._mode = settings.mode
        self._endpoint = endpoint
        self._key = (api_key or "").encode()
        self._guard = threading.Lock()
        self._played: Counter[str] = Counter()

    def options(self, hooks: Hooks) -> HttpOptions:
        """Return the arguments of an HTTP client that records to this cassette, or that it answers."""
        if self._mode == "replay":
            return {"event_hooks": hooks, "transport": _Replay(self)}
        request = [*hooks.get("request", ()), _ask_for_plain_text]
        return {"event_hooks": {**hooks, "request": request, "response": [self._record]}}

    def play(self, request: httpx2.Request) -> Exchange:
        """Return the next answer to ``request``; raises `CassetteMiss`."""
        body = self._body_of(request)
        digest = self._digest(body)
        with self._guard:
            self._played[digest] += 1
            number = self._played[digest]
        path = self._folder / _file_name(digest, number)
        if path.is_file():
            return _read(path)
        if number > 1:
            raise CassetteMiss.used_up(self._folder, number - 1)
        raise CassetteMiss.unknown(self._folder, _without_marks(body), self._recorded())

    def keep(self, request: httpx2.Request, response: httpx2.Response, content: bytes, *, whole: bool) -> None:
        """Write one exchange down."""
        body = self._body_of(request)
        text, encoding = _readable(self._without_key(content))
        exchange = Exchange(
            endpoint=self._endpoint,
            path=request.url.path,
            request=body,
            status=response.status_code,
            headers={name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers},
            body=text,
            encoding=encoding,
            whole=whole,
        )
        self._write(self._digest(body), json.dumps(asdict(exchange), indent=1, ensure_ascii=False) + "\n")

    def _write(self, digest: str, text: str) -> None:
        """Write to the first free number, which another process may be after, too."""
        self._folder.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            try:
                with (self._folder / _file_name(digest, number)).open("x", encoding="utf-8") as file:
                    file.write(text)
            except FileExistsError:
                number += 1
            else:
                return

    def _record(self, response: httpx2.Response) -> None:
        def keep(content: bytes, *, whole: bool) -> None:
            self.keep(response.request, response, content, whole=whole)

        if not isinstance(response.stream, httpx2.SyncByteStream):
            raise TypeError(response.stream)
        response.stream = _Tee(response.stream, keep)

    def _body_of(self, request: httpx2.Request) -> Any:
        return json.loads(self._without_key(request.read()))

    def _without_key(self, content: bytes) -> bytes:
        """Take the key out, which some servers repeat in their errors."""
        return content.replace(self._key, b"[key]") if len(self._key) >= _LEAST_KEY else content

    def _digest(self, body: Any) -> str:
        canonical = json.dumps([self._endpoint, _without_marks(body)], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:32]

    def _recorded(self) -> Iterator[tuple[str, Any]]:
        for path in sorted(self._folder.glob("*.json")):
            if _NAME.fullmatch(path.name):
                exchange = _read(path)
                if exchange.endpoint == self._endpoint:
                    yield path.name, _without_marks(exchange.request)


class _Replay(httpx2.BaseTransport):
    """Answers from a cassette, and from nowhere else."""

    def __init__(self, cassette: Cassette) -> None:
        self._cassette = cassette

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        exchange = self._cassette.play(request)
        return httpx2.Response(exchange.status, headers=exchange.headers, stream=_Played(exchange))


class _Played(httpx2.SyncByteStream):
    """The body of a recorded answer; it breaks where the recording does."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        yield self._exchange.content()
        if not self._exchange.whole:
            message = "the recorded answer ends here"
            raise httpx2.RemoteProtocolError(message)


class _Tee(httpx2.SyncByteStream):
    """Hands the body on as it comes, and to ``keep`` at its end, whatever the end is."""

    def __init__(self, stream: httpx2.SyncByteStream, keep: Callable[..., None]) -> None:
        self._stream = stream
        self._keep = keep
        self._came: list[bytes] = []
        self._kept = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._stream:
                self._came.append(chunk)
                yield chunk
        except httpx2.TransportError:
            self._end(whole=False)
            raise
        self._end(whole=True)

    def close(self) -> None:
        self._end(whole=False)
        self._stream.close()

    def _end(self, *, whole: bool) -> None:
        if not self._kept:
            self._kept = True
            self._keep(b"".join(self._came), whole=whole)


def _ask_for_plain_text(request: httpx2.Request) -> None:
    """Keep the recording readable."""
    request.headers["accept-encoding"] = "identity"


def _without_marks(body: Any) -> Any:
    """Replace the marks by their order, so that the same work on another database is the same request."""
    seen: dict[str, str] = {}
    text = json.dumps(body, ensure_ascii=False)
    return json.loads(_MARKS.sub(lambda mark: seen.setdefault(mark[0], str(len(seen) + 1)), text))


def _file_name(digest: str, number: int) -> str:
    return f"{digest}-{number}.json"


def _readable(content: bytes) -> tuple[list[str] | str, Literal["lines", "base64"]]:
    """Return lines where the body is text, so that a review of the file shows what changed."""
    try:
        return content.decode().splitlines(keepends=True), "lines"
    except UnicodeDecodeError:
        return base64.b64encode(content).decode(), "base64"


def _read(path: Path) -> Exchange:
    try:
        fields: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
        return Exchange(**fields)
    except (ValueError, TypeError) as error:
        raise CassetteMiss.broken(path) from error
