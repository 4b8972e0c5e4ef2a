"""One hardened container per run, on any Docker engine that answers."""

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import LogConfig, Ulimit
from docker.utils import kwargs_from_env
from requests.exceptions import RequestException

from devstudio_sandbox.base import CONTAINER_PATH, TOOLS, SupervisedSandbox, environment
from devstudio_sandbox.docker_stream import AttachedStream
from devstudio_sandbox.errors import ImageMissing, SandboxError, SandboxUnavailable
from devstudio_sandbox.identity import tenant_uid
from devstudio_sandbox.ports import BackendStatus, Isolation, Language, Limits, Runtime, SandboxSpec
from devstudio_sandbox.supervisor import BOOT

log = logging.getLogger(__name__)
_building = threading.Lock()

IMAGES: Mapping[str, str] = {
    "python": "renum-devstudio-python:latest",
    "node": "renum-devstudio-node:latest",
}
LABEL = "renum.devstudio"
LABEL_RUN = f"{LABEL}.run"
WORKSPACE = "/workspace"
SHM_BYTES = 64 * 1024 * 1024  # the engine's own default
STATUS_TIMEOUT_S = 1.5
DEFAULT_ENGINE = "unix:///var/run/docker.sock"
ENGINE_TIMEOUT_S = 60
REMOVE_TRIES = 20
START_ENGINE = "start it (`dockerd`, Docker Desktop), let this user use it, or set DOCKER_HOST to one that runs"
INSTALL_RUNTIME = "add it to the engine's daemon.json, or set DEVSTUDIO_SANDBOX_RUNTIME=auto"
BUILD_IMAGES = "build the images with `make sandbox-image`"


@dataclass(frozen=True)
class Engine:
    """What the engine offers, as its /info says."""

    version: str
    runtime: str | None
    """``runsc`` when it is installed; otherwise the engine's own default."""
    isolation: Isolation
    remapped: bool
    """It runs rootless or with remapped users, so large uids do not exist in its containers."""


def read_engine(info: Mapping[str, Any], runtime: Runtime = "auto") -> Engine:
    """Read the answer to /info, and choose the runtime. Raises `SandboxUnavailable` when it lacks the one asked for."""
    security = " ".join(info.get("SecurityOptions") or ())
    offered = info.get("Runtimes") or {}
    if runtime != "auto" and runtime not in offered:
        raise SandboxUnavailable(f"the Docker engine has no runtime {runtime!r}, only {', '.join(sorted(offered))}")
    gvisor = runtime == "runsc" or (runtime == "auto" and "runsc" in offered)
    return Engine(
        version=str(info.get("ServerVersion", "?")),
        runtime="runsc" if gvisor else None if runtime == "auto" else runtime,
        isolation="gvisor" if gvisor else "container",
        remapped="name=userns" in security or "name=rootless" in security,
    )


def tmpfs(size: int, uid: int, *options: str) -> str:
    """Write the mount options of a tmpfs that belongs to one user."""
    return ",".join(["rw", "nosuid", "nodev", f"size={size}", f"uid={uid}", f"gid={uid}", "mode=0700", *options])


