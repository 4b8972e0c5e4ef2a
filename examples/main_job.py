"""The main job over HTTP: requirements in, approved and proven code out.

Each example folder has a ``run.py`` that calls `main` with its own folder. Only the standard library is used, so that
this file also shows what a client of the API has to do; ``docs/api.md`` has the conventions.

Exit codes of `main`: 0 every required task is done, 1 the server or the connection failed, 2 wrong arguments,
3 at least one required task is still open, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

JSON = dict[str, Any]

DEFAULT_URL = "http://localhost:8000"
MAX_RUN_S = 1800.0
"""How long to follow one run. The server ends runs earlier; this is for one that it lost."""

EXIT_DONE, EXIT_ERROR, EXIT_OPEN, EXIT_STOPPED = 0, 1, 3, 130


class ExampleError(Exception):
    """Base of what ends a run of an example; the message is for the person at the terminal."""


class ConnectionFailed(ExampleError):
    """Nothing usable answered at the address."""


class ApiError(ExampleError):
    """The server answered with a problem document (RFC 9457), or with something that is none."""

    def __init__(self, method: str, path: str, status: int, problem: JSON) -> None:
        """Build the message from the problem's detail, its list of wrong fields, and the request id."""
        self.status = status
        self.detail = str(problem.get("detail") or problem.get("title") or "no detail was given")
        self.request_id = str(problem.get("request_id") or "unknown")
        lines = [f"{method} {path} answered {status}: {self.detail}"]
        wrong = [item for item in problem.get("errors") or [] if item["msg"] not in self.detail]
        lines += [f"  {'.'.join(map(str, item['loc']))}: {item['msg']}" for item in wrong]
        lines.append(f"  request id: {self.request_id}")
        super().__init__("\n".join(lines))


class RunTimeout(ExampleError):
    """A run did not end in the time that we wait."""


