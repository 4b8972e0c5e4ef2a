"""Which numeric user a tenant's code runs as, and whose a sandbox is."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Ownership:
    """Whose a sandbox is, so that what a killed process left can be told from what a living one uses."""

    installation: str = ""
    """All servers and workers on one database; empty where nobody asks."""
    owner: str = ""
    """One life of one process: the next life of the same server is another owner."""

    def outlives(self, other: "Ownership", alive: Collection[str]) -> bool:
        """Tell whether ``other`` is of the same installation, and an owner who is gone."""
        same = bool(self.installation) and self.installation == other.installation
        return same and other.owner != self.owner and other.owner not in alive
