"""``grinder data gaps``: silences by symbol, across partitions and files; what cannot be read."""

from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grinder.cli.main import invoke
from grinder.errors import ConfigError
from grinder.feeds.gaps import scan
from grinder.feeds.recorder import Recorder
from grinder.instruments import TABLE
from grinder.types import Side, Trade

T0 = 1_723_161_600_000
AGG = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"


class Prints:
    """A feed of prints at given ms, by symbol."""

    inputs = ()

    def __init__(self, **times):
        self.symbols = tuple(sorted(times))
        self.markets = dict.fromkeys(times, "binance-usdm")
        self.instruments = {symbol: TABLE[symbol] for symbol in times}
        self.skipped, self.ignored = Counter(), Counter()
        self._times = sorted((at, symbol) for symbol, all_of in times.items() for at in all_of)

    def __iter__(self):
        for number, (at, symbol) in enumerate(self._times):
            yield Trade(symbol, (T0 + at) * 10**6, (T0 + at) * 10**6, number, "1", "1", Side.BUY)


def archive(folder, day, *times, symbol="BTCUSDT"):
    folder.mkdir(exist_ok=True)
    path = folder / f"{symbol}-aggTrades-2024-08-{day:02}.csv"
    path.write_text("\n".join([AGG, *(f"{n},1,1,{n},{n},{T0 + at},true" for n, at in enumerate(times))]) + "\n")
    return path


def rows(report):
    return [(gap.symbol, gap.gap_ms, gap.ts_start - T0, gap.ts_end - T0) for gap in report.gaps]


def test_silences_count_by_symbol(tmp_path):
    root = tmp_path / "x"
    Recorder(root, Prints(BTCUSDT=[0, 60_000, 120_001], ETHUSDT=[30_000, 90_000, 110_000])).run()
    report = scan(root, 60_000)
    assert rows(report) == [("BTCUSDT", 60_001, 60_000, 120_001)]
    assert report.gaps[0].file.endswith(".parquet")
    assert scan(root, 60_001).gaps == []


def test_silences_across_partitions_and_hours_count(tmp_path):
    root = tmp_path / "x"
    Recorder(root, Prints(BTCUSDT=[0, 3_600_000, 3_700_000, 3_800_000]), rows=1).run()
    report = scan(root, 99_999)
    assert rows(report) == [
        ("BTCUSDT", 3_600_000, 0, 3_600_000),
        ("BTCUSDT", 100_000, 3_600_000, 3_700_000),
        ("BTCUSDT", 100_000, 3_700_000, 3_800_000),
    ]
    assert len({gap.file for gap in report.gaps}) == 3