class Client:
    """Calls the API of one server. ``timeout_s`` is for one call: a model may think for minutes."""

    def __init__(self, url: str, token: str = "", *, timeout_s: float = 900, poll_s: float = 0.5) -> None:
        """Call the server at ``url`` (with its base path, if it has one); ``poll_s`` is the pause between two looks.

        Raises `ConnectionFailed` when ``url`` is no address of a web server.
        """
        if not url.startswith(("http://", "https://")):
            message = f"{url!r} is no address of a server; it starts with http:// or https://."
            raise ConnectionFailed(message)
        self.base = url.rstrip("/") + "/api/v1/"
        self.token = token
        self.timeout_s = timeout_s
        self.poll_s = poll_s

    def get(self, path: str, **query: Any) -> JSON:
        """Send a GET; raises `ApiError` and `ConnectionFailed`."""
        return self._send("GET", path + (f"?{urlencode(query)}" if query else ""))

    def post(self, path: str, body: JSON) -> JSON:
        """Send a POST; fields that are ``None`` are left out. Raises `ApiError` and `ConnectionFailed`."""
        return self._send("POST", path, {name: value for name, value in body.items() if value is not None})

    def put(self, path: str, body: JSON, *, version: int) -> JSON:
        """Send a PUT that changes nothing if someone changed the object since ``version`` (412)."""
        return self._send("PUT", path, body, {"If-Match": f'"{version}"'})

    def _send(self, method: str, path: str, body: JSON | None = None, headers: dict[str, str] | None = None) -> JSON:
        accept = {"Accept": "application/json", **(headers or {})}
        request = Request(self.base + path, method=method, headers=accept)
        if self.token:
            request.add_header("Authorization", f"token {self.token}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with urlopen(request, timeout=self.timeout_s) as response:
                raw = response.read()
        except HTTPError as error:
            raise ApiError(method, path, error.code, _problem(error)) from None
        except (OSError, HTTPException) as error:
            raise ConnectionFailed(self._unreachable(error)) from error
        return self._decoded(raw)

    def _unreachable(self, error: Exception) -> str:
        cause = error.reason if isinstance(error, URLError) else error
        return f"No answer from {self.base}: {cause or type(error).__name__}. Start it with `make run`, or give --url."

    def _decoded(self, raw: bytes) -> JSON:
        try:
            answer = json.loads(raw)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            message = f"What answers at {self.base} is not RENUM DevStudio. Give --url."
            raise ConnectionFailed(message)
        return answer


def _problem(error: HTTPError) -> JSON:
    """Return the problem document of an error answer, or the plain reason when it has none."""
    try:
        document = json.loads(error.read())
    except (ValueError, OSError):
        document = None
    return document if isinstance(document, dict) else {"detail": error.reason}


@dataclass(frozen=True)
class Example:
    """What a job starts from: the bodies of the project and of the session, and the requirements."""

    project: JSON
    session: JSON
    requirements: str

    @classmethod
    def load(cls, folder: Path, requirements: Path | None = None) -> Example:
        """Read an example's folder; ``requirements`` takes the place of its own. Raises `ExampleError`."""
        described = json.loads((folder / "example.json").read_text("utf-8"))
        source = requirements or folder / "requirements.md"
        try:
            text = source.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            message = f"{source} cannot be read as UTF-8 text: {error}"
            raise ExampleError(message) from error
        return cls(described["project"], described["session"], text)


@dataclass(frozen=True)
class Preview:
    """What a person approves: a task's patch in full. ``digest`` names exactly these bytes."""

    task: JSON
    patch_id: str
    digest: str
    diff: str
    warnings: list[str]


Approve = Callable[[Preview], bool]
Say = Callable[[str], None]


@dataclass
class TaskOutcome:
    """What became of one task. ``reason`` says why it is not done; ``evidence`` is what proves that it is."""

    key: str
    title: str
    optional: bool
    status: str = "todo"
    reason: str = ""
    evidence: JSON | None = None
    patch_id: str | None = None
    run_id: str | None = None
    run_status: str | None = None

    @property
    def done(self) -> bool:
        """Whether the server derived ``done``."""
        return self.status == "done"


@dataclass
class Report:
    """What became of the whole job."""

    project_id: str
    session_id: str
    notebook_path: str
    tasks: list[TaskOutcome] = field(default_factory=list)

    @property
    def open_tasks(self) -> list[TaskOutcome]:
        """The required tasks that are not done."""
        return [task for task in self.tasks if not task.done and not task.optional]

    @property
    def proven(self) -> bool:
        """Whether there are tasks, and all required ones are done."""
        return bool(self.tasks) and not self.open_tasks


def run_main_job(
    client: Client,
    example: Example,
    model: str | None,
    approve: Approve,
    *,
    say: Say = lambda _text: None,
) -> Report:
    """Do the main job of ``example`` and return what became of it.

    ``model`` is an id of ``GET ai/models``; ``None`` leaves the choice to the server. ``approve`` decides on each
    patch, and ``say`` receives what happens, log output included. A task that fails does not stop those after it.

    Raises `ApiError` when project, session or plan fail, and `ConnectionFailed` and `RunTimeout` at any point.
    """
    job = _Job(client, model, approve, say)
    session = job.open_session(example)
    report = Report(session["project_id"], session["id"], session["notebook_path"])
    job.plan(report.session_id)
    for task in client.get(f"spec-sessions/{report.session_id}/tasks")["items"]:
        report.tasks.append(job.carry_out(task))
    return report


@dataclass(frozen=True)
class _Job:
    """The steps of the main job, in order."""

    client: Client
    model: str | None
    approve: Approve
    say: Say

    def open_session(self, example: Example) -> JSON:
        """Create project and session, and write the requirements."""
        project = self.client.post("projects", example.project)
        session = self.client.post("spec-sessions", {"project_id": project["id"], **example.session})
        written = {"documents": {"requirements": example.requirements}}
        session = self.client.put(f"spec-sessions/{session['id']}", written, version=session["version"])
        self.say(f"Project  {project['name']} ({project['id']})\nSession  {session['title']} ({session['id']})\n")
        for warning in session["warnings"]:
            self.say(f"Warning  {warning['document']} line {warning['line']}: {warning['message']}\n")
        return session

    def plan(self, session_id: str) -> None:
        """Plan the design, then the tasks."""
        for stage in ("design", "tasks"):
            self.say(f"Plan     {stage} …\n")
            planned = self.client.post("plan", {"session_id": session_id, "stage": stage, "model": self.model})
            self.say(f"         {_usage(planned['usage'])}\n")

    def carry_out(self, task: JSON) -> TaskOutcome:
        """Take one task as far as it goes, and read its derived status at the end."""
        outcome = TaskOutcome(task["key"], task["title"], task["optional"])
        self.say(f"\nTask {task['key']}: {task['title']} (criteria: {', '.join(task['criteria']) or 'none'})\n")
        try:
            trouble = self._prove(task, outcome)
        except ApiError as error:
            trouble = str(error)
        current = self.client.get(f"tasks/{task['id']}")
        outcome.status, outcome.evidence = current["status"], current["evidence"]
        outcome.reason = "" if outcome.done else (trouble or current["status_reason"])
        self.say(f"Task {task['key']} is {outcome.status}{_because(outcome)}\n")
        return outcome

    def _prove(self, task: JSON, outcome: TaskOutcome) -> str:
        """Generate, have approved, apply and follow; return why it ended early, or an empty text."""
        generated = self.client.post("code/generate", {"task_id": task["id"], "model": self.model})
        outcome.patch_id = generated["patch_id"]
        self.say(f"Patch    {generated['patch_id']}: {_usage(generated['usage'])}\n")
        preview = self._preview(task, generated["patch_id"])
        if not self.approve(preview):
            reason = "Not approved by the person who ran the example."
            self.client.post(f"code/patches/{preview.patch_id}/reject", {"reason": reason})
            return reason
        self.client.post(f"code/patches/{preview.patch_id}/approve", {"digest": preview.digest})
        outcome.run_id = self.client.post("code/apply", {"patch_id": preview.patch_id})["run_id"]
        run = self._follow(outcome.run_id)
        outcome.run_status = run["status"]
        return "" if run["status"] == "success" else f"run {run['id']}: {run['reason'] or run['status']}"

    def _preview(self, task: JSON, patch_id: str) -> Preview:
        shown = self.client.post("code/preview", {"patch_id": patch_id})
        return Preview(task, patch_id, shown["digest"], shown["diff"], shown["warnings"])

    def _follow(self, run_id: str) -> JSON:
        """Say the log to its end, then return the run."""
        deadline = time.monotonic() + MAX_RUN_S
        offset = 0
        while True:
            page = self.client.get(f"exec/{run_id}/logs", offset=offset)
            self.say(page["content"])
            if page["eof"]:
                break
            if time.monotonic() > deadline:
                message = f"Run {run_id} did not end within {MAX_RUN_S:.0f} s; it is still {page['status']}."
                raise RunTimeout(message)
            if page["next_offset"] == offset:
                time.sleep(self.client.poll_s)
            offset = page["next_offset"]
        run = self.client.get(f"exec/{run_id}")
        isolation = run["isolation"] or "no sandbox"
        self.say(f"\nRun      {run_id}: {run['status']}, exit code {run['exit_code']}, in {isolation}\n")
        return run


def _usage(usage: JSON) -> str:
    tokens = f"{usage['tokens_input']} tokens in, {usage['tokens_output']} out"
    return f"{usage['model']} ({usage['provider']}): {tokens}, US$ {usage['cost_estimated']:.4f}"


def _because(outcome: TaskOutcome) -> str:
    if outcome.evidence:
        proven = ", ".join(outcome.evidence["criteria"])
        return f": run {outcome.evidence['run_id']} on commit {outcome.evidence['commit'][:12]} proves {proven}"
    return f": {outcome.reason}" if outcome.reason else ""


def show_and_ask(preview: Preview) -> bool:
    """Print the patch and ask; anything but yes is no. Without a terminal the answer is no."""
    show(preview)
    try:
        return input(f"Approve {preview.digest}? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        print("no (there is nobody to ask; --auto-approve approves every patch)")
        return False


def show_and_approve(preview: Preview) -> bool:
    """Print the patch and approve it."""
    show(preview)
    print(f"Approved {preview.digest} (--auto-approve)")
    return True


def show(preview: Preview) -> None:
    """Print the patch in full, and its warnings."""
    print(visible(preview.diff), end="" if preview.diff.endswith("\n") else "\n")
    for warning in preview.warnings:
        print(f"Warning  {visible(warning)}")


def visible(text: str) -> str:
    """Return ``text`` with its invisible characters escaped.

    A model wrote it: terminal sequences and bidirectional marks must not hide what a person approves.
    """
    return "".join(c if c in "\n\t" or c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def print_report(report: Report) -> int:
    """Print the result and return the exit code."""
    print(f"\n{'task':<6}{'status':<13}title")
    for task in report.tasks:
        print(f"{task.key:<6}{task.status:<13}{task.title}{' (optional)' if task.optional else ''}")
    print(f"\nThe session's notebook in JupyterLab: {report.notebook_path}")
    if report.proven:
        print("Every required task is done.")
        return EXIT_DONE
    print("Still open:" if report.tasks else "Still open: the plan has no tasks.")
    for task in report.open_tasks:
        print(f"  {task.key}. {task.title}: {task.reason}")
    return EXIT_OPEN


def main(folder: Path, argv: list[str] | None = None) -> int:
    """Run the example in ``folder`` from the command line and return the exit code."""
    arguments = _arguments(folder, argv)
    approve = show_and_approve if arguments.auto_approve else show_and_ask
    try:
        client = Client(arguments.url, arguments.token)
        example = Example.load(folder, arguments.requirements)
        return print_report(run_main_job(client, example, arguments.model, approve, say=_print_now))
    except ExampleError as error:
        print(f"\n{error}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        print("\nStopped. What the server has is kept; a run that was started goes on.", file=sys.stderr)
        return EXIT_STOPPED


def _arguments(folder: Path, argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"{folder.name}/run.py",
        description="Take the example's requirements to proven code, over the API of a running server.",
        epilog="Exit codes: 0 all required tasks done, 1 error, 3 tasks still open.",
    )
    parser.add_argument("--url", default=DEFAULT_URL, help="where the server is (default: %(default)s)")
    parser.add_argument("--token", default=os.environ.get("JUPYTER_TOKEN", ""), help="default: $JUPYTER_TOKEN")
    parser.add_argument("--model", help="an id of GET /api/v1/ai/models, such as offline (default: the server's)")
    parser.add_argument("--auto-approve", action="store_true", help="approve every patch instead of asking")
    parser.add_argument("--requirements", type=Path, metavar="FILE", help="other requirements than the example's")
    return parser.parse_args(argv)


def _print_now(text: str) -> None:
    print(visible(text), end="", flush=True)
