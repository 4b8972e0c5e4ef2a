"""Does the work of a run in a sandbox: base tree in, patch applied, tests run, report out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from uuid import UUID

from devstudio_sandbox import (
    ArchiveEntry,
    Backend,
    Command,
    Completed,
    ImageMissing,
    Limits,
    Recipe,
    ReportInvalid,
    Sandbox,
    SandboxSpec,
    Stream,
    TestReport,
    detect,
    pack,
    parse_junit,
)
from devstudio_server.execution.control import RunControl
from devstudio_server.execution.logs import LogWriter
from devstudio_server.execution.schemas import RunStatus, TestOutcome
from devstudio_server.execution.service import RunEnd
from devstudio_server.kit.metrics import measured_run
from devstudio_server.scm import GitRepository

MAX_REPORT_BYTES = 16 * 1024 * 1024
DEADLINE_S = 600.0
"""Longest that one run's tests may take, in seconds of wall time."""

_NO_TESTS = (
    "No tests were found, so nothing could prove the change. Add tests that pytest, `npm test`, `node --test` or "
    "`make test` finds."
)
_NO_REPORT = (
    "The tests ended without a report that can be read, so nothing shows that they passed. Nothing was committed. "
    "Does something in the code end the process, as `os._exit` does?"
)
_PYTEST_COLLECTED_NOTHING = 5


@dataclass
class TestedTree:
    """What a run found. ``proven`` are the keys of criteria with a passing test and no failing one."""

    __test__ = False  # not a test of ours, whatever pytest thinks of the name

    end: RunEnd
    tests: list[TestOutcome] = field(default_factory=list)
    proven: set[str] = field(default_factory=set)
    metrics: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TestJob:
    """What to test: ``base`` is the tree that goes in, ``diff`` is applied there, ``result`` is what that makes."""

    __test__ = False

    run_id: UUID
    tenant_id: UUID
    repository: GitRepository
    base: str
    diff: bytes
    result: str
    deadline_s: float = DEADLINE_S
    limits: Limits = field(default_factory=Limits)


class SandboxRunner:
    """Runs tests in sandboxes of one backend."""

    def __init__(self, backend: Callable[[], Backend], control: RunControl, deadline_s: float = DEADLINE_S) -> None:
        """Open sandboxes by ``backend()``, and make them reachable through ``control``."""
        self.deadline_s = deadline_s
        """How long this server lets tests run, in seconds."""
        self._backend = backend
        self._control = control

    def test(self, job: TestJob, log: LogWriter, opened: Callable[[Sandbox, Recipe], None]) -> TestedTree:
        """Apply the patch and run the tests. ``opened`` is told once the sandbox is there.

        Raises `SandboxError` when there is no sandbox or it was lost; a failing test is no error but a `RunEnd`.
        """
        recipe = self.recipe(job)
        if recipe is None:
            log.note(_NO_TESTS)
            return TestedTree(RunEnd(RunStatus.FAILED, _NO_TESTS))
        spec = SandboxSpec(
            language=recipe.language,
            tenant_id=job.tenant_id,
            run_id=job.run_id,
            limits=job.limits,
            ttl_s=int(job.deadline_s) + 120,
        )
        with measured_run(recipe.name, recipe.language) as measured:
            tested = self._run(job, log, opened, recipe, spec)
            measured.success = tested.end.status is RunStatus.SUCCESS
        return tested

    def _run(
        self, job: TestJob, log: LogWriter, opened: Callable[[Sandbox, Recipe], None], recipe: Recipe, spec: SandboxSpec
    ) -> TestedTree:
        backend = self._backend()
        log.note(f"Opening a {recipe.language} sandbox ({backend.name}).")
        started = monotonic()
        with self._open(backend, spec, log) as sandbox, self._control.running(job.run_id, sandbox):
            opened(sandbox, recipe)
            log.note(f"Isolation: {sandbox.isolation}. Ready after {monotonic() - started:.2f} s.")
            sandbox.put(self._archive(job))
            applied = self._apply(job, sandbox, log)
            if applied is not None:
                return applied
            return self._run_tests(job, sandbox, recipe, log)

    @staticmethod
    def _open(backend: Backend, spec: SandboxSpec, log: LogWriter) -> Sandbox:
        """Open a sandbox. An image that was never built is built now, once, and the log says so."""
        try:
            return backend.open(spec)
        except ImageMissing as missing:
            log.note(f"{missing}. Building it now; this happens once and takes about a minute.")
        backend.prepare(spec.language, log.note)
        return backend.open(spec)

    def recipe(self, job: TestJob) -> Recipe | None:
        """Find how the tree is tested once the patch is in it."""

        def read(path: str) -> str | None:
            content = job.repository.read(job.result, path)
            return None if content is None else content.decode("utf-8", "replace")

        return detect(job.repository.files(job.result), read)

    @staticmethod
    def _archive(job: TestJob) -> Iterable[bytes]:
        files = job.repository.contents(job.base)
        return pack(ArchiveEntry(file.path, file.content, 0o755 if file.executable else 0o644) for file in files)

    def _apply(self, job: TestJob, sandbox: Sandbox, log: LogWriter) -> TestedTree | None:
        log.note(f"Applying the patch ({len(job.diff)} bytes).")
        argv = ("git", "apply", "--verbose", "--whitespace=nowarn", "-")
        done = sandbox.run(Command(argv=argv, stdin=job.diff, deadline_s=60.0), _to(log))
        if done.exit_code == 0:
            return None
        return TestedTree(_end_of(done, "The patch could not be applied in the sandbox; the log says why."))

    def _run_tests(self, job: TestJob, sandbox: Sandbox, recipe: Recipe, log: LogWriter) -> TestedTree:
        command = recipe.command(sandbox, job.deadline_s)
        log.note(f"Running: {' '.join(command.argv)}")
        done = sandbox.run(command, _to(log))
        report = self._report(sandbox, recipe, log)
        tested = _judge(done, report, recipe)
        tested.metrics = _metrics(done, log)
        log.note(f"{tested.end.status.value}: {tested.end.reason}")
        return tested

    def _report(self, sandbox: Sandbox, recipe: Recipe, log: LogWriter) -> TestReport | None:
        if recipe.junit_path is None:
            return None
        data = sandbox.get(recipe.junit_path, MAX_REPORT_BYTES)
        if data is None:
            return None
        try:
            return parse_junit(data, sandbox.workspace)
        except ReportInvalid as error:
            log.note(f"The test report cannot be read: {error}")
            return None


