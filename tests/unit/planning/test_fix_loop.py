"""The fix loop with real services, a model server, and the plain process as sandbox."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest

from devstudio_sandbox import SandboxUnavailable
from devstudio_server.ai.agent_settings import AgentSettingsService
from devstudio_server.ai.budget_schemas import BudgetScope, BudgetWrite
from devstudio_server.ai.budgets import BudgetService, Purpose
from devstudio_server.ai.gateway import Gateway
from devstudio_server.ai.schemas import AgentSettingsWrite
from devstudio_server.patches.schemas import LoopEnd, PatchStatus
from devstudio_server.planning.generation import GenerationService
from devstudio_server.planning.schemas import GenerateRequest, GenerateResult
from support.domain_world import ADDER, DomainWorld
from support.fix_bench import FixBench, propose
from support.model_server import Answer, Fault

BROKEN = {**ADDER, "adder.py": "def add(*numbers):\n    return sum(numbers) + 1\n"}
WORSE = {"adder.py": "def add(*numbers):\n    return None\n\n\nraise RuntimeError('gone')\n"}


class Bench(FixBench):
    """A bench that generates for the first task."""

    def generate(self, *script: Answer | Fault, **fields: Any) -> GenerateResult:
        domain = self.domain
        task_id = domain.tasks(self.session.id)[0].id
        with self.model(script):
            service = GenerationService(domain.units, domain.actor, domain.ports, self.told, self.left)
            return service.generate(GenerateRequest(task_id=task_id, **fields))

    @property
    def calls(self) -> int:
        return len(self.requests)


@pytest.fixture
def bench(domain: DomainWorld) -> Bench:
    return Bench(domain)


def test_a_first_proposal_that_passes_is_one_run_and_no_further_call(bench: Bench) -> None:
    result = bench.generate(propose(dict(ADDER)))
    assert (result.stopped, result.tested, result.warnings) == (LoopEnd.PASSED, True, [])
    assert [(done.round, done.passed, done.failed) for done in result.rounds] == [(1, 2, 0)]
    runs = bench.runs()
    assert [(run.id, run.status, run.patch_id) for run in runs] == [(result.rounds[0].run_id, "success", None)]
    assert bench.calls == 1
    with bench.domain.patches() as patches:
        patch = patches.read(result.patch_id)
    assert (patch.status, patch.rounds, patch.tested) == (PatchStatus.PENDING, result.rounds, True)
    assert bench.domain.repository(bench.session.project_id).files(str(runs[0].tree)) == ["adder.py", "test_adder.py"]
    assert bench.domain.tasks(bench.session.id)[0].evidence is None, "a trial proves nothing"


def test_failures_are_fed_back_as_data_and_the_second_proposal_is_kept(bench: Bench) -> None:
    result = bench.generate(propose(dict(BROKEN)), propose({"adder.py": ADDER["adder.py"]}))
    assert (result.stopped, result.tested, result.warnings) == (LoopEnd.PASSED, True, [])
    assert [(done.passed, done.failed) for done in result.rounds] == [(0, 2), (2, 0)]
    assert result.rounds[0].failures[0].file == "test_adder.py"
    assert [file.path for file in result.files] == ["adder.py", "test_adder.py"], "what is not named stays"
    told = bench.requests[1].turns[-1]
    assert told.role == "tool"
    assert "assert 4 == 3" in told.text
    assert told.text.index("<data ") < told.text.index("assert 4 == 3") < told.text.index("</data ")
    assert result.usage.calls == 2
    assert result.usage.tokens_input == sum(done.usage.tokens_input for done in result.rounds) == 2000
    phases = [event["phase"] for event in bench.events if event["phase"] in {"testing", "tested", "saving"}]
    assert phases == ["testing", "tested", "testing", "tested", "saving"]


def test_the_same_failures_again_end_it_with_what_there_is(bench: Bench) -> None:
    again = {"adder.py": BROKEN["adder.py"] + "# again\n"}
    result = bench.generate(propose(dict(BROKEN)), propose(again))
    assert (result.stopped, len(result.rounds), bench.calls) == (LoopEnd.STUCK, 2, 2)
    assert result.tested
    assert "do not pass" in result.warnings[0]


def test_the_same_proposal_again_is_not_tested_again(bench: Bench) -> None:
    result = bench.generate(propose(dict(BROKEN)))
    assert (result.stopped, len(result.rounds), bench.calls, len(bench.runs())) == (LoopEnd.STUCK, 1, 2, 1)


def test_the_rounds_are_bounded_and_the_best_proposal_is_kept(bench: Bench) -> None:
    half = {"adder.py": "def add(*numbers):\n    return sum(numbers) if numbers else 1\n"}
    result = bench.generate(propose(dict(BROKEN)), propose(half), propose(WORSE), fix_rounds=2)
    assert (result.stopped, [done.passed for done in result.rounds]) == (LoopEnd.ROUNDS, [0, 1, 0])
    assert "round 2" in result.warnings[-1]
    with bench.domain.patches() as patches:
        kept = {file.path: file.new for file in patches.preview(result.patch_id).files}
    assert kept["adder.py"] == half["adder.py"]


def test_no_rounds_means_no_run(bench: Bench) -> None:
    result = bench.generate(propose(dict(BROKEN)), fix_rounds=0)
    assert (result.stopped, result.tested, result.rounds, bench.runs()) == (None, False, [], [])


@pytest.mark.parametrize("fault", [Fault(status=500), Answer("I give up."), Answer(stop="length")])
def test_a_model_that_fails_later_loses_no_proposal(bench: Bench, fault: Answer | Fault) -> None:
    result = bench.generate(propose(dict(BROKEN)), fault)
    assert (result.stopped, len(result.rounds), result.status) == (LoopEnd.MODEL, 1, PatchStatus.PENDING)
    assert any("asked to mend" in warning for warning in result.warnings)


def test_a_later_proposal_outside_the_tree_loses_no_earlier_one(bench: Bench) -> None:
    result = bench.generate(propose(dict(BROKEN)), propose({"../evil.py": "x"}))
    assert (result.stopped, [file.path for file in result.files]) == (LoopEnd.MODEL, ["adder.py", "test_adder.py"])
    assert bench.calls == 3


def test_a_budget_that_is_used_up_ends_it_with_what_there_is(bench: Bench) -> None:
    def spend(event: dict[str, Any]) -> None:
        if event["phase"] == "tested":
            with bench.domain.unit() as session:
                BudgetService(session).put(BudgetScope.TENANT, Purpose(), BudgetWrite(limit=Decimal(0)), None)

    bench.hears = spend
    result = bench.generate(propose(dict(BROKEN)), propose({"adder.py": ADDER["adder.py"]}))
    assert (result.stopped, result.status, bench.calls) == (LoopEnd.BUDGET, PatchStatus.PENDING, 1)
    assert any("$0.00" in warning for warning in result.warnings)


def test_stop_while_the_tests_run_cancels_the_run_and_keeps_the_patch(bench: Bench) -> None:
    slow = {
        **ADDER,
        "test_adder.py": ADDER["test_adder.py"] + "\n\ndef test_slow():\n    import time\n    time.sleep(60)\n",
    }

    def stop_when_it_runs(event: dict[str, Any]) -> None:
        if event["phase"] == "testing":
            threading.Timer(1.5, bench.left.set).start()

    bench.hears = stop_when_it_runs
    result = bench.generate(propose(slow))
    assert (result.stopped, result.tested, result.status) == (LoopEnd.STOPPED, False, PatchStatus.PENDING)
    assert [run.status for run in bench.runs()] == ["cancelled"]


def test_a_sandbox_that_does_not_answer_is_said(bench: Bench) -> None:
    class Gone:
        name = "gone"

        def open(self, _spec: object) -> None:
            raise SandboxUnavailable("There is no sandbox.")

    bench.domain.backend = Gone()  # type: ignore[assignment]
    result = bench.generate(propose(dict(ADDER)))
    assert (result.stopped, result.tested) == (LoopEnd.NO_SANDBOX, False)
    assert "There is no sandbox." in result.warnings[0]


def test_a_proposal_without_tests_is_said(bench: Bench) -> None:
    result = bench.generate(propose({"notes.txt": "nothing"}))
    assert (result.stopped, bench.calls) == (LoopEnd.NO_TESTS, 1)
    assert any("No tests were found" in warning for warning in result.warnings)


def test_templates_are_not_tested(bench: Bench) -> None:
    result = bench.generate(propose(dict(ADDER)), model="offline")
    assert (result.stopped, result.tested, bench.runs()) == (LoopEnd.OFFLINE, False, [])


def test_the_policy_of_the_project_sets_the_rounds(bench: Bench) -> None:
    bench.generate(propose(dict(ADDER)), fix_rounds=0)
    with bench.domain.unit() as session:
        settings = AgentSettingsWrite(model="offline", policy={"fix_rounds": 0})
        service = AgentSettingsService(session, bench.domain.ports.get(Gateway))
        service.put(bench.session.project_id, settings, None)
    result = bench.generate(propose(dict(BROKEN)), model="openai/gpt-6.1-sol")
    assert (result.stopped, bench.runs()) == (None, [])
