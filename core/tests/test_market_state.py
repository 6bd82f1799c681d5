"""Market state: views, faults, health, silences, counters."""

from __future__ import annotations

import math

import pytest

from grinder.market.state import MarketState
from grinder.types import BookDelta, BookSnapshot, FeedStatus, MarkPrice, Side, TopOfBook, Trade

S = 10**9
T0 = 1_000 * S
BTC = "BTCUSDT"


class Market:
    """A market state and short ways to feed it."""

    def __init__(self):
        self.state = MarketState(5 * S)
        self.last_id = 100

    def apply(self, event):
        self.state.now_ns = event.local_ns
        self.state.apply(event)

    def snapshot(self, at, last_id=None, bids=(("100.0", "1"), ("99.0", "2")), asks=(("101.0", "3"),)):
        self.last_id = self.last_id if last_id is None else last_id
        self.apply(BookSnapshot(BTC, at, at, self.last_id, list(bids), list(asks)))

    def delta(self, at, bids=(), asks=(), prev_id=None):
        prev, self.last_id = self.last_id if prev_id is None else prev_id, self.last_id + 1
        self.apply(BookDelta(BTC, at, at, self.last_id, self.last_id, prev, list(bids), list(asks)))

    def top(self, at, update_id, *, bid="100.5", bid_qty="4", ask="101.0", ask_qty="3"):
        self.apply(TopOfBook(BTC, at, at, update_id, bid, bid_qty, ask, ask_qty))

    def trade(self, at, price="100.5", qty="1"):
        self.apply(Trade(BTC, at, at, at, price, qty, Side.BUY))

    def mark(self, at, mark="100.7"):
        self.apply(MarkPrice(BTC, at, at, mark, mark, "0.0001", 0))

    def status(self, at, connected):
        self.apply(FeedStatus(BTC, at, connected))


@pytest.fixture
def market():
    market = Market()
    market.snapshot(T0)
    return market


def test_unknown_symbols_have_an_empty_view_and_no_book():
    state = MarketState(5 * S)
    view = state.view("NOPE")
    assert (view.bid, view.ask, view.mid, view.last, view.mark) == (0.0,) * 5
    assert not view.ready
    assert view.levels(Side.BUY, 3) == ()
    assert state.fault("NOPE") == "INPUT_MISSING"
    assert state.healthy_since("NOPE") == 0
    with pytest.raises(KeyError):
        state.book("NOPE")


def test_the_best_comes_from_the_newer_source(market):
    view = market.state.view(BTC)
    assert (view.bid, view.bid_qty, view.ask, view.ask_qty) == (100.0, 1.0, 101.0, 3.0)
    market.top(T0 + 1, 99, bid="98.0")
    assert view.bid == 100.0
    market.top(T0 + 2, 150)
    assert (view.bid, view.bid_qty, view.mid) == (100.5, 4.0, 100.75)
    market.last_id = 100
    market.delta(T0 + 3, bids=[("100.2", "7")])
    assert view.bid == 100.5
    market.last_id = 199
    market.delta(T0 + 4, prev_id=101)
    assert view.bid == 100.2
    assert view.ready


def test_the_best_is_not_taken_from_a_book_with_a_gap(market):
    market.top(T0 + 1, 100)
    market.delta(T0 + 2, bids=[("100.9", "1")], prev_id=7)
    view = market.state.view(BTC)
    assert (view.bid, view.ask) == (100.5, 101.0)
    assert view.levels(Side.BUY, 1) == ((100.5, 4.0),)


def test_levels_leave_out_what_the_newer_top_has_removed(market):
    view = market.state.view(BTC)
    market.top(T0 + 1, 150, bid="99.5", bid_qty="6", ask="102.0", ask_qty="9")
    assert view.levels(Side.BUY, 5) == ((99.5, 6.0), (99.0, 2.0))
    assert view.levels(Side.SELL, 5) == ((102.0, 9.0),)
    market.top(T0 + 2, 151, bid="99.0", bid_qty="2.5")
    assert view.levels(Side.BUY, 5) == ((99.0, 2.5),)
    assert view.levels(Side.BUY, 0) == ()


