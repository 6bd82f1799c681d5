"""Own orders that meet: prevention ends one or both, and without it they trade with each other."""

from __future__ import annotations

import pytest

from grinder import Cancelled, OrderState, Rejected, Side, TimeInForce

BUY, SELL = Side.BUY, Side.SELL
IOC, FOK, GTC, GTX = TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTC, TimeInForce.GTX


def ended(rig):
    return [(update.client_id, update.reason) for update in rig.said(Cancelled)]


@pytest.fixture
def market(make_rig):
    """Makes rigs with 5 displayed at 100.0 and 100.3, and an own offer of 2 at 100.2 in front of the latter."""

    def make(mode, **settings):
        rig = make_rig(self_trade=mode, **settings)
        rig.book([("100.0", "5")], [("100.3", "5")])
        rig.sell("2", "100.2", GTX)
        rig.settle()
        return rig

    return make


@pytest.mark.parametrize(
    ("mode", "fills", "endings"),
    [
        ("expire_maker", [("c2", "100.3", "3.000", False)], [("c1", "self_trade")]),
        ("expire_taker", [], [("c2", "self_trade")]),
        ("expire_both", [], [("c1", "self_trade"), ("c2", "self_trade")]),
        (
            "none",
            [("c2", "100.2", "2.000", False), ("c1", "100.2", "2.000", True), ("c2", "100.3", "1.000", False)],
            [],
        ),
    ],
)
def test_what_ends_when_own_orders_meet(market, mode, fills, endings):
    rig = market(mode)
    rig.buy("3", "100.3", IOC)
    assert rig.traded() == fills
    assert ended(rig) == endings
    for client_id, _ in endings:
        assert rig.query(client_id).state is OrderState.EXPIRED


def test_what_is_displayed_before_an_own_order_is_taken_first(make_rig):
    rig = make_rig(self_trade="expire_taker")
    rig.book([("100.0", "5")], [("100.2", "4"), ("100.3", "5")])
    rig.sell("2", "100.2", GTX)
    rig.settle()
    rig.buy("9", "100.3", GTC)
    assert rig.traded() == [("c2", "100.2", "4.000", False)]
    assert ended(rig) == [("c2", "self_trade")]


def test_two_own_orders_in_one_queue_are_met_in_their_order(make_rig):
    rig = make_rig(self_trade="expire_maker")
    rig.book([("100.0", "5")], [("100.2", "4")])
    rig.sell("1", "100.2", GTX)
    rig.sell("1", "100.2", GTX)
    rig.settle()
    rig.buy("4", "100.2", GTC)
    assert rig.traded() == [("c3", "100.2", "4.000", False)]
    assert ended(rig) == [], "what is displayed was enough"


def test_an_order_that_does_not_reach_own_orders_leaves_them(market):
    rig = market("expire_maker")
    rig.buy("3", "100.1", GTC)
    assert rig.traded() == []
    assert ended(rig) == []


def test_a_post_only_order_is_refused_by_an_own_order_too(market):
    rig = market("expire_maker")
    rig.buy("1", "100.2", GTX)
    rig.settle()
    assert [update.code for update in rig.said(Rejected)] == ["-5022"]
    assert ended(rig) == []


def test_fill_or_kill_knows_no_prevention(market):
    rig = market("expire_maker")
    rig.buy("2", "100.2", FOK)
    assert rig.traded() == [("c2", "100.2", "2.000", False), ("c1", "100.2", "2.000", True)]
    assert rig.position() == 0


def test_a_market_order_meets_own_orders_as_well(market):
    rig = market("expire_maker")
    rig.buy("1", None, IOC)
    assert rig.traded() == [("c2", "100.3", "1.000", False)]
    assert ended(rig) == [("c1", "self_trade")]


def test_with_oneself_a_reducing_order_never_grows_the_position(market):
    rig = market("none", balance=100_000)
    rig.sell("1", "100.0", IOC)
    rig.settle()
    rig.buy("5", "100.3", IOC, reduce_only=True)
    rig.settle()
    assert rig.position() >= -2
    assert rig.position() <= 0
