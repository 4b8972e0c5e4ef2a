"""Both workers do the same: the one in the server, and the one that Procrastinate brings its jobs, on PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from devstudio_server.jobs import JobContext, JobKind, JobQueue, LeaseLost, Place
from devstudio_server.jobs.models import FINISHED, PENDING, Job
from support.databases import Database
from support.domain_world import DomainWorld
from support.job_process import JobProcess

DATABASE_KINDS = ("postgresql",)
WAIT_S = 30.0
Open = Callable[..., JobProcess]


@pytest.fixture
def domain(tmp_path: Path, database: Database) -> Iterator[DomainWorld]:
    world = DomainWorld(tmp_path, database)
    yield world
    world.close()


@pytest.fixture(params=["embedded", "delivered"])
def opened(request: pytest.FixtureRequest, domain: DomainWorld) -> Iterator[Open]:
    processes: list[JobProcess] = []

    def make(handler: Callable[[JobContext, dict[str, Any]], None], **options: Any) -> JobProcess:
        kinds = {"work": JobKind("work", handler, Place.WORKER)}
        delivered = domain.database.url if request.param == "delivered" else ""
        made = JobProcess(domain, kinds, delivered=delivered, **options)
        processes.append(made)
        return made

    yield make
    for process in processes:
        process.stop(0.1)


def enqueue(domain: DomainWorld, count: int = 1) -> None:
    for number in range(count):
        with domain.unit() as unit:
            domain.ports.get(JobQueue).enqueue(unit, domain.actor, "work", {"n": number, "secret": "canary"})


def jobs(domain: DomainWorld) -> list[Job]:
    with domain.unit(read_only=True) as unit:
        return list(unit.scalars(select(Job).order_by(Job.id)))


def words(domain: DomainWorld) -> list[tuple[str, dict[str, Any]]]:
    """Return what Procrastinate has to carry, as the server's own role sees it."""
    with psycopg.connect(domain.database.url) as connection:
        return connection.execute("SELECT status::text, args FROM procrastinate.procrastinate_jobs").fetchall()


def until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def finished(domain: DomainWorld) -> bool:
    return all(job.status == FINISHED for job in jobs(domain))


def test_each_job_is_done_once_and_nothing_is_left(domain: DomainWorld, opened: Open) -> None:
    seen: Counter[int] = Counter()

    def work(_context: JobContext, payload: dict[str, Any]) -> None:
        seen[payload["n"]] += 1

    first, second = opened(work, threads=3), opened(work, threads=3)
    first.start()
    second.start()
    enqueue(domain, 20)
    until(lambda: finished(domain), "not all were done")
    assert seen == Counter(range(20))
    assert {job.attempts for job in jobs(domain)} == {1}
    until(lambda: not words(domain), "word is left")


def test_an_idle_worker_takes_a_job_at_once(domain: DomainWorld, opened: Open) -> None:
    done = threading.Event()
    process = opened(lambda _context, _payload: done.set())
    process.reconciler._every_s = 60.0
    process.start()
    time.sleep(1)
    started = time.monotonic()
    enqueue(domain)
    assert done.wait(WAIT_S)
    assert time.monotonic() - started < 3, "by word, not by looking now and then"


def test_a_job_that_fails_leaves_the_worker_alive(domain: DomainWorld, opened: Open) -> None:
    def work(_context: JobContext, payload: dict[str, Any]) -> None:
        if payload["n"] == 0:
            raise RuntimeError("broken job")

    process = opened(work)
    process.start()
    enqueue(domain, 2)
    until(lambda: finished(domain), "the second was not done")
    assert process.worker.alive()


def test_what_was_enqueued_while_nobody_was_there_is_done(domain: DomainWorld, opened: Open) -> None:
    process = opened(lambda _context, _payload: None)
    enqueue(domain, 3)
    process.start()
    until(lambda: finished(domain), "not all were done")


def test_a_worker_that_ends_hands_over_at_once(domain: DomainWorld, opened: Open) -> None:
    attempts: list[int] = []
    refused: list[int] = []
    go_on = threading.Event()

    def work(context: JobContext, _payload: dict[str, Any]) -> None:
        attempts.append(context.attempt)
        if context.attempt == 1:
            assert context.lost.wait(WAIT_S)
            with pytest.raises(LeaseLost), context.begin():
                pass
            refused.append(context.attempt)
            return
        assert go_on.wait(WAIT_S)

    ending, other = opened(work), opened(work)
    ending.start()
    enqueue(domain)
    until(lambda: attempts == [1], "it was not taken")
    other.start()
    ending.stop(0.2)
    until(lambda: attempts == [1, 2], "nobody took it over")
    go_on.set()
    until(lambda: finished(domain), "it was not done")
    assert refused == [1]


class TestDelivery:
    """What only the one that Procrastinate serves has to show."""

    @pytest.fixture
    def process(self, domain: DomainWorld) -> Iterator[JobProcess]:
        kinds = {"work": JobKind("work", lambda _context, _payload: None, Place.WORKER)}
        made = JobProcess(domain, kinds, delivered=domain.database.url)
        yield made
        made.stop(0.1)

    def test_word_is_two_ids_and_comes_with_the_commit_alone(self, domain: DomainWorld, process: JobProcess) -> None:
        del process  # it provides the queue, and is not started
        with domain.unit() as unit:
            domain.ports.get(JobQueue).enqueue(unit, domain.actor, "work", {"secret": "canary"})
            unit.rollback()
        assert (words(domain), jobs(domain)) == ([], [])
        enqueue(domain)
        (job,) = jobs(domain)
        assert words(domain) == [("todo", {"tenant_id": str(domain.actor.tenant_id), "job_id": str(job.id)})]

    def test_word_that_is_lost_is_sent_again_once(self, domain: DomainWorld, process: JobProcess) -> None:
        enqueue(domain, 2)
        with psycopg.connect(domain.database.url, autocommit=True) as connection:
            connection.execute("DELETE FROM procrastinate.procrastinate_jobs")
        assert [job.status for job in jobs(domain)] == [PENDING, PENDING]
        process.heartbeat.beat()
        process.reconciler.run_once()
        process.reconciler.run_once()
        assert len(words(domain)) == 2
        process.start()
        until(lambda: finished(domain), "not all were done")

    def test_word_of_a_worker_that_died_is_forgotten(self, domain: DomainWorld, process: JobProcess) -> None:
        enqueue(domain)
        with psycopg.connect(domain.database.url, autocommit=True) as connection:
            connection.execute("UPDATE procrastinate.procrastinate_jobs SET status = 'doing'")
        process.heartbeat.beat()
        process.reconciler.run_once()
        assert [status for status, _ in words(domain)] == ["todo"]
