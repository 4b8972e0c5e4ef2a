"""Spec sessions with a real database and a real tree: versions, files, derived tasks, status by evidence."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from sqlalchemy import func, select

from devstudio_server.execution.models import Run
from devstudio_server.execution.schemas import RunType
from devstudio_server.kit.errors import PreconditionFailed
from devstudio_server.kit.ids import new_id
from devstudio_server.projects.errors import ProjectArchived, ProjectNotFound
from devstudio_server.projects.schemas import ProjectUpdate, SettableStatus
from devstudio_server.specs.errors import SpecSessionNotFound, TaskNotFound
from devstudio_server.specs.models import Spec
from devstudio_server.specs.schemas import (
    DocumentsUpdate,
    DocumentType,
    SessionStatus,
    SpecSessionCreate,
    SpecSessionQuery,
    SpecSessionRead,
    SpecSessionUpdate,
    TaskRead,
    TaskStatus,
)
from devstudio_server.specs.tested import Proof, ProvingRun
from support.domain_world import REQUIREMENTS, TASKS, DomainWorld

FILES = {"requirements.md", "design.md", "tasks.md", "first.ipynb"}


@pytest.fixture
def session(domain: DomainWorld) -> SpecSessionRead:
    return domain.session(requirements=REQUIREMENTS, tasks=TASKS)


def folder(domain: DomainWorld, session: SpecSessionRead) -> dict[str, bytes]:
    path = domain.tree(session.project_id).root / ".devstudio/specs" / session.slug
    return {file.name: file.read_bytes() for file in path.iterdir()}


def prove(domain: DomainWorld, session: SpecSessionRead, *keys: str) -> UUID:
    """Record that a passing run proved ``keys`` with their present texts."""
    with domain.unit() as unit:
        run = Run(project_id=session.project_id, type=RunType.TEST, created_by=domain.actor.user_id)
        unit.add(run)
    with domain.specs() as specs:
        digests = specs.criteria_digests(session.id)
        proving = ProvingRun(run.id, "c" * 40, "t" * 40, "main")
        specs.evidence.record(session.id, proving, {key: Proof() for key in keys}, digests)
    return run.id


def task(domain: DomainWorld, session: SpecSessionRead, key: str = "1") -> TaskRead:
    return next(task for task in domain.tasks(session.id) if task.key == key)


def test_a_new_session_has_three_empty_documents_and_four_files(domain: DomainWorld) -> None:
    session = domain.session()
    assert {(doc.content, doc.version) for _, doc in session.documents} == {("", 0)}
    assert (session.status, session.version, session.slug) == (SessionStatus.DRAFT, 1, "first")
    assert session.notebook_path == f"{session.project_id}/.devstudio/specs/first/first.ipynb"
    files = folder(domain, session)
    assert set(files) == FILES
    assert json.loads(files["first.ipynb"])["metadata"]["devstudio"]["session_id"] == str(session.id)


def test_documents_get_ids_and_files_have_the_same_bytes(domain: DomainWorld, session: SpecSessionRead) -> None:
    files = folder(domain, session)
    assert "<!-- id:" in session.documents.requirements.content
    for kind in DocumentType:
        assert files[f"{kind.value}.md"].decode() == getattr(session.documents, kind.value).content
    notebook = json.loads(files["first.ipynb"])
    assert notebook["metadata"]["devstudio"]["version"] == session.version
    assert session.status == SessionStatus.ACTIVE


def test_versions_go_up_only_with_a_change(domain: DomainWorld, session: SpecSessionRead) -> None:
    assert (session.version, session.documents.requirements.version, session.documents.design.version) == (2, 1, 0)
    same = domain.write(session.id, requirements=REQUIREMENTS, tasks=session.documents.tasks.content)
    assert (same.version, same.documents) == (session.version, session.documents)
    changed = domain.write(session.id, requirements=REQUIREMENTS + "\nmore\n", tasks=TASKS)
    versions = (changed.version, changed.documents.requirements.version, changed.documents.tasks.version)
    assert versions == (3, 2, 1)
    with domain.unit() as unit:
        assert unit.scalar(select(func.count()).select_from(Spec)) == 3, "every version of every document is kept"


def test_a_title_alone_is_a_new_version_of_the_session_only(domain: DomainWorld, session: SpecSessionRead) -> None:
    with domain.specs() as specs:
        read = specs.read(specs.update(session.id, SpecSessionUpdate(title="Other"), session.version))
    assert (read.title, read.version, read.slug) == ("Other", session.version + 1, session.slug)
    assert read.documents == session.documents


def test_a_stale_version_is_refused_with_the_current_one(domain: DomainWorld, session: SpecSessionRead) -> None:
    with pytest.raises(PreconditionFailed) as refused:
        domain.write(session.id, expected=session.version - 1, design="lost?")
    assert refused.value.extra == {"current_version": session.version}
    assert refused.value.headers == {"ETag": f'"{session.version}"'}
    with pytest.raises(PreconditionFailed), domain.specs() as specs:
        specs.delete(session.id, session.version + 1)
    assert domain.read(session.id).documents.design.content == ""


def test_ids_of_a_document_that_lost_its_comments_stay(domain: DomainWorld, session: SpecSessionRead) -> None:
    before = task(domain, session)
    domain.write(session.id, tasks=TASKS.replace("Write the adder", "Write the best adder"), requirements=REQUIREMENTS)
    after = task(domain, session)
    assert (after.id, after.title) == (before.id, "Write the best adder")


def test_files_edited_by_other_programs_are_taken_in_before_they_are_written(
    domain: DomainWorld, session: SpecSessionRead
) -> None:
    path = domain.tree(session.project_id).root / ".devstudio/specs/first"
    (path / "design.md").write_text("# My own design\n")
    notebook = json.loads((path / "first.ipynb").read_text())
    notebook["cells"][0]["source"] = ["edited in vim"]
    (path / "first.ipynb").write_text(json.dumps(notebook))
    (path / "tasks.md").write_bytes(b"\xff not text")
    after = domain.write(session.id, design="# Ours\n", tasks=TASKS + "\n")
    files = folder(domain, session)
    kept = {name: content for name, content in files.items() if ".edited-" in name}
    assert [name.split(".edited-")[0] for name in kept] == ["tasks"], "what can be read is merged, not kept aside"
    assert [*kept.values()] == [b"\xff not text"]
    assert after.documents.requirements.content.startswith("edited in vim")
    assert files["requirements.md"].startswith(b"edited in vim")
    assert after.documents.design.content == "# Ours\n"
    assert files["design.md"] == b"# My own design\n", "both wrote it anew: the file keeps its text until answered"
    assert len(files) == 5


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1]", b'{"cells": [{}], "metadata": {}}'])
def test_a_notebook_that_another_program_broke_is_kept_and_written_anew(
    domain: DomainWorld, session: SpecSessionRead, content: bytes
) -> None:
    path = domain.tree(session.project_id).root / ".devstudio/specs/first"
    (path / "first.ipynb").write_bytes(content)
    domain.write(session.id, design="# New\n")
    files = folder(domain, session)
    assert [kept for name, kept in files.items() if ".edited-" in name] == [content]
    assert json.loads(files["first.ipynb"])["metadata"]["devstudio"]["session_id"] == str(session.id)


def test_a_notebook_that_was_there_before_us_is_kept_aside(domain: DomainWorld) -> None:
    project = domain.project()
    path = domain.tree(project.id).root / ".devstudio/specs/first"
    path.mkdir(parents=True)
    cell = {"cell_type": "markdown", "metadata": {}, "source": "precious", "id": "a"}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    (path / "first.ipynb").write_text(json.dumps(notebook))
    session = domain.session(project)
    kept = [content for name, content in folder(domain, session).items() if ".edited-" in name]
    assert [json.loads(content)["cells"] for content in kept] == [[cell]]


def test_files_that_are_gone_come_back_when_the_session_is_read(domain: DomainWorld, session: SpecSessionRead) -> None:
    path = domain.tree(session.project_id).root / ".devstudio/specs/first"
    before = folder(domain, session)
    (path / "design.md").unlink()
    (path / "first.ipynb").unlink()
    domain.read(session.id)
    assert folder(domain, session) == before


def test_code_cells_of_a_person_survive_a_change_of_the_documents(
    domain: DomainWorld, session: SpecSessionRead
) -> None:
    path = domain.tree(session.project_id).root / ".devstudio/specs/first/first.ipynb"
    notebook = json.loads(path.read_text())
    code = {"cell_type": "code", "id": "mine", "metadata": {}, "source": ["1 + 1"], "outputs": [], "execution_count": 1}
    notebook["cells"].insert(1, code)
    path.write_text(json.dumps(notebook))
    domain.write(session.id, design="# Design\n\n## Parts\n")
    files = folder(domain, session)
    assert json.loads(files["first.ipynb"])["cells"][1] == code
    assert set(files) == FILES, "a code cell is no edit of a document"


def test_tasks_and_criteria_are_derived(domain: DomainWorld, session: SpecSessionRead) -> None:
    with domain.specs() as specs:
        listed = specs.tasks(session.id)
    first, second = listed.items
    assert (first.key, first.title, first.criteria, first.status) == ("1", "Write the adder", ["1.1", "1.2"], "todo")
    assert (second.key, second.criteria, second.position) == ("2", [], 1)
    assert [(row.key, row.proven) for row in listed.criteria] == [("1.1", False), ("1.2", False)]
    assert "1.1, 1.2" in first.status_reason


def test_warnings_name_document_and_line(domain: DomainWorld) -> None:
    session = domain.session(
        requirements="prose", tasks="- [x] 1. A\n  - _Requirements: 4.1_\n", design="anything goes"
    )
    assert [(w.document, w.line, w.code) for w in session.warnings] == [
        (DocumentType.REQUIREMENTS, 1, "unknown-shape"),
        (DocumentType.TASKS, 1, "ticked"),
        (DocumentType.TASKS, 1, "unknown-reference"),
    ]


def test_a_task_is_done_only_with_proof_of_every_criterion(domain: DomainWorld, session: SpecSessionRead) -> None:
    prove(domain, session, "1.1")
    half = task(domain, session)
    assert (half.status, half.evidence.criteria if half.evidence else None) == (TaskStatus.TODO, ["1.1"])
    assert half.status_reason == "No passing test names 1.2 yet."
    run_id = prove(domain, session, "1.2")
    done = task(domain, session)
    assert done.status is TaskStatus.DONE
    assert done.completed_at is not None
    assert done.evidence is not None
    assert (done.evidence.run_id, done.evidence.commit, done.evidence.criteria) == (run_id, "c" * 40, ["1.1", "1.2"])
    assert done.version > half.version


def test_a_task_without_criteria_is_never_done(domain: DomainWorld, session: SpecSessionRead) -> None:
    prove(domain, session, "1.1", "1.2")
    thanks = task(domain, session, "2")
    assert thanks.status is not TaskStatus.DONE
    assert "names no criteria" in thanks.status_reason
    assert thanks.evidence is None


@pytest.mark.parametrize("reference", ["9", "1.7"])
def test_a_reference_to_nothing_keeps_a_task_from_done(
    domain: DomainWorld, session: SpecSessionRead, reference: str
) -> None:
    domain.write(session.id, tasks=TASKS.replace("1.1, 1.2", f"1.1, {reference}"))
    prove(domain, session, "1.1")
    assert task(domain, session).status is not TaskStatus.DONE


def test_evidence_for_an_older_text_makes_a_task_suspect(domain: DomainWorld, session: SpecSessionRead) -> None:
    prove(domain, session, "1.1", "1.2")
    edited = session.documents.requirements.content.replace("add them", "multiply them")
    domain.write(session.id, requirements=edited)
    suspect = task(domain, session)
    assert suspect.status is TaskStatus.IN_PROGRESS
    assert suspect.status_reason == "Suspect: 1.1 changed after being proven."
    assert suspect.completed_at is None
    assert suspect.evidence is not None
    assert suspect.evidence.criteria == ["1.2"]
    domain.write(session.id, requirements=session.documents.requirements.content)
    assert task(domain, session).status is TaskStatus.DONE, "the proven text is back, and so is its proof"


def test_renumbering_keeps_the_proof(domain: DomainWorld, session: SpecSessionRead) -> None:
    prove(domain, session, "1.1", "1.2")
    renumbered = session.documents.requirements.content.replace("Requirement 1", "Requirement 4")
    domain.write(session.id, requirements=renumbered, tasks=TASKS.replace("1.1, 1.2", "4.1, 4.2"))
    assert task(domain, session).status is TaskStatus.DONE


def test_evidence_for_another_text_than_the_present_is_not_recorded(
    domain: DomainWorld, session: SpecSessionRead
) -> None:
    prove(domain, session, "1.2")
    with domain.unit() as unit:
        run_id = unit.scalars(select(Run.id)).one()
    with domain.specs() as specs:
        proofs, texts = {"1.1": Proof(), "7.7": Proof()}, {"1.1": "0" * 64, "7.7": "0" * 64}
        specs.evidence.record(session.id, ProvingRun(run_id, "c" * 40, "t" * 40, "main"), proofs, texts)
    assert task(domain, session).evidence is not None
    assert task(domain, session).status is TaskStatus.TODO


def test_a_tick_changes_nothing(domain: DomainWorld, session: SpecSessionRead) -> None:
    before = task(domain, session)
    ticked = domain.write(session.id, tasks=session.documents.tasks.content.replace("[ ] 1.", "[x] 1."))
    after = task(domain, session)
    assert (after.id, after.status, after.status_reason) == (before.id, before.status, before.status_reason)
    assert [warning.code for warning in ticked.warnings if warning.code == "ticked"] == ["ticked"]
    assert "[x] 1." in ticked.documents.tasks.content, "the text is the person's"


def test_done_cannot_be_noted_as_progress(domain: DomainWorld, session: SpecSessionRead) -> None:
    first, second = task(domain, session).id, task(domain, session, "2").id
    with pytest.raises(ValueError, match="derived"), domain.specs() as specs:
        specs.record_progress(first, TaskStatus.DONE, "please")
    with domain.specs() as specs:
        specs.record_progress(second, TaskStatus.REVIEW, "look")
    assert (task(domain, session, "2").status, task(domain, session, "2").status_reason) == (TaskStatus.REVIEW, "look")


def test_a_task_that_is_removed_and_added_again_is_the_same(domain: DomainWorld, session: SpecSessionRead) -> None:
    before = task(domain, session)
    domain.write(session.id, tasks="# Tasks\n- [ ] 2. Say thanks\n")
    assert [row.key for row in domain.tasks(session.id)] == ["2"]
    with pytest.raises(TaskNotFound), domain.specs() as specs:
        specs.task(before.id)
    domain.write(session.id, tasks=session.documents.tasks.content)
    assert domain.tasks(session.id)[0].id == before.id
    with domain.specs() as specs:
        assert specs.task(before.id).title == before.title


def test_an_emptied_document_takes_its_tasks_away_and_keeps_history(
    domain: DomainWorld, session: SpecSessionRead
) -> None:
    emptied = domain.write(session.id, tasks="", requirements="")
    assert (emptied.documents.tasks.content, emptied.documents.tasks.version) == ("", 2)
    assert domain.tasks(session.id) == []
    assert folder(domain, session)["tasks.md"] == b""


def test_a_deleted_session_is_gone_and_its_files_stay(domain: DomainWorld, session: SpecSessionRead) -> None:
    row = task(domain, session)
    with domain.specs() as specs:
        specs.delete(session.id, session.version)
    with pytest.raises(SpecSessionNotFound):
        domain.read(session.id)
    with pytest.raises(TaskNotFound), domain.specs() as specs:
        specs.task(row.id)
    with domain.specs() as specs:
        assert specs.list(SpecSessionQuery()).items == []
    assert set(folder(domain, session)) == FILES


def test_an_unknown_session_or_project_is_not_found(domain: DomainWorld) -> None:
    with pytest.raises(SpecSessionNotFound):
        domain.read(new_id())
    with pytest.raises(ProjectNotFound), domain.specs() as specs:
        specs.create(SpecSessionCreate(project_id=new_id(), title="x"))


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Olá, Mundo! Ação", "ola-mundo-acao"),
        ("日本語", "ri-ben-yu"),
        ("🙂🙂", "session"),
        ("../../etc/passwd", "etc-passwd"),
        ("x" * 200, "x" * 60),
        ("a/b\\c\x01d", "a-b-c-d"),
    ],
)
def test_slugs_are_plain_words_whatever_the_title(domain: DomainWorld, title: str, slug: str) -> None:
    session = domain.session(title=title)
    assert session.slug == slug
    assert set(folder(domain, session)) == {"requirements.md", "design.md", "tasks.md", f"{slug}.ipynb"}


def test_slugs_are_unique_in_a_project_also_against_deleted_sessions(domain: DomainWorld) -> None:
    project = domain.project()
    sessions = [domain.session(project, title) for title in ("Login", "login!", "Login flow", "LOGIN")]
    assert [session.slug for session in sessions] == ["login", "login-2", "login-flow", "login-3"]
    with domain.specs() as specs:
        specs.delete(sessions[0].id, None)
    assert domain.session(project, "Login").slug == "login-4"
    assert domain.session(title="Login").slug == "login"


def test_an_archived_project_refuses_changes_and_still_reads(domain: DomainWorld, session: SpecSessionRead) -> None:
    with domain.projects() as projects:
        projects.update(session.project_id, ProjectUpdate(status=SettableStatus.ARCHIVED), None)
    with pytest.raises(ProjectArchived, match="archived"):
        domain.write(session.id, design="no")
    with pytest.raises(ProjectArchived), domain.specs() as specs:
        specs.create(SpecSessionCreate(project_id=session.project_id, title="no"))
    assert domain.read(session.id).documents == session.documents


def test_sessions_of_a_deleted_project_are_gone(domain: DomainWorld, session: SpecSessionRead) -> None:
    with domain.projects() as projects:
        projects.delete(session.project_id, None)
    with pytest.raises(ProjectNotFound):
        domain.read(session.id)


def test_a_failed_change_leaves_rows_and_files(domain: DomainWorld, session: SpecSessionRead) -> None:
    before = folder(domain, session)

    def change_and_fail() -> None:
        with domain.specs() as specs:
            payload = SpecSessionUpdate(documents=DocumentsUpdate(design="half"))
            specs.update(session.id, payload, None)
            raise KeyError

    with pytest.raises(KeyError):
        change_and_fail()
    assert folder(domain, session) == before
    assert domain.read(session.id) == session


def test_lists_page_by_key_newest_first(domain: DomainWorld) -> None:
    project = domain.project()
    ids = [domain.session(project, f"S{number}").id for number in range(5)]
    domain.session(title="elsewhere")
    seen: list[UUID] = []
    cursor = None
    while True:
        with domain.specs() as specs:
            page = specs.list(SpecSessionQuery(limit=2, cursor=cursor, project_id=project.id))
        seen += [row.id for row in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == ids[::-1]


def test_lists_filter_by_status(domain: DomainWorld, session: SpecSessionRead) -> None:
    domain.session(title="draft")
    with domain.specs() as specs:
        page = specs.list(SpecSessionQuery(status=SessionStatus.ACTIVE))
    assert [row.id for row in page.items] == [session.id]


def test_completing_notes_the_time_and_reopening_clears_it(domain: DomainWorld, session: SpecSessionRead) -> None:
    with domain.specs() as specs:
        done = specs.read(specs.update(session.id, SpecSessionUpdate(status=SessionStatus.COMPLETED), None))
    assert done.completed_at is not None
    with domain.specs() as specs:
        again = specs.read(specs.update(session.id, SpecSessionUpdate(status=SessionStatus.ACTIVE), None))
    assert again.completed_at is None
