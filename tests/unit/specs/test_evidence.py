"""The ledger of evidence: the newest word on a criterion's text counts, and only runs of committed trees have one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import pytest

from devstudio_sandbox import Completed, TestReport, TestResult
from devstudio_sandbox.recipes import python_test
from devstudio_server.execution.models import Run
from devstudio_server.execution.results import MAX_PROVING_TESTS, MAX_TESTS, Ended, RunResult, judge
from devstudio_server.execution.schemas import RequestedType, RunCreate, RunStatus, RunType, TestOutcome
from devstudio_server.execution.service import RunEnd
from devstudio_server.execution.starting import RunStarter
from devstudio_server.execution.work import RunWork
from devstudio_server.kit.ids import new_id
from devstudio_server.scm.git import Author
from devstudio_server.specs.schemas import CriterionEvidence, EvidenceState, SpecSessionRead, TaskRead, TaskStatus
from devstudio_server.specs.tested import Proof, ProvingRun, Tested
from support.domain_world import ADDER, REQUIREMENTS, TASKS, DomainWorld
from support.job_drain import JobDrain

ADDS, EMPTY = "test_adder::test_adds", "test_adder::test_empty"
PROOFS = {"1.1": Proof((ADDS,), strict=True), "1.2": Proof((EMPTY, "test_adder::test_none"))}


@dataclass
class Ledger:
    """One session with evidence, and what later runs say of it."""

    domain: DomainWorld
    session: SpecSessionRead

    def run(self) -> UUID:
        with self.domain.unit() as unit:
            run = Run(project_id=self.session.project_id, type=RunType.TEST, created_by=self.domain.actor.user_id)
            unit.add(run)
            unit.flush()
            return run.id

    def prove(self, patch_id: UUID | None = None, branch: str = "main", **proofs: Proof) -> ProvingRun:
        run = ProvingRun(self.run(), "a" * 40, "t" * 40, branch, patch_id, new_id(), "f" * 64)
        with self.domain.specs() as specs:
            digests = specs.criteria_digests(self.session.id)
            specs.evidence.record(self.session.id, run, proofs or PROOFS, digests)
        return run

    def follow(
        self, *, whole: bool = False, complete: bool = True, branch: str = "main", run_id: UUID | None = None,
        **outcomes: str,
    ) -> UUID:  # fmt: skip
        """Let a run tell the ``outcomes`` of ``adds``, ``empty``, ``none`` and others."""
        tests = [
            TestOutcome(id=f"test_adder::test_{name}", name=name, outcome=said, criteria=[])
            for name, said in outcomes.items()
        ]
        run = ProvingRun(run_id or self.run(), "b" * 40, "u" * 40, branch)
        with self.domain.specs() as specs:
            tested = Tested.of(tests, complete=complete)
            specs.evidence.follow(self.session.project_id, run, tested, whole=whole)
        return run.run_id

    def task(self) -> TaskRead:
        return self.domain.tasks(self.session.id)[0]

    def criterion(self, key: str) -> CriterionEvidence:
        task_id = self.task().id
        with self.domain.specs() as specs:
            found = specs.task_evidence(task_id).criteria
        return next(criterion for criterion in found if criterion.key == key)

    def states(self) -> list[EvidenceState]:
        return [self.criterion(key).state for key in ("1.1", "1.2")]


PROVEN, LOST, MISSING = EvidenceState.PROVEN, EvidenceState.LOST, EvidenceState.MISSING


@pytest.fixture
def ledger(domain: DomainWorld) -> Ledger:
    return Ledger(domain, domain.session(requirements=REQUIREMENTS, tasks=TASKS))


def test_a_proof_names_everything_it_stands_on(ledger: Ledger) -> None:
    assert ledger.states() == [MISSING, MISSING]
    patch_id = new_id()
    run = ledger.prove(patch_id)
    told = ledger.criterion("1.1")
    assert told.proof is not None
    assert told.history == [told.proof]
    shown = told.proof
    assert (shown.run_id, shown.base_run_id, shown.patch_id) == (run.run_id, run.base_run_id, patch_id)
    assert (shown.commit, shown.tree, shown.branch, shown.tests) == (run.commit, run.tree, "main", [ADDS])
    assert (shown.strict, shown.present, shown.log_sha256) == (True, True, "f" * 64)
    assert told.why == (f"Proven by `{ADDS}` in run {run.run_id} on commit {'a' * 12}, and not without the change.")
    plain = ledger.criterion("1.2").proof
    assert plain is not None
    assert (plain.strict, plain.base_run_id) == (False, None)
    task = ledger.task()
    assert task.evidence is not None
    assert (task.status, task.evidence.strict, task.evidence.base_run_id) == (TaskStatus.DONE, False, run.base_run_id)


def test_a_later_failing_test_takes_a_proof_away_and_a_passing_one_gives_it_back(ledger: Ledger) -> None:
    first = ledger.prove()
    failed = ledger.follow(adds="failed", empty="passed", none="passed")
    task = ledger.task()
    why = f"Run {failed} on commit {'b' * 12}: test `{ADDS}` failed."
    assert (task.status, task.status_reason) == (TaskStatus.IN_PROGRESS, f"No longer proven: 1.1. {why}")
    assert task.evidence is not None
    assert [(lost.key, lost.why) for lost in task.evidence.lost] == [("1.1", why)]
    told = ledger.criterion("1.1")
    assert (told.state, told.why, told.proof and told.proof.lost_by) == (LOST, why, failed)
    ledger.follow(adds="skipped", empty="passed", none="passed")
    assert ledger.states() == [LOST, PROVEN], "a skipped test shows nothing"
    passed = ledger.follow(adds="passed", empty="passed", none="passed")
    told = ledger.criterion("1.1")
    assert told.proof is not None
    assert (told.proof.run_id, told.proof.strict, told.proof.base_run_id) == (passed, True, first.base_run_id)
    assert [entry.outcome.value for entry in told.history] == ["proven", "failed", "proven"]
    assert len(ledger.criterion("1.2").history) == 1, "what was never in doubt is not told again"
    assert ledger.task().status is TaskStatus.DONE


def test_one_of_several_tests_is_enough_to_refute_and_none_is_missed(ledger: Ledger) -> None:
    ledger.prove()
    ledger.follow(adds="passed", empty="passed", none="error")
    assert ledger.states() == [PROVEN, LOST]
    ledger.follow(adds="passed", empty="passed")
    assert ledger.states() == [PROVEN, LOST], "all of them have to pass again"


@pytest.mark.parametrize(
    ("whole", "complete", "state"), [(True, True, LOST), (True, False, PROVEN), (False, True, PROVEN)]
)
def test_only_a_whole_report_of_a_patch_can_tell_that_tests_are_gone(
    ledger: Ledger, *, whole: bool, complete: bool, state: EvidenceState
) -> None:
    ledger.prove()
    run_id = ledger.follow(whole=whole, complete=complete, adds="passed", other="passed")
    assert ledger.states() == [PROVEN, state]
    if state is LOST:
        told = (
            f"Run {run_id} on commit {'b' * 12}: the tests `{EMPTY}`, `test_adder::test_none` that proved it are gone."
        )
        assert ledger.criterion("1.2").why == told


def test_a_module_that_cannot_be_imported_fails_its_tests(ledger: Ledger) -> None:
    ledger.prove()
    broken = [TestOutcome(id="test_adder", name="test_adder", outcome="error", criteria=[])]
    other = [TestOutcome(id="test_add", name="test_add", outcome="error", criteria=[])]
    for tests, state in ((other, PROVEN), (broken, LOST)):
        run, tested = ProvingRun(ledger.run(), "b" * 40, "u" * 40, "main"), Tested.of(tests, complete=True)
        with ledger.domain.specs() as specs:
            specs.evidence.follow(ledger.session.project_id, run, tested, whole=False)
        assert ledger.states() == [state, state]


def test_a_file_of_node_that_cannot_be_loaded_fails_what_it_may_have_had() -> None:
    tested = Tested.of(
        [
            TestOutcome(id="/workspace/test/b.test.js", name="b", outcome="failed", criteria=[]),
            TestOutcome(id="[1.1] adds", name="a", outcome="passed", criteria=[]),
        ],
        complete=True,
    )
    assert tested.failing(["[1.1] adds", "[1.2] none", "test_python::test_it"]) == ["[1.2] none"]


def test_runs_of_other_branches_and_of_before_say_nothing(ledger: Ledger) -> None:
    early = ledger.run()
    ledger.prove()
    ledger.follow(adds="failed", branch="release/1")
    ledger.follow(adds="failed", run_id=early)
    assert ledger.states() == [PROVEN, PROVEN]


def test_a_revert_takes_away_what_the_patch_proved_and_no_run_gives_it_back(ledger: Ledger) -> None:
    patch_id, revert = new_id(), new_id()
    ledger.prove(new_id(), **{"1.2": PROOFS["1.2"]})
    ledger.prove(patch_id, **{"1.1": PROOFS["1.1"]})
    ledger.follow(adds="failed")
    ledger.follow(adds="passed")
    run = ProvingRun(ledger.run(), "c" * 40, "v" * 40, "main", revert)
    with ledger.domain.specs() as specs:
        assert specs.evidence.proven_by(ledger.session.id, patch_id) == {"1.1"}
        specs.evidence.revert(ledger.session.project_id, patch_id, run)
    told = ledger.criterion("1.1")
    assert (ledger.states(), told.proof and told.proof.lost_by) == ([LOST, PROVEN], revert)
    assert told.why == f"The patch {patch_id}, which had proven it, was reverted by commit {'c' * 12}."
    ledger.follow(adds="passed", empty="passed", none="passed")
    assert ledger.states() == [LOST, PROVEN]
    ledger.prove(new_id(), **{"1.1": PROOFS["1.1"]})
    assert ledger.task().status is TaskStatus.DONE


def test_an_edited_criterion_loses_its_proof_and_has_it_again_with_its_words(ledger: Ledger) -> None:
    run = ledger.prove()
    ledger.domain.write(ledger.session.id, requirements=REQUIREMENTS.replace("answer 0", "answer zero"))
    told = ledger.criterion("1.2")
    assert (told.state, told.why) == (LOST, f"Its text changed after run {run.run_id} proved it.")
    assert [entry.present for entry in told.history] == [False]
    assert ledger.task().status_reason == "Suspect: 1.2 changed after being proven."
    ledger.follow(adds="failed", empty="failed", none="passed")
    assert ledger.task().status_reason.startswith(
        "Suspect: 1.2 changed after being proven. No longer proven: 1.1. Run "
    )
    written = ledger.domain.read(ledger.session.id).documents.requirements.content
    ledger.domain.write(ledger.session.id, requirements=written.replace("answer zero", "answer 0"))
    assert ledger.states() == [LOST, LOST], "the proof of its first words was refuted meanwhile"
    ledger.follow(adds="passed", empty="passed", none="passed")
    assert ledger.task().status is TaskStatus.DONE


def test_another_session_with_the_same_keys_is_another_matter(ledger: Ledger) -> None:
    domain = ledger.domain
    with domain.projects() as projects:
        project = projects.get(ledger.session.project_id)
    other = Ledger(domain, domain.session(project, "Second", requirements=REQUIREMENTS, tasks=TASKS))
    ledger.prove()
    assert other.states() == [MISSING, MISSING]
    with domain.specs() as specs:
        assert specs.evidence.claimed(project.id, other.session.id) == {ADDS, EMPTY, "test_adder::test_none"}
        assert specs.evidence.claimed(project.id, ledger.session.id) == set()
    other.follow(adds="failed")
    assert ledger.states() == [LOST, PROVEN], "tests are the project's: a failing one is one for all sessions"


def test_a_test_of_another_session_does_not_prove_a_criterion_of_the_same_number(domain: DomainWorld) -> None:
    first = Ledger(domain, domain.session(requirements=REQUIREMENTS, tasks=TASKS))
    with domain.projects() as projects:
        project = projects.get(first.session.project_id)
    second = Ledger(domain, domain.session(project, "Second", requirements=REQUIREMENTS, tasks=TASKS))
    for ledger, files in ((first, ADDER), (second, {"readme.md": "# Nothing\n"})):
        patch_id = domain.patch(ledger.task().id, dict(files))
        domain.approve(patch_id)
        domain.apply(patch_id)
        JobDrain(domain).all()
    assert (first.task().status, second.task().status) == (TaskStatus.DONE, TaskStatus.IN_PROGRESS)
    assert second.task().status_reason == "Applied, but no passing test names 1.1, 1.2."


def test_a_tick_by_hand_in_a_file_is_put_back_and_answered(ledger: Ledger) -> None:
    folder = ledger.domain.tree(ledger.session.project_id).root / ".devstudio/specs" / ledger.session.slug
    file = folder / "tasks.md"

    def tick() -> None:
        file.write_text(file.read_text().replace("- [ ] 1.", "- [x] 1.").replace("- [ ] 2.", "- [x] 2."))
        assert "- [x] 1." in file.read_text()
        ledger.domain.write(ledger.session.id)
        assert "- [ ] 1." in file.read_text()
        assert "[x]" not in ledger.domain.read(ledger.session.id).documents.tasks.content

    tick()
    asked, thanks = ledger.domain.tasks(ledger.session.id)
    assert (asked.status, asked.status_reason) == (
        TaskStatus.TODO,
        "It was ticked by hand, and the box was put back: no passing run proves 1.1, 1.2.",
    )
    assert thanks.status_reason.endswith("the box was put back: it names no criteria, so no run can prove it.")
    ledger.prove()
    assert ledger.task().status is TaskStatus.DONE
    tick()
    assert ledger.task().status_reason == "Proven by tests: 1.1, 1.2."
    failed = ledger.follow(adds="failed")
    tick()
    assert ledger.task().status is not TaskStatus.DONE
    assert f"Run {failed}" in ledger.task().status_reason, "what took the proof away is said first"


def commit(ledger: Ledger, files: dict[str, str]) -> str:
    """Commit files to main, as someone else does; return the commit of before."""
    repository = ledger.domain.repository(ledger.session.project_id)
    head = str(repository.head("main"))
    tree = repository.change(repository.tree(head), {path: text.encode() for path, text in files.items()})
    made = repository.commit(tree, (head,), "other", Author("Someone", "someone@example.org"))
    repository.move_branch("main", made, head)
    return head


def start(ledger: Ledger, **asked: Any) -> UUID:
    payload = RunCreate(project_id=ledger.session.project_id, type=RequestedType.TEST, **asked)
    with ledger.domain.unit() as unit:
        return RunStarter(unit, ledger.domain.actor, ledger.domain.ports).start(payload).id


def finish(ledger: Ledger, run_id: UUID, outcome: str, status: RunStatus = RunStatus.FAILED) -> None:
    """Let a worker end a run with what ``test_adds`` did."""
    test = TestOutcome(id=ADDS, name="test_adds", outcome=outcome, criteria=["1.1"])
    RunWork(ledger.domain.job(), run_id).finish(RunResult(RunEnd(status, "."), tests=[test]))


def test_of_runs_only_those_of_the_branch_as_it_is_count(ledger: Ledger) -> None:
    commit(ledger, ADDER)
    before = commit(ledger, {"other.txt": "moved on"})
    ledger.prove()
    repository = ledger.domain.repository(ledger.session.project_id)
    uncounted = [
        (start(ledger, ref=before), RunStatus.FAILED),
        (start(ledger, command=["pytest", "-k", "adds"]), RunStatus.FAILED),
        (start(ledger), RunStatus.TIMEOUT),
        (start(ledger), RunStatus.CANCELLED),
    ]
    for run_id, status in uncounted:
        finish(ledger, run_id, "failed", status)
        assert ledger.states() == [PROVEN, PROVEN], status
    for ref in (None, "main", repository.head("main")):
        finish(ledger, start(ledger, ref=ref), "failed")
        assert ledger.states() == [LOST, PROVEN], ref
        finish(ledger, start(ledger, ref=ref), "passed", RunStatus.SUCCESS)
        assert ledger.states() == [PROVEN, PROVEN], ref


def test_a_run_that_is_repeated_counts_only_while_its_commit_is_the_branch(ledger: Ledger) -> None:
    commit(ledger, ADDER)
    ledger.prove()
    first = start(ledger)
    finish(ledger, first, "passed", RunStatus.SUCCESS)

    def repeat() -> UUID:
        with ledger.domain.unit() as unit:
            return RunStarter(unit, ledger.domain.actor, ledger.domain.ports).repeat(first).id

    finish(ledger, repeat(), "failed")
    assert ledger.states() == [LOST, PROVEN]
    before = commit(ledger, {"other.txt": "moved on"})
    finish(ledger, repeat(), "passed", RunStatus.SUCCESS)
    finish(ledger, start(ledger, ref=before), "passed", RunStatus.SUCCESS)
    assert ledger.states() == [LOST, PROVEN], "neither says anything of the branch as it is"


def test_a_report_that_is_cut_names_all_that_failed_and_says_that_it_is_cut() -> None:
    def case(name: str, outcome: Literal["passed", "failed"], key: str) -> TestResult:
        return TestResult(name, "test_many", outcome, (key,), "", "test_many.py", 1, 0.0)

    green = [case(f"test_{number}", "passed", "1.1") for number in range(MAX_TESTS + 50)]
    whole = judged([*green, case("test_late", "passed", "1.2")], 0)
    assert (whole.complete, len(whole.tests), len(whole.proofs["1.1"])) == (False, MAX_TESTS, MAX_PROVING_TESTS)
    assert whole.proofs["1.2"] == ["test_many::test_late"], "also where the run does not keep the test"
    assert RunResult.from_json(whole.to_json()).proofs == whole.proofs
    tested = Tested.of(whole.tests, complete=whole.complete)
    assert (tested.gone(["test_many::test_late"]), tested.passed(["test_many::test_late"])) == (False, False)
    cut = judged([*green, case("test_late", "failed", "1.2")], 1)
    assert Tested.of(cut.tests, complete=cut.complete).failing(["test_many::test_late"]) == ["test_many::test_late"]


def judged(tests: list[TestResult], exit_code: int) -> RunResult:
    done = Completed(
        exit_code, signal=None, timed_out=False, cancelled=False, duration_s=1.0, cpu_s=0.5, max_rss_bytes=1
    )
    recipe = python_test("token", has_src=False)
    return judge(Ended(RunType.TEST, recipe, done, TestReport(tuple(tests)), "", "/w", 600.0, 1024))
