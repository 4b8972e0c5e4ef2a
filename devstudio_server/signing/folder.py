"""Keys in a folder: one file each, whose name says what the key is good for.

``key-0001.pem`` is a private key, and the highest number signs; ``key-0001.retired.pem`` and ``key-0001.revoked.pem``
are public keys. A file appears whole or not at all, and never over another, so any number of servers may share the
folder, and find out what changed by looking at the names.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from devstudio_server.signing.errors import SigningKeyUnusable
from devstudio_server.signing.keys import SigningKey, private_pem, public_pem, raw_public, read_private, read_public
from devstudio_server.signing.schemas import KeyStatus

_NAME = re.compile(r"key-(\d{4,9})(?:\.(retired|revoked))?\.pem")
_MOST_BYTES = 10_000
_OTHERS_READ, _OTHERS_WRITE = 0o077, 0o022

T = TypeVar("T")
Names = tuple[str, ...]
Numbered = dict[int, SigningKey]


class KeyFolder:
    """The keys in one folder. Methods raise `SigningKeyUnusable`, which names a file but no secret."""

    def __init__(self, path: Path) -> None:
        """Look at nothing yet; `create_first` makes the folder."""
        self.path = path

    def names(self) -> Names:
        """Return the names of the files with keys, sorted: as long as they are the same, so are the keys."""
        try:
            return tuple(sorted(name for name in os.listdir(self.path) if _NAME.fullmatch(name)))  # noqa: PTH208 - fast
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise _unusable(f"The folder of the signing keys cannot be read: {error.strerror}.") from error

    def load(self) -> tuple[Names, Numbered]:
        """Return the keys by their numbers, and the names that they were read by."""
        names = self.names()
        while True:
            try:
                return names, self._load_all(names)
            except SigningKeyUnusable:
                before, names = names, self.names()
                if names == before:  # else somebody rotated them meanwhile
                    raise

    def _load_all(self, names: Names) -> Numbered:
        """Of a key that is not the newest, the private half is not kept."""
        if names:
            self._check_folder()
        found = {number: self._load(number, kinds) for number, kinds in _by_number(names).items()}
        signing = max((number for number, key in found.items() if key.private is not None), default=0)
        return {
            number: key if number == signing or key.private is None else SigningKey(key.public, KeyStatus.RETIRED)
            for number, key in found.items()
        }

    def create_first(self) -> None:
        """Make a key unless there is one that signs. Of several servers at once, exactly one makes it."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(f"The folder of the signing keys cannot be made: {error.strerror}.") from error
        self._check_folder()
        _, keys = self.load()
        if all(key.private is None for key in keys.values()):
            self._create(max(keys, default=0) + 1)

    def rotate(self) -> SigningKey:
        """Make a new key that signs from now on, and keep only the public half of those before it."""
        self.create_first()
        number = max(self.load()[1]) + 1
        while not self._create(number):
            number += 1
        _, keys = self.load()
        for older, key in keys.items():
            if older < number:
                self._retire(older, key)
        return keys[number]

    def revoke(self, key_id: str) -> SigningKey | None:
        """Never again take what the key has signed; None when the folder has no such key."""
        _, keys = self.load()
        number = next((number for number, key in keys.items() if key.id == key_id), None)
        if number is None:
            return None
        if keys[number].status is KeyStatus.ACTIVE:
            self.rotate()
        self._write(f"{_stem(number)}.revoked.pem", keys[number].pem().encode())
        for other in (f"{_stem(number)}.pem", f"{_stem(number)}.retired.pem"):
            (self.path / other).unlink(missing_ok=True)
        return SigningKey(keys[number].public, KeyStatus.REVOKED)

    def _load(self, number: int, kinds: set[str]) -> SigningKey:
        for status in (KeyStatus.REVOKED, KeyStatus.RETIRED):
            if status in kinds:
                text = self._read(f"{_stem(number)}.{status}.pem", _OTHERS_WRITE)
                return SigningKey(_parsed(read_public, text, f"{_stem(number)}.{status}.pem"), status)
        private = _parsed(read_private, self._read(f"{_stem(number)}.pem", _OTHERS_READ), f"{_stem(number)}.pem")
        return SigningKey(raw_public(private), KeyStatus.ACTIVE, private)

    def _read(self, name: str, forbidden: int) -> str:
        """Read a file that is this user's own, no link, and has none of the ``forbidden`` bits of mode."""
        try:
            descriptor = os.open(self.path / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            why = "it is a link" if (self.path / name).is_symlink() else error.strerror
            raise _unusable(f"The signing key {name} cannot be read: {why}.") from error
        with os.fdopen(descriptor, "rb") as file:
            _check_owned(os.fstat(descriptor), f"The signing key {name}", forbidden, stat.S_IFREG)
            return file.read(_MOST_BYTES).decode("ascii", "replace")

    def _check_folder(self) -> None:
        _check_owned(os.lstat(self.path), "The folder of the signing keys", _OTHERS_WRITE, stat.S_IFDIR)

    def _create(self, number: int) -> bool:
        """Make the key with this number; false when another server was faster."""
        return self._write(f"{_stem(number)}.pem", private_pem(Ed25519PrivateKey.generate()))

    def _retire(self, number: int, key: SigningKey) -> None:
        private = self.path / f"{_stem(number)}.pem"
        if private.exists():
            self._write(f"{_stem(number)}.retired.pem", public_pem(key.public).encode())
            private.unlink(missing_ok=True)

    def _write(self, name: str, content: bytes) -> bool:
        """Make a file at once with all that is in it, unless it exists: a link to a whole file is such a step."""
        temporary = self.path / f".{secrets.token_hex(8)}.tmp"
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, self.path / name)
        except FileExistsError:
            return False
        except OSError as error:
            raise _unusable(f"The signing key {name} cannot be written: {error.strerror}.") from error
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        self._sync()
        return True

    def _sync(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _by_number(names: Names) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for name in names:
        match = _NAME.fullmatch(name)
        if match is not None:
            found.setdefault(int(match[1]), set()).add(match[2] or "")
    return found


def _check_owned(found: os.stat_result, what: str, forbidden: int, kind: int) -> None:
    if stat.S_IFMT(found.st_mode) != kind:
        raise _unusable(f"{what} is a link or a special file.")
    if found.st_uid != os.geteuid():
        raise _unusable(f"{what} belongs to another user ({found.st_uid}) than the server's ({os.geteuid()}).")
    if found.st_mode & forbidden:
        mode = stat.S_IMODE(found.st_mode)
        may = "read" if forbidden == _OTHERS_READ else "written"
        wanted = "700" if kind == stat.S_IFDIR else "600"
        raise _unusable(f"{what} may be {may} by others: its mode is {mode:o}. Set it with chmod {wanted}.")


def _parsed(read: Callable[[str], T], text: str, name: str) -> T:
    try:
        return read(text)
    except ValueError as error:
        raise _unusable(f"The signing key {name} cannot be used: {error}.") from None


def _stem(number: int) -> str:
    return f"key-{number:04}"


def _unusable(message: str) -> SigningKeyUnusable:
    return SigningKeyUnusable(f"{message} `devstudio doctor` says where it is; nothing was signed or taken for signed.")
