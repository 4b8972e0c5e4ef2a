"""Bundles to be tampered with."""

from collections.abc import Iterator

import pytest

from support.bundle_maker import BundleMaker
from support.databases import Databases
from support.domain_world import DomainWorld
from support.real_bundle import RealBundle


@pytest.fixture(scope="session")
def real(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealBundle]:
    folder = tmp_path_factory.mktemp("real")
    with databases.fresh(folder / "real.db") as database:
        world = DomainWorld(folder, database)
        yield RealBundle(world)
        world.close()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> BundleMaker:
    """A bundle made by hand, of which a test may change a copy."""
    return BundleMaker(tmp_path_factory.mktemp("made"))
