"""The probabilistic queue model: worked cases, and bounds that hold for any market."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grinder import Side, TimeInForce
from grinder_exchange_paper import queue_model
from grinder_exchange_paper.queue_model import Power, RiskAverse

BUY, SELL, GTX = Side.BUY, Side.SELL, TimeInForce.GTX


@pytest.fixture
def power(make_rig):
    """An own bid of 2 behind the 5 displayed at 100.0; who leaves is shared with the third power."""

    def make(n=3.0):
        rig = make_rig(queue="power", queue_power=n)
        rig.book([("100.0", "5")], [("100.1", "5")])
        rig.buy("2", "100.0", GTX)
        rig.settle()
        return rig

    return make


def ahead(rig):
    (order,) = rig.exchange.state.orders.open.values()
    return order.ahead


def test_who_leaves_a_queue_of_equal_parts_leaves_from_both(power):
    rig = power()
    rig.delta(bids=[("100.0", "10")])  # 5 behind
    rig.delta(bids=[("100.0", "8")])
    assert ahead(rig) == 4000
    rig.trade("100.0", "4.5", SELL)
    assert rig.traded() == [("c1", "100.0", "0.500", True)]


@pytest.mark.parametrize(
    ("n", "left"),
    [
        # 5 in front, 20 behind, 5 leave: the share in front is 5^n / (5^n + 20^n).
        (1.0, 5000 - 1000),  # 1/5 of 5
        (2.0, 5000 - 5000 / 17),  # 25 of 425
        (3.0, 5000 - 5000 / 65),  # 125 of 8125
    ],
)
def test_the_longer_part_loses_more(power, n, left):
    rig = power(n)
    rig.delta(bids=[("100.0", "25")])
    rig.delta(bids=[("100.0", "20")])
    assert ahead(rig) == pytest.approx(left)


def test_what_cannot_have_been_behind_was_in_front(power):
    """5 in front, 1 behind, 4 leave: of the share behind, 4 / 126, all there is; the rest from the front."""
    rig = power()
    rig.delta(bids=[("100.0", "6")])
    rig.delta(bids=[("100.0", "2")])
    assert ahead(rig) == pytest.approx(5000 - 4000 * 125 / 126)
    rig.delta(bids=[("100.0", "1")])
    assert ahead(rig) <= 1000


def test_a_print_and_the_display_that_contains_it_count_once(power):
    rig = power()
    rig.delta(bids=[("100.0", "10")])
    rig.trade("100.0", "2", SELL)
    assert ahead(rig) == 3000
    rig.delta(bids=[("100.0", "8")])
    assert ahead(rig) == 3000


def test_in_the_other_order_too(power):
    rig = power()
    rig.delta(bids=[("100.0", "10")])
    before = rig.now
    rig.delta(bids=[("100.0", "8")])
    assert ahead(rig) == 4000, "taken for a cancel: one of the two was in front"
    rig.trade("100.0", "2", SELL, exchange_ns=before)
    assert ahead(rig) == 3000, "and was not counted twice"


def test_a_growing_display_moves_nobody(power):
    rig = power()
    for qty in ("7", "9", "30"):
        rig.delta(bids=[("100.0", qty)])
    assert ahead(rig) == 5000


def test_the_top_of_book_counts_like_the_book_and_an_older_book_does_not(power):
    rig = power()
    rig.top("100.0", "10", "100.1", "5")
    rig.top("100.0", "8", "100.1", "5")
    assert ahead(rig) == 4000


class Queued:
    """As much of an order as a queue model needs."""

    def __init__(self, ahead):
        self.ahead = ahead
        self.credit = self.traded = self.shown_ns = self.joined_ns = self.joined_id = 0


events = st.lists(st.tuples(st.booleans(), st.integers(0, 60)), max_size=40)


@given(st.integers(0, 50), events, st.sampled_from([0.5, 1.0, 3.0, 40.0]))
def test_it_is_never_worse_than_risk_averse_and_never_below_zero(start, events, n):
    """Prints and displays that follow one another, as if each display contained the prints before it."""
    kind, averse = Queued(start), Queued(start)
    power, risk = Power(n), RiskAverse()
    displayed = start
    for at, (is_print, lots) in enumerate(events, 1):
        if is_print:
            reached = queue_model.printed(kind, lots, at)
            assert 0 <= queue_model.printed(averse, lots, at) <= reached <= lots
        else:
            before, displayed = displayed, lots
            power.shown(kind, before, displayed, at)
            risk.shown(averse, before, displayed, at)
        assert -1e-9 <= kind.ahead <= averse.ahead + 1e-9
        if not is_print:
            assert kind.ahead <= displayed
