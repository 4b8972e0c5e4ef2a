"""Fresh databases of both kinds with the newest schema."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devstudio_server.db import Actor, Units
from devstudio_server.kit.ids import new_id
from support.databases import KINDS, Database, Kind


@pytest.fixture(scope="session", params=KINDS)
def database_kind(request: pytest.FixtureRequest) -> Kind:
    """Both kinds, one after the other."""
    kind: Kind = request.param
    return kind


@pytest.fixture
def units(database: Database) -> Iterator[Units]:
    engine = database.engine()
    yield Units(engine)
    engine.dispose()


@pytest.fixture
def ana() -> Actor:
    return Actor(tenant_id=new_id(), user_id=new_id(), name="Ana")


@pytest.fixture
def eve() -> Actor:
    return Actor(tenant_id=new_id(), user_id=new_id(), name="Eve")
