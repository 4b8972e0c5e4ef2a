"""The notebook holds the documents byte for byte, and everything else that a person put into it."""

from __future__ import annotations

from typing import Any

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output, new_raw_cell

from devstudio_server.kit.ids import new_id
from devstudio_server.specs.errors import NotebookUnreadable
from devstudio_server.specs.markdown import assign_ids
from devstudio_server.specs.notebook import (
    as_notebook,
    build_notebook,
    from_json,
    read_documents,
    session_id_of,
    to_json,
    version_of,
)
from devstudio_server.specs.schemas import DocumentType

R, D, T = DocumentType.REQUIREMENTS, DocumentType.DESIGN, DocumentType.TASKS
SESSION = new_id()
WEIRD = "### Requirement 1: A <!-- id:{} -->\n#### Acceptance Criteria\n1. SHALL\n### Requirement 2 <!-- id:{} -->\n"

TEXTS = st.lists(
    st.sampled_from(
        ["# Requirements", "# Design", "# Tasks", "### Requirement 1: A <!-- id:a -->", "### Requirement 2",
         "1. x SHALL", "#### Acceptance Criteria", "## S <!-- id:a -->", "## S <!-- id:tasks-opening -->",
         "- [ ] 1. t <!-- id:a -->",
         "- [ ] u", "  - [ ] v", "", "\r", "x\r", "```", "\u2028", "a\x0bb", "\ttab "]
    )
    | st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=6),
    max_size=10,
).map("\n".join)  # fmt: skip
DOCUMENTS = st.fixed_dictionaries(dict.fromkeys(DocumentType, TEXTS))


def build(documents: dict[DocumentType, str], existing: Any = None, version: int = 3) -> Any:
    return build_notebook(SESSION, version, documents, existing)


def kinds(notebook: Any) -> list[str]:
    return [cell.metadata.get("devstudio", {}).get("kind", cell.cell_type) for cell in notebook.cells]


@settings(max_examples=120, deadline=None)
@given(documents=DOCUMENTS, assigned=st.booleans())
def test_documents_come_back_byte_for_byte(documents: dict[DocumentType, str], *, assigned: bool) -> None:
    if assigned:
        documents = {kind: assign_ids(kind, text) for kind, text in documents.items()}
    notebook = build(documents)
    nbformat.validate(notebook)
    ids = [cell.id for cell in notebook.cells]
    assert len(ids) == len(set(ids))
    assert read_documents(from_json(to_json(notebook))) == documents
    assert read_documents(as_notebook(nbformat.from_dict(notebook))) == documents
    assert build(documents, from_json(to_json(notebook))) == notebook, "writing it again changes nothing"


@pytest.mark.parametrize("text", ["# Tasks", "# Tasks\n", "", "\n", "\r\n", "x\n\n\n", "- [ ] 1. a\r\n\r\n"])
def test_placeholders_stand_for_nothing_and_the_same_words_of_a_person_for_themselves(text: str) -> None:
    documents = {R: "", D: "", T: text}
    notebook = build(documents)
    assert notebook.cells[-1].source
    assert read_documents(from_json(to_json(notebook))) == documents


def test_one_cell_a_block_with_kind_key_version_and_id() -> None:
    documents = {
        R: "# Requirements\n\n### Requirement 1: A <!-- id:r1 -->\ntext\n### Requirement 2: B <!-- id:r2 -->\n",
        D: "## Overview <!-- id:d1 -->\n",
        T: "- [ ] 1. A <!-- id:t1 -->\n  - [ ] 1.1 a <!-- id:t2 -->\n- [ ] 2. B <!-- id:t3 -->",
    }
    notebook = build(documents, version=7)
    marks = [cell.metadata.devstudio for cell in notebook.cells]
    assert [(mark.kind, mark.key, cell.id) for mark, cell in zip(marks, notebook.cells, strict=True)] == [
        ("requirement", "", "requirements-opening"),
        ("requirement", "1", "r1"),
        ("requirement", "2", "r2"),
        ("design", "", "d1"),
        ("task", "1", "t1"),
        ("task", "2", "t3"),
    ]
    assert {mark.version for mark in marks} == {7}
    assert notebook.metadata["devstudio"] == {"schema": 1, "session_id": str(SESSION), "version": 7}
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert (session_id_of(notebook), version_of(notebook)) == (SESSION, 7)


@pytest.mark.parametrize(
    "text", [WEIRD.format("same", "same"), WEIRD.format("design-opening", "tasks-opening"), WEIRD.format("x" * 64, "-")]
)
def test_cell_ids_are_unique_and_valid_whatever_the_text_says(text: str) -> None:
    documents = {R: text, D: text.replace("###", "##"), T: ""}
    notebook = build(documents, build(documents))
    ids = [cell.id for cell in notebook.cells]
    assert len(ids) == len(set(ids))
    nbformat.validate(notebook)
    assert read_documents(notebook) == documents


