"""Strict proof: the tests alone have to fail on the tree that the patch changes, in a run of their own, once."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from devstudio_sandbox import Backend
from devstudio_sandbox.conventions import belongs_to_tests
from devstudio_server.db import Actor
from devstudio_server.execution.jobs import give_up
from devstudio_server.execution.models import Run
from devstudio_server.execution.recovery import OrphanedRuns
from devstudio_server.execution.schemas import RunStatus
from devstudio_server.patches.application_record import EVIDENCE_TYPE
from devstudio_server.patches.policy_schemas import PolicyWrite
from devstudio_server.patches.review import ReviewService
from devstudio_server.scm.git import Author
from devstudio_server.signing.signer import Signer, digest_of_envelope
from devstudio_server.specs.models import EvidenceRow
from devstudio_server.specs.schemas import EvidenceState, SpecSessionRead, TaskEvidence, TaskStatus
from support.domain_world import ADDER, REQUIREMENTS, TASKS, DomainWorld
from support.job_drain import JobDrain
from support.watched import Watched

AUTHOR = Author("Someone", "someone@example.org")
VACUOUS = ADDER["test_adder.py"].replace("import pytest\nfrom adder import add\n", "import pytest\n")
VACUOUS = VACUOUS.replace("assert add(1, 2) == 3", "from adder import add\n\n    assert add(1, 2) == 3")
VACUOUS = VACUOUS.replace("assert add() == 0", "assert True")


@pytest.fixture
def backend(domain: DomainWorld) -> Watched:
    watched = Watched()
    checked: Backend = watched
    domain.backend = checked
    return watched


@pytest.fixture
def session(domain: DomainWorld) -> SpecSessionRead:
    """A session of a project that asks for strict proof."""
    made = domain.session(requirements=REQUIREMENTS, tasks=TASKS)
    with domain.unit() as unit:
        review = ReviewService(unit, domain.actor, domain.ports)
        review.set_policy(review.patches.specs.projects.get(made.project_id), PolicyWrite(strict_proof=True), None)
    return made


def apply(domain: DomainWorld, session: SpecSessionRead, files: dict[str, str] = ADDER) -> UUID:
    patch_id = domain.patch(domain.tasks(session.id)[0].id, dict(files))
    domain.approve(patch_id)
    return domain.apply(patch_id)


def get(domain: DomainWorld, run_id: UUID | None) -> Run:
    assert run_id is not None
    with domain.patches() as patches:
        return patches.runs.get(run_id)


def evidence(domain: DomainWorld, session: SpecSessionRead) -> TaskEvidence:
    with domain.specs() as specs:
        return specs.task_evidence(specs.tasks(session.id).items[0].id)


def commits(domain: DomainWorld, session: SpecSessionRead) -> int:
    path = domain.repository(session.project_id).path
    done = subprocess.run(["git", "-C", path, "rev-list", "--count", "main"], check=True, capture_output=True)
    return int(done.stdout)


def rows(domain: DomainWorld) -> list[EvidenceRow]:
    with domain.unit(read_only=True) as unit:
        return [*unit.scalars(select(EvidenceRow).order_by(EvidenceRow.id))]


def test_what_fails_without_the_change_and_passes_with_it_is_proven(
    domain: DomainWorld, session: SpecSessionRead, backend: Watched
) -> None:
    run_id = apply(domain, session)
    JobDrain(domain).all()
    run = get(domain, run_id)
    base = get(domain, run.base_run_id)
    repository = domain.repository(session.project_id)
    assert (run.status, run.reason, run.commit) == (RunStatus.SUCCESS, "2 tests passed.", repository.head("main"))
    assert (base.status, base.task_id, base.tree != run.tree) == (RunStatus.FAILED, run.task_id, True)
    assert repository.files(str(base.tree)) == ["test_adder.py"], "the tests alone"
    assert (backend.opened, commits(domain, session)) == (2, 2)
    message = subprocess.run(
        ["git", "-C", repository.path, "log", "-1", "--format=%(trailers:key=DevStudio-Base-Run,valueonly)", "main"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert message.strip() == str(base.id)
    task = domain.tasks(session.id)[0]
    assert task.status is TaskStatus.DONE
    assert task.evidence is not None
    assert (task.evidence.strict, task.evidence.base_run_id, task.evidence.lost) == (True, base.id, [])
    told = evidence(domain, session).criteria
    assert [(one.key, one.state, one.proof and one.proof.tests) for one in told] == [
        ("1.1", EvidenceState.PROVEN, ["test_adder::test_adds"]),
        ("1.2", EvidenceState.PROVEN, ["test_adder::test_empty"]),
    ]
    assert "not without the change" in told[0].why


def test_the_run_signs_what_it_proves(domain: DomainWorld, session: SpecSessionRead) -> None:
    run_id = apply(domain, session)
    JobDrain(domain).all()
    run = get(domain, run_id)
    said = domain.ports.get(Signer).verify(str(run.statement), EVIDENCE_TYPE)
    with domain.patches() as patches:
        patch = patches.get(UUID(said["patch_id"]))
    shown = {"run_id": str(run.id), "base_run_id": str(run.base_run_id), "tree": run.tree, "commit": run.commit}
    assert said.items() >= shown.items()
    assert said["patch_envelope_sha256"] == digest_of_envelope(str(patch.envelope))
    assert len(said["approvals"]) == 1
    assert [(one["key"], one["strict"], one["tests"]) for one in said["criteria"]] == [
        ("1.1", True, ["test_adder::test_adds"]),
        ("1.2", True, ["test_adder::test_empty"]),
    ]
    assert said["log_sha256"] == rows(domain)[0].log_sha256 is not None


def test_a_test_that_passes_without_the_change_proves_nothing(domain: DomainWorld, session: SpecSessionRead) -> None:
    run_id = apply(domain, session, {**ADDER, "test_adder.py": VACUOUS})
    JobDrain(domain).all()
    assert get(domain, run_id).status == RunStatus.SUCCESS
    assert commits(domain, session) == 2, "its tests pass, so it is committed"
    task = domain.tasks(session.id)[0]
    assert task.status is TaskStatus.IN_PROGRESS
    expected = "Applied, but the tests of 1.2 pass without the change, too, so they do not prove it."
    assert task.status_reason == expected
    assert [one.state for one in evidence(domain, session).criteria] == [EvidenceState.PROVEN, EvidenceState.MISSING]


def test_tests_that_were_there_before_the_code_prove_it(domain: DomainWorld, session: SpecSessionRead) -> None:
    repository = domain.repository(session.project_id)
    head = str(repository.head("main"))
    made = {"test_adder.py": ADDER["test_adder.py"].encode()}
    commit = repository.commit(repository.change(repository.tree(head), made), (head,), "tests first", AUTHOR)
    repository.move_branch("main", commit, head)
    apply(domain, session, {"adder.py": ADDER["adder.py"]})
    JobDrain(domain).all()
    assert domain.tasks(session.id)[0].status is TaskStatus.DONE


def test_a_patch_whose_tests_fail_is_not_run_without_the_change(
    domain: DomainWorld, session: SpecSessionRead, backend: Watched
) -> None:
    run_id = apply(domain, session, {**ADDER, "adder.py": "def add(*numbers):\n    return 0\n"})
    JobDrain(domain).all()
    run = get(domain, run_id)
    assert (run.status, run.base_run_id, backend.opened, commits(domain, session)) == (RunStatus.FAILED, None, 1, 1)


def test_while_the_tests_run_without_the_change_the_run_says_what_it_waits_for(
    domain: DomainWorld, session: SpecSessionRead
) -> None:
    run_id = apply(domain, session)
    drain = JobDrain(domain)
    for _ in range(3):
        assert drain.step()
    run = get(domain, run_id)
    assert (run.status, f"Waiting for run {run.base_run_id}" in str(run.reason)) == (RunStatus.RUNNING, True)
    log = domain.logs.read(domain.actor.tenant_id, run_id, 0, 1_000_000).decode()
    assert "Waiting for a run of them without the change" in log
    with domain.unit() as unit:
        assert OrphanedRuns(domain.ports).settle(unit) == 0, "it has no job of its own now, and is no orphan"
    drain.all()
    assert get(domain, run_id).status == RunStatus.SUCCESS


@pytest.mark.parametrize("which", ["apply", "base"])
@pytest.mark.parametrize("begun", [False, True], ids=["waiting", "running"])
def test_cancelling_either_run_ends_both(
    domain: DomainWorld, session: SpecSessionRead, backend: Watched, which: str, *, begun: bool
) -> None:
    run_id = apply(domain, session)
    drain = JobDrain(domain)
    for _ in range(3):
        drain.step()
    base_id = get(domain, run_id).base_run_id
    chosen = run_id if which == "apply" else base_id
    assert chosen is not None

    def cancel() -> None:
        with domain.patches() as patches:
            patches.runs.cancel(chosen)

    if begun:
        backend.then = cancel
    else:
        cancel()
    drain.all()
    ended = [get(domain, one) for one in (run_id, base_id)]
    assert [run.status for run in ended] == [RunStatus.CANCELLED] * 2
    assert "Nothing was committed" in str(ended[0].reason)
    assert (commits(domain, session), rows(domain)) == (1, [])
    with domain.unit(read_only=True) as unit:
        assert unit.scalars(select(Run).where(Run.status.in_(("pending", "running")))).all() == []


def test_a_run_without_the_change_that_never_ran_fails_the_patch(domain: DomainWorld, session: SpecSessionRead) -> None:
    run_id = apply(domain, session)
    drain = JobDrain(domain)
    for _ in range(3):
        drain.step()
    base_id = get(domain, run_id).base_run_id
    assert base_id is not None
    give_up(domain.job(), {"run_id": str(base_id)}, "Every worker died.")
    drain.all()
    run = get(domain, run_id)
    assert (run.status, commits(domain, session)) == (RunStatus.FAILED, 1)
    assert "could not be run" in str(run.reason)
    assert "Every worker died." in domain.tasks(session.id)[0].status_reason


@contextmanager
def dying_at(domain: DomainWorld, transaction: int, *, committed: bool) -> Iterator[None]:
    """Let the process die in its n-th transaction, just before it commits or just after, and once only."""
    real = domain.units.begin
    count = 0

    @contextmanager
    def begin(actor: Actor, *, read_only: bool = False) -> Iterator[Session]:
        nonlocal count
        count += 1
        mine = count
        with real(actor, read_only=read_only) as unit:
            yield unit
            if mine == transaction and not committed:
                raise KeyboardInterrupt
        if mine == transaction:
            raise KeyboardInterrupt

    domain.units.begin = begin  # type: ignore[method-assign]
    try:
        yield
    finally:
        domain.units.begin = real  # type: ignore[method-assign]


@pytest.mark.parametrize("committed", [False, True], ids=["before", "after"])
def test_wherever_it_dies_and_is_done_again_there_is_one_commit_and_one_proof(
    domain: DomainWorld, session: SpecSessionRead, backend: Watched, *, committed: bool
) -> None:
    """Die at every transaction of the chain in turn, the n-th try at the n-th; then deliver every job twice."""
    run_id = apply(domain, session)
    drain, deaths, transaction = JobDrain(domain), 0, 1
    while True:
        with dying_at(domain, transaction, committed=committed):
            try:
                if not drain.step():
                    break
                transaction = 1
            except KeyboardInterrupt:
                deaths, transaction = deaths + 1, transaction + 1
    assert deaths > 15
    run = get(domain, run_id)
    assert (run.status, run.reason, commits(domain, session)) == (RunStatus.SUCCESS, "2 tests passed.", 2)
    assert [row.key for row in rows(domain)] == ["1.1", "1.2"]
    assert domain.tasks(session.id)[0].status is TaskStatus.DONE
    before = drain.kinds()
    assert before == {"patches.apply": 1, "exec.run": 2, "patches.commit": 2}, "no step enqueued the next one twice"
    JobDrain(domain, deliveries=2).all()
    assert (drain.kinds(), commits(domain, session), len(rows(domain))) == (before, 2, 2)
    assert json.loads(str(get(domain, run_id).statement)) == json.loads(str(run.statement))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("tests/data/x.json", True), ("test_a.py", True), ("src/a_test.py", True), ("conftest.py", True),
        ("web/a.test.mjs", True), ("web/a-test.js", True), ("src/__tests__/a.js", True),
        ("src/testing.py", False), ("latest.py", False), ("contest.py", False), ("attests/a.py", False),
    ],
)  # fmt: skip
def test_what_belongs_to_tests_is_said_by_names(path: str, *, expected: bool) -> None:
    assert belongs_to_tests(path) is expected
