"""How a project is tested and built: found from its files, or said in its settings."""

import json
import re
import secrets
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from devstudio_sandbox.ports import Command, Language, Sandbox

Read = Callable[[str], str | None]

NODE_TEST = re.compile(r"(^|/)[^/]+[.-]test\.(js|mjs|cjs)$")
PYTHON_TEST = re.compile(r"(^|/)(test_[^/]*|[^/]*_test)\.py$")
PYTHON_PROJECT = ("pyproject.toml", "setup.cfg", "setup.py", "pytest.ini", "tox.ini")
MAKE_TEST = re.compile(r"^test\s*:(?!=)", re.MULTILINE)
MAKE_BUILD = re.compile(r"^build\s*:(?!=)", re.MULTILINE)
MAKE_ALL = re.compile(r"^all\s*:(?!=)", re.MULTILINE)
REPORT = "{report}"
COVERAGE = "{coverage}"
"""What stands in a command of one's own for the files that are read when it has ended: JUnit XML, and lcov."""
NODE_COVERAGE = "--experimental-test-coverage"
COVERAGE_VARIABLE = "DEVSTUDIO_COVERAGE"
"""Tells the pytest plugin where to write what the tests ran."""
NPM_PLACEHOLDER = "no test specified"
"""What ``npm init`` writes as the test script: there is none."""


@dataclass(frozen=True)
class Recipe:
    """One named way to run a project's tests, or to build it.

    ``{workspace}`` and ``{pythonpath}`` in arguments and environment stand for what the sandbox has there.
    """

    name: str
    language: Language
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    junit_path: str | None = None
    """Where the report will be, relative to the workspace; its name is new each time, so that no file of the project
    can pass for it. ``None``: the runner writes none, and only the exit code counts."""
    criteria_plugin: bool = False
    """The runner loads the plugin that knows ``@pytest.mark.criterion``."""
    coverage_path: str | None = None
    """Where lcov will say what the tests ran, if the runner can tell; relative to the workspace."""
    token: str = ""
    """What makes the names of the reports new; part of them."""

    def renewed(self) -> "Recipe":
        """Return the same recipe with new names of its reports: a run that is done again shares none with the first."""
        if not self.token:
            return self
        token = new_token()

        def renew(text: str) -> str:
            return text.replace(self.token, token)

        return replace(
            self,
            argv=tuple(map(renew, self.argv)),
            env={name: renew(value) for name, value in self.env.items()},
            junit_path=self.junit_path and renew(self.junit_path),
            coverage_path=self.coverage_path and renew(self.coverage_path),
            token=token,
        )

    def command(self, sandbox: Sandbox, deadline_s: float = 300.0) -> Command:
        """Make the command for one sandbox; the paths differ from backend to backend."""
        known = {"{workspace}": sandbox.workspace, "{pythonpath}": sandbox.env.get("PYTHONPATH", "")}

        def fill(text: str) -> str:
            for name, value in known.items():
                text = text.replace(name, value)
            return text

        env = {name: fill(value) for name, value in self.env.items()}
        return Command(argv=tuple(map(fill, self.argv)), env=env, deadline_s=deadline_s)


def new_token() -> str:
    """Return what nobody can guess."""
    return secrets.token_hex(8)


def report_name(token: str) -> str:
    """Name a JUnit report in the workspace."""
    return f".devstudio-junit-{token}.xml"


def coverage_name(token: str) -> str:
    """Name an lcov file in the workspace."""
    return f".devstudio-coverage-{token}.info"


def custom(argv: Iterable[str], language: Language) -> Recipe:
    """Return the recipe of a command that someone gave; `REPORT` and `COVERAGE` in it name the files to read."""
    token = new_token()
    words = tuple(argv)
    names = {REPORT: report_name(token), COVERAGE: coverage_name(token)}
    told = {name for name in names if any(name in word for word in words)}
    for name, path in names.items():
        words = tuple(word.replace(name, f"{{workspace}}/{path}") for word in words)
    return Recipe(
        "command",
        language,
        words,
        junit_path=names[REPORT] if REPORT in told else None,
        coverage_path=names[COVERAGE] if COVERAGE in told else None,
        token=token,
    )


def detect(paths: Collection[str], read: Read, *, coverage: bool = False) -> Recipe | None:
    """Find out how a project is tested.

    Parameters
    ----------
    paths
        Every file of the project, relative, with ``/``.
    read
        Gives the text of one of them, or ``None``.
    coverage
        Measure what the tests run, where the runner can.

    Returns
    -------
    Recipe or None
        The first that fits of: npm's test script, ``node --test``, pytest, ``make test``.

    """
    files = {path.removeprefix("./") for path in paths}
    scripts = npm_scripts(read("package.json")) if "package.json" in files else {}
    token = new_token()
    if script := scripts.get("test"):
        return npm_test(script, token, coverage=coverage)
    if any(NODE_TEST.search(path) and "node_modules/" not in path for path in files):
        return node_test(token, coverage=coverage)
    if files & set(PYTHON_PROJECT) or any(PYTHON_TEST.search(path) for path in files):
        return python_test(token, has_src=any(path.startswith("src/") for path in files), coverage=coverage)
    if "Makefile" in files and MAKE_TEST.search(read("Makefile") or ""):
        return Recipe("make test", "python", ("make", "test"))
    return None


