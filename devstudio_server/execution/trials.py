"""Tests a tree that nobody has committed, as a run like every other, and waits for its end.

Never to be used inside a transaction: a trial lasts as long as the tests do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Event
from uuid import UUID

from sqlalchemy.orm import Session

from devstudio_server.db import Actor, Units
from devstudio_server.execution.command_policy import RunPolicy
from devstudio_server.execution.control import RunControl
from devstudio_server.execution.errors import RunIsFinal
from devstudio_server.execution.inputs import RunInputs
from devstudio_server.execution.installation import INSTALL_S
from devstudio_server.execution.logs import LogStorage
from devstudio_server.execution.models import Run
from devstudio_server.execution.plans import RunPlan, find_recipe, settle, with_install
from devstudio_server.execution.results import NO_TESTS
from devstudio_server.execution.schemas import Failure, RunStatus, RunType, TestOutcome
from devstudio_server.execution.service import RunService
from devstudio_server.execution.settings_service import RunSettingsService
from devstudio_server.jobs import JobQueue
from devstudio_server.kit.stopping import StopSignal
from devstudio_server.scm import GitRepository
from devstudio_server.web import Ports

LOOK_S = 1.0
"""How long a trial's end may go unseen when no word of it arrives."""
QUEUE_S = 300.0
"""How long a trial waits for its turn beyond what its tests may take; then it is cancelled."""
CANCEL_S = 30.0
"""How long a trial waits for the end of a run that it cancelled."""


class SandboxPresence:
    """Tells whether a sandbox would answer now. Nothing is tested on a server where none does."""

    def __init__(self, answers: Callable[[], bool]) -> None:
        """``answers`` looks, within a moment."""
        self._answers = answers

    def here(self) -> bool:
        """Look."""
        return self._answers()


@dataclass(frozen=True)
class Trial:
    """What to test: a tree of a project, for a task; ``note`` is a line for the top of the log."""

    project_id: UUID
    tree: str
    ref: str
    note: str
    task_id: UUID | None = None


@dataclass(frozen=True)
class TrialResult:
    """How a trial ended. ``opened`` tells whether there was a sandbox at all; without tests, nothing was run.

    ``run_id`` is None for a tree without tests. ``failures`` are where it broke; at least one when it failed.
    """

    run_id: UUID | None
    status: RunStatus
    reason: str
    tests: tuple[TestOutcome, ...] = ()
    failures: tuple[Failure, ...] = ()
    opened: bool = True

    @property
    def passed(self) -> int:
        """How many tests passed."""
        return sum(test.outcome == "passed" for test in self.tests)

    @property
    def untested(self) -> bool:
        """Whether there was nothing to test."""
        return self.reason == NO_TESTS


class Trials:
    """Tests trees for one actor, who can go: then the run is cancelled."""

    def __init__(self, units: Units, actor: Actor, ports: Ports, left: Event) -> None:
        """Test for ``actor``, until ``left`` is set."""
        self._units = units
        self._actor = actor
        self._ports = ports
        self._left = StopSignal.of(left)

    def possible(self) -> bool:
        """Tell whether there is a sandbox to test in."""
        return self._ports.get(SandboxPresence).here()

    def test(self, repository: GitRepository, trial: Trial, started: Callable[[UUID], None]) -> TrialResult:
        """Run the tests of a tree and return how they ended; ``started`` is told the run, which others see by then."""
        plan = self._plan(repository, trial)
        if plan is None:
            return TrialResult(None, RunStatus.FAILED, NO_TESTS)
        run_id = self._enqueue(trial, plan)
        repository.keep(f"runs/{run_id}", trial.tree)
        started(run_id)
        most_s = plan.deadline_s + QUEUE_S + (INSTALL_S if plan.install else 0)
        asyncio.run(self._follow(run_id, time.monotonic() + most_s))
        return _result(self._read(run_id))

    def _plan(self, repository: GitRepository, trial: Trial) -> RunPlan | None:
        policy = self._ports.get(RunPolicy)
        with self._units.begin(self._actor, read_only=True) as session:
            settings = RunSettingsService(session, policy).values(trial.project_id)
        recipe = find_recipe(RunType.TEST, repository, trial.tree, settings)
        if recipe is None:
            return None
        plan = with_install(settle(recipe, settings, policy), repository, trial.tree, settings)
        return replace(plan, note=trial.note)

    def _enqueue(self, trial: Trial, plan: RunPlan) -> UUID:
        shipped = self._ports.get(RunInputs).shipped
        with self._units.begin(self._actor) as session:
            run = self._runs(session).enqueue_plan(
                plan,
                RunType.TEST,
                trial.project_id,
                shipped=shipped,
                task_id=trial.task_id,
                ref=trial.ref,
                tree=trial.tree,
            )
            return run.id

    async def _follow(self, run_id: UUID, until: float) -> None:
        """Return when the run is final. It is cancelled when nobody waits any more, and when it takes too long."""
        cancelled = False
        while not await self._ended(run_id):
            late = time.monotonic() > until
            if cancelled and late:
                return
            if not cancelled and (late or self._left.is_set()):
                cancelled, until = True, time.monotonic() + CANCEL_S
                self._cancel(run_id)

    async def _ended(self, run_id: UUID) -> bool:
        """Tell whether the run is final; if not, wait for word of a change first, or of nobody waiting any more."""
        loop = asyncio.get_running_loop()
        changed = self._ports.get(LogStorage).watch(self._actor.tenant_id, run_id)
        if RunStatus(self._read(run_id).status).final:
            return True

        def wake() -> None:
            with suppress(RuntimeError):  # the loop is closed: the run has ended meanwhile
                loop.call_soon_threadsafe(changed.set)

        with self._left.on_set(wake), suppress(TimeoutError):
            await asyncio.wait_for(changed.wait(), LOOK_S)
        return False

    def _cancel(self, run_id: UUID) -> None:
        with self._units.begin(self._actor) as session, suppress(RunIsFinal):
            self._runs(session).cancel(run_id)

    def _read(self, run_id: UUID) -> Run:
        with self._units.begin(self._actor, read_only=True) as session:
            return self._runs(session).get(run_id)

    def _runs(self, session: Session) -> RunService:
        ports = self._ports
        return RunService(session, self._actor, ports.get(JobQueue), ports.get(LogStorage), ports.get(RunControl))


def _result(run: Run) -> TrialResult:
    status = RunStatus(run.status) if RunStatus(run.status).final else RunStatus.CANCELLED
    failures = tuple(Failure.model_validate(failure) for failure in run.failures)
    if status is not RunStatus.SUCCESS and not failures:
        failures = (Failure(name=run.recipe or "tests", message=run.reason or ""),)
    return TrialResult(
        run_id=run.id,
        status=status,
        reason=run.reason or "",
        tests=tuple(TestOutcome.model_validate(test) for test in run.tests),
        failures=failures if status is not RunStatus.SUCCESS else (),
        opened=run.container_id is not None,
    )
