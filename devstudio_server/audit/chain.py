"""The hash chain: each entry's hash covers its content and the hash before it, so none can change, go or move."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from devstudio_server.audit.models import AuditEntry

_HASHED = (
    "id",
    "tenant_id",
    "source_module",
    "seq",
    "action",
    "resource_type",
    "resource_id",
    "user_id",
    "request_id",
    "details",
)


def canonical(data: Any) -> str:
    """Return JSON data as the one text that stands for it: sorted keys, no spaces."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def hash_of(entry: AuditEntry) -> str:
    """Return the sha256 of ``entry`` and of the hash before it, in hexadecimal."""
    values = {name: getattr(entry, name) for name in _HASHED}
    said = {name: value if isinstance(value, int) else str(value) for name, value in values.items()}
    said["created_at"] = entry.created_at.isoformat(timespec="microseconds")
    said["prev_hash"] = entry.prev_hash
    return sha256(canonical(said).encode()).hexdigest()