def _to(log: LogWriter) -> Callable[[Stream, bytes], None]:
    return lambda _stream, data: log.write(data)


def _judge(done: Completed, report: TestReport | None, recipe: Recipe) -> TestedTree:
    """Turn the command's end and its report into the run's end."""
    tests = [TestOutcome.model_validate(test) for test in report.tests] if report else []
    failed = [test for test in tests if test.outcome in ("failed", "error")]
    passed = [test for test in tests if test.outcome == "passed"]
    proven = {key for key, outcome in report.criteria().items() if outcome == "proven"} if report else set()
    if done.timed_out or done.cancelled or done.oom_killed:
        return TestedTree(_end_of(done, ""), tests)
    if failed:
        return TestedTree(RunEnd(RunStatus.FAILED, _failures(failed, len(tests)), done.exit_code), tests)
    if done.exit_code == _PYTEST_COLLECTED_NOTHING and recipe.name == "pytest":
        return TestedTree(RunEnd(RunStatus.FAILED, _NO_TESTS, done.exit_code), tests)
    if done.exit_code != 0:
        return TestedTree(
            _end_of(done, f"`{recipe.name}` ended with exit code {done.exit_code}; the log says why."), tests
        )
    if recipe.junit_path is not None and report is None:
        return TestedTree(RunEnd(RunStatus.FAILED, _NO_REPORT, done.exit_code))
    skipped = len(tests) - len(passed)
    counts = f"{len(passed)} tests passed" + (f", {skipped} skipped" if skipped else "")
    return TestedTree(RunEnd(RunStatus.SUCCESS, f"{counts}." if tests else "The tests passed.", 0), tests, proven)


def _end_of(done: Completed, otherwise: str) -> RunEnd:
    if done.cancelled:
        return RunEnd(RunStatus.CANCELLED, "Cancelled. Nothing was committed.", done.exit_code)
    if done.timed_out:
        reason = f"Stopped at its deadline after {done.duration_s:.0f} s. Nothing was committed."
        return RunEnd(RunStatus.TIMEOUT, reason, done.exit_code)
    if done.oom_killed:
        return RunEnd(
            RunStatus.FAILED, "It needed more memory than the sandbox has. Nothing was committed.", done.exit_code
        )
    return RunEnd(RunStatus.FAILED, otherwise, done.exit_code)


def _failures(failed: list[TestOutcome], total: int) -> str:
    first = failed[0]
    where = f" ({first.file}:{first.line})" if first.file and first.line else f" ({first.file})" if first.file else ""
    return f"{len(failed)} of {total} tests failed; first: {first.name}{where}. Nothing was committed."


def _metrics(done: Completed, log: LogWriter) -> dict[str, Any]:
    return {
        "duration": round(done.duration_s, 3),
        "cpu": round(done.cpu_s, 3),
        "memory": done.max_rss_bytes,
        "log_bytes_dropped": log.dropped,
    }
