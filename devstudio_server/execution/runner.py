"""Does the work of a run in a sandbox: tree in, command run, report, coverage and artifacts out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any
from uuid import UUID

from devstudio_sandbox import (
    ArtifactTooLarge,
    Backend,
    Completed,
    ImageMissing,
    Recipe,
    ReportInvalid,
    Sandbox,
    SandboxError,
    SandboxLost,
    SandboxSpec,
    Stream,
    TestReport,
    WorkspaceRejected,
    parse_junit,
)
from devstudio_sandbox.coverage import MAX_COVERAGE_BYTES, CoverageReport, parse_lcov
from devstudio_server.egress.gate import EgressAccess, EgressGate, EgressScope
from devstudio_server.execution.artifacts import MAX_ARTIFACT_BYTES, MAX_ARTIFACTS
from devstudio_server.execution.control import RunControl
from devstudio_server.execution.installation import INSTALL_S, Installation
from devstudio_server.execution.logs import LogStream, LogWriter
from devstudio_server.execution.plans import RunPlan
from devstudio_server.execution.results import Ended, RunResult, coverage_of, judge
from devstudio_server.execution.schemas import ArtifactRead, RunStatus, RunType
from devstudio_server.kit.metrics import measured_run

MAX_REPORT_BYTES = 16 * 1024 * 1024
OUTPUT_KEPT_BYTES = 256 * 1024
"""How much of the end of the output is looked through for the places that it blames."""


@dataclass(frozen=True)
class SandboxJob:
    """What to do in a sandbox, and whom to tell.

    ``archive`` gives the input each time that it is called. ``opened`` is called once the sandbox is there, with the
    recipe as it will run; ``keep`` takes the tar stream of the artifacts.
    """

    run_id: UUID
    tenant_id: UUID
    kind: RunType
    plan: RunPlan
    archive: Callable[[], Iterable[bytes]]
    opened: Callable[[Sandbox, Recipe], None]
    keep: Callable[[Iterator[bytes]], list[ArtifactRead]]
    egress: EgressScope | None = None
    """For whom the gate is asked; None: the run has no way out."""


class SandboxRunner:
    """Does runs in sandboxes of one backend."""

    def __init__(self, backend: Callable[[], Backend], control: RunControl, gate: EgressGate | None = None) -> None:
        """Open sandboxes by ``backend()``, reachable through ``control``, with the ways out that ``gate`` gives."""
        self._backend = backend
        self._control = control
        self._gate = gate or EgressGate()

    def run(self, job: SandboxJob, log: LogWriter) -> RunResult:
        """Run the plan.

        Raises `SandboxError` when there is no sandbox or it was lost; a failing test is no error but a `RunEnd`.
        """
        recipe = job.plan.recipe.renewed()
        with measured_run(recipe.name, recipe.language, job.kind.value) as measured:
            result = self._run(job, recipe, log)
            measured.success = result.end.status is RunStatus.SUCCESS
        return result

    def _run(self, job: SandboxJob, recipe: Recipe, log: LogWriter) -> RunResult:
        backend = self._backend()
        log.note(f"Opening a {recipe.language} sandbox ({backend.name}).")
        started = monotonic()
        with (
            self._gate.opened(job.egress, log.note) as way,
            self._open(backend, self._spec(job, recipe, way), log) as sandbox,
            self._control.running(job.run_id, sandbox),
        ):
            job.opened(sandbox, recipe)
            log.note(f"Isolation: {sandbox.isolation}. Ready after {monotonic() - started:.2f} s.")
            sandbox.put(job.archive())
            if job.plan.note:
                log.note(job.plan.note)
            installation = Installation(job.plan, way)
            problem = installation.run(sandbox, log)
            return problem or self._command(job, sandbox, recipe, installation, log)

    @staticmethod
    def _spec(job: SandboxJob, recipe: Recipe, way: EgressAccess | None) -> SandboxSpec:
        return SandboxSpec(
            language=recipe.language,
            tenant_id=job.tenant_id,
            run_id=job.run_id,
            limits=job.plan.limits,
            ttl_s=int(job.plan.deadline_s) + 120 + (int(INSTALL_S) if way and job.plan.install else 0),
            egress=way.socket if way else None,
        )

    @staticmethod
    def _open(backend: Backend, spec: SandboxSpec, log: LogWriter) -> Sandbox:
        """Open a sandbox. An image that was never built is built now, once, and the log says so."""
        try:
            return backend.open(spec)
        except ImageMissing as missing:
            log.note(f"{missing}. Building it now; this happens once and takes about a minute.")
        backend.prepare(spec.language, log.note)
        return backend.open(spec)

    def _command(
        self, job: SandboxJob, sandbox: Sandbox, recipe: Recipe, installation: Installation, log: LogWriter
    ) -> RunResult:
        command = installation.around(recipe.command(sandbox, job.plan.deadline_s), sandbox)
        log.note(f"Running: {' '.join(command.argv)}")
        output = _Tail(log)
        done = sandbox.run(command, output)
        ended = Ended(
            kind=job.kind,
            recipe=recipe,
            done=done,
            report=self._report(sandbox, recipe, log),
            output=output.text(),
            workspace=sandbox.workspace,
            deadline_s=job.plan.deadline_s,
            memory_bytes=job.plan.limits.memory_bytes,
        )
        result = judge(ended)
        if not done.cancelled:
            result.coverage = coverage_of(self._coverage(sandbox, recipe, log))
            result.artifacts = self._artifacts(job, sandbox, log)
        result.metrics = _metrics(done, log)
        log.note(f"{result.end.status.value}: {result.end.reason}")
        return result

    def _report(self, sandbox: Sandbox, recipe: Recipe, log: LogWriter) -> TestReport | None:
        data = _read(sandbox, recipe.junit_path, MAX_REPORT_BYTES, log)
        if data is None:
            return None
        try:
            return parse_junit(data, sandbox.workspace)
        except ReportInvalid as error:
            log.note(f"The test report cannot be read: {error}")
            return None

    def _coverage(self, sandbox: Sandbox, recipe: Recipe, log: LogWriter) -> CoverageReport | None:
        data = _read(sandbox, recipe.coverage_path, MAX_COVERAGE_BYTES, log)
        return None if data is None else parse_lcov(data, sandbox.workspace)

    @staticmethod
    def _artifacts(job: SandboxJob, sandbox: Sandbox, log: LogWriter) -> list[ArtifactRead]:
        """Keep the artifacts. What cannot be kept is told, and changes nothing of how the run ended."""
        if not job.plan.artifacts:
            return []
        try:
            kept = job.keep(sandbox.export(job.plan.artifacts, max_bytes=MAX_ARTIFACT_BYTES, max_files=MAX_ARTIFACTS))
        except ArtifactTooLarge as error:
            log.note(f"No artifacts are kept: {error}.")
            return []
        except SandboxError as error:
            log.note(f"The artifacts cannot be read: {error}")
            return []
        if kept:
            log.note(f"Kept {len(kept)} artifacts, {sum(artifact.size for artifact in kept)} bytes.")
        return kept


def _read(sandbox: Sandbox, path: str | None, max_bytes: int, log: LogWriter) -> bytes | None:
    """Read a report; one that is too large, or no file at all, is told and is none."""
    if path is None:
        return None
    try:
        return sandbox.get(path, max_bytes)
    except SandboxLost:
        raise
    except (ArtifactTooLarge, WorkspaceRejected) as error:
        log.note(f"A report cannot be read: {error}")
        return None


class _Tail:
    """Passes output on to the log, and keeps its end."""

    def __init__(self, log: LogWriter) -> None:
        self._log = log
        self._kept: deque[bytes] = deque()
        self._size = 0

    def __call__(self, stream: Stream, data: bytes) -> None:
        self._log.write(data, LogStream(stream))
        self._kept.append(data)
        self._size += len(data)
        while self._size - len(self._kept[0]) >= OUTPUT_KEPT_BYTES:
            self._size -= len(self._kept.popleft())

    def text(self) -> str:
        return b"".join(self._kept)[-OUTPUT_KEPT_BYTES:].decode("utf-8", "replace")


def _metrics(done: Completed, log: LogWriter) -> dict[str, Any]:
    return {
        "duration": round(done.duration_s, 3),
        "cpu": round(done.cpu_s, 3),
        "memory": done.max_rss_bytes,
        "log_bytes_dropped": log.dropped,
    }
