"""What an lcov file says: which lines of which files the tests ran.

Both coverage.py and Node write lcov; the form is that of ``geninfo(1)``. The file was written by code that nobody
trusts, so everything in it is bounded, and what is out of bounds or out of shape is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_COVERAGE_BYTES = 16 * 1024 * 1024
MAX_FILES = 1000
MAX_PATH_CHARS = 400
MAX_LINES = 10_000_000
"""Lines of one file that can be true."""


@dataclass(frozen=True)
class FileCoverage:
    """Lines of one file: run by the tests, and all that could be."""

    path: str
    covered: int
    total: int


@dataclass(frozen=True)
class CoverageReport:
    """All files, by path; the totals count those beyond `MAX_FILES`, too."""

    files: tuple[FileCoverage, ...]
    lines_covered: int
    lines_total: int

    @property
    def percent(self) -> float:
        """Covered lines in percent, with two places; 0 when there are none."""
        return round(100 * self.lines_covered / self.lines_total, 2) if self.lines_total else 0.0


def parse_lcov(data: bytes, workspace: str = "") -> CoverageReport | None:
    """Read an lcov file; ``None`` when it names no file of the project.

    Parameters
    ----------
    data
        The file; beyond 16 MiB it is not read.
    workspace
        The sandbox's workspace, taken off the paths of files. Files elsewhere do not count.

    """
    if len(data) > MAX_COVERAGE_BYTES:
        return None
    found: dict[str, tuple[int, int]] = {}
    path, covered, total = "", 0, 0
    for raw in data.splitlines():
        key, _, value = raw.partition(b":")
        if key == b"SF":
            path, covered, total = project_path(value.decode("utf-8", "replace"), workspace), 0, 0
        elif key == b"DA":
            total, covered = total + 1, covered + (_hits(value) > 0)
        elif raw.strip() == b"end_of_record" and path and 0 < total <= MAX_LINES:
            found[path] = (covered, total)
    files = tuple(FileCoverage(path, *counts) for path, counts in sorted(found.items()))
    if not files:
        return None
    return CoverageReport(files[:MAX_FILES], sum(file.covered for file in files), sum(file.total for file in files))


def project_path(path: str, workspace: str) -> str:
    """Return a path relative to the workspace; empty when it lies elsewhere, or is no path that one could show."""
    path = path.strip().removeprefix("./")
    inside = workspace.rstrip("/") + "/" if workspace else ""
    path = path.removeprefix(inside) if inside else path
    parts = path.split("/")
    if not path or len(path) > MAX_PATH_CHARS or path.startswith("/") or ".." in parts or "node_modules" in parts:
        return ""
    return path if path.isprintable() else ""


def _hits(value: bytes) -> int:
    """Return how often a line ran, from ``<line>,<count>``; 0 for what is no number."""
    count = value.split(b",")[1:2]
    return int(count[0]) if count and count[0].isdigit() and len(count[0]) < 20 else 0  # noqa: PLR2004 - digits of 2**63
