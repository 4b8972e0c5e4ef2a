"""Planning: a model writes documents, or proposes them; what a person wrote meanwhile is never overwritten."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.ai.agent_settings import AgentSettingsService
from devstudio_server.ai.contract import WriteDocuments
from devstudio_server.ai.errors import ModelUnknown
from devstudio_server.ai.gateway import Conversation, Gateway, Outcome
from devstudio_server.ai.schemas import Model
from devstudio_server.ai.subjects import PlanSubject
from devstudio_server.ai.use import ModelUse
from devstudio_server.db import Actor, Units
from devstudio_server.planning.errors import StageNotApproved
from devstudio_server.planning.fitting import Fitted, fit, tokens_of
from devstudio_server.planning.prompts import PLANNING_RULES, planning_prompt
from devstudio_server.planning.proposals import ProposalService, ProposedText
from devstudio_server.planning.schemas import PlanMode, PlannedTask, PlanRequest, PlanResult
from devstudio_server.planning.subjects import language_of, requirements_of
from devstudio_server.scm import GitStorage
from devstudio_server.scm.workspace import WorkspaceStorage
from devstudio_server.specs.block_ids import keep_ids
from devstudio_server.specs.errors import DocumentConflict
from devstudio_server.specs.lint_rules import CODES
from devstudio_server.specs.markdown import strip_ids
from devstudio_server.specs.models import SpecSession
from devstudio_server.specs.schemas import DocumentType, LintWarning
from devstudio_server.specs.service import SpecService
from devstudio_server.web import Ports

Progress = Callable[[dict[str, Any]], None]

REQUIRE_APPROVED = "require_approved_stages"
"""The rule of a project's policy (`agent-settings`) that makes approvals a condition instead of advice."""


@dataclass(frozen=True)
class _Snapshot:
    """The session as it was when the model was asked, and who is asked."""

    subject: PlanSubject
    texts: dict[DocumentType, str]
    versions: dict[DocumentType, int]
    model: Model
    use: ModelUse
    session_id: UUID
    project_id: UUID
    rejections: Sequence[str]
    warnings: list[LintWarning]


class PlanningService:
    """Plans documents: read (commit), call the model, store (commit)."""

    def __init__(self, units: Units, actor: Actor, ports: Ports, progress: Progress, left: Event) -> None:
        """Work for ``actor``; ``progress`` is told what happens, ``left`` is set when nobody waits any more."""
        self._units = units
        self._actor = actor
        self._ports = ports
        self._gateway = ports.get(Gateway)
        self._progress = progress
        self._left = left

    def plan(self, request: PlanRequest) -> PlanResult:
        """Have a model write the documents of a stage, and store them as new versions or as a proposal.

        Raises `StageNotApproved` and `PromptTooLarge` before anything is asked.
        """
        asked = self._gateway.resolve(request.model) if request.model is not None else None
        self._progress({"phase": "reading", "message": "Reading the session"})
        with self._units.begin(self._actor, read_only=True) as session:
            snapshot = self._snapshot(session, request, asked)
        fitted = self._fit(snapshot, request)
        outcome = self._ask(snapshot, fitted)
        self._progress({"phase": "saving", "message": "Saving the documents"})
        written = _written(request, snapshot, fitted, outcome)
        warnings = [*snapshot.warnings, *fitted.warnings]
        with self._units.begin(self._actor) as session:
            store = self._propose if request.mode is PlanMode.PROPOSE else self._store
            result = store(session, request, snapshot, written, outcome)
            return result.model_copy(update={"warnings": [*result.warnings, *warnings]})

    def _specs(self, session: Session) -> SpecService:
        return SpecService(session, self._actor, self._ports.get(GitStorage), self._ports.get(WorkspaceStorage))

    def _proposals(self, session: Session) -> ProposalService:
        return ProposalService(session, self._actor, self._specs(session))

    def _snapshot(self, unit: Session, request: PlanRequest, asked: Model | None) -> _Snapshot:
        specs = self._specs(unit)
        session = specs.get(request.session_id)
        project = specs.projects.get_writable(session.project_id)
        settings = AgentSettingsService(unit, self._gateway)
        use = settings.use(project.id)
        texts = specs.documents.texts(session)
        rows = specs.documents.rows(session)
        subject = PlanSubject(
            project_name=project.name,
            project_type=project.type,
            language=language_of(project),
            session_title=session.title,
            session_description=session.description or "",
            prompt=request.prompt or "",
            stages=tuple(kind.value for kind in request.stage.documents),
            documents={kind.value: text for kind, text in texts.items()},
            requirements=requirements_of(texts[DocumentType.REQUIREMENTS]),
        )
        return _Snapshot(
            subject=subject,
            texts=texts,
            versions={kind: rows[kind].version if kind in rows else 0 for kind in DocumentType},
            model=asked or settings.model(project.id),
            use=use,
            session_id=session.id,
            project_id=project.id,
            rejections=self._proposals(unit).rejection_reasons(session.id, request.stage),
            warnings=_check_gates(specs, session, request, strict=use.policy.get(REQUIRE_APPROVED) is True),
        )

    def _fit(self, snapshot: _Snapshot, request: PlanRequest) -> Fitted:
        """Return the documents as every model may see them that may answer."""
        models = [snapshot.model]
        for name in snapshot.use.fallback:
            try:
                models.append(self._gateway.resolve(name))
            except ModelUnknown:
                continue  # the gateway passes it over as well
        others = tokens_of(PLANNING_RULES + planning_prompt(snapshot.subject, {}, snapshot.rejections))
        return fit(snapshot.texts, request.stage.documents, models, others)

    def _ask(self, snapshot: _Snapshot, fitted: Fitted) -> Outcome[WriteDocuments]:
        shown = {kind.value: text for kind, text in fitted.documents.items()}
        return self._gateway.converse(
            Conversation(
                operation="plan",
                model=snapshot.model.id,
                system=PLANNING_RULES,
                prompt=planning_prompt(snapshot.subject, shown, snapshot.rejections),
                answer=WriteDocuments,
                subject=snapshot.subject,
                project_id=snapshot.project_id,
                session_id=snapshot.session_id,
                settings=snapshot.use,
            ),
            units=self._units,
            actor=self._actor,
            progress=self._progress,
            left=self._left,
        )

    def _propose(
        self,
        unit: Session,
        request: PlanRequest,
        snapshot: _Snapshot,
        written: dict[DocumentType, str],
        outcome: Outcome[WriteDocuments],
    ) -> PlanResult:
        proposals = self._proposals(unit)
        session = self._specs(unit).get(request.session_id)
        documents = {
            kind: ProposedText(snapshot.versions[kind], snapshot.texts[kind], text) for kind, text in written.items()
        }
        proposal = proposals.create(session, request.stage, documents, outcome.model.id)
        return PlanResult(
            session_id=session.id,
            version=session.version,
            proposal=proposals.read(proposal),
            usage=outcome.usage,
            warnings=[],
        )

    def _store(
        self,
        unit: Session,
        request: PlanRequest,
        snapshot: _Snapshot,
        written: dict[DocumentType, str],
        outcome: Outcome[WriteDocuments],
    ) -> PlanResult:
        specs = self._specs(unit)
        session = specs.get(request.session_id)
        _refuse_overwriting(specs.documents.texts(session), snapshot, written)
        specs.write(session, written)
        read = specs.read(session)
        tasks = [PlannedTask.model_validate(task) for task in specs.task_reads(session)]
        return PlanResult(
            session_id=session.id,
            version=session.version,
            documents=read.documents,
            tasks=tasks,
            usage=outcome.usage,
            warnings=read.warnings,
        )


