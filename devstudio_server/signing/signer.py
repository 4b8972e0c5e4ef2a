"""Signs statements, and takes back only what it signed: one text, one meaning, one signature.

A statement is a JSON object in its one canonical form, inside a DSSE envelope with exactly one signature.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from devstudio_evidence import strict_json
from devstudio_evidence.dsse import Envelope, EnvelopeInvalid, Signature, pae
from devstudio_server.signing.errors import KeyRevoked, KeyUnknown, SignatureInvalid, SigningKeyUnusable
from devstudio_server.signing.keyring import Keyring
from devstudio_server.signing.keys import SigningKey
from devstudio_server.signing.schemas import KeyStatus


@dataclass(frozen=True)
class Signed:
    """What an envelope that holds says, and the key that signed it."""

    statement: dict[str, Any]
    key_id: str
    signature: bytes


class Signer:
    """Signs with the server's active key; verifies with all of its keys. Shared by all threads."""

    def __init__(self, keys: Keyring) -> None:
        """Use ``keys``; the first signature makes one when there is none."""
        self.keys = keys

    def sign(self, payload_type: str, statement: Mapping[str, Any]) -> str:
        """Return the envelope of a statement, as JSON; raises `SigningKeyUnusable`."""
        key = self.keys.active()
        if key.private is None:
            raise SigningKeyUnusable("The private half of the active key is not here.")
        payload = strict_json.canonical(dict(statement)).encode()
        signature = Signature(key.id, key.private.sign(pae(payload_type, payload)))
        return Envelope(payload_type, payload, (signature,)).to_json()

    def verify(self, text: str, payload_type: str) -> dict[str, Any]:
        """Return the statement of an envelope; raises as `open` does."""
        return self.open(text, payload_type).statement

    def open(self, text: str, payload_type: str) -> Signed:
        """Return what an envelope says, when every byte of it is as this server wrote it.

        Raises `KeyUnknown`, `KeyRevoked`, or another `SignatureInvalid` that says what is wrong.
        """
        try:
            envelope = Envelope.parse(text)
        except EnvelopeInvalid as error:
            raise _invalid(str(error)) from error
        if envelope.to_json() != text:
            raise _invalid("the envelope is not written in its one form")
        if envelope.payload_type != payload_type:
            raise _invalid(f"the envelope holds {envelope.payload_type}, and {payload_type} is needed")
        signature = _only(envelope)
        self._verify(self._key(signature.keyid), envelope, signature)
        return Signed(_statement(envelope), signature.keyid, signature.sig)

    def public_keys(self) -> list[SigningKey]:
        """Return every key, the active one first; makes it when there is none yet."""
        self.keys.active()
        return self.keys.every()

    def _key(self, key_id: str) -> SigningKey:
        key = self.keys.find(key_id)
        if key is None:
            raise KeyUnknown(
                f"The key {key_id} that signed this is none of this server's. If it was another server's, or another "
                "replica's, give its public key in DEVSTUDIO_SIGNING_KEYS_RETIRED."
            )
        if key.status is KeyStatus.REVOKED:
            raise KeyRevoked(f"The key {key_id} that signed this was revoked, so nothing that it signed is taken.")
        return key

    def _verify(self, key: SigningKey, envelope: Envelope, signature: Signature) -> None:
        signed = pae(envelope.payload_type, envelope.payload)
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(signature.sig, signed)
        except (InvalidSignature, ValueError) as error:
            raise _invalid(f"what is signed is not what the key {key.id} signed") from error


def digest_of_envelope(text: str) -> str:
    """Return the SHA-256 by which one statement names the envelope of another, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def _only(envelope: Envelope) -> Signature:
    if len(envelope.signatures) != 1:
        raise _invalid(f"the envelope has {len(envelope.signatures)} signatures, and this server makes one")
    return envelope.signatures[0]


def _statement(envelope: Envelope) -> dict[str, Any]:
    try:
        statement = envelope.statement(envelope.payload_type)
    except EnvelopeInvalid as error:
        raise _invalid(str(error)) from error
    if strict_json.canonical(statement).encode() != envelope.payload:
        raise _invalid("the signed statement is not written in its one form")
    return statement


def _invalid(what: str) -> SignatureInvalid:
    return SignatureInvalid(f"The signature does not hold: {what}.")
