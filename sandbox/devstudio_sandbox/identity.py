"""Which numeric user a tenant's code runs as."""

import hashlib
from uuid import UUID

FIRST_UID = 100_000
UID_COUNT = 2**31 - 1 - FIRST_UID
"""Up to the largest id that every kernel interface takes as a signed number."""
REMAPPED_FIRST_UID = 10_000
REMAPPED_UID_COUNT = 50_000
"""A remapped or rootless engine has 65,536 ids in all (subuid(5))."""


def tenant_uid(tenant_id: UUID, *, remapped: bool = False) -> int:
    """Give a tenant its uid (and gid): always the same, never 0, never one of a person on the host.

    It is a hash, so two of many tenants may share one; nothing hangs on that alone, because no two sandboxes share
    a file or a process table.
    """
    number = int.from_bytes(hashlib.sha256(tenant_id.bytes).digest()[:8], "big")
    if remapped:
        return REMAPPED_FIRST_UID + number % REMAPPED_UID_COUNT
    return FIRST_UID + number % UID_COUNT
