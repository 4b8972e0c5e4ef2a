"""The state of the server, asked from inside: no call leaves the machine, and no secret is in the answer."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from devstudio_sandbox import Backend, SandboxError
from devstudio_server.admin.schemas import Check, Health, SandboxHealth
from devstudio_server.ai.gateway import Gateway
from devstudio_server.ai.schemas import Provider
from devstudio_server.db import Units
from devstudio_server.jobs import EmbeddedWorker
from devstudio_server.kit.clock import now

MIN_FREE_BYTES = 256 * 1024 * 1024
"""Less free disk than this is unhealthy: a commit and its log may no longer fit."""

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

    def __init__(
        self,
        *,
        units: Units,
        worker: EmbeddedWorker,
        backend: Callable[[], Backend],
        gateway: Gateway,
        data_dir: Path,
        version: str,
    ) -> None:
        """Check these parts."""
        self._units = units
        self._worker = worker
        self._backend = backend
        self._gateway = gateway
        self._data_dir = data_dir
        self._version = version

    def check(self) -> Health:
        """Return the state of every part. Unhealthy means that a required one is down."""
        sandbox, docker = self._sandbox()
        checks = {
            "database": self._database(),
            "redis": Check(ok=True, required=False, detail="not configured; one server needs none"),
            "docker": docker,
            "ai": self._ai(),
            "storage": self._storage(),
            "worker": Check(
                ok=self._worker.alive(), required=True, detail="in-process worker", hint="Restart the server."
            ),
        }
        healthy = all(check.ok for check in checks.values() if check.required)
        return Health(
            status="healthy" if healthy else "unhealthy",
            timestamp=now(),
            version=self._version,
            checks=checks,
            sandbox=sandbox,
            default_model=self._gateway.resolve(None).id,
        )

    def _database(self) -> Check:
        name = self._units.engine.dialect.name
        try:
            with self._units.engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError:
            return Check(ok=False, required=True, detail=f"{name} does not answer", hint="See the server's log.")
        return Check(ok=True, required=True, detail=name)

    def _sandbox(self) -> tuple[SandboxHealth, Check]:
        hint = "Start Docker and run `make sandbox-image`."
        try:
            backend = self._backend()
        except SandboxError as error:
            health = SandboxHealth(backend="none", isolation="none", warning=str(error))
            return health, Check(ok=False, required=True, detail="no sandbox", hint=str(error))
        status = backend.status()
        warning = _WEAK.get(status.isolation, "") if status.available else f"{status.detail} {status.hint}".strip()
        sandbox = SandboxHealth(backend=backend.name, isolation=status.isolation, warning=warning)
        if backend.name != "docker":
            detail = f"not used; runs go to {backend.name}"
            return sandbox, Check(ok=False, required=False, detail=detail, hint=hint)
        return sandbox, Check(ok=status.available, required=True, detail=status.detail, hint=status.hint)

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
