"""What a JUnit report says, and which acceptance criteria it proves."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from devstudio_sandbox.errors import ReportInvalid

Outcome = Literal["passed", "failed", "error", "skipped"]
CriterionOutcome = Literal["proven", "failed", "skipped"]

MAX_REPORT_BYTES = 32 * 1024 * 1024
MAX_MESSAGE_CHARS = 2000
IN_NAME = re.compile(r"\[(\d+(?:\.\d+)+)\]")
"""``[1.2]`` in a name. A pytest parameter that happens to read so counts too: api.md says "in any runner"."""
PLACE = re.compile(r"(?<![\w.@+/\\-])([\w.@+/\\-]{1,400}):(\d{1,8})(?!\d)")
"""``path/file.py:12:`` as pytest writes it, ``(/path/file.js:3:85)`` as Node does. The look-behind and the bounds keep
it linear: the text is not ours."""
PYTEST_FRAME = re.compile(r"^([\w.@+/\\-]{1,400}):(\d{1,8}):", re.MULTILINE)
"""A frame of a pytest traceback: the outermost first, so that the last one is where it broke."""
PYTHON_FRAME = re.compile(r'File "([^"\n]{1,400})", line (\d{1,8})(?!\d)')
"""A frame as Python writes it: how pytest shows a file that cannot be imported."""
MAX_LINE_DIGITS = 8
MAX_DETAIL_CHARS = 64 * 1024
MAX_PATH_CHARS = 400
MAX_KEY_CHARS = 50
MAX_KEYS = 100
"""Criteria that one test can name."""
NOT_THE_PROJECT = ("node_modules/", "site-packages/", "/usr/lib/")


@dataclass(frozen=True)
class TestResult:
    """One test case of a report."""

    __test__ = False  # its name makes pytest think it is a test

    name: str
    classname: str
    outcome: Outcome
    criteria: tuple[str, ...]
    """The criteria that it names, such as ``("1.2",)``."""
    message: str
    """Why it did not pass, at most 2,000 characters; empty when it did."""
    file: str
    """Where it failed, or where it is; relative to the workspace where the report lets one know. May be empty."""
    line: int | None
    duration_s: float
    broke_file: str = ""
    """Where it broke: the innermost frame in the project, which may lie outside of its own file. May be empty."""
    broke_line: int | None = None

    @property
    def id(self) -> str:
        """What tells it from the project's other tests. Node says `test` of all of its tests, which tells nothing."""
        return f"{self.classname}::{self.name}" if self.classname not in ("", "test") else self.name


@dataclass(frozen=True)
class TestReport:
    """All test cases of a run, in the order of the report."""

    __test__ = False

    tests: tuple[TestResult, ...]

    def criteria(self) -> dict[str, CriterionOutcome]:
        """Tell what the run says about each criterion that a test names.

        One failing test is enough for ``failed``; ``proven`` takes one that passed; what only skipped tests name is
        ``skipped``.
        """
        outcomes: dict[str, set[Outcome]] = {}
        for test in self.tests:
            for key in test.criteria:
                outcomes.setdefault(key, set()).add(test.outcome)
        return {key: judge(found) for key, found in outcomes.items()}

    def failures(self) -> tuple[str, ...]:
        """One line per test that did not pass: ``file:line: name: first line of the message``."""
        return tuple(summary(test) for test in self.tests if test.outcome in ("failed", "error"))


def judge(found: set[Outcome]) -> CriterionOutcome:
    """Weigh the outcomes of all tests that name one criterion."""
    if found & {"failed", "error"}:
        return "failed"
    return "proven" if "passed" in found else "skipped"


def summary(test: TestResult) -> str:
    """Say in one line where and why a test failed."""
    place = ":".join(part for part in (test.file, str(test.line or "")) if part)
    reason = next((" ".join(line.split()) for line in test.message.splitlines() if line.strip()), test.outcome)
    return ": ".join(part for part in (place, test.name, reason) if part)


