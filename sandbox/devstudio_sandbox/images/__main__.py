"""``python -m devstudio_sandbox.images build|list|sbom|verify``: as ``devstudio images``, without the server."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from devstudio_sandbox.images.commands import (
    LANGUAGES,
    build_images,
    carried_out,
    list_images,
    show_sbom,
    verify_images,
)
from devstudio_sandbox.images.options import VARIABLES, Options


def arguments() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="python -m devstudio_sandbox.images", description="The sandbox's images.")
    parser.add_argument("--docker-host", help="the engine's URL; default: DOCKER_HOST or the local socket")
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="build them; without --base-image it needs root and mmdebstrap")
    building.add_argument("--if-missing", action="store_true", help="leave those alone that are up to date")
    commands.add_parser("list", help="show which are there and whether they are up to date")
    printing = commands.add_parser("sbom", help="print an image's bill of materials (CycloneDX JSON)")
    printing.add_argument("language", choices=LANGUAGES)
    verifying = commands.add_parser("verify", help="check that they are what their recipes build")
    verifying.add_argument("--rebuild", action="store_true", help="build them anew, too, and compare the bytes")
    for command in (building, verifying):
        command.add_argument("language", nargs="?", default="all", choices=[*LANGUAGES, "all"])
        add_options(command)
    return parser


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe what an operator may choose; the environment has the defaults."""
    told = {
        "base_image": ("--base-image", "a Debian-like image that the engine has, such as python:3.12-slim"),
        "ca_file": ("--ca", "PEM file of a certificate authority to trust"),
        "pip_index": ("--pip-index", "package index to use instead of PyPI"),
        "npm_registry": ("--npm-registry", "registry to use instead of npm's"),
        "debian_mirror": ("--debian-mirror", "archive to use instead of deb.debian.org"),
    }
    for name, (flag, text) in told.items():
        variable = VARIABLES[name]
        parser.add_argument(flag, dest=name, default=os.environ.get(variable), help=f"{text} ({variable})")


def command_of(told: argparse.Namespace, say: Callable[[str], None]) -> int:
    """Carry out what the command line says."""
    host = told.docker_host
    if told.command == "list":
        return list_images(say, docker_host=host)
    if told.command == "sbom":
        return show_sbom(told.language, say, docker_host=host)
    options = Options(
        base_image=told.base_image or None,
        ca_file=Path(told.ca_file) if told.ca_file else None,
        pip_index=told.pip_index or None,
        npm_registry=told.npm_registry or None,
        debian_mirror=told.debian_mirror or None,
    )
    languages = LANGUAGES if told.language == "all" else (told.language,)
    if told.command == "verify":
        return verify_images(languages, options, say, docker_host=host, rebuild=told.rebuild)
    return build_images(languages, options, say, docker_host=host, if_missing=told.if_missing)


def say(line: str) -> None:
    """Print a line now, not when the buffer is full."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def complain(line: str) -> None:
    """Print a line for what went wrong."""
    sys.stderr.write(line + "\n")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    told = arguments().parse_args(argv)
    return carried_out(lambda: command_of(told, say), complain)


if __name__ == "__main__":
    sys.exit(main())
