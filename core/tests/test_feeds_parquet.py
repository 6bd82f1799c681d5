"""Parquet recordings: exact, whole or not there, checked against what was written beside them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from decimal import Decimal
from hashlib import sha256

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grinder.errors import ConfigError, InputError, StateError
from grinder.feeds import open_recordings, recorder
from grinder.feeds.columns import FIELDS, row_of
from grinder.feeds.recorder import Recorder
from grinder.feeds.synthetic import Synthetic
from grinder.instruments import TABLE
from grinder.types import BookDelta, BookSnapshot, FeedStatus, MarkPrice, Side, TopOfBook, Trade

S = 10**9
HOUR = 3600 * S
T0 = 1_723_161_600 * S


@pytest.fixture(scope="module", autouse=True)
def _quick_disk():
    """Nothing here survives a power cut anyway."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        yield


class ListFeed:
    """A feed of given events."""

    inputs = ()

    def __init__(self, events):
        self._events = events
        self.symbols = ("BTCUSDT", "ETHUSDT")
        self.markets = dict.fromkeys(self.symbols, "binance-usdm")
        self.instruments = {symbol: TABLE[symbol] for symbol in self.symbols}
        self.first_ns, self.last_ns = (events[0].local_ns, events[-1].local_ns) if events else (0, 0)
        self.skipped, self.ignored = Counter(), Counter()

    def __iter__(self):
        return iter(self._events)

    def close(self):
        """Nothing is open."""


def trade(at, number, price="61800.10", symbol="BTCUSDT"):
    return Trade(symbol, T0 + at, T0 + at, number, price, "0.005", Side.BUY)


def record(root, events, **options):
    return Recorder(root, ListFeed(events), **options).run()


def partitions(root):
    return sorted(root.glob("date=*/hour=*/*.parquet"))


decimals = st.decimals(0, 10**12, places=5, allow_nan=False).map(str) | st.sampled_from(["0", "0.000", "1e3", "7.10"])
rates = st.decimals(-5, 5, places=8).map(str)
ids = st.integers(0, 2**62)
levels = st.lists(st.tuples(decimals, decimals), max_size=4)
symbols = st.sampled_from(["BTCUSDT", "ETHUSDT"])


@st.composite
def market_events(draw):
    events, local = [], T0 + draw(st.integers(0, 2 * HOUR))
    for _ in range(draw(st.integers(1, 12))):
        local += draw(st.sampled_from([0, 0, 1, 10**6, HOUR]) | st.integers(0, S))
        symbol, exchange = draw(symbols), draw(st.sampled_from([0, local - 5]))
        event = draw(
            st.one_of(
                st.builds(BookSnapshot, *map(st.just, (symbol, exchange, local)), ids, levels, levels),
                st.builds(
                    BookDelta,
                    *map(st.just, (symbol, exchange, local)),
                    ids,
                    ids,
                    st.integers(-1, 2**62),
                    levels,
                    levels,
                ),
                st.builds(TopOfBook, *map(st.just, (symbol, exchange, local)), ids, *[decimals] * 4),
                st.builds(
                    Trade,
                    *map(st.just, (symbol, exchange, local)),
                    st.integers(0, 2**128 - 1),
                    decimals,
                    decimals,
                    st.sampled_from(Side),
                ),
                st.builds(MarkPrice, *map(st.just, (symbol, exchange, local)), decimals, decimals, rates, ids),
                st.builds(FeedStatus, st.just(symbol), st.just(local), st.booleans(), st.text(max_size=9)),
            )
        )
        events.append(event)
    return events


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(events=market_events(), rows=st.sampled_from([2, 1000]))
def test_any_events_come_back_exactly(tmp_path_factory, events, rows):
    root = tmp_path_factory.mktemp("r") / "x"
    done = record(root, events, rows=rows)
    assert (done.rows, done.complete, done.partitions) == (len(events), True, len(partitions(root)))
    feed = open_recordings([root])
    assert list(feed) == events
    assert list(feed) == events
    assert (feed.first_ns, feed.last_ns) == (events[0].local_ns, events[-1].local_ns)
    assert feed.symbols == tuple(sorted({event.symbol for event in events}))
    assert not feed.skipped
    assert all(len(row_of(event, "x", 0)) == len(FIELDS) for event in events)


