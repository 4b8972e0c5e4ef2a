"""Public keys as files: what `devstudio keys export` and `GET signing-keys` give, PEM, or the bare key."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from devstudio_evidence import dsse, ed25519, strict_json

_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----")
# What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410, section 4).
_SPKI = bytes.fromhex("302a300506032b6570032100")


class KeysInvalid(ValueError):
    """The text holds no public keys."""


@dataclass
class Keys:
    """Public keys by their ids; of those that were revoked only the ids."""

    good: dict[str, bytes] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)

    def add(self, key: bytes) -> None:
        """Add a key; raises `KeysInvalid` for one that nobody should trust."""
        try:
            ed25519.public_point(key)
        except ed25519.SignatureWrong as error:
            raise KeysInvalid(f"a key cannot be used: {error}") from error
        self.good[dsse.key_id(key)] = key

    def joined(self, other: Keys) -> Keys:
        """Give the keys of both; what either calls revoked is."""
        revoked = self.revoked | other.revoked
        good = {**other.good, **self.good}
        return Keys({name: key for name, key in good.items() if name not in revoked}, revoked)


def read(text: str) -> Keys:
    """Read public keys in any of the forms in which DevStudio gives them."""
    stripped = text.strip()
    if stripped.startswith(("{", "[")):
        return _from_json(stripped)
    keys = Keys()
    pems = _PEM.findall(stripped)
    for pem in pems:
        keys.add(_from_der(_bytes("".join(pem.split()))))
    if not pems:
        keys.add(bytes.fromhex(stripped) if re.fullmatch(r"[0-9a-fA-F]{64}", stripped) else _bytes(stripped))
    return keys


def _from_json(text: str) -> Keys:
    try:
        value = strict_json.loads(text)
    except strict_json.JsonInvalid as error:
        raise KeysInvalid(str(error)) from error
    rows = value.get("items", value.get("keys")) if isinstance(value, dict) else value
    if not isinstance(rows, list) or not rows:
        raise KeysInvalid("it lists no keys")
    keys = Keys()
    for row in rows:
        _add_row(keys, row)
    return Keys({name: key for name, key in keys.good.items() if name not in keys.revoked}, keys.revoked)


def _add_row(keys: Keys, row: Any) -> None:
    if not isinstance(row, Mapping) or not isinstance(row.get("public_key"), str):
        raise KeysInvalid("a key has no public_key")
    key = _bytes(row["public_key"])
    name = dsse.key_id(key)
    if row.get("key_id", name) != name:
        raise KeysInvalid(f"the key {name} calls itself {row.get('key_id')}")
    if row.get("status") == "revoked":
        keys.revoked.add(name)
    else:
        keys.add(key)


def _from_der(der: bytes) -> bytes:
    if not der.startswith(_SPKI):
        raise KeysInvalid("a PEM block is no Ed25519 public key")
    return der[len(_SPKI) :]


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise KeysInvalid("a key is neither PEM nor base64") from error
