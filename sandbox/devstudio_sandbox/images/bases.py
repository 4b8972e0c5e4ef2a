"""The base image: one that the operator names, or a small Debian made here without any image registry."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import APIError, ContainerError
from requests.exceptions import RequestException

from devstudio_sandbox.errors import SandboxError
from devstudio_sandbox.images.engine import build_image
from devstudio_sandbox.images.layers import EPOCH
from devstudio_sandbox.images.options import Options

BASE_IMAGE = "renum-devstudio-base:bookworm"
PUBLIC_IMAGE = "debian:bookworm-slim"
PREPARED_IMAGE = "renum-devstudio-base:prepared"
SUITE = "bookworm"
PACKAGES = ("python3", "git", "ca-certificates", "make")
NEEDED_TOOLS = ("python3", "git", "make")
OLDEST_PYTHON = (3, 11)
UNUSED = ("/usr/share/doc/*/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
KEPT = ("/usr/share/doc/*/copyright",)
RECIPE_LABEL = "renum.devstudio.recipe"
PROBE = (
    "for tool in python3 git make node npm apt-get; do command -v $tool >/dev/null && echo $tool; done;"
    " python3 -c 'import sys; print(\"python-%d.%d\" % sys.version_info[:2])' 2>/dev/null || true"
)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Base:
    """An image that has everything but the language's own tools."""

    image: str
    image_id: str
    python: tuple[int, int]
    has_node: bool


def prepare_base(client: docker.DockerClient, options: Options, say: Say) -> Base:
    """Find or make the base image.

    Raises
    ------
    SandboxError
        The named image is not there, is no Debian-like one, or has a Python older than 3.11; or none is named and
        this machine cannot make one.

    """
    image = options.base_image
    name = present(client, image, say) if image else made_or_pulled(client, options, say)
    tools = probe(client, name)
    if not tools.issuperset(NEEDED_TOOLS):
        if "apt-get" not in tools:
            raise SandboxError(
                f"{name} has neither {', '.join(NEEDED_TOOLS)} nor apt-get; name a Debian-like --base-image"
            )
        say(f"{name} lacks {', '.join(sorted({*NEEDED_TOOLS} - tools))}: installing with apt")
        name = completed(client, name, options)
        tools = probe(client, name)
    python = python_of(tools)
    if python < OLDEST_PYTHON:
        raise SandboxError(
            f"{name} has Python {python[0]}.{python[1]}; 3.11 or newer is needed: name another --base-image"
        )
    image_id = str(client.images.get(name).id)
    return Base(name, image_id, python, has_node={"node", "npm"} <= tools)


def probe(client: docker.DockerClient, image: str) -> set[str]:
    """Ask an image which tools it has; one that the engine lacks is pulled, because somebody named it."""
    try:
        told = client.containers.run(image, ["-c", PROBE], entrypoint="sh", remove=True, network_mode="none", user="0")
    except ContainerError as problem:
        raise SandboxError(f"{image} has no working shell: {problem}") from problem
    except APIError as problem:
        raise SandboxError(
            f"{image} is not on this engine and cannot be pulled ({problem.explanation}):\n"
            "load it there, or leave --base-image away"
        ) from problem
    return set(told.decode().split())


def python_of(tools: set[str]) -> tuple[int, int]:
    """Find the version of Python among the answers."""
    for tool in tools:
        if found := re.fullmatch(r"python-(\d+)\.(\d+)", tool):
            return int(found[1]), int(found[2])
    return (0, 0)


def completed(client: docker.DockerClient, image: str, options: Options) -> str:
    """Install what is missing with the image's own apt, the only step that needs a network."""
    steps = ["apt-get update", f"apt-get install -y --no-install-recommends {' '.join(PACKAGES)}"]
    if options.debian_mirror:
        steps.insert(
            0, f"find /etc/apt -type f | xargs sed -Ei 's|https?://deb.debian.org/debian/?|{options.debian_mirror}|'"
        )
    dockerfile = f"FROM {image}\nUSER 0\nRUN {' && '.join(steps)} && rm -rf /var/lib/apt/lists/*\n"
    build_image(client, [("Dockerfile", dockerfile.encode(), 0o644)], PREPARED_IMAGE, network=None)
    return PREPARED_IMAGE


def present(client: docker.DockerClient, image: str, say: Say) -> str:
    """Return ``image`` once the engine has it; what it lacks is pulled from its registry."""
    if client.images.list(name=image):
        return image
    say(f"pulling {image}")
    try:
        client.images.pull(*image.rsplit(":", 1) if ":" in image.rsplit("/", 1)[-1] else (image, "latest"))
    except (APIError, RequestException) as problem:
        reason = getattr(problem, "explanation", None) or problem
        raise SandboxError(
            f"{image} is not there and could not be pulled ({reason}): name another, or leave --base-image away"
        ) from problem
    return image


def made_or_pulled(client: docker.DockerClient, options: Options, say: Say) -> str:
    """Return the base image: made before, made now by mmdebstrap, or else Debian's own from the registry."""
    if any(image.labels.get(RECIPE_LABEL) == base_digest(options) for image in client.images.list(name=BASE_IMAGE)):
        return BASE_IMAGE
    program = shutil.which("mmdebstrap")
    if program is not None and os.geteuid() == 0:
        return made_here(client, program, options, say)
    try:
        return present(client, PUBLIC_IMAGE, say)
    except SandboxError as problem:
        raise SandboxError(
            f"there is no base image: {problem}. Name one that the engine has (`--base-image python:3.12-slim`),"
            " or `apt install mmdebstrap` and build as root"
        ) from problem


def debootstrap_arguments() -> list[str]:
    """Say what mmdebstrap is to make."""
    return [
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in UNUSED),
        *(f"--dpkgopt=path-include={pattern}" for pattern in KEPT),
        SUITE,
    ]


def base_digest(options: Options) -> str:
    """Digest what a base image is made of; what Debian's archive holds that day is in the bill of materials."""
    told = [*debootstrap_arguments(), options.debian_mirror or "", str(EPOCH)]
    return hashlib.sha256("\0".join(told).encode()).hexdigest()


def made_here(client: docker.DockerClient, program: str, options: Options, say: Say) -> str:
    """Make the base image with mmdebstrap, once; of the same packages it always makes the same bytes."""
    repository, tag = BASE_IMAGE.split(":")
    say(f"making {BASE_IMAGE} with mmdebstrap (about 35 s)")
    with tempfile.TemporaryDirectory() as folder:
        tar = Path(folder, "base.tar")
        mirror = [options.debian_mirror] if options.debian_mirror else []
        argv = [program, "--quiet", *debootstrap_arguments(), str(tar), *mirror]
        environ = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)}
        done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SandboxError(
                f"mmdebstrap failed: {done.stderr.strip()[-500:]}\n"
                "Run this as root, or name a --base-image that is there"
            )
        label = f"LABEL {RECIPE_LABEL}={base_digest(options)}"
        client.api.import_image_from_file(str(tar), repository=repository, tag=tag, changes=[label])
    return BASE_IMAGE
