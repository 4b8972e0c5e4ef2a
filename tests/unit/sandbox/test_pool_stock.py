"""How many sandboxes should wait, for whom, and which go first."""

from dataclasses import replace
from typing import cast
from uuid import UUID

from devstudio_sandbox import Limits
from devstudio_sandbox.base import SupervisedSandbox
from devstudio_sandbox.pool_stock import Parked, PoolPolicy, Shape, Stock

POLICY = PoolPolicy(floor=1, cap=3, total=4, window_s=10.0, idle_s=100.0)


def shape(tenant: int, memory: int = 1) -> Shape:
    """Describe a shape of one of a few tenants."""
    return Shape(UUID(int=tenant), "python", Limits(memory_bytes=memory))


def fill(stock: Stock, wanted: Shape, count: int = 1, since: float = 0.0) -> list[Parked]:
    """Put some in; bookkeeping does not look at the sandbox itself."""
    added = [Parked(cast("SupervisedSandbox", object()), wanted, "image", since) for _ in range(count)]
    for parked in added:
        stock.add(parked)
    return added


def lacking(stock: Stock, now: float) -> list[Shape]:
    """Add what is missing until nothing is."""
    made = []
    while missing := stock.missing(now):
        made.append(missing)
        fill(stock, missing, since=now)
        assert len(made) < 100
    return made


def test_as_many_wait_as_were_asked_for_lately_within_floor_and_cap() -> None:
    stock = Stock(POLICY)
    assert stock.missing(0.0) is None
    for asked, wanted in ((1, 1), (2, 2), (3, 3), (5, 3)):
        stock = Stock(POLICY)
        for _ in range(asked):
            assert stock.ask(shape(1), 0.0) is None
        assert lacking(stock, 1.0) == [shape(1)] * wanted
    stock = Stock(POLICY)
    for _ in range(3):
        stock.ask(shape(1), 0.0)
    assert lacking(stock, 11.0) == [shape(1)]  # the rush is over
    assert lacking(Stock(replace(POLICY, floor=0)), 0.0) == []


def test_the_one_that_has_waited_longest_goes_first_and_only_to_its_shape() -> None:
    stock = Stock(POLICY)
    first, second = fill(stock, shape(1), 2)
    assert stock.ask(shape(2), 0.0) is None
    assert stock.ask(shape(1, memory=2), 0.0) is None
    assert [stock.ask(shape(1), 0.0), stock.take(shape(1)), stock.take(shape(1))] == [first, second, None]


def test_a_tenant_has_no_more_than_its_cap_whatever_shapes_it_asks_for() -> None:
    stock = Stock(POLICY)
    for memory in range(5):
        stock.ask(shape(1, memory), float(memory))
    made = lacking(stock, 5.0)
    assert made == [shape(1, 4), shape(1, 3), shape(1, 2)]  # the last asked for come first


def test_when_all_is_full_the_shape_asked_for_longest_ago_makes_room() -> None:
    stock = Stock(POLICY)
    for tenant in range(1, 5):
        stock.ask(shape(tenant), float(tenant))
        fill(stock, shape(tenant), since=float(tenant))
    stock.ask(shape(5), 5.0)
    assert stock.missing(5.0) == shape(5)
    (over,) = stock.surplus(5.0)
    assert over.shape == shape(1)
    assert stock.discard(over)
    assert lacking(stock, 5.0) == [shape(5)]
    assert stock.surplus(5.0) == []  # tenant 1 asked before all others, so it takes nobody's place


def test_what_is_not_asked_for_goes_and_is_forgotten() -> None:
    stock = Stock(POLICY)
    for _ in range(3):
        stock.ask(shape(1), 0.0)
    parked = fill(stock, shape(1), 3)
    assert stock.surplus(99.0) == []
    stock.ask(shape(1), 99.0)
    fill(stock, shape(1), since=99.0)
    assert set(map(id, stock.surplus(100.0))) <= set(map(id, parked))  # more than wanted, and old
    assert len(stock.surplus(199.0)) == len(stock) == 3
    for one in stock.surplus(199.0):
        assert stock.discard(one)
        assert not stock.discard(one)
    assert not stock.idle
    stock.forget(199.0)
    assert stock.idle


def test_even_those_that_are_wanted_are_made_anew_in_time() -> None:
    stock = Stock(POLICY)
    (parked,) = fill(stock, shape(1))
    stock.ask(shape(1), 0.0)
    (parked,) = fill(stock, shape(1))
    stock._demand[shape(1)].note(299.0, POLICY.window_s)
    assert stock.surplus(299.0) == []
    assert stock.surplus(300.0) == [parked]
    assert POLICY.ttl_s > 3 * POLICY.idle_s
