"""How a project is tested: found from its files, or said in its settings."""

import json
import re
import secrets
import shlex
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from devstudio_sandbox.ports import Command, Language, Sandbox

Read = Callable[[str], str | None]

NODE_TEST = re.compile(r"(^|/)[^/]+[.-]test\.(js|mjs|cjs)$")
PYTHON_TEST = re.compile(r"(^|/)(test_[^/]*|[^/]*_test)\.py$")
PYTHON_PROJECT = ("pyproject.toml", "setup.cfg", "setup.py", "pytest.ini", "tox.ini")
MAKE_TEST = re.compile(r"^test\s*:(?!=)", re.MULTILINE)
NPM_PLACEHOLDER = "no test specified"
"""What ``npm init`` writes as the test script: there is none."""


@dataclass(frozen=True)
class Recipe:
    """One named way to run a project's tests.

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

    def command(self, sandbox: Sandbox, deadline_s: float = 300.0) -> Command:
        """Make the command for one sandbox; the paths differ from backend to backend."""
        known = {"{workspace}": sandbox.workspace, "{pythonpath}": sandbox.env.get("PYTHONPATH", "")}

        def fill(text: str) -> str:
            for name, value in known.items():
                text = text.replace(name, value)
            return text

        env = {name: fill(value) for name, value in self.env.items()}
        return Command(argv=tuple(map(fill, self.argv)), env=env, deadline_s=deadline_s)


def detect(paths: Collection[str], read: Read) -> Recipe | None:
    """Find out how a project is tested.

    Parameters
    ----------
    paths
        Every file of the project, relative, with ``/``.
    read
        Gives the text of one of them, or ``None``.

    Returns
    -------
    Recipe or None
        The first that fits of: npm's test script, ``node --test``, pytest, ``make test``.

    """
    files = {path.removeprefix("./") for path in paths}
    scripts = npm_scripts(read("package.json")) if "package.json" in files else {}
    report = f".devstudio-junit-{secrets.token_hex(8)}.xml"
    if script := scripts.get("test"):
        return npm_test(script, report)
    if any(NODE_TEST.search(path) and "node_modules/" not in path for path in files):
        return node_test(report)
    if files & set(PYTHON_PROJECT) or any(PYTHON_TEST.search(path) for path in files):
        return python_test(report, has_src=any(path.startswith("src/") for path in files))
    if "Makefile" in files and MAKE_TEST.search(read("Makefile") or ""):
        return Recipe("make test", "python", ("make", "test"))
    return None


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


def reporters(report: str) -> tuple[str, ...]:
    """Options of Node 20 and newer: the person sees the tests live, the product gets a report."""
    return (
        "--test-reporter=spec",
        "--test-reporter-destination=stdout",
        "--test-reporter=junit",
        f"--test-reporter-destination={{workspace}}/{report}",
    )


def npm_test(script: str, report: str) -> Recipe:
    """Run npm's test script; Node's own runner also takes its reporters from NODE_OPTIONS."""
    if not runs_node_test(script):
        return Recipe("npm test", "node", ("npm", "test"))
    env = {"NODE_OPTIONS": " ".join(reporters(report))}
    return Recipe("npm test", "node", ("npm", "test"), env=env, junit_path=report)


def runs_node_test(script: str) -> bool:
    """Tell whether a script uses Node's test runner with its default reporter."""
    try:
        words = shlex.split(script)
    except ValueError:
        return False
    return "node" in words and "--test" in words and not any(word.startswith("--test-reporter") for word in words)


def node_test(report: str) -> Recipe:
    """Run Node's test runner on the files that it finds by itself."""
    return Recipe("node --test", "node", ("node", "--test", *reporters(report)), junit_path=report)


def python_test(report: str, *, has_src: bool) -> Recipe:
    """Run pytest; the project needs no configuration and no installation."""
    argv = (
        *("python3", "-m", "pytest", "-p", "devstudio_criteria", "-p", "no:cacheprovider"),
        *("--rootdir={workspace}", "--color=no", "-rA"),
        # xunit1 is the family that says in which file and line a test is
        *("-o", "junit_family=xunit1", f"--junitxml={{workspace}}/{report}"),
    )
    folders = (["{workspace}/src"] if has_src else []) + ["{workspace}", "{pythonpath}"]
    return Recipe(
        "pytest", "python", argv, env={"PYTHONPATH": ":".join(folders)}, junit_path=report, criteria_plugin=True
    )
