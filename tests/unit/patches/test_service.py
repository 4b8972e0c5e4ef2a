"""The rules of patches: exact bytes, two people, one run at a time."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import func, select

from devstudio_server.execution.models import Run
from devstudio_server.execution.schemas import RunStatus
from devstudio_server.execution.service import RunEnd
from devstudio_server.jobs.models import Job
from devstudio_server.kit.ids import new_id
from devstudio_server.patches.errors import (
    ApplyUnderWay,
    BranchInvalid,
    BranchMismatch,
    DigestMismatch,
    OwnPatch,
    PatchNotApproved,
    PatchNotFound,
    PatchNotPending,
)
from devstudio_server.patches.models import Approval, Patch
from devstudio_server.patches.schemas import PatchQuery, PatchRead, PatchStatus
from devstudio_server.patches.service import criterion_warnings
from devstudio_server.projects.errors import ProjectArchived, ProjectNotFound
from devstudio_server.projects.schemas import ProjectUpdate, SettableStatus
from devstudio_server.specs.schemas import SpecSessionRead, TaskStatus
from support.domain_world import ADDER, REQUIREMENTS, TASKS, DomainWorld


@pytest.fixture
def session(domain: DomainWorld) -> SpecSessionRead:
    return domain.session(requirements=REQUIREMENTS, tasks=TASKS)


@pytest.fixture
def patch(domain: DomainWorld, session: SpecSessionRead) -> UUID:
    return domain.patch(domain.tasks(session.id)[0].id, dict(ADDER))


def read(domain: DomainWorld, patch_id: UUID) -> PatchRead:
    with domain.patches() as patches:
        return patches.read(patch_id)


def count(domain: DomainWorld, table: type) -> int:
    with domain.unit() as unit:
        return int(unit.scalar(select(func.count()).select_from(table)) or 0)


def status_of(domain: DomainWorld, session: SpecSessionRead) -> tuple[TaskStatus, str]:
    task = domain.tasks(session.id)[0]
    return task.status, task.status_reason


def test_a_new_patch_is_pending_and_its_task_in_review(
    domain: DomainWorld, session: SpecSessionRead, patch: UUID
) -> None:
    shown = read(domain, patch)
    assert (shown.status, shown.approvals, shown.version) == (PatchStatus.PENDING, [], 1)
    assert status_of(domain, session) == (TaskStatus.REVIEW, "A patch waits for review.")
    with domain.patches() as patches:
        preview = patches.preview(patch)
    assert preview.digest == shown.digest
    assert {file.path: file.new for file in preview.files} == ADDER


def test_the_only_user_approves_the_own_patch_and_the_record_says_so(
    domain: DomainWorld, session: SpecSessionRead, patch: UUID
) -> None:
    digest = read(domain, patch).digest
    with domain.reviews() as reviews:
        approved = reviews.approve(patch, f"sha256:{digest.upper()}")
    assert (approved.status, approved.approved_by, approved.version) == (
        PatchStatus.APPROVED,
        domain.actor.user_id,
        2,
    )
    (approval,) = approved.approvals
    assert (approval.self_reviewed, approval.digest, approval.user_name) == (True, digest, domain.actor.name)
    assert status_of(domain, session)[1] == "The patch is approved and waits to be applied."


def test_another_person_approves_without_the_mark(domain: DomainWorld, patch: UUID) -> None:
    bob = domain.other_user()
    with domain.reviews(bob) as reviews:
        (approval,) = reviews.approve(patch, reviews.patches.read(patch).digest).approvals
    assert (approval.self_reviewed, approval.user_id, approval.user_name) == (False, bob.user_id, "Bob")


def test_in_a_team_nobody_approves_the_own_patch(domain: DomainWorld, session: SpecSessionRead) -> None:
    bob = domain.other_user()
    task_id = domain.tasks(session.id)[0].id
    ana, domain.actor = domain.actor, bob
    patch_id = domain.patch(task_id, dict(ADDER))
    domain.actor = ana
    with pytest.raises(OwnPatch), domain.reviews(bob) as reviews:
        reviews.approve(patch_id, reviews.patches.read(patch_id).digest)
    assert read(domain, patch_id).status is PatchStatus.PENDING
    assert count(domain, Approval) == 0


@pytest.mark.parametrize("digest", ["0" * 64, "", "sha256:", "x" * 64])
def test_another_digest_approves_nothing(domain: DomainWorld, patch: UUID, digest: str) -> None:
    with pytest.raises(DigestMismatch), domain.reviews() as reviews:
        reviews.approve(patch, digest)
    assert (read(domain, patch).status, count(domain, Approval)) == (PatchStatus.PENDING, 0)


def test_bytes_that_changed_under_the_digest_are_not_approved(domain: DomainWorld, patch: UUID) -> None:
    digest = read(domain, patch).digest
    with domain.unit() as unit:
        unit.scalars(select(Patch)).one().patch_content += " "
    with pytest.raises(DigestMismatch), domain.reviews() as reviews:
        reviews.approve(patch, digest)
    assert count(domain, Approval) == 0


def test_a_decided_patch_is_not_decided_again(domain: DomainWorld, session: SpecSessionRead, patch: UUID) -> None:
    domain.approve(patch)
    with pytest.raises(PatchNotPending, match="approved"):
        domain.approve(patch)
    other = domain.patch(domain.tasks(session.id)[0].id, {"x": "1"})
    with domain.reviews() as reviews:
        reviews.reject(other, "no tests")
    with pytest.raises(PatchNotPending, match="rejected"):
        domain.approve(other)
    with pytest.raises(PatchNotPending, match="rejected"), domain.reviews() as reviews:
        reviews.reject(other, "again")
    assert count(domain, Approval) == 1
    assert read(domain, other).rejected_reason == "no tests"


def test_an_approved_patch_is_rejected_while_it_is_not_applied(domain: DomainWorld, patch: UUID) -> None:
    domain.approve(patch)
    with domain.reviews() as reviews:
        rejected = reviews.reject(patch, "On second thought: no tests.")
    assert (rejected.status, rejected.rejected_by, rejected.approved_by) == (
        PatchStatus.REJECTED,
        domain.actor.user_id,
        None,
    )
    with pytest.raises(PatchNotApproved, match="rejected"):
        domain.apply(patch)


def test_only_an_approved_patch_is_applied(domain: DomainWorld, session: SpecSessionRead, patch: UUID) -> None:
    with pytest.raises(PatchNotApproved, match="pending"):
        domain.apply(patch)
    with domain.reviews() as reviews:
        reviews.reject(patch, "no")
    with pytest.raises(PatchNotApproved, match="rejected"):
        domain.apply(patch)
    assert (count(domain, Run), count(domain, Job), domain.wakes) == (0, 0, 0)
    assert status_of(domain, session) == (TaskStatus.IN_PROGRESS, "The patch was rejected: no")


def test_apply_queues_one_run_and_wakes_the_worker_after_the_commit(domain: DomainWorld, patch: UUID) -> None:
    domain.approve(patch)
    with domain.patches() as patches:
        result = patches.apply(patch, None)
        assert domain.wakes == 0
    assert domain.wakes == 1
    assert read(domain, patch).run_id == result.run_id
    with domain.unit() as unit:
        job = unit.scalars(select(Job)).one()
        run = unit.scalars(select(Run)).one()
    assert (job.kind, job.payload) == ("patches.apply", {"run_id": str(result.run_id)})
    assert (run.status, run.branch, run.patch_id) == (RunStatus.PENDING, "main", patch)
    with pytest.raises(ApplyUnderWay, match=str(result.run_id)):
        domain.apply(patch)
    assert count(domain, Run) == 1


def test_after_a_failed_run_the_patch_is_applied_anew(domain: DomainWorld, patch: UUID) -> None:
    domain.approve(patch)
    first = domain.apply(patch)
    with domain.patches() as patches:
        patches.runs.finish(first, RunEnd(RunStatus.FAILED, "red"))
    assert domain.apply(patch) != first


@pytest.mark.parametrize("branch", ["none", "", "-x", "../main", "refs/heads/main", "main^{tree}", "a b", "\0"])
def test_an_unknown_branch_is_refused_and_nothing_queued(domain: DomainWorld, patch: UUID, branch: str) -> None:
    domain.approve(patch)
    if branch == "":  # as absent
        with domain.patches() as patches:
            assert patches.runs.get(patches.apply(patch, branch).run_id).branch == "main"
        return
    with pytest.raises(BranchInvalid, match="main"), domain.patches() as patches:
        patches.apply(patch, branch)
    assert count(domain, Run) == 0


def test_a_patch_goes_to_its_own_branch_only(domain: DomainWorld, session: SpecSessionRead, patch: UUID) -> None:
    repository = domain.repository(session.project_id)
    head = repository.head("main")
    assert head is not None
    repository.move_branch("feature/x", head, None)
    domain.approve(patch)
    with pytest.raises(BranchMismatch, match=r"not for feature/x.*PUT"), domain.patches() as patches:
        patches.apply(patch, "feature/x")
    assert count(domain, Run) == 0
    with domain.patches() as patches:
        run = patches.runs.get(patches.apply(patch, "main").run_id)
    assert run.branch == "main"


def test_an_archived_project_takes_no_patch(domain: DomainWorld, session: SpecSessionRead, patch: UUID) -> None:
    domain.approve(patch)
    with domain.projects() as projects:
        projects.update(session.project_id, ProjectUpdate(status=SettableStatus.ARCHIVED), None)
    with pytest.raises(ProjectArchived):
        domain.apply(patch)


def test_patches_that_are_not_there(domain: DomainWorld, session: SpecSessionRead, patch: UUID) -> None:
    with pytest.raises(PatchNotFound):
        read(domain, new_id())
    with domain.projects() as projects:
        projects.delete(session.project_id, None)
    with pytest.raises(ProjectNotFound):
        read(domain, patch)


def test_reasons_of_rejections_newest_first_and_bounded(domain: DomainWorld, session: SpecSessionRead) -> None:
    task_id = domain.tasks(session.id)[0].id
    for number in range(5):
        patch_id = domain.patch(task_id, {"x": str(number)})
        with domain.reviews() as reviews:
            reviews.reject(patch_id, f"reason {number}")
    with domain.patches() as patches:
        assert patches.rejection_reasons(task_id) == ["reason 4", "reason 3", "reason 2"]
        assert patches.rejection_reasons(new_id()) == []


def test_lists_filter_and_carry_approvals(domain: DomainWorld, session: SpecSessionRead, patch: UUID) -> None:
    second = domain.tasks(session.id)[1].id
    other = domain.patch(second, {"x": "1"})
    domain.approve(patch)
    with domain.patches() as patches:
        everything = patches.list(PatchQuery())
        approved = patches.list(PatchQuery(status=PatchStatus.APPROVED))
        by_task = patches.list(PatchQuery(task_id=second))
    assert [row.id for row in everything.items] == [other, patch]
    assert [(row.id, len(row.approvals)) for row in approved.items] == [(patch, 1)]
    assert [row.id for row in by_task.items] == [other]


@pytest.mark.parametrize(
    ("text", "unnamed"),
    [
        ('@pytest.mark.criterion("1.1")', ["1.10"]),
        ("test('adds [1.1] [1.10]')", []),
        ("criterion('1.1', '1.10')", []),
        ("# 1.1 1.10", ["1.1", "1.10"]),
        ("[11]", ["1.1", "1.10"]),
    ],
)
def test_a_criterion_that_no_test_names_is_warned_of(text: str, unnamed: list[str]) -> None:
    warnings = criterion_warnings(["1.1", "1.10"], ["", text])
    assert [warning.split("criterion ")[1].split(",")[0] for warning in warnings] == unnamed
