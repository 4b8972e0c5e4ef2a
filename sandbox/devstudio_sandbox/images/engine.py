"""Building on the engine through its API, so that no docker client has to be installed."""

import io
import tarfile
from collections.abc import Iterable, Mapping

import docker

from devstudio_sandbox.errors import SandboxError

File = tuple[str, bytes, int]
"""Path in the build context, content, mode."""


def context(files: Iterable[File]) -> io.BytesIO:
    """Pack a build context; without times, so that the engine's cache knows equal files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, data, mode in files:
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), mode
            tar.addfile(member, io.BytesIO(data))
    packed.seek(0)
    return packed


def build_image(  # noqa: PLR0913 - what the engine's own call takes
    client: docker.DockerClient,
    files: Iterable[File],
    tag: str,
    *,
    arguments: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    network: str | None = "none",
    target: str | None = None,
    fresh: bool = False,
) -> None:
    """Build an image from a context that has a Dockerfile.

    Raises
    ------
    SandboxError
        A step failed; the message has the end of its output.

    """
    told = client.api.build(
        fileobj=context(files),
        custom_context=True,
        tag=tag,
        buildargs=dict(arguments or {}),
        labels=dict(labels or {}),
        network_mode=network,
        target=target or "",
        nocache=fresh,
        rm=True,
        forcerm=True,
        decode=True,
    )
    output: list[str] = []
    for line in told:
        output.append(line.get("stream", ""))
        if "error" in line:
            raise SandboxError(f"building {tag} failed: {line['error']}\n{''.join(output)[-2000:]}")
