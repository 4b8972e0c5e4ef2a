"""What the examples' client says when things go wrong, and how it shows and sums up. The whole job is in tests/e2e."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from examples import main_job
from examples.main_job import ApiError, Client, ConnectionFailed, Example, ExampleError, Report, TaskOutcome

EXAMPLES = Path(main_job.__file__).parent
SEMVER = EXAMPLES / "semver"


@contextmanager
def answering(status: int, body: bytes) -> Iterator[tuple[str, list[BaseHTTPRequestHandler]]]:
    """Give the URL of a server with one answer for everything, and the requests that it got."""
    seen: list[BaseHTTPRequestHandler] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


def test_a_problem_document_is_told_in_full() -> None:
    problem = {
        "detail": "body.name: too long (1 more in `errors`)",
        "request_id": "r-17",
        "errors": [{"loc": ["body", "name"], "msg": "too long"}, {"loc": ["body", "type"], "msg": "unknown"}],
    }
    with answering(422, json.dumps(problem).encode()) as (url, _), pytest.raises(ApiError) as caught:
        Client(url).post("projects", {})
    assert str(caught.value).splitlines() == [
        "POST projects answered 422: body.name: too long (1 more in `errors`)",
        "  body.type: unknown",
        "  request id: r-17",
    ]


def test_an_error_that_is_no_problem_document_is_told_too() -> None:
    with answering(503, b"<h1>down</h1>") as (url, _), pytest.raises(ApiError, match="503: Service Unavailable"):
        Client(url).post("projects", {})


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"\xff"])
def test_another_server_is_recognised(body: bytes) -> None:
    with answering(200, body) as (url, _), pytest.raises(ConnectionFailed, match="not RENUM DevStudio"):
        Client(url).post("projects", {})


def test_the_token_is_sent_and_absent_fields_are_not() -> None:
    with answering(200, b"{}") as (url, seen):
        Client(url + "/", "secret").post("plan", {"stage": "design", "model": None})
    assert seen[0].path == "/api/v1/plan"
    assert seen[0].headers["Authorization"] == "token secret"
    assert seen[0].headers["Content-Length"] == str(len('{"stage": "design"}'))


def test_nothing_listens(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        assert main_job.main(SEMVER, ["--url", url]) == main_job.EXIT_ERROR
    assert "refused. Start it with `make run`, or give --url." in capsys.readouterr().err


@pytest.mark.parametrize("url", ["localhost:8000", "file:///etc/passwd", ""])
def test_an_address_must_be_one_of_the_web(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main_job.main(SEMVER, ["--url", url]) == main_job.EXIT_ERROR
    assert "starts with http:// or https://" in capsys.readouterr().err


def test_requirements_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.md").write_bytes(b"caf\xe9")
    for name in ("latin.md", "missing.md"):
        with pytest.raises(ExampleError, match=name):
            Example.load(SEMVER, tmp_path / name)


def test_hidden_characters_are_shown() -> None:
    shown = main_job.visible("a\tb\n\x1b[2Kc\r\u202ed\u200be caf\u00e9")
    assert shown == "a\tb\n\\x1b[2Kc\\r\\u202ed\\u200be caf\u00e9"


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ([TaskOutcome("1", "one", optional=False, status="done")], 0),
        (
            [
                TaskOutcome("1", "one", optional=False, status="done"),
                TaskOutcome("2", "two", optional=True, status="todo"),
            ],
            0,
        ),
        ([TaskOutcome("1", "one", optional=False, status="in_progress", reason="No passing test names 1.2 yet.")], 3),
        ([], 3),
    ],
)
def test_the_exit_code_follows_the_required_tasks(tasks: list[TaskOutcome], expected: int) -> None:
    assert main_job.print_report(Report("p", "s", "p/s.ipynb", tasks)) == expected


def test_open_tasks_are_named_with_their_reason(capsys: pytest.CaptureFixture[str]) -> None:
    open_task = TaskOutcome(
        "2", "Compare", optional=False, status="in_progress", reason="No passing test names 3.1 yet."
    )
    main_job.print_report(Report("p", "s", "p/s.ipynb", [open_task]))
    assert "  2. Compare: No passing test names 3.1 yet.\n" in capsys.readouterr().out
