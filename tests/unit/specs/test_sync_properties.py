"""Whatever two sides do to a document: each line that one wrote is in the merged text or in a conflict."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_output

from devstudio_server.kit.ids import new_id
from devstudio_server.specs.block_ids import own_ids
from devstudio_server.specs.markdown import assign_ids, parse, strip_ids
from devstudio_server.specs.merge import Merged, merge_blocks, overlay
from devstudio_server.specs.merge import Patch as BlockPatch
from devstudio_server.specs.notebook import as_notebook, build_notebook, from_json, read_documents, to_json
from devstudio_server.specs.schemas import DocumentType
from devstudio_server.specs.sync_files import bring_in
from support.documents_at_random import edited, ids_of, mangled, written

EXAMPLES = {"small": 60, "full": 4000}
KINDS = st.sampled_from([*DocumentType])
SEEDS = st.integers(0, 2**32)
_HEAD = re.compile(
    r"^(?: {0,3}\d+(?:\.\d+)*[.)]?[ \t]+|[ \t]*[-*][ \t]+\[[ xX-]\]\*?[ \t]+(?:\d+(?:\.\d+)*\.?[ \t]+)?"
    r"|#{2,4}[ \t]+\w+[ \t]+\d{1,9}[ \t]*[:.-]?[ \t]*)"
)


@pytest.fixture
def many(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Return what has Hypothesis try as much as `--bench-scale` asks for."""
    examples = EXAMPLES[str(request.config.getoption("--bench-scale"))]
    return settings(max_examples=examples, deadline=None, suppress_health_check=[*HealthCheck])


def lines_of(*texts: str | None) -> Counter[str]:
    """Return what the lines of texts say; numbers and marks at their beginning are merged for themselves."""
    lines = (line.rstrip() for text in texts if text for line in strip_ids(text).split("\n"))
    return Counter(_HEAD.sub("", line) for line in lines if line)


def is_all_there(base: str, side: str, outcome: Merged, *, of: str) -> None:
    """Assert that each line that ``side`` added to ``base`` is in the outcome."""
    kept = lines_of(outcome.text, *(getattr(clash, of) for clash in outcome.clashes))
    lost = lines_of(side) - lines_of(base) - kept
    assert not lost, (lost, outcome)


def merged(kind: DocumentType, seed: int) -> tuple[str, str, str, Merged]:
    random = Random(seed)
    base = written(kind, random)
    ours = assign_ids(kind, edited(kind, base, random, "o"), base)
    theirs = own_ids(kind, mangled(edited(kind, base, random, "t"), random), base, ours)
    return base, ours, theirs, merge_blocks(kind, base, ours, theirs)


def test_nothing_that_a_side_wrote_is_lost(many: Callable[[Any], Any]) -> None:
    clashes = Counter[bool]()

    @many
    @given(kind=KINDS, seed=SEEDS)
    def holds(kind: DocumentType, seed: int) -> None:
        base, ours, theirs, outcome = merged(kind, seed)
        is_all_there(base, ours, outcome, of="ours")
        is_all_there(base, theirs, outcome, of="theirs")
        found = ids_of(kind, outcome.text)
        assert len(found) == len(set(found)), "every block has an id of its own"
        assert merge_blocks(kind, base, ours, base) == Merged(ours)
        assert strip_ids(merge_blocks(kind, base, base, theirs).text) in {strip_ids(theirs), strip_ids(base)}
        clashes[bool(outcome.clashes)] += 1

    holds()
    assert clashes[True]
    assert clashes[False]


def test_what_a_clash_leaves_open_comes_up_again_and_what_is_made_equal_does_not(many: Callable[[Any], Any]) -> None:
    """With the bases of open conflicts in the base and their texts in the file, nothing is taken silently later."""

    @many
    @given(kind=KINDS, seed=SEEDS)
    def holds(kind: DocumentType, seed: int) -> None:
        _, _, _, outcome = merged(kind, seed)
        file = overlay(kind, outcome.text, [BlockPatch(c.block_id, c.theirs, c.behind) for c in outcome.clashes])
        base = overlay(kind, outcome.text, [BlockPatch(c.block_id, c.base, c.behind) for c in outcome.clashes])
        assert file is not None
        assert base is not None
        again, _ = bring_in(kind, base, outcome.text, file)
        assert lines_of(again.text) == lines_of(outcome.text)
        is_all_there(base, file, again, of="theirs")
        settled, _ = bring_in(kind, base, outcome.text, outcome.text)
        assert settled == Merged(outcome.text)

    holds()


