"""Has a model change a tree: asks it, checks what it proposes, and lets the sandbox judge it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Event
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.ai.agent_settings import AgentSettingsService
from devstudio_server.ai.contract import ContractViolation, ProposeChanges
from devstudio_server.ai.errors import ModelUnknown
from devstudio_server.ai.gateway import Conversation, Gateway, Outcome
from devstudio_server.ai.ports import Message
from devstudio_server.ai.restricted import Scrubber, is_outside, visible_documents
from devstudio_server.ai.schemas import Model
from devstudio_server.ai.subjects import GenerationSubject
from devstudio_server.ai.use import ModelUse
from devstudio_server.db import Actor, Units
from devstudio_server.execution.schemas import Failure
from devstudio_server.execution.trials import Trial, TrialResult, Trials
from devstudio_server.kit.errors import Invalid
from devstudio_server.patches.content import build_content, check_files
from devstudio_server.patches.models import Patch
from devstudio_server.patches.recording import files_of, recorded
from devstudio_server.patches.replay import keep_recordings
from devstudio_server.patches.schemas import PatchedFile, PatchOrigin, PatchStatus
from devstudio_server.patches.service import Origin
from devstudio_server.planning.fix_loop import FixLoop, Mended, Work
from devstudio_server.planning.schemas import DEFAULT_FIX_ROUNDS, MAX_FIX_ROUNDS, GenerateResult
from devstudio_server.projects.models import Project
from devstudio_server.scm import GitRepository
from devstudio_server.web import Ports

Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Basis:
    """The code of a project as it was when the model was asked, and how the project wants models to work."""

    project_id: UUID
    branch: str
    repository: GitRepository
    base: str
    tree: str
    files: tuple[str, ...]
    model: Model
    viewer: Model
    """Who sees the prompt; an outside model where any of those that may answer is one."""
    use: ModelUse

    @classmethod
    def of(
        cls, session: Session, gateway: Gateway, project: Project, repository: GitRepository, model: str | None
    ) -> Basis:
        """Read the head of the project's default branch; ``model`` is the one that was asked for."""
        asked = gateway.resolve(model) if model is not None else None
        settings = AgentSettingsService(session, gateway)
        use, chosen = settings.use(project.id), asked or settings.model(project.id)
        base = repository.require_head(project.default_branch)
        tree = repository.tree(base)
        return cls(
            project_id=project.id,
            branch=project.default_branch,
            repository=repository,
            base=base,
            tree=tree,
            files=tuple(repository.files(tree)),
            model=chosen,
            viewer=_viewer(gateway, chosen, use),
            use=use,
        )

    def visible(self, documents: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
        """Return the documents as whoever answers may see them, and warnings for the person."""
        return visible_documents(documents, self.viewer)

    def fix_rounds(self, asked: int | None) -> int:
        """Return how often the model may mend its proposal: as asked, else by the project's policy, else by default."""
        value = asked if asked is not None else self.use.policy.get("fix_rounds", DEFAULT_FIX_ROUNDS)
        known = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_FIX_ROUNDS
        return value if known else DEFAULT_FIX_ROUNDS


def _viewer(gateway: Gateway, chosen: Model, use: ModelUse) -> Model:
    models = [chosen]
    for name in use.fallback:
        with suppress(ModelUnknown):  # the gateway passes it over as well
            models.append(gateway.resolve(name))
    return next((model for model in models if is_outside(model)), chosen)


@dataclass(frozen=True)
class Order:
    """What to have made. ``judge`` returns the failures of a trial that count, when not all of them do."""

    basis: Basis
    subject: GenerationSubject
    system: str
    prompt: str
    rounds: int
    about: str
    task_id: UUID | None = None
    session_id: UUID | None = None
    judge: Callable[[TrialResult], Sequence[Failure]] = lambda result: result.failures


class ChangeMaker:
    """Makes changes for one actor; outside of every transaction."""

    def __init__(self, units: Units, actor: Actor, ports: Ports, progress: Progress, left: Event) -> None:
        """Work for ``actor``; ``progress`` is told what happens, ``left`` is set when nobody waits any more."""
        self._units = units
        self._actor = actor
        self._gateway = ports.get(Gateway)
        self._progress = progress
        self._left = left
        self.trials = Trials(units, actor, ports, left)

    def make(self, order: Order) -> Mended:
        """Return the change that a model proposes, tested and mended as far as the order's rounds reach."""
        basis = order.basis
        conversation = Conversation(
            operation="generation",
            model=basis.model.id,
            system=order.system,
            prompt=order.prompt,
            answer=ProposeChanges,
            subject=order.subject,
            reader=TreeReader(basis.repository, basis.tree, order.subject.files),
            task_id=order.task_id,
            check=lambda answer: check_answer(answer, basis.files),
            project_id=basis.project_id,
            session_id=order.session_id,
            settings=basis.use,
        )
        return self.mend(order, self._ask(conversation), conversation)

    def mend(self, order: Order, first: Outcome[ProposeChanges], conversation: Conversation[ProposeChanges]) -> Mended:
        """Test the ``first`` answer of a conversation, and go on with it."""
        basis = order.basis
        scrubber = Scrubber(TreeReader(basis.repository, basis.tree, basis.files), basis.viewer)

        def ask(earlier: tuple[Message, ...], files: Iterable[str]) -> Outcome[ProposeChanges]:
            existing = (*basis.files, *files)
            check = lambda answer: check_answer(answer, existing)  # noqa: E731 - as short as it gets
            return self._ask(replace(conversation, earlier=scrubber.feedback(earlier), check=check))

        work = Work(
            repository=basis.repository,
            existing=frozenset(basis.files),
            rounds=order.rounds,
            ask=ask,
            build=lambda files: build_content(basis.repository, basis.tree, files),
            trial=lambda tree, number: trial_of(basis, tree, f"{order.about}, round {number}", order.task_id),
            judge=order.judge,
            progress=self._progress,
            left=self._left,
        )
        return FixLoop(work, self.trials).run(first)

    def _ask(self, conversation: Conversation[ProposeChanges]) -> Outcome[ProposeChanges]:
        return self._gateway.converse(
            conversation, units=self._units, actor=self._actor, progress=self._progress, left=self._left
        )


class TreeReader:
    """Shows a model the task's base tree, and nothing else."""

    def __init__(self, repository: GitRepository, tree: str, files: Sequence[str]) -> None:
        """Show ``files`` of ``tree``."""
        self._repository = repository
        self._tree = tree
        self._files = files

    def list_files(self) -> Sequence[str]:
        """Return the path of every file that may be read."""
        return self._files

    def read_file(self, path: str) -> str | None:
        """Return a file's text; None for one that may not be read."""
        if path not in self._files:
            return None
        content = self._repository.read(self._tree, path)
        return None if content is None else content.decode("utf-8", "replace")


def trial_of(basis: Basis, tree: str, what: str, task_id: UUID | None) -> Trial:
    """Return the trial of a tree that nobody has committed."""
    note = f"{what}: the tree {tree[:12]}, made from {basis.base[:12]}. Nothing is committed."
    return Trial(basis.project_id, tree, basis.branch, note, task_id)


def check_answer(answer: ProposeChanges, existing: Iterable[str]) -> None:
    """Tell the model, by `ContractViolation`, what is wrong with the files that it proposes."""
    named = [file.path for file in answer.files]
    doubled = sorted({path for path in named if named.count(path) > 1})
    if doubled:
        message = f"The file {doubled[0]} is proposed twice. Propose each file once, whole."
        raise ContractViolation(message)
    try:
        check_files(files_of(answer), existing)
    except Invalid as error:
        raise ContractViolation(error.detail) from error


def origin_of(
    basis: Basis, mended: Mended, warnings: Sequence[str], kind: PatchOrigin = PatchOrigin.GENERATED
) -> Origin:
    """Return where the patch of a change comes from."""
    outcome = mended.proposal.outcome
    return Origin(
        base=basis.base,
        summary=outcome.answer.summary,
        warnings=[*warnings],
        model=outcome.model.id,
        provider=outcome.model.provider,
        kind=kind,
        branch=basis.branch,
        rounds=mended.rounds,
        tested=mended.tested,
        stopped=mended.stopped,
    )


def keep_answers(session: Session, basis: Basis, patch: Patch, mended: Mended) -> None:
    """Keep what the model answered, for a replay, unless the project's policy says `record_generations: false`."""
    outcome = mended.proposal.outcome
    if basis.use.policy.get("record_generations") is not False:
        keep_recordings(session, patch, [*recorded(outcome.turns, outcome.model.id)])


def test_warnings(mended: Mended) -> list[str]:
    """Say what the reviewer has to know about the tests."""
    kept = mended.kept
    said = list(mended.warnings)
    if kept is not None and kept.failures:
        first = kept.failures[0]
        more = f", and {kept.failed - 1} more" if kept.failed > 1 else ""
        said.insert(0, f"The tests do not pass with this change: {first.name}{more}. The run {kept.run_id} says why.")
    if kept is not None and kept.round != len(mended.rounds):
        said.append(f"Of {len(mended.rounds)} proposals, this is that of round {kept.round}: its tests went best.")
    return said


def result_of(patch: Patch, mended: Mended, warnings: list[str]) -> GenerateResult:
    """Return the public shape of a patch that was just made."""
    return GenerateResult(
        patch_id=patch.id,
        task_id=patch.task_id,
        status=PatchStatus.PENDING,
        summary=patch.summary,
        digest=patch.digest,
        files=[PatchedFile.model_validate(file) for file in patch.files],
        warnings=warnings,
        usage=mended.usage,
        rounds=mended.rounds,
        tested=mended.tested,
        stopped=mended.stopped,
    )