def test_the_columns_that_others_read(tmp_path):
    levels = [("100.0", "1.50")]
    events = [
        TopOfBook("BTCUSDT", T0, T0, 3, "100.0", "1.50", "100.1", "2"),
        trade(5_000_000, 9, "100.05"),
        BookDelta("ETHUSDT", T0, T0 + 6_000_000, 1, 2, 0, levels, []),
    ]
    record(tmp_path / "x", events)
    (path,) = partitions(tmp_path / "x")
    assert (
        path.relative_to(tmp_path / "x").as_posix() == "date=2024-08-09/hour=00/1723161600000-1723161600006_3.parquet"
    )
    table = pq.read_table(path, partitioning=None)
    named = [
        "ts_ms",
        "symbol",
        "bid_px",
        "bid_sz",
        "ask_px",
        "ask_sz",
        "last_px",
        "last_sz",
        "side",
        "event",
        "src",
        "seq",
    ]
    assert table.column_names[:12] == named
    rows = [tuple(row.values()) for row in table.select(named).to_pylist()]
    none = (None,) * 4
    assert rows == [
        (1723161600000, "BTCUSDT", 100.0, 1.5, 100.1, 2.0, None, None, None, "top", "binance-usdm", 0),
        (1723161600005, "BTCUSDT", *none, 100.05, 0.005, "BUY", "trade", "binance-usdm", 1),
        (1723161600006, "ETHUSDT", *none, None, None, None, "delta", "binance-usdm", 2),
    ]
    assert table.column("bids").to_pylist()[2] == '[["100.0","1.50"]]'
    sidecar = json.loads(path.with_suffix(".json").read_text())
    assert sidecar["sha256"] == sha256(path.read_bytes()).hexdigest()
    order = sidecar["feature_schema"]["field_order"]
    assert order == table.column_names[12:]
    assert sidecar["feature_schema"]["field_order_hash"] == sha256(",".join(order).encode()).hexdigest()
    expected = {
        "min_ts": 1723161600000, "max_ts": 1723161600006, "row_count": 3, "schema_ver": 1, "src": "binance-usdm",
        "symbols": ["BTCUSDT", "ETHUSDT"], "first_seq": 0,
        "tells": ["btcusdt@bookTicker", "btcusdt@trade", "ethusdt@depth"],
    }  # fmt: skip
    assert sidecar == sidecar | expected


def test_partitions_end_with_the_hour_with_their_rows_and_with_their_bytes(tmp_path, monkeypatch):
    events = [trade(at * 600 * S, at) for at in range(12)]
    record(tmp_path / "hours", events)
    assert [path.parent.name for path in partitions(tmp_path / "hours")] == ["hour=00", "hour=01"]
    record(tmp_path / "rows", events, rows=5)
    assert [path.stem.rpartition("_")[2] for path in partitions(tmp_path / "rows")] == ["5", "1", "5", "1"]
    monkeypatch.setattr(recorder, "_BYTES", 3 * len('[["1","1"]][]'))
    deltas = [BookDelta("BTCUSDT", T0, T0 + at, at, at, at - 1, [("1", "1")], []) for at in range(8)]
    record(tmp_path / "bytes", deltas)
    assert sorted(path.stem.rpartition("_")[2] for path in partitions(tmp_path / "bytes")) == ["2", "3", "3-2"]
    for name, wanted in (("hours", events), ("rows", events), ("bytes", deltas)):
        assert list(open_recordings([tmp_path / name])) == wanted


def test_more_rows_of_one_millisecond_than_a_partition_takes(tmp_path):
    events = [trade(0, at) for at in range(20)]
    record(tmp_path / "x", events, rows=4)
    assert list(open_recordings([tmp_path / "x"])) == events


def test_memory_does_not_grow_with_the_recording(tmp_path):
    written = Recorder(tmp_path / "x", ListFeed([trade(at, at) for at in range(1000)]), rows=10)
    most = 0
    write = written._write

    def watched(path, rows, sidecar):
        nonlocal most
        most = max(most, len(rows), len(written._rows))
        write(path, rows, sidecar)

    written._write = watched
    assert written.run().partitions == 100
    assert most == 10


def test_rules_travel_with_the_recording(tmp_path):
    feed = Synthetic(1, duration_ns=2 * S)
    own = msgspec.structs.replace(TABLE["BTCUSDT"], tick_size=Decimal("0.50"), source="elsewhere")
    feed.instruments = {**feed.instruments, "BTCUSDT": own}
    Recorder(tmp_path / "x", feed).run()
    assert open_recordings([tmp_path / "x"]).instruments["BTCUSDT"] == own


