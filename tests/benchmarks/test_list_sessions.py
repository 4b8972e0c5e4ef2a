"""GET list of 10,000 spec sessions, beside the same query through a bare Tornado handler on the same file."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Barrier
from time import perf_counter
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert

from benchmarks import bare_tornado
from benchmarks.conftest import Scale
from benchmarks.reporter import Figure, Reporter
from devstudio_server.auth.identity import LOCAL_TENANT_ID, LOCAL_USER_ID
from devstudio_server.db import create_engine
from devstudio_server.db.registry import all_tables
from devstudio_server.kit.clock import as_utc
from devstudio_server.kit.ids import new_id
from devstudio_server.settings import DataFolder
from devstudio_server.specs.models import SpecSession
from support.studio import TOKEN, Studio

ROWS = 10_000
HIDDEN = 100
"""Deleted ones, and as many of another tenant: neither side may show them."""
LIMIT = 200
CONCURRENCY = (1, 8)


@dataclass
class Side:
    """One of the two servers, and one connection to it that stays open."""

    port: int
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def connect(self) -> http.client.HTTPConnection:
        """Open a connection."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def page(self, connection: http.client.HTTPConnection, cursor: str | None) -> tuple[float, bytes]:
        """Get one page; return milliseconds to its last byte, and the body."""
        path = f"{self.path}?limit={LIMIT}" + (f"&cursor={cursor}" if cursor else "")
        begun = perf_counter()
        connection.request("GET", path, headers=dict(self.headers))
        response = connection.getresponse()
        body = response.read()
        taken = (perf_counter() - begun) * 1000
        assert response.status == 200, body
        return taken, body


