"""What can be done with the images: for ``devstudio images`` and for ``python -m devstudio_sandbox.images``."""

from collections.abc import Callable, Iterable
from contextlib import closing
from typing import get_args

from docker.errors import DockerException
from requests.exceptions import RequestException

from devstudio_sandbox.docker_backend import IMAGES
from devstudio_sandbox.errors import SandboxError, SandboxUnavailable
from devstudio_sandbox.images.bases import Say
from devstudio_sandbox.images.build import build, connect
from devstudio_sandbox.images.finish import CONTENT_LABEL
from devstudio_sandbox.images.options import Options
from devstudio_sandbox.images.verify import faults, find, read_sbom, rebuilt, state
from devstudio_sandbox.ports import Language

LANGUAGES: tuple[Language, ...] = get_args(Language)
FINE, WRONG, NO_ENGINE = 0, 1, 3
MEGABYTE = 1_000_000


def build_images(
    languages: Iterable[Language], options: Options, say: Say, *, docker_host: str | None = None, if_missing: bool
) -> int:
    """Build images."""
    with closing(connect(docker_host)) as client:
        for language in languages:
            build(client, language, options=options, if_missing=if_missing, say=say)
    return FINE


def list_images(say: Say, *, docker_host: str | None = None) -> int:
    """Show which images are there, whether they are up to date, how large they are, and their content's digest."""
    with closing(connect(docker_host)) as client:
        for language in LANGUAGES:
            image = find(client, language)
            size = f"{image.attrs['Size'] // MEGABYTE} MB" if image else "-"
            digest = image.labels.get(CONTENT_LABEL, "-") if image else "-"
            say(f"{IMAGES[language]}\t{state(client, language)}\t{size}\t{digest}")
    return FINE


def show_sbom(language: Language, say: Say, *, docker_host: str | None = None) -> int:
    """Print an image's bill of materials."""
    with closing(connect(docker_host)) as client:
        document = read_sbom(client, language)
    if not document:
        raise SandboxError(f"{IMAGES[language]} is missing or has no bill of materials: run `devstudio images build`")
    say(document.decode().rstrip("\n"))
    return FINE


def verify_images(
    languages: Iterable[Language], options: Options, say: Say, *, docker_host: str | None = None, rebuild: bool = False
) -> int:
    """Hold images against their recipes; the exit code tells whether all of them are right."""
    wrong = False
    with closing(connect(docker_host)) as client:
        for language in languages:
            found = list(faults(client, language))
            if rebuild and not found:
                found = list(rebuilt(client, language, options, say))
            say(f"{IMAGES[language]}\t{'wrong' if found else 'verified'}")
            for fault in found:
                say(f"  {fault}")
            wrong = wrong or bool(found)
    return WRONG if wrong else FINE


def carried_out(command: Callable[[], int], complain: Say) -> int:
    """Carry out a command; turn what goes wrong into a sentence and an exit code."""
    try:
        return command()
    except SandboxUnavailable as problem:
        complain(f"error: {problem}")
        return NO_ENGINE
    except SandboxError as problem:
        complain(f"error: {problem}")
        return WRONG
    except (DockerException, RequestException, OSError) as problem:
        complain(f"error: the Docker engine went away or refused: {problem}")
        return WRONG
