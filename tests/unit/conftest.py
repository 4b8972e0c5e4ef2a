"""The server's parts, for tests of the domains."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.domain_world import DomainWorld, migrated


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with the newest schema and no rows; tests work on copies."""
    path = tmp_path_factory.mktemp("schema") / "template.db"
    migrated(path).dispose()
    return path


@pytest.fixture
def domain(tmp_path: Path, migrated_database: Path) -> Iterator[DomainWorld]:
    """The server's parts below a fresh folder."""
    world = DomainWorld(tmp_path, migrated_database)
    yield world
    world.close()
