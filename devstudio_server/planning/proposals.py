"""The rules of proposals: what a model would change, decided block by block by a person. Nothing is ever lost."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.db import Actor, check_version
from devstudio_server.kit.clock import now
from devstudio_server.kit.pagination import Page, page_of
from devstudio_server.planning.errors import ProposalBlockUnknown, ProposalNotFound, ProposalNotOpen
from devstudio_server.planning.models import Proposal
from devstudio_server.planning.proposal_schemas import (
    AcceptResult,
    ProposalBlock,
    ProposalQuery,
    ProposalRead,
    ProposalStatus,
    ProposalSummary,
    ProposedDocument,
    Stage,
)
from devstudio_server.planning.repository import ProposalRepository
from devstudio_server.specs.models import SpecSession
from devstudio_server.specs.schemas import DocumentType
from devstudio_server.specs.segments import BlockChange, apply, choose_with, compare
from devstudio_server.specs.service import SpecService

_REASONS = 3
_REJECTIONS_READ = 20


@dataclass(frozen=True)
class ProposedText:
    """A document as a model was shown it, and as the model proposes it, both with ids."""

    base_version: int
    base: str
    text: str


class ProposalService:
    """Keeps, shows and decides proposals within one unit of work."""

    def __init__(self, session: Session, actor: Actor, specs: SpecService) -> None:
        """Work in ``session`` for ``actor``, on the sessions of ``specs``."""
        self._proposals = ProposalRepository(session)
        self._actor = actor
        self._specs = specs

    def create(
        self, session: SpecSession, stage: Stage, documents: Mapping[DocumentType, ProposedText], model: str
    ) -> Proposal:
        """Keep a proposal; open ones for the same documents are superseded. One that changes nothing is decided."""
        for older in self._proposals.open(session.id):
            if set(older.documents) & {kind.value for kind in documents}:
                older.status = ProposalStatus.SUPERSEDED
                older.version += 1
        kept = {
            kind.value: {"base_version": text.base_version, "base": text.base, "text": text.text}
            for kind, text in documents.items()
        }
        proposal = Proposal(session_id=session.id, stage=stage, documents=kept, model=model, decisions={})
        proposal.created_by = self._actor.user_id
        proposal.status = ProposalStatus.OPEN if _undecided(proposal) else ProposalStatus.ACCEPTED
        return self._proposals.add(proposal)

    def get(self, proposal_id: UUID) -> Proposal:
        """Return a proposal of a session that is still there; raises `ProposalNotFound`, `SpecSessionNotFound`."""
        proposal = self._proposals.find(proposal_id)
        if proposal is None:
            raise ProposalNotFound(proposal_id)
        self._specs.get(proposal.session_id)
        return proposal

    def list(self, session_id: UUID, query: ProposalQuery) -> Page[Proposal]:
        """Return one page of a session's proposals, newest first."""
        session = self._specs.get(session_id)
        rows = self._proposals.list(query.page(), session_id=session.id, status=query.status)
        return page_of(rows, query.limit, lambda proposal: proposal.id)

    def read(self, proposal: Proposal) -> ProposalRead:
        """Return the public shape of a proposal: the blocks beside what the documents say now."""
        present = self._specs.documents.texts(self._specs.get(proposal.session_id))
        texts = _texts(proposal)
        documents = {kind: ProposedDocument(base_version=t.base_version, text=t.text) for kind, t in texts.items()}
        blocks = [block for kind, text in texts.items() for block in _blocks(proposal, kind, text, present[kind])]
        summary = ProposalSummary.model_validate(proposal).model_dump()
        return ProposalRead(**summary, documents=documents, blocks=blocks)

    def accept(self, proposal_id: UUID, blocks: Collection[str] | None, expected: int | None) -> AcceptResult:
        """Put blocks into the documents: those named, or all that are not decided.

        What somebody changed meanwhile stays as it is: such a block is left undecided, with both texts. Raises
        `ProposalNotOpen`, `ProposalBlockUnknown`, and `PreconditionFailed` when ``expected`` is stale.
        """
        proposal = self._open(proposal_id, expected)
        session = self._specs.get(proposal.session_id)
        undecided = _undecided(proposal)
        unknown = sorted(set(blocks or ()) - undecided - proposal.decisions.keys())
        if unknown:
            raise ProposalBlockUnknown(unknown)
        chosen = undecided if blocks is None else undecided & set(blocks)
        texts, accepted = self._apply(proposal, session, chosen)
        self._specs.write(session, texts)
        self._decide(proposal, dict.fromkeys(accepted, True))
        return AcceptResult(proposal=self.read(proposal), session=self._specs.read(session))

    def reject(self, proposal_id: UUID, reason: str, expected: int | None) -> ProposalRead:
        """Refuse what is not decided yet; ``reason`` reaches the next plan of the stage."""
        proposal = self._open(proposal_id, expected)
        self._decide(proposal, dict.fromkeys(_undecided(proposal), False))
        proposal.status, proposal.reason = ProposalStatus.REJECTED, reason
        self._proposals.flush()
        return self.read(proposal)

    def rejection_reasons(self, session_id: UUID, stage: Stage) -> Sequence[str]:
        """Return why the newest rejected proposals for the documents of ``stage`` were rejected."""
        wanted = {kind.value for kind in stage.documents}
        rows = self._proposals.rejections(session_id, _REJECTIONS_READ)
        return [str(row.reason) for row in rows if wanted & set(row.documents)][:_REASONS]

    def _open(self, proposal_id: UUID, expected: int | None) -> Proposal:
        proposal = self.get(proposal_id)
        self._specs.projects.get_writable(self._specs.get(proposal.session_id).project_id)
        check_version(proposal, expected)
        if proposal.status != ProposalStatus.OPEN:
            raise ProposalNotOpen(proposal.status)
        return proposal

    def _apply(
        self, proposal: Proposal, session: SpecSession, chosen: Collection[str]
    ) -> tuple[dict[DocumentType, str], set[str]]:
        """Return the documents with the chosen blocks, and which blocks went in."""
        present = self._specs.documents.texts(session)
        texts: dict[DocumentType, str] = {}
        accepted: set[str] = set()
        for kind, text in _texts(proposal).items():
            own = {block_id for block_id in _changed(kind, text) if _public_id(kind, block_id) in chosen}
            if own:
                whole = choose_with(kind, text.base, text.text, own)
                applied = apply(kind, text.base, text.text, present[kind], whole)
                texts[kind] = applied.text
                accepted |= {_public_id(kind, block_id) for block_id in whole - applied.conflicts.keys()}
        return texts, accepted

    def _decide(self, proposal: Proposal, decisions: Mapping[str, bool]) -> None:
        proposal.decisions = proposal.decisions | dict(decisions)
        proposal.decided_by, proposal.decided_at = self._actor.user_id, now()
        if not _undecided(proposal):
            proposal.status = ProposalStatus.ACCEPTED
        proposal.version += 1
        self._proposals.flush()


