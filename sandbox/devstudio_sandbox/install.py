"""How a project's packages are installed before its tests, where a lease lets the sandbox reach an index."""

import json
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from devstudio_sandbox.ports import Command, Language, Sandbox

Read = Callable[[str], str | None]

PACKAGES = ".devstudio-packages"
"""Where they go, in the workspace: ``/tmp`` is small, and nothing in it is executed. No test runner looks there."""
REQUIREMENTS = (
    *("requirements.txt", "requirements-dev.txt", "requirements-test.txt", "dev-requirements.txt"),
    *("test-requirements.txt", "requirements/dev.txt", "requirements/test.txt"),
)
GROUPS = ("test", "tests", "testing", "dev")
"""Names of extras and dependency groups that tests may need."""
INDEXES: Mapping[str, str] = {"pip": "https://pypi.org/simple/", "npm": "https://registry.npmjs.org/"}
"""Where each client looks unless it is told of a mirror."""
LOCKS = ("package-lock.json", "npm-shrinkwrap.json")
# Makes the folders, of which pip takes no notice when they are missing, and turns into the command.
PREPARE = """\
import os, sys
for folder in sys.argv[1].split(":"):
    os.makedirs(folder, exist_ok=True)
os.execvp(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True)
class Install:
    """One installation. ``{workspace}`` in arguments and environment stands for the sandbox's."""

    client: str
    """``pip`` or ``npm``: whose index it needs."""
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    """What commands find afterwards on Python's path, before the image's own packages."""

    def command(self, sandbox: Sandbox, env: Mapping[str, str], deadline_s: float) -> Command:
        """Make the command for one sandbox, with ``env`` beside its own."""
        own = {name: self._fill(value, sandbox) for name, value in self.env.items()}
        argv = tuple(self._fill(text, sandbox) for text in self.argv)
        return Command(argv=argv, env={**env, **own}, deadline_s=deadline_s)

    def found(self, sandbox: Sandbox) -> list[str]:
        """Return the folders in which commands find what was installed."""
        return [self._fill(path, sandbox) for path in self.paths]

    @staticmethod
    def _fill(text: str, sandbox: Sandbox) -> str:
        return text.replace("{workspace}", sandbox.workspace)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Install":
        """Read what ``dataclasses.asdict`` and JSON made of one."""
        return cls(data["client"], tuple(data["argv"]), data["env"], tuple(data["paths"]))


def detect_install(language: Language, paths: Collection[str], read: Read) -> Install | None:
    """Find out what a project of one language needs; ``read`` gives the text of one of ``paths``."""
    files = {path.removeprefix("./") for path in paths}
    return npm_install(files, read) if language == "node" else pip_install(files, read)


def pip_install(files: Collection[str], read: Read) -> Install | None:
    """Install what requirement files and pyproject.toml name, into a folder of the workspace."""
    wanted = [word for name in REQUIREMENTS if name in files for word in ("-r", name)]
    named = pyproject_dependencies(read("pyproject.toml")) if "pyproject.toml" in files else []
    if not wanted and not named:
        return None
    folder, scratch = f"{{workspace}}/{PACKAGES}/python", f"{{workspace}}/{PACKAGES}/scratch"
    pip = ("python3", "-m", "pip", "install", "--no-cache-dir", "--no-warn-script-location", "--target", folder)
    argv = ("python3", "-c", PREPARE, f"{folder}:{scratch}", *pip, *wanted, *(("--", *named) if named else ()))
    return Install("pip", argv, {"TMPDIR": scratch}, (folder,))


def pyproject_dependencies(text: str | None) -> list[str]:
    """Return what pyproject.toml says a project needs, and what its tests need; a broken one says nothing."""
    try:
        data = tomllib.loads(text or "")
    except tomllib.TOMLDecodeError:
        return []
    project, groups = _table(data, "project"), _table(data, "dependency-groups")
    extras = _table(project, "optional-dependencies")
    lists = [project.get("dependencies"), *(table.get(name) for table in (extras, groups) for name in GROUPS)]
    # An item of a group may be a table that includes another group; those are left to requirement files.
    found = [item for items in lists if isinstance(items, list) for item in items if isinstance(item, str)]
    return [item for item in dict.fromkeys(found) if item.strip() and not item.lstrip().startswith("-")]


def npm_install(files: Collection[str], read: Read) -> Install | None:
    """Install what the lock file says, or what package.json names when there is none."""
    if "package.json" not in files:
        return None
    env = {"npm_config_cache": f"{{workspace}}/{PACKAGES}/npm", "TMPDIR": f"{{workspace}}/{PACKAGES}/scratch"}
    prepare = ("python3", "-c", PREPARE, env["TMPDIR"])
    if any(name in files for name in LOCKS):
        return Install("npm", (*prepare, "npm", "ci"), env)
    try:
        manifest = json.loads(read("package.json") or "")
    except ValueError:
        return None
    if isinstance(manifest, dict) and (manifest.get("dependencies") or manifest.get("devDependencies")):
        return Install("npm", (*prepare, "npm", "install", "--no-package-lock"), env)
    return None


def _table(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = data.get(name)
    return found if isinstance(found, dict) else {}