def test_levels_find_enough_behind_many_that_are_gone(market):
    bids = [(f"{200 - at}.0", "1") for at in range(150)]
    market.snapshot(T0 + 1, 200, bids=bids, asks=[("300.0", "1")])
    market.top(T0 + 2, 250, bid="120.0", bid_qty="5", ask="121.0")
    assert market.state.view(BTC).levels(Side.BUY, 3) == ((120.0, 5.0), (119.0, 1.0), (118.0, 1.0))


def test_last_ignores_empty_prints_and_counts_them(market):
    view = market.state.view(BTC)
    market.trade(T0 + 1)
    assert view.last == 100.5
    for price, qty in (("0", "1"), ("0.00", "0"), ("5.0", "0.000"), ("nan", "1"), ("x", "1"), ("inf", "1")):
        market.trade(T0 + 2, price, qty)
    assert view.last == 100.5
    assert market.state.ignored_prints == 6
    assert market.state.events == 8


def test_faults_in_their_order(market):
    state = market.state
    assert state.fault(BTC) == ""
    state.now_ns = T0 + 5 * S
    assert state.fault(BTC) == ""
    state.now_ns += 1
    assert state.fault(BTC) == "MARKET_STALE"
    assert state.view(BTC).age_ns == 5 * S + 1
    market.delta(T0 + 6 * S, prev_id=55)
    assert state.fault(BTC) == "MARKET_GAP"
    assert state.view(BTC).gap
    assert state.gaps == 1
    market.top(T0 + 6 * S, 10**6, bid="nan")
    assert state.fault(BTC) == "INPUT_NONFINITE"
    market.top(T0 + 6 * S, 10**6, bid="0.00")
    assert state.fault(BTC) == "INPUT_MISSING"


@pytest.mark.parametrize(
    "spoilt", [{"bid": "inf"}, {"ask": "-inf"}, {"bid_qty": "nan"}, {"ask_qty": "x"}, {"bid": "-1"}]
)
def test_nonfinite_tops_are_a_fault(market, spoilt):
    market.top(T0 + 1, 500, **spoilt)
    assert market.state.fault(BTC) == "INPUT_NONFINITE"
    assert not market.state.view(BTC).ready
    market.top(T0 + 2, 501)
    assert market.state.fault(BTC) == ""


@pytest.mark.parametrize("ask", ["100.0", "99.5"], ids=["met", "crossed"])
def test_sides_that_meet_are_a_gap_and_health_starts_anew_when_they_part(market, ask):
    assert market.state.healthy_since(BTC) == T0
    market.delta(T0 + S, asks=[(ask, "1")])
    assert (market.state.standing(BTC), market.state.fault(BTC)) == ("MARKET_GAP", "MARKET_GAP")
    assert not market.state.view(BTC).ready
    market.delta(T0 + 2 * S, bids=[("98.0", "1")])
    assert market.state.healthy_since(BTC) == 0
    market.delta(T0 + 3 * S, asks=[(ask, "0")])
    assert market.state.fault(BTC) == ""
    assert market.state.healthy_since(BTC) == T0 + 3 * S


def test_a_mark_that_is_no_number_is_a_fault(market):
    market.mark(T0 + 1)
    assert market.state.view(BTC).mark == 100.7
    market.mark(T0 + 2, "x")
    assert math.isnan(market.state.view(BTC).mark)
    assert market.state.fault(BTC) == "INPUT_NONFINITE"


def test_a_feed_of_tops_alone_is_healthy():
    market = Market()
    market.top(T0, 5)
    assert market.state.fault(BTC) == ""
    assert market.state.view(BTC).bid == 100.5
    assert market.state.healthy_since(BTC) == T0


def test_a_book_that_waits_for_its_snapshot_is_missing_input_even_with_a_top():
    market = Market()
    market.top(T0, 5)
    market.delta(T0 + 1, asks=[("101.0", "1")])
    assert market.state.fault(BTC) == "INPUT_MISSING"
    assert market.state.healthy_since(BTC) == 0


