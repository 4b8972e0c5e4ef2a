"""GET one and GET list in team mode, with everything on, beside FastAPI with nothing on and with the same checks."""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier
from time import perf_counter
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from benchmarks.conftest import Scale
from benchmarks.reporter import Figure, Reporter
from devstudio_server.kit.ids import new_id
from support.services import Postgres
from support.team import Team

PROJECTS = 200
LIMIT = 50
CONCURRENCY = (1, 8)


@dataclass(frozen=True)
class Target:
    """One path of one server."""

    port: int
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def connect(self) -> http.client.HTTPConnection:
        """Open a connection that stays open."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def get(self, connection: http.client.HTTPConnection) -> float:
        """Get the path once; return the milliseconds to its last byte."""
        begun = perf_counter()
        connection.request("GET", self.path, headers=dict(self.headers))
        response = connection.getresponse()
        body = response.read()
        assert response.status == 200, body
        return (perf_counter() - begun) * 1000

    def rate(self, requests: int, concurrency: int) -> float:
        """Return requests a second of ``concurrency`` clients that each keep one connection busy."""
        ready = Barrier(concurrency + 1)

        def client() -> None:
            with closing(self.connect()) as connection:
                connection.connect()
                ready.wait(60)
                for _ in range(requests // concurrency):
                    self.get(connection)

        with ThreadPoolExecutor(concurrency) as clients:
            futures = [clients.submit(client) for _ in range(concurrency)]
            ready.wait(60)
            begun = perf_counter()
            for future in futures:
                future.result()
            return requests // concurrency * concurrency / (perf_counter() - begun)


@dataclass(frozen=True)
class Targets:
    """What is compared."""

    one: Target
    many: Target
    hello: Target
    peer_one: Target
    peer_many: Target


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Targets]:
    """A team server on PostgreSQL with 200 projects, and the peer on the same database."""
    folder = tmp_path_factory.mktemp("requests")
    team, tenant, database = Team(folder), new_id(), postgres.database()
    environment = {"DEVSTUDIO_DATABASE_URL": postgres.app_url(database)}
    wide = {f"read.{scope}": "1000000000/minute" for scope in ("tenant", "user")}  # counted, but never reached
    with (
        team.studio(folder / "data", environment, (f"--DevStudioApp.rate_limits={wide}",)) as server,
        team.api(server.url, tenant) as api,
    ):
        newest = [api.project(name=f"Project {number}") for number in range(PROJECTS)][-1]["id"]
        headers = {"Authorization": f"Bearer {team.token(tenant)}"}
        with peer(team, folder, postgres.app_url(database)) as port:
            yield Targets(
                one=Target(server.port, f"/api/v1/projects/{newest}", headers),
                many=Target(server.port, f"/api/v1/projects?limit={LIMIT}", headers),
                hello=Target(port, "/hello"),
                peer_one=Target(port, f"/projects/{newest}", headers),
                peer_many=Target(port, f"/projects?limit={LIMIT}", headers),
            )


@contextmanager
def peer(team: Team, folder: Path, url: str) -> Iterator[int]:
    """Serve FastAPI in a process of its own; yield its port."""
    key_file = folder / "peer.pem"
    key_file.write_bytes(team.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    environment = {
        "PEER_DATABASE_URL": url.replace("postgresql://", "postgresql+psycopg://"),
        "PEER_KEY_FILE": str(key_file),
        "PEER_ISSUER": team.environment["DEVSTUDIO_JWT_ISSUER"],
        "PEER_AUDIENCE": team.environment["DEVSTUDIO_JWT_AUDIENCE"],
        "PATH": "/usr/bin:/bin",
    }
    command = [sys.executable, str(Path(__file__).with_name("fastapi_peer.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def in_turn(count: int, targets: tuple[Target, ...], measure: Callable[[Target], float]) -> list[list[float]]:
    """Measure each target ``count`` times, in turn, so that noise of the machine meets all of them."""
    kept: list[list[float]] = [[] for _ in targets]
    for _ in range(count):
        for target, samples in zip(targets, kept, strict=True):
            samples.append(measure(target))
    return kept


def body(target: Target) -> bytes:
    with closing(target.connect()) as connection:
        connection.request("GET", target.path, headers=dict(target.headers))
        return connection.getresponse().read()


def test_both_sides_answer_the_same_rows(targets: Targets) -> None:
    ours, theirs = body(targets.one), body(targets.peer_one)
    assert targets.one.path.rpartition("/")[2].encode() in ours
    assert targets.one.path.rpartition("/")[2].encode() in theirs
    UUID(targets.one.path.rpartition("/")[2])
    assert body(targets.many).count(b'"created_by"') == body(targets.peer_many).count(b'"created_by"') == LIMIT


@pytest.mark.timeout(600)
def test_get_beside_fastapi(targets: Targets, scale: Scale, reporter: Reporter) -> None:
    everyone = (targets.one, targets.many, targets.hello, targets.peer_one, targets.peer_many)
    for target in everyone:
        target.rate(scale.requests, 1)  # warm
    bare: list[Figure] = []
    same: list[Figure] = []
    for concurrency in CONCURRENCY:
        rates = in_turn(scale.rounds, everyone, lambda target, n=concurrency: target.rate(scale.requests * 4, n))
        one, many, hello, peer_one, peer_many = rates
        how = f"a second, {concurrency} at a time"
        bare += [Figure(f"GET one {how}", "1/s", one, hello), Figure(f"GET {LIMIT} {how}", "1/s", many, hello)]
        same += [Figure(f"GET one {how}", "1/s", one, peer_one), Figure(f"GET {LIMIT} {how}", "1/s", many, peer_many)]
    everything = "GET with auth, permission, tenant scope and rate limit"
    reporter.add(everything, "FastAPI hello under uvicorn, nothing on", bare)
    reporter.add(everything, "FastAPI + async SQLAlchemy: same token, checks, query and database", same)
