"""Small projects tested end to end: found, run in each backend, and their report read."""

import json

import pytest
from sandbox_kit import Output, spec

from devstudio_sandbox import ArchiveEntry, Backend, Completed, Recipe, TestReport, detect, pack, parse_junit
from devstudio_sandbox.coverage import parse_lcov

PYTHON = {
    "src/calc/__init__.py": "def add(a, b):\n    return a + b\n",
    "tests/test_calc.py": (
        "import pytest\n"
        "from calc import add\n"
        "@pytest.mark.criterion('1.1', '1.2')\n"
        "def test_adds():\n    assert add(1, 2) == 3\n"
        "@pytest.mark.criterion('1.2')\n"
        "def test_fails():\n    x = 4\n    assert add(2, 2) == x + 1\n"
        "@pytest.mark.parametrize('n', [1], ids=['1.3'])\n"
        "def test_named(n):\n    assert n\n"
        "@pytest.mark.criterion('1.4')\n@pytest.mark.skip(reason='later')\n"
        "def test_skipped():\n    pass\n"
        "@pytest.fixture\ndef broken():\n    raise RuntimeError('no set-up')\n"
        "@pytest.mark.criterion('1.5')\n"
        "def test_errs(broken):\n    pass\n"
    ),
    "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--strict-markers -W error'\n",
}
NODE_TEST = (
    "import test from 'node:test'; import assert from 'node:assert';\n"
    "test('adds [1.1]', () => assert.equal(1 + 2, 3));\n"
    "test.describe('suite [1.2]', () => { test('inner', () => {});\n"
    "test('breaks [1.3]', () => { assert.equal(1, 2); }); });\n"
    "test.skip('later [1.4]', () => {});\n"
)
NODE = {
    "package.json": json.dumps({"name": "x", "type": "module", "scripts": {"test": "node --test"}}),
    "test/a.test.js": NODE_TEST,
}


def test_project(
    backend: Backend,
    files: dict[str, str],
    *,
    coverage: bool = False,  # noqa: PT028 - it is no test
) -> tuple[Recipe, Completed, Output, TestReport | None]:
    """Do what the server does with a project."""
    recipe = detect(files, files.get, coverage=coverage)
    assert recipe is not None
    output = Output()
    with backend.open(spec(recipe.language)) as sandbox:
        sandbox.put(pack(ArchiveEntry(path, text.encode()) for path, text in files.items()))
        done = sandbox.run(recipe.command(sandbox, deadline_s=60), output)
        data = sandbox.get(recipe.junit_path, 10_000_000) if recipe.junit_path else None
        report = None if data is None else parse_junit(data, sandbox.workspace)
    return recipe, done, output, report


test_project.__test__ = False  # type: ignore[attr-defined]


def test_a_python_project(backend: Backend) -> None:
    recipe, done, output, report = test_project(backend, PYTHON)
    assert (recipe.name, recipe.criteria_plugin, done.exit_code) == ("pytest", True, 1)
    assert report is not None, output
    assert report.criteria() == {"1.1": "proven", "1.2": "failed", "1.3": "proven", "1.4": "skipped", "1.5": "failed"}
    outcomes = {test.name: test.outcome for test in report.tests}
    assert outcomes["test_errs"] == "error"
    failed = next(test for test in report.tests if test.name == "test_fails")
    assert (failed.file, failed.line) == (failed.broke_file, failed.broke_line) == ("tests/test_calc.py", 9)
    assert report.failures()[0].startswith("tests/test_calc.py:9: test_fails: assert")
    assert b"1 failed, 2 passed, 1 skipped, 1 error" in output.stdout
    assert b"\x1b[" not in output.stdout
    assert b"Warning" not in output.stdout


@pytest.mark.parametrize("script", ["node --test", "node --test test/", None])
def test_a_node_project(backend: Backend, script: str | None) -> None:
    files = dict(NODE)
    scripts = {"test": script} if script else {}
    files["package.json"] = json.dumps({"name": "x", "type": "module", "scripts": scripts})
    if script == "node --test test/":
        files["package.json"] = files["package.json"].replace("test/", "test/*.js")
    recipe, done, output, report = test_project(backend, files)
    assert (recipe.name, done.exit_code) == ("npm test" if script else "node --test", 1)
    assert report is not None, output
    assert report.criteria() == {"1.1": "proven", "1.2": "failed", "1.3": "failed", "1.4": "skipped"}
    failed = next(test for test in report.tests if test.outcome == "failed")
    assert (failed.file, failed.line) == ("test/a.test.js", 4)
    assert b"breaks [1.3]" in output.stdout  # the person sees it live, in the runner's own words


def test_npm_stays_off_the_network(backend: Backend) -> None:
    files = {"package.json": json.dumps({"name": "x", "scripts": {"test": "npm install left-pad"}})}
    _, done, output, report = test_project(backend, files)
    assert done.exit_code != 0
    assert report is None
    assert b"ENOTCACHED" in output.stderr, output


def test_a_stale_report_of_the_project_is_not_taken(backend: Backend) -> None:
    forged = "<testsuites><testcase name='[9.9]'/></testsuites>"
    files = {**PYTHON, ".devstudio-junit.xml": forged, "junit.xml": forged}
    _, _, _, report = test_project(backend, files)
    assert report is not None
    assert "9.9" not in report.criteria()


def test_make_is_the_last_resort(backend: Backend) -> None:
    files = {"Makefile": "test:\n\t@echo made\n", "main.c": ""}
    recipe, done, output, _ = test_project(backend, files)
    assert (recipe.name, recipe.junit_path, done.exit_code) == ("make test", None, 0)
    assert output.stdout == b"made\n"


@pytest.mark.parametrize(("language", "path", "lines"), [("python", "src/calc/__init__.py", 2), ("node", "calc.js", 3)])
def test_coverage_changes_no_outcome_and_counts_the_projects_files(
    docker_backend: Backend, language: str, path: str, lines: int
) -> None:
    """The images have what measures; a host need not."""
    node = {
        "package.json": NODE["package.json"],
        "calc.js": "export function add(a, b) {\n  return a + b;\n}\n",
        "test/a.test.js": NODE_TEST.replace(
            "import assert", "import { add } from '../calc.js'; add(1, 2); import assert"
        ),
    }
    files = PYTHON if language == "python" else node
    recipe = detect(files, files.get, coverage=True)
    assert recipe is not None
    assert recipe.coverage_path is not None
    with docker_backend.open(spec(recipe.language)) as sandbox:
        sandbox.put(pack(ArchiveEntry(name, text.encode()) for name, text in files.items()))
        output = Output()
        done = sandbox.run(recipe.command(sandbox, deadline_s=60), output)
        data = sandbox.get(recipe.coverage_path, 10_000_000)
        junit = sandbox.get(str(recipe.junit_path), 10_000_000)
        workspace = sandbox.workspace
    assert (done.exit_code, data is not None, junit is not None) == (1, True, True), output
    report = parse_lcov(data or b"", workspace)
    assert report is not None
    assert next((file.covered, file.total) for file in report.files if file.path == path) == (lines, lines)


def test_a_project_that_measures_itself_is_left_alone(docker_backend: Backend) -> None:
    files = {**PYTHON, "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--cov=src -W error'\n"}
    _, done, output, report = test_project(docker_backend, files, coverage=True)
    assert done.exit_code == 1
    assert report is not None
    assert b"tests coverage" in output.stdout
    assert b"no coverage" not in output.stdout
