"""Refactoring with real services, a model server, and the plain process as sandbox."""

from __future__ import annotations

from typing import Any

import pytest

from devstudio_server.execution.models import Run
from devstudio_server.kit.errors import AppError, BadGateway
from devstudio_server.patches.schemas import LoopEnd, PatchStatus
from devstudio_server.planning.public_names import changed_names
from devstudio_server.planning.refactor import RefactoringInvalid, RefactoringService
from devstudio_server.planning.schemas import RefactorRequest, RefactorResult
from devstudio_server.specs.schemas import SpecSessionQuery
from support.domain_world import ADDER, DomainWorld
from support.fix_bench import FixBench, propose
from support.model_server import Answer, Call

BETTER = "def add(*numbers):\n    total = 0\n    for number in numbers:\n        total += number\n    return total\n"


class RefactorBench(FixBench):
    """A bench whose project has code: the adder, committed."""

    def __init__(self, domain: DomainWorld, files: dict[str, str] = ADDER) -> None:
        super().__init__(domain)
        repository = domain.repository(self.session.project_id)
        head = repository.require_head("main")
        tree = repository.change(repository.tree(head), {path: text.encode() for path, text in files.items()})
        commit = repository.commit(tree, (head,), "Add the adder", self.author())
        repository.move_branch("main", commit, head)

    def refactor(self, *script: Answer, **fields: Any) -> RefactorResult:
        request = RefactorRequest(
            project_id=self.session.project_id, **{"instructions": "Use a loop.", "paths": ["adder.py"]} | fields
        )
        domain = self.domain
        with self.model(script):
            service = RefactoringService(domain.units, domain.actor, domain.ports, self.told, self.left)
            return service.refactor(request)


@pytest.fixture
def bench(domain: DomainWorld) -> RefactorBench:
    return RefactorBench(domain)


def test_what_passed_before_passes_after(bench: RefactorBench) -> None:
    result = bench.refactor(propose({"adder.py": BETTER}))
    assert (result.stopped, result.kept_tests, result.broken_tests, result.api_changes) == (LoopEnd.PASSED, 2, [], [])
    assert (result.status, result.warnings) == (PatchStatus.PENDING, [])
    runs: list[Run] = list(bench.runs())
    assert [run.id for run in runs] == [result.base_run_id, result.rounds[0].run_id]
    prompt = bench.requests[0].turns[0].text
    assert "return sum(numbers)" in prompt
    assert "Use a loop." in prompt
    assert bench.requests[0].system.startswith("You refactor")


def test_a_test_that_does_not_pass_any_more_is_fed_back(bench: RefactorBench) -> None:
    result = bench.refactor(propose({"adder.py": "def add(*numbers):\n    return 3\n"}), propose({"adder.py": BETTER}))
    assert (result.stopped, [done.failed for done in result.rounds]) == (LoopEnd.PASSED, [1, 0])


def test_a_test_that_is_gone_counts_as_broken(bench: RefactorBench) -> None:
    fewer = ADDER["test_adder.py"].split('@pytest.mark.criterion("1.2")')[0]
    result = bench.refactor(propose({"adder.py": BETTER, "test_adder.py": fewer}), fix_rounds=1)
    assert (result.stopped, result.kept_tests) == (LoopEnd.STUCK, 1)
    assert [name.rpartition("::")[2].rpartition(".")[2] for name in result.broken_tests] == ["test_empty"]
    assert any("not named: test_adder.py" in warning for warning in result.warnings)


def test_what_failed_before_does_not_count(domain: DomainWorld) -> None:
    broken = {**ADDER, "test_old.py": "def test_old():\n    assert False\n"}
    result = RefactorBench(domain, broken).refactor(propose({"adder.py": BETTER}))
    assert (result.stopped, result.kept_tests, result.broken_tests) == (LoopEnd.PASSED, 2, [])


