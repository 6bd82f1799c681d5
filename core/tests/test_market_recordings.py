"""The books that real recordings rebuild, against what the venue said itself."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from grinder.feeds import open_recordings
from grinder.market.state import MarketState
from grinder.types import BookDelta, Side, TopOfBook, Trade

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
USDM = DATA / "binance-usdm"
BTC = USDM / "btcusdt_20240808.gz"
ETH = USDM / "ethusdt_20240808.gz"
SPOT = DATA / "binance-spot" / "btcusdt_20240808.gz"
ALTS = USDM / "alts_20210722.jsonl.zst"
BYBIT = DATA / "bybit-v5" / "linear_btc_doge_20260809.jsonl.zst"


@cache
def replay(path):
    if not path.exists():
        pytest.skip(f"{path} is not there")
    feed = open_recordings([path])
    state = MarketState(5 * 10**9)
    for event in feed:
        state.apply(event)
    state.now_ns = feed.last_ns
    return feed, state


@pytest.mark.parametrize(
    ("path", "events", "checks", "stale_ms"),
    [(BTC, 93_954, 629, 344), (ETH, 74_655, 551, 347), (SPOT, 41_249, 564, 201), (ALTS, 1_472, 50, 1_560)],
    ids=["btc", "eth", "spot", "alts"],
)
def test_the_rebuilt_book_is_the_venues(path, events, checks, stale_ms):
    feed, state = replay(path)
    assert state.events == events
    assert (state.book_checks, state.book_mismatches) == (checks, 0)
    assert (state.gaps, state.dropped_deltas, state.ignored_prints) == (0, 0, 0)
    assert state.stale_ms_max == stale_ms
    for symbol in feed.symbols:
        assert state.fault(symbol) == ""
        assert feed.first_ns <= state.healthy_since(symbol) < feed.first_ns + 2 * 10**9
        view = state.view(symbol)
        bids, asks = view.levels(Side.BUY, 20), view.levels(Side.SELL, 20)
        assert bids[0] == (view.bid, view.bid_qty)
        assert asks[0] == (view.ask, view.ask_qty)
        prices = [price for price, _ in (*bids[::-1], *asks)]
        assert prices == sorted(set(prices))
        assert len(prices) == 40


@pytest.mark.parametrize("path", [BTC, ETH, SPOT, ALTS, BYBIT], ids=["btc", "eth", "spot", "alts", "bybit"])
def test_the_sides_of_a_sound_recording_never_meet(path):
    if not path.exists():
        pytest.skip(f"{path} is not there")
    state = MarketState(5 * 10**9)
    for event in open_recordings([path]):
        state.apply(event)
        assert state.view(event.symbol).price_fault() in {"", "INPUT_MISSING"}, event


def test_a_lost_diff_of_the_recording_is_one_gap_and_never_heals():
    if not BTC.exists():
        pytest.skip(f"{BTC} is not there")
    state = MarketState(5 * 10**9)
    diffs = 0
    for event in open_recordings([BTC]):
        diffs += isinstance(event, BookDelta)
        if isinstance(event, BookDelta) and diffs == 1_000:
            continue
        state.apply(event)
    state.now_ns = event.local_ns
    assert state.gaps == 1
    assert state.fault("BTCUSDT") == "MARKET_GAP"
    assert state.healthy_since("BTCUSDT") == 0
    assert state.book_mismatches == 0


def test_last_and_best_follow_the_last_events_of_the_recording():
    feed, state = replay(BTC)
    events = list(feed)
    last = next(event for event in reversed(events) if isinstance(event, Trade))
    top = next(event for event in reversed(events) if isinstance(event, TopOfBook))
    view = state.view("BTCUSDT")
    assert view.last == float(last.price)
    assert (view.bid, view.ask) == (float(top.bid), float(top.ask))
