"""Prints the figures of benchmarks beside those of their peers, and keeps them for people and for machines."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Literal

Unit = Literal["ms", "s", "1/s", "MB/s", "MB", "calls"]
HEADINGS = ("figure", "unit", "ours", "peer", "ratio", "n")


@dataclass(frozen=True)
class Figure:
    """Samples of ours and of the peer, measured in turn. ``peer`` is empty where nothing comparable exists."""

    name: str
    unit: Unit
    ours: Sequence[float]
    peer: Sequence[float] = ()

    @property
    def ratio(self) -> float | None:
        """How many times as slow as the peer ours is: of times ours by peer's, of rates peer's by ours.

        None without a peer, and where what is divided by was too small to be seen by the clock.
        """
        if not self.peer:
            return None
        ours, peer = median(self.ours), median(self.peer)
        over, under = (peer, ours) if self.unit.endswith("/s") else (ours, peer)
        return over / under if under else None

    def cells(self) -> tuple[str, ...]:
        """Return the row of a table."""
        peer = _number(median(self.peer)) if self.peer else ""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return (self.name, self.unit, _number(median(self.ours)), peer, ratio, str(len(self.ours)))

    def as_json(self) -> dict[str, Any]:
        """Return the medians, the ratio and every sample."""
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": median(self.ours),
            "peer": median(self.peer) if self.peer else None,
            "ratio": self.ratio,
            "samples": {"ours": list(self.ours), "peer": list(self.peer)},
        }


@dataclass
class Reporter:
    """Collects the blocks of one session; ``path`` is written anew after each, so that a crash loses none."""

    path: Path
    scale: str
    blocks: list[tuple[str, str, Sequence[Figure]]] = field(default_factory=list)

    def add(self, title: str, peer: str, figures: Sequence[Figure]) -> None:
        """Print a block and keep it. ``peer`` says what ours is held against."""
        print("\n" + "\n".join(_block(title, peer, figures)))  # first: a figure that cannot be shown is not kept
        self.blocks.append((title, peer, figures))
        self._save()

    def lines(self) -> list[str]:
        """Return every block, for the end of the session."""
        return [line for block in self.blocks for line in (*_block(*block), "")]

    def _save(self) -> None:
        data = {
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "scale": self.scale,
            "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()},
            "benchmarks": [
                {"title": title, "peer": peer, "figures": [figure.as_json() for figure in figures]}
                for title, peer, figures in self.blocks
            ],
        }
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(json.dumps(data, indent=1) + "\n", "utf-8")


def _block(title: str, peer: str, figures: Sequence[Figure]) -> list[str]:
    rows = [HEADINGS, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return [title, f"  peer: {peer}", *("  " + _line(row, widths) for row in rows)]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.ljust(width) if index < 2 else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
