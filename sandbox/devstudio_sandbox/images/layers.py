"""Reading an image's file system from layers, and writing our part of it so that equal content gives equal bytes."""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

EPOCH = 1767225600
"""The time of every file that we add: 2026-01-01 (as SOURCE_DATE_EPOCH of reproducible-builds.org)."""
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
ENGINES_OWN = {".dockerenv", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf"}
"""Files that the engine puts into every container."""
ENGINES_FOLDERS = ("dev", "proc", "sys")
CHUNK = 1 << 20


@dataclass(frozen=True)
class Item:
    """One path of an image."""

    info: tarfile.TarInfo
    data: tarfile.TarFile | bytes
    layer: int

    def open(self) -> IO[bytes]:
        """Open the content of a file."""
        if isinstance(self.data, bytes):
            return io.BytesIO(self.data)
        return self.data.extractfile(self.info) or io.BytesIO()


Tree = dict[str, Item]


def path_of(member: tarfile.TarInfo) -> str:
    """Write a path as one from the root, without a slash before it."""
    return str(PurePosixPath("/", member.name))[1:]


def merge(tree: Tree, layer: tarfile.TarFile, number: int) -> None:
    """Lay a layer over those below it, as https://github.com/opencontainers/image-spec/blob/main/layer.md says."""
    members = layer.getmembers()
    for member in members:
        path = PurePosixPath(path_of(member))
        if path.name == OPAQUE:
            forget_below(tree, str(path.parent), number)
        elif path.name.startswith(WHITEOUT):
            gone = str(path.with_name(path.name.removeprefix(WHITEOUT)))
            forget_below(tree, gone, number)
            tree.pop(gone, None)
    for member in members:
        path = PurePosixPath(path_of(member))
        if str(path) == "." or path.name.startswith(WHITEOUT):
            continue
        if not member.isdir():
            forget_below(tree, str(path), number)
        if member.islnk():
            target = tree[str(PurePosixPath("/", member.linkname))[1:]]
            tree[str(path)] = Item(target.info, target.data, number)
        else:
            tree[str(path)] = Item(member, layer, number)


def forget_below(tree: Tree, folder: str, before: int) -> None:
    """Drop what a lower layer has below a path; a path that was no folder has nothing there."""
    if folder in tree and tree[folder].info.isdir():
        for path in [path for path in tree if path.startswith(f"{folder}/") and tree[path].layer < before]:
            del tree[path]


def write_layer(tree: Tree, lower: Tree, keep: int, target: IO[bytes]) -> str:
    """Write everything above the ``keep`` lowest layers as one layer; return the digest of its bytes.

    Paths are sorted, and times, names of owners and everything else that a second build could not repeat are left out.
    """
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, item in sorted(tree.items()):
            if item.layer >= keep:
                data = item.open() if item.info.isfile() else None  # of a link it would open the target
                tar.addfile(normal(path, item.info), data)
        for path in sorted(gone(tree, lower)):
            place = PurePosixPath(path)
            tar.addfile(normal(str(place.with_name(WHITEOUT + place.name)), tarfile.TarInfo()))
    target.seek(0)
    return f"sha256:{hashlib.file_digest(target, hashlib.sha256).hexdigest()}"  # type: ignore[arg-type]  # any open file does


def gone(tree: Tree, lower: Tree) -> Iterator[str]:
    """Find what the lower layers have and the image has not, without what lies in a folder that is gone itself."""
    for path in lower.keys() - tree.keys():
        if str(PurePosixPath(path).parent) in {".", *tree}:
            yield path


def normal(path: str, info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Give a path's entry without what differs from build to build."""
    made = tarfile.TarInfo(path)
    made.type = tarfile.REGTYPE if info.isfile() else info.type
    made.size, made.mode, made.uid, made.gid = (
        (info.size if info.isfile() else 0),
        info.mode & 0o7777,
        info.uid,
        info.gid,
    )
    made.linkname, made.devmajor, made.devminor, made.mtime = info.linkname, info.devmajor, info.devminor, EPOCH
    made.pax_headers = {name: value for name, value in info.pax_headers.items() if name.startswith("SCHILY.xattr.")}
    return made


def content_digest(tree: Tree) -> str:
    """Digest a file system: paths, kinds, modes, owners, links and contents; not the times, which folders get anew."""
    lines = {path: described(item.info, file_digest(item)) for path, item in tree.items()}
    return digest_of(lines)


def exported_digest(stream: IO[bytes], wanted: str) -> tuple[str, bytes]:
    """Digest the file system of a container that never ran, from its export, and return one file of it."""
    lines: dict[str, str] = {}
    found = b""
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            path = path_of(member)
            if path == wanted.lstrip("/") and (file := tar.extractfile(member)):
                found = file.read()
                lines[path] = described(member, hashlib.sha256(found).hexdigest())
            elif member.islnk():
                lines[path] = lines[str(PurePosixPath("/", member.linkname))[1:]]
            elif path:
                lines[path] = described(member, file_digest(Item(member, tar, 0)))
    return digest_of(lines), found


def file_digest(item: Item) -> str:
    """Digest a file's content."""
    if not item.info.isfile():
        return ""
    digest = hashlib.sha256()
    with item.open() as data:
        while chunk := data.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def described(info: tarfile.TarInfo, content: str) -> str:
    """Write down what makes a path what it is."""
    kind = tarfile.REGTYPE if info.isfile() else info.type
    mode = 0 if info.issym() else info.mode & 0o7777
    return f"{kind.decode()} {mode:o} {info.uid} {info.gid} {info.linkname if info.issym() else ''} {content}"


def digest_of(lines: dict[str, str]) -> str:
    """Digest the paths that are the image's own."""
    digest = hashlib.sha256()
    for path, line in sorted(lines.items()):
        if path not in ENGINES_OWN and path.split("/")[0] not in ENGINES_FOLDERS:
            digest.update(f"{path}\0{line}\n".encode())
    return f"sha256:{digest.hexdigest()}"
