"""Build the two images."""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import docker
from docker.errors import APIError, DockerException, ImageNotFound

from devstudio_sandbox.docker_backend import IMAGES, START_ENGINE, STATUS_TIMEOUT_S
from devstudio_sandbox.docker_host import engine_address, knock
from devstudio_sandbox.errors import SandboxUnavailable
from devstudio_sandbox.host import PLUGIN, PLUGIN_NAME, SUPERVISOR
from devstudio_sandbox.images.bases import Say, prepare_base
from devstudio_sandbox.images.engine import File, build_image
from devstudio_sandbox.images.finish import finish
from devstudio_sandbox.images.layers import EPOCH
from devstudio_sandbox.images.options import Options
from devstudio_sandbox.images.sbom import write_sbom
from devstudio_sandbox.images.tools import pins, tool_files
from devstudio_sandbox.ports import Language

HERE = Path(__file__).parent
DIGEST_LABEL = "renum.devstudio.recipe"
OPTIONS_LABEL = "renum.devstudio.options"
BUILD_TIMEOUT_S = 600


def connect(docker_host: str | None = None) -> docker.DockerClient:
    """Connect to the engine."""
    try:
        where = engine_address(docker_host)
        knock(where["base_url"], STATUS_TIMEOUT_S)
        return docker.DockerClient(timeout=BUILD_TIMEOUT_S, **where)
    except (DockerException, OSError) as problem:
        raise SandboxUnavailable(f"no Docker engine answers ({problem}): {START_ENGINE}") from problem


def build(
    client: docker.DockerClient, language: Language, *, options: Options | None = None, if_missing: bool, say: Say
) -> bool:
    """Build one image; tell whether there was anything to do.

    Parameters
    ----------
    client
        The engine.
    language
        Which of the two.
    options
        What differs from the product's own image; by default what the environment says.
    if_missing
        Leave an image alone that was built from the same recipe, with the same options.
    say
        Gets a line per step.

    """
    options = options or Options.from_environment()
    tag = IMAGES[language]
    there = built_from(client, tag)
    if if_missing and there == (recipe_digest(language), options.label()):
        say(f"{tag} is up to date")
        return False
    old = client.images.get(tag).id if there else None
    make(client, language, tag, options, say)
    forget(client, old, tag)
    say(f"{tag} is ready")
    return True


def make(
    client: docker.DockerClient, language: Language, tag: str, options: Options, say: Say, *, fresh: bool = False
) -> None:
    """Build an image under a name; ``fresh`` runs every step again, whatever the engine has kept."""
    base = prepare_base(client, options, say)
    say(f"building {tag} on {base.image} (Python {base.python[0]}.{base.python[1]})")
    machine = str(client.info()["Architecture"])
    tools = tool_files(language, base.python, machine, options, has_node=base.has_node)
    files = [*common_files(language), *options.files(), *tools]
    stage, raw = f"{IMAGES[language].split(':')[0]}:tools", f"renum-devstudio-build:{uuid4().hex}"
    arguments = {"BASE": base.image}
    if not fresh:
        build_image(client, files, stage, arguments=arguments, target="tools")
    build_image(client, files, raw, arguments=arguments, fresh=fresh)
    try:
        finish(
            client,
            raw,
            tag,
            keep=len(client.images.get(base.image_id).attrs["RootFS"]["Layers"]),
            labels={DIGEST_LABEL: recipe_digest(language), OPTIONS_LABEL: options.label()},
            make_sbom=lambda packages: write_sbom(IMAGES[language], packages, EPOCH),
        )
    finally:
        client.images.remove(raw, force=True)


def forget(client: docker.DockerClient, old: str | None, tag: str) -> None:
    """Remove the image that a new one has replaced, unless a sandbox still runs on it."""
    if old and old != client.images.get(tag).id:
        with contextlib.suppress(APIError):
            client.images.remove(old)


def recipe_digest(language: Language) -> str:
    """Digest everything of ours that goes into an image."""
    digest = hashlib.sha256()
    files = [*pins(language), *(HERE / name for name in ("finish.py", "layers.py", "sbom.py"))]
    for path, data, mode in [*common_files(language), *((file.name, file.read_bytes(), 0) for file in files)]:
        digest.update(f"{path}\0{mode}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()


def built_from(client: docker.DockerClient, tag: str) -> tuple[str, str] | None:
    """Read from an image what it was built from: the recipe's digest, and the options."""
    try:
        labels = client.images.get(tag).labels
    except ImageNotFound:
        return None
    return labels.get(DIGEST_LABEL, ""), labels.get(OPTIONS_LABEL, "")


def common_files(language: Language) -> Iterator[File]:
    """Give the files of this package that go into an image."""
    yield "Dockerfile", (HERE / "Dockerfile").read_bytes(), 0o644
    yield "tools/opt/devstudio/install.sh", (HERE / f"install-{language}.sh").read_bytes(), 0o755
    yield "root/opt/devstudio/finish.sh", (HERE / "finish.sh").read_bytes(), 0o755
    yield "root/opt/devstudio/inventory.py", (HERE / "inventory.py").read_bytes(), 0o644
    for module in sorted(SUPERVISOR.glob("*.py")):
        yield f"root/opt/devstudio/supervisor/{module.name}", module.read_bytes(), 0o644
    yield f"root/opt/devstudio/plugins/{PLUGIN_NAME}", PLUGIN.read_bytes(), 0o644
