"""Orders that take: walking the book, IOC, FOK, market and post-only orders, and what own orders used up."""

from __future__ import annotations

import pytest

from grinder import Accepted, Cancelled, Filled, OrderState, Rejected, Side, TimeInForce

BUY, SELL = Side.BUY, Side.SELL
GTC, IOC, FOK, GTX = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTX


def test_a_crossing_order_walks_the_book_to_its_limit_and_rests(rig):
    order = rig.buy("15", "100.2", GTC)
    assert rig.traded() == [(order, "100.1", "5.000", False), (order, "100.2", "7.000", False)]
    resting = rig.snapshot().orders
    assert [(o.client_id, str(o.price), str(o.qty), str(o.filled_qty)) for o in resting] == [
        (order, "100.2", "15", "12.000")
    ]


def test_the_rest_of_a_taker_is_not_filled_from_what_it_has_taken(rig):
    order = rig.buy("15", "100.2", GTC)
    rig.settle()
    rig.delta(asks=[("100.3", "8")])
    rig.top("100.0", "5", "100.1", "5")
    assert len(rig.traded()) == 2
    rig.top("100.0", "5", "100.1", "6")
    assert rig.traded()[2:] == [(order, "100.2", "1.000", True)]


def test_what_a_rest_met_on_arrival_is_not_new_when_it_grows(rig):
    order = rig.buy("6", "100.1", GTC)
    rig.settle()
    rig.top("100.0", "5", "100.1", "5.5")
    assert rig.traded()[1:] == [(order, "100.1", "0.500", True)]


def test_a_taker_sells_into_the_bids(rig):
    order = rig.sell("6", "99.9", GTC)
    assert rig.traded() == [(order, "100.0", "5.000", False), (order, "99.9", "1.000", False)]


def test_a_walk_reads_as_many_levels_as_it_needs(make_rig):
    rig = make_rig(balance=1_000_000)
    rig.book([("9999.9", "1")], [(f"{10_000 + i / 10:.1f}", "0.01") for i in range(250)])
    rig.buy("2.4", "10023.0", IOC)
    rig.settle()
    assert [str(fill.price) for fill in rig.fills] == [f"{10_000 + i / 10:.1f}" for i in range(231)]


def test_what_an_own_taker_took_is_not_taken_twice(rig):
    first, second = rig.buy("4", "100.1", IOC), rig.buy("4", "100.1", IOC)
    assert rig.traded() == [(first, "100.1", "4.000", False), (second, "100.1", "1.000", False)]
    for displayed in ("5", "4.999", "3", "3"):
        rig.delta(asks=[("100.1", displayed)])
        rig.buy("4", "100.1", IOC)
    assert len(rig.traded()) == 2


def test_what_a_level_grows_by_after_own_takers_is_new(rig):
    rig.buy("5", "100.1", IOC)
    rig.settle()
    rig.delta(asks=[("100.1", "3")])
    rig.delta(asks=[("100.1", "4.5")])
    order = rig.buy("4", "100.1", IOC)
    assert rig.traded()[1:] == [(order, "100.1", "1.500", False)]


def test_what_shrinks_is_first_what_own_takers_took(rig):
    rig.buy("2", "100.1", IOC)
    rig.settle()
    rig.delta(asks=[("100.1", "3.5")])
    order = rig.buy("4", "100.1", IOC)
    assert rig.traded()[1:] == [(order, "100.1", "3.000", False)]


@pytest.mark.parametrize("gone", ["level", "touch"])
def test_a_level_that_comes_back_is_another_one(rig, gone):
    rig.buy("5", "100.1", IOC)
    rig.settle()
    if gone == "level":
        rig.delta(asks=[("100.1", "0")])
    else:
        rig.top("100.1", "1", "100.2", "7")
    rig.top("100.0", "5", "100.1", "5")
    order = rig.buy("9", "100.1", IOC)
    assert rig.traded()[1:] == [(order, "100.1", "5.000", False)]


def test_prints_that_no_display_contains_yet_have_taken_before_us(rig):
    rig.buy("1", "90.0", IOC)
    rig.settle()
    rig.trade("100.1", "3", BUY)
    first = rig.buy("9", "100.1", IOC)
    assert rig.traded() == [(first, "100.1", "2.000", False)]
    rig.delta(asks=[("100.1", "2.5")])
    assert rig.traded()[1:] == []
    rig.delta(asks=[("100.1", "4")])
    second = rig.buy("9", "100.1", IOC)
    assert rig.traded()[1:] == [(second, "100.1", "2.000", False)]


def test_a_print_beyond_a_level_leaves_nothing_of_it(rig):
    rig.buy("1", "90.0", IOC)
    rig.settle()
    rig.trade("100.2", "3", BUY)
    order = rig.buy("9", None, IOC)
    assert rig.traded() == [(order, "100.2", "4.000", False), (order, "100.3", "5.000", False)]


def test_a_market_order_meets_the_print_where_no_display_shows_what_is_behind_it(make_rig):
    rig = make_rig()
    rig.book([("100.0", "5")], [("100.1", "5")])
    rig.buy("1", "90.0", IOC)
    rig.settle()
    rig.trade("100.4", "1", BUY)
    limit, market = rig.buy("1", "100.2", IOC), rig.buy("9", None, IOC)
    assert rig.traded() == [(market, "100.4", "5.000", False)]
    assert [update.client_id for update in rig.said(Cancelled)][1:] == [limit, market]


