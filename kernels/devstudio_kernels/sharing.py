"""Whose rights a kernel has among its tenant's files, without the server losing any of its own.

A server that is root gives each tenant's kernels the tenant's own uid, and adds an access control list to the tenant's
folder (acl(5)) which whatever is made there inherits: the kernel can read and write what the server makes, and root
manages whatever the kernel makes. A server that is not root cannot give a file away, nor manage what another user
made, so its kernels have its own uid: they are kept apart by their containers and mounts alone.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from pathlib import Path
from uuid import UUID

from devstudio_kernels.errors import KernelUnavailable
from devstudio_sandbox.identity import tenant_uid

ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
VERSION = struct.pack("<I", 2)  # linux/posix_acl_xattr.h
ENTRY = struct.Struct("<HHI")
OWNER, USER, GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
NOBODY = 0xFFFFFFFF
ALL, READ_WRITE = 7, 6
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_UNSUPPORTED = (errno.EOPNOTSUPP, errno.ENOTSUP)


def kernel_uid(tenant_id: UUID) -> int:
    """Return the uid, and gid, of a tenant's kernels."""
    own = os.geteuid()
    return tenant_uid(tenant_id) if own == 0 else own


def share(root: Path, uid: int) -> None:
    """Let ``uid`` read and write all below ``root``, now and later, and follow no link on the way.

    Raises `KernelUnavailable` when the file system has no access control lists.
    """
    if uid == os.geteuid():
        return
    try:
        for _, _, files, folder in os.fwalk(root, follow_symlinks=False):
            _allow(folder, uid)
            for name in files:
                _allow_file(name, folder, uid)
    except OSError as problem:
        if problem.errno in _UNSUPPORTED:
            raise KernelUnavailable(
                f"{root} is on a file system without access control lists, so a kernel could not write there"
            ) from problem
        raise


def _allow_file(name: str, folder: int, uid: int) -> None:
    try:
        file = os.open(name, _OPEN, dir_fd=folder)
    except OSError:  # a link, a socket, or gone by now
        return
    try:
        if stat.S_ISREG(os.fstat(file).st_mode):
            _allow(file, uid)
    finally:
        os.close(file)


def _allow(opened: int, uid: int) -> None:
    """Add ``uid`` to the list of what is open; a folder hands it on to what is made in it."""
    status = os.fstat(opened)
    if status.st_uid == uid:
        return
    is_folder = stat.S_ISDIR(status.st_mode)
    acl = _acl(status.st_mode, uid, ALL if is_folder or status.st_mode & stat.S_IXUSR else READ_WRITE)
    if _read(opened, ACCESS) != acl:
        os.setxattr(opened, ACCESS, acl)
    if is_folder and _read(opened, DEFAULT) != (inherited := _acl(status.st_mode, uid, ALL)):
        os.setxattr(opened, DEFAULT, inherited)


def _acl(mode: int, uid: int, rights: int) -> bytes:
    entries = (
        (OWNER, mode >> 6 & 7, NOBODY),
        (USER, rights, uid),
        (GROUP, 0, NOBODY),  # its bits of the mode are those of the mask from now on
        (MASK, rights, NOBODY),
        (OTHER, mode & 7, NOBODY),
    )
    return VERSION + b"".join(ENTRY.pack(*entry) for entry in entries)


def _read(opened: int, name: str) -> bytes | None:
    try:
        return os.getxattr(opened, name)
    except OSError as problem:
        if problem.errno == errno.ENODATA:
            return None
        raise
