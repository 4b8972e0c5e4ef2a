"""Keys that tokens are verified with: one kind for a server, and each key for one algorithm only."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from devstudio_server.auth.errors import BadCredentialError, Reason, SettingsError
from devstudio_server.kit.logging import get_logger

RS256, EDDSA, HS256 = "RS256", "EdDSA", "HS256"
MIN_RSA_BITS = 2048
MIN_SECRET_BYTES = 32
JWKS_LIFESPAN_S = 3600.0
JWKS_STALE_S = 24 * 3600.0
JWKS_COOLDOWN_S = 30.0
JWKS_TIMEOUT_S = 5.0
_MAX_JWKS_KEYS = 64
_log = get_logger("auth")


@dataclass(frozen=True)
class VerificationKey:
    """A key and the one algorithm that it verifies: a public key is never read as the secret of an HMAC."""

    algorithm: str
    key: Any


class KeySource(Protocol):
    """Where keys come from."""

    def find(self, kid: str | None) -> VerificationKey:
        """Return the key that ``kid`` names; raises `BadCredentialError` for one that is not there. May block."""


class FixedKeys:
    """Keys that are read once: a secret, a PEM file, or a JWKS file."""

    def __init__(self, keys: dict[str | None, VerificationKey]) -> None:
        """Offer ``keys`` by their ids; a key with the id None answers for every id."""
        self._keys = keys

    def find(self, kid: str | None) -> VerificationKey:
        """Return the key that ``kid`` names; the only key there is needs no name."""
        return _find(self._keys, kid)


class JwksUrl:
    """The keys of a JWKS address, kept for an hour. An unknown id asks again, but not more often than the cool-down.

    While the address does not answer, the keys that are known are used for up to a day.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = JWKS_TIMEOUT_S,
        cooldown_s: float = JWKS_COOLDOWN_S,
        lifespan_s: float = JWKS_LIFESPAN_S,
    ) -> None:
        """Read ``url``, http or https, with ``timeout_s``; raises `SettingsError` for another address."""
        try:
            self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=timeout_s)  # it follows no redirects
        except jwt.PyJWKClientError as error:
            message = f"DEVSTUDIO_JWT_JWKS_URL: {error}"
            raise SettingsError(message) from error
        self._cooldown_s = cooldown_s
        self._lifespan_s = lifespan_s
        self._keys: dict[str | None, VerificationKey] = {}
        self._fetched_at = self._asked_at = float("-inf")
        self._fetching = threading.Lock()

    def find(self, kid: str | None) -> VerificationKey:
        """Return the key that ``kid`` names. At most one thread asks the address at a time."""
        if not self._knows(kid) or self._age() > self._lifespan_s:
            self._refresh()
        if self._age() > JWKS_STALE_S:
            raise BadCredentialError(Reason.KEY)
        return _find(self._keys, kid)

    def _knows(self, kid: str | None) -> bool:
        return kid in self._keys or (kid is None and len(self._keys) == 1)

    def _age(self) -> float:
        return time.monotonic() - self._fetched_at

    def _refresh(self) -> None:
        """Ask the address; whoever comes meanwhile waits only when there are no keys at all yet."""
        if not self._fetching.acquire(blocking=not self._keys):
            return
        try:
            if time.monotonic() - self._asked_at < self._cooldown_s:
                return
            self._asked_at = time.monotonic()
            self._keys = read_jwks(self._client.fetch_data())
            self._fetched_at = time.monotonic()
        except (jwt.PyJWTError, SettingsError, ValueError) as error:
            _log.warning("jwks_not_read", reason=str(error))
        finally:
            self._fetching.release()


def secret_key(secret: str) -> FixedKeys:
    """Return the source of one HS256 secret; raises `SettingsError` for a short one, or for a key of another kind."""
    if "-----BEGIN" in secret or secret.lstrip().startswith(("{", "ssh-")):
        message = "DEVSTUDIO_JWT_SECRET holds a key, not a secret; name its file in DEVSTUDIO_JWT_KEY_FILE."
        raise SettingsError(message)
    if len(secret.encode()) < MIN_SECRET_BYTES:
        message = f"DEVSTUDIO_JWT_SECRET is shorter than {MIN_SECRET_BYTES} bytes. Make one: `openssl rand -hex 32`."
        raise SettingsError(message)
    return FixedKeys({None: VerificationKey(HS256, secret)})


def key_file(path: str) -> FixedKeys:
    """Return the keys of a PEM or JWKS file; raises `SettingsError` when it holds none that can be used."""
    try:
        data = Path(path).expanduser().read_bytes()
    except OSError as error:
        message = f"DEVSTUDIO_JWT_KEY_FILE {path!r} cannot be read: {error.strerror}."
        raise SettingsError(message) from error
    try:
        if data.lstrip().startswith(b"{"):
            return FixedKeys(read_jwks(json.loads(data)))
        return FixedKeys({None: _verification_key(load_pem_public_key(data))})
    except (ValueError, TypeError) as error:
        message = f"DEVSTUDIO_JWT_KEY_FILE {path!r} is no public key in PEM and no JWKS: {error}"
        raise SettingsError(message) from error


def read_jwks(document: Any) -> dict[str | None, VerificationKey]:
    """Return the RSA and Ed25519 signing keys of a JWKS; raises `SettingsError` when there are none.

    Secrets, keys for encryption, and keys for other algorithms are left out.
    """
    listed = document.get("keys") if isinstance(document, dict) else None
    found: dict[str | None, VerificationKey] = {}
    for entry in (listed if isinstance(listed, list) else [])[:_MAX_JWKS_KEYS]:
        key = _signing_key(entry)
        if key is not None:
            found[entry.get("kid")] = key
    if not found:
        message = "the JWKS holds no RSA key of 2048 bits or more and no Ed25519 key"
        raise SettingsError(message)
    return found


def _find(keys: dict[str | None, VerificationKey], kid: str | None) -> VerificationKey:
    """Look ``kid`` up; it is nothing but a key of this dictionary."""
    if None in keys and len(keys) == 1:
        return keys[None]
    if kid is None and len(keys) == 1:
        return next(iter(keys.values()))
    try:
        return keys[kid]
    except KeyError:
        raise BadCredentialError(Reason.KEY) from None


def _signing_key(entry: Any) -> VerificationKey | None:
    if not isinstance(entry, dict) or entry.get("kty") not in ("RSA", "OKP") or entry.get("use", "sig") != "sig":
        return None
    if not isinstance(entry.get("kid"), (str, type(None))):
        return None
    public = {name: entry[name] for name in ("kty", "n", "e", "crv", "x") if name in entry}
    try:
        key = _verification_key(jwt.PyJWK.from_dict(public, RS256 if entry["kty"] == "RSA" else EDDSA).key)
    except (jwt.PyJWTError, SettingsError, ValueError, TypeError):
        return None
    return key if entry.get("alg", key.algorithm) in (key.algorithm, "Ed25519") else None


def _verification_key(key: Any) -> VerificationKey:
    if isinstance(key, RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        return VerificationKey(RS256, key)
    if isinstance(key, Ed25519PublicKey):
        return VerificationKey(EDDSA, key)
    message = f"tokens are verified with RSA keys of {MIN_RSA_BITS} bits or more (RS256) and Ed25519 keys (EdDSA)"
    raise SettingsError(message)
