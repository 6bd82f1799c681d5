"""Frames of Binance: what they become, and everything that can be wrong with them."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder.feeds.binance import Frames, subject
from grinder.feeds.damage import FrameError, explain
from grinder.types import BookDelta, BookSnapshot, MarkPrice, Side, TopOfBook, Trade

MS = 10**6
E = 1_723_161_256_322
LOCAL = E * MS + 5

TICKER = {
    "e": "bookTicker",
    "u": 10,
    "s": "BTCUSDT",
    "b": "61800.20",
    "B": "2.507",
    "a": "61800.30",
    "A": "2.510",
    "T": E,
    "E": E,
}
DEPTH = {
    "e": "depthUpdate", "E": E, "T": E, "s": "BTCUSDT", "U": 5, "u": 10, "pu": 4,
    "b": [["61496.50", "0.010"], ["61510.90", "0.000"]], "a": [["61800.30", "1.5"]],
}  # fmt: skip
TRADE = {
    "e": "trade",
    "E": E,
    "T": E,
    "s": "BTCUSDT",
    "t": 10,
    "p": "61800.30",
    "q": "0.006",
    "X": "MARKET",
    "m": False,
}
AGG = {"e": "aggTrade", "E": E, "a": 10, "s": "BTCUSDT", "p": "1.01100", "q": "10", "f": 1, "l": 2, "T": E, "m": True}
MARK = {
    "e": "markPriceUpdate",
    "E": E,
    "s": "BTCUSDT",
    "p": "61801.1",
    "i": "61800.9",
    "P": "1",
    "r": "-0.00010000",
    "T": E + 1,
}
SNAPSHOT = {"lastUpdateId": 7, "E": E, "T": E, "bids": [["61800.20", "2.909"]], "asks": [["61800.30", "1"]]}
STREAMS = {"bookTicker": TICKER, "depth@0ms": DEPTH, "trade": TRADE, "aggTrade": AGG, "markPrice@1s": MARK}


def frames(*, spot=False, streams=(), symbols=("BTCUSDT",)):
    return Frames(streams, symbols, spot=spot, ignored=Counter())


def text(data, stream=None):
    return json.dumps(
        data if stream is None else {"stream": f"btcusdt@{stream}", "data": data}, separators=(",", ":")
    ).encode()


def fold(source, data, stream=None, local=LOCAL):
    payload = text(data, stream)
    return source.meet(payload, "BTCUSDT")(payload, local)


def refusal(source, data, stream=None):
    """The kind of what is wrong; empty when the frame is accepted."""
    try:
        fold(source, data, stream)
    except ValueError as error:
        return explain(error)[0]
    return ""


def test_each_frame_becomes_its_event():
    source = frames()
    assert fold(source, TICKER, "bookTicker") == TopOfBook(
        "BTCUSDT", E * MS, LOCAL, 10, "61800.20", "2.507", "61800.30", "2.510"
    )
    bids, asks = [("61496.50", "0.010"), ("61510.90", "0.000")], [("61800.30", "1.5")]
    assert fold(source, DEPTH, "depth@0ms") == BookDelta("BTCUSDT", E * MS, LOCAL, 5, 10, 4, bids, asks)
    assert fold(source, TRADE, "trade") == Trade("BTCUSDT", E * MS, LOCAL, 10, "61800.30", "0.006", Side.BUY)
    assert fold(source, AGG, "aggTrade") == Trade("BTCUSDT", E * MS, LOCAL, 10, "1.01100", "10", Side.SELL)
    mark = MarkPrice("BTCUSDT", E * MS, LOCAL, "61801.1", "61800.9", "-0.00010000", (E + 1) * MS)
    assert fold(source, MARK, "markPrice@1s") == mark
    snapshot = BookSnapshot("BTCUSDT", E * MS, LOCAL, 7, [("61800.20", "2.909")], [("61800.30", "1")])
    assert fold(source, SNAPSHOT) == snapshot


def test_spot_frames_have_fewer_keys():
    source = frames(spot=True)
    ticker = {key: TICKER[key] for key in "usbBaA"}
    assert fold(source, ticker, "bookTicker").exchange_ns == 0
    depth = {key: value for key, value in DEPTH.items() if key not in {"pu", "T"}}
    assert fold(source, depth, "depth@100ms").prev_id == -1
    snapshot = {key: SNAPSHOT[key] for key in ("lastUpdateId", "bids", "asks")}
    assert fold(source, snapshot).exchange_ns == 0


def test_newer_keys_are_taken_and_symbols_that_do_not_trade_left_out():
    source = frames()
    assert fold(source, TICKER | {"st": 1, "ps": "BTCUSDT", "new": {"x": [1]}}, "bookTicker") is not None
    source = frames()
    for stream, data in STREAMS.items():
        assert fold(source, data | {"st": 2}, stream) is None
    assert source._ignored == {"symbol not trading": 5}


def test_other_streams_are_ignored_by_name():
    source = frames(streams={"btcusdt@trade"})
    for stream in ("kline_1m", "kline_1m", "depth20@100ms", "depth5", "forceOrder", "aggTrade"):
        assert fold(source, {"anything": 1}, stream) is None
    payload = text({"stream": "!ticker@arr", "data": []})
    assert source.meet(payload, "")(payload, 1) is None
    assert fold(source, {"result": None, "id": 1}) is None
    other = text({"stream": "ethusdt@trade", "data": {}})
    assert source.meet(other, "")(other, 1) is None
    assert source._ignored == {
        "kline_1m": 2, "depth20@100ms": 1, "depth5": 1, "forceOrder": 1, "aggTrade": 1, "!ticker@arr": 1, "reply": 1,
        "symbol not asked for": 1,
    }  # fmt: skip


def test_names_that_are_counted_are_bounded():
    source = frames()
    for at in range(3_000):
        fold(source, {}, f"kline_{at}m")
    assert len(source._ignored) == 101
    assert source._ignored["others"] == 2_900
    assert len(source.handlers) <= 1_000


NO_NUMBERS = ["", ".", "NaN", "nan", "inf", "-1", "-0.1", "1e999", "1e19", "1,5", "abc", " 1", "1_0", "0x1", "1.2.3"]
PRICED = [
    *[("bookTicker", key, "u") for key in "bBaA"],
    *[("trade", key, "t") for key in "pq"],
    *[("aggTrade", key, "a") for key in "pq"],
    *[("markPrice@1s", key, "E") for key in "pi"],
]


@pytest.mark.parametrize("number", NO_NUMBERS)
@pytest.mark.parametrize(("stream", "key", "sequence"), PRICED)
def test_what_is_no_number_is_refused(stream, key, sequence, number):
    source = frames()
    data = STREAMS[stream]
    assert refusal(source, data | {key: number}, stream) == "number"
    # Once a sound frame has been seen, the check takes a shorter way.
    fold(source, data, stream)
    assert refusal(source, data | {key: number, sequence: data[sequence] + 1}, stream) == "number"
    assert refusal(source, data | {sequence: data[sequence] + 2}, stream) == ""


@pytest.mark.parametrize("number", NO_NUMBERS)
@pytest.mark.parametrize(("side", "at", "part"), [("b", 0, 0), ("b", 1, 1), ("a", 0, 0), ("a", 0, 1)])
def test_what_is_no_number_is_refused_in_every_level(side, at, part, number):
    levels = [list(level) for level in DEPTH[side]]
    levels[at][part] = number
    assert refusal(frames(), DEPTH | {side: levels}, "depth@0ms") == "number"
    assert refusal(frames(), SNAPSHOT | {{"a": "asks", "b": "bids"}[side]: levels}) == "number"


@settings(deadline=None, max_examples=300)
@given(
    parts=st.lists(
        st.sampled_from(["1", "0", ".", "-", "e", "9.5", "5.", "", '"."', "[", '["1.0","2.0"]']), max_size=4
    ).map("".join),
    place=st.integers(0, 5),
    ticker=st.booleans(),
)
def test_every_string_that_passes_is_a_number(parts, place, ticker):
    source = frames()
    if ticker:
        data = TICKER | {"bBaA"[place % 4]: parts}
        fold(source, TICKER | {"u": 1}, "bookTicker")
    else:
        numbers = ["1.5"] * 6
        numbers[place] = parts
        data = DEPTH | {"b": [numbers[:2], numbers[2:4]], "a": [numbers[4:]]}
    try:
        event = fold(source, data, "bookTicker" if ticker else "depth@0ms")
    except ValueError:
        return
    found = (
        [event.bid, event.bid_qty, event.ask, event.ask_qty]
        if ticker
        else [x for level in (*event.bids, *event.asks) for x in level]
    )
    for number in found:
        assert 0 <= float(number) <= 1e18


@pytest.mark.parametrize("stream", list(STREAMS))
def test_missing_keys_and_wrong_types_are_refused(stream):
    optional = {"e", "T", "X", "P", "f", "l"} - ({"T"} if "mark" in stream else set())
    for key in STREAMS[stream].keys() - optional:
        data = {k: v for k, v in STREAMS[stream].items() if k != key}
        for wrong in ({}, {key: None}, {key: {}}, {key: 1.5}, {key: [["1", 2]]}, {key: [["1", "2", "3"]]}):
            assert refusal(frames(), data | wrong, stream) == "invalid", (key, wrong)


@pytest.mark.parametrize(
    ("stream", "key"),
    [("bookTicker", "u"), ("depth@0ms", "u"), ("trade", "t"), ("aggTrade", "a"), ("markPrice@1s", "E")],
)
def test_ids_that_repeat_or_go_back_are_refused_and_later_ones_are_not(stream, key):
    source = frames()
    data = STREAMS[stream]
    fold(source, data, stream)
    for step, words in ((0, "repeats"), (-1, "goes back")):
        with pytest.raises(FrameError, match=words) as caught:
            fold(source, data | {key: data[key] + step}, stream)
        assert caught.value.kind == "sequence"
    assert fold(source, data | {key: data[key] + 2}, stream) is not None


def test_two_streams_of_one_kind_are_one_sequence():
    source = frames()
    fold(source, DEPTH, "depth@0ms")
    with pytest.raises(FrameError, match="repeats"):
        fold(source, DEPTH, "depth@100ms")


@pytest.mark.parametrize("stream", list(STREAMS))
def test_frames_of_another_symbol_or_from_the_future_are_refused(stream):
    with pytest.raises(FrameError, match="stream is of BTCUSDT, its frame of 'ETHUSDT'"):
        fold(frames(), STREAMS[stream] | {"s": "ETHUSDT"}, stream)
    with pytest.raises(FrameError, match="ahead of the local time"):
        fold(frames(), STREAMS[stream], stream, local=(E - 2 * 86_400_000) * MS)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"stream":5}',
        b'{"stream":"btcusdt@trade"}',
        b'{"code":-1121,"msg":"x"}',
        b"\xff\xfe",
        b'{"stream":"\xff@trade","data":{}}',
        b'{"a":' * 100_000,
    ],
)
def test_what_is_no_frame_is_refused(payload):
    source = frames()
    with pytest.raises((ValueError, RecursionError)) as caught:
        source.meet(payload, "BTCUSDT")(payload, LOCAL)
    assert explain(caught.value)[0] in {"malformed", "invalid", "unknown"}


def test_a_snapshot_of_nobody_is_refused():
    payload = text(SNAPSHOT)
    with pytest.raises(FrameError, match="names no symbol"):
        frames().meet(payload, "")(payload, LOCAL)


def test_subject():
    assert subject("btcusdt@depth@100ms") == ("BTCUSDT", "depth")
    assert subject("btcusdt@markPrice@1s") == ("BTCUSDT", "markPrice")
    assert subject("btcusdt@depth20@100ms") == ("BTCUSDT", "")
    assert subject("!ticker@arr")[1] == ""