def test_silences_between_files_count_unless_another_file_covers_them(tmp_path):
    day = 86_400_000
    archive(tmp_path / "in", 9, 0, 50_000)
    archive(tmp_path / "in", 11, 2 * day, 2 * day + 1)
    assert rows(scan(tmp_path, 60_000)) == [("BTCUSDT", 2 * day - 50_000, 50_000, 2 * day)]
    Recorder(tmp_path / "in" / "deep", Prints(BTCUSDT=range(0, 2 * day, day // 1000))).run()
    assert rows(scan(tmp_path, 90_000)) == []


def test_what_is_no_recording_is_passed_over_and_what_is_damaged_is_an_error(tmp_path):
    folder = tmp_path / "in"
    archive(folder, 9, 0, 1, 0)
    archive(folder, 10, 5, 70_000)
    (folder / "README.md").write_text("# hello\n")
    (folder / "cut.gz").write_bytes(b"\x1f\x8b\x08\x00")
    (folder / "empty").write_bytes(b"")
    report = scan(folder, 60_000)
    assert rows(report) == [("BTCUSDT", 69_995, 5, 70_000)]
    assert [path.rpartition("/")[2] for path in report.passed_over] == ["README.md"]
    assert [(problem.file.rpartition("/")[2], problem.line) for problem in report.errors] == [
        ("BTCUSDT-aggTrades-2024-08-09.csv", 4), ("cut.gz", 0), ("empty", 0),
    ]  # fmt: skip


def test_a_check_of_nothing_does_not_pass(tmp_path, capsys):
    empty, notes, out = tmp_path / "empty", tmp_path / "notes", tmp_path / "gaps.json"
    (empty / "deep").mkdir(parents=True)
    notes.mkdir()
    (notes / "README.md").write_text("# hello\n")
    for root, said in ((empty, ";"), (notes, ", but 1 other files;"), (notes / "README.md", ", but 1 other files;")):
        for more in ((), ("--json",)):
            assert invoke(["data", "gaps", "--root", str(root), "--output", str(out), *more]) == 2
            assert f"no recording below {root}{said}" in capsys.readouterr().err
    assert not out.exists()


def test_a_recording_without_a_whole_partition_is_damaged(tmp_path):
    root = tmp_path / "x"
    Recorder(root, Prints(BTCUSDT=[0, 10]), rows=2).run()
    for part in root.glob("date=*/hour=*/*"):
        part.unlink()
    report = scan(tmp_path, 1000)
    assert [(error.file, "no whole partition" in error.message) for error in report.errors] == [(str(root), True)]
    assert invoke(["data", "gaps", "--root", str(root)]) == 3


@pytest.mark.parametrize("damage", ["bytes", "sidecar", "missing sidecar", "missing partition", "manifest"])
def test_partitions_that_differ_from_their_sidecars_are_errors(tmp_path, damage):
    root = tmp_path / "x"
    Recorder(root, Prints(BTCUSDT=[0, 10, 20, 30]), rows=2).run()
    path = min(root.rglob("*.parquet"))
    beside = path.with_suffix(".json")
    if damage == "bytes":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "sidecar":
        beside.write_text(beside.read_text().replace('"row_count": 2', '"row_count": 3'))
    elif damage == "missing sidecar":
        beside.unlink()
    elif damage == "missing partition":
        path.unlink()
    else:
        (root / "recording.json").write_text("{")
    report = scan(tmp_path, 60_000)
    assert len(report.errors) == 1
    assert invoke(["data", "gaps", "--root", str(tmp_path)]) == 3


def test_a_hostile_partition_is_an_error_too(tmp_path):
    root = tmp_path / "x"
    Recorder(root, Prints(BTCUSDT=[0, 10])).run()
    (path,) = root.rglob("*.parquet")
    table = pq.read_table(path, partitioning=None)
    at = table.column_names.index("local_ns")
    pq.write_table(table.set_column(at, "local_ns", pa.array([None, 5], pa.int64())), path)
    beside = path.with_suffix(".json")
    digest = sha256(path.read_bytes()).hexdigest()
    beside.write_text(json.dumps(json.loads(beside.read_text()) | {"sha256": digest}))
    (problem,) = scan(root, 1).errors
    assert "no local time" in problem.message


def test_exit_codes_output_and_json(tmp_path, capsys):
    folder = tmp_path / "in"
    archive(folder, 9, 0, 60_000, 121_000)
    out = tmp_path / "gaps.json"
    assert invoke(["data", "gaps", "--root", str(folder), "--output", str(out)]) == 1
    shown = capsys.readouterr()
    assert "61,000" in shown.out
    assert "1 gaps longer than 60,000 ms in 1 recordings, 0 errors" in shown.out
    assert json.loads(out.read_text()) == [
        {"file": str(folder / "BTCUSDT-aggTrades-2024-08-09.csv"), "symbol": "BTCUSDT", "gap_ms": 61_000,
         "ts_start": T0 + 60_000, "ts_end": T0 + 121_000}
    ]  # fmt: skip
    assert invoke(["data", "gaps", "--root", str(folder), "--threshold-ms", "61000", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["gaps"], report["errors"], len(report["scanned"])) == ([], [], 1)
    assert invoke(["data", "gaps", "--root", str(tmp_path / "gone")]) == 2
    assert invoke(["data", "gaps", "--root", str(folder), "--threshold-ms", "0"]) == 2
    assert invoke(["data", "gaps", "--root", str(folder), "--output", str(tmp_path)]) == 2
    with pytest.raises(ConfigError, match="does not exist"):
        scan(tmp_path / "gone", 1)


def test_names_of_files_are_escaped_on_the_terminal(tmp_path, capsys):
    archive(tmp_path, 9, 0, 70_000).rename(tmp_path / "BTC-\x1b[31mred.csv")
    assert invoke(["data", "gaps", "--root", str(tmp_path)]) == 3
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err
    assert "does not name its symbol" in shown.err


def test_links_to_folders_are_not_followed(tmp_path):
    archive(tmp_path / "in", 9, 0, 1)
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    assert len(scan(tmp_path / "in", 1000).scanned) == 1
