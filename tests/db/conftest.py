"""Fresh databases with the newest schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devstudio_server.db import Actor, Units
from devstudio_server.kit.ids import new_id
from support.domain_world import migrated


@pytest.fixture
def units(tmp_path: Path) -> Iterator[Units]:
    engine = migrated(tmp_path / "test.db")
    yield Units(engine)
    engine.dispose()


@pytest.fixture
def ana() -> Actor:
    return Actor(tenant_id=new_id(), user_id=new_id(), name="Ana")


@pytest.fixture
def eve() -> Actor:
    return Actor(tenant_id=new_id(), user_id=new_id(), name="Eve")
