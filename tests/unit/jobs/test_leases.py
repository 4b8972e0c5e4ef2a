"""Leases: one attempt at a time has a job, a later one has a higher fence, and an earlier one writes nothing more."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from devstudio_server.db import SYSTEM_TENANT_ID
from devstudio_server.jobs import MAX_ATTEMPTS, JobContext, JobKind, JobQueue, LeaseLost, Place
from devstudio_server.jobs import heartbeat as beating
from devstudio_server.jobs.heartbeat import resource_of, worker_of
from devstudio_server.jobs.life import Life, started_at, surely_over, this_host
from devstudio_server.jobs.models import FINISHED, PENDING, RUNNING, Job, Lease, WorkerRow
from devstudio_server.jobs.repository import LeaseRepository
from devstudio_server.jobs.service import installation_of, processes
from devstudio_server.kit.clock import now
from devstudio_server.kit.errors import Unavailable
from devstudio_server.kv.models import KvEntry
from support.domain_world import DomainWorld
from support.job_process import JobProcess

WAIT_S = 20.0
Open = Callable[..., JobProcess]


@pytest.fixture
def opened(domain: DomainWorld) -> Iterator[Open]:
    processes_: list[JobProcess] = []

    def make(handlers: dict[str, Any], **options: Any) -> JobProcess:
        made = JobProcess(domain, handlers, **options)
        processes_.append(made)
        return made

    yield make
    for process in processes_:
        process.stop(0.1)


def enqueue(domain: DomainWorld, kind: str = "work", **payload: Any) -> None:
    with domain.unit() as unit:
        domain.ports.get(JobQueue).enqueue(unit, domain.actor, kind, payload)


def job(domain: DomainWorld) -> Job:
    with domain.unit(read_only=True) as unit:
        return unit.scalars(select(Job)).one()


def statuses(domain: DomainWorld) -> dict[str, str]:
    with domain.unit(read_only=True) as unit:
        return {found.kind: found.status for found in unit.scalars(select(Job))}


def lease(domain: DomainWorld) -> Lease | None:
    with domain.unit(read_only=True) as unit:
        return unit.scalars(select(Lease)).one_or_none()


def until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


class Attempts:
    """A handler whose attempts wait until they are let go, and then write."""

    def __init__(self) -> None:
        self.contexts: list[JobContext] = []
        self.go_on = [threading.Event() for _ in range(MAX_ATTEMPTS)]
        self.wrote: list[int] = []
        self.refused: list[int] = []

    def __call__(self, context: JobContext, _payload: dict[str, Any]) -> None:
        self.contexts.append(context)
        assert self.go_on[context.attempt - 1].wait(WAIT_S)
        try:
            with context.begin() as session:
                session.add(KvEntry(scope="test", key=f"attempt-{context.attempt}", value_json={}))
        except LeaseLost:
            self.refused.append(context.attempt)
            raise
        self.wrote.append(context.attempt)

    def begun(self, count: int) -> Callable[[], bool]:
        return lambda: len(self.contexts) >= count


def effects(domain: DomainWorld) -> list[str]:
    with domain.unit(read_only=True) as unit:
        return list(unit.scalars(select(KvEntry.key)))


def test_a_job_is_held_while_it_is_done_and_its_lease_goes_with_it(domain: DomainWorld, opened: Open) -> None:
    attempts = Attempts()
    process = opened({"work": attempts})
    process.start()
    enqueue(domain)
    until(attempts.begun(1), "it was not taken")
    held = lease(domain)
    assert held is not None
    assert (held.holder, held.fence, held.resource) == (str(process.life.id), 1, resource_of(job(domain).id))
    until(lambda: lease(domain).expires_at > held.expires_at, "it was not renewed")
    attempts.go_on[0].set()
    until(lambda: job(domain).status == FINISHED, "it did not end")
    assert lease(domain) is None
    assert effects(domain) == ["attempt-1"]


def test_a_process_that_is_cut_off_writes_nothing_once_another_has_the_job(
    domain: DomainWorld, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devstudio_server.jobs.repository.LEASE_S", 1.0)
    monkeypatch.setattr(beating, "LEASE_S", 60.0)  # it does not notice by itself that its time is up
    attempts = Attempts()
    cut_off, other = opened({"work": attempts}, host="elsewhere"), opened({"work": attempts})
    cut_off.start()
    enqueue(domain)
    until(attempts.begun(1), "it was not taken")
    cut_off.vanish()
    other.start()
    until(attempts.begun(2), "nobody else took it")
    assert lease(domain).fence == 2
    attempts.go_on[0].set()
    until(lambda: attempts.refused == [1], "the older attempt was let through")
    assert effects(domain) == []
    attempts.go_on[1].set()
    until(lambda: job(domain).status == FINISHED, "it did not end")
    assert (attempts.wrote, effects(domain), job(domain).attempts) == ([2], ["attempt-2"], 2)


def test_a_lease_that_cannot_be_renewed_is_lost_before_it_ends_and_what_runs_is_killed(
    domain: DomainWorld, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beating, "LEASE_S", 3.0)
    monkeypatch.setattr(beating, "MARGIN_S", 2.0)
    killed = threading.Event()
    seen: list[bool] = []

    def work(context: JobContext, _payload: dict[str, Any]) -> None:
        with context.hold.whenever_lost(killed.set):
            seen.append(context.lost.wait(WAIT_S))
        with pytest.raises(LeaseLost), context.begin():
            pass

    process = opened({"work": work}, beat_s=30.0)
    process.start()
    started = time.monotonic()
    enqueue(domain)
    assert killed.wait(WAIT_S)
    assert time.monotonic() - started < 3.0, "before another may have it"
    until(lambda: not process.heartbeat.held(), "the attempt goes on")
    assert seen == [True]
    assert job(domain).status == RUNNING, "whoever comes next puts it back"


def test_what_is_killed_when_a_lease_is_lost_is_killed_also_when_it_was_lost_before(
    domain: DomainWorld, opened: Open
) -> None:
    process = opened({"work": lambda _context, _payload: None})
    process.heartbeat.beat()
    enqueue(domain)
    taken = process.runner.take(domain.actor.tenant_id, {"work"})
    assert taken is not None
    taken.hold.lose("a test")
    killed: list[str] = []
    with taken.hold.whenever_lost(lambda: killed.append("late")):
        assert killed == ["late"]


def test_the_jobs_of_a_process_of_this_host_that_ended_are_taken_over_at_once(
    domain: DomainWorld, opened: Open
) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    began = started_at(ended.pid)
    ended.wait()
    attempts = Attempts()
    gone, next_life = opened({"work": attempts}), opened({"work": attempts})
    gone.life = gone.heartbeat.life = replace(gone.life, pid=ended.pid, started=began or 1)
    gone.heartbeat.beat()
    enqueue(domain)
    assert gone.runner.take(domain.actor.tenant_id, {"work"}) is not None
    started = time.monotonic()
    next_life.start()
    until(attempts.begun(1), "nobody took it over")
    assert time.monotonic() - started < 5, "long before its lease is over"
    assert (attempts.contexts[0].attempt, lease(domain).fence) == (2, 2)
    attempts.go_on[1].set()
    until(lambda: job(domain).status == FINISHED, "it did not end")
    with domain.units.begin(worker_of(SYSTEM_TENANT_ID), read_only=True) as session:
        assert set(session.scalars(select(WorkerRow.id))) == {next_life.life.id}
    assert next_life.reaped[-1] == {str(next_life.life.id)}


def test_a_process_that_starts_leaves_the_jobs_of_one_that_lives(domain: DomainWorld, opened: Open) -> None:
    attempts = Attempts()
    first, second = opened({"work": attempts}), opened({"work": attempts})
    first.start()
    enqueue(domain)
    until(attempts.begun(1), "it was not taken")
    second.start()
    until(lambda: second.reaped, "it did not look")
    second.reconciler.run_once()
    attempts.go_on[0].set()
    until(lambda: job(domain).status == FINISHED, "it did not end")
    assert (job(domain).attempts, len(attempts.contexts)) == (1, 1)
    assert {str(first.life.id), str(second.life.id)} in [set(alive) for alive in second.reaped]


def test_a_clock_that_jumps_takes_nothing_from_who_goes_on(
    domain: DomainWorld, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = Attempts()
    process = opened({"work": attempts})
    process.start()
    enqueue(domain)
    until(attempts.begun(1), "it was not taken")
    monkeypatch.setattr("devstudio_server.jobs.repository.now", lambda: now() + timedelta(hours=1))
    process.reconciler.run_once()
    monkeypatch.setattr("devstudio_server.jobs.repository.now", lambda: now() - timedelta(hours=1))
    process.reconciler.run_once()
    attempts.go_on[0].set()
    until(lambda: job(domain).status == FINISHED, "it did not end")
    assert (job(domain).attempts, effects(domain)) == (1, ["attempt-1"])


def test_a_job_whose_every_process_died_is_given_up_with_a_reason(domain: DomainWorld, opened: Open) -> None:
    given_up: list[tuple[int, str]] = []

    def give_up(context: JobContext, _payload: dict[str, Any], reason: str) -> None:
        with context.begin():
            given_up.append((context.attempt, reason))

    begun: list[int] = []
    kind = JobKind("work", lambda context, _payload: begun.append(context.attempt), Place.WORKER, give_up)
    process = opened({"work": kind})
    enqueue(domain)
    with domain.unit() as unit:
        unit.scalars(select(Job)).one().attempts = MAX_ATTEMPTS
    process.start()
    until(lambda: job(domain).status == FINISHED, "it did not end")
    assert begun == []
    assert [attempt for attempt, _ in given_up] == [MAX_ATTEMPTS + 1]
    assert "not begun again" in given_up[0][1]


def test_a_job_that_ends_for_want_of_the_database_is_put_back(domain: DomainWorld, opened: Open) -> None:
    seen: list[int] = []

    def work(context: JobContext, _payload: dict[str, Any]) -> None:
        seen.append(context.attempt)
        if context.attempt == 1:
            raise Unavailable("The database did not answer.")

    process = opened({"work": work})
    process.start()
    enqueue(domain)
    until(lambda: job(domain).status == FINISHED, "it did not end")
    assert seen == [1, 2]


def test_what_is_under_way_at_the_end_is_put_back_and_taken_by_another_at_once(
    domain: DomainWorld, opened: Open
) -> None:
    attempts = Attempts()
    ending, other = opened({"work": attempts}), opened({"work": attempts})
    ending.start()
    enqueue(domain)
    until(attempts.begun(1), "it was not taken")
    stopper = threading.Thread(target=ending.worker.stop, args=(0.2,))
    stopper.start()
    until(lambda: job(domain).status == PENDING, "it was not put back")
    assert attempts.contexts[0].stopping.is_set()
    until(attempts.contexts[0].lost.is_set, "the attempt was not told")
    other.start()
    until(attempts.begun(2), "nobody took it")
    attempts.go_on[0].set()
    attempts.go_on[1].set()
    until(lambda: job(domain).status == FINISHED, "it did not end")
    stopper.join()
    assert (attempts.wrote, attempts.refused, effects(domain)) == ([2], [1], ["attempt-2"])


def test_only_a_process_of_the_place_takes_a_job(domain: DomainWorld, opened: Open) -> None:
    seen: list[str] = []
    kinds = {
        name: JobKind(name, lambda _context, payload: seen.append(payload["name"]), place)
        for name, place in (("near", Place.SERVER), ("far", Place.WORKER))
    }
    process = opened(kinds, places={Place.SERVER})
    process.start()
    enqueue(domain, "far", name="far")
    enqueue(domain, "near", name="near")
    until(lambda: statuses(domain)["near"] == FINISHED, "it was not done")
    assert statuses(domain)["far"] == PENDING
    assert seen == ["near"]


def test_one_of_several_processes_leads_and_another_follows_it(domain: DomainWorld, opened: Open) -> None:
    first, second = opened({}), opened({})
    first.heartbeat.beat()
    second.heartbeat.beat()
    first.reconciler.run_once()
    second.reconciler.run_once()

    def leader() -> str:
        with domain.units.begin(worker_of(SYSTEM_TENANT_ID), read_only=True) as session:
            found = LeaseRepository(session).find("reconciler")
            assert found is not None
            return found.holder

    assert leader() == str(first.life.id)
    first.reconciler.stop()
    second.reconciler.run_once()
    assert leader() == str(second.life.id)


def test_processes_say_that_they_are_there_and_when_they_go(domain: DomainWorld, opened: Open) -> None:
    process = opened({}, threads=3, kind="worker")
    process.start()
    (found,) = processes(domain.units)
    assert (found.kind, found.pid, found.slots, found.draining) == ("worker", os.getpid(), 3, False)
    process.stop()
    assert processes(domain.units) == []
    assert SYSTEM_TENANT_ID not in domain.units.tenants()


def test_a_life_is_known_by_its_process_and_when_that_began() -> None:
    mine = Life.begun("server")
    assert not surely_over(mine.host, mine.pid, mine.started)
    assert surely_over(mine.host, mine.pid, mine.started + 1), "another process that got its number"
    assert not surely_over("elsewhere", mine.pid, mine.started + 1), "nobody here can know"
    assert not surely_over(mine.host, mine.pid, 0)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    began = started_at(child.pid)
    assert began is not None
    assert not surely_over(this_host(), child.pid, began)
    child.kill()
    until(lambda: surely_over(this_host(), child.pid, began), "a zombie counts as ended")
    child.communicate()


def test_an_installation_has_one_id(domain: DomainWorld) -> None:
    assert installation_of(domain.units) == installation_of(domain.units)
