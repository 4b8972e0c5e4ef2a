"""The container of a bundle: one way to write each content, and nothing else is read.

A bundle is an uncompressed tar file, so that any tool can unpack it: plain files only, the manifest first, the others
sorted by name, every header with the same mode, owner and time, and an end of two empty blocks. What is read is
written again in thought and compared, so that no byte of the file can be changed without being found.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devstudio_evidence import strict_json
from devstudio_evidence.dsse import Envelope, EnvelopeInvalid

MANIFEST = "manifest.json"
MANIFEST_TYPE = "application/vnd.devstudio.bundle+json"
FORMAT = 1
LIMIT = 256 * 1024 * 1024
"""Bytes of a bundle: it is read into memory, on a machine that we do not know."""
MOST_MEMBERS = 20_000
_BLOCK = 512
_LONGEST_NAME = 100
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_END = bytes(2 * _BLOCK)


class BundleInvalid(ValueError):
    """The file is no bundle, or not byte for byte as it would be written. ``member`` is the place."""

    def __init__(self, member: str, said: str) -> None:
        """Say what is wrong with which member."""
        super().__init__(said)
        self.member = member


@dataclass(frozen=True)
class Manifest:
    """What a bundle is about, and its members with size and digest: the part that is signed."""

    envelope: Envelope
    statement: dict[str, Any]


def pack(members: Mapping[str, bytes]) -> bytes:
    """Write a bundle. ``members`` has the manifest; the same members give the same bytes."""
    pieces: list[bytes] = []
    for name in _ordered(members):
        content = members[name]
        pieces += [_header(name, len(content)), content, _padding(len(content))]
    whole = b"".join([*pieces, _END])
    if len(whole) > LIMIT or len(members) > MOST_MEMBERS:
        raise BundleInvalid("", f"A bundle has at most {MOST_MEMBERS} members and {LIMIT} bytes.")
    return whole


def unpack(data: bytes) -> dict[str, bytes]:
    """Read a bundle's members, the manifest first; anything that `pack` would not have written is refused."""
    if len(data) > LIMIT:
        raise BundleInvalid("", f"The file has {len(data)} bytes; a bundle has at most {LIMIT}.")
    members: dict[str, bytes] = {}
    at = 0
    before = ""
    while data[at : at + _BLOCK] != _END[:_BLOCK]:
        name, size = _read_header(data, at, before)
        start = at + _BLOCK
        at = start + size + len(_padding(size))
        if at > len(data):
            raise BundleInvalid(name, "The file ends in the middle of this member.")
        if any(data[start + size : at]):
            raise BundleInvalid(name, "There are bytes between this member and the next one.")
        _check_order(name, before, len(members))
        members[name], before = data[start : start + size], name
    if data[at:] != _END:
        raise BundleInvalid(
            before, "The end of the file, behind this member, is not two empty blocks and nothing more."
        )
    if MANIFEST not in members:
        raise BundleInvalid(MANIFEST, "The bundle has no manifest.")
    return members


