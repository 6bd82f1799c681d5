"""Conditional orders: they wait, fire by last or mark price, and are judged when they fire."""

from __future__ import annotations

from decimal import Decimal

import pytest

from grinder import (
    Accepted,
    Cancelled,
    CancelRejected,
    Filled,
    OrderState,
    PositionSide,
    Rejected,
    Side,
    TimeInForce,
    Trigger,
    Triggered,
    TriggerKind,
    TriggerSource,
)

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
IOC, GTC, GTX = TimeInForce.IOC, TimeInForce.GTC, TimeInForce.GTX
STOP, PROFIT = TriggerKind.STOP, TriggerKind.TAKE_PROFIT
LAST, MARK = TriggerSource.LAST, TriggerSource.MARK


def trigger(kind, price, source=LAST):
    return Trigger(kind, D(price), source)


@pytest.mark.parametrize(
    ("side", "kind", "prices", "filled_at"),
    [
        (BUY, STOP, ("100.3", "100.2", "100.3"), "100.3"),
        (SELL, STOP, ("99.8", "99.9", "99.8"), "99.8"),
        (BUY, PROFIT, ("99.8", "99.9", "99.7"), "100.1"),
        (SELL, PROFIT, ("100.3", "100.2", "100.4"), "100.0"),
    ],
)
def test_a_print_at_or_beyond_the_trigger_fires(rig, side, kind, prices, filled_at):
    at, before, after = prices
    rig.trade("100.0", "1", SELL)
    order = rig.submit_place(side, "1", None, IOC, trigger=trigger(kind, at))
    rig.settle()
    taker = BUY if D(after) > 100 else SELL
    rig.trade(before, "1", taker)
    rig.settle()
    assert [type(update) for update in rig.updates] == [Accepted]
    rig.trade(after, "1", taker)
    assert rig.traded() == [(order, filled_at, "1.000", False)]
    assert [type(update) for update in rig.updates] == [Accepted, Triggered, Filled]


def test_a_mark_price_fires_what_waits_for_it_and_prints_do_not(rig):
    rig.mark("100.0")
    order = rig.sell("1", None, IOC, trigger=trigger(STOP, "99.5", MARK))
    rig.settle()
    rig.trade("99.0", "1", SELL)
    assert rig.traded() == []
    rig.mark("99.5")
    assert [fill[0] for fill in rig.traded()] == [order]


def test_a_stop_limit_rests_at_its_limit_when_it_has_fired(rig):
    rig.trade("100.0", "1", SELL)
    order = rig.sell("1", "100.2", GTC, trigger=trigger(STOP, "99.9"))
    rig.settle()
    rig.trade("100.2", "9", BUY)
    assert rig.traded() == [], "it is not in the book before it fires"
    rig.trade("99.9", "1", SELL)
    rig.settle()
    rig.trade("100.2", "8", BUY)
    assert rig.traded() == [(order, "100.2", "1.000", True)]


def test_it_takes_no_margin_before_it_fires(make_rig):
    rig = make_rig(balance=10, leverage=10)
    rig.book([("100.0", "5")], [("100.1", "5")])
    waiting = rig.sell("3", None, IOC, trigger=trigger(STOP, "99.9"))
    rig.settle()
    assert isinstance(rig.updates[-1], Accepted)
    rig.trade("99.9", "1", SELL)
    rig.settle()
    assert [(u.client_id, u.reason) for u in rig.said(Cancelled)] == [(waiting, "trigger_refused")]
    assert rig.query(waiting).state is OrderState.EXPIRED
    assert rig.fills == []


def test_a_reducing_one_waits_for_a_position_and_is_clipped_to_it(rig):
    rig.trade("100.0", "1", SELL)
    order = rig.sell("3", None, IOC, reduce_only=True, trigger=trigger(STOP, "99.9"))
    rig.settle()
    assert isinstance(rig.updates[-1], Accepted), "there is no position yet, and it is not asked for one"
    rig.buy("1", "100.1", IOC)
    rig.settle()
    rig.trade("99.9", "1", SELL)
    rig.settle()
    assert rig.position() == 0
    assert [(u.client_id, u.reason) for u in rig.said(Cancelled)] == [(order, "reduce_only")]


def test_a_reducing_one_without_a_position_is_refused_when_it_fires(rig):
    order = rig.sell("3", None, IOC, reduce_only=True, trigger=trigger(STOP, "99.9"))
    rig.settle()
    rig.trade("99.9", "1", SELL)
    rig.settle()
    assert [(u.client_id, u.reason) for u in rig.said(Cancelled)] == [(order, "trigger_refused")]


