"""Runs that are under way while processes are killed, and what must hold of them in the end."""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from devstudio_server.audit.verify import verify_all
from devstudio_server.db.registry import all_tables
from devstudio_server.execution.schemas import RunStatus
from devstudio_server.jobs import MAX_ATTEMPTS
from devstudio_server.patches.policy_schemas import PolicyWrite
from support.databases import Database, unrestricted
from support.domain_world import ADDER, REQUIREMENTS, TASKS, DomainWorld
from support.studio import Api

FINAL = {str(status) for status in RunStatus if status.final}
SETTLE_S = 240.0


class RunLoad:
    """Commands and patches that one server is asked to run, and the ledger of what it acknowledged."""

    def __init__(self, database: Database, data_dir: Path) -> None:
        """Keep the ledger of the server that has ``data_dir``."""
        self.database = database
        self.commands: list[str] = []
        self.applied: dict[str, UUID] = {}
        self._data_dir = data_dir
        self._engine = unrestricted(database.engine())
        self._patches: list[tuple[UUID, UUID]] = []
        self._project = ""

    def close(self) -> None:
        self._engine.dispose()

    def prepare(self, patches: int) -> None:
        """Make approved patches, each in a project of its own, so that none waits for another's commit.

        Every second project asks for strict proof: there, another run has to fail without the patch.
        """
        self._data_dir.mkdir(parents=True, exist_ok=True)
        world = DomainWorld(self._data_dir, self.database)
        for number in range(patches):
            project = world.project(f"Adder {number}")
            with world.reviews() as reviews:
                reviews.policies.put(project, PolicyWrite(strict_proof=number % 2 == 0), None)
            session = world.session(project, requirements=REQUIREMENTS, tasks=TASKS)
            patch_id = world.patch(world.tasks(session.id)[0].id, ADDER)
            world.approve(patch_id)
            self._patches.append((project.id, patch_id))
        world.close()

    def send(self, api: Api, commands: int, seconds: tuple[float, float], patches: int = 0) -> None:
        """Ask for that many runs more; commands take that long."""
        self._project = self._project or api.project()["id"]
        for _ in range(commands):
            code = f"import time; time.sleep({random.uniform(*seconds):.2f}); print('done')"
            body = {"project_id": self._project, "type": "test", "command": ["python3", "-c", code]}
            self.commands.append(api.post("exec", body).expect(202)["id"])
        for _ in range(min(patches, len(self._patches))):
            project_id, patch_id = self._patches.pop()
            self.applied[api.post("code/apply", {"patch_id": str(patch_id)}).expect(202)["run_id"]] = project_id

    def fill(self, api: Api, running: int, seconds: tuple[float, float], patches: int) -> None:
        """Wait until no run is at its last attempt, ask for more up to ``running``, and wait until one is under way."""
        self.until(self.spared, "no run is at its last attempt")
        self.send(api, running - len(self.unfinished()), seconds, patches)
        self.until(self.running, "runs are under way")

    def rows(self) -> dict[str, Any]:
        """Return every run by its id."""
        runs = all_tables().tables["ds_runs"]
        with self._engine.connect() as connection:
            return {str(row.id): row for row in connection.execute(sa.select(runs))}

    def running(self) -> list[Any]:
        return [row for row in self.rows().values() if row.status == "running"]

    def unfinished(self) -> list[Any]:
        return [row for row in self.rows().values() if row.status not in FINAL]

    def until(self, condition: Callable[[], Any], what: str, within_s: float = SETTLE_S) -> None:
        """Wait until ``condition``, looking a few times a second."""
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"{what}: {[(str(r.id), r.status, r.stage) for r in self.unfinished()]}"
            time.sleep(0.2)

    def spared(self) -> bool:
        """Tell whether nothing has been killed so often that one more would be the end of it."""
        jobs = all_tables().tables["ds_jobs"]
        query = sa.select(sa.func.max(jobs.c.attempts)).where(jobs.c.status != "finished")
        with self._engine.connect() as connection:
            return (connection.scalar(query) or 0) < MAX_ATTEMPTS - 1

    def check(self) -> Counter[int]:
        """Hold what is there against what was acknowledged; return how many runs took how many attempts."""
        self.until(lambda: not self.unfinished(), "every run becomes final")
        rows = self.rows()
        sent = {*self.commands, *self.applied}
        bases = {str(row.base_run_id) for row in rows.values() if row.base_run_id}
        assert sent | bases == set(rows), "none lost, none made up"
        assert {rows[key].status for key in bases} <= {"failed"}, "the tests fail without the patch, as they have to"
        failed = {key: rows[key].reason for key in sent if rows[key].status != "success"}
        assert failed == {}, failed
        tables = all_tables().tables
        events, jobs, leases = (tables[name] for name in ("ds_events", "ds_jobs", "ds_leases"))
        self.until(lambda: not self._count(jobs, jobs.c.status != "finished"), "every job is finished")
        assert self._count(leases, leases.c.resource.like("job:%")) == 0
        with self._engine.connect() as connection:
            ends = Counter(
                str(row.subject_id)
                for row in connection.execute(sa.select(events).where(events.c.type == "run.updated"))
                if row.payload["status"] in FINAL
            )
            assert ends == Counter(sent | bases), f"each ended once: {ends}"
            self._check_commits(connection)
        assert verify_all(self._engine) == []
        return Counter(rows[key].attempt for key in sent)

    def _check_commits(self, connection: sa.Connection) -> None:
        evidence = all_tables().tables["ds_evidence"].c
        proofs = Counter(
            (str(row.run_id), row.key) for row in connection.execute(sa.select(evidence.run_id, evidence.key))
        )
        assert proofs == Counter((run, key) for run in self.applied for key in ("1.1", "1.2")), proofs
        for run_id, project_id in self.applied.items():
            (folder,) = (self._data_dir / "repositories").glob(f"*/{project_id}*")
            log = subprocess.run(
                ["git", "-C", str(folder), "log", "main", "--format=%(trailers:key=DevStudio-Run,valueonly)"],
                capture_output=True,
                text=True,
                check=True,
            )
            assert log.stdout.split() == [run_id], f"one commit: {log.stdout}"

    def _count(self, table: sa.Table, condition: Any) -> int:
        with self._engine.connect() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(table).where(condition)) or 0
