"""The main job on the recorded markets: what must come out, and the same twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
BTC = SHARED / "binance-usdm" / "btcusdt_20240808.gz"
ETH = SHARED / "binance-usdm" / "ethusdt_20240808.gz"
SPOT = SHARED / "binance-spot" / "btcusdt_20240808.gz"
ALTS = SHARED / "binance-usdm" / "alts_20210722.jsonl.zst"


def needs(*files: Path) -> None:
    for file in files:
        if not file.exists():
            pytest.skip(f"no recording {file.relative_to(SHARED.parent.parent)}")


def run(out: Path, *args: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> dict:
    command = [sys.executable, "-m", "grinder.cli", "run", "--out", str(out), *args]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, cwd=cwd, env={**os.environ, **(env or {})}
    )
    assert done.returncode == 0, done.stderr
    return json.loads((out / "summary.json").read_text())


def test_btcusdt(tmp_path):
    needs(BTC)
    summary = run(tmp_path / "out", "--replay", str(BTC))
    assert summary["events"] == 93_954
    assert summary["fills"] > 0
    assert summary["feed"] == summary["feed"] | {"gaps": 0, "book_checks": 629, "book_mismatches": 0}
    blocking = [gate for gate, counts in summary["decisions"]["by_gate"].items() if counts["block"]]
    assert len(blocking) >= 2
    assert summary["inputs"][0]["clock_shift_ns"] == 1_272_548_721
    decisions = [json.loads(line) for line in (tmp_path / "out" / "decisions.jsonl").read_text().splitlines()]
    assert len(decisions) == summary["intents"]
    fills = [json.loads(line) for line in (tmp_path / "out" / "fills.jsonl").read_text().splitlines()]
    assert len(fills) == summary["fills"]
    allowed = {d["id"] for d in decisions if d["outcome"] == "allowed"}
    assert {f["intent_id"] for f in fills} <= allowed


@pytest.mark.parametrize(
    ("file", "checks", "symbols"),
    [
        (ETH, 551, {"ETHUSDT"}),
        (SPOT, None, {"BTCUSDT"}),
        (ALTS, None, {"SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT"}),
    ],
    ids=["eth", "spot", "alts"],
)
def test_the_other_recordings(tmp_path, file, checks, symbols):
    needs(file)
    summary = run(tmp_path / "out", "--replay", str(file), "--set", "plugins.warm_up.seconds=5")
    assert summary["feed"]["gaps"] == 0
    assert summary["feed"]["book_mismatches"] == 0
    assert checks is None or summary["feed"]["book_checks"] == checks
    assert summary["decisions"]["allowed"] > 0
    traded = {
        json.loads(line)["order"]["symbol"] for line in (tmp_path / "out" / "decisions.jsonl").read_text().splitlines()
    }
    assert traded == symbols


def test_two_recordings_in_one_run(tmp_path):
    needs(BTC, ETH)
    summary = run(tmp_path / "out", "--duration", "60s", "--replay", str(BTC), str(ETH))
    assert len(summary["inputs"]) == 2
    traded = {
        json.loads(line)["order"]["symbol"] for line in (tmp_path / "out" / "decisions.jsonl").read_text().splitlines()
    }
    assert traded == {"BTCUSDT", "ETHUSDT"}


def test_a_run_is_resumed_with_the_market_that_it_has_read(tmp_path):
    needs(BTC, ETH)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "grinder.cli", "run", "--out", str(out), "--resume"]
    run(out, "--replay", str(BTC), "--duration", "10s")
    before = (out / "summary.json").read_bytes()
    for wrong in (["--replay", str(ETH)], ["--duration", "10s"]):
        refused = subprocess.run([*command, *wrong], capture_output=True, text=True, timeout=60, check=False)
        assert (refused.returncode, f"read {BTC}, which is not among" in refused.stderr) == (2, True), refused.stderr
    assert (out / "summary.json").read_bytes() == before
    run(out, "--replay", str(BTC), str(ETH), "--duration", "20s", "--resume")


@pytest.mark.parametrize("feed", ["recorded", "synthetic"])
def test_the_same_command_twice_gives_the_same_records(tmp_path, feed):
    args = ["--duration", "100s", "--set", "plugins.warm_up.seconds=20"]
    if feed == "recorded":
        needs(BTC)
        args += ["--replay", str(BTC)]
    hashes = set()
    for index, seed in enumerate(("0", "1", "4242")):
        cwd = tmp_path / f"cwd{index}"
        cwd.mkdir()
        out = cwd / f"out{index}"
        extra = ["--data-dir", str(tmp_path / f"data{index}")] if index else []
        summary = run(out, *args, *extra, env={"PYTHONHASHSEED": seed}, cwd=cwd)
        assert summary["fills"] > 0
        hashes.add((summary["decisions_sha256"], summary["fills_sha256"], summary["settings_sha256"]))
    assert len(hashes) == 1


def test_another_seed_is_another_market(tmp_path):
    one, two = (run(tmp_path / s, "--duration", "30s", "--seed", s) for s in ("1", "2"))
    assert one["decisions_sha256"] != two["decisions_sha256"]


def _capture(folder: Path, jump_at: int) -> Path:
    """A small capture whose local time jumps by 400 days at one line."""
    lines = [f'{T0} {{"lastUpdateId":1,"bids":[["60000.00","5"]],"asks":[["60000.10","5"]]}}']
    for n in range(1, 40):
        local = T0 + n * 100_000_000 + (400 * 86_400_000_000_000 if n == jump_at else 0)
        data = f'"e":"bookTicker","u":{n + 1},"s":"BTCUSDT","b":"60000.00","B":"5","a":"60000.10","A":"5"'
        times = f'"T":{(T0 + n * 100_000_000) // 1_000_000},"E":{(T0 + n * 100_000_000) // 1_000_000}'
        lines.append(f'{local} {{"stream":"btcusdt@bookTicker","data":{{{data},{times}}}}}')
    path = folder / "jump.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


T0 = 1_723_161_255_000_000_000


@pytest.mark.parametrize("jump_at", [20, 39])
def test_a_jump_of_the_local_clock_is_damage_and_never_drives_timers(tmp_path, jump_at):
    path = _capture(tmp_path, jump_at)
    command = [sys.executable, "-m", "grinder.cli", "run", "--replay", str(path), "--out", str(tmp_path / "out")]
    strict = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert strict.returncode == 3
    assert f"line {jump_at + 1}" in strict.stderr
    assert "jumps ahead" in strict.stderr
    tolerant = subprocess.run([*command, "--tolerant"], capture_output=True, text=True, timeout=60, check=False)
    assert tolerant.returncode == 0, tolerant.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["events"] == 39
    assert summary["intents"] < 40