def detect_build(paths: Collection[str], read: Read) -> Recipe | None:
    """Find out how a project is built; parameters as for `detect`.

    Returns
    -------
    Recipe or None
        The first that fits of: npm's build script, ``make build``, ``make all``, and for a project of Python, which
        needs no building, compiling all of it: that finds what is no Python.

    """
    files = {path.removeprefix("./") for path in paths}
    if "package.json" in files and npm_scripts(read("package.json")).get("build"):
        return Recipe("npm run build", "node", ("npm", "run", "build"))
    makefile = (read("Makefile") or "") if "Makefile" in files else ""
    for target, declared in (("build", MAKE_BUILD), ("all", MAKE_ALL)):
        if declared.search(makefile):
            return Recipe(f"make {target}", language_of(files), ("make", target))
    if any(path.endswith(".py") for path in files):
        return Recipe("compileall", "python", ("python3", "-m", "compileall", "-q", "."))
    return None


def language_of(paths: Collection[str]) -> Language:
    """Tell which image a project needs when no recipe says it: Node's for a project with a package.json."""
    return "node" if "package.json" in paths else "python"


def npm_scripts(text: str | None) -> dict[str, str]:
    """Read the scripts of a package.json; a broken one has none."""
    try:
        scripts = json.loads(text or "")["scripts"]
    except (ValueError, KeyError, TypeError):
        return {}
    if not isinstance(scripts, dict):
        return {}
    return {
        name: script for name, script in scripts.items() if isinstance(script, str) and NPM_PLACEHOLDER not in script
    }


def reporters(token: str, *, coverage: bool = False) -> tuple[str, ...]:
    """Options of Node 20 and newer: the person sees the tests live, the product gets a report."""
    kinds = (("junit", report_name(token)), *((("lcov", coverage_name(token)),) if coverage else ()))
    files = tuple(
        option
        for kind, name in kinds
        for option in (f"--test-reporter={kind}", f"--test-reporter-destination={{workspace}}/{name}")
    )
    return ("--test-reporter=spec", "--test-reporter-destination=stdout", *files)


def npm_test(script: str, token: str, *, coverage: bool = False) -> Recipe:
    """Run npm's test script; Node's own runner also takes its reporters from NODE_OPTIONS."""
    if not runs_node_test(script):
        return Recipe("npm test", "node", ("npm", "test"))
    # NODE_OPTIONS may not ask for coverage, and npm adds arguments at the end: only where options still are
    measured = coverage and shlex.split(script)[-1].startswith("--")
    return Recipe(
        "npm test",
        "node",
        ("npm", "test", *(("--", NODE_COVERAGE) if measured else ())),
        env={"NODE_OPTIONS": " ".join(reporters(token, coverage=measured))},
        junit_path=report_name(token),
        coverage_path=coverage_name(token) if measured else None,
        token=token,
    )


def runs_node_test(script: str) -> bool:
    """Tell whether a script uses Node's test runner with its default reporter."""
    try:
        words = shlex.split(script)
    except ValueError:
        return False
    return "node" in words and "--test" in words and not any(word.startswith("--test-reporter") for word in words)


def node_test(token: str, *, coverage: bool = False) -> Recipe:
    """Run Node's test runner on the files that it finds by itself."""
    measured = (NODE_COVERAGE,) if coverage else ()
    return Recipe(
        "node --test",
        "node",
        ("node", "--test", *measured, *reporters(token, coverage=coverage)),
        junit_path=report_name(token),
        coverage_path=coverage_name(token) if coverage else None,
        token=token,
    )


def python_test(token: str, *, has_src: bool, coverage: bool = False) -> Recipe:
    """Run pytest; the project needs no configuration and no installation."""
    argv = (
        *("python3", "-m", "pytest", "-p", "devstudio_criteria", "-p", "no:cacheprovider"),
        *("--rootdir={workspace}", "--color=no", "-rA"),
        # xunit1 is the family that says in which file and line a test is
        *("-o", "junit_family=xunit1", f"--junitxml={{workspace}}/{report_name(token)}"),
    )
    folders = (["{workspace}/src"] if has_src else []) + ["{workspace}", "{pythonpath}"]
    measured = {COVERAGE_VARIABLE: f"{{workspace}}/{coverage_name(token)}"} if coverage else {}
    return Recipe(
        "pytest",
        "python",
        argv,
        env={"PYTHONPATH": ":".join(folders), **measured},
        junit_path=report_name(token),
        criteria_plugin=True,
        coverage_path=coverage_name(token) if coverage else None,
        token=token,
    )