def host_config(limits: Limits, uid: int, runtime: str | None) -> dict[str, Any]:
    """Everything that keeps a container in, as arguments of ``create_host_config``.

    Scratch files count as memory and outlive the process that wrote them: together they get at most 7/8 of it, or the
    kernel would in the end kill the supervisor, who could then tell nothing.
    """
    memory = limits.memory_bytes
    return {
        "network_mode": "none",
        "read_only": True,
        "tmpfs": {
            WORKSPACE: tmpfs(
                min(limits.workspace_bytes, memory // 2), uid, "exec", f"nr_inodes={limits.workspace_files + 1}"
            ),
            "/tmp": tmpfs(min(limits.tmp_bytes, memory // 4), uid, "noexec"),  # noqa: S108 - the container's own, made for one run
        },
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "ipc_mode": "private",
        "pids_limit": limits.pids,
        "mem_limit": memory,
        "memswap_limit": memory,
        "shm_size": min(SHM_BYTES, memory // 8),
        "nano_cpus": int(limits.cpus * 1e9),
        "ulimits": [
            Ulimit(name="nofile", soft=limits.open_files, hard=limits.open_files),
            Ulimit(name="core", soft=0, hard=0),  # a core dump could leave through the host's core_pattern
        ],
        "log_config": LogConfig(type=LogConfig.types.NONE),
        "init": False,
        "auto_remove": False,
        "runtime": runtime,
    }


class DockerBackend:
    """Sandboxes as containers; see :class:`devstudio_sandbox.ports.Backend`.

    Parameters
    ----------
    docker_host
        The engine's URL; ``None`` takes ``DOCKER_HOST`` and its companions, or the local socket.
    images
        Image per language, in place of :data:`IMAGES`.
    runtime
        ``auto`` takes gVisor (``runsc``) when the engine has it, else the engine's default.

    """

    name = "docker"

    def __init__(
        self, docker_host: str | None = None, images: Mapping[str, str] | None = None, runtime: Runtime = "auto"
    ) -> None:
        self._host = docker_host
        self._runtime: Runtime = runtime
        self._images = {**IMAGES, **(images or {})}
        self._api: docker.APIClient | None = None
        self._engine: Engine | None = None

    def status(self) -> BackendStatus:
        """Ask the engine who it is, and look for the images."""
        try:
            with self._connect(STATUS_TIMEOUT_S) as api:
                engine = read_engine(api.info(), self._runtime)
                missing = [image for image in self._images.values() if not api.images(name=image, quiet=True)]
        except SandboxUnavailable as problem:
            return BackendStatus(self.name, False, "container", str(problem), INSTALL_RUNTIME)
        except (DockerException, RequestException, OSError) as problem:
            return BackendStatus(self.name, False, "container", f"no Docker engine answers: {problem}", START_ENGINE)
        detail = f"Docker Engine {engine.version}, {engine.isolation}"
        if missing:
            detail += f"; missing: {', '.join(missing)}"
        return BackendStatus(self.name, True, engine.isolation, detail, BUILD_IMAGES if missing else "")

    def open(self, spec: SandboxSpec) -> SupervisedSandbox:
        """Create, attach to and start a container."""
        try:
            return self._open(spec)
        except ImageNotFound as problem:
            raise ImageMissing(f"{self._images[spec.language]} is not there: {BUILD_IMAGES}") from problem
        except APIError as problem:
            raise SandboxError(f"the engine refused to start a sandbox: {problem.explanation}") from problem
        except (DockerException, RequestException, OSError) as problem:
            raise SandboxUnavailable(f"no Docker engine answers ({problem}): {START_ENGINE}") from problem

    def prepare(self, language: Language, say: Callable[[str], None]) -> None:
        """Build the language's image if it is missing; of two callers, the second waits for the first."""
        from devstudio_sandbox.images.build import build, connect  # noqa: PLC0415 - it needs this module

        with _building:
            if self._images[language] != IMAGES[language]:
                raise ImageMissing(f"{self._images[language]} is not there, and only its owner can build it")
            client = connect(self._host)
            try:
                build(client, language, base_image=None, if_missing=True, say=say)
            except (DockerException, RequestException, OSError) as problem:
                raise SandboxError(f"the image could not be built: {problem}") from problem
            finally:
                client.close()

    def reap(self, keep: Collection[UUID] = (), only: Collection[UUID] | None = None) -> int:
        """Remove labelled containers, running or not."""
        kept = {str(run_id) for run_id in keep}
        wanted = None if only is None else {str(run_id) for run_id in only}
        try:
            found = self._client().containers(all=True, filters={"label": LABEL_RUN})
        except (DockerException, RequestException, OSError) as problem:
            raise SandboxUnavailable(f"no Docker engine answers ({problem}): {START_ENGINE}") from problem
        runs = {entry["Id"]: entry["Labels"][LABEL_RUN] for entry in found}
        left_over = [box for box, run in runs.items() if run not in kept and (wanted is None or run in wanted)]
        return sum(remove(self._client(), container) for container in left_over)

    def close(self) -> None:
        """Close the connections to the engine; sandboxes stay."""
        if self._api is not None:
            self._api.close()
            self._api = None

    def _connect(self, timeout_s: float) -> docker.APIClient:
        where = engine_address(self._host)
        knock(where["base_url"], timeout_s)
        return docker.APIClient(version="auto", timeout=timeout_s, **where)  # type: ignore[arg-type]  # it hands it on to requests, which takes fractions

    def _client(self) -> docker.APIClient:
        if self._api is None:
            self._api = self._connect(ENGINE_TIMEOUT_S)
        return self._api

    def _open(self, spec: SandboxSpec) -> SupervisedSandbox:
        api = self._client()
        self._engine = self._engine or read_engine(api.info(), self._runtime)
        container = self._create(api, self._engine, spec)
        try:
            stream = AttachedStream(api, container)
            try:
                api.start(container)
                return SupervisedSandbox(
                    stream,
                    partial(remove, api, container),
                    isolation=self._engine.isolation,
                    handle=container,
                    workspace=WORKSPACE,
                    env=environment(spec.run_id, path=CONTAINER_PATH, home="/tmp", plugins=f"{TOOLS}/plugins"),  # noqa: S108
                    limits=spec.limits,
                ).greet()
            except BaseException:
                stream.close()
                raise
        except BaseException:
            remove(api, container)
            raise

    def _create(self, api: docker.APIClient, engine: Engine, spec: SandboxSpec) -> str:
        uid = tenant_uid(spec.tenant_id, remapped=engine.remapped)
        settings = json.dumps({"workspace": WORKSPACE, "ttl_s": spec.ttl_s, "own_cgroup": True})
        created = api.create_container(
            image=self._images[spec.language],
            entrypoint=["python3", "-I", "-S", "-B", "-c", BOOT, TOOLS, settings],
            user=f"{uid}:{uid}",
            working_dir=WORKSPACE,
            hostname="sandbox",
            # Not detached, so that the engine closes the supervisor's input when this process goes away.
            stdin_open=True,
            detach=False,
            environment={},
            labels={
                f"{LABEL}.tenant": str(spec.tenant_id),
                LABEL_RUN: str(spec.run_id),
                f"{LABEL}.created": str(int(time.time())),
                f"{LABEL}.ttl": str(spec.ttl_s),
            },
            host_config=api.create_host_config(**host_config(spec.limits, uid, engine.runtime)),
        )
        return str(created["Id"])


def engine_address(docker_host: str | None) -> dict[str, Any]:
    """Say where the engine is, as arguments of docker-py's clients: named, in the environment, or local."""
    return {"base_url": docker_host} if docker_host else {"base_url": DEFAULT_ENGINE, **kwargs_from_env()}


def knock(url: str, timeout_s: float) -> None:
    """Try a unix socket before docker-py does, which leaves one open for each try that fails."""
    scheme, _, path = url.partition("://")
    if scheme in ("unix", "http+unix"):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(timeout_s)
            probe.connect("/" + path.lstrip("/"))


def remove(api: docker.APIClient, container: str) -> bool:
    """Kill and remove a container; tell whether it was there. What cannot be removed now is left for ``reap``.

    The engine answers 409 while it removes one already, and now and then 500 when a process takes long to die.
    """
    problem: Exception | None = None
    for attempt in range(REMOVE_TRIES):
        try:
            api.remove_container(container, force=True, v=True)
        except NotFound:
            return False
        except APIError as error:
            problem = error
            time.sleep(0.02 * attempt)
        except (RequestException, OSError) as error:
            problem = error
            break
        else:
            return True
    log.warning("container %s is left for reap: %s", container, problem)
    return False
