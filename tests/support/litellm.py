"""LiteLLM's proxy from PyPI: another implementation of both protocols, and the peer of our gateway.

It lives in a virtual environment of its own, made the first time that a test needs it (a minute or two, about 750 MB)
and kept outside the checkout, in ``~/.cache/devstudio-tests`` or where DEVSTUDIO_TEST_TOOLS says.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx

from support.studio import free_port

VERSION = "1.106.2"
CONSTRAINTS = Path(__file__).with_name("litellm-constraints.txt")
KEY = "sk-litellm-5d1f2c"
"""What the proxy's clients identify themselves with."""
MOCKED = "This is a mock."
START_S = 120.0


def tools_folder() -> Path:
    """Return where test tools are kept between sessions and checkouts."""
    chosen = os.environ.get("DEVSTUDIO_TEST_TOOLS")
    return Path(chosen) if chosen else Path.home() / ".cache" / "devstudio-tests"


def program() -> Path:
    """Return the proxy's program; installs it when it is not there. One process installs, the others wait."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = tools_folder() / f"litellm-{VERSION}-python{python}"
    done = folder / "installed"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            _install(folder)
            done.touch()
    return folder / "bin/litellm"


def _install(folder: Path) -> None:
    wanted = [f"litellm[proxy]=={VERSION}", "--constraint", str(CONSTRAINTS)]
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in ([sys.executable, "-m", "venv", str(folder)], [*pip, *wanted]):
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"{' '.join(command)} failed:\n{ran.stderr[-3000:]}"


def mocked(name: str, **parameters: Any) -> dict[str, Any]:
    """Return the entry of a model that the proxy answers for by itself."""
    answer = {"model": f"openai/{name}", "api_key": "none", "mock_response": MOCKED}
    return {"model_name": name, "litellm_params": answer | parameters}


def forwarded(protocol: str, name: str, base_url: str, api_key: str, **parameters: Any) -> dict[str, Any]:
    """Return the entry of a model that a server at ``base_url`` answers for, in ``protocol``."""
    upstream = {"model": f"{protocol}/{name}", "api_base": base_url, "api_key": api_key}
    return {"model_name": name, "litellm_params": upstream | parameters}


class LiteLLM:
    """The proxy as a process of its own, without a database. ``models`` are entries of its ``model_list``."""

    def __init__(self, models: Sequence[Mapping[str, Any]], **settings: Mapping[str, Any]) -> None:
        """Prepare it; ``settings`` are more sections of its configuration."""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = Path(tempfile.mkdtemp(prefix="devstudio-litellm-"))
        # An error is passed on, and is the last thing that is known of a model: nothing is repeated or held back.
        own = {"num_retries": 0, "use_chat_completions_url_for_anthropic_messages": True}
        sections = {
            "general_settings": {"master_key": KEY},
            "litellm_settings": own,
            "router_settings": {"disable_cooldowns": True},
            **settings,
        }
        # JSON is YAML, too.
        (self.folder / "config.yaml").write_text(json.dumps({"model_list": list(models), **sections}))

    def __enter__(self) -> Self:
        """Start it and wait until it answers."""
        command = [str(program()), "--config", str(self.folder / "config.yaml")]
        place = ["--host", "127.0.0.1", "--port", str(self.port), "--num_workers", "1"]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # or it fetches prices at its start
            "LITELLM_LOG": "ERROR",
        }
        # It ends with the tests, even when those are killed.
        guarded = ["setpriv", "--pdeathsig=TERM", *command, *place]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(guarded, stdout=log, stderr=log, env=environment, cwd=self.folder)
        try:
            self._await_answer()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.process.kill()
        self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def openai_base_url(self) -> str:
        """The value of OPENAI_BASE_URL; ``url`` is that of ANTHROPIC_BASE_URL."""
        return f"{self.url}/v1"

    @property
    def log(self) -> str:
        """Everything that it printed."""
        return (self.folder / "log").read_text(errors="replace")

    def _await_answer(self) -> None:
        deadline = time.monotonic() + START_S
        with httpx.Client(trust_env=False, timeout=5) as client:
            while time.monotonic() < deadline:
                assert self.process.poll() is None, f"LiteLLM ended:\n{self.log[-3000:]}"
                try:
                    if client.get(f"{self.url}/health/readiness").status_code == 200:
                        return
                except httpx.TransportError:
                    time.sleep(0.1)
        raise AssertionError(f"LiteLLM does not answer:\n{self.log[-3000:]}")
