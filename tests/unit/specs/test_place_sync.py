"""Files that other programs wrote are taken in as versions, by whom the path and the database say, and no other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from devstudio_server.audit.models import AuditEntry
from devstudio_server.audit.recorder import record_audit
from devstudio_server.db import Actor, Units
from devstudio_server.events.models import Event
from devstudio_server.events.recorder import record_events
from devstudio_server.kit.ids import new_id
from devstudio_server.projects.schemas import ProjectUpdate, SettableStatus
from devstudio_server.specs.models import Spec, SyncConflict
from devstudio_server.specs.place_sync import FILES_ID, PlaceSync, files_of
from devstudio_server.specs.places import Place
from devstudio_server.specs.schemas import SpecSessionRead
from devstudio_server.specs.watching import Pace, SpecWatcher
from support.domain_world import REQUIREMENTS, TASKS, DomainWorld


@pytest.fixture
def session(domain: DomainWorld) -> SpecSessionRead:
    domain.units = Units(domain.engine, recorders=(record_events, record_audit))
    return domain.session(requirements=REQUIREMENTS, tasks=TASKS)


def place(domain: DomainWorld, session: SpecSessionRead) -> Place:
    return Place(domain.actor.tenant_id, session.project_id, session.slug)


def file(domain: DomainWorld, session: SpecSessionRead, name: str) -> Path:
    return place(domain, session).folder(domain.workspaces.root) / name


def syncing(domain: DomainWorld, actor: Actor | None = None) -> PlaceSync:
    return PlaceSync(domain.units, domain.git, domain.workspaces, lambda _tenant: actor or domain.actor)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def open_rows(domain: DomainWorld, session: SpecSessionRead) -> list[SyncConflict]:
    with domain.unit(read_only=True) as unit:
        query = select(SyncConflict).where(SyncConflict.session_id == session.id, SyncConflict.status == "open")
        return list(unit.scalars(query))


def test_an_edit_becomes_a_version_of_the_local_user(domain: DomainWorld, session: SpecSessionRead) -> None:
    edit(file(domain, session, "tasks.md"), "Say thanks", "Say thank you")
    assert syncing(domain)(place(domain, session))
    now = domain.read(session.id)
    assert "Say thank you" in now.documents.tasks.content
    assert (now.documents.tasks.version, now.documents.requirements.version) == (2, 1)
    notebook = json.loads(file(domain, session, f"{session.slug}.ipynb").read_text())
    assert "Say thank you" in json.dumps(notebook)
    with domain.unit(read_only=True) as unit:
        newest = unit.scalars(select(Spec).where(Spec.session_id == session.id).order_by(Spec.id.desc())).first()
        assert newest is not None
        assert newest.created_by == domain.actor.user_id


def test_what_the_server_wrote_itself_keeps_nobody_from_writing(domain: DomainWorld, session: SpecSessionRead) -> None:
    with domain.unit() as _writer:  # holds the tenant's lock for writing
        assert syncing(domain)(place(domain, session))
    assert domain.read(session.id) == session


def test_in_a_team_a_file_names_nobody(domain: DomainWorld, session: SpecSessionRead) -> None:
    edit(file(domain, session, "tasks.md"), "Say thanks", "Say thank you")
    assert syncing(domain, files_of(domain.actor.tenant_id))(place(domain, session))
    with domain.unit(read_only=True) as unit:
        newest = unit.scalars(select(Spec).where(Spec.session_id == session.id).order_by(Spec.id.desc())).first()
        entry = unit.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
        assert newest is not None
        assert entry is not None
        assert (newest.created_by, entry.user_id) == (FILES_ID, FILES_ID)


def test_a_conflict_is_an_event_and_leaves_both_texts(domain: DomainWorld, session: SpecSessionRead) -> None:
    # Two programs at once: one has the Markdown file open, the other the notebook.
    edit(file(domain, session, "tasks.md"), "Say thanks", "Say it in the file")
    edit(file(domain, session, f"{session.slug}.ipynb"), "Say thanks", "Say it in the notebook")
    assert syncing(domain)(place(domain, session))
    (row,) = open_rows(domain, session)
    assert ("in the file" in (row.ours or ""), "in the notebook" in (row.theirs or "")) == (True, True)
    assert "Say it in the file" in domain.read(session.id).documents.tasks.content
    assert "Say it in the notebook" in file(domain, session, f"{session.slug}.ipynb").read_text()
    with domain.unit(read_only=True) as unit:
        told = unit.scalars(select(Event).where(Event.type == "sync_conflict.created")).all()
        assert [event.payload["session_id"] for event in told] == [str(session.id)]


def test_a_deleted_document_asks_and_a_lost_tree_is_written_again(
    domain: DomainWorld, session: SpecSessionRead
) -> None:
    path = file(domain, session, "tasks.md")
    path.unlink()
    domain.read(session.id)  # reading the session brings no file back that a person deleted
    assert not path.exists()
    for _ in range(2):
        assert syncing(domain)(place(domain, session))
    (row,) = open_rows(domain, session)
    assert (row.kind, row.document) == ("deletion", "tasks")
    assert not path.exists()
    now = domain.read(session.id)
    assert now.documents.tasks == session.documents.tasks
    for name in place(domain, session).names:
        file(domain, session, name).unlink(missing_ok=True)
    assert syncing(domain)(place(domain, session))
    assert len(open_rows(domain, session)) == 1
    domain.read(session.id)
    assert file(domain, session, "requirements.md").read_text() == session.documents.requirements.content


def test_who_it_is_about_is_said_by_the_path_and_by_no_file(domain: DomainWorld, session: SpecSessionRead) -> None:
    edit(file(domain, session, "tasks.md"), "Say thanks", "Say thank you")
    here = place(domain, session)
    # A copy of the folder under another project's or tenant's name says whose it is in its notebook. Nobody reads that.
    other = domain.project("Other")
    for wrong in (replace(here, project_id=other.id), replace(here, tenant_id=new_id()), replace(here, slug="second")):
        wrong.folder(domain.workspaces.root).mkdir(parents=True)
        for name, copied in zip(wrong.names, here.names, strict=True):
            text = file(domain, session, copied).read_text().replace("Say thank", "Stolen thank")
            (wrong.folder(domain.workspaces.root) / name).write_text(text)
        sync = PlaceSync(
            domain.units, domain.git, domain.workspaces, lambda tenant: replace(domain.actor, tenant_id=tenant)
        )
        assert sync(wrong)
    assert domain.read(session.id).version == session.version
    with domain.unit(read_only=True) as unit:
        assert not [row for row in unit.scalars(select(Spec)) if "Stolen" in row.content]


def test_a_link_in_the_place_of_a_file_brings_nothing_in(domain: DomainWorld, session: SpecSessionRead) -> None:
    outside = domain.root / "outside.md"
    outside.write_text("# Tasks\n- [ ] 9. Leak what is outside\n")
    path = file(domain, session, "tasks.md")
    path.unlink()
    path.symlink_to(outside)
    assert syncing(domain)(place(domain, session))
    assert "Leak" not in domain.read(session.id).documents.tasks.content
    assert outside.read_text() == "# Tasks\n- [ ] 9. Leak what is outside\n"


def test_an_archived_project_and_a_deleted_session_are_left_alone(
    domain: DomainWorld, session: SpecSessionRead
) -> None:
    path = file(domain, session, "tasks.md")
    edit(path, "Say thanks", "Say thank you")
    with domain.projects() as projects:
        projects.update(session.project_id, ProjectUpdate(status=SettableStatus.ARCHIVED), None)
    assert syncing(domain)(place(domain, session))
    assert domain.read(session.id).version == session.version
    assert "Say thank you" in path.read_text()
    with domain.specs() as specs:
        specs.delete(session.id, None)
    assert syncing(domain)(place(domain, session))


def test_the_watcher_and_the_server_do_not_answer_each_other_for_ever(
    domain: DomainWorld, session: SpecSessionRead
) -> None:
    looked: list[UUID] = []
    sync = syncing(domain)

    def counted(found: Place) -> bool:
        looked.append(found.project_id)
        return sync(found)

    watcher = SpecWatcher(domain.workspaces.root, counted, pace=Pace(quiet_s=0.05, gap_s=0.1))
    watcher.start()
    try:
        edit(file(domain, session, "tasks.md"), "Say thanks", "Say thank you")
        until = 200
        while "Say thank you" not in domain.read(session.id).documents.tasks.content and until:
            watcher._stopping.wait(0.05)
            until -= 1
        assert until
        version = domain.read(session.id).version
        watcher._stopping.wait(1.0)
        assert domain.read(session.id).version == version
        assert len(looked) <= 4
    finally:
        watcher.stop()
