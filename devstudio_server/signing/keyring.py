"""Every key that a server knows: the one that signs, and those whose signatures are good or no longer good."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from devstudio_server.signing.errors import SigningKeyUnusable
from devstudio_server.signing.folder import KeyFolder, Names
from devstudio_server.signing.keys import SigningKey, raw_public, read_private, read_publics
from devstudio_server.signing.schemas import KeyStatus

KEY, RETIRED, REVOKED = "DEVSTUDIO_SIGNING_KEY", "DEVSTUDIO_SIGNING_KEYS_RETIRED", "DEVSTUDIO_SIGNING_KEYS_REVOKED"
_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class GivenKeys:
    """The keys that the operator gives in the environment, which every replica of a server has alike."""

    private: Ed25519PrivateKey | None = field(default=None, repr=False)
    retired: tuple[bytes, ...] = ()
    revoked: frozenset[str] = frozenset()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> GivenKeys:
        """Read the variables; raises ValueError, which names the variable and repeats nothing of a key."""
        key = environment.get(KEY, "").strip()
        revoked = frozenset(environment.get(REVOKED, "").replace(",", " ").split())
        wrong = sorted(one for one in revoked if not _ID.fullmatch(one))
        if wrong:
            raise ValueError(f"{REVOKED} cannot be read: {wrong[0]!r} is not the id of a key, 16 hexadecimal digits")
        try:
            private = read_private(key) if key else None
        except ValueError as error:
            raise ValueError(f"{KEY} cannot be read: {error}") from None
        try:
            return cls(private, tuple(read_publics(environment.get(RETIRED, ""))), revoked)
        except ValueError as error:
            raise ValueError(f"{RETIRED} cannot be read: {error}") from None


class Keyring:
    """The keys that were given, and those of a folder. Shared by all threads; it sees changes of the folder at once.

    A key that was given signs; without one, the folder's newest does, which is made when there is none. Methods raise
    `SigningKeyUnusable`.
    """

    def __init__(self, folder: KeyFolder, given: GivenKeys | None = None) -> None:
        """Look at nothing yet."""
        self._folder = folder
        self._given = given or GivenKeys()
        self._guard = threading.Lock()
        self._names: Names | None = None
        self._keys: dict[str, SigningKey] = {}

    def active(self) -> SigningKey:
        """Return the key that signs."""
        keys = self._current()
        found = next((key for key in keys.values() if key.status is KeyStatus.ACTIVE), None)
        if found is None and self._given.private is None:
            self._folder.create_first()
            found = next((key for key in self._current().values() if key.status is KeyStatus.ACTIVE), None)
        if found is None:
            raise SigningKeyUnusable(f"The key that signs is revoked. Give another one: {KEY}, or `devstudio keys`.")
        return found

    def find(self, key_id: str) -> SigningKey | None:
        """Return a key by its id."""
        return self._current().get(key_id)

    def every(self) -> list[SigningKey]:
        """Return every key, the active one first, then the newest."""
        return sorted(self._current().values(), key=lambda key: key.status is not KeyStatus.ACTIVE)

    def _current(self) -> dict[str, SigningKey]:
        with self._guard:
            if self._names is None or self._folder.names() != self._names:
                names, numbered = self._folder.load()
                self._keys = self._merged([numbered[number] for number in sorted(numbered, reverse=True)])
                self._names = names
            return self._keys

    def _merged(self, kept: list[SigningKey]) -> dict[str, SigningKey]:
        """Put together what was given and what the folder has; the worst word on a key holds."""
        given = self._given
        if given.private is not None:
            kept = [
                SigningKey(raw_public(given.private), KeyStatus.ACTIVE, given.private),
                *(SigningKey(key.public, KeyStatus.RETIRED) if key.private is not None else key for key in kept),
            ]
        kept += [SigningKey(public, KeyStatus.RETIRED) for public in given.retired]
        revoked = given.revoked | {key.id for key in kept if key.status is KeyStatus.REVOKED}
        merged: dict[str, SigningKey] = {}
        for key in kept:
            merged.setdefault(
                key.id, replace(key, status=KeyStatus.REVOKED, private=None) if key.id in revoked else key
            )
        return merged
