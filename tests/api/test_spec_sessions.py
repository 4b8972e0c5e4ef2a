"""Spec sessions over HTTP: documents, what is derived from them, and the files that follow."""

from __future__ import annotations

import re
from typing import Any

import nbformat
import pytest

from support.studio import Api, Studio

REQUIREMENTS = """# Requirements

### Requirement 1: Add numbers
**User Story:** As a user, I want to add, so that I know the sum.

#### Acceptance Criteria
1. WHEN two numbers are added THE SYSTEM SHALL return their sum
2. IF a value is no number THEN THE SYSTEM SHALL raise TypeError

### Requisito 2: Somar listas
#### Critérios de Aceitação
1. QUANDO uma lista é somada O SISTEMA DEVE retornar o total
"""
TASKS = """# Tasks
- [ ] 1. Write the adder
  - with care
  - _Requirements: 1.1, 1.2_
- [x]* 2. Lists
  - _Requirements: 2_
"""
_IDS = re.compile(r" <!-- id:[A-Za-z0-9_-]+ -->")


@pytest.fixture
def session(api: Api) -> dict[str, Any]:
    return api.session(api.project()["id"], title="Soma & Cia", description="Adds.")


def put_documents(api: Api, session: dict[str, Any], **documents: str) -> dict[str, Any]:
    return dict(api.put(f"spec-sessions/{session['id']}", {"documents": documents}).expect(200))


def file(studio: Studio, session: dict[str, Any], name: str) -> str:
    folder = session["notebook_path"].rsplit("/", 1)[0]
    answer = studio.api.send("GET", f"{studio.url}/api/contents/{folder}/{name}?type=file&format=text")
    return str(answer.expect(200)["content"])


def notebook(studio: Studio, session: dict[str, Any]) -> Any:
    model = studio.api.send("GET", f"{studio.url}/api/contents/{session['notebook_path']}").expect(200)
    content = nbformat.from_dict(model["content"])
    nbformat.validate(content)
    return content


def save_notebook(studio: Studio, session: dict[str, Any], content: Any) -> Any:
    body = {"type": "notebook", "format": "json", "content": content}
    return studio.api.send("PUT", f"{studio.url}/api/contents/{session['notebook_path']}", json=body)


def test_a_new_session_has_three_empty_documents_and_files(api: Api, studio: Studio, session: dict[str, Any]) -> None:
    empty = {
        "content": "", "version": 0, "status": "draft", "status_reason": "", "approved_by": None, "approved_at": None
    }  # fmt: skip
    assert session["documents"] == dict.fromkeys(("requirements", "design", "tasks"), empty)
    assert session["document_versions"] == {}
    assert session["status"] == "draft"
    assert session["version"] == 1
    assert session["notebook_path"].endswith("/.devstudio/specs/soma-cia/soma-cia.ipynb")
    assert file(studio, session, "requirements.md") == ""
    found = notebook(studio, session)
    assert found.metadata.devstudio == {"schema": 1, "session_id": session["id"], "version": 1}
    assert [cell.metadata.devstudio.kind for cell in found.cells] == ["requirement", "design", "task"]
    assert api.get(f"spec-sessions/{session['id']}").expect(200) == session


def test_documents_get_ids_versions_criteria_and_tasks(api: Api, studio: Studio, session: dict[str, Any]) -> None:
    changed = put_documents(api, session, requirements=REQUIREMENTS, tasks=TASKS)
    requirements = changed["documents"]["requirements"]
    assert requirements["version"] == 1
    assert changed["documents"]["design"]["version"] == 0
    assert len(_IDS.findall(requirements["content"])) == 5
    assert _IDS.sub("", requirements["content"]) == REQUIREMENTS
    assert changed["document_versions"] == {"requirements": 1, "tasks": 1}
    assert changed["status"] == "active"
    assert file(studio, session, "requirements.md") == requirements["content"]

    tasks = api.get(f"spec-sessions/{session['id']}/tasks").expect(200)
    assert [(task["key"], task["title"], task["criteria"], task["optional"]) for task in tasks["items"]] == [
        ("1", "Write the adder", ["1.1", "1.2"], False),
        ("2", "Lists", ["2.1"], True),
    ]
    assert [task["status"] for task in tasks["items"]] == ["todo", "todo"], "a ticked box proves nothing"
    assert [(row["key"], row["proven"]) for row in tasks["criteria"]] == [
        ("1.1", False),
        ("1.2", False),
        ("2.1", False),
    ]
    assert tasks["next_cursor"] is None
    assert "ticked" in [warning["code"] for warning in changed["warnings"]]
    one = api.get(f"tasks/{tasks['items'][0]['id']}").expect(200)
    assert one == tasks["items"][0]


