"""A recording is as good as what was recorded: the run on it makes the same decisions and fills."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from grinder.cli.main import invoke
from grinder.feeds import open_recordings
from grinder.feeds.synthetic import Synthetic
from grinder.types import BookDelta, BookSnapshot, Side, TopOfBook, Trade

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
S = 10**9
SECONDS = 40


def shared(name):
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"no recording {path.relative_to(SHARED.parent.parent)}")
    return [str(path)]


def alts(_folder):
    return shared("binance-usdm/alts_20210722.jsonl.zst")


def bybit(_folder):
    return shared("bybit-v5/linear_btc_doge_20260809.jsonl.zst")


def market():
    return Synthetic(3, ("BTCUSDT",), duration_ns=SECONDS * S)


def archive(folder):
    """The quotes and the prints of the synthetic market, as the archive has them."""
    quotes = ["update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time"]
    prints = ["agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"]
    for event in market():
        ms = event.local_ns // 10**6
        if isinstance(event, TopOfBook):
            quotes.append(f"{event.update_id},{event.bid},{event.bid_qty},{event.ask},{event.ask_qty},{ms},{ms}")
        elif isinstance(event, Trade):
            number = event.trade_id
            maker = str(event.taker is Side.SELL).lower()
            prints.append(f"{number},{event.price},{event.qty},{number},{number},{ms},{maker}")
    plain = folder / "BTCUSDT-aggTrades-2024-08-09.csv"
    plain.write_text("\n".join(prints) + "\n")
    packed = folder / "BTCUSDT-bookTicker-2024-08-09.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("BTCUSDT-bookTicker-2024-08-09.csv", "\n".join(quotes) + "\n")
    return [str(packed), str(plain)]


def tardis(folder):
    """The books and the prints of the synthetic market, as Tardis.dev has them."""
    books = ["exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"]
    prints = ["exchange,symbol,timestamp,local_timestamp,id,side,price,amount"]
    for event in market():
        head = f"bybit,BTCUSDT,{event.exchange_ns // 1000},{event.local_ns // 1000}"
        if isinstance(event, BookDelta | BookSnapshot):
            first = str(isinstance(event, BookSnapshot)).lower()
            books += [f"{head},{first},bid,{price},{amount}" for price, amount in event.bids]
            books += [f"{head},{first},ask,{price},{amount}" for price, amount in event.asks]
        elif isinstance(event, Trade):
            prints.append(f"{head},{event.trade_id},{event.taker.value.lower()},{event.price},{event.qty}")
    paths = []
    for name, lines in (("book", books), ("trades", prints)):
        path = folder / f"{name}.csv.gz"
        path.write_bytes(gzip.compress("\n".join([*lines, ""]).encode(), mtime=0))
        paths.append(str(path))
    return paths


def synthetic(_folder):
    return ["--duration", f"{SECONDS}s"]


def run(out, *args):
    assert invoke(["run", "--out", str(out), "--set", "plugins.warm_up.seconds=5", *args]) == 0
    return json.loads((out / "summary.json").read_text())


@pytest.mark.parametrize("source", [alts, bybit, archive, tardis, synthetic])
def test_a_run_on_a_recording_is_the_run_on_its_source(tmp_path, source, capsys):
    args = source(tmp_path)
    recording = tmp_path / "recording"
    assert invoke(["record", "--out", str(recording), "--rows", "3000", "--json", *args]) == 0
    recorded = json.loads(capsys.readouterr().out)
    assert recorded["complete"]
    one = run(tmp_path / "source", *args)
    two = run(tmp_path / "again", "--replay", str(recording))
    assert one["events"] == two["events"] == recorded["rows"] > 0
    assert one["fills"] > 0
    for key in ("decisions_sha256", "fills_sha256", "decisions", "pnl", "feed"):
        assert one[key] == two[key], key
    assert open_recordings([recording]).inputs[0].format.endswith(" recording")
    assert invoke(["data", "gaps", "--root", str(recording), "--threshold-ms", "30000"]) == 0


def test_an_interrupted_recording_is_whole_so_far(tmp_path):
    command = [sys.executable, "-m", "grinder.cli", "record", "--out", str(tmp_path / "x"), "--duration", "10d"]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen([*command, "--rows", "500", "--json"], stdout=subprocess.PIPE, text=True, env=env) as process:
        while len(list((tmp_path / "x").glob("date=*/hour=*/*.parquet"))) < 2:
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    recorded = json.loads(out)
    assert not recorded["complete"]
    summary = run(tmp_path / "run", "--replay", str(tmp_path / "x"))
    assert summary["events"] == recorded["rows"]
    assert open_recordings([tmp_path / "x"]).inputs[0].format == "synthetic recording, interrupted"


def test_what_cannot_be_recorded_is_named_with_its_exit_code(tmp_path, capsys):
    gone = tmp_path / "gone.gz"
    assert invoke(["record", "--out", str(tmp_path / "a"), "--replay", str(gone)]) == 2
    assert "gone.gz does not exist" in capsys.readouterr().err
    gone.write_bytes(b"\x1f\x8b\x08\x00")
    assert invoke(["record", "--out", str(tmp_path / "a"), "--replay", str(gone)]) == 3
    assert not (tmp_path / "a").exists()
    assert invoke(["record", "--out", str(tmp_path), "--duration", "1s"]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert invoke(["record", "--duration", "1s"]) == 2
    assert invoke(["record", "--out", str(tmp_path / "b"), "--rows", "0"]) == 2
    assert invoke(["record", "--out", str(tmp_path / "b"), "--symbols", "NOPE"]) == 2
    cut = tmp_path / "BTCUSDT-trades-2024-08-09.csv"
    cut.write_text("1,10,1,10,1723161600000,true\n2,10,1,10,1723161600001,true\n2,10,1,10,1723161600002,true\n")
    capsys.readouterr()
    assert invoke(["record", "--out", str(tmp_path / "c"), "--replay", str(cut), "--json"]) == 3
    shown = capsys.readouterr()
    assert json.loads(shown.out)["rows"] == 2
    assert "line 3" in shown.err
    assert invoke(["record", "--out", str(tmp_path / "d"), "--replay", str(cut), "--json", "--tolerant"]) == 0
    assert json.loads(capsys.readouterr().out)["skipped"] == {"sequence": 1}
