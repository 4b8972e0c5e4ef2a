"""Which backend a server uses."""

from collections.abc import Mapping

from devstudio_sandbox.bubblewrap_backend import BubblewrapBackend
from devstudio_sandbox.docker_backend import DockerBackend
from devstudio_sandbox.errors import SandboxUnavailable
from devstudio_sandbox.pool import PooledBackend
from devstudio_sandbox.pool_stock import PoolPolicy
from devstudio_sandbox.ports import Backend, Preference, Runtime
from devstudio_sandbox.process_backend import ProcessBackend


def choose_backend(
    preference: Preference = "auto",
    *,
    docker_host: str | None = None,
    allow_process: bool = False,
    images: Mapping[str, str] | None = None,
    runtime: Runtime = "auto",
    installation: str = "",
    owner: str = "",
) -> Backend:
    """Take the strongest backend that works here, or exactly the one that is asked for.

    Parameters
    ----------
    preference
        ``auto`` tries Docker, then bubblewrap, then the plain process if that is allowed.
    docker_host
        The engine's URL; ``None`` takes ``DOCKER_HOST`` or the local socket.
    allow_process
        Allow a process without isolation: for one local user who trusts the code, and nobody else.
    images
        Image per language, in place of the product's own.
    runtime
        Runtime of the Docker engine; ``auto`` takes gVisor when the engine has it.
    installation, owner
        Whose the sandboxes are, for :meth:`Backend.reap_owners`: the database's id and this process life's.

    Raises
    ------
    SandboxUnavailable
        Nothing that may be used works; the message has a line for each that was tried.

    """
    candidates: dict[str, Backend] = {
        "docker": DockerBackend(docker_host, images, runtime, installation=installation, owner=owner),
        "bubblewrap": BubblewrapBackend(installation=installation, owner=owner),
        "process": ProcessBackend(installation=installation, owner=owner),
    }
    if not allow_process:
        del candidates["process"]
    tried = []
    for name, backend in candidates.items():
        if preference in ("auto", name):
            status = backend.status()
            if status.available:
                return backend
            tried.append(f"{name}: {status.detail}; {status.hint}")
    if not tried:
        tried.append("process: it isolates nothing, so it has to be allowed (allow_process)")
    raise SandboxUnavailable("no sandbox works here.\n" + "\n".join(tried))


def pooled(backend: Backend, policy: PoolPolicy) -> Backend:
    """Let sandboxes wait for their runs, where the backend can make some in advance: Docker, with gVisor or without.

    What is returned is then a :class:`PooledBackend`, which its owner closes. A policy whose cap is 0 makes none.
    """
    if isinstance(backend, DockerBackend) and policy.cap > 0:
        return PooledBackend(backend, policy)
    return backend
