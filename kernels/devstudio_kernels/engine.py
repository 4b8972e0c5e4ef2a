"""The Docker engine, as far as kernels need it. Every call blocks; the provisioner makes them in threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import LogConfig, Mount
from requests.exceptions import RequestException

from devstudio_kernels.boxes import INSIDE
from devstudio_kernels.errors import KernelError, KernelUnavailable
from devstudio_sandbox.base import CONTAINER_PATH
from devstudio_sandbox.docker_backend import BUILD_IMAGES, IMAGES, START_ENGINE
from devstudio_sandbox.docker_host import (
    DEFAULT_ENGINE,
    WORKSPACE,
    engine_address,
    host_config,
    knock,
    local_socket,
    read_engine,
)
from devstudio_sandbox.docker_labels import LABEL_INSTALLATION, LABEL_KIND, LABEL_OWNER, labels
from devstudio_sandbox.errors import SandboxUnavailable
from devstudio_sandbox.identity import Ownership
from devstudio_sandbox.ports import Language, Limits, Runtime

CALL_S = 30.0
KNOCK_S = 1.5
RUNTIME: Runtime = "runc"
"""ZeroMQ over unix sockets of the host does not answer from gVisor, so kernels ask for this runtime by name."""
LOG = LogConfig(type=LogConfig.types.JSON, config={"max-size": "64k", "max-file": "1"})
"""The engine keeps the last of what a kernel says to nobody: why it could not start."""
LOG_LINES = 5
NEW_S = 120.0
PROGRAM_PATH = f"{INSIDE}/init.py"


@dataclass(frozen=True)
class State:
    """What the engine says of a container."""

    running: bool
    pid: int
    exit_code: int
    out_of_memory: bool


GONE = State(running=False, pid=0, exit_code=137, out_of_memory=False)


class KernelEngine:
    """Makes and removes the containers of kernels."""

    def __init__(self, docker_host: str | None = None, images: Mapping[str, str] | None = None) -> None:
        """Talk to the engine at ``docker_host``; None takes `DOCKER_HOST`, else the local socket."""
        self._where = engine_address(docker_host)
        self._images = {**IMAGES, **(images or {})}
        self._lock = threading.Lock()
        self._made: docker.APIClient | None = None

    def create(
        self,
        *,
        language: Language,
        tenant_id: UUID,
        uid: int,
        root: Path,
        run: Path,
        limits: Limits,
        ownership: Ownership,
    ) -> str:
        """Make and start a container with a kernel, and return its id."""
        with self._explained(self._images[language]):
            api = self._api()
            config = host_config(limits, uid, RUNTIME)
            del config["tmpfs"][WORKSPACE]
            config["mounts"] = [
                Mount(WORKSPACE, str(root), type="bind", propagation="rprivate"),
                Mount(INSIDE, str(run), type="bind", propagation="rprivate"),
            ]
            config["log_config"] = LOG
            made = api.create_container(
                image=self._images[language],
                entrypoint=["python3", "-I", "-S", "-B", PROGRAM_PATH],
                user=f"{uid}:{uid}",
                working_dir=WORKSPACE,
                hostname="kernel",
                environment={"PATH": CONTAINER_PATH},
                labels=labels(ownership, "kernel", tenant_id),
                host_config=api.create_host_config(**config),
            )
            try:
                api.start(made["Id"])
            except BaseException:
                self.remove(made["Id"])
                raise
            return str(made["Id"])

    def state(self, container: str) -> State:
        """Return how a container is; one that is not there has ended."""
        with self._explained():
            try:
                told = self._api().inspect_container(container)["State"]
            except NotFound:
                return GONE
            return State(bool(told["Running"]), int(told["Pid"]), int(told["ExitCode"]), bool(told["OOMKilled"]))

    def last_words(self, container: str) -> str:
        """Return the last that a kernel said to the engine's log."""
        try:
            return str(self._api().logs(container, tail=LOG_LINES).decode(errors="replace")).strip()
        except (DockerException, RequestException, OSError):
            return ""

    def send_signal(self, container: str, number: int) -> None:
        """Send a signal to pid 1, which passes it on; one that has ended gets none."""
        with self._explained():
            try:
                self._api().kill(container, signal=number)
            except NotFound:
                return
            except APIError as problem:
                if problem.status_code != 409:  # noqa: PLR2004 - it is not running
                    raise

    def remove(self, container: str) -> None:
        """Kill and remove a container. What cannot be removed now is left for `remove_others`."""
        try:
            self._api().remove_container(container, force=True, v=True)
        except (DockerException, RequestException, OSError):
            return

    def remove_others(self, ownership: Ownership, keep: Collection[str]) -> int:
        """Remove the kernels of this installation that nobody knows; return how many.

        Those of this very owner get a moment in which they become known.
        """
        ours = [f"{LABEL_KIND}=kernel", f"{LABEL_INSTALLATION}={ownership.installation}"]
        with self._explained():
            found = self._api().containers(all=True, filters={"label": ours})
        strangers = [entry["Id"] for entry in found if entry["Id"] not in keep and not _is_new(entry, ownership.owner)]
        for container in strangers:
            self.remove(container)
        return len(strangers)

    def check(self, language: Language) -> None:
        """Raise `KernelUnavailable` when a kernel of ``language`` could not be started."""
        with self._explained():
            if not self._api().images(name=self._images[language], quiet=True):
                raise KernelUnavailable(f"the image {self._images[language]} is not there: {BUILD_IMAGES}")

    def close(self) -> None:
        """Close the connections to the engine; kernels stay."""
        with self._lock:
            if self._made is not None:
                self._made.close()
                self._made = None

    def _api(self) -> docker.APIClient:
        with self._lock:
            if self._made is None:
                self._made = self._connect()
            return self._made

    def _connect(self) -> docker.APIClient:
        url = str(self._where.get("base_url", DEFAULT_ENGINE))
        if local_socket(url) is None:
            raise KernelUnavailable(
                f"the Docker engine at {url} is on another machine, and kernels share folders with it"
            )
        knock(url, KNOCK_S)
        api = docker.APIClient(version="auto", timeout=CALL_S, **self._where)  # type: ignore[arg-type]  # it hands it on to requests, which takes fractions
        if read_engine(api.info(), RUNTIME).remapped:
            api.close()
            raise KernelUnavailable(
                "the Docker engine remaps users (rootless or userns-remap), so a kernel could not open its files"
            )
        return api

    @contextmanager
    def _explained(self, image: str = "") -> Iterator[None]:
        """Tell what the engine refuses in words that help."""
        try:
            yield
        except ImageNotFound as problem:
            raise KernelUnavailable(f"the image {image} is not there: {BUILD_IMAGES}") from problem
        except SandboxUnavailable as problem:
            raise KernelUnavailable(str(problem)) from problem
        except APIError as problem:
            raise KernelError(f"the engine refused: {problem.explanation}") from problem
        except (DockerException, RequestException, OSError) as problem:
            raise KernelUnavailable(f"no Docker engine answers ({problem}): {START_ENGINE}") from problem


def _is_new(entry: Mapping[str, Any], owner: str) -> bool:
    """Tell whether ``owner`` made a container just now."""
    return entry["Labels"].get(LABEL_OWNER) == owner and time.time() - int(entry["Created"]) < NEW_S
