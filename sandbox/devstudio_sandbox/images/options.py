"""What an operator may choose about the images: base, certificate authority, mirrors."""

import hashlib
import json
import os
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from devstudio_sandbox.errors import SandboxError
from devstudio_sandbox.images.engine import File

TRUST = "/etc/ssl/certs/ca-certificates.crt"
"""Debian's bundle of trusted authorities; git and Python's ssl read it by themselves."""


@dataclass(frozen=True)
class Options:
    """How this installation's images differ from the product's own.

    Raises
    ------
    SandboxError
        A mirror is no http(s) URL or has a password in it, or the file has no certificate.

    """

    base_image: str | None = None
    """A Debian-like image to start from; ``None`` makes a small Debian."""
    ca_file: Path | None = None
    """PEM file of a corporate certificate authority, trusted by pip, npm and git in the image and while it is built."""
    pip_index: str | None = None
    npm_registry: str | None = None
    debian_mirror: str | None = None

    def __post_init__(self) -> None:
        """Refuse what would break the build, or leave a password in an image."""
        for url in filter(None, (self.pip_index, self.npm_registry, self.debian_mirror)):
            parts = urlsplit(url)
            if (
                parts.scheme not in {"http", "https"}
                or not parts.hostname
                or any(c.isspace() or c in "'\"|" for c in url)
            ):
                raise SandboxError(f"{url!r} is no http or https address of a mirror")
            if "@" in parts.netloc:
                raise SandboxError(
                    f"the address of the mirror at {parts.hostname} has a name or a password, which would stay in the"
                    " image: leave it away, and let the mirror answer this machine without one"
                )
        if self.ca_file:
            self.authority()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read ``DEVSTUDIO_IMAGES_*``; the server, which builds what is missing, knows nothing else."""
        told = {name: environ.get(variable) or None for name, variable in VARIABLES.items()}
        ca_file = told.pop("ca_file")
        return cls(ca_file=Path(ca_file) if ca_file else None, **told)

    def authority(self) -> bytes:
        """Read the certificate authority's file."""
        try:
            data = Path(str(self.ca_file)).read_bytes()
            ssl.create_default_context(cadata=data.decode("ascii"))
        except (OSError, ValueError, ssl.SSLError) as problem:
            raise SandboxError(f"{self.ca_file} has no certificate in PEM form: {problem}") from problem
        return data

    def label(self) -> str:
        """Write the options down for the image's label; of the authority, its digest."""
        told = {
            "base_image": self.base_image,
            "ca": hashlib.sha256(self.authority()).hexdigest() if self.ca_file else None,
            "pip_index": self.pip_index,
            "npm_registry": self.npm_registry,
            "debian_mirror": self.debian_mirror,
        }
        return json.dumps({name: value for name, value in told.items() if value}, sort_keys=True)

    def files(self) -> Iterator[File]:
        """Give the files that make pip, npm and git inside follow the options."""
        if self.ca_file:
            yield "root/usr/local/share/ca-certificates/devstudio.crt", self.authority(), 0o644
        pip = {"index-url": self.pip_index, "cert": self.ca_file and TRUST}
        if any(pip.values()):
            lines = ["[global]", *(f"{name} = {value}" for name, value in pip.items() if value)]
            yield "root/etc/pip.conf", "\n".join([*lines, ""]).encode(), 0o644
        npm = {"registry": self.npm_registry, "cafile": self.ca_file and TRUST}
        if any(npm.values()):
            lines = [f"{name}={value}" for name, value in npm.items() if value]
            yield "root/usr/local/etc/npmrc", "\n".join([*lines, ""]).encode(), 0o644

    def pip_arguments(self) -> list[str]:
        """Give the options of the pip that downloads here, for the image."""
        return [
            *(("--index-url", self.pip_index) if self.pip_index else ()),
            *(("--cert", str(self.ca_file)) if self.ca_file else ()),
        ]

    def npm_arguments(self) -> list[str]:
        """Give the options of the npm that downloads here, for the image."""
        return [
            *((f"--registry={self.npm_registry}",) if self.npm_registry else ()),
            *((f"--cafile={self.ca_file}",) if self.ca_file else ()),
        ]


VARIABLES = {
    "base_image": "DEVSTUDIO_IMAGES_BASE",
    "ca_file": "DEVSTUDIO_IMAGES_CA_FILE",
    "pip_index": "DEVSTUDIO_IMAGES_PIP_INDEX",
    "npm_registry": "DEVSTUDIO_IMAGES_NPM_REGISTRY",
    "debian_mirror": "DEVSTUDIO_IMAGES_DEBIAN_MIRROR",
}
"""The environment variable of each option."""