def test_foreign_cells_keep_outputs_and_place() -> None:
    documents = {R: "### Requirement 1 <!-- id:r1 -->\n### Requirement 2 <!-- id:r2 -->", D: "", T: ""}
    notebook = build(documents)
    output = new_output("stream", text="42\n")
    notebook.cells.insert(1, new_code_cell("6 * 7", id="code1", outputs=[output], execution_count=3))
    notebook.cells.insert(0, new_raw_cell("---", id="raw1"))
    notebook.cells.append(new_code_cell("last", id="code2"))
    changed = documents | {R: "### Requirement 0 <!-- id:r0 -->\n" + documents[R]}
    rebuilt = build(changed, from_json(to_json(notebook)), version=4)
    assert [cell.id for cell in rebuilt.cells] == [
        "raw1", "r0", "r1", "code1", "r2", "design-opening", "tasks-opening", "code2",
    ]  # fmt: skip
    code = next(cell for cell in rebuilt.cells if cell.id == "code1")
    assert (code.source, code.outputs, code.execution_count) == ("6 * 7", [output], 3)


def test_foreign_cells_behind_a_cell_that_is_gone_go_to_the_end() -> None:
    notebook = build({R: "### Requirement 1 <!-- id:r1 -->", D: "", T: ""})
    notebook.cells.insert(1, new_code_cell("kept", id="code1"))
    rebuilt = build({R: "other", D: "", T: ""}, notebook)
    assert [cell.id for cell in rebuilt.cells][-1] == "code1"


def test_a_foreign_cell_with_the_id_of_a_block_is_renamed_not_lost() -> None:
    notebook = build({R: "", D: "", T: ""})
    notebook.cells.append(new_code_cell("mine", id="r1"))
    rebuilt = build({R: "### Requirement 1 <!-- id:r1 -->", D: "", T: ""}, notebook)
    assert [cell.id for cell in rebuilt.cells if cell.source == "mine"] == ["r1-2"]


def test_a_markdown_cell_of_a_person_continues_the_document_above() -> None:
    notebook = build({R: "### Requirement 1 <!-- id:r1 -->", D: "d", T: "t"})
    notebook.cells.insert(1, new_markdown_cell("more", id="new"))
    notebook.cells.insert(0, new_markdown_cell("first", id="top"))
    documents = read_documents(notebook)
    assert documents == {R: "first\n### Requirement 1 <!-- id:r1 -->\nmore", D: "d", T: "t"}
    assert kinds(build(documents, notebook)) == ["requirement", "requirement", "design", "task"]


def test_text_behind_a_placeholder_keeps_the_heading() -> None:
    notebook = build({R: "", D: "", T: ""})
    notebook.cells.insert(1, new_markdown_cell("### Requirement 1", id="new"))
    assert read_documents(notebook)[R] == "# Requirements\n### Requirement 1"


def test_a_document_whose_cells_are_gone_is_not_read() -> None:
    notebook = build({R: "r", D: "d", T: "t"})
    notebook.cells = [cell for cell in notebook.cells if cell.source != "d"]
    assert read_documents(notebook) == {R: "r", T: "t"}


def test_a_notebook_without_markdown_is_refused() -> None:
    with pytest.raises(NotebookUnreadable, match="no markdown cell"):
        read_documents({"cells": [new_code_cell("x")]})


def test_notebooks_older_than_4_5_are_read_and_get_ids() -> None:
    old = {
        "nbformat": 4,
        "nbformat_minor": 2,
        "metadata": {},
        "cells": [
            {"cell_type": "markdown", "metadata": {}, "source": ["a\n", "b"]},
            {"cell_type": "code", "metadata": {}, "source": "1", "outputs": [], "execution_count": None},
        ],
    }
    notebook = as_notebook(old)
    assert read_documents(notebook) == {R: "a\nb"}
    assert len({cell.id for cell in build({R: "a\nb"}, notebook).cells}) == 4
    assert "id" not in old["cells"][0]


GOOD_CELL = {"cell_type": "markdown", "metadata": {}, "source": "x", "id": "a"}
HOSTILE: list[Any] = [
    {},
    {"cells": "no"},
    {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": ["no"]},
    {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code"}]},
    {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [GOOD_CELL | {"source": [1, 2]}]},
    {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [GOOD_CELL | {"id": "not an id!"}]},
    {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [GOOD_CELL | {"metadata": None}]},
    {"nbformat": "four", "metadata": {}, "cells": []},
]


@pytest.mark.parametrize("content", HOSTILE)
def test_what_is_no_notebook_is_refused_with_a_reason(content: Any) -> None:
    with pytest.raises(NotebookUnreadable, match="no valid notebook"):
        as_notebook(content)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"null", b"{}"])
def test_a_file_that_is_no_notebook_is_refused(content: bytes) -> None:
    with pytest.raises(NotebookUnreadable):
        from_json(content)


@pytest.mark.parametrize("mark", [None, [], {"kind": []}, {"kind": {}}, {"kind": "approval"}, "task", {"sha256": 1}])
def test_marks_that_are_not_ours_are_no_marks(mark: Any) -> None:
    cell = GOOD_CELL | {"metadata": {"devstudio": mark}}
    notebook = as_notebook({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]})
    assert read_documents(notebook) == {R: "x"}


@pytest.mark.parametrize("mark", [None, 3, {}, {"session_id": 4}, {"session_id": "x"}, {"session_id": None}, []])
def test_a_notebook_that_names_no_session_is_nobodys(mark: Any) -> None:
    assert session_id_of({"metadata": {"devstudio": mark}}) is None
    assert session_id_of({"metadata": mark}) is None
    assert session_id_of({}) is None


@pytest.mark.parametrize("version", [None, "x", [], float("inf"), float("nan")])
def test_a_version_that_is_no_number_is_zero(version: Any) -> None:
    assert version_of({"metadata": {"devstudio": {"version": version}}}) == 0
