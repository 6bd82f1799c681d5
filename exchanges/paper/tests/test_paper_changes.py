"""Cancel and amend, reduce-only orders and hedge mode."""

from __future__ import annotations

import pytest

from grinder import (
    Accepted,
    Amended,
    Cancelled,
    CancelRejected,
    Filled,
    OrderState,
    PositionSide,
    Rejected,
    Side,
    TimeInForce,
)

BUY, SELL = Side.BUY, Side.SELL
IOC, GTX = TimeInForce.IOC, TimeInForce.GTX
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT


def ended(rig):
    return [(update.client_id, update.reason) for update in rig.said(Cancelled)]


def test_a_cancel_takes_the_order_out(rig):
    order = rig.buy("1", "100.0", GTX)
    rig.cancel(order)
    rig.settle()
    assert ended(rig) == [(order, "user")]
    assert rig.query(order).state is OrderState.CANCELLED


@pytest.mark.parametrize(("rules", "place"), [("bybit", "kept"), ("binance", "lost")])
def test_whether_less_at_the_same_price_keeps_the_place_is_the_venues_choice(make_rig, rules, place):
    rig = make_rig(rules=rules)
    rig.book([("100.0", "5")], [("100.1", "5")])
    order = rig.buy("2", "100.0", GTX)
    rig.settle()
    rig.delta(bids=[("100.0", "1")])
    rig.delta(bids=[("100.0", "50")])
    rig.amend(order, "1.5", "100.0")
    rig.settle()
    assert [(str(u.price), str(u.qty)) for u in rig.said(Amended)] == [("100.0", "1.5")]
    rig.trade("100.0", "9", SELL)
    assert rig.traded() == ([(order, "100.0", "1.500", True)] if place == "kept" else [])


@pytest.mark.parametrize(("qty", "price", "fill"), [("3", "100.0", "4"), ("2", "99.9", "6")])
def test_more_or_another_price_goes_to_the_back(rig, qty, price, fill):
    order = rig.buy("2", "100.0", GTX)
    rig.settle()
    rig.delta(bids=[("100.0", "1")])
    rig.delta(bids=[("100.0", "4"), ("99.9", "6")])
    rig.amend(order, qty, price)
    rig.settle()
    rig.trade(price, fill, SELL)
    assert rig.traded() == []
    rig.trade(price, "1", SELL)
    assert rig.traded() == [(order, price, "1.000", True)]


def test_behind_own_orders_too_when_requeued(rig):
    first, second = rig.buy("1", "100.0", GTX), rig.buy("1", "100.0", GTX)
    rig.settle()
    rig.amend(first, "1.5", "100.0")
    rig.settle()
    rig.trade("99.9", "1", SELL)
    assert rig.traded() == [(second, "100.0", "1.000", True)]


def test_an_amended_price_may_take(rig):
    order = rig.buy("6", "100.0")
    rig.amend(order, "6", "100.1")
    assert rig.traded() == [(order, "100.1", "5.000", False)]
    assert [type(update) for update in rig.updates] == [Accepted, Amended, Filled]
    assert str(rig.snapshot().orders[0].price) == "100.1"


def test_a_post_only_order_amended_into_the_market_ends(rig):
    order = rig.buy("6", "100.0", GTX)
    rig.amend(order, "6", "100.1")
    rig.settle()
    assert ended(rig) == [(order, "expired")]
    assert not rig.fills


def test_a_quantity_that_is_filled_already_ends_the_order(rig):
    order = rig.buy("2", "100.0", GTX)
    rig.settle()
    rig.trade("99.9", "1", SELL)
    rig.amend(order, "1", "100.0")
    rig.settle()
    assert ended(rig) == [(order, "amend")]
    assert rig.query(order).state is OrderState.CANCELLED


@pytest.mark.parametrize(
    ("qty", "price", "code"),
    [
        ("2", "100.0", "-5027"),
        ("2", "100.05", "-4014"),
        ("2.0001", "100.0", "-4023"),
        ("0", "100.0", "-4003"),
        ("0.01", "100.0", "-4164"),
        ("2", "200.0", "-4016"),
        ("999", "100.0", "-2019"),
    ],
)
def test_a_refused_amendment_leaves_the_order_as_it_was(make_rig, qty, price, code):
    rig = make_rig(balance=3000)
    rig.book([("100.0", "5")], [("100.1", "5")])
    order = rig.buy("2", "100.0", GTX)
    rig.amend(order, qty, price)
    rig.settle()
    assert [(u.client_id, u.code) for u in rig.said(CancelRejected)] == [(order, code)]
    assert [(str(o.price), str(o.qty)) for o in rig.snapshot().orders] == [("100.0", "2")]
    rig.trade("100.0", "5.5", SELL)
    assert rig.traded() == [(order, "100.0", "0.500", True)]