def parse_junit(data: bytes, workspace: str = "") -> TestReport:
    """Read a JUnit XML report of pytest, ``node --test`` or a runner that writes the like.

    Parameters
    ----------
    data
        The file. It was written by code that nobody trusts.
    workspace
        The sandbox's workspace, taken off the paths of files.

    Raises
    ------
    ReportInvalid
        It is larger than 32 MiB, no XML, has a DTD or entities, or is no JUnit report.

    """
    if len(data) > MAX_REPORT_BYTES:
        raise ReportInvalid(f"the report has more than {MAX_REPORT_BYTES} bytes")
    try:
        root = fromstring(data, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as problem:
        raise ReportInvalid(f"the report is no acceptable XML: {problem}") from problem
    if root.tag not in ("testsuites", "testsuite"):
        raise ReportInvalid(f"the report begins with <{root.tag[:50]}>, which is not JUnit")
    return TestReport(tuple(read_case(case, suites, workspace) for case, suites in cases(root)))


def cases(root: Element) -> Iterator[tuple[Element, str]]:
    """Walk all test cases with the names of the suites around them; a stack, because depth is not ours to choose."""
    stack = [(root, "")]
    while stack:
        element, suites = stack.pop()
        if element.tag == "testcase":
            yield element, suites
        elif element.tag in ("testsuites", "testsuite"):
            inner = f"{suites} {element.get('name', '')}"[-MAX_MESSAGE_CHARS:]
            stack.extend((child, inner) for child in reversed(element))


def read_case(case: Element, suites: str, workspace: str) -> TestResult:
    """Read one test case."""
    outcome, message, detail = verdict(case)
    name, classname = (case.get(key, "")[:MAX_MESSAGE_CHARS] for key in ("name", "classname"))
    file, line = place(case, detail, workspace)
    outside = file.startswith("/")
    near = (relative(case.get("file", "")[:MAX_PATH_CHARS], workspace), None) if outside else (file, line)
    broke_file, broke_line = innermost(detail, workspace) or near
    return TestResult(
        name=name,
        classname=classname,
        outcome=outcome,
        criteria=keys(case, f"{suites} {classname} {name}"),
        message=message[:MAX_MESSAGE_CHARS],
        file=file,
        line=line,
        duration_s=seconds(case.get("time", "")),
        broke_file=broke_file,
        broke_line=broke_line,
    )


def verdict(case: Element) -> tuple[Outcome, str, str]:
    """Tell the outcome, the message and the whole detail.

    Skipped comes first: Node writes a failing test that is marked as todo with both, and does not count it as failed.
    """
    kinds: tuple[tuple[str, Outcome], ...] = (("skipped", "skipped"), ("error", "error"), ("failure", "failed"))
    for tag, outcome in kinds:
        found = case.find(tag)
        if found is not None:
            detail = (found.text or "").strip()
            return outcome, found.get("message") or detail, detail
    return "passed", "", ""


def keys(case: Element, names: str) -> tuple[str, ...]:
    """Collect the criteria from the properties and from the names."""
    told = [
        (entry.get("value") or entry.text or "").strip()
        for entry in case.iterfind("properties/property[@name='criterion']")
    ]
    found = dict.fromkeys(key for key in [*told, *IN_NAME.findall(names)] if 0 < len(key) <= MAX_KEY_CHARS)
    return tuple(found)[:MAX_KEYS]


def place(case: Element, detail: str, workspace: str) -> tuple[str, int | None]:
    """Tell where a test failed: the first place in its own file, else the first in the project, else where it is."""
    own = relative(case.get("file", "")[:MAX_PATH_CHARS], workspace)
    found = [(relative(path, workspace), int(line)) for path, line in PLACE.findall(detail[:MAX_DETAIL_CHARS])]
    found = [(path, line) for path, line in found if is_of_project(path)]
    in_own = [entry for entry in found if entry[0] == own]
    if in_own or found:
        return in_own[0] if in_own else found[0]
    told = case.get("line", "")
    # pytest counts the lines of its attribute from 0 (_pytest/reports.py, "location")
    return own, int(told) + 1 if told.isascii() and told.isdigit() and len(told) <= MAX_LINE_DIGITS else None


def innermost(detail: str, workspace: str) -> tuple[str, int] | None:
    """Tell where it broke: the last project frame of a traceback of Python, the first of a stack of Node."""
    text = detail[:MAX_DETAIL_CHARS]
    for pattern, which in ((PYTEST_FRAME, -1), (PYTHON_FRAME, -1), (PLACE, 0)):
        found = [(relative(path, workspace), int(line)) for path, line in pattern.findall(text)]
        found = [(path, line) for path, line in found if is_of_project(path) and not path.startswith("/")]
        if found:
            return found[which]
    return None


def is_of_project(path: str) -> bool:
    """Tell a source file of the project from a module's name and from what is installed."""
    return "." in path.rpartition("/")[2] and not any(part in path for part in NOT_THE_PROJECT)


def relative(path: str, workspace: str) -> str:
    """Take the workspace off a path, which may be the rest of a ``file://`` URL."""
    path = path.removeprefix("file:")
    path = "/" + path.lstrip("/") if path.startswith("//") else path
    return path.removeprefix(workspace.rstrip("/") + "/" if workspace else "")


def seconds(text: str) -> float:
    """Read a duration; what is no number is none."""
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        return 0.0
    return value if 0 <= value < float("inf") else 0.0
