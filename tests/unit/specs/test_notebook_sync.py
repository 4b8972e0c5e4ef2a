"""Saving the notebook in Jupyter: what an editor sends becomes documents, and nobody's text is lost."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from devstudio_server.kit.ids import new_id
from devstudio_server.projects.errors import ProjectArchived
from devstudio_server.projects.schemas import ProjectUpdate, SettableStatus
from devstudio_server.specs.conflict_schemas import ConflictQuery, ConflictRead
from devstudio_server.specs.errors import NotebookUnreadable, SpecSessionNotFound
from devstudio_server.specs.markdown import strip_ids
from devstudio_server.specs.schemas import SpecSessionRead
from devstudio_server.specs.service import SpecService
from devstudio_server.specs.sync import ConflictService, conflict_read
from support.domain_world import REQUIREMENTS, TASKS, DomainWorld

Notebook = dict[str, Any]


@pytest.fixture
def session(domain: DomainWorld) -> SpecSessionRead:
    return domain.session(requirements=REQUIREMENTS, tasks=TASKS)


def on_disk(domain: DomainWorld, session: SpecSessionRead) -> Notebook:
    """Open the notebook as an editor does."""
    content = domain.tree(session.project_id).read(f".devstudio/specs/{session.slug}/{session.slug}.ipynb")
    assert content is not None
    notebook: Notebook = json.loads(content)
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
    return notebook


def save(domain: DomainWorld, session: SpecSessionRead, notebook: Notebook) -> Notebook:
    """Save as Jupyter does: the hook's answer is what is written to the file; the editor keeps its own."""
    written = domain.sync.save(domain.actor, session.notebook_path, copy.deepcopy(notebook))
    path = session.notebook_path.removeprefix(f"{session.project_id}/")
    domain.tree(session.project_id).write(path, json.dumps(written).encode())
    return on_disk(domain, session)


def edit(notebook: Notebook, old: str, new: str) -> Notebook:
    edited = copy.deepcopy(notebook)
    found = [cell for cell in edited["cells"] if old in cell["source"]]
    assert len(found) == 1
    found[0]["source"] = found[0]["source"].replace(old, new)
    return edited


def conflicts(domain: DomainWorld, session: SpecSessionRead) -> Sequence[ConflictRead]:
    with domain.unit() as unit:
        specs = SpecService(unit, domain.actor, domain.git, domain.workspaces)
        page = ConflictService(unit, domain.actor, specs).list(session.id, ConflictQuery(status="open"))
        return [conflict_read(row) for row in page.items]


def test_an_edit_becomes_a_new_version_and_its_tasks(domain: DomainWorld, session: SpecSessionRead) -> None:
    before = domain.tasks(session.id)[1]
    edited = edit(on_disk(domain, session), "Say thanks", "Say thank you")
    written = save(domain, session, edited)
    now = domain.read(session.id)
    assert now.version == session.version + 1
    assert (now.documents.tasks.version, now.documents.requirements.version) == (2, 1)
    after = domain.tasks(session.id)[1]
    assert (after.id, after.title) == (before.id, "Say thank you")
    assert written["metadata"]["devstudio"]["version"] == now.version
    markdown = domain.tree(session.project_id).read(".devstudio/specs/first/tasks.md")
    assert markdown == now.documents.tasks.content.encode()


def test_a_save_without_an_edit_changes_nothing(domain: DomainWorld, session: SpecSessionRead) -> None:
    opened = on_disk(domain, session)
    assert save(domain, session, opened) == opened
    assert domain.read(session.id) == session


def test_an_editor_that_has_no_id_comments_keeps_ids_and_versions(
    domain: DomainWorld, session: SpecSessionRead
) -> None:
    opened = on_disk(domain, session)
    for cell in opened["cells"]:
        cell["source"] = strip_ids(cell["source"])
    for _ in range(2):
        save(domain, session, opened)
        assert domain.read(session.id) == session


def test_new_cells_are_blocks_after_the_save(domain: DomainWorld, session: SpecSessionRead) -> None:
    opened = on_disk(domain, session)
    opened["cells"].append(
        {"cell_type": "markdown", "id": "x1", "metadata": {}, "source": "- [ ] 3. Go on\n  - _Requirements: 1.1_"}
    )
    written = save(domain, session, opened)
    assert [task.key for task in domain.tasks(session.id)] == ["1", "2", "3"]
    mark = written["cells"][-1]["metadata"]["devstudio"]
    assert (mark["kind"], mark["key"]) == ("task", "3")
    # The editor still has its own cell without an id; saving again must not make a second block of it.
    task_id = domain.tasks(session.id)[2].id
    save(domain, session, opened)
    assert [task.id for task in domain.tasks(session.id)][2:] == [task_id]


def test_code_cells_and_their_outputs_stay(domain: DomainWorld, session: SpecSessionRead) -> None:
    opened = on_disk(domain, session)
    output = {"output_type": "stream", "name": "stdout", "text": "3\n"}
    code = {"cell_type": "code", "id": "c1", "metadata": {}, "source": "1+2", "outputs": [output], "execution_count": 1}
    opened["cells"].insert(1, code)
    written = save(domain, session, edit(opened, "Say thanks", "Thank"))
    assert written["cells"][1] == code


def test_a_save_merges_with_what_the_server_changed_elsewhere(domain: DomainWorld, session: SpecSessionRead) -> None:
    opened = on_disk(domain, session)
    planned = session.documents.requirements.content.replace("Add numbers", "Add all numbers")
    domain.write(session.id, requirements=planned, design="# Design\n\n## Overview\n")
    written = save(domain, session, edit(opened, "answer 0", "answer zero"))
    requirements = domain.read(session.id).documents.requirements.content
    assert "Add all numbers" in requirements
    assert "answer zero" in requirements
    assert domain.read(session.id).documents.design.content.startswith("# Design\n\n## Overview")
    assert "answer zero" in json.dumps(written)
    assert "Add all numbers" in json.dumps(written)


