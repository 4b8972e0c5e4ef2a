"""The job of a replay: makes a patch again from what was recorded, and settles the run that tests it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from devstudio_server.ai.contract import ContractViolation
from devstudio_server.db import DatabaseUnavailable
from devstudio_server.execution.command_policy import RunPolicy
from devstudio_server.execution.inputs import RunInputs
from devstudio_server.execution.models import Run
from devstudio_server.execution.plans import find_recipe, settle
from devstudio_server.execution.results import NO_TESTS
from devstudio_server.execution.run_settings import SettingsValues
from devstudio_server.execution.schemas import RunStage, RunStatus, RunType
from devstudio_server.execution.service import RUN_JOB, RunEnd
from devstudio_server.execution.settings_service import RunSettingsService
from devstudio_server.execution.work import reason_of
from devstudio_server.jobs import JobContext, LeaseLost
from devstudio_server.kit.errors import AppError
from devstudio_server.patches.content import build_content, digest_of
from devstudio_server.patches.recording import Files, RecordedAnswer, on_top, read_back
from devstudio_server.patches.replay import ReplayService, compared
from devstudio_server.scm import GitRepository

_NOTE = "Replaying patch {0}, revision {1}: the tree {2}, without a network and without installing anything."


@dataclass(frozen=True)
class _Seen:
    """What a replay compares, as it was when the replay began. ``first`` is base and digest of the first revision."""

    patch_id: UUID
    revision: int
    base: str
    diff: str
    digest: str
    result_tree: str
    first: tuple[str, str] | None
    answers: Sequence[RecordedAnswer]
    settings: SettingsValues
    repository: GitRepository


class Replaying:
    """One replay, from its queue to the run that tests."""

    def __init__(self, context: JobContext, run_id: UUID) -> None:
        """Do the replay of the run ``run_id``."""
        self._context = context
        self._run_id = run_id

    def run(self) -> None:
        """Bring the run to its worker, or to its end."""
        with self._context.begin(read_only=True) as session:
            run = self._service(session).patches.runs.get(self._run_id)
            if RunStatus(run.status).final or run.stage != RunStage.QUEUED:
                return
        try:
            self._replay(run)
        except (LeaseLost, DatabaseUnavailable):  # the job is done again
            raise
        except Exception as error:  # noqa: BLE001 - a run always ends in a final status with a reason
            self.fail(reason_of(error, self._run_id))

    def fail(self, reason: str, result: dict[str, Any] | None = None) -> None:
        """End the run, and say why."""
        with self._context.begin() as session:
            service = self._service(session)
            if result is not None:
                service.of_run(self._run_id).result = result
            service.patches.runs.finish(self._run_id, RunEnd(RunStatus.FAILED, reason))

    def _replay(self, run: Run) -> None:
        with self._context.begin(read_only=True) as session:
            seen = self._see(self._service(session))
        base_tree = seen.repository.tree(seen.base)
        result = {"model": _model(seen), "digest": compared(seen.digest, digest_of(seen.diff))}
        try:
            tree = seen.repository.apply(base_tree, seen.diff.encode())
        except AppError as error:
            result["tree"] = compared(seen.result_tree, None)
            self.fail(error.detail, result)
            return
        result["tree"] = compared(seen.result_tree, tree)
        self._hand_over(run, seen, tree, result)

    def _see(self, service: ReplayService) -> _Seen:
        replay = service.of_run(self._run_id)
        patch = service.patches.get(replay.patch_id)
        policy = self._context.ports.get(RunPolicy)
        revisions = service.patches.revisions(patch.id)
        return _Seen(
            patch_id=patch.id,
            revision=patch.revision,
            base=patch.base,
            diff=patch.patch_content,
            digest=patch.digest,
            result_tree=patch.result_tree,
            first=(revisions[0].base, revisions[0].digest) if revisions else None,
            answers=service.answers(patch),
            settings=RunSettingsService(service.session, policy).values(patch.project_id),
            repository=service.patches.repository(patch),
        )

    def _hand_over(self, run: Run, seen: _Seen, tree: str, result: dict[str, Any]) -> None:
        recipe = find_recipe(RunType.TEST, seen.repository, tree, seen.settings)
        if recipe is None:
            self.fail(NO_TESTS, result)
            return
        inputs = self._context.ports.get(RunInputs)
        plan = settle(recipe, seen.settings, self._context.ports.get(RunPolicy))
        note = _NOTE.format(seen.patch_id, seen.revision, tree[:12])
        seen.repository.keep(f"runs/{run.id}", tree)
        run.tree = tree
        if inputs.shipped:
            inputs.ship(run)
        with self._context.begin() as session:
            service = self._service(session)
            service.of_run(self._run_id).result = result
            service.patches.runs.plan(self._run_id, replace(plan, note=note, offline=True), tree=tree)
            service.patches.runs.advance(self._run_id, RunStage.READY, RUN_JOB)

    def _service(self, session: Any) -> ReplayService:
        return ReplayService(session, self._context.actor, self._context.ports)


def replay_patch(context: JobContext, payload: dict[str, Any]) -> None:
    """Make a patch again, and settle what is tested."""
    Replaying(context, UUID(payload["run_id"])).run()


def give_up_replay(context: JobContext, payload: dict[str, Any], reason: str) -> None:
    """End a replay whose every attempt died."""
    Replaying(context, UUID(payload["run_id"])).fail(reason)


def _model(seen: _Seen) -> dict[str, Any]:
    """Make the patch once more from what the model answered, through the code that made it then."""
    if not seen.answers or seen.first is None:
        detail = "No answer of a model is recorded: people or a template made the patch, or the project keeps none."
        return {"recorded": False, "matches": None, "detail": detail}
    base, digest = seen.first
    try:
        got = _made_again(seen, base)
    except (AppError, ContractViolation) as error:
        return {"recorded": True, "matches": False, "detail": f"The model's answer does not make the patch: {error}"}
    if got != digest:
        detail = f"The model's answer makes other bytes than the patch had: {got[:12]}, and not {digest[:12]}."
        return {"recorded": True, "matches": False, "detail": detail}
    edited = "" if seen.revision == 1 else f" Since then it was changed: it is at revision {seen.revision}."
    detail = f"What {seen.answers[-1].model} answered makes the bytes of revision 1 again.{edited}"
    return {"recorded": True, "matches": True, "detail": detail}


def _made_again(seen: _Seen, base: str) -> str:
    tree = seen.repository.tree(base)
    existing = frozenset(seen.repository.files(tree))
    files: Files = {}
    for answer in seen.answers:
        files = on_top(files, read_back(answer), existing)
    return build_content(seen.repository, tree, files).digest
