"""A pytest plugin: tests say which acceptance criteria they prove, and the JUnit report repeats it.

``@pytest.mark.criterion("1.2", "1.3")`` becomes one property ``criterion`` per key. In a sandbox this file is the
module ``devstudio_criteria``; it needs pytest 7 or newer and nothing else.

Where the environment names a file for it, and coverage.py is there, it also measures what the tests run, and writes
that file as lcov. A project that measures its own coverage is left alone: two measurements disturb each other.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

COVERAGE_VARIABLE = "DEVSTUDIO_COVERAGE"


class Measurement:
    """What the tests run, from now on. Whatever goes wrong with it is told, and is no failure of the tests."""

    def __init__(self, path: str) -> None:
        """Write to ``path`` in the end."""
        self._path = path
        self._measured: Any = None
        self.problem = ""

    def start(self) -> None:
        """Start to measure what lies in the working directory."""
        try:
            # An image of someone else's may not have it.
            from coverage import Coverage  # type: ignore[import-not-found] # noqa: PLC0415

            # Its own warnings, such as that nothing was measured, would fail tests that take warnings for errors.
            self._measured = Coverage(data_file=None, source=["."], messages=False)
            self._measured.start()
        except Exception as error:  # noqa: BLE001 - a broken configuration of coverage.py, too
            self._measured, self.problem = None, f"{type(error).__name__}: {error}"

    def stop(self) -> None:
        """Stop, and write the file."""
        if self._measured is None:
            return
        try:
            self._measured.stop()
            self._measured.lcov_report(outfile=self._path)
        except Exception as error:  # noqa: BLE001 - nothing measured, or a full disk
            self.problem = f"{type(error).__name__}: {error}"


MEASUREMENT = pytest.StashKey[Measurement]()


def measures_itself(config: pytest.Config) -> bool:
    """Tell whether someone measures already: the project by pytest-cov, or by `coverage run`."""
    coverage: Any = sys.modules.get("coverage")
    running = coverage is not None and coverage.Coverage.current() is not None
    return running or bool(getattr(config.known_args_namespace, "cov_source", None))


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Begin before the project's code is imported, so that what runs at import counts."""
    path = os.environ.pop(COVERAGE_VARIABLE, "")
    if path and not measures_itself(early_config):
        early_config.stash[MEASUREMENT] = Measurement(path)
        early_config.stash[MEASUREMENT].start()


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, so that ``--strict-markers`` accepts it."""
    config.addinivalue_line("markers", "criterion(*keys): the acceptance criteria that this test proves, such as 1.2")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Write what was measured."""
    measurement = config.stash.get(MEASUREMENT, None)
    if measurement is None:
        return
    measurement.stop()
    if measurement.problem:
        print(f"[devstudio] no coverage: {measurement.problem}")  # noqa: T201 - for the person who reads the log


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Write the keys down before anything runs, so that a test that errs in its set-up has them too."""
    for item in items:
        keys = [str(key) for mark in item.iter_markers("criterion") for key in mark.args]
        item.user_properties += [("criterion", key) for key in dict.fromkeys(keys)]
