"""The lint over HTTP."""

from __future__ import annotations

from devstudio_server.kit.ids import new_id
from support.studio import Api

TEXT = """### Requirement 1: Adding
#### Acceptance Criteria
1. WHEN two numbers are given THE SYSTEM SHALL add them quickly.
2. QUANDO uma lista é dada O SISTEMA DEVE somar os itens.
"""


def test_the_lint_answers_findings_with_places_and_the_coverage(api: Api) -> None:
    session = api.session(api.project()["id"])
    tasks = "- [ ] 1. Add\n  - _Requirements: 1.1, 1.7_\n"
    api.put(f"spec-sessions/{session['id']}", {"documents": {"requirements": TEXT, "tasks": tasks}}).expect(200)
    answer = api.get(f"spec-sessions/{session['id']}/lint").expect(200)
    first = answer["warnings"][0]
    assert (first["code"], first["severity"], first["document"], first["key"]) == (
        "vague-word",
        "warning",
        "requirements",
        "1.1",
    )
    line = TEXT.split("\n")[first["line"] - 1]
    assert line[first["column"] - 1 : first["end_column"] - 1] == "quickly"
    assert [warning["code"] for warning in answer["warnings"][1:]] == ["uncovered-criterion", "unknown-reference"]
    assert answer["coverage"]["criteria_without_task"] == ["1.2"]
    assert answer["coverage"]["unknown_criteria"] == {"1": ["1.7"]}
    assert answer["coverage"]["criteria_without_evidence"] == ["1.1", "1.2"]


def test_an_empty_session_has_nothing_to_find(api: Api) -> None:
    session = api.session(api.project()["id"])
    answer = api.get(f"spec-sessions/{session['id']}/lint").expect(200)
    assert answer["warnings"] == []
    assert answer["coverage"]["criteria"] == 0


def test_a_session_that_is_not_there_and_an_unknown_query_are_refused(api: Api) -> None:
    api.get(f"spec-sessions/{new_id()}/lint").problem(404)
    session = api.session(api.project()["id"])
    assert api.get(f"spec-sessions/{session['id']}/lint", fix="yes").status in {400, 422}
