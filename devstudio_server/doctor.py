"""Looks at everything that the server stands on, without starting it, and says how to mend what is broken."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import httpx
import redis
from sqlalchemy.exc import ArgumentError, DBAPIError

from devstudio_sandbox import Runtime, SandboxError, choose_backend
from devstudio_server.ai.gateway import Gateway, GatewaySettings
from devstudio_server.ai.schemas import Provider
from devstudio_server.ai.settings import SettingsError
from devstudio_server.db import Units
from devstudio_server.db.engine import create_engine
from devstudio_server.db.migrate import current_revision, newest_revision
from devstudio_server.db.roles import UnsafeRoleError, check_role
from devstudio_server.jobs.service import processes
from devstudio_server.kit.errors import AppError, Unavailable
from devstudio_server.kit.masking import mask_text
from devstudio_server.settings import DataFolder
from devstudio_server.signing.folder import KeyFolder
from devstudio_server.signing.keyring import KEY, GivenKeys, Keyring
from devstudio_server.signing.schemas import KeyStatus

State = Literal["ok", "note", "fail"]
TIMEOUT_S = 3.0
MIN_FREE_BYTES = 1024**3
"""Less free disk than this is worth telling before it hurts."""


@dataclass(frozen=True)
class Finding:
    """What one check found. ``mend`` says what to do; a ``note`` is worth knowing, a ``fail`` is broken."""

    part: str
    state: State
    said: str
    mend: str = ""


def examine(environment: Mapping[str, str], folder: DataFolder, *, online: bool = False) -> list[Finding]:
    """Check database, Redis, sandbox, AI and storage. Only ``online`` asks the AI providers, which costs nothing."""
    checks: tuple[Callable[[], Finding], ...] = (
        lambda: check_storage(folder.root),
        lambda: check_keys(environment, folder.signing),
        check_git,
        lambda: check_database(environment.get("DEVSTUDIO_DATABASE_URL", "").strip() or folder.database_url),
        lambda: check_workers(
            environment.get("DEVSTUDIO_DATABASE_URL", "").strip() or folder.database_url, environment
        ),
        lambda: check_redis(environment.get("DEVSTUDIO_REDIS_URL", "").strip()),
        lambda: check_sandbox(environment),
        lambda: check_ai(environment, online=online),
    )
    return [check() for check in checks]


def healthy(findings: Iterable[Finding]) -> bool:
    """Tell whether nothing is broken."""
    return all(finding.state != "fail" for finding in findings)


def check_storage(root: Path) -> Finding:
    """Write a file into the data folder, and look at the space that is left."""
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root) as file:
            file.write(b"x")
    except OSError as error:
        mend = "Make the folder writable for the user of the server, or name another with DEVSTUDIO_DATA_DIR."
        return Finding("storage", "fail", f"{root} cannot be written: {error.strerror}", mend)
    free = shutil.disk_usage(root).free
    said = f"{root}, {free // 1024**2} MiB free"
    if free < MIN_FREE_BYTES:
        return Finding("storage", "note", said, "Free some space: repositories, logs and images grow.")
    return Finding("storage", "ok", said)


def check_keys(environment: Mapping[str, str], folder: Path) -> Finding:
    """Read the keys that sign, and look at who else may; none is made."""
    try:
        keys = Keyring(KeyFolder(folder), GivenKeys.from_environment(environment)).every()
    except AppError as error:
        mend = f"The folder is {folder}. It and its files belong to the server's user alone: chmod 700, chmod 600."
        return Finding("signing", "fail", error.detail, mend)
    except ValueError as error:
        return Finding("signing", "fail", str(error), "Correct the variable; docs/operations.md says what it holds.")
    active = next((key for key in keys if key.status is KeyStatus.ACTIVE), None)
    if active is not None:
        return Finding("signing", "ok", f"key {active.id} signs, {len(keys) - 1} older")
    if environment.get(KEY, "").strip():
        return Finding("signing", "fail", "the key that signs is revoked", f"Give another one in {KEY}.")
    return Finding("signing", "ok", "no key yet; the first signature makes one")


def check_git() -> Finding:
    """Look for git, which keeps every project's code."""
    path = shutil.which("git")
    if path is None:
        return Finding("git", "fail", "git is not on PATH", "Install git, on Debian: apt-get install git")
    return Finding("git", "ok", path)


def check_database(url: str) -> Finding:
    """Connect, compare the schema with this version's, and look at the rights of the role. Nothing is migrated."""
    try:
        engine = create_engine(url)
    except (ArgumentError, ImportError) as error:
        mend = "Set DEVSTUDIO_DATABASE_URL to sqlite:///path or postgresql://user:password@host/database."
        return Finding("database", "fail", f"the URL cannot be read: {mask_text(str(error))}", mend)
    shown = engine.url.render_as_string()
    try:
        if engine.dialect.name == "sqlite" and not Path(engine.url.database or "").exists():
            return Finding("database", "note", f"{shown} does not exist yet", "The first start makes it.")
        check_role(engine)
        found, wanted = current_revision(engine), newest_revision()
    except DBAPIError as error:
        mend = "Start the database, or correct DEVSTUDIO_DATABASE_URL."
        return Finding("database", "fail", f"{shown} does not answer: {_first_line(error.orig)}", mend)
    except UnsafeRoleError as error:
        return Finding("database", "fail", str(error), "docs/operations.md has the statements that make such a role.")
    finally:
        engine.dispose()
    if found != wanted:
        automatic = engine.dialect.name == "sqlite"
        mend = "The next start does it." if automatic else "Run `devstudio migrate` with DEVSTUDIO_DATABASE_OWNER_URL."
        state: State = "note" if automatic else "fail"
        return Finding("database", state, f"{shown} has the schema {found}; this version needs {wanted}", mend)
    return Finding("database", "ok", f"{shown}, schema {found}")


