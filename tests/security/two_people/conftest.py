"""How long the campaigns of two people are, and the parts they work on."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def scale(request: pytest.FixtureRequest) -> str:
    """What `--bench-scale` asks for."""
    return str(request.config.getoption("--bench-scale"))
