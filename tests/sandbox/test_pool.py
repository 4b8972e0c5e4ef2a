"""Sandboxes that wait for a run: handed over once, to one run of one tenant, alive, and never left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID, uuid4

import docker
import pytest
from sandbox_kit import present_runs, python, run, until

from devstudio_sandbox import Backend, Limits, Sandbox, SandboxLost, SandboxSpec, SandboxUnavailable
from devstudio_sandbox.docker_backend import DockerBackend
from devstudio_sandbox.docker_labels import LABEL_INSTALLATION, LABEL_KIND, LABEL_TENANT, Labelled
from devstudio_sandbox.host import PACKAGE
from devstudio_sandbox.identity import tenant_uid
from devstudio_sandbox.pool import PooledBackend
from devstudio_sandbox.pool_stock import PoolPolicy

EAGER = PoolPolicy(floor=1, cap=2, settle_s=0.0, check_s=0.1)


@pytest.fixture
def engine() -> Iterator[docker.APIClient]:
    """Give the engine's own API."""
    with closing(docker.APIClient()) as client:
        yield client


@dataclass
class Pools:
    """Makes pools that the test need not close, and knows what they have on the engine."""

    engine: docker.APIClient
    made: ExitStack
    installation: str

    def __call__(self, policy: PoolPolicy = EAGER, **options: object) -> PooledBackend:
        """Make one; ``options`` are the backend's."""
        memory = options.pop("memory", lambda: None)
        backend = DockerBackend(**{"runtime": "runc", "installation": self.installation, "owner": "me", **options})  # type: ignore[arg-type]
        self.made.callback(backend.close)
        pool = PooledBackend(backend, policy, memory=memory)  # type: ignore[arg-type]
        self.made.callback(pool.close)
        return pool

    def boxes(self, *, kind: str = "") -> list[dict[str, object]]:
        """List the containers of this test."""
        label = [f"{LABEL_INSTALLATION}={self.installation}", *([f"{LABEL_KIND}={kind}"] if kind else [])]
        return list(self.engine.containers(all=True, filters={"label": label}))


@pytest.fixture
def pools(docker_backend: DockerBackend, engine: docker.APIClient) -> Iterator[Pools]:
    """Give what makes pools; afterwards, nothing may be left of them."""
    with ExitStack() as made:
        given = Pools(engine, made, uuid4().hex)
        yield given
    assert given.boxes() == []


def a_spec(tenant: UUID, **changes: object) -> SandboxSpec:
    """Describe a sandbox for a new run of a tenant."""
    return replace(SandboxSpec("python", tenant, uuid4(), ttl_s=60), **changes)  # type: ignore[arg-type]


def warm(pool: PooledBackend, tenant: UUID, count: int = 1) -> None:
    """Ask once, which is served cold, and wait until so many wait."""
    pool.open(a_spec(tenant)).close()
    until(lambda: pool.stats().parked >= count)


def test_a_run_gets_one_that_was_started_before_it_asked(pools: Pools, engine: docker.APIClient) -> None:
    pool, tenant = pools(), uuid4()
    warm(pool, tenant)
    (waiting,) = pools.boxes(kind="pool")
    wanted = a_spec(tenant)
    with pool.open(wanted) as sandbox:
        assert sandbox.handle == waiting["Id"]
        script = "import os; print(os.environ['RENUM_DEVSTUDIO_RUN'], os.getuid(), os.listdir('.'))"
        _, output = run(sandbox, "python3", "-c", script)
        assert output.stdout.decode().split() == [str(wanted.run_id), str(tenant_uid(tenant)), "[]"]
        until(lambda: wanted.run_id in present_runs())
        assert engine.inspect_container(sandbox.handle)["Name"] == f"/renum-devstudio-run-{wanted.run_id}"
    with pytest.raises(docker.errors.NotFound):
        engine.inspect_container(sandbox.handle)
    assert pool.stats().handed_over == 1


def test_what_cannot_be_changed_later_is_never_shared(pools: Pools) -> None:
    pool, tenant = pools(replace(EAGER, floor=2)), uuid4()
    warm(pool, tenant, 2)
    waiting = {box["Id"] for box in pools.boxes(kind="pool")}
    others = [a_spec(uuid4()), a_spec(tenant, limits=Limits(memory_bytes=512 * 1024 * 1024))]
    for other in others:
        with pool.open(other) as sandbox:
            assert sandbox.handle not in waiting
    assert pool.stats().handed_over == 0


