"""The worker: each job once, whatever happens to one of them, and at once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import event, select

from devstudio_server.auth import local_actor
from devstudio_server.db import Actor
from devstudio_server.jobs import EmbeddedWorker, JobContext, JobQueue
from devstudio_server.jobs.heartbeat import resource_of
from devstudio_server.jobs.life import Life
from devstudio_server.jobs.models import FINISHED, PENDING, RUNNING, Job
from devstudio_server.jobs.repository import LeaseRepository
from support.domain_world import DomainWorld
from support.job_process import JobProcess

Start = Callable[..., EmbeddedWorker]


@pytest.fixture
def start(domain: DomainWorld) -> Iterator[Start]:
    processes: list[JobProcess] = []

    def make(handlers: dict[str, Any], threads: int = 2, actor_of: Callable[[Job], Actor] | None = None) -> Any:
        process = JobProcess(domain, handlers, threads, actor_of)
        processes.append(process)
        process.start()
        return process.worker

    yield make
    for process in processes:
        process.stop()


def enqueue(domain: DomainWorld, kind: str, *payloads: dict[str, Any]) -> None:
    for payload in payloads:
        with domain.unit() as unit:
            domain.ports.get(JobQueue).enqueue(unit, domain.actor, kind, payload)


def rows(domain: DomainWorld) -> list[Job]:
    with domain.unit() as unit:
        return list(unit.scalars(select(Job).order_by(Job.id)))


class Tally:
    """A handler that counts what it was given, and lets a test wait for it."""

    def __init__(self, expected: int) -> None:
        self.seen: Counter[Any] = Counter()
        self.contexts: list[JobContext] = []
        self._lock = threading.Lock()
        self._left = expected
        self.done = threading.Event()

    def __call__(self, context: JobContext, payload: dict[str, Any]) -> None:
        with self._lock:
            self.seen[payload.get("n")] += 1
            self.contexts.append(context)
            self._left -= 1
            if self._left == 0:
                self.done.set()


def test_several_threads_take_each_job_once(domain: DomainWorld, start: Start) -> None:
    tally = Tally(40)
    worker = start({"count": tally}, threads=4)
    enqueue(domain, "count", *({"n": number} for number in range(40)))
    assert tally.done.wait(20)
    worker.stop()
    assert tally.seen == Counter(range(40))
    assert {(job.status, job.attempts, job.finished_at is not None) for job in rows(domain)} == {(FINISHED, 1, True)}


def test_a_job_gets_the_actor_the_ports_and_its_attempt(domain: DomainWorld, start: Start) -> None:
    tally = Tally(1)
    start({"count": tally}, actor_of=lambda job: local_actor() if job.user_id == domain.actor.user_id else None)
    enqueue(domain, "count", {"n": 1})
    assert tally.done.wait(10)
    (context,) = tally.contexts
    assert (context.actor, context.ports, context.units, context.attempt) == (
        local_actor(),
        domain.ports,
        domain.units,
        1,
    )


def test_jobs_are_done_in_their_order(domain: DomainWorld, start: Start) -> None:
    seen: list[int] = []
    done = threading.Event()

    def note(_context: JobContext, payload: dict[str, Any]) -> None:
        seen.append(payload["n"])
        if len(seen) == 10:
            done.set()

    enqueue(domain, "note", *({"n": number} for number in range(10)))
    start({"note": note}, threads=1)
    assert done.wait(10)
    assert seen == list(range(10))


def test_a_failing_job_leaves_the_worker_alive_and_an_unknown_one_waits(domain: DomainWorld, start: Start) -> None:
    tally = Tally(1)

    def fail(_context: JobContext, _payload: dict[str, Any]) -> None:
        raise RuntimeError("broken job")

    worker = start({"fail": fail, "count": tally}, threads=1)
    enqueue(domain, "fail", {}, {})
    enqueue(domain, "nobody.knows", {})
    enqueue(domain, "count", {"n": 1})
    assert tally.done.wait(10)
    assert worker.alive()
    worker.stop()
    assert [job.status for job in rows(domain)] == [FINISHED, FINISHED, PENDING, FINISHED]


def test_an_actor_that_cannot_be_found_leaves_the_worker_alive(domain: DomainWorld, start: Start) -> None:
    asked = threading.Event()

    def nobody(_job: Job) -> Actor:
        asked.set()
        raise LookupError("left the company")

    worker = start({"count": Tally(1)}, threads=1, actor_of=nobody)
    enqueue(domain, "count", {})
    assert asked.wait(10)
    worker.stop()
    assert [job.status for job in rows(domain)] == [FINISHED]


def test_a_database_that_fails_for_a_moment_does_not_end_a_thread(domain: DomainWorld, start: Start) -> None:
    tally = Tally(2)
    worker = start({"count": tally}, threads=1)
    failing = threading.Event()
    failed = Counter[str]()

    def break_statement(*arguments: Any) -> None:
        parameters = arguments[3]
        values = parameters.values() if isinstance(parameters, dict) else parameters
        if failing.is_set() and str(arguments[2]).startswith("UPDATE ds_jobs") and FINISHED in values:
            failed["finish"] += 1
            failing.clear()
            raise OSError("the disk is away")

    event.listen(domain.engine, "before_cursor_execute", break_statement)
    failing.set()
    enqueue(domain, "count", {"n": 1}, {"n": 2})
    assert tally.done.wait(10)
    assert worker.alive()
    worker.stop()
    assert failed == {"finish": 1}
    assert [job.status for job in rows(domain)] == [RUNNING, FINISHED], "the first is done again once its lease is over"


def test_what_was_under_way_at_a_crash_is_done_again(domain: DomainWorld, start: Start) -> None:
    enqueue(domain, "count", {"n": 1}, {"n": 2})
    with domain.unit() as unit:
        first, second = unit.scalars(select(Job).order_by(Job.id)).all()
        first.status, first.attempts = RUNNING, 1
        LeaseRepository(unit).take(resource_of(first.id), str(Life.begun("server").id))
        assert second.status == PENDING
    tally = Tally(2)
    worker = start({"count": tally}, threads=1)
    assert tally.done.wait(10)
    worker.stop()
    assert [job.attempts for job in rows(domain)] == [2, 1]
    assert sorted(context.attempt for context in tally.contexts) == [1, 2]


def test_finished_jobs_are_not_done_again(domain: DomainWorld, start: Start) -> None:
    tally = Tally(1)
    first = start({"count": tally})
    enqueue(domain, "count", {"n": 1})
    assert tally.done.wait(10)
    first.stop()
    again = Tally(1)
    start({"count": again})
    enqueue(domain, "count", {"n": 2})
    assert again.done.wait(10)
    assert again.seen == Counter([2])


def test_an_idle_worker_takes_a_job_at_once(domain: DomainWorld, start: Start) -> None:
    for _ in range(3):
        tally = Tally(1)
        worker = start({"count": tally}, threads=2)
        started = time.monotonic()
        enqueue(domain, "count", {"n": 1})
        assert tally.done.wait(10)
        assert time.monotonic() - started < 5, "far below the 30 s after which an idle thread looks by itself"
        worker.stop()


def test_stop_waits_for_the_job_under_way_and_takes_no_more(domain: DomainWorld, start: Start) -> None:
    begun, go_on = threading.Event(), threading.Event()
    ended: list[int] = []

    def slow(_context: JobContext, payload: dict[str, Any]) -> None:
        begun.set()
        assert go_on.wait(10)
        ended.append(payload["n"])

    worker = start({"slow": slow}, threads=1)
    enqueue(domain, "slow", {"n": 1}, {"n": 2})
    assert begun.wait(10)
    stopper = threading.Thread(target=worker.stop)
    stopper.start()
    go_on.set()
    stopper.join(10)
    assert not stopper.is_alive()
    assert not worker.alive()
    assert ended == [1]
    assert [job.status for job in rows(domain)] == [FINISHED, PENDING]


def test_stop_does_not_wait_for_ever_and_the_job_is_done_after_the_next_start(
    domain: DomainWorld, start: Start
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hang(_context: JobContext, _payload: dict[str, Any]) -> None:
        begun.set()
        go_on.wait(30)

    worker = start({"hang": hang}, threads=1)
    enqueue(domain, "hang", {})
    assert begun.wait(10)
    started = time.monotonic()
    worker.stop(timeout_s=0.05)
    assert time.monotonic() - started < 5
    assert [job.status for job in rows(domain)] == [PENDING]
    go_on.set()


def test_a_worker_that_never_started_stops(domain: DomainWorld) -> None:
    worker = JobProcess(domain, {}).worker
    worker.stop()
    assert not worker.alive()
