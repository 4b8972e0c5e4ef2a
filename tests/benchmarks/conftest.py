"""The reporter of a session, and how much is measured in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.reporter import Reporter

_REPORTER = pytest.StashKey[Reporter]()


@dataclass(frozen=True)
class Scale:
    """How often each thing is done: a few times in `make test`, often enough for steady medians in `make bench`."""

    runs: int
    starts: int
    walks: int
    pages: int
    rounds: int
    requests: int


SCALES = {
    "small": Scale(runs=4, starts=2, walks=1, pages=30, rounds=2, requests=32),
    "full": Scale(runs=30, starts=10, walks=10, pages=300, rounds=8, requests=100),
}


@pytest.fixture(scope="session")
def scale(request: pytest.FixtureRequest) -> Scale:
    """What `--bench-scale` asks for."""
    return SCALES[request.config.getoption("--bench-scale")]


@pytest.fixture(scope="session")
def reporter(request: pytest.FixtureRequest, artifacts: Path) -> Reporter:
    """Where benchmarks report; shown again at the end of the session."""
    made = Reporter(artifacts / "benchmarks.json", request.config.getoption("--bench-scale"))
    request.config.stash[_REPORTER] = made
    return made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show every figure at the end, where it is seen without ``-s``."""
    made = config.stash.get(_REPORTER, None)
    if made is None or not made.blocks:
        return
    terminalreporter.section(f"benchmarks ({made.scale}; medians; ratio: times as slow as the peer)")
    for line in made.lines():
        terminalreporter.write_line(line)
    terminalreporter.write_line(f"every sample: {made.path}")