def test_margin_follows_amendments(make_rig):
    rig = make_rig(balance=100, leverage=10)
    rig.book([("100.0", "50")], [("100.1", "50")])
    order = rig.buy("9", "100.0", GTX)
    rig.amend(order, "5", "100.0")
    rig.amend(order, "4", "99.0")
    rig.buy("6.05", "99.8", GTX)  # 4 * 99 + 6.05 * 99.8 = 999.79
    rig.buy("0.06", "99.8", GTX)
    rig.amend("c4", "6.06", "99.8")
    rig.settle()
    assert [(type(u), u.client_id) for u in rig.updates[-3:]] == [
        (Accepted, "c4"),
        (Rejected, "c5"),
        (CancelRejected, "c4"),
    ]


def long(rig, qty):
    rig.buy(qty, "100.3", IOC)
    rig.settle()
    rig.updates.clear()


def test_reduce_only_is_clipped_to_the_position_and_the_rest_cancelled(rig):
    long(rig, "2")
    order = rig.sell("5", "100.3", GTX, reduce_only=True)
    rig.settle()
    rig.trade("100.4", "9", BUY)
    assert rig.traded() == [(order, "100.3", "2.000", True)]
    assert ended(rig) == [(order, "reduce_only")]
    assert rig.position() == 0


def test_reduce_only_that_takes_is_clipped_too(rig):
    long(rig, "2")
    order = rig.sell("5", "99.8", IOC, reduce_only=True)
    assert rig.traded() == [(order, "100.0", "2.000", False)]
    assert ended(rig) == [(order, "reduce_only")]


def test_a_shrunk_position_clips_what_rests(rig):
    long(rig, "3")
    order = rig.sell("3", "100.3", GTX, reduce_only=True)
    rig.sell("2", "100.0", IOC)
    rig.settle()
    assert order in rig.exchange.state.orders.open
    rig.trade("100.4", "9", BUY)
    assert rig.traded()[1:] == [(order, "100.3", "1.000", True)]
    assert ended(rig) == [(order, "reduce_only")]


@pytest.mark.parametrize("qty", ["3", "4"])
def test_a_closed_or_reversed_position_ends_what_could_only_reduce_it(rig, qty):
    long(rig, "3")
    order = rig.sell("1", "100.3", GTX, reduce_only=True)
    other = rig.buy("1", "99.0", GTX)
    rig.sell(qty, "100.0", IOC)
    rig.settle()
    assert ended(rig) == [(order, "reduce_only")]
    assert list(rig.exchange.state.orders.open) == [other]


def test_several_reducers_never_cross_zero(rig):
    long(rig, "3")
    orders = [rig.sell("2", "100.3", GTX, reduce_only=True) for _ in range(3)]
    rig.settle()
    rig.trade("100.4", "9", BUY)
    assert rig.traded() == [(orders[0], "100.3", "2.000", True), (orders[1], "100.3", "1.000", True)]
    assert rig.position() == 0
    assert sorted(ended(rig)) == [(orders[1], "reduce_only"), (orders[2], "reduce_only")]


@pytest.fixture
def hedged(make_rig):
    rig = make_rig(position_mode="hedge")
    rig.book([("100.0", "50")], [("100.1", "50")])
    rig.buy("3", "100.1", IOC, position_side=LONG)
    rig.sell("2", "100.0", IOC, position_side=SHORT)
    rig.settle()
    rig.updates.clear()
    return rig


def test_hedge_mode_keeps_two_positions(hedged):
    positions = hedged.snapshot().positions
    assert [(p.position_side, p.qty, str(p.entry_price)) for p in positions] == [
        (LONG, 3, "100.1"),
        (SHORT, -2, "100.0"),
    ]


@pytest.mark.parametrize("flagged", [True, False])
def test_the_closing_side_reduces_by_nature(hedged, flagged):
    hedged.sell("9", "100.0", IOC, position_side=LONG, reduce_only=flagged)
    hedged.buy("9", "100.1", IOC, position_side=SHORT, reduce_only=flagged)
    hedged.settle()
    assert (hedged.position(LONG), hedged.position(SHORT)) == (0, 0)
    assert [reason for _, reason in ended(hedged)] == ["reduce_only", "reduce_only"]


def test_a_fill_of_one_leg_leaves_the_reducers_of_the_other(hedged):
    kept = hedged.buy("1", "99.0", GTX, position_side=SHORT)
    hedged.sell("3", "100.0", IOC, position_side=LONG)
    hedged.settle()
    assert list(hedged.exchange.state.orders.open) == [kept]
