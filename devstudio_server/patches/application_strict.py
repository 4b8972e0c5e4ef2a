"""Strict proof: the tests of a patch, put alone on the tree that it changes, have to fail there.

The run without the change is one of its own, in a container of its own. It is enqueued when the tests passed with the
patch, and its end, whatever it is, brings the job that commits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from devstudio_sandbox.conventions import belongs_to_tests
from devstudio_server.execution.command_policy import RunPolicy
from devstudio_server.execution.evidence import tested_by
from devstudio_server.execution.inputs import RunInputs
from devstudio_server.execution.models import Run
from devstudio_server.execution.plans import RunPlan, find_recipe, settle, with_install
from devstudio_server.execution.results import NO_TESTS
from devstudio_server.execution.run_settings import SettingsValues
from devstudio_server.execution.schemas import RunStatus, RunType
from devstudio_server.execution.service import RunEnd
from devstudio_server.execution.settings_service import RunSettingsService
from devstudio_server.jobs import JobContext
from devstudio_server.patches.service import PatchService
from devstudio_server.scm import GitRepository
from devstudio_server.specs.tested import Proof, Tested

ALL_MODULES = "--continue-on-collection-errors"
"""pytest goes on past modules that cannot be imported: the tests of the others may pass without the change."""
WAITING = "The tests pass with the patch. Waiting for run {}: without the change, they have to fail."
_ALONE = "Only the tests of the patch, without the change, on the tree of {head}. They prove something if they fail."


@dataclass(frozen=True)
class Weighed:
    """What the run without the change says of each criterion that the patch's run would prove.

    ``passing``: its tests pass there, too. ``unknown``: that run cannot tell.
    """

    proofs: dict[str, Proof]
    passing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def reasons(self, wanted: Sequence[str]) -> list[str]:
        """Say why those of ``wanted`` are not proven."""
        passing = [key for key in wanted if key in self.passing]
        unknown = [key for key in wanted if key in self.unknown]
        said = []
        if passing:
            said.append(f"the tests of {', '.join(passing)} pass without the change, too, so they do not prove it")
        if unknown:
            said.append(f"nothing shows that the tests of {', '.join(unknown)} fail without the change")
        return said


def weigh(proofs: Mapping[str, Sequence[str]], base: Run | None) -> Weighed:
    """Compare the tests that passed with the patch to what ``base``, the run without it, says of them."""
    if base is None:
        return Weighed({}, unknown=tuple(proofs))
    tested = tested_by(base)
    broke, ended = _all_broke(base, tested), base.status == RunStatus.FAILED
    proven: dict[str, Proof] = {}
    passing, unknown = [], []
    for key, tests in proofs.items():
        failing = [*tests] if broke else tested.failing(tests) if ended else []
        if failing:
            proven[key] = Proof(tuple(failing), strict=True)
        elif any(tested.outcomes.get(test) == "passed" for test in tests):
            passing.append(key)
        else:
            unknown.append(key)
    return Weighed(proven, tuple(passing), tuple(unknown))


def _all_broke(base: Run, tested: Tested) -> bool:
    """Tell whether no test could be run at all, since the code that all of them need is not there."""
    failed = base.status == RunStatus.FAILED and base.exit_code not in (None, 0) and base.reason != NO_TESTS
    return failed and tested.complete and "passed" not in tested.outcomes.values()


def problem_of(base: Run) -> RunEnd | None:
    """Return how a run ends whose run without the change came to no end that says something; None if it did."""
    if base.status == RunStatus.CANCELLED:
        return RunEnd(RunStatus.CANCELLED, f"Cancelled with run {base.id}, of the tests without the change.")
    if base.status == RunStatus.FAILED and base.exit_code is None:
        reason = f"The tests without the change could not be run ({base.id}): {base.reason} Apply the patch again."
        return RunEnd(RunStatus.FAILED, reason)
    return None


def tests_alone(repository: GitRepository, base: str, patched: str) -> str:
    """Return the tree ``base`` with those files of ``patched`` that belong to tests."""
    changed = [change.path for change in repository.changes(base, patched) if belongs_to_tests(change.path)]
    return repository.change(base, {path: repository.read(patched, path) for path in changed}) if changed else base


class Begun(Enum):
    """Whether there is a run to wait for; with ``NOTHING``, no tests could be found without the change."""

    WAITS = auto()
    NOTHING = auto()
    CANCELLED = auto()


class WithoutChange:
    """Enqueues the run without the change, for the run that applies the patch."""

    def __init__(self, context: JobContext, run: Run) -> None:
        """Work for ``run``, whose tests passed with the patch."""
        self._context = context
        self._run = run

    def begin(self, repository: GitRepository, facts: Mapping[str, Any]) -> Begun:
        """Enqueue it, once."""
        head, inputs = str(facts["head"]), self._context.ports.get(RunInputs)
        tree = tests_alone(repository, repository.tree(head), str(self._run.tree))
        plan = self._plan(repository, tree, head)
        if plan is None:
            return Begun.NOTHING
        repository.keep(f"runs/{self._run.id}-base", tree)
        with self._context.begin() as session:
            runs = PatchService(session, self._context.actor, self._context.ports).runs
            waits = runs.wait_for_base(
                self._run.id, plan, shipped=inputs.shipped, said=WAITING, ref=self._run.branch, tree=tree
            )
        return Begun.WAITS if waits else Begun.CANCELLED

    def _plan(self, repository: GitRepository, tree: str, head: str) -> RunPlan | None:
        policy = self._context.ports.get(RunPolicy)
        settings = self._settings(policy)
        recipe = find_recipe(RunType.TEST, repository, tree, settings)
        if recipe is None:
            return None
        if recipe.name == "pytest":
            recipe = replace(recipe, argv=(*recipe.argv, ALL_MODULES))
        plan = with_install(settle(recipe, settings, policy), repository, tree, settings)
        return replace(plan, note=_ALONE.format(head=head[:12]))

    def _settings(self, policy: RunPolicy) -> SettingsValues:
        with self._context.begin(read_only=True) as session:
            return RunSettingsService(session, policy).values(self._run.project_id)