def test_a_run_with_egress_is_served_without_the_pool(pools: Pools, tmp_path: Path) -> None:
    pool, tenant = pools(), uuid4()
    warm(pool, tenant)
    waiting = {box["Id"] for box in pools.boxes(kind="pool")}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        with pool.open(a_spec(tenant, egress=tmp_path / "s")) as sandbox:
            assert sandbox.handle not in waiting
    assert pool.stats().parked == 1


def test_hammered_by_many_threads_none_serves_two_runs_or_two_tenants(pools: Pools) -> None:
    pool = pools(replace(EAGER, floor=2, cap=3, total=5))
    tenants = [uuid4() for _ in range(3)]
    seen: list[tuple[str, UUID]] = []

    def one(number: int) -> None:
        tenant = tenants[number % len(tenants)]
        with pool.open(a_spec(tenant)) as sandbox:
            seen.append((sandbox.handle, tenant))
            # It has never been used, is this tenant's, and is still the run's own when it has worked.
            script = f"""
import os, time
assert os.listdir("/workspace") == os.listdir("/tmp") == [], os.listdir(".")
open("/workspace/used", "w").write("{number}"); open("/tmp/used", "w").write("{number}")
time.sleep(0.05)
print(os.getuid(), open("/workspace/used").read(), os.listdir("/workspace"))
"""
            done, output = python(sandbox, script)
            assert done.exit_code == 0, output.stderr
            assert output.stdout.decode().split() == [str(tenant_uid(tenant)), str(number), "['used']"]

    with ThreadPoolExecutor(6) as threads:
        for future in [threads.submit(one, number) for number in range(48)]:
            future.result(120)
    stats = pool.stats()
    assert len({handle for handle, _ in seen}) == len(seen) == 48
    assert stats.handed_over + stats.cold == 48
    assert stats.handed_over > 0
    assert stats.parked <= 5


@pytest.mark.parametrize("end", ["kill", "pause", "remove"])
def test_a_dead_one_is_never_handed_over(pools: Pools, engine: docker.APIClient, end: str) -> None:
    pool, tenant = pools(replace(EAGER, check_s=600)), uuid4()  # so that only the hand-over itself can notice
    warm(pool, tenant)
    (waiting,) = pools.boxes(kind="pool")
    {"kill": engine.kill, "pause": engine.pause, "remove": lambda box: engine.remove_container(box, force=True)}[end](
        waiting["Id"]
    )
    with pool.open(a_spec(tenant)) as sandbox:
        assert sandbox.handle != waiting["Id"]
        assert run(sandbox, "echo", "alive")[1].stdout == b"alive\n"
    assert pool.stats().dead == 1
    until(lambda: waiting["Id"] not in {box["Id"] for box in pools.boxes()})


def test_one_that_dies_while_it_waits_is_replaced(pools: Pools, engine: docker.APIClient) -> None:
    pool, tenant = pools(), uuid4()
    warm(pool, tenant)
    (waiting,) = pools.boxes(kind="pool")
    engine.kill(waiting["Id"])
    until(lambda: (pool.stats().dead, pool.stats().parked) == (1, 1))
    with pool.open(a_spec(tenant)) as sandbox:
        assert sandbox.handle != waiting["Id"]
    assert pool.stats().handed_over == 1


def test_the_time_to_live_begins_with_the_run(pools: Pools) -> None:
    pool, tenant = pools(), uuid4()
    warm(pool, tenant)
    threading.Event().wait(1.1)
    with pool.open(a_spec(tenant, ttl_s=1)) as sandbox:
        began = time.monotonic()
        assert run(sandbox, "true")[0].exit_code == 0
        with pytest.raises(SandboxLost, match="time to live"):
            run(sandbox, "sleep", "3600")
        assert 0.5 < time.monotonic() - began < 5
    assert pool.stats().handed_over == 1


