"""The segment of the audit for a bundle: what is about its subject in full, of the rest only hashes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_evidence import strict_json
from devstudio_server.audit.models import AuditEntry
from devstudio_server.evidence.errors import BundleTooLarge
from devstudio_server.evidence.repository import BundleRepository

MOST_ENTRIES = 200_000
"""What lies between the first and the last entry may be everything that a tenant did meanwhile."""
_BATCH = 5_000
_EARLIER = 100
"""How far numbers may be out of step with the times in ids, where several servers write at once."""
_FIELDS = ("id", "tenant_id", "source_module", "action", "resource_type", "resource_id", "user_id", "request_id")


def segment(session: Session, since: UUID, subjects: Collection[UUID]) -> bytes:
    """Return the chain from the first entry about one of ``subjects`` to the last, a line each.

    ``since`` is the oldest of the subjects. Raises `BundleTooLarge`.
    """
    wanted = {str(subject) for subject in subjects}
    lines: list[str] = []
    kept = 0
    for entry in _entries(session, max(1, BundleRepository(session).first_entry(since) - _EARLIER)):
        is_ours = entry.resource_id in wanted
        if not lines and not is_ours:
            continue
        if len(lines) >= MOST_ENTRIES:
            if is_ours:
                raise BundleTooLarge(
                    f"Between the first and the last entry about it, the audit has more than {MOST_ENTRIES} entries. "
                    "Export a task of it, or a newer one."
                )
            continue  # behind the last entry that counts, as it seems
        lines.append(strict_json.canonical(_full(entry) if is_ours else _link(entry)))
        kept = len(lines) if is_ours else kept
    return "".join(f"{line}\n" for line in lines[:kept]).encode()


def _entries(session: Session, from_seq: int) -> Iterator[AuditEntry]:
    rows = BundleRepository(session)
    found = rows.entries(from_seq, _BATCH)
    while found:
        yield from found
        from_seq = found[-1].seq + 1
        for entry in found:
            session.expunge(entry)
        found = rows.entries(from_seq, _BATCH)


def _link(entry: AuditEntry) -> dict[str, object]:
    return {"seq": entry.seq, "prev_hash": entry.prev_hash, "hash": entry.hash}


def _full(entry: AuditEntry) -> dict[str, object]:
    said: dict[str, object] = {name: str(getattr(entry, name)) for name in _FIELDS}
    at = entry.created_at.isoformat(timespec="microseconds")
    return {**_link(entry), **said, "details": entry.details, "created_at": at}
