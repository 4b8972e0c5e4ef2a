"""Fresh databases of both kinds with the newest schema."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devstudio_server.db import Actor, Units
from devstudio_server.kit.ids import new_id
from support.databases import KINDS, Database, Databases, Kind


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests here on both kinds, those of a module that names its own `DATABASE_KINDS` on these."""
    if "database_kind" in metafunc.fixturenames:
        kinds = getattr(metafunc.module, "DATABASE_KINDS", KINDS)
        metafunc.parametrize("database_kind", kinds, indirect=True, scope="session")


@pytest.fixture(scope="session")
def database_kind(request: pytest.FixtureRequest) -> Kind:
    """The kind of this turn."""
    kind: Kind = request.param
    return kind


@pytest.fixture(scope="session")
def databases(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, database_kind: Kind
) -> Databases:
    """Makes databases of the kind of this turn; not the other folders' fixture, which keeps one kind for a session."""
    cluster = request.getfixturevalue("postgres") if database_kind == "postgresql" else None
    return Databases(database_kind, tmp_path_factory.mktemp("schema"), cluster)


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