def test_an_image_that_is_built_again_retires_those_of_the_old_one(pools: Pools, engine: docker.APIClient) -> None:
    name, tenant = f"devstudio-test-{uuid4().hex}", uuid4()
    engine.tag("renum-devstudio-python:latest", name, "latest")
    try:
        pool = pools(images={"python": f"{name}:latest"})
        warm(pool, tenant)
        (old,) = pools.boxes(kind="pool")
        engine.tag("renum-devstudio-node:latest", name, "latest", force=True)
        new = engine.inspect_image("renum-devstudio-node:latest")["Id"]
        until(lambda: [box["ImageID"] for box in pools.boxes(kind="pool")] == [new])
        until(lambda: pool.stats().parked == 1)
        with pool.open(a_spec(tenant)) as sandbox:
            assert sandbox.handle != old["Id"]
        assert pool.stats().retired == 1
        pool.close()
    finally:
        engine.remove_image(f"{name}:latest")


def test_those_that_nobody_asks_for_go(pools: Pools) -> None:
    pool = pools(replace(EAGER, idle_s=1.0))
    pool.open(a_spec(uuid4())).close()
    until(lambda: pool.stats().made == 1)
    until(lambda: pool.stats().parked == 0 and not pools.boxes())
    assert pool.stats().retired == 1


def test_a_machine_without_memory_to_spare_has_none_waiting(pools: Pools) -> None:
    spare = [EAGER.spare_memory_bytes + 1]
    pool, tenant = pools(memory=lambda: spare[0]), uuid4()
    warm(pool, tenant)
    spare[0] = EAGER.spare_memory_bytes - 1
    until(lambda: pool.stats().parked == 0)
    with pool.open(a_spec(tenant)):
        pass
    assert (pool.stats().made, pool.stats().handed_over) == (1, 0)


def test_none_is_made_at_the_start_of_a_run_unless_runs_start_all_the_time(pools: Pools) -> None:
    tenant = uuid4()
    pool = pools(replace(EAGER, settle_s=600, patience_s=600))
    for _ in range(2):
        pool.open(a_spec(tenant)).close()
    assert (pool.stats().made, len(pools.boxes())) == (0, 0)
    busy = pools(replace(EAGER, settle_s=600, patience_s=0.5))
    with busy.open(a_spec(tenant)):
        until(lambda: busy.stats().made == 1)


def test_closing_removes_all_that_wait_and_leaves_what_runs(pools: Pools) -> None:
    pool, tenant = pools(replace(EAGER, floor=2)), uuid4()
    warm(pool, tenant, 2)
    with pool.open(a_spec(tenant)) as sandbox:
        pool.close()
        pool.close()
        assert [box["Id"] for box in pools.boxes()] == [sandbox.handle]
        assert run(sandbox, "echo", "here")[1].stdout == b"here\n"
    with pool.open(a_spec(tenant)) as later:
        assert run(later, "true")[0].exit_code == 0
    assert (pool.stats().parked, pool.stats().handed_over) == (0, 1)


@pytest.mark.parametrize("reaper", ["the pool itself", "another process"])
def test_reap_knows_whose_run_one_from_the_pool_serves(pools: Pools, reaper: str) -> None:
    pool, tenant = pools(replace(EAGER, floor=2)), uuid4()
    warm(pool, tenant, 2)
    lost, kept = a_spec(tenant), a_spec(tenant)
    another = reaper == "another process"
    backend: Backend = pools(owner="another") if another else pool
    with pool.open(lost) as dying, pool.open(kept) as living:
        assert pool.stats().handed_over == 2
        if another:
            until(lambda: {lost.run_id, kept.run_id} <= present_runs())
        assert backend.reap(keep=[kept.run_id], only=[lost.run_id, kept.run_id]) == 1
        assert run(living, "echo", "here")[1].stdout == b"here\n"
        with pytest.raises(SandboxLost):
            run(dying, "true")


LEAVE = textwrap.dedent("""
    import sys, time, uuid
    from devstudio_sandbox import SandboxSpec
    from devstudio_sandbox.docker_backend import DockerBackend
    from devstudio_sandbox.pool import PooledBackend
    from devstudio_sandbox.pool_stock import PoolPolicy
    pool = PooledBackend(DockerBackend(runtime="runc", installation=sys.argv[1], owner="dead"),
                         PoolPolicy(floor=2, settle_s=0.0, check_s=0.1), memory=lambda: None)
    tenant = uuid.uuid4()
    pool.open(SandboxSpec("python", tenant, uuid.uuid4())).close()
    while pool.stats().parked < 2:
        time.sleep(0.02)
    sandbox = pool.open(SandboxSpec("python", tenant, uuid.uuid4()))
    while pool.stats().parked < 2:
        time.sleep(0.02)
    print("ready", flush=True)
    time.sleep(3600)
""")


