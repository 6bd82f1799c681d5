"""Bybit sessions: the book's own sequence, prints, mark prices, venue rules; damage in strict and tolerant reading."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from uuid import UUID

import pytest

from grinder.errors import ConfigError, InputError
from grinder.feeds import open_recordings
from grinder.market.state import MarketState
from grinder.types import BookDelta, BookSnapshot, MarkPrice, Side, Trade

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
T0 = 1_786_310_819
MS0 = T0 * 1000
SYMBOL = "BTCUSDT"


def entry(symbol=SYMBOL, **changes):
    lots = {"qtyStep": "0.001", "minOrderQty": "0.001", "maxOrderQty": "1500", "maxMktOrderQty": "150"}
    return {
        "symbol": symbol,
        "contractType": "LinearPerpetual",
        "baseCoin": "BTC",
        "quoteCoin": "USDT",
        "priceFilter": {"tickSize": "0.10"},
        "lotSizeFilter": lots | {"minNotionalValue": "5"},
        "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
    } | changes


def info(*entries, category="linear"):
    return {"retCode": 0, "result": {"category": category, "list": list(entries)}}


def record(kind, at_ms, data=None, **more):
    text = {} if data is None else {"data": data if isinstance(data, str) else json.dumps(data)}
    ts = f"{(MS0 + at_ms) / 1000:.3f}"
    return json.dumps({"t": kind, "conn": "ws", "ts": 0} | more | text).replace('"ts": 0', f'"ts": {ts}')


HEADER = json.dumps({"t": "header", "format": 2, "exchange": "BYBIT"})
CONNECT = record("connect", 0, addr="wss://stream.bybit.com/v5/public/linear")
INFO_URL = "https://api.bybit.com/v5/market/instruments-info?category=linear"


def book(at_ms, u, kind="delta", *, bids=(), asks=(), symbol=SYMBOL, depth=200, **more):
    data = {"s": symbol, "b": list(bids), "a": list(asks), "u": u, "seq": u * 10}
    frame = {"topic": f"orderbook.{depth}.{symbol}", "type": kind, "ts": MS0 + at_ms - 50, "data": data}
    return record("recv", at_ms, frame | {"cts": MS0 + at_ms - 60} | more)


def whole(at_ms, u, price="100.0", **more):
    return book(at_ms, u, "snapshot", bids=[[price, "1"]], asks=[["200.0", "2"]], **more)


def uuid(number):
    return str(UUID(int=number))


def prints(at_ms, *ids, side="Buy", seq=None, symbol=SYMBOL, **changes):
    trades = [
        {"T": MS0 + at_ms - 55, "s": symbol, "S": side, "v": "0.5", "p": "150.0", "i": i, "seq": seq or at_ms} | changes
        for i in ids
    ]
    return record(
        "recv",
        at_ms,
        {"topic": f"publicTrade.{symbol}", "type": "snapshot", "ts": MS0 + at_ms - 50, "data": trades},
    )


def ticker(at_ms, cs, kind="delta", symbol=SYMBOL, **data):
    frame = {"topic": f"tickers.{symbol}", "type": kind, "cs": cs, "ts": MS0 + at_ms - 50}
    return record("recv", at_ms, frame | {"data": {"symbol": symbol} | data})


MARK = {
    "markPrice": "150.10",
    "indexPrice": "150.00",
    "fundingRate": "-0.0001",
    "nextFundingTime": str(MS0 + 3_600_000),
}
START = [HEADER, record("http", 0, info(entry()), url=INFO_URL), CONNECT, whole(100, 7)]


def write(tmp_path, *lines, start=START, name="x"):
    path = tmp_path / name
    path.write_text("\n".join([*start, *lines]) + "\n")
    return path


def folded(feed):
    state = MarketState(5 * 10**9)
    for event in feed:
        state.now_ns = event.local_ns
        state.apply(event)
    return state


def test_books_prints_and_mark_prices(tmp_path):
    path = write(
        tmp_path,
        book(200, 8, bids=[["100.0", "0"], ["99.0", "3"]]),
        prints(300, uuid(5), uuid(6), side="Sell"),
        ticker(400, 1, "snapshot", lastPrice="1", **MARK),
        ticker(500, 2, bid1Price="99.0"),
        ticker(600, 3, markPrice="150.20"),
        record("recv", 700, {"success": True, "op": "subscribe"}),
        record("recv", 800, {"topic": f"kline.1.{SYMBOL}", "type": "snapshot", "ts": MS0, "data": []}),
    )
    feed = open_recordings([path])
    assert feed.inputs[0].format == "bybit-linear session"
    assert feed.markets == {SYMBOL: "bybit-linear"}
    events = list(feed)
    assert [type(event) for event in events] == [BookSnapshot, BookDelta, Trade, Trade, MarkPrice, MarkPrice]
    snapshot, delta, one, two, first, second = events
    assert snapshot.last_id == 7
    assert (delta.first_id, delta.last_id, delta.prev_id) == (8, 8, 7)
    assert delta.exchange_ns == (MS0 + 140) * 10**6
    assert delta.local_ns == (MS0 + 200) * 10**6
    assert (one.trade_id, two.trade_id, one.taker) == (5, 6, Side.SELL)
    assert (first.mark, first.index, first.funding_rate) == ("150.10", "150.00", "-0.0001")
    assert first.next_funding_ns == (MS0 + 3_600_000) * 10**6
    assert (second.mark, second.index) == ("150.20", "150.00")
    assert feed.ignored == {
        "header": 1, "instruments-info": 1, "connect": 1, "reply": 1, "kline.1": 1, "tickers without a mark price": 1,
    }  # fmt: skip
    assert list(feed) == events


def test_rules_of_linear_perpetuals_only(tmp_path):
    others = [entry("BTC-26DEC", contractType="LinearFutures"), entry("BTCPERP", quoteCoin="USD")]
    spot = record("http", 1, info(entry(), category="spot"), url=INFO_URL)
    path = write(tmp_path, spot, start=[HEADER, record("http", 0, info(entry(), *others), url=INFO_URL), *START[2:]])
    rules = open_recordings([path]).instruments[SYMBOL]
    assert rules.source == "instruments-info"
    assert [str(n) for n in (rules.tick_size, rules.lot_size, rules.max_qty, rules.min_notional)] == [
        "0.10", "0.001", "1500", "5",
    ]  # fmt: skip
    assert (str(rules.collar_up), str(rules.collar_down), str(rules.max_market_qty)) == ("1.01", "0.99", "150")


def test_without_recorded_rules_the_table_of_bybit_holds(tmp_path):
    start = [HEADER, CONNECT, whole(100, 7, symbol="ETHUSDT")]
    rules = open_recordings([write(tmp_path, start=start)]).instruments["ETHUSDT"]
    assert (str(rules.lot_size), str(rules.min_notional)) == ("0.01", "5")
    unknown = [HEADER, CONNECT, whole(100, 7, symbol="SOLUSDT")]
    with pytest.raises(ConfigError, match=r"venue rules of SOLUSDT are unknown.*instruments-info"):
        open_recordings([write(tmp_path, start=unknown)])


@pytest.mark.parametrize(
    "spoilt",
    [
        {"retCode": 10006},
        info(5),
        info(entry(priceFilter={})),
        info(entry(priceFilter=5)),
        info(entry(priceFilter={"tickSize": "0"})),
        info(entry(lotSizeFilter={"qtyStep": "NaN", "minOrderQty": "1", "maxOrderQty": "1"})),
        info(entry(symbol=None, lotSizeFilter={})),
        [1],
    ],
)
def test_spoilt_rules_are_named(tmp_path, spoilt):
    path = write(tmp_path, start=[HEADER, record("http", 0, spoilt, url=INFO_URL), *START[2:]])
    with pytest.raises(InputError, match=r"line 2: .*instruments-info") as caught:
        open_recordings([path])
    assert caught.value.path == str(path)
    assert open_recordings([path], tolerant=True).skipped == {"invalid": 1}


def test_a_jump_of_u_is_a_gap_until_the_next_snapshot(tmp_path):
    lines = [
        book(200, 8, bids=[["99.0", "3"]]),
        book(300, 10, bids=[["98.0", "4"]]),
        book(400, 11, bids=[["97.0", "4"]]),
    ]
    state = folded(open_recordings([write(tmp_path, *lines)]))
    assert state.fault(SYMBOL) == "MARKET_GAP"
    assert state.gaps == 1
    mended = [*lines, whole(500, 12, "90.0"), book(600, 13, bids=[["89.0", "1"]])]
    feed = open_recordings([write(tmp_path, *mended)])
    state = folded(feed)
    assert state.fault(SYMBOL) == ""
    assert state.gaps == 1
    assert state.book(SYMBOL).top(Side.BUY, 9) == ((90.0, 1.0), (89.0, 1.0))
    assert not feed.skipped


@pytest.mark.parametrize("gap_before", [False, True])
def test_a_restart_counts_from_1_and_replaces_the_book(tmp_path, gap_before):
    lines = [
        book(200, 500 if gap_before else 8, bids=[["99.0", "3"]]),
        whole(300, 1, "50.0"),
        book(400, 2, bids=[["49.0", "1"]]),
    ]
    state = folded(open_recordings([write(tmp_path, *lines)]))
    assert state.fault(SYMBOL) == ""
    assert state.gaps == gap_before
    assert state.book(SYMBOL).top(Side.BUY, 9) == ((50.0, 1.0), (49.0, 1.0))


def test_of_several_depths_the_deepest_is_read(tmp_path):
    shallow = book(50, 3, "snapshot", bids=[["1.0", "1"]], depth=1)
    lines = [book(200, 8, bids=[["99.0", "3"]]), book(210, 4, "snapshot", bids=[["1.0", "1"]], depth=1)]
    feed = open_recordings([write(tmp_path, *lines, start=[*START[:3], shallow, START[3]])])
    assert [type(event) for event in feed] == [BookSnapshot, BookDelta]
    assert feed.ignored["book that a deeper one tells"] == 2
    only = open_recordings([write(tmp_path, start=[*START[:3], shallow])])
    assert [type(event) for event in only] == [BookSnapshot]


def test_other_connections_are_not_the_linear_stream(tmp_path):
    other = record("connect", 0, addr="wss://stream.bybit.com/v5/public/spot", conn="spot")
    frame = json.loads(whole(150, 3))
    lines = [other, json.dumps(frame | {"conn": "spot"})]
    feed = open_recordings([write(tmp_path, *lines)])
    assert len(list(feed)) == 1
    assert feed.ignored["connection that is not of the linear stream"] == 1
    with pytest.raises(InputError, match="no market data"):
        open_recordings([write(tmp_path, start=[HEADER, whole(100, 7)])])


BAD = {
    "sequence": [
        book(300, 8),
        book(300, 7),
        prints(300, uuid(1)),
        prints(300, uuid(9), uuid(9)),
        prints(300, uuid(9), seq=1),
        ticker(300, 1, markPrice="1"),
    ],
    "invalid": [
        book(300, "9"),
        book(300, 9, "other"),
        prints(300, "no-uuid"),
        prints(300, uuid(9), side="buy"),
        record("recv", 300, {"topic": f"orderbook.200.{SYMBOL}", "type": "delta"}),
    ],
    "number": [
        book(300, 9, bids=[["NaN", "1"]]),
        book(300, 9, asks=[["1", "-1"]]),
        prints(300, uuid(9), p="1e999"),
        prints(300, uuid(9), v=""),
        ticker(300, 9, markPrice="x"),
        ticker(300, 9, fundingRate="9999"),
    ],
    "symbol": [book(300, 9, data={"s": "ETHUSDT", "b": [], "a": [], "u": 9}), prints(300, uuid(9), s="ETHUSDT")],
    "clock": [book(300, 9, ts=MS0 + 2 * 86_400_000), prints(300, uuid(9), T=MS0 + 2 * 86_400_000)],
    "local_time": [book(199, 9), prints(200_000_000, uuid(9))],
    "unknown": [record("recv", 300, {}), record("recv", 300, {"hello": 1})],
    "malformed": [record("recv", 300, "{"), '{"t":"recv"', record("recv", 300, '{"a":' * 20_000)],
    "line_format": [book(300, 9).replace(f'"ts": {T0}', '"ts": -1')],
}


@pytest.mark.parametrize("kind", BAD)
def test_every_kind_of_bad_record_is_named_with_its_line_or_left_out_and_counted(tmp_path, kind):
    for bad in BAD[kind]:
        sound = [book(200, 8), prints(210, uuid(1), seq=5), ticker(220, 1, "snapshot", **MARK)]
        path = write(tmp_path, *sound, bad, record("send", 400, "x"))
        with pytest.raises(InputError, match=r"or run with --tolerant") as caught:
            list(open_recordings([path]))
        assert caught.value.line == 8, bad
        feed = open_recordings([path], tolerant=True)
        assert len(list(feed)) == 4, bad
        assert feed.skipped == {kind: 1}, bad


def test_a_print_is_remembered_for_long_but_not_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr("grinder.feeds.bybit._RECENT", 3)
    again = prints(400, uuid(1))
    path = write(tmp_path, prints(200, uuid(1), uuid(2), uuid(3), seq=1), again)
    with pytest.raises(InputError, match="repeats id"):
        list(open_recordings([path]))
    path = write(tmp_path, prints(200, uuid(1), uuid(2), uuid(3), seq=1), prints(300, uuid(4), seq=2), again)
    assert len(list(open_recordings([path]))) == 6


def test_the_real_session():
    path = DATA / "bybit-v5" / "linear_btc_doge_20260809.jsonl.zst"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    feed = open_recordings([path])
    assert feed.symbols == (SYMBOL, "DOGEUSDT")
    assert feed.instruments["DOGEUSDT"].source == "instruments-info"
    assert feed.inputs[0].lines == 1_248
    counts = Counter((event.symbol, type(event)) for event in feed)
    assert counts[SYMBOL, BookDelta] == 413
    assert counts["DOGEUSDT", BookDelta] == 379
    assert counts[SYMBOL, Trade] == 56
    assert counts["DOGEUSDT", Trade] == 83
    assert counts[SYMBOL, MarkPrice] == 60
    state = folded(feed)
    assert (state.gaps, state.fault(SYMBOL), state.fault("DOGEUSDT")) == (0, "", "")
    for symbol in feed.symbols:
        for side in (Side.BUY, Side.SELL):
            assert len(state.book(symbol).top(side, 999)) == 200
    assert not feed.skipped
