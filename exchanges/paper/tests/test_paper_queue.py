"""Resting orders: queue position by displays and prints, fills through and across the price."""

from __future__ import annotations

import pytest

from grinder import Cancelled, Side, TimeInForce

BUY, SELL, GTX = Side.BUY, Side.SELL, TimeInForce.GTX


def test_a_print_first_eats_what_was_ahead(rig):
    order = rig.buy("2", "100.0", GTX)
    rig.settle()
    rig.trade("100.0", "4", SELL)
    assert rig.traded() == []
    rig.trade("100.0", "1.5", SELL)
    assert rig.traded() == [(order, "100.0", "0.500", True)]
    rig.trade("100.0", "9", SELL)
    assert rig.traded() == [(order, "100.0", "0.500", True), (order, "100.0", "1.500", True)]


def test_a_print_of_the_same_side_or_another_price_does_nothing(rig):
    rig.buy("1", "100.0", GTX)
    rig.settle()
    rig.trade("100.0", "50", BUY)
    rig.trade("100.1", "50", SELL)
    assert rig.traded() == []


def test_a_sell_mirrors_a_buy(rig):
    order = rig.sell("2", "100.1", GTX)
    rig.settle()
    rig.trade("100.1", "5.5", BUY)
    assert rig.traded() == [(order, "100.1", "0.500", True)]
    rig.trade("100.2", "0.1", BUY)
    assert rig.traded()[1:] == [(order, "100.1", "0.100", True)]


def test_zero_prints_are_ignored(rig):
    rig.buy("1", "100.0", GTX)
    rig.settle()
    rig.trade("0.0", "3", SELL)
    rig.trade("99.0", "0", SELL)
    assert rig.traded() == []


def test_a_smaller_display_moves_us_forward_and_a_larger_one_never_back(rig):
    order = rig.buy("1", "100.0", GTX)
    rig.settle()
    rig.delta(bids=[("100.0", "2")])
    rig.delta(bids=[("100.0", "8")])
    rig.trade("100.0", "2.25", SELL)
    assert rig.traded() == [(order, "100.0", "0.250", True)]


def test_the_top_of_book_moves_us_forward_too(rig):
    order = rig.buy("1", "100.0", GTX)
    rig.settle()
    rig.top("100.0", "1", "100.1", "5")
    rig.trade("100.0", "1.25", SELL)
    assert rig.traded() == [(order, "100.0", "0.250", True)]


def test_a_best_price_behind_ours_leaves_nothing_ahead(rig):
    order = rig.buy("1", "100.0", GTX)
    rig.settle()
    rig.top("99.9", "7", "100.1", "5")
    rig.trade("100.0", "0.25", SELL)
    assert rig.traded() == [(order, "100.0", "0.250", True)]


def test_an_empty_side_is_a_missing_book_and_no_empty_queue(rig):
    rig.buy("1", "100.0", GTX)
    rig.settle()
    rig.book([], [])
    rig.trade("100.0", "4", SELL)
    assert rig.traded() == []


def test_inside_the_spread_nothing_is_ahead(make_rig):
    rig = make_rig()
    rig.book([("100.0", "5")], [("100.5", "5")])
    order = rig.buy("1", "100.2", GTX)
    rig.settle()
    rig.trade("100.2", "0.4", SELL)
    assert rig.traded() == [(order, "100.2", "0.400", True)]


@pytest.fixture
def watched(rig):
    """The rig with an order far away: a symbol's market is watched from its first order on."""
    rig.buy("1", "96.0", GTX)
    rig.settle()
    return rig


@pytest.mark.parametrize("display_first", [True, False])
def test_a_print_and_the_display_that_contains_it_count_once_in_either_order(rig, display_first):
    order = rig.buy("1", "100.0", GTX)
    rig.settle()
    at = rig.now
    if display_first:
        rig.top("100.0", "2", "100.1", "5", exchange_ns=at)
    rig.trade("100.0", "3", SELL, exchange_ns=at)
    if not display_first:
        rig.top("100.0", "2", "100.1", "5", exchange_ns=at)
    rig.trade("100.0", "1.9", SELL)
    assert rig.traded() == []
    rig.trade("100.0", "0.2", SELL)
    assert rig.traded() == [(order, "100.0", "0.100", True)]


def test_a_print_older_than_the_display_that_we_joined_is_not_ours(watched):
    at = watched.now
    watched.top("100.0", "5", "100.1", "5")
    watched.buy("1", "100.0", GTX)
    watched.settle()
    watched.trade("100.0", "9", SELL, exchange_ns=at)
    watched.trade("99.0", "9", SELL, exchange_ns=at)
    assert watched.traded() == []


@pytest.mark.parametrize(("later_ns", "filled"), [(0, False), (1, True)])
def test_a_print_of_the_moment_of_the_display_that_we_joined_is_in_it(watched, later_ns, filled):
    watched.top("100.0", "0.001", "100.1", "5")
    shown = watched.now
    watched.buy("1", "100.0", GTX)
    watched.settle()
    watched.trade("100.0", "3", SELL, exchange_ns=shown + later_ns)
    assert bool(watched.traded()) is filled


def test_a_stale_book_does_not_move_us(watched):
    watched.numbers = iter(range(100, 200))
    watched.top("100.0", "5", "100.1", "5")
    watched.buy("1", "100.0", GTX)
    watched.settle()
    watched.numbers = iter(range(50, 60))
    watched.delta(bids=[("100.0", "1")])
    watched.trade("100.0", "4", SELL)
    assert watched.traded() == []


