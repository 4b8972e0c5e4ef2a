"""The documents that are planned offline, read back as the product reads them."""

from __future__ import annotations

import pytest

from devstudio_server.ai.offline.ears import is_portuguese, read_wishes, to_ears
from devstudio_server.ai.offline.names import LABEL
from devstudio_server.ai.offline.planner import plan
from devstudio_server.ai.subjects import PlanSubject
from devstudio_server.planning.subjects import requirements_of
from devstudio_server.specs.markdown import expand_references, parse
from devstudio_server.specs.schemas import DocumentType
from support.ai_world import plan_subject

SENTENCES = [
    ("add(2, 3) returns 5", "WHEN `add(2, 3)` is called, THE SYSTEM SHALL return 5."),
    ("`add(2, 3)` → 5", "WHEN `add(2, 3)` is called, THE SYSTEM SHALL return 5."),
    ("When a user signs in, the system should show orders.", "WHEN a user signs in, THE SYSTEM SHALL show orders."),
    ("If stock is empty then warn the user", "IF stock is empty, THEN THE SYSTEM SHALL warn the user."),
    ("While offline, keep a queue", "WHILE offline, THE SYSTEM SHALL keep a queue."),
    ("The app must not store passwords", "THE SYSTEM SHALL not store passwords."),
    ("The system should be able to export CSV", "THE SYSTEM SHALL export CSV."),
    ("Customers can cancel an order", "THE SYSTEM SHALL let customers cancel an order."),
    ("CSV files can be imported", "THE SYSTEM SHALL let CSV files be imported."),
    ("Export CSV", "THE SYSTEM SHALL export CSV."),
    ("A page with all orders", "THE SYSTEM SHALL fulfil this: A page with all orders."),
    ("WHEN x, THE SYSTEM SHALL y", "WHEN x, THE SYSTEM SHALL y"),
]
PORTUGUESE = [
    ("soma(2, 3) retorna 5", "QUANDO `soma(2, 3)` é chamada, O SISTEMA DEVE retornar 5."),
    ("Quando o pedido é pago, o sistema deve enviar nota.", "QUANDO o pedido é pago, O SISTEMA DEVE enviar nota."),
    ("Se não há estoque então avisar o usuário", "SE não há estoque, ENTÃO O SISTEMA DEVE avisar o usuário."),
    ("O usuário pode criar pedidos", "O SISTEMA DEVE permitir ao usuário criar pedidos."),
    ("As lojas podem criar pedidos", "O SISTEMA DEVE permitir às lojas criar pedidos."),
    ("Cadastrar clientes", "O SISTEMA DEVE cadastrar clientes."),
    ("Uma página com os pedidos", "O SISTEMA DEVE cumprir isto: Uma página com os pedidos."),
    ("O SISTEMA DEVE listar pedidos", "O SISTEMA DEVE listar pedidos"),
]  # fmt: skip

EXISTING = """# Requirements

Some words   of mine.\r
### Requirement 3: Parse <!-- id:abc -->
#### Acceptance Criteria
1. WHEN parse("1") is called THE SYSTEM SHALL return 1 <!-- id:def -->
2. IF it is no number THEN THE SYSTEM SHALL refuse it"""


def planned(**changes: object) -> PlanSubject:
    return plan_subject(stages=("requirements", "design", "tasks"), **changes)


@pytest.mark.parametrize(("sentence", "criterion"), SENTENCES)
def test_english_sentences_become_ears(sentence: str, criterion: str) -> None:
    assert not is_portuguese(sentence)
    assert to_ears(sentence, portuguese=False) == criterion


@pytest.mark.parametrize(("sentence", "criterion"), PORTUGUESE)
def test_portuguese_sentences_become_ears(sentence: str, criterion: str) -> None:
    assert is_portuguese(sentence, otherwise=True)
    assert to_ears(sentence, portuguese=True) == criterion


def test_wishes_are_grouped_by_heading_and_lose_nothing() -> None:
    text = "First. Second one!\n\n# Part\nIt must:\n- do a\n  and b\n2. do c\n```\ncode\n```\n* [ ] do d"
    found = [(wish.title, wish.statements) for wish in read_wishes(text)]
    assert found == [("", ["First.", "Second one!"]), ("Part", ["do a and b", "do c", "do d"])]


