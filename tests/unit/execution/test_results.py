"""How the end of a command, its report and its output become the end of a run."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from devstudio_sandbox import Completed, Recipe, TestReport, parse_junit
from devstudio_server.execution.results import MAX_TESTS, MAX_TESTS_CHARS, Ended, RunResult, clean, judge
from devstudio_server.execution.schemas import Failure, RunStatus, RunType

PYTEST = Recipe("pytest", "python", ("pytest",), junit_path="report.xml", criteria_plugin=True)
MAKE = Recipe("make test", "python", ("make", "test"))
OWN = Recipe("command", "python", ("ruff", "check"))
ENDED = Completed(
    exit_code=0, signal=None, timed_out=False, cancelled=False, duration_s=1.0, cpu_s=0.5, max_rss_bytes=1
)
LATE = replace(ENDED, timed_out=True, exit_code=137)
FULL = replace(ENDED, oom_killed=True)


def case(name: str, inner: str = "", criterion: str = "") -> str:
    proof = f'<properties><property name="criterion" value="{criterion}"/></properties>' if criterion else ""
    return f'<testcase name="{name}" file="t.py" line="3">{proof}{inner}</testcase>'


def report(*cases: str) -> TestReport:
    return parse_junit(f"<testsuite>{''.join(cases)}</testsuite>".encode())


def judged(
    done: Completed, found: TestReport | None, recipe: Recipe, kind: RunType = RunType.TEST, output: str = ""
) -> RunResult:
    return judge(Ended(kind, recipe, done, found, output, "/w", 600.0, 2048 * 1024 * 1024))


FAILURE = '<failure message="no"/>'
GREEN = report(case("a", criterion="1.1"), case("b", "<skipped/>", "1.2"))
MIXED = report(case("a", criterion="1.1"), case("b", FAILURE, "1.2"), case("c", "<error/>"))


@pytest.mark.parametrize(
    ("done", "found", "recipe", "status", "reason"),
    [
        (ENDED, GREEN, PYTEST, RunStatus.SUCCESS, "1 tests passed, 1 skipped."),
        (ENDED, None, MAKE, RunStatus.SUCCESS, "The tests passed."),
        (ENDED, None, OWN, RunStatus.SUCCESS, "`ruff` ended with exit code 0."),
        (ENDED, None, PYTEST, RunStatus.FAILED, "The tests ended without a report"),
        (ENDED, MIXED, PYTEST, RunStatus.FAILED, "2 of 3 tests failed; first: b"),
        (replace(ENDED, exit_code=1), MIXED, PYTEST, RunStatus.FAILED, "2 of 3 tests failed"),
        (replace(ENDED, exit_code=1), GREEN, PYTEST, RunStatus.FAILED, "`pytest` ended with exit code 1; the log"),
        (replace(ENDED, exit_code=5), report(), PYTEST, RunStatus.FAILED, "No tests were found"),
        (replace(ENDED, exit_code=5), None, PYTEST, RunStatus.FAILED, "No tests were found"),
        (replace(ENDED, exit_code=5), None, MAKE, RunStatus.FAILED, "`make test` ended with exit code 5"),
        (replace(ENDED, exit_code=127), None, PYTEST, RunStatus.FAILED, "`pytest` ended with exit code 127"),
        (replace(ENDED, exit_code=2), None, OWN, RunStatus.FAILED, "`ruff` ended with exit code 2; the log"),
        (LATE, GREEN, PYTEST, RunStatus.TIMEOUT, "Stopped at its deadline of 600 s,"),
        (replace(ENDED, cancelled=True, exit_code=137), GREEN, PYTEST, RunStatus.CANCELLED, "Cancelled."),
        (FULL, GREEN, PYTEST, RunStatus.FAILED, "It needed more memory than the sandbox has (2048"),
        (replace(ENDED, oom_killed=True, timed_out=True), GREEN, PYTEST, RunStatus.TIMEOUT, "Stopped"),
        (replace(ENDED, cancelled=True, timed_out=True), GREEN, PYTEST, RunStatus.CANCELLED, "Cancelled"),
    ],
)  # fmt: skip
def test_outcomes(done: Completed, found: TestReport | None, recipe: Recipe, status: RunStatus, reason: str) -> None:
    result = judged(done, found, recipe)
    assert result.end.status is status
    assert result.end.reason.startswith(reason)
    assert result.proven == ({"1.1"} if status is RunStatus.SUCCESS and found else set())
    assert len(result.tests) == (len(found.tests) if found else 0)
    told = RunResult.from_json(result.to_json())
    assert (told.end, told.proven) == (result.end, result.proven)


def test_a_criterion_with_one_failing_test_is_not_proven() -> None:
    found = report(case("a", criterion="1.1"), case("b", "<skipped/>", "1.1"), case("c", criterion="1.3"))
    assert judged(ENDED, found, PYTEST).proven == {"1.1", "1.3"}
    failed = report(case("a", criterion="1.1"), case("b", FAILURE, "1.1"))
    assert judged(ENDED, failed, PYTEST).proven == set()


def test_a_failure_lies_where_it_broke_and_not_where_the_test_is() -> None:
    trace = "tests/test_a.py:4: \n_ _ _\nsrc/calc.py:2: in add\nE   x: other.py:9\nsrc/deep.py:7: ZeroDivisionError"
    inner = f'<failure message="ZeroDivisionError: division by zero">{trace}</failure>'
    found = report(f'<testcase name="a" file="tests/test_a.py" line="1">{inner}</testcase>')
    result = judged(replace(ENDED, exit_code=1), found, PYTEST)
    assert result.failures == [
        Failure(name="a", file="src/deep.py", line=7, message="ZeroDivisionError: division by zero")
    ]
    assert result.end.reason == "1 of 1 tests failed; first: a (src/deep.py:7)."


def test_a_build_is_judged_by_its_exit_code_and_its_output() -> None:
    broken = "gcc -c main.c\nmain.c:3:5: error: expected ';' before 'return'\nmake: *** [Makefile:2: main.o] Error 1\n"
    make = replace(MAKE, name="make build")
    result = judged(replace(ENDED, exit_code=2), None, make, RunType.BUILD, broken)
    assert result.failures == [
        Failure(name="make build", file="main.c", line=3, message="expected ';' before 'return'")
    ]
    assert result.end.reason == "`make build` ended with exit code 2; first: main.c:3: expected ';' before 'return'."
    assert judged(ENDED, None, make, RunType.BUILD, broken).failures == []
    assert judged(ENDED, None, make, RunType.BUILD).end.reason == "The build passed."


def test_of_very_many_tests_those_that_failed_are_kept() -> None:
    cases = [case(f"t{number}", FAILURE if number >= MAX_TESTS else "") for number in range(MAX_TESTS + 10)]
    result = judged(replace(ENDED, exit_code=1), report(*cases), PYTEST)
    assert len(result.tests) == MAX_TESTS
    assert [test.name for test in result.tests if test.outcome == "failed"] == [
        f"t{number}" for number in range(MAX_TESTS, MAX_TESTS + 10)
    ]
    assert result.end.reason.startswith(f"10 of {MAX_TESTS + 10} tests failed")


def test_a_row_stays_of_a_size_that_lists_can_show() -> None:
    long = "x" * 1900
    cases = [case(f"{long}{number}", f'<failure message="{long}"/>', long) for number in range(1000)]
    result = judged(replace(ENDED, exit_code=1), report(*cases), PYTEST)
    assert len(json.dumps(result.columns())) < MAX_TESTS_CHARS + 400_000
    assert result.end.reason.startswith("1000 of 1000 tests failed")
    assert len(result.end.reason) < 1000


def test_text_of_a_stranger_can_be_stored() -> None:
    assert clean("a\x00b\x1b[31mc\ud800\n") == "ab[31mc"