def test_we_join_the_queue_that_the_newer_top_of_book_shows(watched):
    watched.top("100.0", "3", "100.1", "5")
    order = watched.buy("1", "100.0", GTX)
    watched.settle()
    watched.trade("100.0", "3.5", SELL)
    assert watched.traded() == [(order, "100.0", "0.500", True)]


def test_we_join_an_empty_queue_where_the_newer_top_of_book_is_behind_us(watched):
    watched.top("99.9", "7", "100.1", "5")  # the book still has 5 at 100.0
    order = watched.buy("1", "100.0", GTX)
    watched.settle()
    watched.trade("100.0", "0.5", SELL)
    assert watched.traded() == [(order, "100.0", "0.500", True)]


def test_a_display_that_is_older_than_a_print_explains_no_later_one(rig):
    order = rig.buy("1", "100.0", GTX)
    rig.settle()
    rig.top("100.0", "2", "100.1", "5")  # 3 were cancelled
    rig.trade("100.0", "0.5", SELL)  # 1.5 left ahead
    at = rig.now + 1_000_000
    rig.top("100.0", "1", "100.1", "5", exchange_ns=at)  # half of one more print
    rig.trade("100.0", "0.5", SELL, exchange_ns=at)
    rig.trade("100.0", "1.2", SELL, exchange_ns=at)
    assert rig.traded() == [(order, "100.0", "0.200", True)]


def test_where_there_is_a_top_of_book_it_decides_what_crosses(watched):
    order = watched.buy("1", "100.0", GTX)
    watched.settle()
    watched.top("100.0", "5", "100.1", "5")
    watched.delta(bids=[("100.0", "0")], asks=[("100.0", "3")])
    assert watched.traded() == []
    watched.top("99.9", "5", "100.0", "3")
    assert watched.traded() == [(order, "100.0", "1.000", True)]


def test_through_our_price_fills_at_our_limit_up_to_the_print(rig):
    order = rig.buy("2", "100.0", GTX)
    rig.settle()
    rig.trade("99.9", "0.7", SELL)
    assert rig.traded() == [(order, "100.0", "0.700", True)]


def test_own_orders_share_a_print_by_price_then_time(rig):
    second = rig.buy("1", "100.0", GTX)
    third = rig.buy("1", "100.0", GTX)
    deep = rig.buy("1", "99.9", GTX)
    rig.settle()
    rig.delta(bids=[("100.0", "0.5"), ("99.9", "0.1")])
    rig.trade("100.0", "2", SELL)
    assert rig.traded() == [(second, "100.0", "1.000", True), (third, "100.0", "0.500", True)]
    rig.trade("99.9", "1", SELL)
    assert rig.traded()[2:] == [(third, "100.0", "0.500", True), (deep, "99.9", "0.400", True)]


def test_the_opposite_best_reaching_us_fills_what_it_displays_once(rig):
    order = rig.buy("5", "100.0", GTX)
    rig.settle()
    rig.top("99.8", "9", "100.0", "1")
    rig.top("99.8", "9", "100.0", "1")
    assert rig.traded() == [(order, "100.0", "1.000", True)]
    rig.top("99.8", "9", "100.0", "1.5")
    rig.top("99.8", "9", "100.0", "0.5")
    rig.top("99.8", "9", "100.0", "0.75")
    assert [qty for _, _, qty, _ in rig.traded()] == ["1.000", "0.500", "0.250"]


def test_a_deeper_crossing_level_that_becomes_best_again_is_not_new(rig):
    rig.buy("5", "100.0", GTX)
    rig.settle()
    rig.top("99.7", "9", "100.0", "1")
    rig.top("99.7", "9", "99.9", "0.5")
    rig.top("99.7", "9", "100.0", "1.25")
    assert [qty for _, _, qty, _ in rig.traded()] == ["1.000", "0.500", "0.250"]


def test_a_level_that_went_away_and_came_back_is_new(rig):
    rig.buy("5", "100.0", GTX)
    rig.settle()
    rig.top("99.8", "9", "100.0", "1")
    rig.top("99.8", "9", "100.1", "1")
    rig.top("99.8", "9", "100.0", "2")
    assert [qty for _, _, qty, _ in rig.traded()] == ["1.000", "2.000"]


def test_without_a_top_of_book_the_book_crosses(rig):
    order = rig.sell("5", "100.1", GTX)
    rig.settle()
    rig.delta(bids=[("100.1", "1"), ("100.2", "0.5")], asks=[("100.1", "0"), ("100.2", "0")])
    rig.delta(bids=[("99.8", "1")])
    assert rig.traded() == [(order, "100.1", "0.500", True), (order, "100.1", "1.000", True)]


def test_market_of_another_symbol_does_nothing(rig):
    rig.buy("1", "100.0", GTX)
    rig.settle()
    rig.trade("99.0", "9", SELL, symbol="ETHUSDT")
    assert rig.traded() == []


def test_a_filled_order_leaves_and_a_cancelled_one_fills_no_more(rig):
    filled = rig.buy("0.1", "100.0", GTX)
    gone = rig.buy("1", "99.9", GTX)
    rig.settle()
    rig.trade("99.9", "0.1", SELL)
    rig.cancel(gone)
    rig.settle()
    rig.trade("99.0", "9", SELL)
    assert rig.traded() == [(filled, "100.0", "0.100", True)]
    assert [update.client_id for update in rig.said(Cancelled)] == [gone]
    assert not rig.exchange.state.orders.open
