"""The server's parts, for tests of the domains."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.databases import Database
from support.domain_world import DomainWorld


@pytest.fixture
def domain(tmp_path: Path, database: Database) -> Iterator[DomainWorld]:
    """The server's parts below a fresh folder."""
    world = DomainWorld(tmp_path, database)
    yield world
    world.close()
