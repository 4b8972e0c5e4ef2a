"""The state of the server, asked from inside: no call leaves the installation, and no secret is in the answer."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from devstudio_sandbox import Backend, SandboxError
from devstudio_server.admin.errors import NotReady
from devstudio_server.admin.schemas import Check, Health, Liveness, SandboxHealth
from devstudio_server.ai.gateway import Gateway
from devstudio_server.ai.schemas import Provider
from devstudio_server.db import Units
from devstudio_server.db.engine import READ_ONLY
from devstudio_server.jobs import Worker
from devstudio_server.jobs.service import processes
from devstudio_server.kit.clock import now
from devstudio_server.specs.watching import SpecWatcher

MIN_FREE_BYTES = 256 * 1024 * 1024
"""Less free disk than this is unhealthy: a commit and its log may no longer fit."""
CHECK_S = 2.0
"""How long one check may take, in seconds; all run at once."""
CACHE_S = 1.0
"""How long an answer is given again, in seconds, so that no number of probes is a load."""
NEEDED = ("database", "storage", "worker")
"""What every request needs. A server without one of them is not ready; without a sandbox it still serves."""

_WEAK = {
    "bubblewrap": (
        "Runs are isolated by bubblewrap, which limits less than a container does. Install Docker for more."
    ),
    "process": (
        "Runs are NOT isolated: generated code runs as a plain process with your rights. Install Docker or bubblewrap."
    ),
}


class HealthService:
    """Checks every part that the server stands on."""

    def __init__(  # noqa: PLR0913 - one argument for each part
        self,
        *,
        units: Units,
        worker: Worker,
        backend: Callable[[], Backend],
        gateway: Gateway,
        data_dir: Path,
        version: str,
        redis_url: str = "",
        external: bool = False,
        watcher: SpecWatcher | None = None,
    ) -> None:
        """Check these parts; ``external`` when runs are left to `devstudio worker`, no ``watcher`` when that is off."""
        self._units = units
        self._worker = worker
        self._backend = backend
        self._gateway = gateway
        self._data_dir = data_dir
        self._version = version
        self._redis_url = redis_url
        self._external = external
        self._watcher = watcher
        self._threads = ThreadPoolExecutor(7, thread_name_prefix="devstudio-health")
        self._running: dict[str, Future[Check]] = {}
        self._lock = threading.Lock()
        self._sandbox_seen = SandboxHealth(backend="none", isolation="none", warning="Not checked yet.")
        self._answer: Health | None = None
        self._answered = 0.0

    def check(self) -> Health:
        """Return the state of every part, at most `CACHE_S` old. Unhealthy means that a required one is down."""
        with self._lock:
            if self._answer is None or time.monotonic() - self._answered > CACHE_S:
                self._answer = self._check()
                self._answered = time.monotonic()
            return self._answer

    def ready(self) -> Health:
        """Return the state when requests can be served; raises `NotReady` with the parts that are down."""
        health = self.check()
        down = {name: health.checks[name].model_dump() for name in NEEDED if not health.checks[name].ok}
        if down:
            raise NotReady(down)
        return health

    def alive(self) -> Liveness:
        """Return that the process answers; nothing else is asked."""
        return Liveness(status="alive", version=self._version)

    def close(self) -> None:
        """Wait for no check any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _check(self) -> Health:
        parts = {
            "database": self._database,
            "redis": self._redis,
            "docker": self._docker,
            "ai": self._ai,
            "storage": self._storage,
            "worker": self._jobs,
            "files": self._files,
        }
        for name, part in parts.items():
            if name not in self._running:  # one that hangs is waited for, not started again and again
                self._running[name] = self._threads.submit(part)
        deadline = time.monotonic() + CHECK_S
        checks = {name: self._result(name, deadline) for name in parts}
        healthy = all(check.ok for check in checks.values() if check.required)
        return Health(
            status="healthy" if healthy else "unhealthy",
            timestamp=now(),
            version=self._version,
            checks=checks,
            sandbox=self._sandbox_seen,
            default_model=self._gateway.resolve(None).id,
        )

    def _result(self, name: str, deadline: float) -> Check:
        required = name in NEEDED
        try:
            check = self._running[name].result(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            detail = f"no answer within {CHECK_S:g} s"
            return Check(ok=False, required=required, detail=detail, hint="See the server's log.")
        except Exception as error:  # noqa: BLE001 - a check that breaks is a part that does not work
            del self._running[name]
            detail = f"the check failed ({type(error).__name__})"
            return Check(ok=False, required=required, detail=detail, hint="See the server's log.")
        del self._running[name]
        return check

    def _database(self) -> Check:
        name = self._units.engine.dialect.name
        try:
            with self._units.engine.connect().execution_options(**{READ_ONLY: True}) as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError:
            return Check(ok=False, required=True, detail=f"{name} does not answer", hint="See the server's log.")
        return Check(ok=True, required=True, detail=name)

    def _redis(self) -> Check:
        """Ask Redis. Without it nothing stops: limits let requests pass, and wake-ups come by looking again."""
        if not self._redis_url:
            return Check(ok=True, required=False, detail="not configured; one server needs none")
        try:
            with redis.Redis.from_url(
                self._redis_url, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)
            ) as client:
                client.ping()
        except (redis.RedisError, OSError):
            hint = "Start Redis, or mend DEVSTUDIO_REDIS_URL. Until then rate limits do not hold, and events come late."
            return Check(ok=False, required=False, detail="redis does not answer", hint=hint)
        return Check(ok=True, required=False, detail="redis")

    def _docker(self) -> Check:
        hint = "Start Docker and run `make sandbox-image`."
        try:
            backend = self._backend()
        except SandboxError as error:
            self._sandbox_seen = SandboxHealth(backend="none", isolation="none", warning=str(error))
            return Check(ok=False, required=True, detail="no sandbox", hint=str(error))
        status = backend.status()
        warning = _WEAK.get(status.isolation, "") if status.available else f"{status.detail} {status.hint}".strip()
        self._sandbox_seen = SandboxHealth(backend=backend.name, isolation=status.isolation, warning=warning)
        if backend.name != "docker":
            detail = f"not used; runs go to {backend.name}"
            return Check(ok=False, required=False, detail=detail, hint=hint)
        return Check(ok=status.available, required=True, detail=status.detail, hint=status.hint)

    def _ai(self) -> Check:
        model = self._gateway.resolve(None)
        if model.provider is Provider.OFFLINE:
            hint = "Set OPENAI_API_KEY or ANTHROPIC_API_KEY to use a model."
            return Check(ok=True, required=False, detail="offline templates, no AI model", hint=hint)
        return Check(ok=True, required=False, detail=f"{model.id} is configured; it is not called by this check")

    def _storage(self) -> Check:
        free = shutil.disk_usage(self._data_dir).free
        detail = f"{free // 1024**2} MiB free"
        return Check(ok=free >= MIN_FREE_BYTES, required=True, detail=detail, hint="Free some disk space.")

    def _jobs(self) -> Check:
        """Look for who does jobs. Without a worker that runs are left to, they wait; all else is served."""
        if not self._worker.alive():
            return Check(ok=False, required=True, detail="in-process worker ended", hint="Restart the server.")
        others = [found for found in processes(self._units) if found.kind == "worker" and not found.draining]
        if self._external and not others:
            hint = "Start `devstudio worker`; until then runs wait."
            return Check(ok=False, required=False, detail="no worker is there", hint=hint)
        said = f"; {len(others)} workers for {sum(found.slots for found in others)} jobs" if others else ""
        return Check(ok=True, required=True, detail=f"in-process worker{said}")

    def _files(self) -> Check:
        """Ask who looks after the files of sessions. Without, edits of other programs wait for *Sync now*."""
        if self._watcher is None:
            return Check(ok=True, required=False, detail="not watched; it is set so")
        if not self._watcher.alive():
            return Check(ok=False, required=False, detail="not watched any more", hint="Restart the server.")
        hint = "Raise fs.inotify.max_user_watches and max_user_instances." if self._watcher.limited else ""
        return Check(ok=not self._watcher.limited, required=False, detail=self._watcher.state, hint=hint)
