"""A key pair for trying team mode without an identity provider. Whoever can read it can be anyone: it is for trying."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

PRIVATE_KEY, PUBLIC_KEY = "token-key.pem", "token-key.pub.pem"


def local_key_pair(folder: Path) -> tuple[str, Path]:
    """Return the private key (Ed25519, PEM) and the file of the public one in ``folder``; make both when missing.

    Raises ``OSError`` when they cannot be read or written, ``ValueError`` when the file holds no key.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    private, public = folder / PRIVATE_KEY, folder / PUBLIC_KEY
    if not private.exists():
        _make(private)
    pem = private.read_text("ascii")
    key = load_pem_private_key(pem.encode(), None)
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return pem, public


def _make(path: Path) -> None:
    """Write a new key that only its owner can read; never over one that appeared meanwhile."""
    made = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "wb") as file:
        file.write(made)
