"""What can go wrong with plans and proposals."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from devstudio_server.kit.errors import Conflict, Invalid, NotFound


class ProposalNotFound(NotFound):
    """No such proposal in this tenant."""

    def __init__(self, proposal_id: UUID) -> None:
        """Name the id that was asked for."""
        super().__init__(
            f"There is no proposal {proposal_id}. "
            "`GET /api/v1/spec-sessions/{id}/proposals` lists those of a session."
        )


class ProposalNotOpen(Conflict):
    """Only an open proposal is accepted or rejected."""

    def __init__(self, status: str) -> None:
        """Say what became of it."""
        super().__init__(
            f"This proposal is {status}, so there is nothing to decide any more. Plan again for a new one.",
            state=status,
        )


class ProposalBlockUnknown(Invalid):
    """The proposal has no such block, or proposes no change of it."""

    def __init__(self, unknown: list[str]) -> None:
        """Name the first ones."""
        super().__init__(
            f"The proposal changes no block {', '.join(unknown[:3])}. "
            "`blocks` of `GET /api/v1/proposals/{id}` has their ids.",
            errors=[{"loc": ["blocks"], "msg": "names blocks that the proposal does not change"}],
        )


class StageNotApproved(Conflict):
    """The project's policy asks for approved documents upstream."""

    title = "The stage before is not approved"

    def __init__(self, unapproved: Mapping[str, str]) -> None:
        """Name the documents and where they stand."""
        named = " and ".join(f"“{kind}” is {status}" for kind, status in unapproved.items())
        super().__init__(
            f"This project plans a stage only on approved documents, but {named}. "
            "Have them approved (`POST spec-sessions/{id}/documents/{type}/approve`), and plan stage by stage.",
            unapproved=dict(unapproved),
        )


class PromptTooLarge(Invalid):
    """The document that is to be written anew does not fit into the model's window."""

    title = "Too large for this model"