def test_a_duration_ends_as_a_run_does(tmp_path):
    events = [trade(at * S, at) for at in range(10)]
    assert record(tmp_path / "x", events, duration_ns=3 * S).rows == 3
    assert list(open_recordings([tmp_path / "x"])) == events[:3]


def test_recordings_are_merged_with_others_and_overlap_is_refused(tmp_path):
    one = [trade(at * S, at) for at in range(5)]
    other = [trade(at * S, at, symbol="ETHUSDT") for at in range(5)]
    record(tmp_path / "one", one)
    record(tmp_path / "other", other)
    record(tmp_path / "again", one[2:])
    feed = open_recordings([tmp_path / "one", tmp_path / "other"])
    assert [event.symbol for event in feed] == ["BTCUSDT", "ETHUSDT"] * 5
    assert [event.symbol for event in open_recordings([tmp_path / "one", tmp_path / "other"], symbols=["ETHUSDT"])] == [
        "ETHUSDT"
    ] * 5
    with pytest.raises(ConfigError, match="both hold btcusdt@trade"):
        open_recordings([tmp_path / "one", tmp_path / "again"])
    with pytest.raises(ConfigError, match="are the same file"):
        open_recordings([tmp_path / "one", tmp_path / "one"])


def test_a_folder_that_is_not_empty_is_refused(tmp_path):
    record(tmp_path / "x", [trade(0, 1)])
    with pytest.raises(ConfigError, match=r"is not empty.*name a new folder$"):
        record(tmp_path / "x", [trade(0, 1)])
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be used for a recording"):
        record(tmp_path / "file", [trade(0, 1)])


@pytest.mark.parametrize("events", [[trade(0, 1), BookDelta("BTCUSDT", 1, T0 + 1, 1, 2**70, 0, [], [])]])
def test_numbers_beyond_64_bits_are_refused(tmp_path, events):
    with pytest.raises(InputError, match="more than 64 bits"):
        record(tmp_path / "x", events)


# What an end before the end leaves.


def test_damaged_input_leaves_what_came_before_it(tmp_path):
    def broken():
        yield from (trade(at, at) for at in range(7))
        raise InputError("source", 8, "is spoilt")

    feed = ListFeed([])
    feed.__class__ = type("Broken", (ListFeed,), {"__iter__": lambda _: broken()})
    with pytest.raises(InputError, match="is spoilt"):
        Recorder(tmp_path / "x", feed, rows=3).run()
    again = open_recordings([tmp_path / "x"])
    assert [event.trade_id for event in again] == list(range(7))
    assert again.inputs[0].format == "binance-usdm recording, interrupted"


def test_a_recording_that_is_stopped_is_whole_so_far(tmp_path):
    written = Recorder(tmp_path / "x", ListFeed([trade(at, at) for at in range(10)]), rows=4)
    assert not written.run(lambda _, count: written.stop() if count == 8 else None).complete
    assert [event.trade_id for event in open_recordings([tmp_path / "x"])] == list(range(9))


KILLED = """
import os, signal, sys
from pathlib import Path
from grinder import files
from grinder.feeds import recorder
from grinder.feeds.synthetic import Synthetic
steps = int(sys.argv[2])
def dying(inner):
    def call(*args):
        global steps
        if steps == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        steps -= 1
        return inner(*args)
    return call
for module, name in ((recorder, "write_rows"), (recorder, "replace_file"), (files, "rename")):
    setattr(module, name, dying(getattr(module, name)))
recorder.Recorder(Path(sys.argv[1]), Synthetic(1, duration_ns=3_000_000_000), rows=200).run()
"""


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 6, 9])
def test_killed_at_any_step_what_is_there_replays(tmp_path, steps):
    root = tmp_path / "x"
    done = subprocess.run([sys.executable, "-c", KILLED, str(root), str(steps)], check=False)
    assert done.returncode == -signal.SIGKILL
    wanted = list(Synthetic(1, duration_ns=3 * S))
    whole = len(partitions(root))
    if not whole:
        with pytest.raises((InputError, ConfigError), match=r"no whole partition|not one that 'grinder record'"):
            open_recordings([root])
        return
    assert list(open_recordings([root])) == wanted[: 200 * whole]


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    written = Recorder(tmp_path / "x", ListFeed([trade(0, 1)]))
    monkeypatch.setattr(recorder, "write_rows", full)
    with pytest.raises(StateError, match="cannot be written: No space left on device"):
        written.run()