def test_a_post_only_one_that_would_take_is_refused_when_it_fires(rig):
    order = rig.sell("1", "99.9", GTX, trigger=trigger(STOP, "99.9"))
    rig.settle()
    rig.trade("99.9", "1", SELL)
    rig.settle()
    assert [(u.client_id, u.reason) for u in rig.said(Cancelled)] == [(order, "trigger_refused")]


def test_it_can_be_cancelled_and_not_amended(rig):
    order = rig.sell("1", "99.0", GTC, trigger=trigger(STOP, "99.5"))
    rig.amend(order, "2", "99.0")
    rig.settle()
    (refused,) = rig.said(CancelRejected)
    assert (refused.client_id, refused.code) == (order, "-5025")
    rig.cancel(order)
    rig.settle()
    assert rig.query(order).state is OrderState.CANCELLED
    rig.trade("99.0", "1", SELL)
    assert rig.traded() == []


@pytest.mark.parametrize(
    ("code", "order"),
    [
        ("-2021", {"side": BUY, "trigger": trigger(STOP, "99.0")}),
        ("-2021", {"side": SELL, "trigger": trigger(PROFIT, "99.0", MARK)}),
        ("-4014", {"side": SELL, "trigger": trigger(STOP, "99.05")}),
        ("-4001", {"side": SELL, "trigger": trigger(STOP, "0")}),
        ("-4164", {"side": SELL, "trigger": trigger(STOP, "0.1")}),
        ("-4016", {"side": BUY, "price": "110.0", "trigger": trigger(STOP, "104.0")}),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(rig, code, order):
    rig.trade("100.0", "1", SELL)
    rig.submit_place(order["side"], "1", order.get("price"), GTC, trigger=order["trigger"])
    rig.settle()
    (refused,) = rig.said(Rejected)
    assert refused.code == code


@pytest.mark.parametrize(("rules", "most", "code"), [("binance", 200, "-4045"), ("bybit", 10, "110009")])
def test_no_more_wait_than_the_venue_lets(make_rig, rules, most, code):
    rig = make_rig(rules=rules)
    rig.book([("100.0", "5")], [("100.1", "5")])
    for _ in range(most + 1):
        rig.sell("1", None, IOC, trigger=trigger(STOP, "99.0"))
    rig.settle()
    (refused,) = rig.said(Rejected)
    assert refused.code == code
    assert len(rig.said(Accepted)) == most


def test_those_that_fire_together_go_in_the_order_in_which_they_came(rig):
    first = rig.sell("4", "99.9", IOC, trigger=trigger(STOP, "99.9"))
    second = rig.sell("4", "99.9", IOC, trigger=trigger(STOP, "99.9"))
    rig.settle()
    rig.trade("100.2", "1", SELL)
    rig.trade("99.9", "1", SELL)
    assert rig.traded() == [(first, "99.9", "4.000", False), (second, "99.9", "2.000", False)]


def test_they_survive_a_crash(make_rig):
    rig = make_rig()
    rig.book([("100.0", "5")], [("100.1", "5")])
    waiting = rig.sell("1", None, IOC, trigger=trigger(STOP, "99.8"))
    fired = rig.sell("1", "100.3", GTC, trigger=trigger(STOP, "99.9"))
    rig.settle()
    rig.trade("99.9", "1", SELL)
    rig.settle()
    again = make_rig(rig.data_dir, resume=True, begin=rig.now)
    triggers = {order.client_id: order.trigger for order in again.snapshot().orders}
    assert triggers == {waiting: trigger(STOP, "99.8"), fired: None}
    again.book([("100.0", "5")], [("100.1", "5")])
    again.trade("99.8", "1", SELL)
    assert again.traded() == [(waiting, "99.8", "1.000", False)]


def test_legs_of_hedge_mode_have_their_own(make_rig):
    rig = make_rig(position_mode="hedge")
    rig.book([("100.0", "5")], [("100.1", "5")])
    rig.buy("2", "100.1", IOC, position_side=PositionSide.LONG)
    rig.settle()
    rig.sell("2", None, IOC, position_side=PositionSide.LONG, trigger=trigger(STOP, "99.9"))
    rig.settle()
    rig.trade("99.9", "1", SELL)
    rig.settle()
    assert rig.position(PositionSide.LONG) == 0


def test_a_query_tells_whether_it_waits(rig):
    order = rig.sell("1", "101.0", GTC, trigger=trigger(STOP, "99.9"))
    rig.settle()
    assert rig.query(order).waits is True
    rig.trade("99.9", "1", SELL)
    rig.settle()
    assert rig.query(order).waits is False
