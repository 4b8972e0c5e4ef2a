"""No isolation: a process in a private directory, for one local user who trusts the code.

It bounds what an honest mistake can do (deadline, file size, descriptors) and leaves nothing behind. It does not keep
hostile code from the person's files or from the network, which is why it has to be allowed by name.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from uuid import UUID

from devstudio_sandbox.base import SupervisedSandbox, environment
from devstudio_sandbox.errors import SandboxError, SandboxUnavailable
from devstudio_sandbox.host import PACKAGE, PLUGIN, PLUGIN_NAME, kill_runs, marks, owner_in, rlimits, spawn, tool_path
from devstudio_sandbox.identity import Ownership
from devstudio_sandbox.ports import BackendStatus, Language, SandboxSpec
from devstudio_sandbox.supervisor import BOOT

PREFIX = "renum-devstudio-"
OWNER_FILE = "owner.json"
DIRECTORY = re.compile(PREFIX + r"([0-9a-f-]{36})-")


class ProcessBackend:
    """Sandboxes as plain processes; see :class:`devstudio_sandbox.ports.Backend`."""

    name = "process"

    def __init__(self, *, installation: str = "", owner: str = "") -> None:
        self._ownership = Ownership(installation, owner)

    def status(self) -> BackendStatus:
        """Say that it works: all it needs is this interpreter."""
        detail = "a plain process: it bounds mistakes, it does not hold hostile code"
        return BackendStatus(self.name, sys.platform == "linux", "process", detail, "")

    def open(self, spec: SandboxSpec) -> SupervisedSandbox:
        """Make a private directory and start a supervisor in it."""
        if spec.egress:
            raise SandboxUnavailable("a plain process has the whole network, so no proxy would hold it: use Docker")
        path = tool_path(spec.language)
        root = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{spec.run_id}-"))
        try:
            return self._open(spec, root, path)
        except BaseException as problem:
            discard(root)
            if isinstance(problem, OSError):
                raise SandboxError(f"a process could not be started: {problem}") from problem
            raise

    def prepare(self, language: Language, say: Callable[[str], None]) -> None:
        """Nothing to make: the tools are the host's own."""

    def reap(self, keep: Collection[UUID] = (), only: Collection[UUID] | None = None) -> int:
        """Kill marked processes and remove directories."""
        runs = kill_runs(keep=keep, only=only)
        for root, run in directories():
            if run not in keep and (only is None or run in only):
                runs.add(run)
                discard(root)
        return len(runs)

    def reap_owners(self, alive: Collection[str]) -> int:
        """Do so for what owners left who are gone; a directory outlives the processes, so it tells its owner too."""
        runs = kill_runs(of=lambda owner: self._ownership.outlives(owner, alive))
        for root, run in directories():
            if self._ownership.outlives(owner_of(root), alive):
                runs.add(run)
                discard(root)
        return len(runs)

    def _open(self, spec: SandboxSpec, root: Path, path: str) -> SupervisedSandbox:
        for name in ("workspace", "home", "plugins"):
            (root / name).mkdir()
        own = marks(self._ownership, spec.run_id)
        (root / OWNER_FILE).write_text(json.dumps(own), "utf-8")
        shutil.copyfile(PLUGIN, root / "plugins" / PLUGIN_NAME)
        settings = {
            "workspace": str(root / "workspace"),
            "ttl_s": spec.ttl_s,
            "rlimits": rlimits(spec.language, spec.limits),
            **own,
        }
        # -B -I -S as everywhere; the package directory only serves to find the supervisor.
        argv = [sys.executable, "-I", "-S", "-B", "-c", BOOT, str(PACKAGE), json.dumps(settings)]
        process = spawn(argv, {"LANG": "C.UTF-8"})

        def remove() -> None:
            process.destroy()
            kill_runs(only=(spec.run_id,), of=self._ownership.__eq__)
            discard(root)

        try:
            return SupervisedSandbox(
                process,
                remove,
                isolation="process",
                handle=str(process.pid),
                workspace=str(root / "workspace"),
                env=environment(spec.run_id, path=path, home=str(root / "home"), plugins=str(root / "plugins")) | own,
                limits=spec.limits,
            ).greet()
        except BaseException:
            process.close()
            raise


def discard(root: Path) -> None:
    """Remove a directory whatever modes the command has left in it, and however deep: Python's own would recurse."""
    for tool in (("rm", "-rf"), ("chmod", "-R", "u+rwx"), ("rm", "-rf")):
        if root.exists():
            subprocess.run([*tool, "--", str(root)], stderr=subprocess.DEVNULL, check=False)


def directories() -> Iterator[tuple[Path, UUID]]:
    """Find the directories of this user's sandboxes, and their runs."""
    for root in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        found = DIRECTORY.match(root.name)
        if found and root.stat().st_uid == os.getuid():
            yield root, UUID(found[1])


def owner_of(root: Path) -> Ownership:
    """Read who made a directory; nobody that is known when it does not say."""
    try:
        return owner_in((root / OWNER_FILE).read_bytes())
    except OSError:
        return Ownership()