def test_an_overwriting_save_of_a_stale_editor_takes_nothing_back(
    domain: DomainWorld, session: SpecSessionRead
) -> None:
    opened = on_disk(domain, session)
    domain.write(session.id, design="# Design\n\nplanned text\n")
    save(domain, session, opened)
    assert "planned text" in domain.read(session.id).documents.design.content


def test_changes_of_the_same_lines_conflict_and_nothing_is_lost(domain: DomainWorld, session: SpecSessionRead) -> None:
    opened = on_disk(domain, session)
    domain.write(session.id, tasks=session.documents.tasks.content.replace("Say thanks", "Say please"))
    server = domain.read(session.id)
    stale = edit(edit(opened, "Say thanks", "Say hello"), "answer 0", "answer zero")
    versions = []
    for _ in range(3):  # trying again must neither make it pass nor double it
        written = save(domain, session, stale)
        conflict, *more = conflicts(domain, session)
        assert not more
        assert (conflict.ours, conflict.theirs) == ("- [ ] 2. Say please", "- [ ] 2. Say hello")
        assert (conflict.base, conflict.source, conflict.who) == ("- [ ] 2. Say thanks", "editor", domain.actor.name)
        assert "Say hello" in json.dumps(written)
        assert "Say please" not in json.dumps(written)
        now = domain.read(session.id)
        assert now.documents.tasks == server.documents.tasks
        assert "answer zero" in now.documents.requirements.content
        versions.append((now.version, conflict.version))
    assert versions == [versions[0]] * 3


def test_an_editor_that_saves_on_and_on_never_conflicts_with_itself(
    domain: DomainWorld, session: SpecSessionRead
) -> None:
    editor = on_disk(domain, session)
    for number in range(4):
        editor = (
            edit(editor, "Say thanks", f"Say {number} thanks")
            if number == 0
            else edit(editor, f"Say {number - 1} thanks", f"Say {number} thanks")
        )
        save(domain, session, editor)
    assert "Say 3 thanks" in domain.read(session.id).documents.tasks.content


def test_an_editor_that_saved_before_merges_with_a_later_change_of_the_server(
    domain: DomainWorld, session: SpecSessionRead
) -> None:
    editor = edit(on_disk(domain, session), "Say thanks", "Say many thanks")
    save(domain, session, editor)
    current = domain.read(session.id).documents
    domain.write(session.id, requirements=current.requirements.content.replace("Add numbers", "Sum up"))
    save(domain, session, edit(editor, "plain functions", "pure functions"))
    now = domain.read(session.id).documents
    assert "Sum up" in now.requirements.content
    assert "pure functions" in now.tasks.content
    assert "many thanks" in now.tasks.content


def test_a_reloaded_editor_starts_from_what_it_loaded(domain: DomainWorld, session: SpecSessionRead) -> None:
    opened = on_disk(domain, session)
    reloaded = save(domain, session, edit(opened, "Say thanks", "Say one"))
    save(domain, session, edit(reloaded, "Say one", "Say two"))
    assert "Say two" in domain.read(session.id).documents.tasks.content


def test_a_document_whose_cells_were_deleted_comes_back(domain: DomainWorld, session: SpecSessionRead) -> None:
    opened = on_disk(domain, session)
    opened["cells"] = [cell for cell in opened["cells"] if cell["metadata"]["devstudio"]["kind"] != "task"]
    written = save(domain, session, opened)
    assert domain.read(session.id) == session
    assert any("Write the adder" in cell["source"] for cell in written["cells"])


def test_a_copy_elsewhere_and_other_notebooks_are_left_alone(domain: DomainWorld, session: SpecSessionRead) -> None:
    opened = edit(on_disk(domain, session), "Say thanks", "Say nothing")
    assert domain.sync.save(domain.actor, f"{session.project_id}/copy.ipynb", opened) is None
    assert domain.sync.save(domain.actor, session.notebook_path, {"cells": [], "metadata": {}}) is None
    assert domain.read(session.id) == session


def test_notebooks_that_cannot_be_read_are_refused(domain: DomainWorld, session: SpecSessionRead) -> None:
    opened = on_disk(domain, session)
    for cells in ([], [{"cell_type": "code"}], "no", [3]):
        with pytest.raises(NotebookUnreadable):
            domain.sync.save(domain.actor, session.notebook_path, opened | {"cells": cells})
    assert domain.read(session.id) == session


def test_unknown_sessions_other_tenants_and_archived_projects_refuse(
    domain: DomainWorld, session: SpecSessionRead
) -> None:
    opened = on_disk(domain, session)
    other = replace(domain.actor, tenant_id=new_id())
    with pytest.raises(SpecSessionNotFound):
        domain.sync.save(other, session.notebook_path, opened)
    with domain.projects() as projects:
        projects.update(session.project_id, ProjectUpdate(status=SettableStatus.ARCHIVED), None)
    with pytest.raises(ProjectArchived):
        domain.sync.save(domain.actor, session.notebook_path, opened)


def test_a_change_after_a_save_is_no_edit_of_another_program(domain: DomainWorld, session: SpecSessionRead) -> None:
    save(domain, session, edit(on_disk(domain, session), "Say thanks", "Say it"))
    domain.write(session.id, design="# New\n")
    folder = domain.tree(session.project_id).root / ".devstudio/specs/first"
    assert not [file.name for file in folder.iterdir() if ".edited-" in file.name]
