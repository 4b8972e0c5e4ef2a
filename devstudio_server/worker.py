"""``devstudio worker``: a process that does jobs for the servers of a team, on any host that reaches their database."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import replace
from types import FrameType
from typing import Annotated, cast, get_args

import typer
from sqlalchemy import make_url

from devstudio_sandbox import Preference, Runtime, SandboxError
from devstudio_server.assembly import POOL, Assembly, Settings
from devstudio_server.auth.errors import SettingsError
from devstudio_server.auth.identity import auth_mode
from devstudio_server.db.opening import DatabaseNotReadyError
from devstudio_server.db.roles import UnsafeRoleError
from devstudio_server.egress.settings import EgressSettings
from devstudio_server.execution.logs import LOG_CAP_BYTES
from devstudio_server.kit.logging import configure_logging, get_logger
from devstudio_server.kit.masking import keep_secret
from devstudio_server.settings import DataFolder, default_data_dir

GRACE_S = 30.0
_ENDED_AT_ONCE = 128

_log = get_logger("worker")


def work(
    concurrency: Annotated[int, typer.Option(min=1, max=100, help="Jobs done at the same time.")] = 2,
    grace: Annotated[
        float, typer.Option(min=0, help="Seconds that jobs under way get after SIGTERM, before others take them over.")
    ] = GRACE_S,
    sandbox: Annotated[
        str, typer.Option(envvar="DEVSTUDIO_SANDBOX_BACKEND", help="auto, docker, bubblewrap, or process.")
    ] = "auto",
    log_bytes: Annotated[
        int, typer.Option(min=1024, envvar="DEVSTUDIO_RUN_LOG_BYTES", help="What one run may log, in bytes.")
    ] = LOG_CAP_BYTES,
    pool: Annotated[
        tuple[int, int],
        typer.Option(min=0, help="Sandboxes that wait for a tenant's next run: at least, and at most; 0 0 is none."),
    ] = POOL,
) -> None:
    """Do the jobs of a team's servers, on PostgreSQL, until SIGTERM. Needs an engine for sandboxes, no repository."""
    configure_logging(logging.INFO)
    for name in ("procrastinate", "psycopg.pool"):  # what they have to say of a lost database, our own log says
        logging.getLogger(name).addHandler(logging.NullHandler())
    try:
        settings = told(os.environ, concurrency, sandbox)
        settings = replace(settings, run_log_bytes=log_bytes, sandbox_pool=pool)
        assembly = Assembly(settings, "worker")
        assembly.backend()
    except (SettingsError, DatabaseNotReadyError, UnsafeRoleError, SandboxError, OSError) as error:
        typer.echo(f"The worker cannot start: {error}", err=True)
        raise typer.Exit(1) from error
    raise typer.Exit(_serve(assembly, grace))


def told(environment: Mapping[str, str], concurrency: int, sandbox: str) -> Settings:
    """Read the environment, which is the server's; raises `SettingsError` for what a worker cannot work with."""
    folder = DataFolder(default_data_dir())
    url = make_url(folder.database_url)
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        message = "it needs the PostgreSQL database of the servers (DEVSTUDIO_DATABASE_URL); SQLite has one process."
        raise SettingsError(message)
    if sandbox not in get_args(Preference):
        message = f"--sandbox is {sandbox!r}; it takes {', '.join(get_args(Preference))}."
        raise SettingsError(message)
    runtime = environment.get("DEVSTUDIO_SANDBOX_RUNTIME", "").strip() or "auto"
    if runtime not in get_args(Runtime):
        message = f"DEVSTUDIO_SANDBOX_RUNTIME is {runtime!r}; it takes {', '.join(get_args(Runtime))}."
        raise SettingsError(message)
    team = auth_mode() == "team"
    if team and sandbox == "process":
        message = "code of a team never runs as a plain process: every tenant could read every other's files."
        raise SettingsError(message)
    keep_secret(str(url.password or ""))
    return Settings(
        data_dir=folder.root,
        database_url=folder.database_url,
        redis_url=environment.get("DEVSTUDIO_REDIS_URL", "").strip(),
        team=team,
        sandbox_backend=cast("Preference", sandbox),
        sandbox_runtime=cast("Runtime", runtime),
        allow_process_sandbox=not team,
        egress=_egress(environment),
        worker_threads=concurrency,
    )


def _egress(environment: Mapping[str, str]) -> EgressSettings:
    try:
        settings = EgressSettings.of_environment(environment)
        settings.proxy()
    except ValueError as error:
        message = f"the settings of egress: {error}."
        raise SettingsError(message) from error
    keep_secret(*settings.secrets())
    return settings


def _serve(assembly: Assembly, grace_s: float) -> int:
    """Do jobs until a signal; the first asks for a graceful end, the second ends at once."""
    asked = threading.Event()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            os._exit(_ENDED_AT_ONCE + number)  # leases expire, and what is left is reaped by whoever is there
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    assembly.start()
    assembly.start_watch()
    assembly.start_worker()
    _log.info("worker_started", life=str(assembly.life.id), slots=assembly.settings.worker_threads)
    while not asked.wait(1.0):
        if not assembly.worker.alive():
            _log.error("worker_ended", reason="it takes no more jobs")
            break
    _log.info("worker_draining", under_way=len(assembly.heartbeat.held()), grace_s=grace_s)
    assembly.stop_worker(grace_s)
    assembly.stop()
    assembly.close()
    _log.info("worker_stopped")
    return 0 if asked.is_set() else 1
