"""The timeline of a run: it agrees with the summary and the fills, changes nothing, and survives a kill."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from grinder.engine.options import RunOptions
from grinder.engine.sampler import Sampler
from grinder.engine.session import Session

SECOND = 10**9
QUICK = ("plugins.warm_up.seconds=2",)


def run(out: Path, seconds: int = 20, **more):
    session = Session.open(RunOptions(out=out, duration=seconds * SECOND, overrides=QUICK, **more))
    return session.run()


def timeline(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "timeline.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    return out, run(out)


def test_the_last_sample_is_the_summary(done):
    out, summary = done
    rows = timeline(out)
    last = rows[-1]
    assert summary.fills > 0
    assert Decimal(last["net"]) == summary.pnl.net
    assert Decimal(last["equity"]) == 10_000 + summary.pnl.net
    assert {name: Decimal(v) for name, v in last["parts"].items()} == {
        "realised": summary.pnl.realised, "unrealised": summary.pnl.unrealised, "fees": -summary.fees,
        **summary.payments}  # fmt: skip
    assert {p.symbol: p.qty for p in summary.positions if p.qty} == {
        symbol: Decimal(row["qty"]) for symbol, row in last["symbols"].items() if "qty" in row
    }
    assert sum(row.get("gaps", 0) for row in last["symbols"].values()) == summary.feed.gaps
    assert last["ts_ns"] == summary.covered_ns[1]


def test_positions_follow_the_fills(done):
    out, _ = done
    fills = [json.loads(line) for line in (out / "fills.jsonl").read_text().splitlines()]
    moved = 0
    for row in timeline(out):
        held: dict[str, Decimal] = {}
        for fill in fills:
            if fill["ts_ns"] <= row["ts_ns"]:
                qty = Decimal(fill["qty"])
                held[fill["symbol"]] = held.get(fill["symbol"], Decimal(0)) + (qty if fill["side"] == "BUY" else -qty)
        for symbol, state in row["symbols"].items():
            assert Decimal(state.get("qty", "0")) == held.get(symbol, 0)
        moved += any(held.values())
    assert moved > 10


def test_samples_are_even_and_the_first_states_the_balance(done):
    out, _ = done
    times = [row["ts_ns"] for row in timeline(out)]
    steps = {b - a for a, b in pairwise(times[:-1])}
    assert len(steps) == 1
    assert times == sorted(times)
    assert timeline(out)[0]["equity"] == "10000"


def test_equal_runs_write_equal_timelines(done, tmp_path):
    out, _ = done
    run(tmp_path)
    assert (tmp_path / "timeline.jsonl").read_bytes() == (out / "timeline.jsonl").read_bytes()


def test_sampling_changes_nothing_of_the_run(done, tmp_path, monkeypatch):
    _, summary = done
    monkeypatch.setattr(Sampler, "begin", lambda *_: None)
    without = run(tmp_path)
    assert timeline(tmp_path) == []
    assert without.decisions_sha256 == summary.decisions_sha256
    assert without.fills_sha256 == summary.fills_sha256


def test_a_scripted_run_is_worth_what_its_fills_say(bench, place):
    """Bought at 59,990, marked at 60,000 throughout, one cent of fee a fill."""
    filled = []

    def step(second, account):
        if second in {2, 4, 6}:
            return [place.buy(qty="0.01")]
        return ()

    def fill(order):
        filled.append(order)
        bench.venue.updates.append(bench.venue.fill(order, f"t{len(filled)}"))

    bench.venue.on_submit = fill
    summary = bench.run(step, seconds=9)
    rows = timeline(bench.out)
    assert len(filled) == 3
    worths = {Decimal(row["net"]) for row in rows}
    assert worths == {n * (Decimal("0.01") * 10 - Decimal("0.01")) for n in range(4)}
    assert Decimal(rows[-1]["net"]) == summary.pnl.net


def test_a_timeline_that_cannot_be_written_stops_nothing_and_is_told(done, tmp_path, capsys):
    _, summary = done
    (tmp_path / "timeline.jsonl").mkdir()
    without = run(tmp_path)
    assert without.decisions_sha256 == summary.decisions_sha256
    assert "EVIDENCE_INCOMPLETE" in capsys.readouterr().err
    assert "timeline.jsonl cannot be read: Is a directory." in (tmp_path / "report.html").read_text()


KILLED = """
import os, signal, sys
from grinder.cli.main import invoke
from grinder.journal.store import Journal
original, left = Journal.commit, 80
def commit(self):
    global left
    left -= 1
    original(self)
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
Journal.commit = commit
invoke(sys.argv[1:])
"""


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    arguments = ["run", "--duration", "20s", "--set", *QUICK, "--out", str(tmp_path / "out")]
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, timeout=60, check=False)
    assert killed.returncode == -9
    before = timeline(tmp_path / "out")
    assert len(before) > 5
    assert not (tmp_path / "out" / "summary.json").exists()
    report = [sys.executable, "-m", "grinder.cli", "report", str(tmp_path / "out")]
    done = subprocess.run(report, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "summary.json is missing" in done.stderr

    summary = run(tmp_path / "out", resume=True)
    rows = timeline(tmp_path / "out")
    times = [row["ts_ns"] for row in rows]
    assert len(set(times)) == len(times)
    assert times == sorted(times)
    assert rows[: len(before) - 2] == before[:-2], "what the killed process saw is kept"
    assert Decimal(rows[-1]["net"]) == summary.pnl.net
    holes = {b - a for a, b in pairwise(times[:-1])}
    assert len(holes) == 1, "no sample is missing and none is double"