def _check_gates(specs: SpecService, session: SpecSession, request: PlanRequest, *, strict: bool) -> list[LintWarning]:
    """Return a warning for each document upstream that nobody approved; raises `StageNotApproved` when ``strict``.

    With approvals as a condition, planning everything at once is planning on drafts.
    """
    order = list(DocumentType)
    last = order.index(request.stage.documents[-1])
    upstream = [kind for kind in order[:last] if strict or kind not in request.stage.documents]
    unapproved = specs.gates.unapproved(session.id, upstream)
    if strict and unapproved:
        raise StageNotApproved({kind.value: status.value for kind, status in unapproved.items()})
    rule = CODES["upstream-not-approved"]
    return [
        LintWarning(
            document=kind,
            line=1,
            code="upstream-not-approved",
            severity=rule.severity,
            message=rule.message.format(word=kind.value, key=status.value),
            suggestion=rule.suggestion,
        )
        for kind, status in unapproved.items()
    ]


def _written(
    request: PlanRequest, snapshot: _Snapshot, fitted: Fitted, outcome: Outcome[WriteDocuments]
) -> dict[DocumentType, str]:
    """Return what the model wrote, of the asked stages, whole and with the ids that its blocks had."""
    answered = {kind: getattr(outcome.answer, kind.value) for kind in request.stage.documents}
    return {
        kind: keep_ids(kind, fitted.complete(snapshot.texts[kind], text), snapshot.texts[kind])
        for kind, text in answered.items()
        if text is not None
    }


def _refuse_overwriting(
    present: dict[DocumentType, str], snapshot: _Snapshot, written: dict[DocumentType, str]
) -> None:
    """Raise `DocumentConflict`, which carries what the model wrote, when a person changed the same document."""
    changed = [kind.value for kind in written if strip_ids(present[kind]) != strip_ids(snapshot.texts[kind])]
    if changed:
        message = (
            f"The {' and '.join(changed)} were changed while the model wrote, so nothing was overwritten. "
            "What the model wrote is in `proposal`; bring over what you want, or plan again."
        )
        proposal = {kind.value: strip_ids(text) for kind, text in written.items()}
        raise DocumentConflict(message, proposal=proposal)