def sha256(content: bytes) -> str:
    """Give the SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def listing(members: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """List members as a manifest does."""
    return [{"path": name, "size": len(members[name]), "sha256": sha256(members[name])} for name in sorted(members)]


def read_manifest(members: Mapping[str, bytes]) -> Manifest:
    """Read the manifest in its one way of writing. It verifies neither the signature nor the members."""
    try:
        text = members[MANIFEST].decode("ascii")
        envelope = Envelope.parse(text)
        statement = envelope.statement(MANIFEST_TYPE)
    except UnicodeDecodeError as error:
        raise BundleInvalid(MANIFEST, "The manifest is not plain ASCII.") from error
    except EnvelopeInvalid as error:
        raise BundleInvalid(MANIFEST, f"The manifest cannot be read: {error}.") from error
    if envelope.to_json() != text:
        raise BundleInvalid(MANIFEST, "The manifest is not written in its one canonical way.")
    if statement.get("format") != FORMAT:
        raise BundleInvalid(MANIFEST, f"The bundle has the format {statement.get('format')!r}; this reads {FORMAT}.")
    return Manifest(envelope, statement)


def compare(manifest: Manifest, members: Mapping[str, bytes]) -> list[BundleInvalid]:
    """Find every member that is not exactly as the manifest says, is missing, or is not in the manifest."""
    said = manifest.statement.get("members")
    if not isinstance(said, list) or not all(_is_entry(entry) for entry in said):
        return [BundleInvalid(MANIFEST, "The manifest's list of members is not one.")]
    wanted = {str(entry["path"]): entry for entry in said}
    if len(wanted) != len(said):
        return [BundleInvalid(MANIFEST, "The manifest names a member twice.")]
    found: list[BundleInvalid] = []
    for name in sorted({*wanted, *members} - {MANIFEST}):
        if name not in members:
            found.append(BundleInvalid(name, "The manifest names this member, but it is not in the bundle."))
        elif name not in wanted:
            found.append(BundleInvalid(name, "The manifest does not name this member."))
        elif (len(members[name]), sha256(members[name])) != (wanted[name]["size"], wanted[name]["sha256"]):
            found.append(BundleInvalid(name, "The bytes are not those that the manifest names by size and SHA-256."))
    return found


def read_json(members: Mapping[str, bytes], name: str) -> Any:
    """Read a member that is JSON."""
    try:
        return strict_json.loads(members[name].decode("utf-8"))
    except KeyError as error:
        raise BundleInvalid(name, "This member is missing.") from error
    except (UnicodeDecodeError, strict_json.JsonInvalid) as error:
        raise BundleInvalid(name, f"This member cannot be read: {error}.") from error


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and set(entry) == {"path", "size", "sha256"} and isinstance(entry["path"], str)


def _ordered(members: Mapping[str, bytes]) -> list[str]:
    return [MANIFEST, *sorted(name for name in members if name != MANIFEST)]


def _check_order(name: str, before: str, count: int) -> None:
    if not before and name != MANIFEST:
        raise BundleInvalid(name, "The first member is not the manifest.")
    if before and (name == MANIFEST or (before != MANIFEST and name <= before)):
        raise BundleInvalid(name, "The members are not each there once and in order.")
    if count >= MOST_MEMBERS:
        raise BundleInvalid(name, f"A bundle has at most {MOST_MEMBERS} members.")


def _read_header(data: bytes, at: int, before: str) -> tuple[str, int]:
    """Read a header; it has to be the very one that `pack` writes for its name and size."""
    header = data[at : at + _BLOCK]
    behind = f"Behind {before}, at" if before else "At"
    if len(header) < _BLOCK:
        raise BundleInvalid(before, f"{behind} byte {at}, the file ends without the end of a bundle.")
    name = header[:_LONGEST_NAME].rstrip(b"\0").decode("ascii", "backslashreplace")
    digits = header[124:135]
    size = int(digits, 8) if re.fullmatch(rb"[0-7]{11}", digits) else -1
    if size < 0 or not _is_name(name) or _header(name, size) != header:
        raise BundleInvalid(name if _is_name(name) else before, f"{behind} byte {at}, there is no header of a bundle.")
    return name, size


def _is_name(name: str) -> bool:
    return len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) is not None


def _header(name: str, size: int) -> bytes:
    """Write a header (POSIX ustar) in which only name and size differ."""
    if not _is_name(name):
        raise BundleInvalid(name, "This is no name of a member.")
    fields = [
        (name.encode("ascii"), _LONGEST_NAME),
        (b"0000644\0", 8),
        (b"0000000\0" * 2, 16),
        (b"%011o\0" % size, 12),
        (b"%011o\0" % 0, 12),
        (b" " * 8, 8),
        (b"0", 1),
        (b"", _LONGEST_NAME),
        (b"ustar\x0000", 8),
        (b"", 247),
    ]
    blank = b"".join(value.ljust(width, b"\0") for value, width in fields)
    return blank[:148] + b"%06o\0 " % sum(blank) + blank[156:]


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)
