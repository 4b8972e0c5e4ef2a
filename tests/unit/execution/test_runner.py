"""How the end of a command and its report become the end of a run; and what a real process says."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from devstudio_sandbox import Completed, Limits, Recipe, Sandbox, TestReport, parse_junit
from devstudio_server.execution.runner import SandboxRunner, TestedTree, TestJob, _judge
from devstudio_server.execution.schemas import RunStatus
from devstudio_server.kit.ids import new_id
from devstudio_server.scm.git import EMPTY_TREE
from support.domain_world import DomainWorld

PYTEST = Recipe("pytest", "python", ("pytest",), junit_path="report.xml", criteria_plugin=True)
MAKE = Recipe("make test", "python", ("make", "test"))
ENDED = Completed(
    exit_code=0, signal=None, timed_out=False, cancelled=False, duration_s=1.0, cpu_s=0.5, max_rss_bytes=1
)


def case(name: str, inner: str = "", criterion: str = "") -> str:
    proof = f'<properties><property name="criterion" value="{criterion}"/></properties>' if criterion else ""
    return f'<testcase name="{name}" file="t.py" line="3">{proof}{inner}</testcase>'


def report(*cases: str) -> TestReport:
    return parse_junit(f"<testsuite>{''.join(cases)}</testsuite>".encode())


FAILURE = '<failure message="no"/>'
GREEN = report(case("a", criterion="1.1"), case("b", "<skipped/>", "1.2"))
MIXED = report(case("a", criterion="1.1"), case("b", FAILURE, "1.2"), case("c", "<error/>"))


@pytest.mark.parametrize(
    ("done", "found", "recipe", "status", "reason"),
    [
        (ENDED, GREEN, PYTEST, RunStatus.SUCCESS, "1 tests passed, 1 skipped."),
        (ENDED, None, MAKE, RunStatus.SUCCESS, "The tests passed."),
        (ENDED, None, PYTEST, RunStatus.FAILED, "The tests ended without a report"),
        (ENDED, MIXED, PYTEST, RunStatus.FAILED, "2 of 3 tests failed; first: b (t.py:4)."),
        (replace(ENDED, exit_code=1), MIXED, PYTEST, RunStatus.FAILED, "2 of 3 tests failed"),
        (replace(ENDED, exit_code=1), GREEN, PYTEST, RunStatus.FAILED, "`pytest` ended with exit code 1"),
        (replace(ENDED, exit_code=5), report(), PYTEST, RunStatus.FAILED, "No tests were found"),
        (replace(ENDED, exit_code=5), None, PYTEST, RunStatus.FAILED, "No tests were found"),
        (replace(ENDED, exit_code=5), None, MAKE, RunStatus.FAILED, "`make test` ended with exit code 5"),
        (replace(ENDED, exit_code=127), None, PYTEST, RunStatus.FAILED, "`pytest` ended with exit code 127"),
        (replace(ENDED, timed_out=True, exit_code=137), GREEN, PYTEST, RunStatus.TIMEOUT, "Stopped at its deadline"),
        (replace(ENDED, cancelled=True, exit_code=137), GREEN, PYTEST, RunStatus.CANCELLED, "Cancelled. Nothing"),
        (replace(ENDED, oom_killed=True), GREEN, PYTEST, RunStatus.FAILED, "It needed more memory"),
        (replace(ENDED, oom_killed=True, timed_out=True), GREEN, PYTEST, RunStatus.TIMEOUT, "Stopped"),
        (replace(ENDED, cancelled=True, timed_out=True), GREEN, PYTEST, RunStatus.CANCELLED, "Cancelled"),
    ],
)
def test_outcomes(done: Completed, found: TestReport | None, recipe: Recipe, status: RunStatus, reason: str) -> None:
    tested = _judge(done, found, recipe)
    assert tested.end.status is status
    assert tested.end.reason.startswith(reason)
    assert tested.proven == ({"1.1"} if status is RunStatus.SUCCESS and found else set())
    assert len(tested.tests) == (len(found.tests) if found else 0)


def test_a_criterion_with_one_failing_test_is_not_proven() -> None:
    found = report(case("a", criterion="1.1"), case("b", "<skipped/>", "1.1"), case("c", criterion="1.3"))
    assert _judge(ENDED, found, PYTEST).proven == {"1.1", "1.3"}
    failed = report(case("a", criterion="1.1"), case("b", FAILURE, "1.1"))
    assert _judge(ENDED, failed, PYTEST).proven == set()


def run(domain: DomainWorld, files: dict[str, str], *, deadline_s: float = 60.0) -> tuple[TestedTree, str, UUID]:
    """Test ``files``, put on top of an empty tree, in a plain process."""
    repository = domain.git.repository(domain.actor.tenant_id, new_id())
    repository.create("main")
    result = repository.change(EMPTY_TREE, {path: text.encode() for path, text in files.items()})
    run_id = new_id()
    job = TestJob(
        run_id, domain.actor.tenant_id, repository, EMPTY_TREE, repository.diff(EMPTY_TREE, result), result, deadline_s
    )
    opened: list[str] = []

    def note(sandbox: Sandbox, recipe: Recipe) -> None:
        opened.append(recipe.name)
        assert domain.control.active() == [run_id]
        assert sandbox.isolation == "process"

    runner = domain.ports.get(SandboxRunner)
    with domain.logs.writer(domain.actor.tenant_id, run_id) as log:
        tested = runner.test(job, log, note)
    return tested, domain.logs.read(domain.actor.tenant_id, run_id, 0, 1_000_000).decode(), run_id


def test_a_real_run_reports_and_logs(domain: DomainWorld) -> None:
    tested, log, _ = run(domain, {"dir/test_a.py": "def test_one():\n    print('HELLO')\n"})
    assert (tested.end.status, [test.name for test in tested.tests]) == (RunStatus.SUCCESS, ["test_one"])
    assert tested.tests[0].file == "dir/test_a.py"
    assert tested.metrics["duration"] > 0
    assert tested.metrics["log_bytes_dropped"] == 0
    for line in ("Opening a python sandbox (process)", "Isolation: process", "HELLO", "success: 1 tests passed."):
        assert line in log
    assert domain.control.active() == []


def test_a_tree_without_tests_opens_no_sandbox(domain: DomainWorld) -> None:
    tested, log, _ = run(domain, {"README.md": "x\n"})
    assert tested.end.status is RunStatus.FAILED
    assert "No tests were found" in tested.end.reason
    assert "Opening" not in log


def test_a_deadline_ends_a_run(domain: DomainWorld) -> None:
    tested, _, _ = run(domain, {"test_a.py": "import time\n\ndef test_a():\n    time.sleep(60)\n"}, deadline_s=1.5)
    assert tested.end.status is RunStatus.TIMEOUT


def test_a_report_that_cannot_be_read_is_no_proof(domain: DomainWorld) -> None:
    files = {
        "test_a.py": "def test_a():\n    pass\n",
        "conftest.py": (
            "def pytest_unconfigure(config):\n    import pathlib\n"
            "    for file in pathlib.Path('.').glob('.devstudio-junit-*.xml'):\n"
            "        file.write_text('<!DOCTYPE x>')\n"
        ),
    }
    tested, log, _ = run(domain, files)
    assert tested.end.status is RunStatus.FAILED
    assert "report" in tested.end.reason
    assert "cannot be read" in log


def test_limits_are_the_products_own_unless_said() -> None:
    job = TestJob(new_id(), new_id(), None, "", b"", "")  # type: ignore[arg-type]
    assert (job.limits, job.deadline_s) == (Limits(), 600.0)
