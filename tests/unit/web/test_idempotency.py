"""The key and the effect stand or fall together; a reservation ends; keys belong to one person."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from devstudio_server.db import Actor
from devstudio_server.kit.clock import now
from devstudio_server.kit.errors import Conflict
from devstudio_server.kit.ids import new_id
from devstudio_server.operations import all_operations
from devstudio_server.projects.schemas import ProjectCreate
from devstudio_server.web.idempotency import (
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    KeyedRequest,
    KeyedWork,
    remove_expired_keys,
)
from devstudio_server.web.models import IdempotencyKey
from devstudio_server.web.reply import Reply
from support.domain_world import DomainWorld

OPERATIONS = {operation.id: operation for operation in all_operations()}
DONE = Reply(201, '{"id": 1}', {"ETag": '"1"'})


def request(key: str = "k", name: str = "A") -> KeyedRequest:
    return KeyedRequest.of(key, OPERATIONS["create_project"], {"body": ProjectCreate(name=name)})


def work(domain: DomainWorld, actor: Actor | None = None, **options: Any) -> KeyedWork:
    return KeyedWork(options.pop("request", request()), domain.units, actor or domain.actor, **options)


def rows(domain: DomainWorld) -> list[IdempotencyKey]:
    with domain.unit(read_only=True) as session:
        return list(session.scalars(select(IdempotencyKey)))


def expire(domain: DomainWorld) -> None:
    with domain.unit() as session:
        session.execute(update(IdempotencyKey).values(expires_at=now() - timedelta(seconds=1)))


def within(domain: DomainWorld, keyed: KeyedWork, reply: Reply = DONE) -> Reply:
    with domain.unit() as session:
        return keyed.within(session, lambda: reply)


def never() -> Reply:
    raise AssertionError("the work was done again")


def test_a_request_is_what_decides_its_effect() -> None:
    same = KeyedRequest.of("k", OPERATIONS["create_project"], {"body": ProjectCreate(name="A")})
    assert request() == same
    assert request(name="B").sha256 != same.sha256
    assert KeyedRequest.of("k", OPERATIONS["plan"], {"body": ProjectCreate(name="A")}).sha256 != same.sha256
    assert len(same.sha256) == 64


def test_an_effect_that_is_rolled_back_takes_its_key_with_it(domain: DomainWorld) -> None:
    def crash() -> None:
        with domain.unit() as session:
            work(domain).within(session, lambda: DONE)
            raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        crash()
    assert rows(domain) == []
    assert not within(domain, work(domain)).replayed
    with domain.unit() as session:
        kept = work(domain).within(session, never)
    assert (kept.status, kept.body, kept.headers, kept.replayed) == (201, '{"id": 1}', {"ETag": '"1"'}, True)


def test_work_outside_reserves_its_key_and_settles_it(domain: DomainWorld) -> None:
    keyed = work(domain)

    def meanwhile() -> Reply:
        with pytest.raises(IdempotencyKeyInUse) as refused:
            work(domain).outside(never)
        assert int(refused.value.headers["Retry-After"]) > 0
        with pytest.raises(IdempotencyKeyReused):
            work(domain, request=request(name="B")).outside(never)
        (row,) = rows(domain)
        assert row.status is None
        return DONE

    assert keyed.outside(meanwhile) == DONE
    assert work(domain).outside(never).replayed


@pytest.mark.parametrize("error", [Conflict("no"), KeyboardInterrupt(), OSError("disk")])
def test_an_error_outside_releases_the_key(domain: DomainWorld, error: BaseException) -> None:
    def fail() -> Reply:
        raise error

    with pytest.raises(type(error)):
        work(domain).outside(fail)
    assert rows(domain) == []
    assert work(domain).outside(lambda: DONE) == DONE


def test_a_reservation_of_a_server_that_died_ends(domain: DomainWorld) -> None:
    class Killed(BaseException):
        pass

    keyed = work(domain)
    keyed._end = lambda *_: None  # type: ignore[method-assign] # the process is gone before it can release the key

    def die() -> Reply:
        raise Killed

    with pytest.raises(Killed):
        keyed.outside(die)
    with pytest.raises(IdempotencyKeyInUse):
        work(domain).outside(never)
    expire(domain)
    assert work(domain).outside(lambda: DONE) == DONE


def test_a_late_end_does_not_touch_who_took_the_key_over(domain: DomainWorld) -> None:
    def slow() -> Reply:
        expire(domain)
        assert work(domain).outside(lambda: Reply(201, "second")).body == "second"
        return Reply(201, "first")

    assert work(domain).outside(slow).body == "first"
    assert work(domain).outside(never).body == "second"


def test_a_database_that_goes_after_the_work_takes_no_answer(
    domain: DomainWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def last() -> Reply:
        monkeypatch.setattr(domain.units, "begin", gone)
        return DONE

    def gone(*_: object, **__: object) -> None:
        raise Conflict("the database is away")

    assert work(domain).outside(last) == DONE
    monkeypatch.undo()
    (row,) = rows(domain)
    assert row.status is None  # held until its reservation ends


def test_keys_belong_to_a_person_of_a_tenant(domain: DomainWorld) -> None:
    within(domain, work(domain))
    bob = replace(domain.actor, user_id=new_id())
    eve = replace(domain.actor, tenant_id=new_id())
    for other in (bob, eve):
        with domain.unit(other) as session:
            assert not work(domain, other).within(session, lambda: DONE).replayed


def test_expired_keys_are_free_and_removed(domain: DomainWorld) -> None:
    for number in range(5):
        within(domain, work(domain, request=request(key=f"k{number}")))
    expire(domain)
    within(domain, work(domain, request=request(key="young")))
    assert not within(domain, work(domain, request=request(key="k0"))).replayed
    with domain.unit() as session:
        assert remove_expired_keys(session, 3) == 3
        assert remove_expired_keys(session, 3) == 1
    assert sorted(row.key for row in rows(domain)) == ["k0", "young"]


def test_an_answer_is_kept_as_long_as_configured(domain: DomainWorld) -> None:
    within(domain, work(domain, kept_for=timedelta(minutes=5)))
    (row,) = rows(domain)
    assert timedelta(minutes=4) < row.expires_at - now() <= timedelta(minutes=5)


def test_keys_are_neither_events_nor_audited() -> None:
    assert IdempotencyKey.__subject__ is None
