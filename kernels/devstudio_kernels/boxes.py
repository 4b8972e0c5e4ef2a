"""The folder that a kernel's container and the server share: sockets, key, and the sign that the server lives."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

from devstudio_kernels.errors import KernelUnavailable

INSIDE = "/run/devstudio"
"""Where a container has its folder."""
PORTS = {"shell_port": 1, "iopub_port": 2, "stdin_port": 3, "control_port": 4, "hb_port": 5}
"""Jupyter's word for them; over unix sockets they are the ends of the sockets' names."""
MAX_PATH = 107
"""Bytes in the path of a unix socket (unix(7): 108 with the end)."""
TOUCH_S = 20.0
PROGRAMS = Path(__file__).parent / "inside"


def default_runtime_dir() -> Path:
    """Return a folder with a short path, of this user alone, that outlives the server but not the machine."""
    if named := os.environ.get("DEVSTUDIO_RUNTIME_DIR", "").strip():
        return Path(named)
    if os.geteuid() == 0:
        return Path("/run/devstudio")
    base = os.environ.get("XDG_RUNTIME_DIR")
    return Path(base) / "devstudio" if base else Path(tempfile.gettempdir()) / f"devstudio-{os.geteuid()}"


@dataclass(frozen=True)
class Box:
    """One container with a kernel, and its folder on this machine."""

    container: str
    folder: str
    uid: int
    key: str
    """With which it signs its messages, as long as nobody adopted it from the pool."""

    def as_json(self) -> dict[str, Any]:
        """Return what another process needs to adopt it."""
        return asdict(self)

    @property
    def run(self) -> Path:
        """Return the part of the folder that the container sees."""
        return Path(self.folder) / "run"


class RuntimeFolder:
    """Makes and removes the folders of boxes: `b/<box>/run`; `n/<kernel>` is a link to the one that a kernel has."""

    def __init__(self, root: Path) -> None:
        """Use ``root``, which is made when it is missing."""
        self.root = root

    def prepare(self) -> None:
        """Make the folders. Raises `KernelUnavailable` when they belong to somebody else."""
        for folder in (self.root, self.root / "b", self.root / "n"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = os.lstat(self.root)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise KernelUnavailable(f"{self.root} belongs to another user, or others may write there")

    def address(self, kernel_id: str) -> str:
        """Return where the sockets of a kernel are, less `-1` and so on: the same over its restarts."""
        address = str(self.root / "n" / kernel_id / "s")
        if len(os.fsencode(address)) + len("-1") > MAX_PATH:
            raise KernelUnavailable(
                f"{address} is too long for a unix socket: set DEVSTUDIO_RUNTIME_DIR to a short path"
            )
        return address

    def make(self, uid: int, key: str, program: str, settings: dict[str, Any]) -> Path:
        """Make the folder of a box: its programs, settings, and connection file, for the eyes of ``uid``."""
        self.prepare()
        folder = self.root / "b" / token_hex(8)
        run = folder / "run"
        run.mkdir(mode=0o700, parents=True)
        for source in sorted(PROGRAMS.iterdir()):
            if source.suffix in {".py", ".mjs"} and source.name != "__init__.py":
                shutil.copyfile(source, run / source.name)
        connection = {"transport": "ipc", "ip": f"{INSIDE}/s", "key": key, "signature_scheme": "hmac-sha256", **PORTS}
        (run / "kernel.json").write_text(json.dumps(connection | {"kernel_name": program}), "utf-8")
        (run / "init.json").write_text(json.dumps(settings), "utf-8")
        (run / "alive").touch()
        for path in run.iterdir():
            path.chmod(0o444 if path.name == "alive" else 0o400)
            if path.name != "alive":
                os.chown(path, uid, uid)
        os.chown(run, uid, uid)
        return folder

    def point(self, kernel_id: str, box: Box) -> None:
        """Let the kernel's address lead to ``box``, from one moment to the next."""
        link, fresh = self.root / "n" / kernel_id, self.root / "n" / f".{token_hex(8)}"
        fresh.symlink_to(box.run)
        fresh.replace(link)

    def unpoint(self, kernel_id: str) -> None:
        """Forget the address of a kernel."""
        (self.root / "n" / kernel_id).unlink(missing_ok=True)

    def remove(self, box: Box) -> None:
        """Remove the folder of a box."""
        shutil.rmtree(box.folder, ignore_errors=True)


def is_listening(box: Box) -> bool:
    """Tell whether the kernel has made all of its sockets."""
    for port in PORTS.values():
        try:
            if not stat.S_ISSOCK(os.lstat(box.run / f"s-{port}").st_mode):
                return False
        except OSError:
            return False
    return True


def close_folder(box: Box) -> None:
    """Take the folder from the kernel, before it runs anybody's code: its sockets stay those that it made."""
    box.run.chmod(0o711)  # first: the kernel reads its connection file once more, perhaps right now
    os.chown(box.run, os.geteuid(), os.getegid())


class Keeper:
    """Tells the boxes of this process, from time to time, that their server lives."""

    def __init__(self, every_s: float = TOUCH_S) -> None:
        """Keep nothing yet."""
        self._every_s = every_s
        self._kept: set[Path] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def keep(self, box: Box) -> None:
        """Begin with ``box``."""
        with self._lock:
            self._kept.add(box.run / "alive")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True, name="devstudio-kernels-keeper")
                self._thread.start()
        self._touch(box.run / "alive")

    def drop(self, box: Box) -> None:
        """End with ``box``."""
        with self._lock:
            self._kept.discard(box.run / "alive")

    def _run(self) -> None:
        while True:
            time.sleep(self._every_s)
            with self._lock:
                kept = list(self._kept)
            for path in kept:
                self._touch(path)

    @staticmethod
    def _touch(path: Path) -> None:
        with suppress(OSError):
            os.utime(path)
