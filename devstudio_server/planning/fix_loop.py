"""Tests a proposal in the sandbox before anyone sees it, and lets the model mend what fails, for a few rounds.

Whatever ends the rounds, there is a proposal to keep: the one whose tests went best.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any
from uuid import UUID

from devstudio_server.ai.budget_errors import BudgetExceeded
from devstudio_server.ai.contract import ProposeChanges
from devstudio_server.ai.errors import ClientLeft
from devstudio_server.ai.gateway import Outcome
from devstudio_server.ai.ports import Message
from devstudio_server.ai.schemas import Provider, UsageRead
from devstudio_server.execution.schemas import Failure, RunStatus
from devstudio_server.execution.trials import Trial, TrialResult, Trials
from devstudio_server.kit.errors import AppError, Invalid
from devstudio_server.patches.content import PatchContent
from devstudio_server.patches.recording import Files, on_top
from devstudio_server.patches.schemas import FixRound, LoopEnd
from devstudio_server.planning.prompts_generation import failures_prompt
from devstudio_server.scm import GitRepository

MOST_FAILURES = 20
"""How many failures a round keeps and feeds back."""
_NUMBERS = re.compile(r"0x[0-9a-f]+|\d+", re.IGNORECASE)


@dataclass(frozen=True)
class Work:
    """What a loop works on, and how it asks, builds, tests and judges.

    ``existing`` are the files of the base tree. ``rounds`` is how often the model may mend; 0 tests nothing. ``ask``
    goes on with a conversation in which files were proposed, ``build`` turns files into a patch on the base tree,
    ``trial`` says what to test of a tree in a round, and ``judge`` returns the failures that count.
    """

    repository: GitRepository
    existing: frozenset[str]
    rounds: int
    ask: Callable[[tuple[Message, ...], Files], Outcome[ProposeChanges]]
    build: Callable[[Mapping[str, str | None]], PatchContent]
    trial: Callable[[str, int], Trial]
    judge: Callable[[TrialResult], Sequence[Failure]]
    progress: Callable[[dict[str, Any]], None]
    left: Event


@dataclass(frozen=True)
class Proposal:
    """A proposal of a model, as the patch that it makes. ``files`` are those of all rounds until then."""

    outcome: Outcome[ProposeChanges]
    files: Files
    content: PatchContent


@dataclass
class Mended:
    """What is there when the loop has ended: the proposal to keep, how its rounds went, and why there are no more."""

    proposal: Proposal
    usage: UsageRead
    rounds: list[FixRound] = field(default_factory=list)
    results: list[TrialResult] = field(default_factory=list)
    stopped: LoopEnd | None = None
    tested: bool = False
    warnings: list[str] = field(default_factory=list)

    @property
    def kept(self) -> FixRound | None:
        """The round of the proposal to keep; None when it was not tested."""
        return best(self.rounds) if self.tested else None

    @property
    def kept_result(self) -> TrialResult | None:
        """What the run of that round found."""
        return None if self.kept is None else self.results[self.kept.round - 1]


class FixLoop:
    """One loop, from the first proposal to the one that is kept."""

    def __init__(self, work: Work, trials: Trials) -> None:
        """Work on ``work``, and test by ``trials``."""
        self._work = work
        self._trials = trials
        self._seen: set[str] = set()
        self._signature: frozenset[tuple[str, str]] | None = None

    def run(self, first: Outcome[ProposeChanges]) -> Mended:
        """Return what there is in the end; raises only what making a patch of the ``first`` proposal raises."""
        proposal = _merged(first, {}, self._work)
        self._seen.add(proposal.content.digest)
        mended = Mended(proposal, first.usage)
        mended.stopped = self._excuse(first)
        if mended.stopped is None and self._work.rounds > 0:
            mended.stopped = self._rounds(mended)
        return mended

    def _excuse(self, first: Outcome[ProposeChanges]) -> LoopEnd | None:
        """Return why nothing is tested at all."""
        if self._work.rounds <= 0:
            return None
        if first.model.provider is Provider.OFFLINE:
            return LoopEnd.OFFLINE
        return None if self._trials.possible() else LoopEnd.NO_SANDBOX

    def _rounds(self, mended: Mended) -> LoopEnd:
        latest, spent = mended.proposal, mended.usage
        while True:
            number = len(mended.rounds) + 1
            try:
                result = self._test(latest, number)
            except AppError as error:
                mended.warnings.append(f"The proposal could not be tested: {error.detail}")
                return LoopEnd.NO_SANDBOX
            end = _no_result(result)
            if end is not None:
                mended.warnings += [result.reason] if end is not LoopEnd.STOPPED else []
                return end
            failures = list(self._work.judge(result))
            self._note(mended, latest, result, failures, spent)
            if not failures:
                return LoopEnd.PASSED
            if self._is_stuck(failures):
                return LoopEnd.STUCK
            if number > self._work.rounds:
                return LoopEnd.ROUNDS
            answer = self._mend(mended, latest, result, failures)
            if isinstance(answer, LoopEnd):
                return answer
            latest, spent = answer, answer.outcome.usage

    def _test(self, proposal: Proposal, number: int) -> TrialResult:
        def started(run_id: UUID) -> None:
            message = f"Testing the proposal in the sandbox, round {number}"
            self._work.progress({"phase": "testing", "message": message, "round": number, "run_id": str(run_id)})

        trial = self._work.trial(proposal.content.result_tree, number)
        return self._trials.test(self._work.repository, trial, started)

    def _note(
        self,
        mended: Mended,
        proposal: Proposal,
        result: TrialResult,
        failures: Sequence[Failure],
        spent: UsageRead,
    ) -> None:
        """Keep how a round went, and the proposal when none before it went better."""
        done = FixRound(
            round=len(mended.rounds) + 1,
            run_id=result.run_id,
            status=RunStatus.FAILED if failures else RunStatus.SUCCESS,
            passed=result.passed,
            failed=len(failures),
            failures=list(failures[:MOST_FAILURES]),
            usage=spent,
        )
        mended.rounds.append(done)
        mended.results.append(result)
        if best(mended.rounds) is done:
            mended.proposal, mended.tested = proposal, True
        said = "The tests passed" if not failures else f"{len(failures)} failed"
        self._work.progress(
            {"phase": "tested", "message": f"{said}, round {done.round}", **done.model_dump(mode="json")}
        )

    def _is_stuck(self, failures: Sequence[Failure]) -> bool:
        """Tell whether a round failed in the same way as the one before it; numbers in messages do not count."""
        signature = frozenset((failure.name, _NUMBERS.sub("#", failure.message)) for failure in failures)
        same, self._signature = signature == self._signature, signature
        return same

    def _mend(
        self, mended: Mended, latest: Proposal, result: TrialResult, failures: Sequence[Failure]
    ) -> Proposal | LoopEnd:
        """Get another proposal; whatever comes instead ends the loop, and is told."""
        feedback = failures_prompt(result.reason, failures[:MOST_FAILURES], len(failures))
        outcome = self._ask(mended, latest, feedback)
        if isinstance(outcome, LoopEnd):
            return outcome
        mended.usage = added(mended.usage, outcome.usage)
        try:
            proposal = _merged(outcome, latest.files, self._work)
        except Invalid as error:
            mended.warnings.append(f"What the model proposed to mend the failures cannot be used: {error.detail}")
            return LoopEnd.STUCK
        if proposal.content.digest in self._seen:
            return LoopEnd.STUCK
        self._seen.add(proposal.content.digest)
        return proposal

    def _ask(self, mended: Mended, latest: Proposal, feedback: str) -> Outcome[ProposeChanges] | LoopEnd:
        try:
            if self._work.left.is_set():
                return LoopEnd.STOPPED
            return self._work.ask(latest.outcome.follow_up(feedback), latest.files)
        except ClientLeft:
            return LoopEnd.STOPPED
        except BudgetExceeded as error:
            mended.warnings.append(error.detail)
            return LoopEnd.BUDGET
        except AppError as error:
            mended.warnings.append(f"The model was asked to mend the failures, and: {error.detail}")
            return LoopEnd.MODEL


def _merged(outcome: Outcome[ProposeChanges], earlier: Files, work: Work) -> Proposal:
    """Put a proposal on top of those before it: files that it does not name stay as they were proposed."""
    files = on_top(earlier, outcome.answer, work.existing)
    return Proposal(outcome, files, work.build(files))


def _no_result(result: TrialResult) -> LoopEnd | None:
    """Return why a trial says nothing about the proposal, if so."""
    if result.untested:
        return LoopEnd.NO_TESTS
    if result.status is RunStatus.CANCELLED:
        return LoopEnd.STOPPED
    return None if result.opened else LoopEnd.NO_SANDBOX


def best(rounds: Sequence[FixRound]) -> FixRound:
    """Return the round that went best, of equal ones the last.

    An error that keeps every test from running is one failure, but it lets no test pass.
    """
    return max(rounds, key=lambda done: (not done.failed, done.passed - done.failed, done.round))


def added(one: UsageRead, other: UsageRead) -> UsageRead:
    """Return the sum of what two conversations with one model used."""
    sums = {
        name: getattr(one, name) + getattr(other, name)
        for name in ("tokens_input", "tokens_output", "cost_estimated", "calls", "duration_ms", "tokens_cache_read")
    }
    written = one.tokens_cache_write + other.tokens_cache_write
    warnings = [*dict.fromkeys([*one.warnings, *other.warnings])]
    estimated = one.estimated or other.estimated
    return one.model_copy(update={**sums, "tokens_cache_write": written, "estimated": estimated, "warnings": warnings})
