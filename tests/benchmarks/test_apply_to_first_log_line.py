"""How long after `POST code/apply` the first log line is there, beside a bare `docker run` of the same image."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import docker
import pytest

from benchmarks.conftest import Scale
from benchmarks.reporter import Figure, Reporter
from devstudio_sandbox.docker_backend import IMAGES
from devstudio_sandbox.docker_host import engine_address
from devstudio_sandbox.docker_stream import AttachedStream
from support.model_server import Answer, Brain, Call, ModelServer, ScriptBrain
from support.studio import Api, Studio

IMAGE = IMAGES["python"]
PRINT = ["python3", "-c", "print(1)"]
OWN_NOTE = "[devstudio] "
DOCUMENTS = {
    "requirements": "# Requirements\n### Requirement 1: One\n#### Acceptance Criteria\n1. THE SYSTEM SHALL work\n",
    "tasks": "# Tasks\n- [ ] 1. Do it\n  - _Requirements: 1.1_\n",
}
TEST_FILE = "import pytest\n\n\n@pytest.mark.criterion('1.1')\ndef test_it() -> None:\n    assert True\n"
CHANGE = Call(
    "propose_changes",
    {"summary": "s", "files": [{"path": "tests/test_it.py", "action": "create", "content": TEST_FILE}]},
)


@dataclass(frozen=True)
class FirstLines:
    """Milliseconds from the request to: any line, the sandbox standing, and a line that came out of the sandbox."""

    any: float
    ready: float
    inside: float


@contextmanager
def thinking(server: ModelServer, brain: Brain) -> Iterator[None]:
    """Let ``brain`` answer for a while."""
    usual, server.brain = server.brain, brain
    try:
        yield
    finally:
        server.brain = usual


def approved_patch(api: Api, model: str) -> str:
    """Make a patch in a project of its own, and approve it."""
    session = api.session(api.project()["id"])
    api.put(f"spec-sessions/{session['id']}", {"documents": DOCUMENTS}).expect(200)
    task = api.get(f"spec-sessions/{session['id']}/tasks").expect(200)["items"][0]
    patch = api.post("code/generate", {"task_id": task["id"], "model": model}).expect(201)
    digest = api.post("code/preview", {"patch_id": patch["patch_id"]}).expect(200)["digest"]
    api.post(f"code/patches/{patch['patch_id']}/approve", {"digest": digest}).expect(200)
    return str(patch["patch_id"])


def apply(api: Api, patch_id: str) -> FirstLines:
    """Apply a patch, follow its log to the end, and check that the run did all of its work."""
    begun = perf_counter()
    run_id = api.post("code/apply", {"patch_id": patch_id}).expect(202)["run_id"]
    text = ""
    seen: dict[str, float] = {}
    for event in api.events("GET", f"exec/{run_id}/logs"):
        at = (perf_counter() - begun) * 1000
        text += event["data"]["content"]
        for name in milestones(text):
            seen.setdefault(name, at)
    run: dict[str, Any] = api.get(f"exec/{run_id}").expect(200)
    assert run["status"] == "success", text
    assert run["commit"], text
    assert [test["outcome"] for test in run["tests"]] == ["passed"]
    lines = FirstLines(**seen)
    assert lines.any <= lines.ready <= lines.inside
    return lines


def milestones(text: str) -> Iterator[str]:
    """Tell which of `FirstLines` are in the log so far."""
    lines = text.split("\n")[:-1]
    if lines:
        yield "any"
    if any(line.startswith(f"{OWN_NOTE}Isolation:") for line in lines):
        yield "ready"
    if any(not line.startswith(OWN_NOTE) for line in lines):
        yield "inside"


def by_command_line() -> float:
    """Return the milliseconds to the first byte of `docker run`."""
    begun = perf_counter()
    with subprocess.Popen(
        ["docker", "run", "--rm", "--network", "none", IMAGE, *PRINT], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        first = process.stdout.read(1)
        taken = (perf_counter() - begun) * 1000
        assert first + process.stdout.read() == b"1\n"
    assert process.returncode == 0
    return taken


def by_api(api: docker.APIClient) -> float:
    """Return the milliseconds to the first byte of the same, asked of the engine without the command line."""
    begun = perf_counter()
    container = api.create_container(IMAGE, PRINT, host_config=api.create_host_config(network_mode="none"))["Id"]
    try:
        with closing(AttachedStream(api, container)) as stream:
            api.start(container)
            output = stream.read(60)
            taken = (perf_counter() - begun) * 1000
            assert output + stream.read(60) == b"1\n"
        assert api.wait(container)["StatusCode"] == 0
    finally:
        api.remove_container(container, force=True)
    return taken


@pytest.mark.timeout(900)
def test_apply_to_first_log_line(studio: Studio, model_server: ModelServer, scale: Scale, reporter: Reporter) -> None:
    api = studio.api
    model = next(m["id"] for m in api.get("ai/models").expect(200)["items"] if m["provider"] == "openai")
    assert api.get("health").expect(200)["sandbox"]["isolation"] in {"container", "gvisor"}
    has_command = shutil.which("docker") is not None
    ours, command, engine = [], [], []
    client = docker.APIClient(version="auto", **engine_address(None))
    with thinking(model_server, ScriptBrain([Answer(calls=[CHANGE])])), client:
        for turn in range(scale.runs + 1):
            patch_id = approved_patch(api, model)
            first_lines, asked = apply(api, patch_id), by_api(client)
            commanded = by_command_line() if has_command else asked
            if turn:  # the first one warms up
                ours.append(first_lines)
                engine.append(asked)
                command.append(commanded)
    peer = "`docker run --rm --network none`" if has_command else "no docker command here; the engine's HTTP API"
    reporter.add(
        "POST code/apply to first log line",
        f"{peer} of {IMAGE}, to its first byte",
        [
            Figure("a line from inside the sandbox", "ms", [lines.inside for lines in ours], command),
            Figure("the sandbox stands", "ms", [lines.ready for lines in ours], command),
            Figure(
                "the sandbox stands (peer: create, attach, start by HTTP)",
                "ms",
                [lines.ready for lines in ours],
                engine,
            ),
            Figure("any line", "ms", [lines.any for lines in ours]),
        ],
    )
