"""What a run found: its end, its tests, and where in the project it failed."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from devstudio_sandbox import Completed, Recipe, TestReport, TestResult
from devstudio_sandbox.coverage import CoverageReport
from devstudio_sandbox.diagnostics import find_diagnostics
from devstudio_server.execution.schemas import (
    ArtifactRead,
    Coverage,
    CoveredFile,
    Failure,
    RunStatus,
    RunType,
    TestOutcome,
)
from devstudio_server.execution.service import RunEnd

MAX_TESTS = 2000
"""Tests that a run keeps; those that failed come first. All of them count."""
MAX_TESTS_CHARS = 512 * 1024
"""What names, places and messages of the tests may have together: rows stay of a size that lists can show."""
MAX_PROVING_TESTS = 100
"""Tests that are named as those that prove one criterion."""
MAX_FAILURES = 100
MAX_NAME_CHARS = 300
MAX_MESSAGE_CHARS = 1000
MIB = 1024 * 1024

NO_TESTS = (
    "No tests were found, so nothing could prove the change. Add tests that pytest, `npm test`, `node --test` or "
    "`make test` finds."
)
NO_REPORT = (
    "The tests ended without a report that can be read, so nothing shows that they passed. "
    "Does something in the code end the process, as `os._exit` does?"
)
_PYTEST_COLLECTED_NOTHING = 5
_BROKEN = ("failed", "error")


@dataclass
class RunResult:
    """What a run found. ``proofs`` are the tests of each criterion that has a passing one and no failing one, by key.

    ``complete`` unless ``tests`` are fewer than there were.
    """

    end: RunEnd
    tests: list[TestOutcome] = field(default_factory=list)
    proofs: dict[str, list[str]] = field(default_factory=dict)
    complete: bool = True
    failures: list[Failure] = field(default_factory=list)
    coverage: Coverage | None = None
    artifacts: list[ArtifactRead] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)

    @property
    def proven(self) -> set[str]:
        """The keys of the criteria that it proves."""
        return set(self.proofs)

    def columns(self) -> dict[str, Any]:
        """Return the columns of a run that this fills."""
        return {
            "tests": [test.model_dump() for test in self.tests],
            "failures": [failure.model_dump() for failure in self.failures],
            "coverage": None if self.coverage is None else self.coverage.model_dump(),
            "artifacts": [artifact.model_dump() for artifact in self.artifacts],
            "metrics_json": self.metrics,
        }

    def to_json(self) -> dict[str, Any]:
        """Return what the job that follows needs, beside the columns: the end, and what is proven."""
        end = {"status": self.end.status.value, "reason": self.end.reason, "exit_code": self.end.exit_code}
        return {"end": end, "proofs": self.proofs, "complete": self.complete}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RunResult:
        """Read what `to_json` wrote."""
        end = data["end"]
        proofs = data["proofs"] if "proofs" in data else {key: [] for key in data["proven"]}  # of an older version
        ended = RunEnd(RunStatus(end["status"]), end["reason"], end["exit_code"])
        return cls(ended, proofs=proofs, complete=data.get("complete", False))


@dataclass(frozen=True)
class Ended:
    """The command of a run, ended: what was run, what it reported and the end of what it printed."""

    kind: RunType
    recipe: Recipe
    done: Completed
    report: TestReport | None
    output: str
    workspace: str
    deadline_s: float
    memory_bytes: int


def judge(ended: Ended) -> RunResult:
    """Turn a command's end and its report into the run's end."""
    every = [*ended.report.tests] if ended.report else []
    failures = failures_of(ended)
    result = RunResult(_end(ended, every, failures), failures=failures)
    result.tests = [TestOutcome.model_validate(test) for test in _most_telling(every)]
    result.complete = len(result.tests) == len(every)
    if result.end.status is RunStatus.SUCCESS and ended.report is not None:
        result.proofs = _proofs(ended.report)
    return result


def _proofs(report: TestReport) -> dict[str, list[str]]:
    """Return the passing tests of each criterion that the report proves; of very many, the first."""
    proven = {key for key, outcome in report.criteria().items() if outcome == "proven"}
    found: dict[str, list[str]] = {key: [] for key in sorted(proven)}
    left = MAX_TESTS_CHARS
    for test in report.tests:
        for key in proven.intersection(test.criteria) if test.outcome == "passed" else ():
            if test.id not in found[key] and len(found[key]) < MAX_PROVING_TESTS and left >= len(test.id):
                found[key].append(test.id)
                left -= len(test.id)
    return found


def _end(ended: Ended, every: list[TestResult], failures: list[Failure]) -> RunEnd:
    done, recipe = ended.done, ended.recipe
    broken = sum(test.outcome in _BROKEN for test in every)
    if done.timed_out or done.cancelled or done.oom_killed:
        return _stopped(ended)
    if broken:
        reason = f"{broken} of {len(every)} tests failed; first: {_first(failures)}."
        return RunEnd(RunStatus.FAILED, reason, done.exit_code)
    if done.exit_code == _PYTEST_COLLECTED_NOTHING and recipe.name == "pytest":
        return RunEnd(RunStatus.FAILED, NO_TESTS, done.exit_code)
    if done.exit_code != 0 or ended.kind is RunType.BUILD or recipe.name == "command":
        return _by_exit_code(ended, every, failures)
    if recipe.junit_path is not None and ended.report is None:
        return RunEnd(RunStatus.FAILED, NO_REPORT, done.exit_code)
    return RunEnd(RunStatus.SUCCESS, _counts(every), 0)


def _counts(tests: list[TestResult]) -> str:
    passed = sum(test.outcome == "passed" for test in tests)
    skipped = len(tests) - passed
    counts = f"{passed} tests passed" + (f", {skipped} skipped" if skipped else "")
    return f"{counts}." if tests else "The tests passed."


def _by_exit_code(ended: Ended, every: list[TestResult], failures: list[Failure]) -> RunEnd:
    """Return the end of a command that only its exit code judges."""
    name = ended.recipe.name if ended.recipe.name != "command" else ended.recipe.argv[0]
    if ended.done.exit_code == 0:
        what = "The build passed." if ended.kind is RunType.BUILD else f"`{name}` ended with exit code 0."
        return RunEnd(RunStatus.SUCCESS, _counts(every) if every else what, 0)
    first = f"; first: {_first(failures)}" if failures else "; the log says why"
    return RunEnd(
        RunStatus.FAILED, f"`{name}` ended with exit code {ended.done.exit_code}{first}.", ended.done.exit_code
    )


def _stopped(ended: Ended) -> RunEnd:
    done = ended.done
    if done.cancelled:
        return RunEnd(RunStatus.CANCELLED, "Cancelled.", done.exit_code)
    if done.timed_out:
        reason = f"Stopped at its deadline of {ended.deadline_s:g} s, after {done.duration_s:.0f} s."
        return RunEnd(RunStatus.TIMEOUT, reason, done.exit_code)
    reason = f"It needed more memory than the sandbox has ({ended.memory_bytes // MIB} MiB)."
    return RunEnd(RunStatus.FAILED, reason, done.exit_code)


def failures_of(ended: Ended) -> list[Failure]:
    """Return where in the project it broke: by the report, else by the places that the output blames."""
    broken = [test for test in ended.report.tests if test.outcome in _BROKEN] if ended.report else []
    if broken:
        return [
            Failure(
                name=test.name[:MAX_NAME_CHARS],
                file=test.broke_file or None,
                line=test.broke_line,
                message=test.message[:MAX_MESSAGE_CHARS],
            )
            for test in broken[:MAX_FAILURES]
        ]
    if ended.done.exit_code == 0:
        return []
    found = find_diagnostics(ended.output, ended.workspace)
    return [
        Failure(name=ended.recipe.name, file=clean(place.file), line=place.line, message=clean(place.message))
        for place in found[:MAX_FAILURES]
    ]


def _first(failures: list[Failure]) -> str:
    first = failures[0]
    where = ":".join(str(part) for part in (first.file, first.line) if part)
    said = first.name if first.name and not where else f"{first.name} ({where})"
    if first.name in {"command", "compileall"} or first.name.startswith(("make", "npm")):
        said = f"{where}: {first.message}".rstrip(": ")
    return said[:500]


def _most_telling(tests: list[TestResult]) -> list[TestResult]:
    """Return, in their order, those that failed and then the first of the others, as far as the bounds reach."""
    order = sorted(range(len(tests)), key=lambda number: (tests[number].outcome not in _BROKEN, number))
    sizes = accumulate(_size(tests[number]) for number in order)
    kept = [number for number, size in zip(order, sizes, strict=True) if size <= MAX_TESTS_CHARS]
    return [tests[number] for number in sorted(kept[:MAX_TESTS])]


def _size(test: TestResult) -> int:
    return len(test.id) + len(test.name) + len(test.message) + len(test.file) + sum(map(len, test.criteria))


def coverage_of(report: CoverageReport | None) -> Coverage | None:
    """Return the public shape of what was measured."""
    if report is None:
        return None
    return Coverage(
        lines_covered=report.lines_covered,
        lines_total=report.lines_total,
        percent=report.percent,
        files=[CoveredFile.model_validate(file) for file in report.files],
    )


def clean(text: str) -> str:
    """Return text of a stranger without control characters, of which a database takes no NUL."""
    return "".join(character for character in text if unicodedata.category(character) not in {"Cc", "Cs"})
