"""One hardened container per run, on any Docker engine that answers."""

import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from uuid import UUID

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from requests.exceptions import RequestException

from devstudio_sandbox.base import CONTAINER_PATH, TOOLS, SupervisedSandbox, egress_place, environment
from devstudio_sandbox.docker_host import (
    WORKSPACE,
    Engine,
    engine_address,
    host_config,
    knock,
    local_socket,
    read_engine,
)
from devstudio_sandbox.docker_labels import LABEL_INSTALLATION, LABEL_TENANT, Kind, Labelled, labels, run_name
from devstudio_sandbox.docker_stream import AttachedStream
from devstudio_sandbox.errors import ImageMissing, SandboxError, SandboxUnavailable
from devstudio_sandbox.identity import Ownership, tenant_uid
from devstudio_sandbox.pool_stock import Shape
from devstudio_sandbox.ports import BackendStatus, Language, Runtime, SandboxSpec
from devstudio_sandbox.supervisor import BOOT

log = logging.getLogger(__name__)
_building = threading.Lock()

IMAGES: Mapping[str, str] = {
    "python": "renum-devstudio-python:latest",
    "node": "renum-devstudio-node:latest",
}
STATUS_TIMEOUT_S = 1.5
ENGINE_TIMEOUT_S = 60
REMOVE_TRIES = 20
STATE_TRIES = 40
NO_RUN = UUID(int=0)
START_ENGINE = "start it (`dockerd`, Docker Desktop), let this user use it, or set DOCKER_HOST to one that runs"
INSTALL_RUNTIME = "add it to the engine's daemon.json, or set DEVSTUDIO_SANDBOX_RUNTIME=auto"
BUILD_IMAGES = "build the images with `make sandbox-image`"


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
    installation, owner
        Written on every container, for `reap_owners`; see :class:`devstudio_sandbox.identity.Ownership`.

    """

    name = "docker"

    def __init__(
        self,
        docker_host: str | None = None,
        images: Mapping[str, str] | None = None,
        runtime: Runtime = "auto",
        *,
        installation: str = "",
        owner: str = "",
    ) -> None:
        self._host = docker_host
        self._runtime: Runtime = runtime
        self._ownership = Ownership(installation, owner)
        self._images = {**IMAGES, **(images or {})}
        self._connecting = threading.Lock()
        self._api: docker.APIClient | None = None
        self._adopted: dict[str, str] = {}
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
        with self._translated(spec.language):
            return self._start(spec, "run")

    def park(self, shape: Shape, ttl_s: int) -> SupervisedSandbox:
        """Start a container that waits for its run; see :class:`devstudio_sandbox.pool.ParkingBackend`."""
        spec = SandboxSpec(shape.language, shape.tenant_id, NO_RUN, shape.limits, ttl_s)
        with self._translated(shape.language):
            return self._start(spec, "pool")

    def adopt(self, parked: SupervisedSandbox, run_id: UUID, ttl_s: int) -> None:
        """Give a container that waits to its run."""
        parked.adopt(run_id, ttl_s)
        self._adopted[parked.handle] = str(run_id)

    def record(self, parked: SupervisedSandbox, run_id: UUID) -> None:
        """Name the container after its run: its labels can't be changed any more."""
        try:
            self._client().rename(parked.handle, run_name(run_id))
        except (DockerException, RequestException, OSError) as problem:  # it may be gone already, or the run have two
            log.debug("container %s is not named after run %s: %s", parked.handle, run_id, problem)

    def image(self, language: Language) -> str:
        """Name the image that a container would be made of now."""
        with self._translated(language):
            told = self._client().inspect_image(self._images[language])  # type: ignore[no-untyped-call]
            return str(told["Id"])

    def prepare(self, language: Language, say: Callable[[str], None]) -> None:
        """Build the language's image if it is missing; of two callers, the second waits for the first."""
        from devstudio_sandbox.images.build import build, connect  # noqa: PLC0415 - it needs this module

        with _building:
            if self._images[language] != IMAGES[language]:
                raise ImageMissing(f"{self._images[language]} is not there, and only its owner can build it")
            client = connect(self._host)
            try:
                build(client, language, if_missing=True, say=say)
            except (DockerException, RequestException, OSError) as problem:
                raise SandboxError(f"the image could not be built: {problem}") from problem
            finally:
                client.close()

    def reap(self, keep: Collection[UUID] = (), only: Collection[UUID] | None = None) -> int:
        """Remove labelled containers of runs, running or not."""
        kept = {str(run_id) for run_id in keep}
        wanted = None if only is None else {str(run_id) for run_id in only}
        return self._remove_if(LABEL_TENANT, lambda box: box.left_by_run(kept, wanted))

    def reap_owners(self, alive: Collection[str]) -> int:
        """Remove containers of owners who are gone, running or not."""
        if not self._ownership.installation:
            return 0
        ours = f"{LABEL_INSTALLATION}={self._ownership.installation}"
        return self._remove_if(ours, lambda box: box.left_by_owner(self._ownership, alive))

    def close(self) -> None:
        """Close the connections to the engine; sandboxes stay."""
        if self._api is not None:
            self._api.close()
            self._api = None

    def _remove_if(self, label: str, doomed: Callable[[Labelled], bool]) -> int:
        try:
            api = self._client()
            found = api.containers(all=True, filters={"label": label})
        except (DockerException, RequestException, OSError) as problem:
            raise SandboxUnavailable(f"no Docker engine answers ({problem}): {START_ENGINE}") from problem
        read = (Labelled.read(entry) for entry in found)
        boxes = [box if box.run_id else replace(box, run_id=self._adopted.get(box.id)) for box in read]
        return sum(remove(api, box.id) for box in boxes if doomed(box))

    @contextmanager
    def _translated(self, language: Language) -> Iterator[None]:
        """Turn the SDK's errors into the port's."""
        try:
            yield
        except ImageNotFound as problem:
            raise ImageMissing(f"{self._images[language]} is not there: {BUILD_IMAGES}") from problem
        except APIError as problem:
            raise SandboxError(f"the engine refused to start a sandbox: {problem.explanation}") from problem
        except (DockerException, RequestException, OSError) as problem:
            raise SandboxUnavailable(f"no Docker engine answers ({problem}): {START_ENGINE}") from problem

    def _connect(self, timeout_s: float) -> docker.APIClient:
        where = engine_address(self._host)
        knock(where["base_url"], timeout_s)
        return docker.APIClient(version="auto", timeout=timeout_s, **where)  # type: ignore[arg-type]  # it hands it on to requests, which takes fractions

    def _client(self) -> docker.APIClient:
        with self._connecting:
            if self._api is None:
                self._api = self._connect(ENGINE_TIMEOUT_S)
            else:
                knock(engine_address(self._host)["base_url"], STATUS_TIMEOUT_S)
            return self._api

    def _start(self, spec: SandboxSpec, kind: Kind) -> SupervisedSandbox:
        if spec.egress and not local_socket(engine_address(self._host)["base_url"]):
            raise SandboxUnavailable("a run with egress needs an engine on a local unix socket, which sees its proxy's")
        api = self._client()
        self._engine = self._engine or read_engine(api.info(), self._runtime)
        container = self._create(api, self._engine, spec, kind)
        try:
            stream = AttachedStream(api, container)
            try:
                api.start(container)
                sandbox = SupervisedSandbox(
                    stream,
                    partial(self._remove, api, container),
                    isolation=self._engine.isolation,
                    handle=container,
                    workspace=WORKSPACE,
                    env=environment(spec.run_id, path=CONTAINER_PATH, home="/tmp", plugins=f"{TOOLS}/plugins"),  # noqa: S108
                    limits=spec.limits,
                )
                if self._engine.isolation == "gvisor":
                    sandbox.ask_when_lost(partial(starved, api, container))
                return sandbox.greet()
            except BaseException:
                stream.close()
                raise
        except BaseException:
            remove(api, container)
            raise

    def _remove(self, api: docker.APIClient, container: str) -> None:
        try:
            knock(engine_address(self._host)["base_url"], STATUS_TIMEOUT_S)
        except OSError as problem:
            log.warning("container %s is left for reap: %s", container, problem)
            return
        remove(api, container)
        self._adopted.pop(container, None)

    def _create(self, api: docker.APIClient, engine: Engine, spec: SandboxSpec, kind: Kind) -> str:
        uid = tenant_uid(spec.tenant_id, remapped=engine.remapped)
        told = {"workspace": WORKSPACE, "ttl_s": spec.ttl_s, "own_cgroup": True, "egress": egress_place(spec.egress)}
        told["parked"] = kind == "pool"
        apart = engine.isolation == "gvisor"
        if apart:
            told |= {"uid": uid, "apart": True, "cpus": spec.limits.cpus}
            told["pids"] = spec.limits.pids - 1  # pid 1 is not among them
        settings = json.dumps(told)
        created = api.create_container(
            image=self._images[spec.language],
            entrypoint=["python3", "-I", "-S", "-B", "-c", BOOT, TOOLS, settings],
            user="0:0" if apart else f"{uid}:{uid}",
            working_dir=WORKSPACE,
            hostname="sandbox",
            # Not detached, so that the engine closes the supervisor's input when this process goes away.
            stdin_open=True,
            detach=False,
            environment={},
            labels=labels(self._ownership, kind, spec.tenant_id, spec.run_id if kind == "run" else None, spec.ttl_s),
            host_config=api.create_host_config(
                **host_config(spec.limits, uid, engine.runtime, spec.egress)
                | {"runtime": engine.runtime_with(spec.egress)}
            ),
        )
        return str(created["Id"])


def starved(api: docker.APIClient, container: str) -> bool:
    """Tell whether a container ended because it ran out of memory: to the host, gVisor is one program with all in it.

    The engine may hear of the end a moment after its stream has closed.
    """
    for _ in range(STATE_TRIES):
        try:
            state = api.inspect_container(container)["State"]
        except (DockerException, RequestException, OSError):
            return False
        if not state["Running"]:
            return bool(state["OOMKilled"])
        time.sleep(0.05)
    return False


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
