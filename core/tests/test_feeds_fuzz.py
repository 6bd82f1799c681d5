"""Cut, spoilt and shuffled files of every format: an InputError with the file, or events and a count; never more."""

from __future__ import annotations

import gzip
import json
import zipfile
from io import BytesIO
from random import Random

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grinder.errors import ConfigError, InputError
from grinder.feeds import open_recordings
from grinder.market.state import MarketState

T0 = 1_723_161_600_000
ROWS = 40


def capture():
    for n in range(ROWS):
        data = {"e": "bookTicker", "u": n + 1, "s": "BTCUSDT", "b": "1.2", "B": "2", "a": "1.3", "A": "2", "E": T0 + n}
        yield f"{(T0 + n) * 10**6} " + json.dumps({"stream": "btcusdt@bookTicker", "data": data}, separators=(",", ":"))


def bybit():
    yield json.dumps({"t": "header", "format": 2, "exchange": "BYBIT"})
    yield json.dumps({"t": "connect", "conn": "w", "ts": 1, "addr": "wss://x/v5/public/linear"})
    for n in range(ROWS):
        data = {"s": "BTCUSDT", "b": [["1.2", "3"]], "a": [["1.3", "0"]], "u": n + 1}
        frame = {"topic": "orderbook.50.BTCUSDT", "type": "delta" if n else "snapshot", "ts": T0 + n, "data": data}
        yield json.dumps({"t": "recv", "conn": "w", "ts": (T0 + n) / 1000, "data": json.dumps(frame)})


def archive():
    yield "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
    for n in range(ROWS):
        yield f"{n},61800.1,0.5,{n},{n},{T0 + n},true"


def tardis():
    yield "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"
    for n in range(ROWS):
        yield f"binance-futures,BTCUSDT,{T0 + n}000,{T0 + n}500,{str(n < 9).lower()},bid,{100 + n},1.5"


FORMATS = {"capture": capture, "bybit": bybit, "archive": archive, "tardis": tardis}


NAME = "BTCUSDT-aggTrades-2024-08-09.csv"


def zipped(data):
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(NAME, data)
    return file.getvalue()


PACKINGS = {
    "plain": bytes,
    "gz": lambda data: gzip.compress(data, mtime=0),
    "zst": zstandard.ZstdCompressor().compress,
    "zip": zipped,
}


def read(path, *, tolerant):
    """How many events come; None when the file is refused by name, or its symbols for an error in them."""
    try:
        feed = open_recordings([path], tolerant=tolerant)
        state = MarketState(10**9)
        for event in feed:
            state.now_ns = event.local_ns
            state.apply(event)
    except (InputError, ConfigError) as error:
        refused = error
    else:
        return state.events
    assert str(path) in str(refused) or "venue rules of" in str(refused)
    return None


def damaged(data, random):
    for _ in range(random.randrange(1, 4)):
        at = random.randrange(len(data))
        how = random.randrange(5)
        if how == 0:
            data = data[:at]
        elif how == 1:
            data = data[:at] + bytes([data[at] ^ (1 << random.randrange(8))]) + data[at + 1 :]
        elif how == 2:
            data = data[:at] + random.randbytes(random.randrange(1, 30)) + data[at:]
        elif how == 3:
            end = at + random.randrange(200)
            data = data[:at] + data[end:]
        else:
            end = at + random.randrange(200)
            data = data[:end] + data[at:end] + data[end:]
        if not data:
            break
    return data


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("kind", FORMATS)
def test_sound_files_are_read_whole(tmp_path, kind, packing):
    path = tmp_path / NAME
    path.write_bytes(PACKINGS[packing]("\n".join(FORMATS[kind]()).encode()))
    assert read(path, tolerant=False) == ROWS


@settings(deadline=None, max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.sampled_from(sorted(FORMATS)), packing=st.sampled_from(["plain", "gz", "zst", "zip"]), seed=st.integers(0)
)
def test_damaged_files_are_refused_by_name_or_read_in_part(tmp_path_factory, kind, packing, seed):
    path = tmp_path_factory.mktemp("f") / NAME
    random = Random(seed)
    text = "\n".join(FORMATS[kind]()).encode()
    pack = PACKINGS[packing]
    path.write_bytes(pack(damaged(text, random)) if random.random() < 0.5 else damaged(pack(text), random))
    strict, tolerant = read(path, tolerant=False), read(path, tolerant=True)
    if strict is not None:
        assert tolerant is not None
        assert tolerant <= strict + 1


@settings(deadline=None, max_examples=150)
@given(
    lines=st.lists(st.text(st.characters(codec="utf-8"), max_size=60), max_size=6),
    kind=st.sampled_from(sorted(FORMATS)),
    at=st.integers(1, 5),
)
def test_any_text_among_sound_lines(tmp_path_factory, lines, kind, at):
    path = tmp_path_factory.mktemp("f") / NAME
    sound = list(FORMATS[kind]())
    path.write_text("\n".join([*sound[:at], *lines, *sound[at:]]), encoding="utf-8")
    read(path, tolerant=False)
    read(path, tolerant=True)
