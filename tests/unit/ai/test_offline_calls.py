"""Which criteria count as exact, and that everything with room for a meaning does not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstudio_server.ai.offline.calls import Example, TextTemplate, find_rule
from devstudio_server.ai.offline.literals import NotLiteralError, whole_literal, write

EXACT: list[tuple[str, Example]] = [
    ("WHEN add(2, 3) is called THE SYSTEM SHALL return 5", Example("add", (2, 3), 5)),
    ("WHEN `add(2, 3)` is called, THE SYSTEM SHALL return `5`.", Example("add", (2, 3), 5)),
    ("when add(2,3) is evaluated the system shall return 5.", Example("add", (2, 3), 5)),
    ("WHEN add is called with 2 and 3, THE SYSTEM SHALL return 5", Example("add", (2, 3), 5)),
    ("WHEN `join` is called with 'a and b', \"c\" THE SYSTEM SHALL return ‘d’", Example("join", ("a and b", "c"), "d")),  # noqa: RUF001 - people type these quotes
    ("IF f(None) is called, THEN THE SYSTEM SHALL return False", Example("f", (None,), False)),
    ("QUANDO soma(2, 3) é chamada, O SISTEMA DEVE retornar 5.", Example("soma", (2, 3), 5)),
    ("QUANDO `soma` é chamada com 2 e 3, O SISTEMA DEVE devolver 5.", Example("soma", (2, 3), 5)),
    ("SE f(nulo) for chamado, ENTÃO O SISTEMA DEVE devolver verdadeiro", Example("f", (None,), True)),
    (
        "WHEN f() is called THE SYSTEM SHALL return [1, null, {'a': true}, -2.5e3]",
        Example("f", (), [1, None, {"a": True}, -2500.0]),
    ),
    ('WHEN f("two  spaces")\n  is called THE SYSTEM SHALL return "a\\nb"', Example("f", ("two  spaces",), "a\nb")),
]  # fmt: skip

TEMPLATES: list[tuple[str, TextTemplate]] = [
    (
        "WHEN greet is called with a name THE SYSTEM SHALL return Hello, <name>!",
        TextTemplate("greet", ("name",), ("Hello, ", "!"), ("name",)),
    ),
    (
        "QUANDO saudar é chamada com um nome, O SISTEMA DEVE retornar `olá, <nome>`.",
        TextTemplate("saudar", ("nome",), ("olá, ", ""), ("nome",)),
    ),
    (
        'WHEN full is called with a first name and a last name THE SYSTEM SHALL return "<last name>, <first name>"',
        TextTemplate("full", ("first_name", "last_name"), ("", ", ", ""), ("last_name", "first_name")),
    ),
]

OPEN = [
    "WHEN f(x) is called THE SYSTEM SHALL return 5",
    "WHEN f(2) is called THE SYSTEM SHALL return five",
    "WHEN f(2) is called THE SYSTEM SHALL return 5 or 6",
    "WHEN f(2) is called THE SYSTEM SHALL return 5. It is fast.",
    "WHEN f(2) is called twice THE SYSTEM SHALL return 5",
    "WHEN a user calls f(2) THE SYSTEM SHALL return 5",
    "WHEN f(1,000) is called THE SYSTEM SHALL return 5",
    "WHEN f(1.2.3) is called THE SYSTEM SHALL return 5",
    "WHEN f(2 is called THE SYSTEM SHALL return 5",
    "WHEN f('a) is called THE SYSTEM SHALL return 5",
    "WHEN f({1: 2}) is called THE SYSTEM SHALL return 5",
    "WHEN f({'__proto__': 2}) is called THE SYSTEM SHALL return 5",
    "WHEN f(9007199254740993) is called THE SYSTEM SHALL return 5",
    "WHEN f(1e999) is called THE SYSTEM SHALL return 5",
    "WHEN math.sqrt(4) is called THE SYSTEM SHALL return 2",
    "WHEN class(2) is called THE SYSTEM SHALL return 5",
    "WHEN function(2) is called THE SYSTEM SHALL return 5",
    "WHEN _private(2) is called THE SYSTEM SHALL return 5",
    "WHEN repr(2) is called THE SYSTEM SHALL return 5",
    "f(2) returns 5",
    "THE SYSTEM SHALL return 5",
    "WHEN f(2) is called THE SYSTEM SHALL NOT return 5",
    "WHEN greet is called with a name THE SYSTEM SHALL return the words of <name>",
    "WHEN greet is called with a name THE SYSTEM SHALL return <name> in upper case",
    "WHEN greet is called with a name THE SYSTEM SHALL return Hello, <name>.",
    "WHEN greet is called with a name THE SYSTEM SHALL return Hello, <title>!",
    "WHEN greet is called with a name and a title THE SYSTEM SHALL return Hello, <name>!",
    "WHEN greet is called with a name THE SYSTEM SHALL return Hello!",
    "WHEN greet is called with a class THE SYSTEM SHALL return Hello, <class>!",
    "",
]


@pytest.mark.parametrize(("text", "rule"), EXACT)
def test_exact(text: str, rule: Example) -> None:
    found = find_rule(text)
    assert found == rule
    assert repr(found) == repr(rule)  # tells 1, 1.0 and True apart


@pytest.mark.parametrize(("text", "rule"), TEMPLATES)
def test_template(text: str, rule: TextTemplate) -> None:
    assert find_rule(text) == rule


def test_template_is_filled_in_its_own_order() -> None:
    rule = TEMPLATES[2][1]
    assert rule.fill({"first_name": "Ada", "last_name": "Lovelace"}) == "Lovelace, Ada"


@pytest.mark.parametrize("text", OPEN)
def test_what_leaves_room_for_a_meaning_is_open(text: str) -> None:
    assert find_rule(text) is None


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs", "Cc"])), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(VALUES)
def test_what_is_written_in_python_is_the_value(value: Any) -> None:
    assert repr(eval(write(value, "python"))) == repr(value)  # noqa: S307 - the test is about exactly this


@given(VALUES)
def test_what_is_written_in_javascript_is_the_value(value: Any) -> None:
    assert json.loads(write(value, "node")) == value


@given(st.text())
def test_any_text_is_a_literal_or_refused(text: str) -> None:
    try:
        value = whole_literal(text)
    except NotLiteralError:
        return
    assert repr(eval(write(value, "python"))) == repr(value)  # noqa: S307 - the test is about exactly this
