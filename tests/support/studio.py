"""A real server, started as a person starts it, and a plain client for its API."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx

CHECKOUT = Path(__file__).resolve().parents[2]
TOKEN = "test-token-7f3a"
START_S = 60.0
PORTS = (12_000, 32_000)
"""Below the ports of outgoing connections, which begin at 32768 on Linux."""
_FINAL = {"success", "failed", "cancelled", "timeout"}
# What the server may see of the machine's environment: no key of a developer's gets into a test.
_KEPT = ("PATH", "LANG", "LC_ALL", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "DOCKER_HOST", "TMPDIR")


def free_port() -> int:
    """Return a port that nobody listens on.

    It is none of those that the system gives to outgoing connections, of which one could have it while a server that
    was killed is away.
    """
    while True:
        port = random.SystemRandom().randrange(*PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass
class Answer:
    """What the server answered."""

    status: int
    headers: httpx.Headers
    body: Any

    def expect(self, status: int) -> Any:
        """Return the body, or fail with it when the status is another."""
        assert self.status == status, f"{self.status} instead of {status}: {json.dumps(self.body)[:2000]}"
        return self.body

    def problem(self, status: int) -> dict[str, Any]:
        """Return the problem document, and check that it has the shape that every problem has."""
        body = self.expect(status)
        assert self.headers["content-type"] == "application/problem+json"
        assert set(body) >= {"type", "title", "status", "detail", "request_id", "errors"}
        assert body["status"] == status
        assert body["request_id"] == self.headers["x-request-id"]
        assert body["detail"]
        return dict(body)


@dataclass
class Api:
    """Calls the API of a server as the holder of ``token``."""

    url: str
    token: str | None = TOKEN
    scheme: str = "token"
    _client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        headers = {"Authorization": f"{self.scheme} {self.token}"} if self.token else {}
        self._client = httpx.Client(base_url=f"{self.url}/api/v1/", headers=headers, timeout=120, trust_env=False)

    def __enter__(self) -> Self:
        """Use as a context manager."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def send(self, method: str, path: str, **options: Any) -> Answer:
        """Send any request."""
        response = self._client.request(method, path, **options)
        content_type = response.headers.get("content-type", "")
        body = response.json() if "json" in content_type and response.content else response.text or None
        return Answer(response.status_code, response.headers, body)

    def get(self, path: str, **query: Any) -> Answer:
        """GET with a query."""
        return self.send("GET", path, params=query)

    def post(self, path: str, body: Any) -> Answer:
        """POST a JSON body."""
        return self.send("POST", path, json=body)

    def put(self, path: str, body: Any, version: int | None = None) -> Answer:
        """PUT a JSON body, with ``If-Match`` when a version is given."""
        return self.send("PUT", path, json=body, headers={} if version is None else {"If-Match": f'"{version}"'})

    def delete(self, path: str, version: int | None = None) -> Answer:
        """DELETE, with ``If-Match`` when a version is given."""
        return self.send("DELETE", path, headers={} if version is None else {"If-Match": f'"{version}"'})

    def events(self, method: str, path: str, body: Any = None, **headers: str) -> Iterator[dict[str, Any]]:
        """Yield the events of a stream: ``{event, id, data}``."""
        options = {"headers": {"Accept": "text/event-stream", **headers}, "json": body}
        with self._client.stream(method, path, **options) as response:
            assert response.status_code == 200, response.read()
            assert response.headers["content-type"] == "text/event-stream"
            event: dict[str, Any] = {}
            for line in response.iter_lines():
                if not line and event:
                    yield event
                    event = {}
                name, _, value = line.partition(": ")
                if name in {"event", "id"}:
                    event[name] = value
                elif name == "data":
                    event["data"] = json.loads(value)

    def project(self, **fields: Any) -> dict[str, Any]:
        """Create a project."""
        body = {"name": "Project", "description": "A project.", "type": "api", "template": "python"} | fields
        return dict(self.post("projects", body).expect(201))

    def session(self, project_id: str, **fields: Any) -> dict[str, Any]:
        """Create a spec session."""
        body = {"project_id": project_id, "title": "Session", "description": ""} | fields
        return dict(self.post("spec-sessions", body).expect(201))

    def wait_for_run(self, run_id: str) -> dict[str, Any]:
        """Follow a run's log to its end, which needs no polling, and return the run."""
        for _event in self.events("GET", f"exec/{run_id}/logs"):
            pass
        run = dict(self.get(f"exec/{run_id}").expect(200))
        assert run["status"] in _FINAL
        return run

    def apply(self, patch_id: str, **fields: Any) -> dict[str, Any]:
        """Approve a patch by its digest, apply it, and return the ended run."""
        digest = self.post("code/preview", {"patch_id": patch_id}).expect(200)["digest"]
        self.post(f"code/patches/{patch_id}/approve", {"digest": digest}).expect(200)
        started = self.post("code/apply", {"patch_id": patch_id, **fields}).expect(202)
        return self.wait_for_run(started["run_id"])


class Studio:
    """A server process with a data folder of its own."""

    def __init__(
        self,
        data_dir: Path,
        env: Mapping[str, str] | None = None,
        arguments: tuple[str, ...] = (),
        *,
        bearer: str | None = None,
    ) -> None:
        """Prepare a server that keeps its data in ``data_dir``; ``bearer`` opens its API when it serves a team."""
        self.data_dir = data_dir
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.api = Api(self.url, bearer, "Bearer") if bearer else Api(self.url)
        self._env = dict(env or {})
        self._arguments = arguments
        self._lines: list[str] = []

    def __enter__(self) -> Self:
        """Start the server and wait until it answers; one that does not is stopped."""
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self.stop()
        self.api.close()

    @property
    def log(self) -> str:
        """Everything that the server printed."""
        return "".join(self._lines)

    def environment(self) -> dict[str, str]:
        """Return the environment of the process."""
        home = self.data_dir.parent / "home"
        home.mkdir(parents=True, exist_ok=True)
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        own = {"HOME": str(home), "JUPYTER_TOKEN": TOKEN, "DEVSTUDIO_DATA_DIR": str(self.data_dir)}
        # The engine of the tests has gVisor, too, which costs time; those that are about it ask for it.
        own["DEVSTUDIO_SANDBOX_RUNTIME"] = "runc"
        paths = os.pathsep.join(str(CHECKOUT / folder) for folder in ("", "sandbox", "kernels", "evidence"))
        return kept | own | {"PORT": str(self.port), "PYTHONPATH": paths} | self._env

    def command(self) -> list[str]:
        """Return the command of the process."""
        config = f"--config={CHECKOUT / 'jupyter_config.py'}"
        return [sys.executable, "-m", "jupyterlab", config, "--allow-root", *self._arguments]

    def start(self) -> None:
        """Start the process."""
        self.process = subprocess.Popen(
            self.command(), env=self.environment(), cwd="/", text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._await_answer()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self._lines.extend(self.process.stdout)

    def _await_answer(self) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"the server ended:\n{self.log}"
            try:
                if self.api.get("me").status == 200:
                    return
            except httpx.TransportError:
                self._reader.join(0.05)  # until the next line of its output, or a moment
        raise AssertionError(f"the server does not answer:\n{self.log}")

    def stop(self) -> None:
        """Ask the process to end, and wait."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
        self._close()

    def kill(self) -> None:
        """Kill the process as a crash would."""
        self.process.kill()
        self.process.wait()
        self._close()

    def _close(self) -> None:
        self._reader.join(10)
        if self.process.stdout is not None:
            self.process.stdout.close()
