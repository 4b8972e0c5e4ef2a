"""``devstudio images``: build, list and verify the images that sandboxes start from."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from devstudio_sandbox.images import commands
from devstudio_sandbox.images.options import VARIABLES, Options
from devstudio_sandbox.ports import Language

app = typer.Typer(
    no_args_is_help=True,
    help="Build, list and verify the sandbox's images. Ends with 1 when something is wrong, with 3 without an engine.",
)


class Which(StrEnum):
    """One of the images, or both."""

    PYTHON = "python"
    NODE = "node"
    ALL = "all"


DockerHost = Annotated[str, typer.Option(help="The engine's URL. Default: DOCKER_HOST or the local socket.")]
BaseImage = Annotated[
    str, typer.Option(envvar=VARIABLES["base_image"], help="A Debian-like image that the engine has or can pull.")
]
CaFile = Annotated[
    Path | None,
    typer.Option(
        "--ca", envvar=VARIABLES["ca_file"], help="PEM file of an authority that pip, npm and git are to trust."
    ),
]
PipIndex = Annotated[str, typer.Option(envvar=VARIABLES["pip_index"], help="Package index instead of PyPI.")]
NpmRegistry = Annotated[str, typer.Option(envvar=VARIABLES["npm_registry"], help="Registry instead of npm's.")]
DebianMirror = Annotated[
    str, typer.Option(envvar=VARIABLES["debian_mirror"], help="Archive instead of deb.debian.org.")
]


@app.command()
def build(  # noqa: PLR0913 - one argument for each option
    which: Annotated[Which, typer.Argument(help="Which image.")] = Which.ALL,
    docker_host: DockerHost = "",
    base_image: BaseImage = "",
    ca_file: CaFile = None,
    pip_index: PipIndex = "",
    npm_registry: NpmRegistry = "",
    debian_mirror: DebianMirror = "",
    *,
    if_missing: Annotated[bool, typer.Option("--if-missing", help="Leave those alone that are up to date.")] = False,
) -> None:
    """Build the images. Without a base image, this needs root and mmdebstrap, or Debian's own image."""

    def command() -> int:
        options = chosen(base_image, ca_file, pip_index, npm_registry, debian_mirror)
        return commands.build_images(
            languages(which), options, typer.echo, docker_host=docker_host or None, if_missing=if_missing
        )

    end(command)


@app.command(name="list")
def list_command(
    docker_host: DockerHost = "",
    *,
    sbom: Annotated[
        Which | None, typer.Option(help="Print this image's bill of materials (CycloneDX JSON) instead.")
    ] = None,
) -> None:
    """Show which images are there, whether they are up to date, how large they are, and their content's digest."""

    def command() -> int:
        if sbom is None:
            return commands.list_images(typer.echo, docker_host=docker_host or None)
        return max(commands.show_sbom(one, typer.echo, docker_host=docker_host or None) for one in languages(sbom))

    end(command)


@app.command()
def verify(  # noqa: PLR0913 - one argument for each option
    which: Annotated[Which, typer.Argument(help="Which image.")] = Which.ALL,
    docker_host: DockerHost = "",
    base_image: BaseImage = "",
    ca_file: CaFile = None,
    pip_index: PipIndex = "",
    npm_registry: NpmRegistry = "",
    debian_mirror: DebianMirror = "",
    *,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Build them anew, too, and compare the two byte for byte.")
    ] = False,
) -> None:
    """Check that the images are what their recipes build: files, tools, bill of materials. Ends with 1 when not."""

    def command() -> int:
        options = chosen(base_image, ca_file, pip_index, npm_registry, debian_mirror)
        return commands.verify_images(
            languages(which), options, typer.echo, docker_host=docker_host or None, rebuild=rebuild
        )

    end(command)


def chosen(base: str, ca_file: Path | None, pip_index: str, npm_registry: str, debian_mirror: str) -> Options:
    """Gather the options; an empty one is none."""
    return Options(base or None, ca_file, pip_index or None, npm_registry or None, debian_mirror or None)


def languages(which: Which) -> tuple[Language, ...]:
    """Name the images that are meant."""
    return tuple(one for one in commands.LANGUAGES if which in {Which.ALL, one})


def end(command: Callable[[], int]) -> None:
    """Carry a command out, and end with its exit code."""
    if code := commands.carried_out(command, lambda line: typer.echo(line, err=True)):
        raise typer.Exit(code)