def test_the_pool_of_a_killed_process_is_removed_by_the_next_life(pools: Pools) -> None:
    living, tenant = pools(owner="living"), uuid4()
    warm(living, tenant)
    argv = [sys.executable, "-c", LEAVE, pools.installation]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    killed = subprocess.Popen(argv, stdout=subprocess.PIPE, env=environment, text=True)
    assert killed.stdout
    with killed.stdout as said:
        assert said.readline() == "ready\n"
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert len([box for box in map(Labelled.read, pools.boxes()) if box.owner == "dead"]) == 3
    with living.open(a_spec(tenant)) as sandbox:
        assert pools(owner="next").reap_owners(alive=["living"]) == 3
        assert run(sandbox, "echo", "here")[1].stdout == b"here\n"
        assert {box.owner for box in map(Labelled.read, pools.boxes())} == {"living"}


class Cuttable:
    """A second way to the engine, which a test can cut: what a client sees of an engine that is killed."""

    def __init__(self, path: Path) -> None:
        self.url = f"unix://{path}"
        self._path = path
        self._pairs: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.join()

    def join(self) -> None:
        """Listen."""
        self._listener = socket.socket(socket.AF_UNIX)
        self._path.unlink(missing_ok=True)
        self._listener.bind(str(self._path))
        self._listener.listen(64)
        self._begin(self._accept, self._listener)

    def _begin(self, target: Callable[..., None], *arguments: socket.socket) -> None:
        self._threads.append(threading.Thread(target=target, args=arguments, daemon=True))
        self._threads[-1].start()

    def cut(self) -> None:
        """End every connection and take no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._pairs:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for one in self._pairs:
            one.close()
        self._pairs, self._threads = [], []

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect("/var/run/docker.sock")
                self._pairs += [near, far]
                for source, sink in ((near, far), (far, near)):
                    self._begin(self._carry, source, sink)

    @staticmethod
    def _carry(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


def test_an_engine_that_goes_and_comes_back(pools: Pools, tmp_path: Path) -> None:
    way, tenant = Cuttable(tmp_path / "engine"), uuid4()
    pool = pools(docker_host=way.url)
    warm(pool, tenant)
    waiting = {box["Id"] for box in pools.boxes(kind="pool")}
    way.cut()
    until(lambda: pool.stats().parked == 0)
    with pytest.raises(SandboxUnavailable):
        pool.open(a_spec(tenant))
    way.join()
    opened: list[Sandbox] = []

    def again() -> bool:
        with suppress(SandboxUnavailable):
            opened.append(pool.open(a_spec(tenant)))
        return bool(opened)

    until(again)
    with opened[0] as sandbox:
        assert sandbox.handle not in waiting
        assert run(sandbox, "echo", "back")[1].stdout == b"back\n"
    until(lambda: pool.stats().parked == 1)
    pool.close()
    pools(owner="next").reap_owners(alive=[])  # what could not be removed while the engine was away
    way.cut()


def test_gvisor_waits_too(pools: Pools) -> None:
    pool, tenant = pools(runtime="runsc"), uuid4()
    warm(pool, tenant)
    with pool.open(a_spec(tenant)) as sandbox:
        assert sandbox.isolation == "gvisor"
        assert run(sandbox, "echo", "here")[1].stdout == b"here\n"
    assert pool.stats().handed_over == 1


def test_one_that_waits_takes_no_cpu_time_and_little_memory(pools: Pools, engine: docker.APIClient) -> None:
    pool = pools()
    warm(pool, uuid4())
    (waiting,) = pools.boxes(kind="pool")
    assert waiting["Labels"][LABEL_TENANT]  # type: ignore[index]

    def used() -> tuple[int, int]:
        told = engine.stats(waiting["Id"], stream=False)
        return told["cpu_stats"]["cpu_usage"]["total_usage"], told["memory_stats"]["usage"]

    (first, _), (second, memory) = used(), used()
    assert second - first < 5_000_000  # nanoseconds in about 1 s
    assert memory < 24 * 1024 * 1024
