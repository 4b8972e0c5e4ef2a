"""A signing key, and how one is read: Ed25519, as PEM or as the 32 bytes of its seed in base64."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from devstudio_server.signing.schemas import KeyStatus, SigningKeyRead

RAW_BYTES = 32
_BEGIN = "-----BEGIN "
_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


@dataclass(frozen=True)
class SigningKey:
    """A key. Only the active one has its private half at hand."""

    public: bytes
    status: KeyStatus
    private: Ed25519PrivateKey | None = field(default=None, repr=False, compare=False)

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the raw public key, in hexadecimal."""
        return hashlib.sha256(self.public).hexdigest()

    @property
    def id(self) -> str:
        """What an envelope names the key by."""
        return self.fingerprint[:16]

    def pem(self) -> str:
        """Return the public key as PEM."""
        return public_pem(self.public)

    def read(self) -> SigningKeyRead:
        """Return the public shape."""
        return SigningKeyRead(
            key_id=self.id,
            status=self.status,
            fingerprint=self.fingerprint,
            public_key=base64.b64encode(self.public).decode(),
            pem=self.pem(),
        )


def raw_public(private: Ed25519PrivateKey) -> bytes:
    """Return the 32 bytes of a key's public half."""
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def public_pem(raw: bytes) -> str:
    """Return a raw public key as PEM."""
    key = Ed25519PublicKey.from_public_bytes(raw)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def private_pem(key: Ed25519PrivateKey) -> bytes:
    """Return a private key as PEM, without a passphrase: the file's mode guards it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def read_private(text: str) -> Ed25519PrivateKey:
    """Read a private key; raises ValueError, which never repeats any of the text."""
    if not text.lstrip().startswith(_BEGIN):
        return Ed25519PrivateKey.from_private_bytes(_raw(text))
    try:
        # A variable of the environment often has its line ends written out.
        key = load_pem_private_key(text.replace("\\n", "\n").strip().encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("it is no private key in PEM without a passphrase") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("it is a private key, but none of Ed25519")  # noqa: TRY004 - the text is wrong, not its type
    return key


def read_public(text: str) -> bytes:
    """Read a public key as PEM or base64; raises ValueError."""
    if not text.lstrip().startswith(_BEGIN):
        return _raw(text)
    try:
        key = load_pem_public_key(text.replace("\\n", "\n").strip().encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("it is no public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("it is a public key, but none of Ed25519")  # noqa: TRY004 - the text is wrong, not its type
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def read_publics(text: str) -> list[bytes]:
    """Read any number of public keys, as PEM or as base64 with commas or white space between; raises ValueError."""
    text = text.replace("\\n", "\n")
    rest = _PEM.sub(" ", text).replace(",", " ").split()
    return [read_public(one) for one in [*_PEM.findall(text), *rest]]


def _raw(text: str) -> bytes:
    try:
        raw = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != RAW_BYTES:
        raise ValueError(f"it is neither PEM nor {RAW_BYTES} bytes in base64")
    return raw