def test_the_same_text_again_is_no_new_version(api: Api, session: dict[str, Any]) -> None:
    first = put_documents(api, session, requirements=REQUIREMENTS)
    again = put_documents(api, session, requirements=REQUIREMENTS)
    assert again["documents"] == first["documents"]


def test_a_text_in_no_known_shape_is_kept_byte_for_byte(api: Api, studio: Studio, session: dict[str, Any]) -> None:
    text = "Just some notes\r\n\twith tabs  \n\n\n- [ not a task\n# Ünïcode 🎉 \n<script>alert(1)</script>\n\n"
    changed = put_documents(api, session, requirements=text, tasks=text)
    assert changed["documents"]["requirements"]["content"] == text
    assert changed["documents"]["tasks"]["content"] == text
    assert {warning["code"] for warning in changed["warnings"]} == {"unknown-shape"}
    assert api.get(f"spec-sessions/{session['id']}/tasks").expect(200)["items"] == []
    cells = [cell.source for cell in notebook(studio, session).cells if cell.metadata.devstudio.kind == "requirement"]
    assert "\n".join(cells) == text


def test_a_stale_version_loses_nothing(api: Api, session: dict[str, Any]) -> None:
    put_documents(api, session, requirements=REQUIREMENTS)
    refused = api.put(f"spec-sessions/{session['id']}", {"documents": {"requirements": "mine"}}, version=1)
    assert refused.problem(412)["current_version"] == 2
    assert (
        "Add numbers" in api.get(f"spec-sessions/{session['id']}").expect(200)["documents"]["requirements"]["content"]
    )


def test_saving_the_notebook_updates_the_documents(api: Api, studio: Studio, session: dict[str, Any]) -> None:
    put_documents(api, session, requirements=REQUIREMENTS, tasks=TASKS)
    content = notebook(studio, session)
    cell = next(cell for cell in content.cells if "Add numbers" in cell.source)
    cell.source = cell.source.replace("their sum", "their exact sum")
    save_notebook(studio, session, content).expect(200)
    changed = api.get(f"spec-sessions/{session['id']}").expect(200)
    assert "their exact sum" in changed["documents"]["requirements"]["content"]
    assert changed["documents"]["requirements"]["version"] == 2
    assert changed["documents"]["tasks"]["version"] == 1
    assert file(studio, session, "requirements.md") == changed["documents"]["requirements"]["content"]
    criteria = api.get(f"spec-sessions/{session['id']}/tasks").expect(200)["criteria"]
    assert criteria[0]["text"] == "WHEN two numbers are added THE SYSTEM SHALL return their exact sum"


def test_a_notebook_that_drops_the_ids_keeps_the_criteria_what_they_are(
    api: Api, studio: Studio, session: dict[str, Any]
) -> None:
    before = put_documents(api, session, requirements=REQUIREMENTS)["documents"]["requirements"]["content"]
    content = notebook(studio, session)
    for cell in content.cells:
        cell.source = _IDS.sub("", cell.source)
    save_notebook(studio, session, content).expect(200)
    after = api.get(f"spec-sessions/{session['id']}").expect(200)["documents"]["requirements"]
    assert after["content"] == before
    assert after["version"] == 1


def test_code_cells_and_their_output_stay(api: Api, studio: Studio, session: dict[str, Any]) -> None:
    put_documents(api, session, requirements=REQUIREMENTS)
    content = notebook(studio, session)
    code = nbformat.v4.new_code_cell("1 + 1", outputs=[nbformat.v4.new_output("stream", text="2\n")])
    content.cells.insert(2, code)
    save_notebook(studio, session, content).expect(200)
    put_documents(api, session, design="# Design\n\n## Overview\nA little.\n")
    kept = [cell for cell in notebook(studio, session).cells if cell.cell_type == "code"]
    assert [(cell.source, cell.outputs[0].text) for cell in kept] == [("1 + 1", "2\n")]