@pytest.fixture(scope="module")
def own_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A server whose database has 10,000 sessions to see, and some to hide."""
    with Studio(tmp_path_factory.mktemp("many") / "data") as server:
        fill(server)
        yield server


def fill(server: Studio) -> None:
    """Insert the rows past the server, as one statement."""
    project_id = UUID(server.api.project()["id"])
    engine = create_engine(DataFolder(server.data_dir).database_url)
    all_tables()  # the mapper wants to see every table that a foreign key names
    with engine.begin() as connection:
        connection.execute(insert(SpecSession), list(rows(project_id)))
    engine.dispose()


def rows(project_id: UUID) -> Iterator[dict[str, Any]]:
    """Make the rows; every hundredth or so is hidden, so that pages have to step over some."""
    others = new_id()
    for number in range(ROWS + 2 * HIDDEN):
        hidden = number % (ROWS // HIDDEN + 2)
        yield {
            "tenant_id": others if hidden == 1 else LOCAL_TENANT_ID,
            "deleted": hidden == 0,
            "project_id": project_id,
            "title": f"Session {number}: ünïcode and a title of usual length",
            "description": "What this session is for, in a sentence or two as people write them. " * 2,
            "author_id": LOCAL_USER_ID,
            "metadata_": {"number": number},
            "slug": f"session-{number}",
        }


@pytest.fixture(scope="module")
def ours(own_studio: Studio) -> Side:
    """Our list call."""
    return Side(own_studio.port, "/api/v1/spec-sessions", {"Authorization": f"token {TOKEN}"})


@pytest.fixture(scope="module")
def peer(own_studio: Studio) -> Iterator[Side]:
    """The bare handler, in a process of its own."""
    database = own_studio.data_dir / "devstudio.db"
    command = [sys.executable, str(Path(bare_tornado.__file__)), str(database), LOCAL_TENANT_ID.hex]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Side(int(process.stdout.readline()), "/list")
        finally:
            process.terminate()


@dataclass
class Walk:
    """One way through all pages of one side."""

    side: Side
    connection: http.client.HTTPConnection
    times: list[float] = field(default_factory=list)
    cursors: list[str | None] = field(default_factory=lambda: [None])
    items: list[dict[str, Any]] = field(default_factory=list)

    def step(self) -> bool:
        """Get the next page; tell whether there is another."""
        taken, body = self.side.page(self.connection, self.cursors[-1])
        page = json.loads(body)
        self.times.append(taken)
        self.items += page["items"]
        if page["next_cursor"] is not None:
            self.cursors.append(page["next_cursor"])
        return page["next_cursor"] is not None


def walk(ours: Side, peer: Side) -> tuple[Walk, Walk]:
    """Go through all pages of both, page by page in turn."""
    with closing(ours.connect()) as first, closing(peer.connect()) as second:
        walks = Walk(ours, first), Walk(peer, second)
        going = True
        while going:
            more = [each.step() for each in walks]
            assert more[0] == more[1], "one of the two ends before the other"
            going = more[0]
    return walks


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """Bring a row, as SQLite has it or as ours sends it, into one form."""
    times = {name: as_utc(datetime.fromisoformat(row[name])) for name in ("created_at", "updated_at")}
    ids = {name: UUID(row[name]) for name in ("id", "project_id", "author_id")}
    values = {name: row[name] for name in ("title", "description", "status", "completed_at", "version", "slug")}
    metadata = row["metadata"]
    return times | ids | values | {"metadata": json.loads(metadata) if isinstance(metadata, str) else metadata}


def check(walks: tuple[Walk, Walk]) -> None:
    """Hold both walks against what was inserted, and against each other."""
    for each in walks:
        assert len(each.items) == ROWS
        assert len(each.times) == ROWS // LIMIT
        assert len({item["slug"] for item in each.items}) == ROWS
    first, second = ([plain(item) for item in each.items] for each in walks)
    assert first == second
    assert [item["id"] for item in first] == sorted((item["id"] for item in first), reverse=True)


def rate(side: Side, cursors: Sequence[str | None], concurrency: int, requests: int) -> float:
    """Return requests per second of ``concurrency`` clients that each keep one connection busy."""

    def client(number: int) -> None:
        with closing(side.connect()) as connection:
            connection.connect()
            ready.wait()
            for turn in range(number, requests, concurrency):
                side.page(connection, cursors[turn % len(cursors)])

    ready = Barrier(concurrency + 1)
    with ThreadPoolExecutor(concurrency) as clients:
        futures = [clients.submit(client, number) for number in range(concurrency)]
        ready.wait(60)
        begun = perf_counter()
        for future in futures:
            future.result()
        return requests / (perf_counter() - begun)


@pytest.mark.timeout(900)
def test_list_of_ten_thousand_sessions(ours: Side, peer: Side, scale: Scale, reporter: Reporter) -> None:
    warm = walk(ours, peer)
    check(warm)
    walks = [walk(ours, peer) for _ in range(scale.walks)]
    assert all(len(each.items) == ROWS for pair in walks for each in pair)
    firsts = first_pages(ours, peer, scale.pages)
    figures = [
        Figure("first page", "ms", *firsts),
        Figure(
            "a page on the way through all",
            "ms",
            *([t for w in side for t in w.times] for side in zip(*walks, strict=True)),
        ),
        Figure("all pages", "ms", *([sum(w.times) for w in side] for side in zip(*walks, strict=True))),
    ]
    cursors = [each.cursors for each in warm]
    for concurrency in CONCURRENCY:
        rates: tuple[list[float], list[float]] = ([], [])
        for _ in range(scale.rounds):
            for side, pages, kept in zip((ours, peer), cursors, rates, strict=True):
                kept.append(rate(side, pages, concurrency, scale.requests))
        figures.append(Figure(f"pages a second, {concurrency} at a time", "1/s", *rates))
    title = f"GET list of {ROWS} sessions, {LIMIT} a page"
    reporter.add(title, "the same query in a bare Tornado handler, on the same SQLite file", figures)


def first_pages(ours: Side, peer: Side, count: int) -> tuple[list[float], list[float]]:
    """Get the first page of both ``count`` times in turn; return the milliseconds."""
    times: tuple[list[float], list[float]] = ([], [])
    with closing(ours.connect()) as first, closing(peer.connect()) as second:
        for _ in range(count):
            for side, connection, kept in zip((ours, peer), (first, second), times, strict=True):
                kept.append(side.page(connection, None)[0])
    return times