def test_a_change_of_what_others_use_is_warned_of(bench: RefactorBench) -> None:
    changed = BETTER.replace("*numbers", "*numbers, start=0")
    result = bench.refactor(propose({"adder.py": changed}))
    assert result.api_changes == ["adder.py: add(*numbers) is add(*numbers, start=0) now."]
    assert f"Other code may use this: {result.api_changes[0]}" in result.warnings


def test_the_patch_belongs_to_the_task_that_was_named(bench: RefactorBench) -> None:
    task = bench.domain.tasks(bench.session.id)[0]
    result = bench.refactor(propose({"adder.py": BETTER}), task_id=task.id, fix_rounds=0)
    assert (result.task_id, result.stopped, result.base_run_id) == (task.id, None, None)


def test_a_task_is_added_to_the_session_that_was_named(bench: RefactorBench) -> None:
    result = bench.refactor(propose({"adder.py": BETTER}), session_id=bench.session.id, fix_rounds=0)
    tasks = bench.domain.tasks(bench.session.id)
    assert [(task.key, task.title) for task in tasks][2:] == [("3", "Refactor: Use a loop.")]
    assert tasks[2].id == result.task_id


def test_without_either_there_is_a_new_session(bench: RefactorBench) -> None:
    result = bench.refactor(propose({"adder.py": BETTER}), fix_rounds=0)
    with bench.domain.specs() as specs:
        sessions = specs.list(SpecSessionQuery(project_id=bench.session.project_id)).items
        assert specs.get_task(result.task_id).session_id == sessions[0].id
        assert [session.title for session in sessions] == ["Refactor: Use a loop.", "First"]


@pytest.mark.parametrize("fields", [{"paths": ["none.py"]}, {"paths": []}, {"model": "offline"}])
def test_what_cannot_be_refactored_costs_no_call(bench: RefactorBench, fields: dict[str, Any]) -> None:
    with pytest.raises(RefactoringInvalid):
        bench.refactor(propose({"adder.py": BETTER}), **fields)
    assert bench.requests == []


BAD = {
    "no tool call": Answer("I refactored it."),
    "unknown tool": Answer(calls=[Call("delete_everything", {})]),
    "invalid arguments": Answer(calls=[Call("propose_changes", {"files": 1})]),
    "a path outside": propose({"../../etc/passwd": "x"}),
    "cut at the limit": Answer("x", stop="length"),
}


@pytest.mark.parametrize("wrong", BAD.values(), ids=BAD.keys())
def test_a_wrong_answer_is_fed_back_once_and_changes_nothing(bench: RefactorBench, wrong: Answer) -> None:
    with pytest.raises(AppError) as refused:
        bench.refactor(wrong, fix_rounds=0)
    assert isinstance(refused.value, BadGateway)
    assert len(bench.requests) == 2
    with bench.domain.specs() as specs:
        assert len(specs.list(SpecSessionQuery(project_id=bench.session.project_id)).items) == 1
    assert len(bench.refactor(wrong, propose({"adder.py": BETTER}), fix_rounds=0).files) == 1


def test_public_names_of_scripts() -> None:
    before = "export function add(a, b) {}\nexport const ONE = 1;\nfunction own() {}\nexport { own as mine };\n"
    after = "export function add(a) {}\nfunction own() {}\nexport { own as mine };\n"
    assert changed_names({"src/a.js": before}, {"src/a.js": after}) == [
        "src/a.js: add(a,b) is add(a) now.",
        "src/a.js: ONE is gone.",
    ]
    assert changed_names({"test/a.test.js": before}, {"test/a.test.js": None}) == []


def test_public_names_of_python() -> None:
    before = "class A:\n    def run(self, x: int) -> int: ...\n    def _own(self): ...\nB = 1\ndef _c(): ...\n"
    after = "class A:\n    def run(self, x: float) -> float: ...\n"
    assert changed_names({"a.py": before}, {"a.py": after}) == ["a.py: B is gone."]
    assert changed_names({"a.py": before}, {"a.py": "class ("}) == []
