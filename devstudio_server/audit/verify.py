"""Verifies the audit: walks each tenant's chain from its anchor to its newest entry, in constant memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from sqlalchemy import Engine

from devstudio_server.audit.chain import hash_of
from devstudio_server.audit.models import AuditEntry
from devstudio_server.audit.repository import START, AuditRepository, audited_tenants
from devstudio_server.audit.service import KEEPER_ID, is_pruning
from devstudio_server.db import Actor, Units
from devstudio_server.db.models import NO_HASH, Tenant

PAGE = 500
MAX_FINDINGS = 1000
"""Findings that are told of one tenant."""

Fault = Literal["changed", "missing", "inserted", "reordered", "unknown tenant", "anchor moved", "counters changed"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: with which entry (0 for none in particular), and what that means."""

    tenant_id: UUID
    seq: int
    fault: Fault
    detail: str

    def __str__(self) -> str:
        """Return the line that a person reads."""
        return f"tenant {self.tenant_id}, entry {self.seq}: {self.fault}: {self.detail}"


@dataclass(frozen=True)
class Report:
    """What was found in one tenant's audit.

    ``newest_seq`` and ``newest_hash`` are its head. Whoever can write the whole database could make a new chain; a head
    that was kept elsewhere shows that.
    """

    tenant_id: UUID
    entries: int
    newest_seq: int
    newest_hash: str
    findings: list[Finding]


@dataclass
class _Walk:
    """How far the walk has come, and what the next entry must be."""

    tenant_id: UUID
    expected: int = 1
    hash: str = NO_HASH
    entries: int = 0
    anchor_explained: bool = False
    findings: list[Finding] = field(default_factory=list)

    def find(self, seq: int, fault: Fault, detail: str) -> None:
        """Note a finding; of very many only the first, so that memory stays bounded."""
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(Finding(self.tenant_id, seq, fault, detail))

    def start_at(self, tenant: Tenant) -> None:
        """Go on from the anchor: at the start, or when retention has removed what would have come next."""
        if tenant.audit_anchor_seq >= self.expected:
            self.expected, self.hash = tenant.audit_anchor_seq + 1, tenant.audit_anchor_hash
            self.anchor_explained = False

    def step(self, entry: AuditEntry, tenant: Tenant) -> None:
        self.entries += 1
        if entry.seq < self.expected:
            older = entry.seq <= tenant.audit_anchor_seq
            why = "retention has removed what has this number" if older else "the number is taken"
            self.find(entry.seq, "inserted", f"entry {entry.id} does not belong here: {why}")
            return
        if entry.seq > self.expected:
            self.find(self.expected, "missing", _gap(self.expected, entry.seq - 1))
        elif entry.prev_hash != self.hash:
            self.find(entry.seq, "reordered", "it does not follow the entry before it, which was another one")
        if hash_of(entry) != entry.hash:
            self.find(entry.seq, "changed", "its content is not what was written")
        elif is_pruning(entry, tenant.audit_anchor_seq, tenant.audit_anchor_hash):
            self.anchor_explained = True
        self.expected, self.hash = entry.seq + 1, entry.hash

    def end(self, tenant: Tenant) -> None:
        newest = self.expected - 1
        if newest < tenant.audit_seq:
            self.find(newest + 1, "missing", f"{_gap(newest + 1, tenant.audit_seq)} at the end")
        elif newest > tenant.audit_seq:
            self.find(tenant.audit_seq + 1, "inserted", "the tenant has counted no such entry")
        elif self.hash != tenant.audit_hash:
            self.find(newest, "changed", "the newest entry is not the one that the tenant's counters name")
        if tenant.audit_anchor_seq and not self.anchor_explained:
            self.find(
                tenant.audit_anchor_seq,
                "anchor moved",
                "older entries are gone, and no entry of the retention says that it removed them",
            )
        if not tenant.audit_anchor_seq and tenant.audit_anchor_hash != NO_HASH:
            self.find(0, "counters changed", "the anchor has a hash, although nothing was ever removed")


def _gap(first: int, last: int) -> str:
    return f"entry {first} is gone" if first == last else f"entries {first} to {last} are gone"


def verify(units: Units, tenant_id: UUID) -> Report:
    """Verify the audit of one tenant. Writers may go on meanwhile."""
    walk = _Walk(tenant_id)
    try:
        _follow(walk, units)
    except (ValueError, TypeError, LookupError) as error:  # SQLite keeps any text in any column
        walk.find(walk.expected, "changed", f"what follows entry {walk.expected - 1} cannot be read: {error}")
    return Report(tenant_id, walk.entries, walk.expected - 1, walk.hash, walk.findings)


def _follow(walk: _Walk, units: Units) -> None:
    tenant: Tenant | None = None
    for counters, entries in _stretches(units, walk.tenant_id):
        tenant = counters
        if tenant is None:
            walk.find(entries[0].seq if entries else 0, "unknown tenant", "its counters are gone from ds_tenants")
            return
        walk.start_at(tenant)
        for entry in entries:
            walk.step(entry, tenant)
    if tenant is not None:
        walk.end(tenant)


def _stretches(units: Units, tenant_id: UUID) -> Iterator[tuple[Tenant | None, list[AuditEntry]]]:
    """Yield the entries in pieces, each with the counters of that moment; the last piece is not full."""
    reader = Actor(tenant_id, KEEPER_ID, "audit verify")
    after = START
    while True:
        with units.begin(reader, read_only=True) as session:
            stretch = AuditRepository(session).stretch(after, PAGE)
        yield stretch.tenant, list(stretch.entries)
        if len(stretch.entries) < PAGE:
            return
        after = (stretch.entries[-1].seq, stretch.entries[-1].id)


def reports(engine: Engine) -> Iterator[Report]:
    """Verify the audit of every tenant that is known, or that has an entry."""
    units = Units(engine)
    for tenant_id in sorted({*units.tenants(), *audited_tenants(engine)}):
        yield verify(units, tenant_id)


def verify_all(engine: Engine) -> list[Finding]:
    """Return everything that is wrong in the audit of any tenant; empty when it is whole."""
    return [finding for report in reports(engine) for finding in report.findings]