# Damage.


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "x"
    record(root, [trade(at * S, at) for at in range(30)], rows=10)
    return root


def rewrite(path, change, **options):
    """Change a partition's rows and let its sidecar vouch for it: what only a hostile hand does."""
    table = change(pq.read_table(path, partitioning=None))
    pq.write_table(table, path, **options)
    beside = path.with_suffix(".json")
    sidecar = json.loads(beside.read_text()) | {"sha256": sha256(path.read_bytes()).hexdigest()}
    beside.write_text(json.dumps(sidecar))


def put(name, values, kind=None):
    def change(table):
        at = table.column_names.index(name)
        field = pa.field(name, kind or table.schema.field(at).type)
        return table.set_column(at, field, pa.array(values, field.type))

    return change


def unreadable_text(table):
    """Bytes that are no UTF-8, in a column of strings."""
    length = pa.array([b"\xff\xfe"] * table.num_rows, pa.binary())
    spoilt = pa.Array.from_buffers(pa.string(), table.num_rows, length.buffers())
    return table.set_column(table.column_names.index("price"), pa.field("price", pa.string()), spoilt)


def test_any_flipped_byte_is_found(root):
    path = partitions(root)[1]
    data = path.read_bytes()
    for at in range(0, len(data), 97):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(InputError, match="its bytes are not those") as caught:
            open_recordings([root])
        assert caught.value.path == str(path)
    feed = open_recordings([root], tolerant=True)
    assert [event.trade_id for event in feed] == [*range(10), *range(20, 30)]
    assert feed.skipped == {"partition": 1, "missing": 1}


@pytest.mark.parametrize("victim", [0, 1, 2])
def test_a_missing_partition_is_found(root, victim):
    partitions(root)[victim].unlink()
    with pytest.raises(InputError, match=r"was due; put the partition back|rows were recorded; put"):
        open_recordings([root])
    assert len(list(open_recordings([root], tolerant=True))) == 20


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("row_count", 9, "its sidecar is of"),
        ("min_ts", 5, "its sidecar is of"),
        ("schema_ver", 2, "of another version"),
        ("sha256", "0", "its bytes are not those"),
        ("feature_schema", {"field_order_hash": "x"}, "of another version"),
        ("feature_schema", {"config_hash": "x"}, "belongs to another recording"),
        ("row_count", "ten", "is spoilt"),
        ("symbols", 5, "is spoilt"),
    ],
)
def test_a_sidecar_that_does_not_fit_is_found(root, key, value, text):
    path = partitions(root)[0]
    beside = path.with_suffix(".json")
    beside.write_text(json.dumps(json.loads(beside.read_text()) | {key: value}))
    with pytest.raises(InputError, match=text) as caught:
        open_recordings([root])
    assert caught.value.path in (str(path), str(beside))


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"\xff", b'{"a":' * 50_000])
@pytest.mark.parametrize("name", ["sidecar", "manifest"])
def test_spoilt_and_missing_json_is_found(root, name, content):
    path = partitions(root)[0].with_suffix(".json") if name == "sidecar" else root / "recording.json"
    path.unlink() if content is None else path.write_bytes(content)
    if name == "manifest" and content is None:
        with pytest.raises(ConfigError, match="not one that 'grinder record' has made"):
            open_recordings([root])
        return
    with pytest.raises(InputError, match=r"is spoilt|is missing") as caught:
        open_recordings([root])
    assert caught.value.path == str(path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda table: table.slice(0, 9), "it has 9 rows, its sidecar says 10"),
        (put("ts_ms", [5] * 10), "its times are 5 to 5 ms"),
        (put("price", [1.5] * 10, pa.float64()), "its columns are not those"),
        (lambda table: table.drop_columns(["qty"]), "its columns are not those"),
        (put("price", [None] * 10), "row 1: a price or quantity is None"),
        (put("price", ["1"] * 5 + ["nan"] * 5), "row 6: a price or quantity is 'nan'"),
        (put("trade_id", ["-1"] * 10), "the side or the id of a trade"),
        (put("side", ["buy"] * 10), "the side or the id of a trade"),
        (put("event", ["boom"] * 10), "the event 'boom' is spoilt"),
        (put("event", ["delta"] * 10), "row 1: an id or time is missing"),
        (put("local_ns", [None] * 10), "an id or time is missing"),
        (put("local_ns", [T0 - at for at in range(10)]), "its time goes back"),
        (put("symbol", ["XRPUSDT"] * 10), "its symbol is not of the recording"),
        (put("symbol", [None] * 10), "its symbol is not of the recording"),
        (unreadable_text, "cannot be read: .*UTF8"),
    ],
)
def test_a_hostile_partition_with_a_sidecar_that_vouches_for_it(root, change, text):
    path = partitions(root)[0]
    rewrite(path, change)
    with pytest.raises(InputError, match=text) as caught:
        list(open_recordings([root]))
    assert caught.value.path == str(path)
    feed = open_recordings([root], tolerant=True)
    assert 20 <= len(list(feed)) < 30
    assert sum(feed.skipped.values())