def test_new_documents_are_in_the_format_without_a_warning() -> None:
    documents = plan(planned(prompt="- Export CSV\n- add(2, 3) returns 5"))
    requirements = parse(DocumentType.REQUIREMENTS, documents.requirements or "")
    tasks = parse(DocumentType.TASKS, documents.tasks or "")
    assert requirements.findings == []
    assert tasks.findings == []
    assert [block.text for block in requirements.requirements] == ["Project skeleton", "Take orders"]
    named = [expand_references(task, requirements.criteria()) for task in tasks.tasks]
    assert [keys for keys, _ in named] == [["1.1", "1.2", "1.3", "1.4"], ["2.1", "2.2"]]
    assert all(findings == [] for _, findings in named)
    sections = [block.text for block in parse(DocumentType.DESIGN, documents.design or "").sections]
    assert sections == [
        "Overview",
        "Architecture",
        "Components and Interfaces",
        "Data Models",
        "Error Handling",
        "Testing Strategy",
    ]
    assert "functions `add`" in (documents.design or "")
    for text in (documents.requirements, documents.design, documents.tasks):
        assert LABEL in (text or "")


def test_only_the_asked_stage_is_written() -> None:
    documents = plan(plan_subject(stages=("design",)))
    assert documents.requirements is documents.tasks is None
    assert "no requirements yet" in (documents.design or "")
    tasks = plan(plan_subject(stages=("tasks",))).tasks
    assert "plan them first" in (tasks or "")


def test_existing_requirements_stay_byte_for_byte() -> None:
    requirements = requirements_of(EXISTING)
    subject = planned(documents={"requirements": EXISTING}, requirements=requirements)
    documents = plan(subject)
    assert (documents.requirements or "").startswith(EXISTING)
    after = requirements_of(documents.requirements or "")
    assert after[0] == requirements[0]
    assert [(found.number, found.title) for found in after] == [(3, "Parse"), (4, "Project skeleton")]
    tasks = parse(DocumentType.TASKS, documents.tasks or "").tasks
    assert [task.references for task in tasks] == [["4.1", "4.2", "4.3", "4.4"], ["3.1", "3.2"]]


def test_planning_again_adds_only_what_is_new() -> None:
    first = plan(planned(prompt="- Export CSV"))
    texts = {"requirements": first.requirements or "", "tasks": first.tasks or "", "design": first.design or ""}
    known = requirements_of(texts["requirements"])
    again = plan(planned(prompt="- Export CSV", documents=texts, requirements=known))
    assert again == first
    more = plan(planned(prompt="- Export CSV\n- Import CSV", documents=texts, requirements=known))
    assert (more.requirements or "").startswith(texts["requirements"])
    assert (more.tasks or "").startswith(texts["tasks"])
    added = parse(DocumentType.TASKS, more.tasks or "").tasks[-1]
    assert (added.label, added.references) == ("3", ["3.1"])


def test_a_design_of_a_person_is_kept_and_gets_one_supplement() -> None:
    mine = "# Design\n\n## Overview\n\nMine.\n"
    first = plan(planned(prompt="- Export CSV", documents={"design": mine})).design or ""
    assert first.startswith(mine)
    assert "## Offline supplement" in first
    assert plan(planned(prompt="- Export CSV", documents={"design": first})).design == first


def test_a_text_in_no_known_shape_is_kept_and_read_as_the_wish() -> None:
    text = "We sell coffee.\n\n- Customers can order coffee\n"
    document = plan(planned(documents={"requirements": text})).requirements or ""
    assert document.startswith(text)
    assert "THE SYSTEM SHALL let customers order coffee." in document


def test_many_wishes_are_split_into_reviewable_requirements() -> None:
    document = plan(planned(prompt="\n".join(f"- Export file {number}" for number in range(30)))).requirements or ""
    sizes = [len(requirement.criteria) for requirement in requirements_of(document)]
    assert sizes == [4, 12, 12, 6]


def test_a_skeleton_that_is_there_is_not_doubled() -> None:
    text = "### Requirement 1: Esqueleto do projeto\n#### Critérios de Aceitação\n1. O SISTEMA DEVE iniciar\n"
    subject = planned(documents={"requirements": text}, requirements=requirements_of(text))
    assert plan(subject).requirements == text
