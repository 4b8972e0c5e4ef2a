"""Holding an image on the engine against its recipe, its labels and its bill of materials."""

import hashlib
import io
import json
from collections.abc import Iterator
from uuid import uuid4

import docker
from docker.errors import APIError, ContainerError, ImageNotFound
from docker.models.images import Image

from devstudio_sandbox.docker_backend import IMAGES
from devstudio_sandbox.images.bases import Say
from devstudio_sandbox.images.build import DIGEST_LABEL, OPTIONS_LABEL, make, recipe_digest
from devstudio_sandbox.images.finish import CONTENT_LABEL, SBOM_LABEL
from devstudio_sandbox.images.layers import exported_digest
from devstudio_sandbox.images.options import Options
from devstudio_sandbox.images.sbom import SBOM_PATH, listed, package_urls
from devstudio_sandbox.ports import Language

TOOLS: dict[Language, tuple[str, ...]] = {
    "python": (
        *("python3 --version", "git --version", "make --version", "python3 -m pytest --version", "ruff --version"),
        *("python3 -m coverage --version", "python3 -m ipykernel --version", "python3 -m pip --version"),
    ),
    "node": (
        *("node --version", "npm --version", "c8 --version", "python3 --version", "git --version", "make --version"),
        "python3 -m ipykernel --version",
    ),
}
ANSWER = 'for tool in "$@"; do $tool >/dev/null 2>&1 || echo "$tool"; done'
SHOWN = 5


def find(client: docker.DockerClient, language: Language) -> Image | None:
    """Find a language's image."""
    try:
        return client.images.get(IMAGES[language])
    except ImageNotFound:
        return None


def state(client: docker.DockerClient, language: Language) -> str:
    """Tell in a word how an image stands."""
    image = find(client, language)
    if image is None:
        return "missing"
    return "up to date" if image.labels.get(DIGEST_LABEL) == recipe_digest(language) else "outdated"


def faults(client: docker.DockerClient, language: Language) -> Iterator[str]:
    """Say everything that is wrong with an image; nothing when it is what the recipe builds.

    The content is read back from the engine and digested anew, so a changed file is found, too. Who can give an image
    labels of their own choice can also lie in them; ``rebuilt`` finds that.
    """
    image = find(client, language)
    if image is None:
        yield "missing: run `devstudio images build`"
        return
    if image.labels.get(DIGEST_LABEL) != recipe_digest(language):
        yield "outdated: this version has another recipe; run `devstudio images build`"
        return
    content, sbom = read_content(client, image)
    if content != image.labels.get(CONTENT_LABEL):
        yield f"changed: its files have the digest {content}, and it was built with {image.labels.get(CONTENT_LABEL)}"
    if f"sha256:{hashlib.sha256(sbom).hexdigest()}" != image.labels.get(SBOM_LABEL):
        yield "changed: its bill of materials is not the one that it was built with"
    yield from what_runs(client, image, language, sbom)


def read_content(client: docker.DockerClient, image: Image) -> tuple[str, bytes]:
    """Digest an image's files as the engine has them, and read its bill of materials."""
    container = client.api.create_container(str(image.id), ["true"], network_disabled=True)["Id"]
    try:
        with io.BufferedReader(Chunks(client.api.export(container))) as stream:
            return exported_digest(stream, SBOM_PATH)
    finally:
        client.api.remove_container(container, force=True)


class Chunks(io.RawIOBase):
    """A readable file out of the chunks of an answer."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self.chunks = iter(chunks)
        self.rest = memoryview(b"")

    def readable(self) -> bool:
        """Tell that this is one for reading."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # a buffer, in typeshed's own words
        """Hand over what has come."""
        while not self.rest:
            chunk = next(self.chunks, None)
            if chunk is None:
                return 0
            self.rest = memoryview(chunk)
        size = min(len(buffer), len(self.rest))
        buffer[:size], self.rest = self.rest[:size], self.rest[size:]
        return size


def what_runs(client: docker.DockerClient, image: Image, language: Language, sbom: bytes) -> Iterator[str]:
    """Start the tools, and count what is installed."""
    try:
        silent = run(client, image, ["sh", "-c", ANSWER, "sh", *TOOLS[language]]).decode().splitlines()
        yield from (f"broken: `{tool}` does not answer" for tool in silent)
        packages = json.loads(run(client, image, ["python3", "-B", "/opt/devstudio/inventory.py"]))
        told = listed(sbom)
    except (APIError, ContainerError, ValueError, KeyError) as problem:
        yield f"broken: nothing can be run in it, or it has no bill of materials ({problem})"
        return
    there = package_urls(packages)
    if extra := sorted(there - told):
        yield f"not in its bill of materials: {shortened(extra)}"
    if lost := sorted(told - there):
        yield f"in its bill of materials, but not installed: {shortened(lost)}"


def run(client: docker.DockerClient, image: Image, argv: list[str]) -> bytes:
    """Run a command in an image, as contained as a run."""
    told: bytes = client.containers.run(
        str(image.id),
        argv,
        remove=True,
        network_mode="none",
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        tmpfs={"/tmp": "size=64m"},  # noqa: S108 - the container's own
        environment={"HOME": "/tmp", "LANG": "C.UTF-8"},  # noqa: S108 - as above
        mem_limit="1g",
        pids_limit=200,
    )
    return told


def shortened(names: list[str]) -> str:
    """List some, and count the others."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def rebuilt(client: docker.DockerClient, language: Language, options: Options, say: Say) -> Iterator[str]:
    """Build an image once more, without anything that the engine has kept, and compare the two byte for byte."""
    image = find(client, language)
    if image is None or image.labels.get(OPTIONS_LABEL) != options.label():
        yield "not comparable: it is missing, or was built with other options"
        return
    tag = f"renum-devstudio-build:{uuid4().hex}"
    make(client, language, tag, options, say, fresh=True)
    try:
        layers, second = (one.attrs["RootFS"]["Layers"] for one in (image, client.images.get(tag)))
        if layers != second:
            yield f"not what the recipe builds: its layers are {', '.join(layers)}; a new build's {', '.join(second)}"
    finally:
        client.images.remove(tag, force=True)


def read_sbom(client: docker.DockerClient, language: Language) -> bytes | None:
    """Read an image's bill of materials."""
    image = find(client, language)
    return read_content(client, image)[1] if image else None
