"""Public shapes of proposals."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from devstudio_server.specs.schemas import DocumentType, SpecSessionRead
from devstudio_server.web.schemas import ListQuery, Payload, Shape

MAX_REASON = 10_000
MAX_BLOCKS = 10_000


class Stage(StrEnum):
    """Which documents are planned."""

    REQUIREMENTS = "requirements"
    DESIGN = "design"
    TASKS = "tasks"
    ALL = "all"

    @property
    def documents(self) -> tuple[DocumentType, ...]:
        """The documents of this stage."""
        return tuple(DocumentType) if self is Stage.ALL else (DocumentType(self.value),)


class ProposalStatus(StrEnum):
    """Where a proposal stands. A newer one for the same document supersedes it while it is open."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"


class ProposedDocument(Shape):
    """A document as proposed. ``base_version`` is the version that the model was shown, 0 when there was none."""

    base_version: int
    text: str


class ProposalBlock(Shape):
    """One block of a proposed document: its text as the model was shown it, and as it proposes it, both without ids.

    ``accepted`` is null until it is decided, and stays so in a block that is the ``same``. ``conflict`` is true when
    somebody changed the block meanwhile; ``present`` is its text now, null when it is gone.
    """

    id: str
    document: DocumentType
    key: str
    kind: Literal["added", "changed", "removed", "moved", "same"]
    label: str
    before: str | None
    after: str | None
    accepted: bool | None
    conflict: bool = False
    present: str | None = None


class ProposalSummary(Shape):
    """A proposal without its texts."""

    id: UUID
    session_id: UUID
    stage: Stage
    status: ProposalStatus
    model: str
    reason: str | None
    created_by: UUID
    decided_by: UUID | None
    decided_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int


class ProposalRead(ProposalSummary):
    """A proposal with its documents, and what it changes, block by block, in the order of the texts."""

    documents: dict[DocumentType, ProposedDocument]
    blocks: list[ProposalBlock]


class ProposalQuery(ListQuery):
    """Filters of the list."""

    status: ProposalStatus | None = None


class AcceptProposal(Payload):
    """Which blocks are accepted, by their ids; absent: all that are not decided yet."""

    blocks: list[Annotated[str, Field(max_length=200)]] | None = Field(None, min_length=1, max_length=MAX_BLOCKS)


class AcceptResult(Shape):
    """The proposal after it, and the session with the documents as they are now."""

    proposal: ProposalRead
    session: SpecSessionRead


class RejectProposal(Payload):
    """A rejection says why; the next plan of that stage reads it."""

    reason: str = Field(min_length=1, max_length=MAX_REASON)
