"""Public shapes of spec sessions, documents and tasks."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AliasChoices, Field

from devstudio_server.web.schemas import ListQuery, Payload, Shape, Title

MAX_DOCUMENT = 2_000_000
"""Characters in one document. Larger than any spec that a person reads, small enough for one answer."""


class DocumentType(StrEnum):
    """The three documents of a session, in the order in which they are written."""

    REQUIREMENTS = "requirements"
    DESIGN = "design"
    TASKS = "tasks"


class DocumentStatus(StrEnum):
    """Where a document stands. ``suspect``: it was approved, and what it stands on was changed since."""

    DRAFT = "draft"
    APPROVED = "approved"
    SUSPECT = "suspect"


class SessionStatus(StrEnum):
    """Where a session stands."""

    DRAFT = "draft"
    ACTIVE = "active"
    COMPLETED = "completed"


class TaskStatus(StrEnum):
    """``done`` is derived from evidence; nobody sets it."""

    TODO = "todo"
    IN_PROGRESS = "in_progress"
    REVIEW = "review"
    DONE = "done"


class EvidenceOutcome(StrEnum):
    """What a run said about a criterion that tests had proven, or proved then."""

    PROVEN = "proven"
    FAILED = "failed"


class EvidenceState(StrEnum):
    """Where a criterion stands. ``lost``: it was proven, and ``why`` says what took that away."""

    PROVEN = "proven"
    LOST = "lost"
    MISSING = "missing"


class Priority(StrEnum):
    """How urgent a task is."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Assignee(StrEnum):
    """Who works on a task (the seed's two)."""

    AGENT = "agent"
    HUMAN = "human"


class TaskProgress(StrEnum):
    """The statuses that a person may set; ``done`` is derived from evidence."""

    TODO = "todo"
    IN_PROGRESS = "in_progress"
    REVIEW = "review"


MAX_HOURS = 10_000
Hours = Annotated[int, Field(ge=0, le=MAX_HOURS)]
DocumentText = Annotated[str, Field(max_length=MAX_DOCUMENT)]


class DocumentsUpdate(Payload):
    """New texts of the documents; what is absent stays."""

    requirements: DocumentText | None = None
    design: DocumentText | None = None
    tasks: DocumentText | None = None

    def given(self) -> dict[DocumentType, str]:
        """Return the texts that were given."""
        return {kind: text for kind in DocumentType if (text := getattr(self, kind.value)) is not None}


class SpecSessionCreate(Payload):
    """A new session of a project."""

    project_id: UUID
    title: Title
    description: str | None = Field(None, max_length=10_000)


class SpecSessionUpdate(Payload):
    """A change; what is absent stays."""

    title: Title | None = None
    description: str | None = Field(None, max_length=10_000)
    status: SessionStatus | None = None
    documents: DocumentsUpdate | None = None


class TaskUpdate(Payload):
    """A change of a task; what is absent stays. Key, title, order and criteria are the document's: change them there.

    ``status`` is where the work stands. A task whose criteria are proven is `done` whatever it says, and no other is.
    """

    assignee: Assignee | None = None
    priority: Priority | None = None
    status: TaskProgress | None = None
    estimated_hours: Hours | None = None
    actual_hours: Hours | None = None


class ApproveDocument(Payload):
    """Which version of the document is approved: the one that was read."""

    version: int = Field(ge=1, le=1_000_000_000)


class DocumentVersionQuery(ListQuery):
    """The query of the list of a document's versions."""


class SpecSessionQuery(ListQuery):
    """Filters of the list."""

    project_id: UUID | None = None
    status: SessionStatus | None = None


class DocumentRead(Shape):
    """One document: its text with permanent ids, and its own version, 0 while it was never written.

    ``status_reason`` says why it is suspect; ``approved_by`` and ``approved_at`` are null in a draft.
    """

    content: str
    version: int
    status: DocumentStatus = DocumentStatus.DRAFT
    status_reason: str = ""
    approved_by: UUID | None = None
    approved_at: datetime | None = None


class Documents(Shape):
    """The three documents."""

    requirements: DocumentRead
    design: DocumentRead
    tasks: DocumentRead


class DocumentVersionSummary(Shape):
    """One version of a document. ``session_version`` is the version of its session that it came with."""

    session_id: UUID
    type: DocumentType
    version: int
    session_version: int
    created_by: UUID
    created_at: datetime