@pytest.mark.parametrize(
    "text", ['[["1","x"]]', '[["1"]]', '{"a":1}', "[", '[["nan","1"]]', '[["-1","1"]]', '[[".","."]]', "null"]
)
def test_hostile_levels(tmp_path, text):
    root = tmp_path / "x"
    record(root, [BookDelta("BTCUSDT", T0, T0, 1, 2, 0, [("1.0", "2.0")], [])])
    rewrite(partitions(root)[0], put("bids", [text]))
    with pytest.raises(InputError, match="row 1: "):
        list(open_recordings([root]))


def test_a_partition_without_statistics_is_refused(root):
    rewrite(partitions(root)[0], lambda table: table, write_statistics=False)
    with pytest.raises(InputError, match="does not say from when to when"):
        open_recordings([root])


def test_nothing_to_record_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no events; nothing was recorded"):
        record(tmp_path / "x", [])


def test_rows_and_bytes_are_capped_before_they_are_read(root, monkeypatch):
    monkeypatch.setattr("grinder.feeds.partitions.MAX_BYTES", 100)
    with pytest.raises(InputError, match="unpacks to more than"):
        open_recordings([root])
    monkeypatch.setattr("grinder.feeds.partitions.MAX_ROWS", 9)
    with pytest.raises(InputError, match="it has 10 rows"):
        open_recordings([root])


def test_a_doubled_partition_is_found(root):
    first, *_ = partitions(root)
    copy = first.with_name(first.name.replace(".parquet", "-2.parquet"))
    copy.write_bytes(first.read_bytes())
    copy.with_suffix(".json").write_bytes(first.with_suffix(".json").read_bytes())
    with pytest.raises(InputError, match="begins with row 0, where row 10 was due"):
        open_recordings([root])


def test_what_is_no_partition_is_passed_over(root):
    folder = partitions(root)[0].parent
    for name in ("x.parquet", "1-2_3.parquet.tmp", "notes.txt"):
        (folder / name).write_bytes(b"x")
    assert len(list(open_recordings([root]))) == 30


# pyarrow is optional, and heavy.


def python(code, *args, **env):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, args)],
        capture_output=True, text=True, check=False, env=env or None,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_without_pyarrow_the_message_names_the_pip_command(root, tmp_path):
    code = """
        import sys
        sys.modules["pyarrow"] = None
        from grinder.cli.main import invoke
        sys.exit(invoke(sys.argv[1:]))
    """
    for args in (
        ("record", "--out", tmp_path / "new", "--duration", "1s"),
        ("run", "--out", tmp_path / "o", "--replay", root),
    ):
        status, _, err = python(code, *args)
        assert status == 2
        assert "pip install 'grinder-core[parquet]'" in err
    assert not (tmp_path / "new").exists()


def test_nothing_else_imports_pyarrow_or_numpy(tmp_path):
    code = """
        import sys
        from grinder.cli.main import invoke
        for args in (["--help"], ["record", "--help"], ["data", "gaps", "--help"],
                     ["run", "--duration", "1s", "--out", sys.argv[1]]):
            assert invoke(args) == 0
        print(sorted({"pyarrow", "numpy"} & sys.modules.keys()))
    """
    status, out, err = python(code, tmp_path / "o")
    assert status == 0, err
    assert out.splitlines()[-1] == "[]"


def test_numpy_is_not_needed(root):
    code = """
        import sys
        sys.modules["numpy"] = None
        from pathlib import Path
        from grinder.feeds import open_recordings
        print(sum(1 for _ in open_recordings([Path(sys.argv[1])])))
    """
    status, out, err = python(code, root)
    assert (status, out.strip()) == (0, "30"), err
