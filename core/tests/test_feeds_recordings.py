"""Opening recordings: formats, symbols, clock shift, merging, damage in strict and tolerant reading."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest
import zstandard

from grinder.errors import ConfigError, InputError
from grinder.feeds import open_recordings, recording
from grinder.feeds.records import decimal_ns
from grinder.instruments import TABLE
from grinder.market.state import MarketState
from grinder.types import BookDelta, BookSnapshot, TopOfBook, Trade

MS = 10**6
S = 10**9
T0 = 1_723_161_255_000 * MS
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
USDM = DATA / "binance-usdm"


def ms(local):
    return local // MS


def frame(local, stream, data):
    return f"{local} " + json.dumps({"stream": stream, "data": data}, separators=(",", ":"))


def trade(local, at, *, symbol="BTCUSDT", event_ms=None, price="61800.30"):
    event_ms = ms(local) if event_ms is None else event_ms
    data = {
        "e": "trade",
        "E": event_ms,
        "T": event_ms,
        "s": symbol,
        "t": at,
        "p": price,
        "q": "0.006",
        "X": "MARKET",
        "m": False,
    }
    return frame(local, f"{symbol.lower()}@trade", data)


def ticker(local, at, symbol="BTCUSDT"):
    data = {
        "e": "bookTicker",
        "u": at,
        "s": symbol,
        "b": "1.20",
        "B": "2.5",
        "a": "1.30",
        "A": "2.5",
        "T": ms(local),
        "E": ms(local),
    }
    return frame(local, f"{symbol.lower()}@bookTicker", data)


def diff(local, first, last, prev, symbol="BTCUSDT"):
    data = {
        "e": "depthUpdate",
        "E": ms(local),
        "s": symbol,
        "U": first,
        "u": last,
        "pu": prev,
        "b": [["1.20", "2.5"]],
        "a": [],
    }
    return frame(local, f"{symbol.lower()}@depth@0ms", data)


def snapshot(local, last_id):
    data = {"lastUpdateId": last_id, "E": ms(local), "T": 1, "bids": [["1.20", "1"]], "asks": [["1.30", "1"]]}
    return f"{local} " + json.dumps(data, separators=(",", ":"))


def spot_ticker(local, at):
    return frame(
        local, "btcusdt@bookTicker", {"u": at, "s": "BTCUSDT", "b": "1.20", "B": "2.5", "a": "1.30", "A": "2.5"}
    )


SOUND = [
    trade(T0, 1),
    diff(T0 + 1, 1, 5, 0),
    snapshot(T0 + 2, 4),
    ticker(T0 + 3, 6),
    diff(T0 + 4, 6, 8, 5),
    trade(T0 + 5, 2),
]


def write(path, lines, pack=gzip.compress):
    path.write_bytes(pack(b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines)))
    return path


def real(name):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


def kinds(feed):
    return Counter(type(event).__name__ for event in feed)


def test_a_capture_in_every_packing(tmp_path):
    for pack in (bytes, gzip.compress, zstandard.ZstdCompressor().compress):
        path = write(tmp_path / "x", SOUND, pack)
        feed = open_recordings([path])
        events = list(feed)
        assert [type(event) for event in events] == [Trade, BookDelta, BookSnapshot, TopOfBook, BookDelta, Trade]
        assert [event.local_ns for event in events] == [T0 + at for at in range(6)]
        assert events[2].symbol == "BTCUSDT"
        (info,) = feed.inputs
        assert info.path == str(path)
        assert info.format == "binance-usdm capture"
        assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert (info.first_ns, info.last_ns, info.lines, info.clock_shift_ns) == (T0, T0 + 5, 6, 0)
        assert (feed.first_ns, feed.last_ns, feed.symbols) == (T0, T0 + 5, ("BTCUSDT",))
        assert feed.instruments == {"BTCUSDT": TABLE["BTCUSDT"]}
        assert list(feed) == events
        feed.close()
        with pytest.raises(ValueError, match="closed"):
            iter(feed)


def test_uncommon_json_is_the_same_frame(tmp_path):
    odd = SOUND[0].replace('{"stream"', '{ "stream"').replace('"E":', '"E" : ')
    data = {"e": "trade", "E": ms(T0) + 3, "s": "BTCUSDT", "t": 9, "p": "1", "q": "2", "m": True}
    swapped = f"{T0 + 6} " + json.dumps({"data": data, "stream": "btcusdt@trade"})
    feed = open_recordings([write(tmp_path / "x", [odd, "", *SOUND[1:], swapped + "\r", ""])])
    assert kinds(feed) == {"Trade": 3, "BookDelta": 2, "BookSnapshot": 1, "TopOfBook": 1}
    assert feed.inputs[0].clock_shift_ns == 3 * MS - 6


def test_lines_are_read_again_when_they_are_too_many_to_keep(tmp_path, monkeypatch):
    path = write(tmp_path / "x", SOUND)
    kept = list(open_recordings([path]))
    monkeypatch.setattr(recording, "KEEP_BYTES", 10)
    feed = open_recordings([path])
    path.touch()
    assert feed._sources[0]._kept is None
    assert list(feed) == kept
    assert list(feed) == kept


def test_a_clock_that_is_behind_is_shifted_by_the_smallest_latency(tmp_path):
    lines = [
        trade(T0, 1, event_ms=ms(T0) + 1_200),
        trade(T0 + 5 * MS, 2, event_ms=ms(T0) + 1_277),
        trade(T0 + 9 * MS, 3, event_ms=ms(T0)),
    ]
    feed = open_recordings([write(tmp_path / "x", lines)])
    events = list(feed)
    assert feed.inputs[0].clock_shift_ns == 1_272 * MS
    assert min(event.local_ns - event.exchange_ns for event in events) == 0
    assert events[0].local_ns == feed.first_ns == T0 + 1_272 * MS
    assert events[-1].local_ns == feed.last_ns == T0 + 1_281 * MS


def test_one_event_time_gone_wrong_does_not_shift_the_clock(tmp_path):
    lines = [*SOUND, trade(T0 + 6, 3, event_ms=9_999_999_999_999)]
    path = write(tmp_path / "x", lines)
    feed = open_recordings([path])
    assert feed.inputs[0].clock_shift_ns == 0
    with pytest.raises(InputError, match=r"line 7: event time .* ahead of the local time"):
        list(feed)
    feed = open_recordings([path], tolerant=True)
    assert sum(kinds(feed).values()) == 6
    assert feed.skipped == {"clock": 1}


def test_the_snapshots_time_does_not_count_for_the_clock(tmp_path):
    ahead = snapshot(T0 + 2, 4).replace(f'"E":{ms(T0)}', f'"E":{ms(T0) + 500}')
    assert ahead != SOUND[2]
    feed = open_recordings([write(tmp_path / "x", [*SOUND[:2], ahead, *SOUND[3:]])])
    assert feed.inputs[0].clock_shift_ns == 0


LATER = T0 + 9
NEXT = trade(LATER, 9)
BAD_LINES = {
    "line_format": ["garbage", f"x{NEXT}", "17231612550303146670000000 {}", f"{T0}", "-5 {}", "1.5 {}"],
    "malformed": [
        f"{LATER} {{",
        NEXT[:-9],
        f'{LATER} {{"stream":"\xff@trade"}}',
        f"{LATER} " + '{"data":' * 10_000,
    ],
    "invalid": [
        f"{LATER} [1]",
        trade(LATER, "9"),
        NEXT.replace('"q"', '"Q"'),
        f'{LATER} {{"stream":"btcusdt@trade"}}',
    ],
    "number": [trade(LATER, 9, price=price) for price in ("NaN", "-1", "1e999", "", "x")],
    "unknown": [f"{LATER} {{}}", f'{LATER} {{"topic":"tickers.BTCUSDT","data":{{}}}}'],
    "sequence": [trade(LATER, 2), trade(LATER, 1), ticker(LATER, 5), diff(LATER, 6, 8, 5)],
    "local_time": [trade(T0 + 4, 9), snapshot(T0, 9)],
    "symbol": [NEXT.replace('"s":"BTCUSDT"', '"s":"ETHUSDT"')],
}


@pytest.mark.parametrize("kind", BAD_LINES)
def test_every_kind_of_bad_line_is_named_with_its_line_or_left_out_and_counted(tmp_path, kind):
    for number, bad in enumerate(BAD_LINES[kind]):
        path = write(tmp_path / f"{kind}{number}", [*SOUND, bad.encode("latin1"), trade(T0 + 20, 20)])
        with pytest.raises(InputError, match=r"or run with --tolerant") as caught:
            list(open_recordings([path]))
        assert caught.value.line == 7
        assert caught.value.path == str(path)
        assert f"{path}, line 7: " in str(caught.value)
        feed = open_recordings([path], tolerant=True)
        events = list(feed)
        assert len(events) == 7, bad
        assert events[-1].local_ns == T0 + 20
        assert feed.skipped == {kind: 1}
        assert list(feed) == events
        assert feed.skipped == {kind: 1}


def test_bad_lines_at_the_start_do_not_hide_the_format_when_tolerant(tmp_path):
    path = write(tmp_path / "x", ["garbage", "{", *SOUND])
    with pytest.raises(InputError, match="line 1: "):
        list(open_recordings([path]))
    feed = open_recordings([path], tolerant=True)
    assert sum(kinds(feed).values()) == 6
    assert feed.skipped == {"line_format": 2}


def test_a_spoilt_stream_name_is_no_symbol_when_tolerant(tmp_path):
    path = write(tmp_path / "x", [*SOUND, trade(T0 + 9, 9).replace("btcusdt@", "btcqsdt@")])
    with pytest.raises(ConfigError, match="venue rules of BTCQSDT are unknown"):
        open_recordings([path])
    feed = open_recordings([path], tolerant=True)
    assert feed.symbols == ("BTCUSDT",)
    assert kinds(feed)["BookSnapshot"] == 1
    assert feed.skipped == {"symbol": 1}


def test_truncated_and_corrupt_files_are_found_when_they_are_opened(tmp_path):
    lines = [trade(T0 + at, at) for at in range(5_000)]
    data = gzip.compress("\n".join(lines).encode())
    path = tmp_path / "cut.gz"
    path.write_bytes(data[: len(data) * 3 // 4])
    with pytest.raises(InputError, match=r"truncated after line .*--tolerant"):
        open_recordings([path])
    feed = open_recordings([path], tolerant=True)
    events = list(feed)
    assert 3_000 < len(events) < 4_500
    assert [event.trade_id for event in events] == list(range(len(events)))
    assert feed.skipped == {"truncated": 1}
    assert feed.inputs[0].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(data[:5_000] + b"\xff\x00\xff" + data[5_003:])
    with pytest.raises(InputError, match=r"is (corrupt|truncated) after line"):
        open_recordings([path])
    feed = open_recordings([path], tolerant=True)
    assert len(list(feed)) > 500
    assert sum(feed.skipped.values()) >= 1


def test_a_real_recording_cut_anywhere(tmp_path):
    data = real("binance-usdm/btcusdt_20240808.gz").read_bytes()
    path = tmp_path / "cut.gz"
    for size in (20_000, 250_001, 1 << 18, 600_000):
        path.write_bytes(data[:size])
        with pytest.raises(InputError, match="truncated"):
            open_recordings([path])
        feed = open_recordings([path], tolerant=True)
        state = MarketState(5 * S)
        for event in feed:
            state.apply(event)
        assert state.events == feed.inputs[0].lines > 0
        assert (state.gaps, state.book_mismatches) == (0, 0)
        assert feed.skipped == {"truncated": 1}


@pytest.mark.parametrize("content", [b"", b"\n\n", gzip.compress(b"", mtime=0)])
def test_empty_files_are_refused(tmp_path, content):
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(InputError, match="the file is empty"):
        open_recordings([path])


@pytest.mark.parametrize(
    "content",
    [
        b"hello\nworld\n",
        b'{"a":1}\n',
        b'{"exchange":"BINANCE","format":2}\n',
        b"time,price\n1,2\n",
        b"\x89PNG\r\n\x1a\n\0\0",
    ],
)
def test_unknown_formats_are_refused_with_those_that_are_known(tmp_path, content):
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"unknown format; known are: .*LOCAL_TS JSON.*session"):
        open_recordings([path])


def test_a_file_without_market_data_is_refused(tmp_path):
    with pytest.raises(InputError, match="no market data"):
        open_recordings([write(tmp_path / "x", [frame(T0, "btcusdt@kline_1m", {})])])


def test_missing_files_and_directories_are_configuration_errors(tmp_path):
    with pytest.raises(ConfigError, match=r"gone\.gz does not exist"):
        open_recordings([tmp_path / "gone.gz"])
    with pytest.raises(ConfigError, match="is a directory"):
        open_recordings([tmp_path])
    with pytest.raises(ConfigError, match="no recording"):
        open_recordings([])


def test_asked_symbols_must_be_there(tmp_path):
    path = write(tmp_path / "x", [*SOUND[:2], trade(T0 + 3, 7, symbol="ETHUSDT"), trade(T0 + 4, 2)])
    with pytest.raises(ConfigError, match="no data of SOLUSDT is recorded; there is BTCUSDT, ETHUSDT"):
        open_recordings([path], symbols=["SOLUSDT"])
    feed = open_recordings([path], symbols=["ETHUSDT"])
    assert feed.symbols == ("ETHUSDT",)
    assert [event.symbol for event in feed] == ["ETHUSDT"]
    assert feed.ignored == {"symbol not asked for": 3}


def test_symbols_without_rules_are_refused_unless_not_asked(tmp_path):
    path = write(tmp_path / "x", [trade(T0, 1), trade(T0 + 1, 1, symbol="DOGEUSDT")])
    with pytest.raises(ConfigError, match=r"venue rules of DOGEUSDT are unknown.*exchangeInfo"):
        open_recordings([path])
    assert kinds(open_recordings([path], symbols=["BTCUSDT"])) == {"Trade": 1}


def test_a_snapshot_in_a_file_of_two_symbols_belongs_to_nobody(tmp_path):
    path = write(tmp_path / "x", [*SOUND, trade(T0 + 9, 1, symbol="ETHUSDT")])
    with pytest.raises(InputError, match="line 3: a REST depth answer names no symbol"):
        list(open_recordings([path]))
    feed = open_recordings([path], tolerant=True)
    assert kinds(feed)["BookSnapshot"] == 0
    assert feed.skipped == {"snapshot_symbol": 1}


def test_several_files_are_merged_by_local_time(tmp_path):
    one = write(tmp_path / "one", [trade(T0 + 2 * at, at) for at in range(50)])
    two = write(tmp_path / "two", [trade(T0 + 3 * at + 1, at, symbol="ETHUSDT") for at in range(50)])
    feed = open_recordings([one, two])
    times = [event.local_ns for event in feed]
    assert times == sorted(times)
    assert len(times) == 100
    assert feed.symbols == ("BTCUSDT", "ETHUSDT")
    assert (feed.first_ns, feed.last_ns) == (T0, T0 + 148)
    assert [info.path for info in feed.inputs] == [str(one), str(two)]
    assert list(feed) == list(open_recordings([one, two]))


def test_files_that_contradict_each_other_are_refused(tmp_path):
    usdm = write(tmp_path / "usdm", SOUND)
    spot = write(tmp_path / "spot", [spot_ticker(T0 + at, at) for at in range(9)])
    assert open_recordings([spot]).inputs[0].format == "binance-spot capture"
    with pytest.raises(ConfigError, match="hold BTCUSDT of two markets"):
        open_recordings([usdm, spot])
    with pytest.raises(ConfigError, match="are the same file"):
        open_recordings([usdm, write(tmp_path / "copy", SOUND)])
    more = write(tmp_path / "more", [trade(T0 + 3, 77), trade(T0 + 10, 78)])
    with pytest.raises(ConfigError, match="both hold btcusdt@trade at the same time"):
        open_recordings([usdm, more])
    later = write(tmp_path / "later", [trade(T0 + 10, 78), trade(T0 + 11, 79)])
    assert sum(kinds(open_recordings([later, usdm])).values()) == 8
    other = write(
        tmp_path / "other",
        [
            frame(
                T0 + at,
                "btcusdt@markPrice",
                {"e": "markPriceUpdate", "E": ms(T0) + at, "s": "BTCUSDT", "p": "1", "i": "1", "r": "0", "T": 5},
            )
            for at in range(3)
        ],
    )
    assert sum(kinds(open_recordings([usdm, other])).values()) == 9


def test_a_break_in_the_update_chain_is_no_input_error(tmp_path):
    feed = open_recordings([write(tmp_path / "x", [*SOUND, diff(T0 + 9, 20, 22, 19)])])
    state = MarketState(5 * S)
    for event in feed:
        state.apply(event)
    assert state.gaps == 1
    assert not feed.skipped


# Sessions.


def exchange_info(symbol="AKROUSDT", **changes):
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.00001"},
        {"filterType": "LOT_SIZE", "stepSize": "1", "minQty": "1", "maxQty": "9"},
    ]
    entry = {
        "symbol": symbol,
        "contractType": "PERPETUAL",
        "baseAsset": "AKRO",
        "quoteAsset": "USDT",
        "filters": filters,
    }
    return {"symbols": [entry | changes]}


def record(kind, ts, data=None, **more):
    text = {} if data is None else {"data": data if isinstance(data, str) else json.dumps(data)}
    line = json.dumps({"t": kind, "conn": "c", "ts": 0} | more | text)
    return line.replace('"ts": 0', f'"ts": {ts}')


HEADER = json.dumps({"t": "header", "format": 2, "exchange": "BINANCE_FUTURES"})
DEPTH_URL = "https://fapi.binance.com/fapi/v1/depth?symbol=AKROUSDT&limit=1000"
INFO_URL = "https://fapi.binance.com/fapi/v1/exchangeInfo"


def payload(line):
    return line.partition(" ")[2]


def session(*more, header=HEADER, info=None):
    return [
        header,
        record("http", "1626992740.1", info or exchange_info(), url=INFO_URL),
        record("http", "1626992741.301402", payload(snapshot(1626992741301 * MS, 4)), url=DEPTH_URL),
        record("connect", "1626992740.2", addr="wss://x"),
        record("recv", "1626992741.06217", payload(diff(1626992741000 * MS, 1, 5, 0, "AKROUSDT"))),
        record("recv", "1626992741.5", payload(ticker(1626992741100 * MS, 6, "AKROUSDT"))),
        *more,
    ]


def test_a_session_is_put_in_local_time_order(tmp_path):
    feed = open_recordings([write(tmp_path / "x", session(), zstandard.ZstdCompressor().compress)])
    events = list(feed)
    assert [type(event) for event in events] == [BookDelta, BookSnapshot, TopOfBook]
    assert [event.local_ns for event in events] == [1626992741062170000, 1626992741301402000, 1626992741500000000]
    assert feed.instruments["AKROUSDT"].source == "exchangeInfo"
    assert (feed.first_ns, feed.last_ns) == (events[0].local_ns, events[-1].local_ns)
    assert feed.inputs[0].format == "binance-usdm session"
    assert feed.ignored == {"header": 1, "exchangeInfo": 1, "connect": 1}


def test_a_snapshot_after_the_last_frame_still_comes(tmp_path):
    late = record("http", "1626992749", payload(snapshot(1626992748000 * MS, 9)), url=DEPTH_URL)
    events = list(open_recordings([write(tmp_path / "x", session(late))]))
    assert [type(event) for event in events][-1] is BookSnapshot
    assert len(events) == 4


def test_decimal_seconds_are_exact():
    assert decimal_ns(b"1626992741.123456789") == 1626992741123456789
    assert decimal_ns(b"1626992741.17") == 1626992741170000000
    assert decimal_ns(b"1.6269927e9") == 1626992700000000000
    for text in (b"", b"null", b'"1"', b"NaN", b"-1", b"0", b"1e99", b"[]", b"\xff"):
        with pytest.raises(ValueError, match="local time"):
            decimal_ns(text)


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        ("malformed", "{"),
        ("malformed", record("recv", "1626992742", "{")),
        ("invalid", "[]"),
        ("invalid", record("recv", "1626992742").replace('"recv"', "5")),
        ("invalid", record("http", "1626992742", {"lastUpdateId": 5}, url=DEPTH_URL)),
        ("invalid", record("http", "1626992742", {"code": -1003, "msg": "banned"}, url=DEPTH_URL)),
        ("line_format", record("recv", "null", payload(ticker(T0, 9, "AKROUSDT")))),
        ("local_time", record("recv", "1626992741.4", payload(ticker(1626992741100 * MS, 9, "AKROUSDT")))),
        ("local_time", record("http", "1626992741.4", payload(snapshot(1626992741000 * MS, 9)), url=DEPTH_URL)),
        ("sequence", record("recv", "1626992742", payload(ticker(1626992741100 * MS, 6, "AKROUSDT")))),
    ],
)
def test_bad_records_are_named_or_left_out(tmp_path, kind, bad):
    path = write(tmp_path / "x", session(bad, record("send", "1626992743", "x")))
    with pytest.raises(InputError) as caught:
        list(open_recordings([path]))
    assert caught.value.line == 7
    feed = open_recordings([path], tolerant=True)
    assert len(list(feed)) == 3
    assert feed.skipped == {kind: 1}


@pytest.mark.parametrize(
    "info",
    [
        {"symbols": 5},
        {"symbols": [5]},
        [],
        exchange_info(filters=[]),
        exchange_info(filters=[{}]),
        exchange_info(symbol=None),
    ],
)
def test_a_spoilt_exchange_info_is_named(tmp_path, info):
    path = write(tmp_path / "x", session(info=info or [1]))
    with pytest.raises((InputError, ConfigError)) as caught:
        open_recordings([path])
    assert str(path) in str(caught.value) or "AKROUSDT" in str(caught.value)


@pytest.mark.parametrize("header", [{"exchange": "KRAKEN", "format": 2}, {"exchange": "BINANCE_FUTURES", "format": 3}])
def test_sessions_of_other_venues_or_versions_are_refused(tmp_path, header):
    path = write(tmp_path / "x", session(header=json.dumps({"t": "header"} | header)))
    with pytest.raises(InputError, match="readable are BINANCE, BINANCE_FUTURES and BYBIT in format 2"):
        open_recordings([path])


def test_the_real_session():
    feed = open_recordings([real("binance-usdm/alts_20210722.jsonl.zst")])
    assert feed.symbols == ("AKROUSDT", "CTKUSDT", "KEEPUSDT", "SUSHIUSDT")
    assert all(instrument.source == "exchangeInfo" for instrument in feed.instruments.values())
    assert feed.inputs[0].clock_shift_ns == 0
    assert kinds(feed)["BookSnapshot"] == 4
    assert feed.ignored["kline_1m"] == 67
    times = [event.local_ns for event in feed]
    assert times == sorted(times)
    assert (times[0], times[-1]) == (feed.first_ns, feed.last_ns)


def test_the_real_captures():
    feed = open_recordings([real("binance-usdm/btcusdt_20240808.gz"), real("binance-usdm/ethusdt_20240808.gz")])
    assert feed.symbols == ("BTCUSDT", "ETHUSDT")
    assert feed.inputs[0].lines == 93_954
    assert feed.inputs[0].clock_shift_ns == 1_272_548_721
    counts, previous, least = Counter(), 0, 10**18
    for event in feed:
        assert event.local_ns >= previous
        previous = event.local_ns
        counts[event.symbol, type(event)] += 1
        least = min(least, event.local_ns - event.exchange_ns)
    assert least >= 0
    assert counts["BTCUSDT", BookDelta] == 6_551
    assert counts["BTCUSDT", TopOfBook] == 66_089
    assert counts["BTCUSDT", Trade] == 21_313
    assert counts["ETHUSDT", Trade] == 14_076
    with pytest.raises(ConfigError, match="two markets"):
        open_recordings([USDM / "btcusdt_20240808.gz", real("binance-spot/btcusdt_20240808.gz")])