def test_a_notebook_and_the_server_changed_different_lines(api: Api, studio: Studio, session: dict[str, Any]) -> None:
    put_documents(api, session, requirements=REQUIREMENTS)
    stale = notebook(studio, session)
    put_documents(api, session, requirements=REQUIREMENTS.replace("retornar o total", "retornar o total exato"))
    cell = next(cell for cell in stale.cells if "Add numbers" in cell.source)
    cell.source = cell.source.replace("Add numbers", "Add two numbers")
    save_notebook(studio, session, stale).expect(200)
    text = api.get(f"spec-sessions/{session['id']}").expect(200)["documents"]["requirements"]["content"]
    assert "Add two numbers" in text
    assert "total exato" in text


def test_a_notebook_and_the_server_changed_the_same_line(api: Api, studio: Studio, session: dict[str, Any]) -> None:
    put_documents(api, session, requirements=REQUIREMENTS)
    stale = notebook(studio, session)
    put_documents(api, session, requirements=REQUIREMENTS.replace("Add numbers", "Add integers"))
    cell = next(cell for cell in stale.cells if "Add numbers" in cell.source)
    cell.source = cell.source.replace("Add numbers", "Add fractions")
    save_notebook(studio, session, stale).expect(200)
    text = api.get(f"spec-sessions/{session['id']}").expect(200)["documents"]["requirements"]["content"]
    assert "Add integers" in text
    assert "Add fractions" in str(notebook(studio, session)), "what was typed is in the file until somebody decides"
    (conflict,) = api.get(f"spec-sessions/{session['id']}/conflicts").expect(200)["items"]
    assert ("Add integers" in conflict["ours"], "Add fractions" in conflict["theirs"]) == (True, True)


def test_a_file_that_another_program_wrote_anew_is_never_overwritten(
    api: Api, studio: Studio, session: dict[str, Any]
) -> None:
    put_documents(api, session, requirements=REQUIREMENTS)
    folder = session["notebook_path"].rsplit("/", 1)[0]
    url = f"{studio.url}/api/contents/{folder}"
    body = {"type": "file", "format": "text", "content": "typed in another editor"}
    api.send("PUT", f"{url}/requirements.md", json=body).expect(200)
    after = put_documents(api, session, requirements=REQUIREMENTS + "\nMore.\n")
    (conflict,) = api.get(f"spec-sessions/{session['id']}/conflicts").expect(200)["items"]
    assert (conflict["block_id"], conflict["theirs"]) == ("", "typed in another editor")
    assert file(studio, session, "requirements.md") == "typed in another editor"
    assert after["documents"]["requirements"]["content"].endswith("More.\n")


def test_a_session_is_deleted_and_listed(api: Api) -> None:
    project = api.project()
    first, second = (api.session(project["id"], title="Twice") for _ in range(2))
    assert first["slug"] != second["slug"]
    listed = api.get("spec-sessions", project_id=project["id"]).expect(200)["items"]
    assert [item["id"] for item in listed] == [second["id"], first["id"]]
    assert "documents" not in listed[0]
    api.delete(f"spec-sessions/{first['id']}", version=7).problem(412)
    api.delete(f"spec-sessions/{first['id']}", version=1).expect(204)
    api.get(f"spec-sessions/{first['id']}").problem(404)
    assert len(api.get("spec-sessions", project_id=project["id"]).expect(200)["items"]) == 1


def test_a_document_that_someone_removed_is_asked_about_and_its_notebook_comes_back(
    api: Api, studio: Studio, session: dict[str, Any]
) -> None:
    put_documents(api, session, requirements=REQUIREMENTS)
    folder = session["notebook_path"].rsplit("/", 1)[0]
    for name in ("requirements.md", session["notebook_path"].rsplit("/", 1)[1]):
        api.send("DELETE", f"{studio.url}/api/contents/{folder}/{name}").expect(204)
    api.get(f"spec-sessions/{session['id']}").expect(200)
    assert "Add numbers" in str(notebook(studio, session))
    (deletion,) = api.post(f"spec-sessions/{session['id']}/sync", {}).expect(200)["deletions"]
    assert deletion["path"].endswith("/requirements.md")
    there = api.send("GET", f"{studio.url}/api/contents/{folder}").expect(200)["content"]
    assert "requirements.md" not in {item["name"] for item in there}
    api.post(f"conflicts/{deletion['id']}/resolve", {"choice": "restore"}).expect(200)
    assert "Add numbers" in file(studio, session, "requirements.md")