def _texts(proposal: Proposal) -> dict[DocumentType, ProposedText]:
    """Return the proposed documents in the order in which they are written."""
    return {kind: ProposedText(**proposal.documents[kind]) for kind in DocumentType if kind.value in proposal.documents}


def _public_id(kind: DocumentType, block_id: str) -> str:
    """Return a block's id in a proposal: blocks of two documents may have the same permanent one."""
    return f"{kind.value}.{block_id}"


def _changed(kind: DocumentType, text: ProposedText) -> set[str]:
    return {change.id for change in compare(kind, text.base, text.text) if change.kind != "same"}


def _undecided(proposal: Proposal) -> set[str]:
    changed = {
        _public_id(kind, block_id) for kind, text in _texts(proposal).items() for block_id in _changed(kind, text)
    }
    return changed - proposal.decisions.keys()


def _blocks(proposal: Proposal, kind: DocumentType, text: ProposedText, present: str) -> list[ProposalBlock]:
    """Return the blocks of a document; those that are open and were changed meanwhile, with their present text."""
    changes = compare(kind, text.base, text.text)
    waiting = {change.id for change in changes if change.kind != "same" and _decision(proposal, kind, change) is None}
    is_open = proposal.status == ProposalStatus.OPEN
    conflicts = apply(kind, text.base, text.text, present, waiting).conflicts if is_open and waiting else {}
    return [
        ProposalBlock(
            id=_public_id(kind, change.id),
            document=kind,
            key=change.label,
            kind=change.kind,
            label=change.title,
            before=change.before,
            after=change.after,
            accepted=_decision(proposal, kind, change),
            conflict=change.id in conflicts,
            present=conflicts.get(change.id),
        )
        for change in changes
    ]


def _decision(proposal: Proposal, kind: DocumentType, change: BlockChange) -> bool | None:
    decision = proposal.decisions.get(_public_id(kind, change.id))
    return None if decision is None else bool(decision)
