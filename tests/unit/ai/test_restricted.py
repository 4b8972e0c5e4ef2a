"""Restricted files and documents: not there for an outside model, whole for one of the house."""

from __future__ import annotations

import pytest

from devstudio_server.ai.ports import AssistantMessage, ToolCall, ToolMessage, ToolResult, UserMessage
from devstudio_server.ai.restricted import (
    RESTRICTED_FILE,
    RestrictedFiles,
    Scrubber,
    put_back,
    visible_documents,
    visible_reader,
    without_restricted,
)
from devstudio_server.ai.schemas import Model, Provider
from support.ai_world import MemoryReader

CANARY = "CANARY-40d2"


def model(provider: Provider) -> Model:
    return Model(id="m", provider=provider, name="m", context_window=None, price_input=None, price_output=None)


OUTSIDE, INSIDE = model(Provider.ANTHROPIC), model(Provider.OFFLINE)


def test_documents_are_cut_for_outside_and_whole_inside() -> None:
    text = f"# A\n\n{CANARY} <!-- restricted -->\n\nseen"
    shown, left_out = without_restricted(text, OUTSIDE)
    assert CANARY not in shown
    assert left_out == ["lines 3 to 3"]
    assert without_restricted(text, INSIDE) == (text, [])
    assert put_back(text, shown, OUTSIDE) == text
    assert put_back(text, "rewritten", INSIDE) == "rewritten"
    texts, warnings = visible_documents({"design": text, "tasks": "all"}, OUTSIDE)
    assert texts == {"design": shown, "tasks": "all"}
    assert len(warnings) == 1
    assert "design" in warnings[0]
    assert CANARY not in warnings[0]


@pytest.mark.parametrize(
    ("patterns", "hidden", "seen"),
    [
        ("secret.py", "app/secret.py", "app/secret.txt"),
        ("/prices/", "prices/a/b.csv", "app/prices/a.csv"),
        ("*.pem\n!public.pem", "keys/a.pem", "keys/public.pem"),
        ("data/**/raw", "data/x/y/raw", "data/x/y/cooked"),
        ("# a comment\n\nécole.md", "école.md", "# a comment"),
    ],
)
def test_patterns_are_those_of_gitignore(patterns: str, hidden: str, seen: str) -> None:
    files = RestrictedFiles(patterns)
    assert files.hides(hidden)
    assert files.hides(RESTRICTED_FILE)
    assert files.visible([hidden, seen]) == [seen]


def test_without_the_file_nothing_is_restricted() -> None:
    assert not RestrictedFiles(None).hides("a.py")
    assert not RestrictedFiles(None).hides(RESTRICTED_FILE)


@pytest.mark.parametrize("pattern", ["!", "a\n!\nb", "a/***/\x00[z-a]", "///"])
def test_a_pattern_that_cannot_be_understood_hides_no_less(pattern: str) -> None:
    files = RestrictedFiles(f"{pattern}\nsecret.py")
    assert files.hides("secret.py")


def test_a_reader_neither_lists_nor_reads_what_is_restricted() -> None:
    reader = MemoryReader({RESTRICTED_FILE: "secret/\n", "secret/a.py": CANARY, "b.py": "B"})
    visible = visible_reader(reader, OUTSIDE)
    assert visible.list_files() == ["b.py"]
    assert visible.read_file("secret/a.py") is None
    assert visible.read_file(RESTRICTED_FILE) is None
    assert visible.read_file("b.py") == "B"
    assert visible_reader(reader, INSIDE).read_file("secret/a.py") == CANARY


def test_feedback_of_tests_tells_nothing_of_restricted_files() -> None:
    files = {RESTRICTED_FILE: "secret/\n", "secret/a.py": f"PRICE = '{CANARY}'\nreturn\n", "b.py": "B"}
    turns = (
        UserMessage("Write it, and return a number."),
        AssistantMessage("", (ToolCall("c", "propose_changes", {}, '{"content": "return 1"}'),)),
        ToolMessage(
            (ToolResult("c", f"test_x (b.py:1)\n  E assert '{CANARY}' == 1\nsecret/a.py:1: Error\n  return 1"),)
        ),
    )
    scrubbed = Scrubber(MemoryReader(files), OUTSIDE).feedback(turns)
    assert scrubbed[:2] == turns[:2]
    assert CANARY not in repr(scrubbed)
    assert "secret/a.py" not in repr(scrubbed)
    last = scrubbed[-1]
    assert isinstance(last, ToolMessage)
    lines = last.results[0].content.split("\n")
    assert (lines[0], lines[3]) == ("test_x (b.py:1)", "  return 1")
    assert Scrubber(MemoryReader(files), INSIDE).feedback(turns) == turns
    assert Scrubber(MemoryReader({"b.py": "B"}), OUTSIDE).feedback(turns) == turns
