"""Precision and recall of the lint on criteria that were labelled before it was written."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from devstudio_server.specs.lint import lint
from devstudio_server.specs.lint_rules import CODES
from devstudio_server.specs.schemas import DocumentType

HOME = Path(__file__).parent / "ears_set.txt"


@dataclass(frozen=True)
class Labelled:
    language: str
    part: str
    group: str
    codes: frozenset[str]
    text: str


def labelled() -> list[Labelled]:
    rows = [line.split("|", 4) for line in HOME.read_text().splitlines() if line and not line.startswith("#")]
    return [
        Labelled(language, part, group, frozenset() if codes == "-" else frozenset(codes.split(",")), text)
        for language, part, group, codes, text in rows
    ]


def found_in(rows: list[Labelled]) -> list[frozenset[str]]:
    """Return the codes that the lint gives each criterion; those of one group stand in one document."""
    documents: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        documents[f"{row.part} {row.group}" if row.group != "-" else str(number)].append(number)
    found: dict[int, frozenset[str]] = {}
    for numbers in documents.values():
        lines = [f"{place}. {rows[number].text}" for place, number in enumerate(numbers, 1)]
        text = "\n".join(["### Requirement 1: X", "#### Acceptance Criteria", *lines])
        warnings = lint({DocumentType.REQUIREMENTS: text}).warnings
        for place, number in enumerate(numbers, 1):
            found[number] = frozenset(warning.code for warning in warnings if warning.key == f"1.{place}")
    return [found[number] for number in range(len(rows))]


@dataclass
class Score:
    right: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)

    def add(self, wanted: frozenset[str], found: frozenset[str]) -> None:
        self.right.update(wanted & found)
        self.wrong.update(found - wanted)
        self.missed.update(wanted - found)

    def precision(self, *codes: str) -> float:
        return self._share(self.wrong, codes)

    def recall(self, *codes: str) -> float:
        return self._share(self.missed, codes)

    def _share(self, other: Counter[str], codes: tuple[str, ...]) -> float:
        right = sum(self.right[code] for code in codes or CODES)
        total = right + sum(other[code] for code in codes or CODES)
        return right / total if total else 1.0

    def table(self, title: str) -> str:
        seen = [code for code in CODES if self.right[code] + self.wrong[code] + self.missed[code]]
        rows = [
            f"  {code:22} precision {self.precision(code):.2f}  recall {self.recall(code):.2f}"
            f"  (right {self.right[code]}, wrong {self.wrong[code]}, missed {self.missed[code]})"
            for code in seen
        ]
        whole = f"  {'all':22} precision {self.precision():.3f}  recall {self.recall():.3f}"
        return "\n".join([title, *rows, whole])


def score_of(rows: list[Labelled]) -> tuple[Score, list[str]]:
    score, differences = Score(), []
    for row, found in zip(rows, found_in(rows), strict=True):
        score.add(row.codes, found)
        if found != row.codes:
            differences.append(f"  {row.text}\n    labelled {sorted(row.codes)}, found {sorted(found)}")
    return score, differences


def test_the_set_is_as_large_and_as_mixed_as_promised() -> None:
    rows = labelled()
    bad = sum(1 for row in rows if row.codes)
    portuguese = sum(1 for row in rows if row.language == "pt")
    assert len(rows) >= 200
    assert 0.4 <= bad / len(rows) <= 0.65
    assert portuguese / len(rows) >= 0.28
    assert {code for row in rows for code in row.codes} <= set(CODES)
    assert len({(row.text, row.group) for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("part", "precision", "recall"),
    [("tune", 0.99, 0.99), ("held", 0.95, 0.95), ("late", 0.99, 0.99), ("wild", 0.9, 0.7)],
)
def test_precision_and_recall_are_measured_and_hold(
    part: str, precision: float, recall: float, capsys: pytest.CaptureFixture[str]
) -> None:
    score, differences = score_of([row for row in labelled() if row.part == part])
    with capsys.disabled():
        print(f"\n{score.table(f'EARS lint, part “{part}”')}\n" + "\n".join(differences))
    assert score.precision() >= precision
    assert score.recall() >= recall


def test_the_whole_set_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    rows = labelled()
    score, _differences = score_of(rows)
    with capsys.disabled():
        print(f"\n{score.table(f'EARS lint, all {len(rows)} criteria')}")
    assert score.precision() >= 0.97
    assert score.recall() >= 0.93
