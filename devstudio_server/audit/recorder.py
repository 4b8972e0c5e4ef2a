"""Writes the audit of a unit of work: every changed row, and the deeds that services name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from devstudio_server.audit.chain import canonical, hash_of
from devstudio_server.audit.models import AuditEntry
from devstudio_server.db import Actor, Change
from devstudio_server.db.scope import REQUEST_ID
from devstudio_server.db.streams import counters
from devstudio_server.kit.clock import now
from devstudio_server.kit.ids import new_id
from devstudio_server.kit.masking import mask, mask_text

MAX_RESOURCE_ID = 255
_DEEDS = "devstudio_audit_deeds"


@dataclass(frozen=True)
class Deed:
    """What someone did to which resource. ``details`` is JSON; personal data and secrets in it are masked.

    ``request_id`` is None for the one that is being answered.
    """

    action: str
    resource_type: str
    resource_id: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    request_id: str | None = None


def audit(session: Session, deed: Deed) -> None:
    """Note a deed that changes no row, such as a sign-in or a download; it is written with the unit's commit."""
    session.info.setdefault(_DEEDS, []).append(deed)


def record_audit(session: Session, actor: Actor, changes: Sequence[Change]) -> None:
    """Append an entry for each changed row and each noted deed to the tenant's chain."""
    deeds = [_deed_of(change) for change in changes] + session.info.pop(_DEEDS, [])
    if not deeds:
        return
    tenant = counters(session)
    for deed in deeds:
        tenant.audit_seq += 1
        entry = AuditEntry(
            id=new_id(),
            tenant_id=actor.tenant_id,
            created_at=now(),
            source_module="devstudio",
            seq=tenant.audit_seq,
            action=deed.action,
            resource_type=deed.resource_type,
            resource_id=_as_id(deed.resource_id),
            user_id=actor.user_id,
            request_id=REQUEST_ID.get() if deed.request_id is None else deed.request_id,
            details=canonical(mask(deed.details)),
            prev_hash=tenant.audit_hash,
        )
        entry.hash = tenant.audit_hash = hash_of(entry)
        session.add(entry)
    session.flush()


def _as_id(text: str) -> str:
    """Return what may be a person's text, such as a path, as it can be kept."""
    return mask_text(text.replace("\0", "\N{REPLACEMENT CHARACTER}"))[:MAX_RESOURCE_ID]


def _deed_of(change: Change) -> Deed:
    details = {"fields": sorted(change.fields)} if change.fields else {}
    version = getattr(change.row, "version", None)
    if version is not None:
        details["version"] = version
    return Deed(f"{change.subject}.{change.kind}", change.subject, str(change.row.id), details, change.request_id)
