"""The reporter itself: what cannot be shown spoils no other figure."""

from __future__ import annotations

from pathlib import Path
from statistics import StatisticsError

import pytest

from benchmarks.reporter import Figure, Reporter, Unit


@pytest.mark.parametrize(
    ("unit", "ours", "peer", "ratio"),
    [
        ("ms", 3.0, 2.0, 1.5),
        ("1/s", 2.0, 3.0, 1.5),
        ("ms", 0.0, 2.0, 0.0),
        ("ms", 3.0, 0.0, None),
        ("1/s", 0.0, 3.0, None),
    ],
)
def test_a_ratio_is_left_out_where_nothing_can_be_divided(
    unit: Unit, ours: float, peer: float, ratio: float | None
) -> None:
    assert Figure("f", unit, [ours], [peer]).ratio == ratio


def test_a_block_that_cannot_be_shown_is_not_kept(tmp_path: Path) -> None:
    reporter = Reporter(tmp_path / "out" / "benchmarks.json", "small")
    with pytest.raises(StatisticsError):
        reporter.add("broken", "nobody", [Figure("f", "ms", [])])
    reporter.add("whole", "nobody", [Figure("f", "ms", [1.0], [0.0])])
    assert [title for title, _, _ in reporter.blocks] == ["whole"]
    assert "whole" in reporter.path.read_text()
