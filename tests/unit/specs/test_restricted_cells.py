"""Restricted cells: the flag of a cell and the mark in the text follow each other, and change nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from devstudio_server.kit.ids import new_id
from devstudio_server.kit.restricted import cut
from devstudio_server.specs.markdown import assign_ids, parse, strip_ids
from devstudio_server.specs.notebook import as_notebook, build_notebook, from_json, read_documents, to_json
from devstudio_server.specs.schemas import DocumentType

SESSION = new_id()
M = "<!-- restricted -->"
TEXTS = {
    DocumentType.REQUIREMENTS: (
        "# Requirements\n\n### Requirement 1: Open <!-- id:a -->\n#### Acceptance Criteria\n1. SHALL open\n\n"
        "### Requirement 2: Prices <!-- id:b -->\n#### Acceptance Criteria\n1. SHALL CANARY\n\n### Notes\nCANARY\n\n"
        "### Requirement 3: Open <!-- id:c -->\n#### Acceptance Criteria\n1. SHALL open"
    ),
    DocumentType.DESIGN: "# Design\n\n## Overview <!-- id:d -->\nopen\n\n## Prices <!-- id:e -->\nCANARY\n",
    DocumentType.TASKS: "# Tasks\n- [ ] 1. Open <!-- id:f -->\n- [ ] 2. Prices <!-- id:g -->\n  - CANARY\n",
}


def build(texts: dict[DocumentType, str], existing: Any = None) -> Any:
    return from_json(to_json(build_notebook(SESSION, 1, texts, existing)))


def flag(notebook: Any, cell_id: str, *, restricted: bool) -> Any:
    cell = next(cell for cell in notebook.cells if cell.id == cell_id)
    cell.metadata["devstudio"]["restricted"] = restricted
    return as_notebook(notebook)


def flagged(notebook: Any) -> set[str]:
    return {cell.id for cell in notebook.cells if cell.metadata["devstudio"].get("restricted")}


@pytest.mark.parametrize("cell_id", ["b", "e", "g"])
def test_the_flag_of_a_cell_becomes_marks_and_comes_back(cell_id: str) -> None:
    texts = read_documents(flag(build(TEXTS), cell_id, restricted=True))
    kind = next(kind for kind in DocumentType if f"id:{cell_id} " in TEXTS[kind])
    assert "CANARY" not in cut(texts[kind]).text
    assert "pen" in cut(texts[kind]).text
    assert {other: texts[other] for other in DocumentType if other is not kind} == {
        other: TEXTS[other] for other in DocumentType if other is not kind
    }
    notebook = build(texts)
    assert flagged(notebook) == {cell_id}
    assert read_documents(notebook) == texts
    assert read_documents(flag(notebook, cell_id, restricted=False)) == TEXTS


def test_taking_the_mark_out_of_the_text_takes_the_flag_off() -> None:
    notebook = build(read_documents(flag(build(TEXTS), "e", restricted=True)))
    cell = next(cell for cell in notebook.cells if cell.id == "e")
    cell.source = cell.source.replace(f" {M}", "")
    texts = read_documents(notebook)
    assert texts == TEXTS
    assert flagged(build(texts)) == set()


def test_the_cell_of_the_title_restricts_the_document() -> None:
    texts = read_documents(flag(build(TEXTS), "design-opening", restricted=True))
    assert flagged(build(texts)) == {"design-opening", "d", "e"}
    assert read_documents(build(texts)) == texts
    # A cell that is restricted from above has no mark of its own, and gets none when it is saved.
    assert texts[DocumentType.DESIGN].count(M) == 1


def test_a_cell_of_an_editor_that_knows_no_marks() -> None:
    notebook = build(TEXTS)
    extra = notebook.cells[1].copy()
    extra.update(id="mine", source="CANARY\n\nCANARY", metadata={"devstudio": {"restricted": True}})
    notebook.cells.insert(2, extra)
    text = read_documents(as_notebook(notebook))[DocumentType.REQUIREMENTS]
    assert "CANARY" not in cut(text).text.partition("### Requirement 2")[0]


@pytest.mark.parametrize("line", [f"### Requirement 1: A {M} <!-- id:a -->", f"### Requirement 1: A <!-- id:a --> {M}"])
def test_a_mark_is_no_part_of_a_block(line: str) -> None:
    kind = DocumentType.REQUIREMENTS
    text = f"{line}\n#### Acceptance Criteria\n1. It SHALL <!-- id:b --> {M}\n"
    requirement = parse(kind, text).requirements[0]
    assert (requirement.text, requirement.id) == ("A", "a")
    assert (requirement.criteria[0].text, requirement.criteria[0].id) == ("It SHALL", "b")
    plain = text.replace(f" {M}", "")
    assert requirement.criteria[0].sha256 == parse(kind, plain).requirements[0].criteria[0].sha256
    assert assign_ids(kind, text) == text
    assert "id:" not in strip_ids(text)
    assert strip_ids(text).count(M) == 2
    assert [block.id for block in parse(kind, assign_ids(kind, strip_ids(text), text)).blocks()] == ["a", "b"]
