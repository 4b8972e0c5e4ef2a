"""Bad diffs over HTTP: each gets a clear problem document, changes nothing, and costs the server little memory."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from devstudio_server.patches.content import MAX_PATCH_BYTES
from support.patch_corpus import REFUSED
from support.studio import TOKEN, Api, Studio

DOCUMENTS = {
    "requirements": "# Requirements\n### Requirement 1: One\n#### Acceptance Criteria\n1. THE SYSTEM SHALL work\n",
    "tasks": "# Tasks\n- [ ] 1. Do it\n  - _Requirements: 1.1_\n",
}
BODY_MB = 100
GROWTH_MB = 40
NEW = "diff --git a/x b/x\nnew file mode 100644\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+é\n"


@pytest.fixture(scope="module")
def task(studio: Studio) -> str:
    """A task of a project of its own."""
    api = studio.api
    session = api.session(api.project()["id"])
    api.put(f"spec-sessions/{session['id']}", {"documents": DOCUMENTS}).expect(200)
    return str(api.get(f"spec-sessions/{session['id']}/tasks").expect(200)["items"][0]["id"])


def everything(api: Api, studio: Studio) -> tuple[Any, list[str]]:
    """Return all that a diff could have changed: patches and refs."""
    repositories = sorted(path for path in Path(studio.data_dir).rglob("*.git") if path.is_dir())
    refs = [str(path) for each in repositories for path in sorted((each / "refs").rglob("*"))]
    return api.get("code/patches").expect(200)["items"], refs


@pytest.mark.parametrize(
    "name",
    [
        "outside: parent", "git: git hooks", "mode: link", "name: two names that differ in case", "name: copy",
        "broken: nothing",
        "broken: count too small", "broken: whole diff in crlf", "broken: zero byte",
        "broken: delta that unpacks to gigabytes", "large: file too large", "large: too many files",
    ],
)  # fmt: skip
def test_a_bad_diff_is_a_problem_that_names_its_line(api: Api, studio: Studio, task: str, name: str) -> None:
    before = everything(api, studio)
    problem = api.post("code/patches", {"task_id": task, "diff": REFUSED[name].decode()}).problem(422)
    assert problem["title"] != "Internal error"
    if problem["title"] == "The patch is refused":
        assert problem["detail"].startswith(f"Line {problem['line']} of the diff")
        assert problem["errors"] == [{"loc": ["body", "diff"], "msg": problem["detail"]}]
    assert everything(api, studio) == before


@pytest.mark.parametrize(
    ("change", "loc"),
    [
        ({"diff": "y" * (MAX_PATCH_BYTES + 1)}, ["body", "diff"]),
        ({"diff": None}, ["body", "diff"]),
        ({"base": "main"}, ["body", "base"]),
        ({"branch": ""}, ["body", "branch"]),
        ({"branch": "none"}, ["body", "branch"]),
        ({"base": "0" * 40}, ["body", "base"]),
        ({"sign_off": True}, ["body", "sign_off"]),
    ],
)
def test_fields_that_are_wrong_are_named(
    api: Api, studio: Studio, task: str, change: dict[str, Any], loc: list[str]
) -> None:
    before = everything(api, studio)
    problem = api.post("code/patches", {"task_id": task, "diff": NEW} | change).problem(422)
    assert loc in [error["loc"] for error in problem["errors"]]
    assert everything(api, studio) == before


def test_half_a_character_is_no_text(api: Api, task: str) -> None:
    raw = b'{"task_id": "%s", "diff": "\\ud800"}' % task.encode()
    answer = api.send("POST", "code/patches", content=raw, headers={"Content-Type": "application/json"})
    assert answer.problem(422)["errors"][0]["loc"][0] == "body"


def test_a_diff_of_what_is_not_there_conflicts(api: Api, studio: Studio, task: str) -> None:
    before = everything(api, studio)
    edit = NEW.replace("new file mode 100644\n--- /dev/null", "--- a/x").replace("-0,0 +1 @@", "-1 +1 @@\n-y")
    problem = api.post("code/patches", {"task_id": task, "diff": edit}).problem(409)
    assert "x: No such file" in problem["detail"]
    assert everything(api, studio) == before


def test_a_hundred_megabytes_are_refused_and_never_held(studio: Studio, api: Api, task: str) -> None:
    """The request is read as far as a limit reaches, and the server does not grow by what it was sent."""
    api.post("code/patches", {"task_id": task, "diff": "x"}).problem(422)
    Path(f"/proc/{studio.process.pid}/clear_refs").write_text("5")  # forgets how much it ever had
    before = memory_mb(studio)
    with socket.create_connection(("127.0.0.1", studio.port), 30) as connection:
        size = BODY_MB * 1024 * 1024
        head = f"POST /api/v1/code/patches HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: token {TOKEN}\r\n"
        connection.sendall(f"{head}Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n".encode())
        answer, sent = b"", 0
        piece = b" " * 1024 * 1024
        try:
            while sent < size:
                connection.sendall(piece)
                sent += len(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            answer = connection.recv(4096)
        except ConnectionResetError:
            assert sent < size
    assert answer[:12] == b"HTTP/1.1 413"
    assert memory_mb(studio) - before < GROWTH_MB
    api.get("health").expect(200)


def memory_mb(studio: Studio) -> float:
    """Return the most memory that the server has had since it was told to forget, in MB."""
    status = Path(f"/proc/{studio.process.pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024
