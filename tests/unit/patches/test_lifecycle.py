"""Handing in, changing, rebasing and reverting patches, over a real database and real git."""

from __future__ import annotations

from uuid import UUID

import pytest

from devstudio_server.kit.errors import Invalid, PreconditionFailed
from devstudio_server.kit.ids import new_id
from devstudio_server.patches.errors import (
    BaseInvalid,
    BranchInvalid,
    EmptyPatch,
    NotApplied,
    PatchNotPending,
    PatchRefused,
    ResolutionInvalid,
    RevertConflicts,
)
from devstudio_server.patches.lifecycle import PatchLifecycle
from devstudio_server.patches.lifecycle_schemas import PatchEdit, PatchUpload, RebaseRequest, RevertRequest
from devstudio_server.patches.schemas import PatchOrigin, PatchRead, PatchStatus, RevisionReason
from devstudio_server.projects.errors import ProjectArchived
from devstudio_server.projects.schemas import ProjectUpdate, SettableStatus
from devstudio_server.scm.errors import PatchDoesNotApply, UnsafePath
from devstudio_server.scm.git import Author
from devstudio_server.specs.errors import TaskNotFound
from devstudio_server.specs.schemas import SpecSessionRead
from support.domain_world import ADDER, REQUIREMENTS, TASKS, DomainWorld

