"""``python -m devstudio_sandbox.images build [python|node|all] [--base-image IMAGE] [--if-missing]``, and ``list``."""

import argparse
import sys
from typing import get_args

import docker

from devstudio_sandbox.docker_backend import IMAGES
from devstudio_sandbox.errors import SandboxError
from devstudio_sandbox.images.build import build, built_from, connect, recipe_digest
from devstudio_sandbox.ports import Language

LANGUAGES: tuple[Language, ...] = get_args(Language)


def arguments() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="python -m devstudio_sandbox.images", description="The sandbox's images.")
    parser.add_argument("--docker-host", help="the engine's URL; default: DOCKER_HOST or the local socket")
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="build them; without --base-image it needs root and mmdebstrap")
    building.add_argument("language", nargs="?", default="all", choices=[*LANGUAGES, "all"])
    building.add_argument("--base-image", help="a Debian-like image that the engine has, such as python:3.12-slim")
    building.add_argument("--if-missing", action="store_true", help="leave those alone that are up to date")
    commands.add_parser("list", help="show which are there and whether they are up to date")
    return parser


def show(client: docker.DockerClient) -> None:
    """Print one line per image."""
    for language in LANGUAGES:
        found = built_from(client, IMAGES[language])
        state = "missing" if found is None else "up to date" if found[0] == recipe_digest(language) else "outdated"
        say(f"{IMAGES[language]}\t{state}")


def say(line: str) -> None:
    """Print a line now, not when the buffer is full."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    options = arguments().parse_args(argv)
    try:
        client = connect(options.docker_host)
        try:
            if options.command == "list":
                show(client)
                return 0
            for language in LANGUAGES if options.language == "all" else [options.language]:
                build(client, language, base_image=options.base_image, if_missing=options.if_missing, say=say)
        finally:
            client.close()
    except SandboxError as problem:
        sys.stderr.write(f"error: {problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
