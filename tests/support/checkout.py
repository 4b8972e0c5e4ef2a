"""A fresh clone with an empty HOME, in which `make run` is run as a new user would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import httpx

from support.studio import CHECKOUT, TOKEN, Api, free_port

_KEPT = ("PATH", "LANG", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "PIP_CERT", "REQUESTS_CA_BUNDLE", "PYENV_ROOT")
SET_UP_S = 900.0


def clone(folder: Path) -> Path:
    """Clone what is committed into ``folder`` and return the checkout."""
    target = folder / "checkout"
    subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(target)], check=True)
    return target


def clean_environment(home: Path, **own: str) -> dict[str, str]:
    """Return an environment with an empty HOME and nothing of this virtual environment."""
    home.mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    inside = str(Path(sys.prefix) / "bin")
    kept["PATH"] = os.pathsep.join(part for part in kept["PATH"].split(os.pathsep) if not part.startswith(inside))
    return kept | {"HOME": str(home)} | own


class MakeRun:
    """`make run` in a checkout, until its `with` block ends. ``started_s`` is the time to the first answer."""

    def __init__(self, checkout: Path, home: Path, env: Mapping[str, str] | None = None) -> None:
        """Prepare; nothing runs yet."""
        self.checkout = checkout
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.api = Api(self.url)
        self._env = clean_environment(home, JUPYTER_TOKEN=TOKEN, PORT=str(self.port), **dict(env or {}))
        self._lines: list[str] = []
        self.started_s = 0.0

    @property
    def log(self) -> str:
        """Everything that was printed."""
        return "".join(self._lines)

    def __enter__(self) -> Self:
        """Start, and wait until the server answers."""
        begun = time.monotonic()
        self.process = subprocess.Popen(
            ["make", "run"],
            cwd=self.checkout,
            env=self._env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        while not self._answers():
            assert self.process.poll() is None, f"make run ended:\n{self.log}"
            assert time.monotonic() - begun < SET_UP_S, f"make run does not serve:\n{self.log}"
            self._reader.join(0.05)
        self.started_s = time.monotonic() - begun
        return self

    def _read(self) -> None:
        assert self.process.stdout is not None
        self._lines.extend(self.process.stdout)

    def _answers(self) -> bool:
        try:
            return self.api.get("me").status == 200
        except httpx.TransportError:
            return False

    def __exit__(self, *_: object) -> None:
        """Stop as Ctrl+C twice would."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(60)
        self._reader.join(10)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.api.close()
