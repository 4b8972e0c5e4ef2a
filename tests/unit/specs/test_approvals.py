"""Approvals of documents with a real database: who approved what, and what an edit upstream does to it."""

from __future__ import annotations

from uuid import UUID

import pytest

from devstudio_server.specs.errors import DocumentNotApprovable, DocumentTypeUnknown
from devstudio_server.specs.schemas import DocumentStatus, DocumentType, SpecSessionRead, TaskStatus
from support.domain_world import REQUIREMENTS, TASKS, DomainWorld

R, D, T = DocumentType.REQUIREMENTS, DocumentType.DESIGN, DocumentType.TASKS


@pytest.fixture
def session(domain: DomainWorld) -> SpecSessionRead:
    return domain.session(requirements=REQUIREMENTS, tasks=TASKS)


def approve(domain: DomainWorld, session_id: UUID, kind: str, version: int = 1) -> SpecSessionRead:
    with domain.specs() as specs:
        return specs.read(specs.approve_document(session_id, kind, version))


def status_of(read: SpecSessionRead, kind: DocumentType) -> tuple[DocumentStatus, str]:
    document = getattr(read.documents, kind.value)
    return document.status, document.status_reason


def test_a_document_is_approved_reopened_and_a_draft_after_any_edit(
    domain: DomainWorld, session: SpecSessionRead
) -> None:
    assert status_of(session, R) == (DocumentStatus.DRAFT, "")
    approved = approve(domain, session.id, "requirements").documents.requirements
    assert (approved.status, approved.approved_by) == (DocumentStatus.APPROVED, domain.actor.user_id)
    assert approved.approved_at is not None
    with domain.specs() as specs:
        reopened = specs.read(specs.reopen_document(session.id, "requirements")).documents.requirements
    assert (reopened.status, reopened.approved_by, reopened.approved_at) == (DocumentStatus.DRAFT, None, None)
    approve(domain, session.id, "requirements")
    edited = domain.write(session.id, requirements=REQUIREMENTS + "\nMore.\n")
    assert status_of(edited, R) == (DocumentStatus.DRAFT, "")


@pytest.mark.parametrize(
    ("kind", "version", "error"),
    [
        ("requirements", 7, DocumentNotApprovable),
        ("design", 1, DocumentNotApprovable),
        ("poems", 1, DocumentTypeUnknown),
    ],
)
def test_what_cannot_be_approved(
    domain: DomainWorld, session: SpecSessionRead, kind: str, version: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        approve(domain, session.id, kind, version)


def test_an_edit_upstream_makes_approved_documents_suspect_and_names_the_criterion(
    domain: DomainWorld, session: SpecSessionRead
) -> None:
    domain.write(session.id, design="# Design\n\n## Overview\nx\n")
    approve(domain, session.id, "requirements")
    approve(domain, session.id, "tasks")
    edited = domain.write(session.id, requirements=REQUIREMENTS.replace("answer 0", "answer 1"))
    assert status_of(edited, T) == (DocumentStatus.SUSPECT, "In the requirements, criterion 1.2 was changed.")
    assert status_of(edited, D) == (DocumentStatus.DRAFT, "")
    assert edited.documents.tasks.approved_by == domain.actor.user_id
    assert status_of(approve(domain, session.id, "tasks"), T) == (DocumentStatus.APPROVED, "")


def test_white_space_upstream_makes_nothing_suspect(domain: DomainWorld, session: SpecSessionRead) -> None:
    approve(domain, session.id, "tasks")
    edited = domain.write(session.id, requirements=session.documents.requirements.content + "\n\n")
    assert status_of(edited, T) == (DocumentStatus.APPROVED, "")


def test_a_task_that_is_worked_on_tells_which_of_its_criteria_changed(
    domain: DomainWorld, session: SpecSessionRead
) -> None:
    task = domain.tasks(session.id)[0]
    with domain.specs() as specs:
        specs.record_progress(task.id, TaskStatus.REVIEW, "A patch waits.")
    domain.write(session.id, requirements=REQUIREMENTS.replace("answer 0", "answer 1"))
    first, second = domain.tasks(session.id)
    assert first.status_reason == "Suspect: 1.2 changed since the work on the task began."
    assert (first.status, second.status) == (TaskStatus.REVIEW, TaskStatus.TODO)
    assert "Suspect" not in second.status_reason