def check_workers(url: str, environment: Mapping[str, str]) -> Finding:
    """Count the processes that do jobs, and say so where runs are left to workers and none is there."""
    try:
        engine = create_engine(url)
    except (ArgumentError, ImportError):
        return Finding("workers", "note", "not known: the database's URL cannot be read")
    try:
        if engine.dialect.name == "sqlite":
            return Finding("workers", "ok", "with SQLite the server does all jobs itself")
        found = processes(Units(engine))
    except (DBAPIError, Unavailable):
        return Finding("workers", "note", "not known: the database cannot be asked")
    finally:
        engine.dispose()
    workers = sum(process.kind == "worker" for process in found)
    said = f"{len(found) - workers} servers and {workers} workers are there"
    if environment.get("DEVSTUDIO_WORKER", "").strip() == "external" and not workers:
        return Finding("workers", "note", said, "Start `devstudio worker`; until then runs wait.")
    return Finding("workers", "ok", said)


def check_redis(url: str) -> Finding:
    """Ping Redis when it is configured."""
    if not url:
        return Finding("redis", "ok", "not configured; one server needs none")
    shown = mask_text(url)
    try:
        with redis.Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        mend = "Start Redis, or correct DEVSTUDIO_REDIS_URL. Until then limits count per server and events are polled."
        return Finding("redis", "fail", f"{shown} does not answer: {mask_text(_first_line(error))}", mend)
    return Finding("redis", "ok", shown)


def check_sandbox(environment: Mapping[str, str]) -> Finding:
    """Find what would contain generated code here."""
    team = environment.get("DEVSTUDIO_AUTH", "").strip() == "team"
    mend = "Install and start Docker, on Debian: apt-get install docker.io"
    try:
        backend = choose_backend(
            docker_host=environment.get("DOCKER_HOST") or None,
            allow_process=not team,
            runtime=cast("Runtime", environment.get("DEVSTUDIO_SANDBOX_RUNTIME", "").strip() or "auto"),
        )
    except SandboxError as error:
        return Finding("sandbox", "fail", str(error), mend)
    status = backend.status()
    said = f"{backend.name}: {status.detail}"
    if backend.name == "process":
        return Finding("sandbox", "note", f"{said}. Generated code runs with your own rights", mend)
    if backend.name == "bubblewrap":
        return Finding("sandbox", "note", f"{said}. It limits less than a container does", mend)
    return Finding("sandbox", "ok", said)


def check_ai(environment: Mapping[str, str], *, online: bool = False) -> Finding:
    """Read the settings of the models; with ``online``, ask each provider for its list of models."""
    try:
        settings = GatewaySettings.from_environment(environment)
        model = Gateway(settings).resolve(None)
    except SettingsError as error:
        return Finding("ai", "fail", str(error), "Correct the variable; docs/configuration.md lists them all.")
    if model.provider is Provider.OFFLINE:
        mend = "Set OPENAI_API_KEY or ANTHROPIC_API_KEY to use a model."
        return Finding("ai", "note", "no key is set: offline templates only", mend)
    if not online:
        return Finding("ai", "ok", f"{model.id} is configured; not asked (use --online)")
    return _ask_providers(environment, model.id)


def _ask_providers(environment: Mapping[str, str], model_id: str) -> Finding:
    """Ask for the list of models, which needs a valid key and costs nothing."""
    openai_key = environment.get("OPENAI_API_KEY", "").strip()
    anthropic_key = environment.get("ANTHROPIC_API_KEY", "").strip()
    openai_headers = {"Authorization": f"Bearer {openai_key}"}
    anthropic_headers = {"x-api-key": anthropic_key, "anthropic-version": "2023-06-01"}
    providers = (
        ("OPENAI", openai_key, "https://api.openai.com/v1", "/models", openai_headers),
        ("ANTHROPIC", anthropic_key, "https://api.anthropic.com", "/v1/models", anthropic_headers),
    )
    for name, key, default, path, headers in providers:
        if not key:
            continue
        url = environment.get(f"{name}_BASE_URL", "").strip() or default
        try:
            httpx.get(url.rstrip("/") + path, headers=headers, timeout=TIMEOUT_S).raise_for_status()
        except httpx.HTTPStatusError as error:
            said = f"{name.lower()} answers {error.response.status_code} to a request for its models"
            return Finding("ai", "fail", said, f"Check {name}_API_KEY and {name}_BASE_URL.")
        except httpx.HTTPError as error:
            said = f"{name.lower()} at {url} cannot be reached: {error}"
            return Finding("ai", "fail", said, f"Check the network and {name}_BASE_URL.")
    return Finding("ai", "ok", f"{model_id} is the default, and its provider answers")


def _first_line(error: object) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0]
