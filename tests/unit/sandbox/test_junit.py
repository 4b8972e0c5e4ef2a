"""Reports: what they prove, and what a hostile one can do (nothing)."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstudio_sandbox import ReportInvalid, TestReport, TestResult, parse_junit
from devstudio_sandbox.junit import MAX_REPORT_BYTES, Outcome


def one(case: str, suite: str = "pytest", workspace: str = "") -> TestResult:
    """Read a report with one test case."""
    data = f'<testsuites><testsuite name="{suite}">{case}</testsuite></testsuites>'.encode()
    (test,) = parse_junit(data, workspace).tests
    return test


def report(*found: tuple[Outcome, str]) -> TestReport:
    """Make a report of tests that each name one criterion."""
    return TestReport(tuple(TestResult("t", "c", outcome, (key,), "", "", None, 0.0) for outcome, key in found))


def test_a_test_that_passed() -> None:
    test = one('<testcase name="a" classname="tests.test_a" time="0.25" file="tests/test_a.py" line="4"/>')
    assert (test.name, test.classname, test.outcome, test.duration_s) == ("a", "tests.test_a", "passed", 0.25)
    assert (test.file, test.line, test.message, test.criteria) == ("tests/test_a.py", 5, "", ())


@pytest.mark.parametrize(
    ("inner", "outcome"),
    [
        ("<failure message='m'>d</failure>", "failed"),
        ("<error message='m'>d</error>", "error"),
        ("<skipped message='m'/>", "skipped"),
        ("<skipped message='m'/><failure message='x'/>", "skipped"),
        ("<failure message='x'/><error message='m'/>", "error"),
        ("<system-out>failure</system-out>", "passed"),
    ],
)
def test_outcomes(inner: str, outcome: str) -> None:
    test = one(f"<testcase name='a'>{inner}</testcase>")
    assert test.outcome == outcome
    assert test.message == ("" if outcome == "passed" else "m")


@pytest.mark.parametrize(
    ("suite", "case", "criteria"),
    [
        ("pytest", "<testcase name='test_a [1.2]'/>", ("1.2",)),
        ("pytest", "<testcase name='test_a[1.2]'/>", ("1.2",)),  # a parametrization id counts too
        ("pytest", "<testcase name='test_a[3]'/>", ()),
        ("pytest", "<testcase name='test_a[1.2-x]'/>", ()),
        ("pytest", "<testcase name='test_a[v1.2]'/>", ()),
        ("about [2.1] and [2.2.3]", "<testcase name='a'/>", ("2.1", "2.2.3")),
        ("s", "<testcase name='a' classname='X [3.1]'/>", ("3.1",)),
        (
            "pytest",
            (
                "<testcase name='a [1.1]'><properties><property name='criterion' value='1.2'/>"
                "<property name='criterion' value='1.1'/><property name='other' value='9.9'/></properties></testcase>"
            ),
            ("1.2", "1.1"),
        ),
        (
            "s",
            "<testcase name='a'><properties><property name='criterion'> 4.1 </property></properties></testcase>",
            ("4.1",),
        ),
        ("s", "<testcase name='a'><properties><property name='criterion' value=''/></properties></testcase>", ()),
    ],
)
def test_criteria_are_read_from_properties_and_names(suite: str, case: str, criteria: tuple[str, ...]) -> None:
    assert one(case, suite).criteria == criteria


def test_criteria_are_inherited_from_every_suite_around() -> None:
    inner = b"<testsuite name='[1.2]'><testcase name='a'/></testsuite>"
    data = b"<testsuite name='[1.1]'><testsuite name='x'>" + inner + b"</testsuite></testsuite>"
    (test,) = parse_junit(data).tests
    assert test.criteria == ("1.1", "1.2")


def test_what_counts_as_proven() -> None:
    told = report(
        *(("passed", "1.1"), ("passed", "1.1")),
        *(("passed", "1.2"), ("failed", "1.2")),
        *(("error", "1.3"), ("passed", "1.3")),
        *(("skipped", "1.4"), ("passed", "1.4")),
        ("skipped", "1.5"),
        *(("skipped", "1.6"), ("failed", "1.6")),
    )
    assert told.criteria() == {
        "1.1": "proven",
        "1.2": "failed",
        "1.3": "failed",
        "1.4": "proven",
        "1.5": "skipped",
        "1.6": "failed",
    }
    assert TestReport(()).criteria() == {}


@pytest.mark.parametrize(
    ("file", "detail", "found"),
    [
        ("tests/test_a.py", "tests/test_a.py:7: in test_a\nsrc/calc.py:3: AssertionError", ("tests/test_a.py", 7)),
        ("", "src/calc.py:3: AssertionError", ("src/calc.py", 3)),
        ("/w/test/a.test.js", "at TestContext.&lt;anonymous> (/w/test/a.test.js:3:85)", ("test/a.test.js", 3)),
        ("/w/test/a.test.js", "at X (file:///w/test/a.test.js:3:85)", ("test/a.test.js", 3)),
        ("", "at Test.run (node:internal/test_runner/test:1382:25)", ("", None)),
        ("", "/usr/lib/python3.11/json.py:5: X\n/v/site-packages/p.py:9: Y\n/w/node_modules/p.js:1:1", ("", None)),
        ("a.py", "nothing to see", ("a.py", None)),
        ("a.py", "a.py:99999999999999999999: in x", ("a.py", None)),
    ],
)
def test_failures_point_to_file_and_line(file: str, detail: str, found: tuple[str, int | None]) -> None:
    test = one(f"<testcase name='a' file='{file}'><failure message='m'>{detail}</failure></testcase>", workspace="/w")
    assert (test.file, test.line) == found


@pytest.mark.parametrize(
    ("detail", "broke"),
    [
        ("tests/test_a.py:7: in test_a\nsrc/calc.py:3: AssertionError", ("src/calc.py", 3)),
        ("src/calc.py:3: \nE  other.py:9: x\n/usr/lib/python3.11/json.py:5: ValueError", ("src/calc.py", 3)),
        ('E     File "/w/test_a.py", line 3\nE   SyntaxError: x', ("test_a.py", 3)),
        ("at add (file:///w/calc.js:3:11)\nat X (file:///w/test/a.test.js:7:1)", ("calc.js", 3)),
        ("at Test.run (node:internal/test_runner/test:1382:25)", ("t.py", None)),
        ("/etc/x.conf:3: odd", ("t.py", None)),
    ],
)
def test_it_broke_in_the_innermost_frame_of_the_project(detail: str, broke: tuple[str, int | None]) -> None:
    text = detail.replace("<", "&lt;")
    test = one(f"<testcase name='a' file='t.py'><failure message='m'>{text}</failure></testcase>", workspace="/w")
    assert (test.broke_file, test.broke_line) == broke


def test_failure_lines_are_for_people() -> None:
    cases = (
        "<testcase name='a' file='f.py'><failure message='\n boom \n more'>f.py:3: X</failure></testcase>"
        "<testcase name='b'><error/></testcase><testcase name='c'/>"
    )
    told = parse_junit(f"<testsuite>{cases}</testsuite>".encode()).failures()
    assert told == ("f.py:3: a: boom more", "b: error")


ENTITIES = b"<!ENTITY a 'lol'>" + b"".join(b"<!ENTITY %c '&%c;&%c;'>" % (n + 1, n, n) for n in range(97, 120))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not xml",
        b"<testsuite>",
        b"<html/>",
        b"<testsuite/><testsuite/>",
        b"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><testsuite name='s'><testcase name='&e;'/></testsuite>",
        b"<!DOCTYPE x [" + ENTITIES + b"]><testsuite name='&x;'/>",
        b"<!DOCTYPE x SYSTEM 'http://127.0.0.1:1/x.dtd'><testsuite/>",
        b"<?xml version='1.0' encoding='no-such'?><testsuite/>",
        b"\xff\xfe\x00<testsuite/>",
        b"<testsuite>\x00</testsuite>",
        b" " * (MAX_REPORT_BYTES + 1),
    ],
)
def test_hostile_reports_are_refused(data: bytes) -> None:
    began = time.monotonic()
    with pytest.raises(ReportInvalid):
        parse_junit(data)
    assert time.monotonic() - began < 2


def test_depth_and_size_do_no_harm() -> None:
    deep = 100_000
    data = b"<testsuite name='[1.1]'>" * deep + b"<testcase name='a'/>" + b"</testsuite>" * deep
    (test,) = parse_junit(data).tests
    assert test.criteria == ("1.1",)
    wide = b"<testsuite>" + b"<testcase name='a'><failure>" + b"a/" * 500_000 + b"</failure></testcase></testsuite>"
    began = time.monotonic()
    assert len(parse_junit(wide).tests[0].message) == 2000
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "-1", "1e999"])
def test_odd_durations_are_none(text: str) -> None:
    assert one(f"<testcase name='a' time='{text}'/>").duration_s == 0.0


@given(st.binary(max_size=200))
def test_no_input_does_more_than_be_refused(data: bytes) -> None:
    for attempt in (data, b"<testsuite>" + data + b"</testsuite>"):
        try:
            parse_junit(attempt)
        except ReportInvalid:
            continue
