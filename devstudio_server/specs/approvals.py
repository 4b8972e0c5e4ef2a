"""The gates between the documents: drafts, approvals, and what a change upstream makes suspect."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from devstudio_server.kit.clock import now
from devstudio_server.specs.errors import DocumentNotApprovable
from devstudio_server.specs.models import DocumentApproval, Spec, SpecSession
from devstudio_server.specs.repository import SpecRepository
from devstudio_server.specs.schemas import DocumentStatus, DocumentType
from devstudio_server.specs.segments import compare

_NAMED = 5


class DocumentGates:
    """Says and keeps where the documents of sessions stand."""

    def __init__(self, specs: SpecRepository) -> None:
        """Work through ``specs``."""
        self._specs = specs

    def rows(self, session_id: UUID) -> dict[DocumentType, DocumentApproval]:
        """Return where each document stands of which it was ever said; the others are drafts."""
        return self._specs.approvals(session_id)

    def unapproved(self, session_id: UUID, kinds: Collection[DocumentType]) -> dict[DocumentType, DocumentStatus]:
        """Return those of ``kinds`` that nobody has approved as they are, and where they stand."""
        rows = self.rows(session_id)
        found = {kind: DocumentStatus(rows[kind].status) if kind in rows else DocumentStatus.DRAFT for kind in kinds}
        return {kind: status for kind, status in found.items() if status is not DocumentStatus.APPROVED}

    def approve(self, spec: Spec | None, kind: DocumentType, version: int, user_id: UUID) -> None:
        """Approve a document as it is; raises `DocumentNotApprovable` when ``version`` is not the present one."""
        if spec is None or not spec.content.strip():
            message = f"The {kind.value} are empty, so there is nothing to approve. Write or plan them first."
            raise DocumentNotApprovable(message)
        if spec.version != version:
            message = (
                f"You read version {version} of the {kind.value}, but the present one is {spec.version}. "
                "Read that, then approve it."
            )
            raise DocumentNotApprovable(message, current_version=spec.version)
        row = self._row(spec.session_id, kind)
        row.status, row.document_version, row.reason = DocumentStatus.APPROVED, version, ""
        row.approved_by, row.approved_at = user_id, now()
        row.version = (row.version or 0) + 1
        self._specs.flush()

    def reopen(self, session: SpecSession, kind: DocumentType) -> None:
        """Make a document a draft again."""
        row = self.rows(session.id).get(kind)
        if row is not None:
            _make_draft(row)
            self._specs.flush()

    def follow(
        self, session: SpecSession, before: Mapping[DocumentType, str], after: Mapping[DocumentType, str]
    ) -> None:
        """Make documents that were changed drafts, and approved ones below them suspect, with what was changed."""
        rows = self.rows(session.id)
        if all(row.status == DocumentStatus.DRAFT for row in rows.values()):
            return
        order = list(DocumentType)
        reasons: dict[DocumentType, str] = {}
        for kind in order:
            if before[kind] == after[kind]:
                continue
            if kind in rows:
                _make_draft(rows[kind])
            told = _what_changed(kind, before[kind], after[kind])
            for below in order[order.index(kind) + 1 :] if told else ():
                reasons[below] = f"{reasons[below]} {told}" if below in reasons else told
        for kind, reason in reasons.items():
            row = rows.get(kind)
            if row is not None and row.status != DocumentStatus.DRAFT:
                row.status, row.reason = DocumentStatus.SUSPECT, reason
                row.version += 1

    def _row(self, session_id: UUID, kind: DocumentType) -> DocumentApproval:
        row = self.rows(session_id).get(kind)
        if row is None:
            row = DocumentApproval(session_id=session_id, type=kind.value, version=0)
            self._specs.add_approval(row)
        return row


def _make_draft(row: DocumentApproval) -> None:
    if row.status == DocumentStatus.DRAFT:
        return
    row.status, row.reason = DocumentStatus.DRAFT, ""
    row.approved_by, row.approved_at = None, None
    row.version += 1


def _what_changed(kind: DocumentType, before: str, after: str) -> str:
    """Say which blocks differ, by their labels; nothing when only ids and white space do."""
    changes = [change for change in compare(kind, before, after) if change.kind not in {"same", "moved"}]
    if not changes:
        return ""
    named = [f"{_name(change.label, change.title)} was {change.kind}" for change in changes[:_NAMED]]
    more = len(changes) - len(named)
    return f"In the {kind.value}, {', '.join(named)}{f', and {more} more' if more > 0 else ''}."


def _name(label: str, title: str) -> str:
    """Return `criterion 1.2`, `Requirement 1: …`, or what else names the block."""
    return f"criterion {label}" if "." in label and not title.startswith("Task ") else title
