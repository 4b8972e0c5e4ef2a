"""Runs all tests as a few pytest processes side by side, two at a time, and adds up what they say.

Run as ``python tests/support/lanes.py``. Most tests wait for containers, servers and browsers; one process after the
other would leave the machine idle, and take more than an hour.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
ARTIFACTS = CHECKOUT / "test-artifacts"
AT_ONCE = 2
ALONE = ("tests/api/test_without_docker.py::test_an_image_that_was_never_built_is_built_by_the_first_run",)
"""Tests that take away what others need meanwhile."""
CONTAINERS = ("sandbox", "security/sandbox", "kernels", "campaigns", "e2e")
"""Folders of the tests that are mostly about containers, processes and browsers."""
PARTS = ("architecture", "benchmarks", "examples", "unit")
"""Folders of the tests that are mostly about the server's parts."""
QUIET_S = 60.0
"""How often a lane that runs says how far it is."""
_COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed|xpassed|warnings?|deselected)")
_CLOSING = re.compile(r"^.*\d+ (?:passed|failed|error).* in [\d.]+s.*$", re.MULTILINE)
_FAILURES = re.compile(r"^=+ (?:ERRORS|FAILURES) =+$", re.MULTILINE)
_BROKEN = re.compile(r"^(?:FAILED|ERROR) tests/.*$", re.MULTILINE)


@dataclass(frozen=True)
class Lane:
    """What one process of pytest runs."""

    name: str
    arguments: Sequence[str]


def ignoring(folders: Sequence[str]) -> list[str]:
    """Leave ``folders`` of tests/ out: naming those that stay would have pytest take another root for imports."""
    return [f"--ignore=tests/{folder}" for folder in folders]


def everything_but(*folders: str) -> list[str]:
    """Return the folders and modules below tests/ that are not in ``folders``."""
    top = {folder.name for folder in (CHECKOUT / "tests").iterdir() if folder.is_dir()} - {"support", "__pycache__"}
    inside = {
        path.relative_to(CHECKOUT / "tests").as_posix()
        for path in (CHECKOUT / "tests/security").iterdir()
        if path.suffix == ".py" or (path.is_dir() and path.name != "__pycache__")
    }
    return sorted((top | inside) - {*folders, "security"})


def lanes() -> list[Lane]:
    """Return what is run; together, every test, and those that work with a database a second time on PostgreSQL."""
    spared = [f"--deselect={test}" for test in ALONE]
    return [
        Lane("containers", [*ignoring(everything_but(*CONTAINERS)), *spared]),
        Lane("servers", [*ignoring([*CONTAINERS, *PARTS]), *spared]),
        Lane("parts", [*ignoring(everything_but(*PARTS)), *spared]),
        Lane("postgresql", ["tests/unit", "tests/api", "--database=postgresql", *spared]),
    ]


def run(lane: Lane) -> tuple[Lane, int, str]:
    """Run a lane to its end; return its exit code and what it printed."""
    path = ARTIFACTS / f"tests-{lane.name}.log"
    with path.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-o", f"cache_dir=.pytest_cache/{lane.name}", *lane.arguments],
            cwd=CHECKOUT,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        while True:
            try:
                code = process.wait(QUIET_S)
                break
            except subprocess.TimeoutExpired:
                print(f"{lane.name}: {last_line(path)}", flush=True)
    return lane, code, path.read_text(errors="replace")


def last_line(path: Path) -> str:
    """Return the last line of a log, where pytest says how far it is."""
    lines = path.read_text(errors="replace").splitlines()
    return lines[-1] if lines else "begins"


def counts(text: str) -> Iterator[tuple[str, int]]:
    """Yield the figures of pytest's closing line."""
    closing = _CLOSING.findall(text)
    for number, what in _COUNT.findall(closing[-1]) if closing else ():
        yield what.rstrip("s") if what.startswith(("error", "warning")) else what, int(number)


def failures(text: str) -> str:
    """Return a lane's output from its first failure on; all of it where it has none, as when no test could be found."""
    first = _FAILURES.search(text)
    return text[first.start() :] if first else text


def main() -> int:
    """Run every lane; print what they said, then the names of what failed, and one closing line for all."""
    ARTIFACTS.mkdir(exist_ok=True)
    began = time.monotonic()
    total: Counter[str] = Counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ended = list(pool.map(run, lanes()))
    ended.append(run(Lane("alone", ALONE)))
    for lane, code, text in ended:
        total.update(dict(counts(text)))
        print(f"\n==== {lane.name} ====\n{failures(text) if code else text.splitlines()[-1]}", flush=True)
    for lane, code, text in ended:
        if code:
            print(
                f"\n{lane.name} (exit {code}):", *(line[:200] for line in _BROKEN.findall(text)), sep="\n  ", flush=True
            )
    order = ("failed", "error", "passed", "skipped", "xfailed", "xpassed", "deselected", "warning")
    said = ", ".join(f"{total[what]} {what}" for what in order if total[what])
    print(f"==== {said or 'no tests ran'} in {time.monotonic() - began:.2f}s ====", flush=True)
    return 1 if any(code for _, code, _ in ended) or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