def test_what_a_resting_order_was_given_is_not_taken_as_well(rig):
    resting = rig.buy("1", "100.0", GTX)
    rig.settle()
    rig.top("99.8", "9", "100.0", "3")
    taker = rig.buy("9", "100.0", IOC)
    assert rig.traded() == [(resting, "100.0", "1.000", True), (taker, "100.0", "2.000", False)]


def test_the_newer_top_of_book_is_what_is_taken(rig):
    rig.buy("1", "90.0", IOC)
    rig.settle()
    rig.top("100.0", "5", "100.2", "1")
    order = rig.buy("9", "100.3", IOC)
    assert rig.traded() == [(order, "100.2", "1.000", False), (order, "100.3", "8.000", False)]


@pytest.mark.parametrize("tif", [IOC, GTC])
def test_the_rest_of_a_market_order_is_cancelled(rig, tif):
    order = rig.buy("30", None, tif)
    assert sum(fill.qty for fill in (rig.settle(), rig.fills)[1]) == 21
    cancelled = rig.said(Cancelled)
    assert [(c.client_id, c.reason) for c in cancelled] == [(order, "expired")]


def test_ioc_takes_what_it_can_and_expires(rig):
    order = rig.buy("6", "100.1", IOC)
    assert rig.traded() == [(order, "100.1", "5.000", False)]
    assert [type(update) for update in rig.updates] == [Accepted, Filled, Cancelled]
    assert rig.updates[-1].reason == "expired"
    found = rig.query(order)
    assert (found.state, str(found.filled_qty)) == (OrderState.EXPIRED, "5.000")


@pytest.mark.parametrize(("qty", "filled"), [("12", 12), ("12.001", 0)])
def test_fok_fills_whole_or_expires_whole(rig, qty, filled):
    rig.buy(qty, "100.2", FOK)
    rig.settle()
    assert sum(fill.qty for fill in rig.fills) == filled
    assert bool(rig.said(Cancelled)) is not bool(filled)


def test_fok_counts_only_what_own_orders_left(rig):
    rig.buy("1", "100.1", IOC)
    rig.buy("5", "100.1", FOK)
    rig.settle()
    assert [str(fill.qty) for fill in rig.fills] == ["1.000"]


def test_fok_that_may_only_reduce_does_not_fill_in_part(rig):
    rig.buy("1", "100.1", IOC)
    rig.settle()
    rig.sell("2", "99.9", FOK, reduce_only=True)
    rig.settle()
    assert rig.position() == 1
    assert [update.reason for update in rig.said(Cancelled)] == ["expired"]


@pytest.mark.parametrize(("side", "price"), [(BUY, "100.1"), (BUY, "100.2"), (SELL, "100.0"), (SELL, "99.8")])
def test_post_only_that_would_take_is_rejected(rig, side, price):
    order = (rig.buy if side is BUY else rig.sell)("1", price, GTX)
    rig.settle()
    (update,) = rig.updates
    assert isinstance(update, Rejected)
    assert (update.client_id, update.code) == (order, "-5022")
    assert update.text.startswith("Due to the order could not be executed as maker")


def test_post_only_looks_at_the_market_when_it_arrives(rig):
    rig.buy("1", "90.0", IOC)
    rig.settle()
    order = rig.buy("1", "100.0", GTX)
    rig.top("99.8", "1", "99.9", "1")
    rig.settle()
    assert [update.client_id for update in rig.said(Rejected)] == [order]
    assert not rig.fills


def test_fees_are_signed_and_rounded_half_up_to_eight_decimals(make_rig):
    rig = make_rig(maker_fee="-0.00005", taker_fee="0.00033333")
    rig.book([("100.0", "5")], [("100.1", "5")])
    rig.buy("0.333", "100.1", IOC)
    rig.buy("0.101", "100.0", GTX)
    rig.settle()
    rig.trade("99.9", "9", SELL)
    rig.settle()
    taken, made = rig.fills
    assert str(taken.fee) == "0.01111099"  # 0.333 * 100.1 * 0.00033333 = 0.011110988...
    assert str(made.fee) == "-0.00050500"
    assert (taken.fee_asset, taken.maker, made.maker) == ("USDT", False, True)


def test_fees_of_the_instrument_by_default(rig):
    rig.buy("1", "100.1", IOC)
    rig.settle()
    assert str(rig.fills[0].fee) == "0.05005000"


@pytest.mark.parametrize("self_trade", ["none", "expire_maker"])
def test_own_orders_that_only_reduce_count_in_fill_or_kill_with_what_they_may_trade(make_rig, self_trade):
    rig = make_rig(self_trade=self_trade)
    rig.book([("100.0", "5")], [("100.1", "5")])
    rig.buy("0.5", "100.1", IOC)
    rig.settle()
    rig.sell("2", "100.1", reduce_only=True)
    rig.settle()
    rig.delta(asks=[("100.1", "0.5")])
    order = rig.buy("2", "100.1", FOK)
    rig.settle()
    assert (order in [fill.client_id for fill in rig.fills], rig.position()) == (False, 0.5)
