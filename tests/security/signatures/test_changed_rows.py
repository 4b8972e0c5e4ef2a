"""Whoever can write the database, and has no key, gets nothing approved and nothing committed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select, text

from devstudio_sandbox import Backend
from devstudio_server.execution.models import Run
from devstudio_server.execution.schemas import RunStatus
from devstudio_server.kit.errors import AppError
from devstudio_server.kit.ids import new_id
from devstudio_server.patches.content import digest_of
from devstudio_server.patches.envelope import Envelopes, check
from devstudio_server.patches.envelope_errors import (
    ContentChanged,
    CriterionChanged,
    PatchUnsigned,
    SignatureExpired,
    WrongBranch,
)
from devstudio_server.patches.envelope_statements import PATCH_TYPE
from devstudio_server.patches.jobs import apply_patch
from devstudio_server.patches.lifecycle import PatchLifecycle
from devstudio_server.patches.lifecycle_schemas import PatchEdit
from devstudio_server.patches.models import Patch
from devstudio_server.patches.schemas import PatchRead
from devstudio_server.signing.errors import KeyRevoked, SignatureInvalid
from devstudio_server.signing.folder import KeyFolder
from devstudio_server.signing.signer import Signer
from devstudio_server.specs.schemas import SpecSessionRead
from support.databases import Database
from support.domain_world import ADDER, REQUIREMENTS, TASKS, DomainWorld
from support.patch_cases import signature_in
from support.watched import Watched


@pytest.fixture
def domain(tmp_path: Path, database: Database) -> Iterator[DomainWorld]:
    world = DomainWorld(tmp_path, database)
    yield world
    world.close()


@pytest.fixture
def backend(domain: DomainWorld) -> Watched:
    watched = Watched()
    checked: Backend = watched
    domain.backend = checked
    return watched


@pytest.fixture
def session(domain: DomainWorld) -> SpecSessionRead:
    return domain.session(requirements=REQUIREMENTS, tasks=TASKS)


@pytest.fixture
def patch(domain: DomainWorld, session: SpecSessionRead) -> UUID:
    return domain.patch(domain.tasks(session.id)[0].id, dict(ADDER))


def write(domain: DomainWorld, statement: str, **values: object) -> None:
    """Change the database as one who is not this server."""
    with domain.engine.begin() as connection:
        assert connection.execute(text(statement), values).rowcount > 0


def read(domain: DomainWorld, patch_id: UUID) -> PatchRead:
    with domain.patches() as patches:
        return patches.read(patch_id)


def head(domain: DomainWorld, session: SpecSessionRead) -> str | None:
    return domain.repository(session.project_id).head("main")


def run_of(domain: DomainWorld, run_id: UUID) -> Run:
    with domain.patches() as patches:
        return patches.runs.get(run_id)


def swap_bytes(domain: DomainWorld, patch_id: UUID) -> None:
    """Change the bytes and everything in the rows that names them: digest, tree, revision and approvals."""
    with domain.patches() as patches:
        row = patches.get(patch_id)
        diff = row.patch_content.replace("return sum(numbers)", "return max(numbers)")
        repository = patches.repository(row)
        tree = repository.apply(repository.tree(row.base), diff.encode())
    values = {"diff": diff, "digest": digest_of(diff), "tree": tree}
    write(domain, "UPDATE ds_patches SET patch_content = :diff, digest = :digest, result_tree = :tree", **values)
    write(
        domain, "UPDATE ds_patch_revisions SET patch_content = :diff, digest = :digest, result_tree = :tree", **values
    )


CHANGES: list[tuple[Callable[[DomainWorld, UUID], None], type[AppError]]] = [
    (swap_bytes, ContentChanged),
    (lambda domain, _: write(domain, "UPDATE ds_patches SET branch = 'release'"), WrongBranch),
    (lambda domain, _: write(domain, "DELETE FROM ds_patch_contributors"), ContentChanged),
    (lambda domain, _: write(domain, "UPDATE ds_patches SET envelope = NULL, signature = NULL"), PatchUnsigned),
    (lambda domain, _: write(domain, "UPDATE ds_patches SET signature = 'AAAA'"), SignatureInvalid),
]


@pytest.mark.parametrize(("change", "kind"), CHANGES)
def test_a_changed_patch_is_not_applied_and_not_approved(
    domain: DomainWorld, patch: UUID, change: Callable[[DomainWorld, UUID], None], kind: type[AppError]
) -> None:
    with domain.patches() as patches:  # whose hand in it somebody takes away
        patches.envelopes._contributors.note(patches.get(patch), domain.other_user(), "editor")
        patches.envelopes.seal(patches.get(patch))
    domain.approve(patch)
    change(domain, patch)
    with domain.patches() as patches:
        digest = patches.get(patch).digest
    write(domain, "UPDATE ds_approvals SET digest = :digest", digest=digest)
    with pytest.raises(kind):
        domain.apply(patch)
    write(domain, "UPDATE ds_patches SET status = 'pending'")
    write(domain, "DELETE FROM ds_approvals")
    with pytest.raises(kind):
        domain.approve(patch)


def test_a_row_that_is_changed_during_the_run_keeps_the_branch_where_it_is(
    domain: DomainWorld, session: SpecSessionRead, patch: UUID, backend: Watched
) -> None:
    domain.approve(patch)
    backend.then = lambda: write(domain, "UPDATE ds_patches SET model = 'another'")
    before, run_id = head(domain, session), domain.apply(patch)
    domain.do(run_id)
    run = run_of(domain, run_id)
    assert (run.status, head(domain, session)) == (RunStatus.FAILED, before)
    assert "the model that made it changed since" in str(run.reason)


def test_a_row_that_is_changed_before_the_run_is_prepared_tests_nothing(
    domain: DomainWorld, session: SpecSessionRead, patch: UUID, backend: Watched
) -> None:
    domain.approve(patch)
    run_id = domain.apply(patch)
    swap_bytes(domain, patch)
    apply_patch(domain.job(), {"run_id": str(run_id)})
    run = run_of(domain, run_id)
    assert (run.status, run.tree, backend.opened) == (RunStatus.FAILED, None, 0)


def test_approvals_that_somebody_wrote_or_copied_count_for_nothing(domain: DomainWorld, patch: UUID) -> None:
    domain.approve(patch)
    assert read(domain, patch).approvals[0].counts
    write(domain, "UPDATE ds_approvals SET user_name = 'Mallory'")
    (forged,) = read(domain, patch).approvals
    assert (forged.counts, forged.void_reason) == (
        False,
        "The approval is not what was signed: its row changed since.",
    )
    write(domain, "UPDATE ds_approvals SET envelope = NULL")
    assert "before approvals were signed" in str(read(domain, patch).approvals[0].void_reason)
    with pytest.raises(AppError, match="0 of 1 approvals count"):
        domain.apply(patch)


def test_a_patch_from_before_signatures_is_signed_by_an_edit(domain: DomainWorld, patch: UUID) -> None:
    write(domain, "UPDATE ds_patches SET envelope = NULL, signature = NULL")
    shown = read(domain, patch)
    assert (shown.signature.valid, shown.signature.key_id) == (False, None)
    assert "made before patches were signed" in str(shown.signature.problem)
    with pytest.raises(PatchUnsigned, match="Edit it or rebase it, which signs it, or generate it anew"):
        domain.approve(patch)
    edit = PatchEdit.model_validate({"files": {"notes.txt": "read again\n"}})
    edited = PatchLifecycle(domain.units, domain.actor, domain.ports).edit(patch, edit, None)
    assert (edited.signature.valid, edited.revision) == (True, 2)
    domain.approve(patch)
    assert domain.apply(patch)


def test_what_expired_or_is_for_an_older_criterion_is_approved_again(
    domain: DomainWorld, session: SpecSessionRead, patch: UUID
) -> None:
    domain.approve(patch)
    signer = domain.ports.get(Signer)
    with domain.patches() as patches:
        row = patches.get(patch)
        late = signer.verify(str(row.envelope), PATCH_TYPE) | {"expires_at": "2026-01-01T00:00:00Z"}
        row.envelope = signer.sign(PATCH_TYPE, late)
        row.signature = signature_in(row.envelope)
    assert "was good until 2026-01-01" in str(read(domain, patch).signature.problem)
    with pytest.raises(SignatureExpired, match="approve it again"):
        domain.apply(patch)
    domain.approve(patch)
    domain.write(session.id, requirements=session.documents.requirements.content.replace("answer 0", "answer none"))
    with pytest.raises(CriterionChanged, match=r"Criterion 1\.2 changed since this was approved"):
        domain.apply(patch)
    domain.approve(patch)
    assert [approval.counts for approval in read(domain, patch).approvals] == [False, False, True]
    assert domain.apply(patch)


def test_a_patch_that_a_revoked_key_signed_is_signed_anew_by_an_edit(domain: DomainWorld, patch: UUID) -> None:
    domain.approve(patch)
    KeyFolder(domain.root / "signing").rotate()
    with domain.unit(read_only=True) as unit:
        assert check(unit, domain.ports, unit.scalars(select(Patch)).one()).patch_id == patch
    key_id = read(domain, patch).signature.key_id
    KeyFolder(domain.root / "signing").revoke(str(key_id))
    with pytest.raises(KeyRevoked, match="was revoked"):
        domain.apply(patch)
    with pytest.raises(KeyRevoked):
        domain.approve(patch)
    edit = PatchEdit.model_validate({"files": {"notes.txt": "read again\n"}})
    PatchLifecycle(domain.units, domain.actor, domain.ports).edit(patch, edit, None)
    domain.approve(patch)
    assert domain.apply(patch)


def test_bytes_that_make_another_tree_are_not_signed(domain: DomainWorld, patch: UUID) -> None:
    with domain.unit() as unit:
        row = unit.scalars(select(Patch)).one()
        row.result_tree = domain.repository(row.project_id).tree(row.base)
        with pytest.raises(ContentChanged, match="make another tree"):
            Envelopes(unit, domain.ports).seal(row)


def test_nobody_elses_approval_becomes_anothers(domain: DomainWorld, patch: UUID) -> None:
    digest = read(domain, patch).digest
    with domain.reviews(domain.other_user()) as reviews:
        reviews.approve(patch, digest)
    write(domain, "UPDATE ds_approvals SET user_id = :id", id=new_id().hex)
    (moved,) = read(domain, patch).approvals
    assert not moved.counts
