"""The synthetic market: the same for a seed, sound at every event, and disturbed where it says."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder.errors import ConfigError
from grinder.feeds.synthetic import START_NS, Synthetic
from grinder.market.state import MarketState
from grinder.types import BookDelta, BookSnapshot, MarkPrice, Side, TopOfBook, Trade

S = 10**9
STALE = 5 * S


def run(feed):
    """Apply everything; yields the state after each event."""
    state = MarketState(STALE)
    for event in feed:
        state.now_ns = event.local_ns
        before = {symbol: state.healthy_since(symbol) for symbol in feed.symbols}
        state.apply(event)
        yield state, event, before


def test_it_is_a_feed_with_the_table_as_rules():
    feed = Synthetic(1)
    assert feed.symbols == ("BTCUSDT", "ETHUSDT")
    assert feed.inputs == ()
    assert not feed.skipped
    assert not feed.ignored
    assert feed.instruments["BTCUSDT"].source == "table"
    assert (feed.first_ns, feed.last_ns) == (START_NS, START_NS + 300 * S)
    feed.close()


def test_the_same_seed_gives_the_same_events_and_another_one_others():
    feed = Synthetic(7, duration_ns=20 * S)
    events = list(feed)
    assert list(feed) == events
    assert list(Synthetic(7, duration_ns=20 * S)) == events
    assert list(Synthetic(8, duration_ns=20 * S)) != events
    alone = [event for event in events if event.symbol == "ETHUSDT"]
    assert [type(event) for event in alone[:1]] == [BookSnapshot]


def test_a_symbol_is_the_same_whatever_comes_beside_it():
    both = [event for event in Synthetic(7, duration_ns=20 * S) if event.symbol == "BTCUSDT"]
    assert list(Synthetic(7, ["BTCUSDT"], duration_ns=20 * S)) == both


@settings(deadline=None, max_examples=12)
@given(seed=st.integers(0, 2**40), seconds=st.integers(3, 60))
def test_it_is_sound_at_every_event(seed, seconds):
    feed = Synthetic(seed, duration_ns=seconds * S)
    ticks = {symbol: feed.instruments[symbol].tick_size for symbol in feed.symbols}
    previous, ids = feed.first_ns, {}
    tops = {}
    for state, event, _ in run(feed):
        assert previous <= event.local_ns < feed.last_ns
        assert event.exchange_ns <= event.local_ns
        previous = event.local_ns
        book = state.book(event.symbol)
        if isinstance(event, BookDelta | BookSnapshot):
            if isinstance(event, BookDelta) and not book.gap:
                assert event.first_id <= event.last_id
            best_bid, best_ask = book.top(Side.BUY, 1), book.top(Side.SELL, 1)
            assert book.gap or best_bid[0][0] < best_ask[0][0]
        elif isinstance(event, TopOfBook):
            assert Decimal(event.bid) < Decimal(event.ask)
            assert Decimal(event.bid_qty) > 0 < Decimal(event.ask_qty)
            tops[event.symbol] = event
            key = event.symbol, "top"
            assert event.update_id > ids.get(key, -1)
            ids[key] = event.update_id
        elif isinstance(event, Trade):
            assert Decimal(event.price) % ticks[event.symbol] == 0
            assert Decimal(event.qty) > 0
            key = event.symbol, "trade"
            assert event.trade_id == ids.get(key, event.trade_id - 1) + 1
            ids[key] = event.trade_id
    assert state.book_mismatches == 0
    assert state.book_checks > 0
    assert state.gaps == 1


def test_every_print_consumes_what_is_displayed():
    feed = Synthetic(3, ["BTCUSDT"], duration_ns=60 * S)
    displayed = None
    checked = 0
    for event in feed:
        if isinstance(event, Trade):
            if displayed is not None:
                price, qty = (
                    (displayed.ask, displayed.ask_qty)
                    if event.taker is Side.BUY
                    else (displayed.bid, displayed.bid_qty)
                )
                assert event.price == price
                assert Decimal(event.qty) <= Decimal(qty)
                left, displayed, hit = Decimal(qty) - Decimal(event.qty), None, event
                checked += 1
                continue
        elif isinstance(event, TopOfBook):
            if displayed is None and checked:
                best = event.ask if hit.taker is Side.BUY else event.bid
                best_qty = event.ask_qty if hit.taker is Side.BUY else event.bid_qty
                assert (Decimal(best_qty) == left and best == hit.price) if left else best != hit.price
            displayed = event
    assert checked > 500


def test_about_a_hundred_events_a_second():
    feed = Synthetic(5)
    counts = Counter((event.symbol, type(event)) for event in feed)
    for symbol in feed.symbols:
        total = sum(count for (name, _), count in counts.items() if name == symbol)
        assert 70 * 300 < total < 160 * 300
        assert counts[symbol, BookDelta] > 2_000
        assert counts[symbol, Trade] > 3_000
        assert counts[symbol, MarkPrice] > 250


@pytest.mark.parametrize("seconds", [60, 300, 900])
def test_one_gap_one_silence_and_one_crash_at_their_times(seconds):
    feed = Synthetic(11, duration_ns=seconds * S)
    gaps, silences, snapshots = [], [], Counter()
    lows = dict.fromkeys(feed.symbols, 10.0**9)
    before_crash, at_end = {}, {}
    crash = feed.first_ns + seconds * S * 55 // 100
    for state, event, healthy in run(feed):
        if isinstance(event, BookSnapshot):
            snapshots[event.symbol] += 1
        if isinstance(event, BookDelta) and healthy["BTCUSDT"] and state.fault("BTCUSDT") == "MARKET_GAP":
            gaps.append(event.local_ns)
        now = state.now_ns
        if event.symbol != "BTCUSDT" and state.fault("BTCUSDT") == "MARKET_STALE" and not silences:
            silences.append(now)
        mid = state.view(event.symbol).mid
        if now < crash:
            before_crash[event.symbol] = mid
        elif now < crash + min(4, seconds / 20) * S:
            lows[event.symbol] = min(lows[event.symbol], mid)
        at_end[event.symbol] = mid
    assert len(gaps) == state.gaps == 1
    assert gaps[0] - feed.first_ns == pytest.approx(0.3 * seconds * S, abs=S)
    assert snapshots == {"BTCUSDT": 2, "ETHUSDT": 1}
    assert silences[0] - feed.first_ns == pytest.approx(0.8 * seconds * S + STALE, abs=S)
    assert 8_000 <= state.stale_ms_max < 9_000
    assert state.healthy_since("BTCUSDT") - feed.first_ns == pytest.approx(0.8 * seconds * S + 8 * S, abs=S)
    assert state.healthy_since("ETHUSDT") == feed.first_ns
    for symbol in feed.symbols:
        fall = 1 - lows[symbol] / before_crash[symbol]
        assert 0.04 < fall < 0.06
        assert at_end[symbol] > lows[symbol] * 1.02


def test_bids_are_thin_in_the_crash():
    feed = Synthetic(2, ["BTCUSDT"], duration_ns=300 * S)
    depth = {}
    for state, event, _ in run(feed):
        if isinstance(event, BookDelta):
            second = (event.local_ns - feed.first_ns) // S
            best = state.book("BTCUSDT").top(Side.BUY, 1000)
            depth[second] = sum(qty for price, qty in best if price > best[0][0] - 30)
    calm = [depth[second] for second in range(140, 165)]
    crash = [depth[second] for second in range(166, 169)]
    assert mean(crash) < mean(calm) / 2


def test_other_symbols_and_no_time_are_refused():
    with pytest.raises(ConfigError, match="has BTCUSDT, ETHUSDT, not XUSDT"):
        Synthetic(1, ["XUSDT"])
    with pytest.raises(ConfigError, match="not nothing"):
        Synthetic(1, [])
    with pytest.raises(ConfigError, match="duration"):
        Synthetic(1, duration_ns=0)