def test_a_one_sided_book_is_missing_input(market):
    market.delta(T0 + 1, asks=[("101.0", "0")])
    assert market.state.view(BTC).mid == 0.0
    assert market.state.fault(BTC) == "INPUT_MISSING"
    assert market.state.healthy_since(BTC) == 0
    market.delta(T0 + 2, asks=[("101.5", "1")])
    assert market.state.healthy_since(BTC) == T0 + 2


def test_healthy_since_restarts_after_a_gap(market):
    state = market.state
    market.delta(T0 + 1)
    assert state.healthy_since(BTC) == T0
    market.delta(T0 + 2, prev_id=7)
    assert state.healthy_since(BTC) == 0
    market.trade(T0 + 3)
    assert state.healthy_since(BTC) == 0
    market.snapshot(T0 + 4)
    assert state.healthy_since(BTC) == T0 + 4


def test_healthy_since_restarts_after_a_silence_that_nobody_saw(market):
    state = market.state
    market.trade(T0 + 5 * S)
    assert state.healthy_since(BTC) == T0
    market.trade(T0 + 10 * S + 1)
    assert state.healthy_since(BTC) == T0 + 10 * S + 1
    # A later silence restarts it too, though it is not the longest.
    market.trade(T0 + 40 * S)
    market.trade(T0 + 46 * S)
    market.trade(T0 + 47 * S)
    assert state.healthy_since(BTC) == T0 + 46 * S
    assert state.stale_ms_max == 29_999
    state.now_ns = T0 + 60 * S
    assert state.healthy_since(BTC) == 0


def test_symbols_have_silences_of_their_own(market):
    for at in range(1, 9):
        market.apply(Trade("ETHUSDT", 0, T0 + at * S, at, "5", "1", Side.SELL))
    assert market.state.healthy_since("ETHUSDT") == 0
    market.trade(T0 + 8 * S)
    assert market.state.healthy_since(BTC) == T0 + 8 * S
    assert market.state.stale_ms_max == 8_000


def test_a_feed_that_is_down_is_a_gap_until_a_new_snapshot(market):
    state = market.state
    market.status(T0 + 1, connected=False)
    assert state.fault(BTC) == "MARKET_GAP"
    assert state.healthy_since(BTC) == 0
    assert state.gaps == 1
    market.status(T0 + 2, connected=True)
    assert state.fault(BTC) == "MARKET_GAP"
    market.snapshot(T0 + 3, 50)
    assert state.fault(BTC) == ""
    assert state.healthy_since(BTC) == T0 + 3


@pytest.mark.parametrize("ticker_first", [True, False])
@pytest.mark.parametrize(
    ("bid", "qty", "wrong"), [("100.0", "5", 0), ("100.0", "5.000", 0), ("100.1", "5", 1), ("100.0", "4", 1)]
)
def test_the_book_is_checked_at_shared_update_ids(market, ticker_first, bid, qty, wrong):
    def ticker():
        market.top(T0 + 1, 101, bid=bid, bid_qty=qty)

    if ticker_first:
        ticker()
        market.top(T0 + 1, 102)
    market.delta(T0 + 1, bids=[("100.0", "5")])
    if not ticker_first:
        ticker()
    market.delta(T0 + 2, bids=[("100.0", "9")])
    assert market.state.book_checks == 1 + ticker_first
    assert market.state.book_mismatches == wrong + ticker_first


def test_a_book_with_a_gap_is_not_checked(market):
    market.top(T0, 101)
    market.delta(T0 + 1, prev_id=3)
    market.top(T0 + 2, 101)
    assert market.state.book_checks == 0


def test_tickers_kept_for_checks_are_bounded(market):
    for at in range(10_000):
        market.top(T0 + at, 200 + at)
    assert len(market.state.view(BTC).tickers) == 4096


def test_data_of_the_future_is_stale(market):
    state = market.state
    state.now_ns = T0 - 5 * S
    assert state.fault(BTC) == ""
    state.now_ns -= 1
    assert state.fault(BTC) == "MARKET_STALE"
