"""DSSE envelopes: what was signed, as what, and by which key.

The format is DSSE 1.0 (https://github.com/secure-systems-lab/dsse), read strictly: one text has one meaning, so that
no changed byte goes unseen. Standard library only, Python 3.9 or newer: the same file checks a bundle in an empty
environment and a patch in the server.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devstudio_evidence import ed25519, strict_json

# A statement lists files and criteria, never contents: 16 MiB hold some 50,000 files.
LIMIT = 16 * 1024 * 1024
_MEMBERS = {"payload", "payloadType", "signatures"}
_SIGNATURE_MEMBERS = {"keyid", "sig"}
_LONGEST_NAME = 200
_MOST_SIGNATURES = 16
_PLAIN = frozenset(string.ascii_letters + string.digits + string.punctuation)


class EnvelopeInvalid(ValueError):
    """The envelope is not well formed, or its signature does not hold."""


@dataclass(frozen=True)
class Signature:
    """A signature and the id of its key. The id only finds the key; the key has to verify."""

    keyid: str
    sig: bytes


@dataclass(frozen=True)
class Envelope:
    """Signed bytes with their type."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, text: str) -> Envelope:
        """Read an envelope; anything doubled, extra, missing, misspelt or oversize raises `EnvelopeInvalid`."""
        if len(text) > LIMIT:
            raise EnvelopeInvalid(f"an envelope has at most {LIMIT} characters, this one {len(text)}")
        try:
            members = _object(strict_json.loads(text), "the envelope", _MEMBERS)
        except strict_json.JsonInvalid as error:
            raise EnvelopeInvalid(f"the envelope cannot be read: {error}") from error
        signatures = members["signatures"]
        if not isinstance(signatures, list) or not 1 <= len(signatures) <= _MOST_SIGNATURES:
            raise EnvelopeInvalid(f"the envelope needs 1 to {_MOST_SIGNATURES} signatures")
        return cls(
            payload_type=_name(members["payloadType"], "payloadType"),
            payload=_decoded(members["payload"], "payload"),
            signatures=tuple(_signature(entry) for entry in signatures),
        )

    def to_json(self) -> str:
        """Write the envelope in its one canonical form."""
        return strict_json.canonical(
            {
                "payload": _encoded(self.payload),
                "payloadType": self.payload_type,
                "signatures": [{"keyid": each.keyid, "sig": _encoded(each.sig)} for each in self.signatures],
            }
        )

    def statement(self, payload_type: str) -> dict[str, Any]:
        """Give the payload as a JSON object; another type than the wanted one is refused. It verifies nothing."""
        if self.payload_type != payload_type:
            raise EnvelopeInvalid(f"the envelope holds {self.payload_type}, not {payload_type}")
        try:
            value = strict_json.loads(self.payload.decode("utf-8"))
        except (UnicodeDecodeError, strict_json.JsonInvalid) as error:
            raise EnvelopeInvalid(f"the signed statement cannot be read: {error}") from error
        if not isinstance(value, dict):
            raise EnvelopeInvalid("the signed statement is not a JSON object")
        return value


def pae(payload_type: str, payload: bytes) -> bytes:
    """Give the bytes that are signed: DSSE's pre-authentication encoding binds the type to the payload."""
    name = payload_type.encode("utf-8")
    return b"DSSEv1 %d %s %d %s" % (len(name), name, len(payload), payload)


def key_id(public_key: bytes) -> str:
    """Give the id of a raw public key: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(public_key).hexdigest()[:16]


def verify(envelope: Envelope, keys: Mapping[str, bytes]) -> str:
    """Check every signature with the key of its id; give the first one's key id, or raise `EnvelopeInvalid`.

    DSSE is content with one good signature out of many; here each has to hold, because a signature that nobody
    checked could be changed unseen.
    """
    if not envelope.signatures:
        raise EnvelopeInvalid("the envelope has no signature")
    signed = pae(envelope.payload_type, envelope.payload)
    for each in envelope.signatures:
        if each.keyid not in keys:
            raise EnvelopeInvalid(f"the key {each.keyid} that signed it is not one of the trusted keys")
        try:
            ed25519.verify(keys[each.keyid], signed, each.sig)
        except ed25519.SignatureWrong as error:
            raise EnvelopeInvalid(f"the signature by the key {each.keyid} does not hold: {error}") from error
    return envelope.signatures[0].keyid


def _signature(entry: Any) -> Signature:
    members = _object(entry, "a signature", _SIGNATURE_MEMBERS)
    return Signature(_name(members["keyid"], "keyid"), _decoded(members["sig"], "sig"))


def _object(value: Any, what: str, names: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != names:
        raise EnvelopeInvalid(f"{what} has exactly the members {', '.join(sorted(names))}")
    return value


def _name(value: Any, what: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST_NAME or not set(value) <= _PLAIN:
        raise EnvelopeInvalid(f"{what} is not 1 to {_LONGEST_NAME} plain characters")
    return value


def _decoded(value: Any, what: str) -> bytes:
    """Decode base64 in its one standard form: padded, no white space, no set bits that are then dropped."""
    try:
        decoded = base64.b64decode(value, validate=True) if isinstance(value, str) else None
    except (binascii.Error, ValueError):
        decoded = None
    if decoded is None or _encoded(decoded) != value:
        raise EnvelopeInvalid(f"{what} is not standard base64")
    return decoded


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