def test_ids_stay_with_their_texts_however_they_are_written(many: Callable[[Any], Any]) -> None:
    @many
    @given(kind=KINDS, seed=SEEDS)
    def holds(kind: DocumentType, seed: int) -> None:
        random = Random(seed)
        base = written(kind, random)
        text = mangled(base, random)
        after = own_ids(kind, text, base, base)
        assert strip_ids(after) == strip_ids(text)
        assert ids_of(kind, after) == ids_of(kind, base), "each block has its own text, so each has its own id"

    holds()


def test_ids_of_elsewhere_and_copied_ids_are_never_taken_over(many: Callable[[Any], Any]) -> None:
    @many
    @given(kind=KINDS, seed=SEEDS)
    def holds(kind: DocumentType, seed: int) -> None:
        random = Random(seed)
        base = written(kind, random)
        known = {block.id: (block.kind, block.sha256) for block in parse(kind, base).blocks()}
        foreign = written(random.choice([*DocumentType]), random)
        text = "\n".join(random.sample([base, foreign, edited(kind, base, random, "t")], 3))
        blocks = [*parse(kind, own_ids(kind, text, base, base)).blocks()]
        assert len({block.id for block in blocks}) == len(blocks)
        assert not {block.id for block in blocks} & set(ids_of(kind, foreign)) - set(known)
        for block in blocks:
            if block.sha256 in {sha256 for _, sha256 in known.values()} and block.id in known:
                same = {name for name, (_, sha256) in known.items() if sha256 == block.sha256}
                assert block.id in same, "a text that is known never goes under the id of another text"

    holds()


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
@example(seed=1)
def test_cells_that_are_shuffled_split_joined_copied_or_of_no_kind_lose_no_text(seed: int) -> None:
    random = Random(seed)
    documents = {kind: written(kind, random) for kind in DocumentType}
    notebook = build_notebook(new_id(), 3, documents)
    before = lines_of(*documents.values())
    cells = notebook.cells
    for _ in range(random.randint(1, 6)):
        place = random.randrange(len(cells))
        match random.choice(["shuffle", "split", "join", "copy", "unknown", "unmarked"]):
            case "shuffle":
                random.shuffle(cells)
            case "split":
                head, _, rest = cells[place].source.partition("\n")
                cells.insert(place + 1, as_copy(cells[place], rest))
                cells[place].source = head
            case "join" if place + 1 < len(cells):
                cells[place].source += "\n" + cells.pop(place + 1).source
            case "copy":
                cells.insert(random.randrange(len(cells)), as_copy(cells[place], cells[place].source))
            case "unknown":
                cells[place].metadata["devstudio"] = {"kind": random.choice(["patch", "x", 7, None])}
            case _:
                cells[place].metadata.pop("devstudio", None)
    sent = as_notebook(notebook)
    merged_texts: dict[DocumentType, str] = {}
    conflicts: list[str | None] = []
    for kind, text in read_documents(sent).items():
        outcome, _ = bring_in(kind, documents[kind], documents[kind], text)
        merged_texts[kind] = outcome.text
        conflicts += [clash.theirs for clash in outcome.clashes]
        assert len(ids_of(kind, outcome.text)) == len(set(ids_of(kind, outcome.text)))
    assert not before - lines_of(*(documents | merged_texts).values(), *conflicts)


def as_copy(cell: Any, source: str) -> Any:
    copy = as_notebook({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).cells[0]
    copy.source = source
    return copy


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_a_notebook_keeps_ids_metadata_and_outputs_through_its_documents(seed: int) -> None:
    random = Random(seed)
    documents = {kind: written(kind, random) for kind in DocumentType}
    session = new_id()
    notebook = build_notebook(session, 3, documents)
    for number in range(random.randint(1, 5)):
        output = new_output("display_data", {"text/plain": f"{number}", "image/png": "aGk="}, metadata={"a": {"b": 1}})
        code = new_code_cell(f"{number} + 1", execution_count=number, outputs=[output], metadata={"tags": ["x"]})
        code.id = f"code-{number}"
        notebook.cells.insert(random.randrange(len(notebook.cells) + 1), code)
    notebook.metadata["mine"] = {"kept": True}
    content = to_json(notebook)
    again = build_notebook(session, 3, read_documents(from_json(content)), from_json(content))
    assert to_json(again) == content
