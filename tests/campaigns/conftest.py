"""How long campaigns are."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def scale(request: pytest.FixtureRequest) -> str:
    """What `--bench-scale` asks for: ``full`` in `make campaign`, ``small`` among the other tests."""
    return str(request.config.getoption("--bench-scale"))