class DocumentVersionRead(DocumentVersionSummary):
    """One version of a document with its text."""

    content: str


class LintWarning(Shape):
    """Something in a document that is kept but looks wrong.

    ``line``, ``column`` and ``end_column`` count from 1, ``end_column`` is behind the last character; ``key`` is the
    label of the requirement, criterion or task.
    """

    document: DocumentType
    line: int
    column: int = 1
    end_column: int = 1
    code: str
    severity: Literal["error", "warning", "info"] = "warning"
    key: str = ""
    message: str
    suggestion: str = ""


class SpecCoverage(Shape):
    """How the documents cover each other, by keys. ``unknown_criteria``: what a task names and nobody wrote."""

    criteria: int
    tasks: int
    criteria_without_task: list[str]
    tasks_without_criterion: list[str]
    unknown_criteria: dict[str, list[str]]
    criteria_without_evidence: list[str]


class LintRead(Shape):
    """Everything that looks wrong in a session's documents, in the order of the text, and their coverage."""

    warnings: list[LintWarning]
    coverage: SpecCoverage


class SpecSessionSummary(Shape):
    """A session without its texts. ``document_versions`` has the version of each document that was written."""

    id: UUID
    project_id: UUID
    title: str
    description: str | None
    status: SessionStatus
    author_id: UUID
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    version: int
    source_module: str
    metadata: dict[str, Any] = Field(validation_alias=AliasChoices("metadata_", "metadata"))
    slug: str
    document_versions: dict[DocumentType, int]
    notebook_path: str


class SpecSessionRead(SpecSessionSummary):
    """A session. ``notebook_path`` is relative to the Jupyter server's root folder."""

    documents: Documents
    warnings: list[LintWarning]


class LostCriterion(Shape):
    """A criterion that was proven and is no more."""

    key: str
    why: str


class Evidence(Shape):
    """What proves a task: a passing run on a commit, and the criteria whose tests passed in it.

    ``strict``: for each of them the tests were seen to fail without the change, the last time in ``base_run_id``.
    ``lost`` are the task's criteria that were proven and are no more.
    """

    run_id: UUID
    commit: str
    criteria: list[str]
    strict: bool = False
    base_run_id: UUID | None = None
    lost: list[LostCriterion] = Field(default_factory=list)


class EvidenceEntry(Shape):
    """What one run said about a criterion. ``present``: about the text that the criterion has now.

    ``tests`` are those that proved it; in a ``failed`` entry ``why`` says what became of them, and ``lost_by`` is the
    run or the patch that took the proof away.
    """

    outcome: EvidenceOutcome
    at: datetime
    present: bool
    why: str
    run_id: UUID
    base_run_id: UUID | None
    patch_id: UUID | None
    lost_by: UUID | None
    commit: str
    tree: str | None
    branch: str | None
    tests: list[str]
    strict: bool
    sha256: str
    log_sha256: str | None


class CriterionEvidence(Shape):
    """Where a criterion of a task stands, and why; ``proof`` is the entry that says so, ``history`` all, newest first.

    ``text`` is null for a key that the requirements do not have.
    """

    key: str
    text: str | None
    state: EvidenceState
    why: str
    proof: EvidenceEntry | None
    history: list[EvidenceEntry]


class TaskEvidence(Shape):
    """Everything that runs said about the criteria that a task names, in the task's order."""

    task_id: UUID
    session_id: UUID
    status: TaskStatus
    status_reason: str
    criteria: list[CriterionEvidence]


class CriterionRead(Shape):
    """An acceptance criterion as the requirements state it, and the run that proves its present text."""

    key: str
    text: str
    proven: bool
    run_id: UUID | None


class TaskRead(Shape):
    """A task of a session; ``criteria`` are the keys it names, ``status_reason`` says what keeps it from ``done``."""

    id: UUID
    session_id: UUID
    key: str
    title: str
    description: str | None
    status: TaskStatus
    status_reason: str
    criteria: list[str]
    optional: bool
    assignee: str
    priority: Priority
    dod: str | None
    estimated_hours: int | None
    actual_hours: int | None
    evidence: Evidence | None
    position: int
    version: int
    links: list[Any]
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None


class TaskList(Shape):
    """The tasks of a session in the order of the document; all of them, so there is never a next page."""

    items: list[TaskRead]
    next_cursor: str | None = None
    criteria: list[CriterionRead]
