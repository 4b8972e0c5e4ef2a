"""Public shapes of egress."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints, field_validator

from devstudio_sandbox.egress.rules import BadHost, read_rule
from devstudio_server.web.schemas import ListQuery, Payload, Shape

MIB = 1024 * 1024
MAX_DOMAINS = 50
MAX_BYTES = 1024**4
DEFAULT_DURATION_S = 3600
DEFAULT_BYTES_UP = 10 * MIB
DEFAULT_BYTES_DOWN = 1024 * MIB

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class LeaseStatus(StrEnum):
    """How a lease stands. Only an approved one lets anything through."""

    REQUESTED = "requested"
    APPROVED = "approved"
    DENIED = "denied"
    REVOKED = "revoked"
    EXPIRED = "expired"


class Verdict(StrEnum):
    """What the proxy decided about a request."""

    ALLOWED = "allowed"
    REFUSED = "refused"


class EgressLeaseCreate(Payload):
    """Asks for a lease for all runs of a project, for those of one of its tasks, or for one run."""

    project_id: UUID
    task_id: UUID | None = None
    run_id: UUID | None = None
    domains: list[str] = Field(
        min_length=1,
        max_length=MAX_DOMAINS,
        description="`example.org`, `.example.org` for all names below it, each with `:port` unless it is 80 or 443.",
    )
    reason: Reason = Field(description="What it is for; who approves reads it.")
    expires_in_s: int = Field(DEFAULT_DURATION_S, ge=60, le=365 * 86_400, description="Seconds from the approval on.")
    max_bytes_up: int = Field(DEFAULT_BYTES_UP, ge=1, le=MAX_BYTES, description="Bytes that runs may send, in all.")
    max_bytes_down: int = Field(
        DEFAULT_BYTES_DOWN, ge=1, le=MAX_BYTES, description="Bytes that runs may receive, in all."
    )

    @field_validator("domains")
    @classmethod
    def _readable(cls, texts: list[str]) -> list[str]:
        try:
            return sorted({str(read_rule(text)) for text in texts})
        except BadHost as problem:
            raise ValueError(str(problem)) from problem


class EgressLeaseApprove(Payload):
    """Approves a lease, for another time than was asked for if it says so."""

    expires_in_s: int | None = Field(None, ge=1, le=365 * 86_400, description="Seconds from now on.")


class EgressLeaseDeny(Payload):
    """Denies a lease."""

    reason: Reason


class EgressLeaseRead(Shape):
    """A lease. ``self_approved``: who asked has approved it, which only a single local user may."""

    id: UUID
    project_id: UUID
    task_id: UUID | None
    run_id: UUID | None
    domains: list[str]
    reason: str
    status: LeaseStatus
    duration_s: int
    max_bytes_up: int
    max_bytes_down: int
    requested_by: UUID
    approved_by: UUID | None
    approved_at: datetime | None
    self_approved: bool
    expires_at: datetime | None
    ended_by: UUID | None
    ended_at: datetime | None
    end_reason: str | None
    created_at: datetime
    updated_at: datetime
    version: int
    source_module: str


class EgressLeaseQuery(ListQuery):
    """Filters of the list."""

    project_id: UUID | None = None
    task_id: UUID | None = None
    run_id: UUID | None = None
    status: LeaseStatus | None = None


class EgressRequestRead(Shape):
    """One request of a run to its proxy. ``path`` is that of plain HTTP alone, without its query."""

    id: UUID
    lease_id: UUID | None
    project_id: UUID
    run_id: UUID
    method: str
    host: str
    port: int
    path: str
    verdict: Verdict
    reason: str
    bytes_up: int
    bytes_down: int
    duration_s: float | None
    created_at: datetime


class EgressLogQuery(ListQuery):
    """Filters of the requests of one lease."""

    verdict: Verdict | None = None


class EgressRequestQuery(EgressLogQuery):
    """Filters of the requests of all runs; those that no lease allowed are only here."""

    project_id: UUID | None = None
    run_id: UUID | None = None
