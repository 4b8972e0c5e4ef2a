"""kill -9 in the middle of runs, of the server and of workers, and a worker that is cut off: each run ends once."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.databases import Database, Databases
from support.run_load import RunLoad
from support.services import Postgres
from support.studio import Studio
from support.worker_process import WorkerProcess

NETWORK = "10.231.0.0/16"
SETTINGS = ("--DevStudioApp.sandbox_backend=process",)
KEPT_S = 10.0
"""How long a worker that comes back is watched."""


@dataclass(frozen=True)
class Scale:
    """How much is killed, while how many runs are under way."""

    kills: int
    running: int
    patches: int
    seconds: tuple[float, float]


SCALES = {"small": Scale(3, 6, 2, (0.5, 2.0)), "full": Scale(100, 50, 20, (1.0, 8.0))}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    """A cluster that other networks of this host reach, too."""
    with Postgres(NETWORK) as made:
        yield made


@pytest.fixture
def postgresql(cluster: Postgres, tmp_path: Path) -> Iterator[Database]:
    with Databases("postgresql", tmp_path, cluster).fresh(tmp_path) as made:
        yield made


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    with Databases("sqlite", tmp_path).fresh(tmp_path / "devstudio.db") as made:
        yield made


@contextmanager
def loaded(database: Database, data_dir: Path, patches: int) -> Iterator[RunLoad]:
    load = RunLoad(database, data_dir)
    try:
        load.prepare(patches)
        yield load
    finally:
        load.close()


def report(what: str, scale: Scale, attempts: Counter[int], started: float) -> None:
    runs = sum(attempts.values())
    repeated = {number: count for number, count in sorted(attempts.items()) if number > 1}
    print(
        f"\n{what}: killed {scale.kills} times with up to {scale.running} runs under way; {runs} runs, 0 lost, "
        f"0 twice, all final; attempts beyond the first: {repeated}; {time.monotonic() - started:.0f} s"
    )


def progress(kills: int, started: float) -> None:
    if kills % 10 == 0:
        print(f"{kills} kills in {time.monotonic() - started:.0f} s", flush=True)


@pytest.mark.timeout(7200)
def test_the_server_killed_during_runs_ends_each_of_them_once(sqlite: Database, tmp_path: Path, scale: str) -> None:
    size, started = SCALES[scale], time.monotonic()
    settings = (*SETTINGS, f"--DevStudioApp.worker_threads={size.running}")
    with (
        loaded(sqlite, tmp_path / "data", size.patches) as load,
        Studio(tmp_path / "data", sqlite.environment(), settings) as studio,
    ):
        for number in range(size.kills):
            patches = -(-size.patches // size.kills) if number < size.patches else 0
            load.fill(studio.api, size.running, size.seconds, patches)
            time.sleep(random.uniform(0, 1))
            studio.kill()
            studio.start()
            progress(number + 1, started)
        attempts = load.check()
    assert len(attempts) > 1, "some run was in the middle of a kill"
    report("server on sqlite", size, attempts, started)


@pytest.mark.timeout(7200)
def test_a_worker_killed_during_runs_ends_each_of_them_once(postgresql: Database, tmp_path: Path, scale: str) -> None:
    size, started = SCALES[scale], time.monotonic()
    environment = {**postgresql.environment(), "DEVSTUDIO_WORKER": "external"}
    with (
        loaded(postgresql, tmp_path / "data", size.patches) as load,
        Studio(tmp_path / "data", environment, SETTINGS) as studio,
        WorkerProcess(tmp_path / "worker", studio.environment(), concurrency=size.running) as worker,
    ):
        for number in range(size.kills):
            patches = -(-size.patches // size.kills) if number < size.patches else 0
            load.fill(studio.api, size.running, size.seconds, patches)
            time.sleep(random.uniform(0, 1))
            worker.kill()
            worker.start()
            progress(number + 1, started)
        attempts = load.check()
        assert studio.process.poll() is None, "the server is the one that was started first"
    assert len(attempts) > 1, "some run was in the middle of a kill"
    report("worker on postgresql", size, attempts, started)


@pytest.mark.timeout(300)
def test_a_worker_that_is_asked_to_end_hands_over_what_it_cannot_end(postgresql: Database, tmp_path: Path) -> None:
    environment = {**postgresql.environment(), "DEVSTUDIO_WORKER": "external"}
    with (
        loaded(postgresql, tmp_path / "data", 0) as load,
        Studio(tmp_path / "data", environment, SETTINGS) as studio,
        WorkerProcess(tmp_path / "first", studio.environment(), concurrency=4, grace_s=3) as first,
    ):
        load.send(studio.api, 1, (25, 25))
        load.send(studio.api, 1, (1, 1))
        load.until(lambda: len(load.running()) == 2, "both are under way")
        with WorkerProcess(tmp_path / "second", studio.environment(), concurrency=4) as second:
            first.send(signal.SIGTERM)
            asked = time.monotonic()
            assert first.wait() == 0
            assert 1 < time.monotonic() - asked < 15, "it gave them its grace, and no more"
            assert load.check() == Counter({1: 1, 2: 1}), "the short one ended, the long one was handed over"
            assert '"jobs_put_back"' in first.log
            load.send(studio.api, 1, (20, 20))
            load.until(load.running, "it is under way")
            second.send(signal.SIGTERM)
            load.until(lambda: '"worker_draining"' in second.log, "it drains")
            second.send(signal.SIGTERM)
            assert second.wait(5) != 0, "a second signal ends it at once"


@pytest.mark.timeout(300)
def test_no_container_of_a_killed_server_is_left_after_30_s(sqlite: Database, tmp_path: Path) -> None:
    with (
        loaded(sqlite, tmp_path / "data", 0) as load,
        Studio(tmp_path / "data", sqlite.environment(), ("--DevStudioApp.sandbox_backend=docker",)) as studio,
    ):
        load.send(studio.api, 2, (200, 200))
        load.until(lambda: all(row.container_id for row in load.rows().values()), "both have a container")
        first = {row.container_id for row in load.rows().values()}
        assert first <= containers()
        studio.kill()
        killed = time.monotonic()
        studio.start()
        load.until(lambda: not first & containers(), "they are removed", 30 - (time.monotonic() - killed))
        load.until(lambda: {row.attempt for row in load.rows().values()} == {2}, "both are done again")
        for run_id in load.commands:
            studio.api.post(f"exec/{run_id}/cancel", {}).expect(200)
            assert studio.api.wait_for_run(run_id)["status"] == "cancelled"


def containers() -> set[str]:
    listed = subprocess.run(["docker", "ps", "-aq", "--no-trunc"], capture_output=True, text=True, check=True)
    return {word[:64] for word in listed.stdout.split()}


@dataclass(frozen=True)
class Space:
    """A network namespace that reaches this host, and nothing else, by one link."""

    name: str
    number: int

    @property
    def host(self) -> str:
        """The address of this host on the link."""
        return f"10.231.{self.number}.1"

    def make(self) -> None:
        ip("netns", "add", self.name)
        ip("link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        ip("addr", "add", f"{self.host}/24", "dev", self.link)
        ip("link", "set", self.link, "up")
        ip("-n", self.name, "addr", "add", f"10.231.{self.number}.2/24", "dev", "eth0")
        ip("-n", self.name, "link", "set", "lo", "up")
        ip("-n", self.name, "link", "set", "eth0", "up")

    def remove(self) -> None:
        ip("netns", "del", self.name, check=False)
        ip("link", "del", self.link, check=False)

    @property
    def link(self) -> str:
        """Its end on this host."""
        return f"dsv{self.number}"

    def cut(self) -> None:
        ip("link", "set", self.link, "down")

    def mend(self) -> None:
        ip("link", "set", self.link, "up")


def ip(*words: str, check: bool = True) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"


@pytest.fixture
def spaces() -> Iterator[list[Space]]:
    number = random.randint(1, 126) * 2
    made = [Space(f"devstudio-{number + extra}", number + extra) for extra in (0, 1)]
    try:
        for space in made:
            space.make()
        yield made
    finally:
        for space in made:
            space.remove()


@pytest.mark.timeout(600)
def test_of_two_workers_in_networks_of_their_own_one_is_cut_off_and_everything_ends_once(
    postgresql: Database, spaces: list[Space], tmp_path: Path
) -> None:
    environment = {**postgresql.environment(), "DEVSTUDIO_WORKER": "external"}
    with (
        loaded(postgresql, tmp_path / "data", 2) as load,
        Studio(tmp_path / "data", environment, SETTINGS) as studio,
    ):
        workers = []
        for space in spaces:
            url = postgresql.url.replace("127.0.0.1", space.host)
            told = {**studio.environment(), "DEVSTUDIO_DATABASE_URL": url}
            within = ["ip", "netns", "exec", space.name]
            workers.append(WorkerProcess(tmp_path / space.name, told, concurrency=3, within=within))
        cut_off, other = workers
        with cut_off, other:
            load.send(studio.api, 4, (22, 22), 2)
            load.until(lambda: len(load.running()) >= 5 and len(cut_off.children()) >= 2, "both have work")
            load.send(studio.api, 4, (1, 2))
            spaces[0].cut()
            cut_at = time.monotonic()
            load.until(lambda: not cut_off.children(), "it kills its own sandboxes", 30)
            fenced_s = time.monotonic() - cut_at
            assert fenced_s < 16, "before anybody else may have its jobs, and a moment for the kill"
            assert "could not be renewed in time" in cut_off.log, cut_off.log
            attempts = load.check()
            assert attempts[2] >= 2, "what it had in hand was done again"
            ended = {key: (row.version, row.finished_at) for key, row in load.rows().items()}
            spaces[0].mend()
            time.sleep(KEPT_S)
            assert {key: (row.version, row.finished_at) for key, row in load.rows().items()} == ended
            assert load.check() == attempts
            other.kill()
            load.send(studio.api, 3, (0.1, 0.2))
            load.check()
            assert cut_off.process is not None
            assert cut_off.process.poll() is None, "the one that was cut off does jobs again"
    print(
        f"\ntwo workers, one cut off: its sandboxes were gone after {fenced_s:.1f} s; {sum(attempts.values())} runs "
        f"ended once, attempts {dict(attempts)}; it wrote nothing when it came back, and worked on"
    )