START: dict[str, bytes | None] = {"a.txt": b"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "b.txt": b"b\n"}


@pytest.fixture
def session(domain: DomainWorld) -> SpecSessionRead:
    made = domain.session(requirements=REQUIREMENTS, tasks=TASKS)
    move(domain, made, START)
    return made


@pytest.fixture
def life(domain: DomainWorld) -> PatchLifecycle:
    return PatchLifecycle(domain.units, domain.actor, domain.ports)


def move(domain: DomainWorld, session: SpecSessionRead, files: dict[str, bytes | None], branch: str = "main") -> str:
    """Commit ``files`` to a branch, as someone else does."""
    repository = domain.repository(session.project_id)
    before = repository.require_head(branch)
    tree = repository.change(repository.tree(before), files)
    commit = repository.commit(tree, (before,), "other", Author("Else", "else@example.org"))
    repository.move_branch(branch, commit, before)
    return commit


def diff(domain: DomainWorld, session: SpecSessionRead, files: dict[str, bytes | None]) -> str:
    """Return the diff of a change of main's head, and store nothing."""
    repository = domain.repository(session.project_id)
    tree = repository.tree(repository.require_head("main"))
    return repository.diff(tree, repository.change(tree, files)).decode()


def upload(
    domain: DomainWorld, life: PatchLifecycle, session: SpecSessionRead, files: dict[str, bytes | None]
) -> PatchRead:
    task = domain.tasks(session.id)[0].id
    return life.upload(PatchUpload(task_id=task, diff=diff(domain, session, files), summary="By hand"))


def preview(domain: DomainWorld, patch_id: UUID) -> dict[str, str | None]:
    with domain.patches() as patches:
        return {file.path: file.new for file in patches.preview(patch_id).files}


def read(domain: DomainWorld, patch_id: UUID) -> PatchRead:
    with domain.patches() as patches:
        return patches.read(patch_id)


def applied(domain: DomainWorld, session: SpecSessionRead, files: dict[str, str | None]) -> UUID:
    patch_id = domain.patch(domain.tasks(session.id)[0].id, files)
    domain.approve(patch_id)
    domain.do(domain.apply(patch_id))
    assert read(domain, patch_id).status is PatchStatus.APPLIED
    return patch_id


def test_an_uploaded_diff_becomes_a_pending_patch(
    domain: DomainWorld, session: SpecSessionRead, life: PatchLifecycle
) -> None:
    files = {"a.txt": START["a.txt"] + b"10\r\nno end", "n/new.py": "# é".encode()}  # type: ignore[operator]
    patch = upload(domain, life, session, files)
    head = domain.repository(session.project_id).head("main")
    assert (patch.status, patch.origin, patch.revision, patch.branch, patch.base) == (
        PatchStatus.PENDING,
        PatchOrigin.UPLOADED,
        1,
        "main",
        head,
    )
    assert preview(domain, patch.id) == {path: text.decode() for path, text in files.items() if text}
    assert patch.warnings == [
        f"No test in this patch names criterion {key}, so the run cannot prove it." for key in ("1.1", "1.2")
    ]
    with domain.patches() as patches:
        shown = patches.preview(patch.id)
    assert (shown.base_moved, shown.head) == (False, head)
    modes = {file.path: (file.old_mode, file.new_mode, file.old_size, file.new_size) for file in shown.files}
    assert modes == {"a.txt": ("100644", "100644", 18, 28), "n/new.py": (None, "100644", None, 4)}


def test_an_upload_for_an_older_base_or_another_branch(
    domain: DomainWorld, session: SpecSessionRead, life: PatchLifecycle
) -> None:
    task = domain.tasks(session.id)[0].id
    text = diff(domain, session, {"b.txt": b"c\n"})
    repository = domain.repository(session.project_id)
    base = repository.require_head("main")
    repository.move_branch("side", base, None)
    move(domain, session, {"b.txt": b"other\n"})
    with pytest.raises(PatchDoesNotApply, match=r"b\.txt.*line 1"):
        life.upload(PatchUpload(task_id=task, diff=text))
    older = life.upload(PatchUpload(task_id=task, diff=text, base=base))
    assert (older.base, older.branch, older.summary) == (base, "main", "Uploaded change of b.txt")
    with domain.patches() as patches:
        assert patches.preview(older.id).base_moved
    assert life.upload(PatchUpload(task_id=task, diff=text, branch="side")).branch == "side"
    with pytest.raises(BranchInvalid):
        life.upload(PatchUpload(task_id=task, diff=text, branch="none"))
    with pytest.raises(BaseInvalid):
        life.upload(PatchUpload(task_id=task, diff=text, base="0" * 40))


def test_what_is_not_taken(domain: DomainWorld, session: SpecSessionRead, life: PatchLifecycle) -> None:
    task = domain.tasks(session.id)[0].id
    with pytest.raises(EmptyPatch):
        life.upload(PatchUpload(task_id=task, diff=""))
    with pytest.raises(PatchRefused, match=r"Line 1 of the diff, file \.\./x"):
        life.upload(PatchUpload(task_id=task, diff="diff --git a/../x b/../x\nnew file mode 100644\n"))
    with pytest.raises(TaskNotFound):
        life.upload(PatchUpload(task_id=new_id(), diff="x"))
    with domain.projects() as projects:
        projects.update(session.project_id, ProjectUpdate(status=SettableStatus.ARCHIVED), None)
    with pytest.raises(ProjectArchived):
        life.upload(PatchUpload(task_id=task, diff="x"))


def test_an_edit_makes_another_revision_and_voids_approvals(
    domain: DomainWorld, session: SpecSessionRead, life: PatchLifecycle
) -> None:
    patch = upload(domain, life, session, {"b.txt": b"c\n"})
    domain.approve(patch.id)
    approved = read(domain, patch.id)
    assert approved.status is PatchStatus.APPROVED
    edited = life.edit(patch.id, PatchEdit(files={"b.txt": "d\n", "c.txt": "new\n"}), approved.version)
    assert (edited.status, edited.revision, edited.approved_by) == (PatchStatus.PENDING, 2, None)
    assert edited.digest != patch.digest
    assert preview(domain, patch.id) == {"b.txt": "d\n", "c.txt": "new\n"}
    back = life.edit(patch.id, PatchEdit(diff=diff(domain, session, {"b.txt": b"c\n"})), None)
    assert (back.digest, back.revision, back.status) == (patch.digest, 3, PatchStatus.PENDING)
    with domain.patches() as patches:
        assert not patches.rules.standings([patches.get(patch.id)])[patch.id].approvals, (
            "the first bytes again are not what was approved"
        )
    listed = life.revisions(patch.id).items
    assert [(row.number, row.reason, row.author_name) for row in listed] == [
        (1, RevisionReason.CREATED, domain.actor.name),
        (2, RevisionReason.EDITED, domain.actor.name),
        (3, RevisionReason.EDITED, domain.actor.name),
    ]


def test_the_words_and_the_branch_of_a_patch_are_part_of_what_is_approved(
    domain: DomainWorld, session: SpecSessionRead, life: PatchLifecycle
) -> None:
    patch = upload(domain, life, session, {"b.txt": b"c\n"})
    repository = domain.repository(session.project_id)
    repository.move_branch("side", repository.require_head("main"), None)
    for change, reason in ((PatchEdit(summary="Else"), "edited"), (PatchEdit(branch="side"), "retargeted")):
        domain.approve(patch.id)
        changed = life.edit(patch.id, change, None)
        assert (changed.status, changed.digest) == (PatchStatus.PENDING, patch.digest)
        assert life.revisions(patch.id).items[-1].reason == reason
    assert (changed.summary, changed.branch, changed.revision) == ("Else", "side", 3)
    with pytest.raises(BranchInvalid):
        life.edit(patch.id, PatchEdit(branch="none"), None)


def test_an_edit_that_changes_nothing_takes_nothing_away(
    domain: DomainWorld, session: SpecSessionRead, life: PatchLifecycle
) -> None:
    patch = upload(domain, life, session, {"b.txt": b"c\n"})
    domain.approve(patch.id)
    same = life.edit(patch.id, PatchEdit(files={"b.txt": "c\n"}, summary="By hand", branch="main"), None)
    assert (same.status, same.revision) == (PatchStatus.APPROVED, 1)


def test_edits_that_are_refused_leave_the_patch(
    domain: DomainWorld, session: SpecSessionRead, life: PatchLifecycle
) -> None:
    patch = upload(domain, life, session, {"b.txt": b"c\n"})
    with pytest.raises(PreconditionFailed):
        life.edit(patch.id, PatchEdit(summary="x"), patch.version + 1)
    with pytest.raises(UnsafePath):
        life.edit(patch.id, PatchEdit(files={"../x": "1"}), None)
    with pytest.raises(EmptyPatch):
        life.edit(patch.id, PatchEdit(files={"b.txt": "b\n"}), None)
    with pytest.raises(ValueError, match="not both"):
        PatchEdit(diff="x", files={"a": "1"})
    with pytest.raises(ValueError, match="what is to change"):
        PatchEdit()
    assert read(domain, patch.id) == patch
    with domain.unit() as unit:
        unit.connection()
    applied_id = applied(domain, session, dict(ADDER))
    with pytest.raises(PatchNotPending):
        life.edit(applied_id, PatchEdit(summary="x"), None)
    with pytest.raises(PatchNotPending):
        life.rebase(applied_id, RebaseRequest())


def test_a_rebase_without_conflicts(domain: DomainWorld, session: SpecSessionRead, life: PatchLifecycle) -> None:
    patch = upload(domain, life, session, {"a.txt": b"1\n2\n3\n4\n5\n6\n7\n8\n9 patched\n"})
    assert life.rebase(patch.id, RebaseRequest()).patch == patch, "the base is the head already"
    domain.approve(patch.id)
    head = move(domain, session, {"a.txt": b"1 moved\n2\n3\n4\n5\n6\n7\n8\n9\n", "z": b"z"})
    done = life.rebase(patch.id, RebaseRequest())
    assert done.conflicts == []
    assert (done.patch.base, done.patch.revision, done.patch.status) == (head, 2, PatchStatus.PENDING)
    assert preview(domain, patch.id) == {"a.txt": "1 moved\n2\n3\n4\n5\n6\n7\n8\n9 patched\n"}
    assert life.revisions(patch.id).items[-1].reason is RevisionReason.REBASED


def test_conflicts_are_shown_and_never_guessed(
    domain: DomainWorld, session: SpecSessionRead, life: PatchLifecycle
) -> None:
    patch = upload(domain, life, session, {"b.txt": b"patch\n", "bin": b"\0patch"})
    head = move(domain, session, {"b.txt": b"branch\n", "bin": b"\0branch", ".gitattributes": b"* merge=union\n"})
    shown = life.rebase(patch.id, RebaseRequest())
    assert [(c.path, c.base, c.ours, c.theirs, c.binary) for c in shown.conflicts] == [
        ("b.txt", "b\n", "branch\n", "patch\n", False),
        ("bin", None, None, None, True),
    ]
    assert shown.patch == patch == read(domain, patch.id), "nothing is stored"
    partly = life.rebase(patch.id, RebaseRequest(resolutions={"b.txt": "both\n"}))
    assert (len(partly.conflicts), partly.patch) == (2, patch)
    with pytest.raises(ResolutionInvalid, match=r"a\.txt"):
        life.rebase(patch.id, RebaseRequest(resolutions={"a.txt": "both\n"}))
    done = life.rebase(patch.id, RebaseRequest(resolutions={"b.txt": "both\n", "bin": None}))
    assert (done.conflicts, done.patch.base, done.patch.revision) == ([], head, 2)
    assert preview(domain, patch.id) == {"b.txt": "both\n", "bin": None}


def test_a_file_that_one_side_deletes_or_puts_in_the_way_of_a_folder(
    domain: DomainWorld, session: SpecSessionRead, life: PatchLifecycle
) -> None:
    patch = upload(domain, life, session, {"b.txt": b"patch\n", "x/y": b"patch\n"})
    move(domain, session, {"b.txt": None, "x": b"branch\n"})
    conflicts = {c.path: (c.base, c.ours, c.theirs) for c in life.rebase(patch.id, RebaseRequest()).conflicts}
    assert conflicts == {"b.txt": ("b\n", None, "patch\n"), "x": (None, "branch\n", None)}
    with pytest.raises(Invalid, match="folder"):
        life.rebase(patch.id, RebaseRequest(resolutions={"b.txt": "b\n", "x": "file\n"}))
    done = life.rebase(patch.id, RebaseRequest(resolutions={"b.txt": None, "x": None}))
    assert done.conflicts == []
    assert preview(domain, patch.id) == {"x": None, "x/y": "patch\n"}


def test_a_patch_that_the_branch_has_already_is_empty_after_a_rebase(
    domain: DomainWorld, session: SpecSessionRead, life: PatchLifecycle
) -> None:
    patch = upload(domain, life, session, {"b.txt": b"c\n"})
    move(domain, session, {"b.txt": b"c\n"})
    with pytest.raises(EmptyPatch):
        life.rebase(patch.id, RebaseRequest())
    assert read(domain, patch.id) == patch


def test_an_applied_patch_is_taken_back_by_a_patch(
    domain: DomainWorld, session: SpecSessionRead, life: PatchLifecycle
) -> None:
    patch_id = applied(domain, session, dict(ADDER))
    head = move(domain, session, {"z": b"z"})
    revert = life.revert(patch_id, RevertRequest(reason="It adds wrongly."))
    assert (revert.status, revert.origin, revert.reverts, revert.base) == (
        PatchStatus.PENDING,
        PatchOrigin.REVERT,
        patch_id,
        head,
    )
    assert revert.summary == "Revert: Add the adder\n\nIt adds wrongly."
    assert preview(domain, revert.id) == dict.fromkeys(ADDER)


def test_a_revert_shows_what_came_after(domain: DomainWorld, session: SpecSessionRead, life: PatchLifecycle) -> None:
    patch_id = applied(domain, session, dict(ADDER))
    later = b"def add(*numbers):\n    return sum(numbers) + 0\n"
    move(domain, session, {"adder.py": later})
    with pytest.raises(RevertConflicts, match=r"adder\.py") as caught:
        life.revert(patch_id, RevertRequest())
    assert caught.value.extra["conflicts"] == [
        {"path": "adder.py", "base": ADDER["adder.py"], "ours": later.decode(), "theirs": None, "binary": False}
    ]
    kept = life.revert(patch_id, RevertRequest(resolutions={"adder.py": later.decode()}))
    assert preview(domain, kept.id) == {"test_adder.py": None}


def test_only_an_applied_patch_is_taken_back(
    domain: DomainWorld, session: SpecSessionRead, life: PatchLifecycle
) -> None:
    patch = upload(domain, life, session, {"b.txt": b"c\n"})
    with pytest.raises(NotApplied, match="pending"):
        life.revert(patch.id, RevertRequest())
