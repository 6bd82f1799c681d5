"""Files of Tardis.dev: messages put together from rows, books that start anew, prints; damage."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder.errors import InputError
from grinder.feeds import open_recordings
from grinder.market.state import MarketState
from grinder.types import BookDelta, BookSnapshot, Side, Trade

T0 = 1_723_161_600_000_000
BOOK = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"
TRADES = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"


def level(at, side, price, amount, *, snapshot=False, symbol="BTCUSDT", exchange="binance-futures", lag=900):
    return f"{exchange},{symbol},{T0 + at - lag},{T0 + at},{str(snapshot).lower()},{side},{price},{amount}"


def trade(at, number, side="buy", *, price="61800.1", amount="0.5", symbol="BTCUSDT", exchange="binance-futures"):
    return f"{exchange},{symbol},{T0 + at - 900},{T0 + at},{number},{side},{price},{amount}"


def write(folder, *lines, name="x.csv.gz"):
    path = folder / name
    path.write_bytes(gzip.compress("\n".join([*lines, ""]).encode("latin1"), mtime=0))
    return path


WHOLE = [
    level(0, "bid", "100", "1", snapshot=True),
    level(0, "bid", "99", "2", snapshot=True),
    level(0, "ask", "101", "3", snapshot=True),
]


def test_rows_of_one_local_time_are_one_message(tmp_path):
    rows = [level(10, "bid", "100", "0"), level(10, "ask", "101", "4"), level(20, "bid", "98", "5")]
    feed = open_recordings([write(tmp_path, BOOK, *WHOLE, *rows)])
    assert feed.inputs[0].format == "binance-usdm tardis"
    snapshot, first, second = feed
    assert snapshot == BookSnapshot(
        "BTCUSDT", (T0 - 900) * 1000, T0 * 1000, 1, [("100", "1"), ("99", "2")], [("101", "3")]
    )
    assert first == BookDelta("BTCUSDT", (T0 - 890) * 1000, (T0 + 10) * 1000, 2, 2, 1, [("100", "0")], [("101", "4")])
    assert (second.first_id, second.prev_id, second.bids, second.asks) == (3, 2, [("98", "5")], [])
    assert (feed.first_ns, feed.last_ns) == (T0 * 1000, (T0 + 20) * 1000)


def state_of(feed):
    state = MarketState(5 * 10**9)
    for event in feed:
        state.now_ns = event.local_ns
        state.apply(event)
    return state


def test_a_snapshot_starts_a_new_book_and_may_have_several_messages(tmp_path):
    anew = [
        level(30, "bid", "90", "1", snapshot=True),
        level(31, "ask", "91", "1", snapshot=True),
        level(40, "bid", "89", "1"),
    ]
    state = state_of(open_recordings([write(tmp_path, BOOK, *WHOLE, level(10, "bid", "98", "7"), *anew)]))
    assert state.book("BTCUSDT").top(Side.BUY, 9) == ((90.0, 1.0), (89.0, 1.0))
    assert state.book("BTCUSDT").top(Side.SELL, 9) == ((91.0, 1.0),)
    assert (state.gaps, state.fault("BTCUSDT")) == (0, "")


def test_a_snapshot_right_after_another_starts_a_new_book(tmp_path):
    later = [level(60_000_000, *rest, "1", snapshot=True) for rest in (("bid", "90"), ("bid", "89"), ("ask", "91"))]
    soon = [level(60_001_000, *rest, "2", snapshot=True) for rest in (("bid", "89"), ("ask", "91"), ("ask", "92"))]
    state = state_of(open_recordings([write(tmp_path, BOOK, *WHOLE, *later)]))
    assert state.book("BTCUSDT").top(Side.BUY, 9) == ((90.0, 1.0), (89.0, 1.0))
    assert state.book("BTCUSDT").top(Side.SELL, 9) == ((91.0, 1.0),)
    state = state_of(open_recordings([write(tmp_path, BOOK, *WHOLE, *later, *soon)]))
    assert state.book("BTCUSDT").top(Side.BUY, 9) == ((89.0, 2.0),)
    assert (state.gaps, state.fault("BTCUSDT")) == (0, "")


def spoil(row: str, how: str) -> str:
    """The row with an error that can be seen."""
    fields = row.split(",")
    at, text = {
        "price": (6, "1OO"), "amount": (7, ""), "side": (5, "bud"), "symbol": (1, "BTCUSDX"), "time": (3, "1"),
        "flag": (4, "ture"), "exchange": (0, "bybit"),
    }.get(how, (0, fields[0]))  # fmt: skip
    fields[at] = text
    return ",".join(fields[:5] if how == "cut" else fields)


def test_a_snapshot_without_its_first_row_heals_nothing_and_a_later_row_spoils_no_snapshot(tmp_path):
    anew = [level(10, side, price, "1", snapshot=True) for side, price in (("bid", "95"), ("bid", "94"), ("ask", "96"))]
    lost = write(
        tmp_path, BOOK, *WHOLE, level(5, "bid", "98", "2"), "?", *anew[1:], level(20, "bid", "93", "1"), name="lost"
    )
    assert state_of(open_recordings([lost], tolerant=True)).fault("BTCUSDT") == "MARKET_GAP"
    row = level(15, "bid", "97", "?")
    late = write(
        tmp_path, BOOK, *WHOLE, level(5, "bid", "98", "?"), level(6, "bid", "97", "1"), *anew, row, name="late"
    )
    events = list(open_recordings([late], tolerant=True))
    assert [type(event) for event in events] == [BookSnapshot, BookDelta, BookSnapshot]
    assert events[1].prev_id != events[0].last_id


LEVELS = st.tuples(st.sampled_from(["bid", "ask"]), st.integers(0, 3), st.integers(0, 3))
OF_A_SNAPSHOT = st.sampled_from([False, False, False, True])
MESSAGES = st.lists(st.tuples(OF_A_SNAPSHOT, st.lists(LEVELS, min_size=1, max_size=4)), min_size=1, max_size=8)
HOW = ["price", "amount", "side", "symbol", "time", "flag", "exchange", "cut"]


def rows_of(messages):
    rows = list(WHOLE)
    for number, (snapshot, levels) in enumerate(messages, 1):
        base = {"bid": 97, "ask": 101}
        rows += [
            level(number * 2_000_000, side, str(base[side] + step), str(amount), snapshot=snapshot)
            for side, step, amount in levels
        ]
    return rows


def books_of(path, *, tolerant):
    """Fault and book after every local time."""
    state, books = MarketState(3600 * 10**9), {}
    for event in open_recordings([path], tolerant=tolerant):
        state.now_ns = event.local_ns
        state.apply(event)
        book = state.book("BTCUSDT")
        books[event.local_ns] = (state.fault("BTCUSDT"), book.top(Side.BUY, 99), book.top(Side.SELL, 99))
    return books


@given(MESSAGES, st.lists(st.tuples(st.integers(0, 30), st.sampled_from(HOW)), min_size=1, max_size=2))
@settings(max_examples=150, deadline=None)
def test_a_book_that_lacks_a_row_has_a_gap_or_is_the_book_all_the_same(tmp_path_factory, messages, errors):
    rows = rows_of(messages)
    spoilt = dict(enumerate(rows))
    for number, how in errors:
        at = 1 + number % (len(rows) - 1)  # the first row tells whose file it is
        spoilt[at] = spoil(rows[at], how)
    folder = tmp_path_factory.mktemp("tardis")
    sound = books_of(write(folder, BOOK, *rows, name="sound"), tolerant=False)
    read = books_of(write(folder, BOOK, *spoilt.values(), name="spoilt"), tolerant=True)
    for at, (fault, *book) in read.items():
        assert fault or book == list(sound[at][1:]), at


def test_updates_before_the_first_snapshot_are_left_out(tmp_path):
    early = [level(-20, "bid", "1", "1"), level(-10, "bid", "2", "1")]
    feed = open_recordings([write(tmp_path, BOOK, *early, *WHOLE)])
    assert [type(event) for event in feed] == [BookSnapshot]
    assert feed.ignored["update before the first snapshot"] == 2


def test_symbols_have_books_of_their_own(tmp_path):
    other = [row.replace("BTCUSDT", "ETHUSDT") for row in WHOLE]
    feed = open_recordings([write(tmp_path, BOOK, *WHOLE, *other, level(10, "bid", "97", "1"))])
    assert [(event.symbol, event.last_id) for event in feed] == [("BTCUSDT", 1), ("ETHUSDT", 1), ("BTCUSDT", 2)]
    only = open_recordings([write(tmp_path, BOOK, *WHOLE, *other)], symbols=["ETHUSDT"])
    assert [event.symbol for event in only] == ["ETHUSDT"]
    assert only.ignored["symbol not asked for"] == 1


def test_prints_and_books_of_a_day_are_one_feed(tmp_path):
    book = write(tmp_path, BOOK, *WHOLE, level(10, "bid", "98", "7"), level(30, "bid", "97", "7"), name="book")
    prints = write(
        tmp_path, TRADES, trade(5, 1, "sell"), trade(20, 2), trade(25, 3, "unknown"), trade(40, 4), name="prints"
    )
    feed = open_recordings([book, prints])
    kinds = [type(event) for event in feed]
    assert kinds == [BookSnapshot, Trade, BookDelta, Trade, BookDelta, Trade]
    assert feed.ignored["trade of an unknown side"] == 1
    first = next(event for event in feed if isinstance(event, Trade))
    assert first == Trade("BTCUSDT", (T0 - 895) * 1000, (T0 + 5) * 1000, 1, "61800.1", "0.5", Side.SELL)


def test_bybit_has_uuids_and_its_own_rules(tmp_path):
    uuid = "00000000-0000-0000-0000-0000000000ff"
    feed = open_recordings([write(tmp_path, TRADES, trade(0, uuid, exchange="bybit", symbol="ETHUSDT"))])
    assert feed.markets == {"ETHUSDT": "bybit-linear"}
    assert [event.trade_id for event in feed] == [255]
    assert str(feed.instruments["ETHUSDT"].lot_size) == "0.01"


def test_a_local_clock_that_is_behind_is_shifted(tmp_path):
    feed = open_recordings([write(tmp_path, BOOK, *(row.replace(f"{T0 - 900}", f"{T0 + 250}") for row in WHOLE))])
    assert feed.inputs[0].clock_shift_ns == 250_000
    assert [event.local_ns - event.exchange_ns for event in feed] == [0]


def test_other_exchanges_are_refused_by_name(tmp_path):
    with pytest.raises(InputError, match="line 2: a file of 'deribit'; readable are binance-futures and bybit"):
        open_recordings([write(tmp_path, BOOK, level(0, "bid", "1", "1", exchange="deribit"))])


BAD = {
    "line_format": ["x", ",,", level(20, "bid", "1", "1") + ",9", level(20, "bid", "1\xff", "1")],
    "invalid": [
        level(20, "buy", "1", "1"),
        level(20, "bid", "1", "1", snapshot="yes"),
        level(20, "bid", "1", "1", symbol="B-T"),
        level(20, "bid", "1", "1").replace(str(T0 + 20), "soon"),
    ],
    "number": [level(20, "bid", price, "1") for price in ("NaN", "-1", "", "1e99", "1e999")],
    "exchange": [level(20, "bid", "1", "1", exchange="bybit")],
    "local_time": [level(5, "bid", "1", "1"), level(3 * 86_400_000_000, "bid", "1", "1")],
    "clock": [level(20, "bid", "1", "1", lag=-2 * 86_400_000_000)],
}


@pytest.mark.parametrize("kind", BAD)
def test_every_kind_of_bad_row_is_named_with_its_line_or_left_out_and_counted(tmp_path, kind):
    for bad in BAD[kind]:
        path = write(tmp_path, BOOK, *WHOLE, level(10, "bid", "98", "7"), bad, level(30, "bid", "97", "1"))
        with pytest.raises(InputError, match="or run with --tolerant") as caught:
            list(open_recordings([path]))
        assert (caught.value.line, caught.value.path) == (6, str(path)), bad
        feed = open_recordings([path], tolerant=True)
        assert len(list(feed)) == 3, bad
        assert feed.skipped == {kind: 1}, bad


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        ("sequence", trade(20, 2)),
        ("sequence", trade(20, 1)),
        ("invalid", trade(20, "abc")),
        ("invalid", trade(20, "")),
        ("invalid", trade(20, 9, side="long")),
        ("number", trade(20, 9, price="x")),
        ("number", trade(20, 9, amount="-0.5")),
    ],
)
def test_bad_prints_are_named_or_left_out(tmp_path, kind, bad):
    path = write(tmp_path, TRADES, trade(0, 1), trade(10, 2), bad)
    with pytest.raises(InputError, match="line 4"):
        list(open_recordings([path]))
    feed = open_recordings([path], tolerant=True)
    assert len(list(feed)) == 2
    assert feed.skipped == {kind: 1}
