"""Amendments in flight: whatever answers come, an order never counts less than the venue could still make of it."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from grinder.engine.amendments import Amendment, Amendments
from grinder.types import OpenOrder, OrderState, PositionSide, Route, Side

SIZES = st.integers(1, 9)


def an_order(qty: int = 3) -> OpenOrder:
    return OpenOrder(
        "i", "c", "BTCUSDT", Side.BUY, PositionSide.BOTH, Decimal(100), Decimal(qty), Decimal(qty), False,
        OrderState.OPEN, Route.PAPER, "", 0,
    )  # fmt: skip


def wanted(name: str, qty: int, *, doubted: bool = False, at_ns: int = 0) -> Amendment:
    return Amendment(name, Decimal(qty), Decimal(100), at_ns, doubted)


ANSWERS = st.lists(st.tuples(st.sampled_from(["ask", "refuse", "confirm"]), SIZES), max_size=30)


@given(ANSWERS)
def test_it_counts_at_the_largest_that_is_possible(steps):
    amendments, order = Amendments(), an_order()
    standing, asked = order.qty, {}
    for number, (step, size) in enumerate(steps):
        name = f"a{number}"
        if step == "ask":
            asked[name] = Decimal(size)
            order = amendments.reserve(order, wanted(name, size))
        elif asked:
            answered = sorted(asked)[size % len(asked)]
            if step == "confirm":
                standing = asked[answered]
                order = amendments.confirmed(order, standing, None)
            order = amendments.release(order, answered)
            del asked[answered]
        assert order.qty == order.remaining == max(standing, *asked.values(), Decimal(0))
        assert ("c" in amendments) == bool(asked)
        assert {name for name in asked if amendments.target(name)} == set(asked)


@given(SIZES, SIZES)
def test_what_is_filled_stays_filled(filled, size):
    order = an_order(9)
    order = OpenOrder(*(getattr(order, f) for f in order.__struct_fields__[:7]), Decimal(9 - filled),
                      *(getattr(order, f) for f in order.__struct_fields__[8:]))  # fmt: skip
    amendments = Amendments()
    counted = amendments.reserve(order, wanted("a", 9 + size))
    assert counted.remaining == 9 + size - filled
    assert amendments.release(counted, "a") == order


def test_a_release_of_what_is_not_in_flight_changes_nothing():
    amendments, order = Amendments(), an_order()
    assert amendments.release(order, "a") is order
    amendments.reserve(order, wanted("a", 5))
    assert amendments.release(order, "b") is order
    amendments.done("c")
    assert amendments.target("a") == ""
    assert "c" not in amendments


def test_only_doubted_ones_are_over_by_a_moment():
    amendments, order = Amendments(), an_order()
    for name in ("a", "b"):
        amendments.reserve(order, wanted(name, 5))
    assert amendments.over_by("c", 100) == []
    amendments.doubt("c", 50, "b")
    assert (amendments.over_by("c", 49), amendments.over_by("c", 50)) == ([], ["b"])
    amendments.doubt("c", 60)
    assert amendments.over_by("c", 59) == ["b"], "what was doubted already keeps its time"
    assert amendments.over_by("c", 60) == ["a", "b"]
