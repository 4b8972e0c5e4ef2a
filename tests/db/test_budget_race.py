"""Many calls at once for the last of a budget: one is let through, on SQLite and on PostgreSQL, whoever asks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from devstudio_server.ai.budget_schemas import BudgetScope
from devstudio_server.ai.budgets import BudgetService, Purpose
from devstudio_server.db import Actor, Units
from support.budget_world import COST, Race, race, set_limit
from support.databases import Database
from support.studio import CHECKOUT

CALLS = {"small": 200, "full": 1000}
PROCESSES = 4
OF_A_PROCESS = """
import sys
from uuid import UUID
from devstudio_server.db import Actor, Units, create_engine
from devstudio_server.db.registry import all_tables
from support.budget_world import run_race
all_tables()
units = Units(create_engine(sys.argv[1]))
actor = Actor(UUID(sys.argv[2]), UUID(sys.argv[3]))
print("ready", flush=True)
sys.stdin.readline()
ended = run_race(units, [actor], int(sys.argv[4]))
print(ended.passed, ended.refused)
"""


@pytest.fixture
def calls(request: pytest.FixtureRequest) -> int:
    """How many calls there are at once."""
    return CALLS[str(request.config.getoption("--bench-scale"))]


def seen(kind: str, ended: Race) -> None:
    print(f"\n{kind}: {ended.passed} passed, {ended.refused} refused, overshoot ${ended.overshoot:.8f}")


@pytest.mark.parametrize("people", [1, 10])
def test_one_of_many_calls_gets_the_last_of_a_budget(units: Units, calls: int, people: int) -> None:
    ended = race(units, calls, people=people)
    seen(units.engine.dialect.name, ended)
    assert (ended.passed, ended.refused, ended.overshoot) == (1, calls - 1, 0)
    assert (ended.spent, ended.reserved) == (COST, 0)


def test_as_many_calls_as_there_is_room_for_are_let_through(units: Units, calls: int) -> None:
    ended = race(units, calls, room=calls // 3)
    seen(units.engine.dialect.name, ended)
    assert (ended.passed, ended.overshoot) == (calls // 3, 0)


def test_one_of_many_calls_of_several_processes_gets_it(units: Units, database: Database, ana: Actor) -> None:
    set_limit(units, ana, COST)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(
            str(CHECKOUT / folder) for folder in ("", "sandbox", "kernels", "evidence", "tests")
        )
    }
    command = [sys.executable, "-c", OF_A_PROCESS, database.url, str(ana.tenant_id), str(ana.user_id), "25"]
    started = [
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ends = [process.communicate(timeout=120)[0].split() for process in started]
    assert [process.returncode for process in started] == [0] * PROCESSES
    assert sum(int(passed) for passed, _ in ends) == 1
    assert sum(int(refused) for _, refused in ends) == PROCESSES * 25 - 1
    with units.begin(ana, read_only=True) as session:
        read = BudgetService(session).read(BudgetScope.TENANT, Purpose())
    assert (read.spent, read.reserved) == (COST, 0)
