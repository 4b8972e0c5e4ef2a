"""An approved patch whose rows are changed in every way that somebody could change them in the database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.databases import Databases
from support.domain_world import ADDER, REQUIREMENTS, TASKS, DomainWorld
from support.patch_cases import Case


@pytest.fixture(scope="module")
def case(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """An approved patch. Tests change copies of it only."""
    root = tmp_path_factory.mktemp("signatures")
    with databases.fresh(root / "devstudio.db") as database:
        domain = DomainWorld(root, database)
        task = domain.tasks(domain.session(requirements=REQUIREMENTS, tasks=TASKS).id)[0]
        patch_id, other = domain.patch(task.id, dict(ADDER)), domain.patch(task.id, {"other.py": "x = 1\n"})
        domain.approve(patch_id)
        with domain.patches() as patches:
            patch = patches.get(patch_id)
            (approval,) = patches.rules.standing(patch).approvals
        yield Case(domain, patch, approval, other)
        domain.close()


@pytest.fixture(scope="session")
def bits(request: pytest.FixtureRequest) -> int:
    """How many bits of each byte are flipped, one after the other."""
    return 8 if request.config.getoption("--bench-scale") == "full" else 1
