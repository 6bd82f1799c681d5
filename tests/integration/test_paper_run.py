"""The command as an operator meets it: evidence, screen, exit codes, server, signals."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from grinder import Gatekeeper, Instrument, StateError

BTC = Instrument(
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
    min_qty=Decimal("0.001"),
    max_qty=Decimal(100),
    min_notional=Decimal(5),
    maker_fee=Decimal(0),
    taker_fee=Decimal(0),
)


def grinder(*args: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "grinder.cli", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=cwd, env=env)


@contextmanager
def paced(cwd: Path, *args: str):
    """A run in real time, with its metrics served; gives the process and the base address."""
    command = [
        sys.executable,
        "-m",
        "grinder.cli",
        "run",
        "--speed",
        "1x",
        "--metrics-port",
        "0",
        "--out",
        "out",
        *args,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd) as process:
        try:
            line = process.stderr.readline()
            assert "METRICS_SERVED" in line, line + process.stderr.read()
            yield process, line.split("url=")[1].split("/metrics")[0]
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait_for(file: Path, seconds: float = 20.0) -> bytes:
    """What a file holds, once it holds anything."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if file.exists() and (content := file.read_bytes()):
            return content
        time.sleep(0.05)
    return b""


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    cwd = tmp_path_factory.mktemp("run")
    done = grinder("run", "--duration", "60s", "--set", "plugins.warm_up.seconds=20", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return cwd / "runs" / "paper", done.stdout


def test_leaves_its_evidence(evidence):
    out, screen = evidence
    for name in ("summary.json", "decisions.jsonl", "fills.jsonl", "metrics.prom", "report.html", "markouts.jsonl"):
        file = out / name
        assert file.stat().st_size > 0, name
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, name
    summary = json.loads((out / "summary.json").read_text())
    for key in [
        "run_id",
        "profile",
        "seed",
        "inputs",
        "settings_sha256",
        "plugins",
        "events",
        "intents",
        "decisions",
        "orders",
        "fills",
        "filled_orders",
        "maker_fills",
        "volume",
        "fees",
        "pnl",
        "positions",
        "feed",
        "wall_s",
        "events_per_s",
        "decision_us",
        "decisions_sha256",
        "fills_sha256",
    ]:
        assert key in summary, key
    assert summary["decisions"]["allowed"] > 0
    assert summary["decisions"]["by_gate"]["warm_up"]["block"] > 0
    assert "grinder explain" in screen
    report = (out / "report.html").read_text()
    assert "http://" not in report.replace("http://www.w3.org", "")
    assert "https://" not in report


def test_metrics_say_what_the_summary_says(evidence):
    out, _ = evidence
    summary = json.loads((out / "summary.json").read_text())
    values = {}
    for line in (out / "metrics.prom").read_text().splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            values[name] = float(value)
    assert values['grinder_decisions_total{outcome="allowed",reason="OK"}'] == summary["decisions"]["allowed"]
    blocked = summary["decisions"]["by_gate"]["warm_up"]["block"]
    assert values['grinder_gate_decisions_total{gate="warm_up",mode="enforce",verdict="block"}'] == blocked
    fills = sum(v for k, v in values.items() if k.startswith("grinder_fills_total"))
    assert fills == summary["fills"]


def test_money_adds_up(evidence):
    """Position and PnL of the summary, computed again from the fills alone."""
    from decimal import Decimal

    out, _ = evidence
    summary = json.loads((out / "summary.json").read_text())
    cash, held, fees = Decimal(0), {}, Decimal(0)
    for line in (out / "fills.jsonl").read_text().splitlines():
        f = json.loads(line)
        sign = 1 if f["side"] == "BUY" else -1
        cash -= sign * Decimal(f["qty"]) * Decimal(f["price"])
        held[f["symbol"]] = held.get(f["symbol"], Decimal(0)) + sign * Decimal(f["qty"])
        fees += Decimal(f["fee"])
    value = sum(held[p["symbol"]] * Decimal(p["price"]) for p in summary["positions"])
    assert Decimal(summary["pnl"]["net"]) == cash + value - fees
    assert {p["symbol"]: Decimal(p["qty"]) for p in summary["positions"] if Decimal(p["qty"])} == {
        s: q for s, q in held.items() if q
    }


def test_explains_a_blocked_order(evidence):
    out, _ = evidence
    done = grinder("explain", "last-blocked", "--run", str(out), cwd=out)
    assert done.returncode == 0
    assert "BLOCKED by" in done.stdout
    assert "Threshold" in done.stdout


def test_a_beginning_of_many_ids_is_said_to_be_one(evidence):
    out, _ = evidence
    first = json.loads((out / "decisions.jsonl").read_text().splitlines()[0])["id"]
    for beginning in (first[:-1], first[:-3]):
        done = grinder("explain", beginning, "--run", str(out), cwd=out)
        assert (done.returncode, "is the beginning of several ids" in done.stderr) == (2, True), done.stderr


def test_shadow_never_binds_and_records_the_same(tmp_path):
    common = ("run", "--duration", "30s", "--json", "--set", "plugins.liquidity_by_side.enabled=false")
    enforced = json.loads(grinder(*common, "--out", "a", cwd=tmp_path).stdout)
    shadow = json.loads(grinder(*common, "--out", "b", "--set", "plugins.warm_up.mode=shadow", cwd=tmp_path).stdout)
    assert enforced["decisions"]["allowed"] == 0
    assert enforced["decisions"]["by_gate"]["warm_up"]["block"] > 0
    assert shadow["decisions"]["blocked"] == 0
    assert shadow["decisions"]["by_gate"]["warm_up"]["shadow_block"] > 0
    assert shadow["fills"] > 0


def test_symbols_outside_the_allowlist_stay_in_shadow(tmp_path):
    done = grinder(
        "run", "--duration", "30s", "--json", "--set", "plugins.warm_up.symbols=[ETHUSDT]", "--out", "out", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (tmp_path / "out" / "decisions.jsonl").read_text().splitlines()]
    modes = {(r["order"]["symbol"], g["mode"]) for r in records for g in r["gates"] if g["gate"] == "warm_up"}
    assert modes == {("ETHUSDT", "enforce"), ("BTCUSDT", "shadow")}


def test_serves_metrics_health_and_plugins(tmp_path):
    with paced(tmp_path, "--duration", "10m") as (process, base):
        assert get(f"{base}/healthz")[0] == 200
        assert "grinder_up 1.0" in get(f"{base}/metrics")[1]
        names = {row["name"] for row in json.loads(get(f"{base}/plugins.json")[1])}
        assert {"warm_up", "liquidity_by_side"} <= names
        deadline = time.monotonic() + 30
        while get(f"{base}/readyz")[0] != 200:  # ready as soon as the market is
            assert time.monotonic() < deadline
            assert process.poll() is None
        assert json.loads(get(f"{base}/readyz")[1])["ready"] is True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_run_with_everything_flushed(tmp_path, number):
    with paced(tmp_path, "--duration", "10m") as (process, _):
        process.send_signal(number)
        screen, _ = process.communicate(timeout=30)
        assert process.returncode == (130 if number is signal.SIGINT else 0)
        assert "intents" in screen
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["intents"] == sum(1 for _ in (tmp_path / "out" / "decisions.jsonl").read_text().splitlines())
    resumed = grinder("run", "--resume", "--duration", "5s", "--out", "out", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr


def test_a_terminal_that_closes_does_not_end_what_was_told_not_to_care(tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does it: a child begins with it
    try:
        with paced(tmp_path, "--duration", "10m") as (process, base):
            process.send_signal(signal.SIGHUP)
            assert get(f"{base}/healthz")[0] == 200
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
            assert process.returncode == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_an_earlier_end_left_does_not_stand_beside_new_records(tmp_path):
    assert grinder("run", "--duration", "10s", "--out", "out", cwd=tmp_path).returncode == 0
    (tmp_path / "out" / "report.html").unlink()
    (tmp_path / "elsewhere").write_text("stays")
    (tmp_path / "out" / "report.html").symlink_to(tmp_path / "elsewhere")
    with paced(tmp_path, "--duration", "10m") as (process, _):
        assert not {"summary.json", "metrics.prom", "report.html"} & {f.name for f in (tmp_path / "out").iterdir()}
        process.kill()
    assert (tmp_path / "elsewhere").read_text() == "stays"


def test_two_runs_do_not_write_into_one_directory(tmp_path):
    with paced(tmp_path, "--duration", "10m", "--data-dir", "first") as (process, _):
        second = grinder("run", "--duration", "5s", "--out", "out", "--data-dir", "second", cwd=tmp_path)
        assert second.returncode == 3
        assert f"--out out is in use by process {process.pid}" in second.stderr
        assert not (tmp_path / "second").exists()
    assert grinder("run", "--duration", "5s", "--out", "out", "--data-dir", "second", cwd=tmp_path).returncode == 0


def test_a_fresh_run_starts_plugins_afresh_and_removes_nothing_of_others(tmp_path):
    kept = tmp_path / "out" / "state" / "plugins" / "acme" / "seen.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    assert grinder("run", "--duration", "5s", "--out", "out", cwd=tmp_path).returncode == 0
    assert kept.exists(), "it was there before any run of ours"
    assert grinder("run", "--duration", "9s", "--out", "out", "--resume", cwd=tmp_path).returncode == 0
    assert kept.exists()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("stays")
    (kept.parent / "link").symlink_to(tmp_path / "elsewhere")
    assert grinder("run", "--duration", "5s", "--out", "out", cwd=tmp_path).returncode == 0
    assert not kept.exists()
    assert (tmp_path / "elsewhere" / "file").read_text() == "stays"


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["run", "--replay", "nowhere.gz"], 2, "nowhere.gz"),
        (["run", "--config", "nowhere.yaml"], 2, "nowhere.yaml"),
        (["run", "--profile", "papr"], 2, "did you mean 'paper'"),
        (["run", "--set", "plugins.warm_upp.enabled=true"], 2, "warm_up"),
        (["run", "--set", "engine.watchdog=1"], 2, "watchdog_s"),
        (
            ["run", "--no-plugin", "warm_upp"],
            2,
            "--no-plugin warm_upp: there is no such plugin; did you mean 'warm_up'",
        ),
        (["run", "--out", ""], 2, "'--out': is empty"),
        (["run", "--set", "plugins.grid.notional=10001"], 2, "above max_notional"),
        (["run", "--no-plugin", ""], 2, "there is no such plugin"),
        (["run", "--duration", "soon"], 2, "time span"),
        (["run", "--duration", "999999999d"], 2, "time span"),
        (["run", "--speed", "fast"], 2, "no speed"),
        (["run", "--resume"], 2, "--data-dir"),
        (["run", "--resume", "--out", "empty"], 2, "nothing to resume"),
        (["run", "--symbols", "DOGEUSDT"], 2, "DOGEUSDT"),
        (["run", "--set", "exchange.mode=real"], 2, "venue"),
        (["run", "--set", "exchange.mode=real", "--set", "exchange.venue=binance"], 4, "paper only"),
        (["run", "--profile", "live"], 4, "paper only"),
        (["runn"], 2, "Did you mean 'run'"),
        (["explain", "x", "--run", "nowhere"], 2, "nowhere"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else None,
)
def test_wrong_usage_says_what_to_do(tmp_path, args, code, says):
    done = grinder(*args, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_variable_is_an_error(tmp_path):
    import os

    done = grinder("run", cwd=tmp_path, env={**os.environ, "GRINDER_PLUGNS__WARM_UP__SECONDS": "1"})
    assert done.returncode == 2
    assert "GRINDER_PLUGNS__WARM_UP__SECONDS" in done.stderr


def test_a_data_directory_with_an_earlier_run_is_refused(tmp_path):
    common = ("run", "--duration", "10s", "--data-dir", "data")
    assert grinder(*common, "--out", "a", cwd=tmp_path).returncode == 0
    again = grinder(*common, "--out", "b", cwd=tmp_path)
    assert again.returncode == 3
    assert "--resume" in again.stderr
    assert grinder(*common, "--out", "b", "--resume", cwd=tmp_path).returncode == 0


def test_another_seed_cannot_take_over_a_data_directory(tmp_path):
    common = ("run", "--duration", "10s", "--data-dir", "data", "--out", "a")
    assert grinder(*common, cwd=tmp_path).returncode == 0
    other = grinder(*common, "--resume", "--seed", "2", cwd=tmp_path)
    assert other.returncode == 3
    assert "seed" in other.stderr


def test_a_resume_without_what_the_venue_knows_is_refused(tmp_path):
    common = ("run", "--out", "out", "--set", "plugins.warm_up.seconds=1")
    assert grinder(*common, "--duration", "20s", cwd=tmp_path).returncode == 0
    (tmp_path / "out" / "state" / "paper.jsonl").unlink()
    again = grinder(*common, "--duration", "30s", "--resume", cwd=tmp_path)
    assert again.returncode == 3
    assert "paper.jsonl is missing, though orders were placed" in again.stderr


def test_a_run_and_a_gatekeeper_do_not_write_into_one_directory(tmp_path):
    def keeper(data_dir, **more):
        return Gatekeeper.from_settings(data_dir=data_dir, instruments=[BTC], **more)

    with paced(tmp_path, "--duration", "10m"):
        with pytest.raises(StateError, match=r"^out .* is in use by process"):
            keeper(tmp_path / "books", out=tmp_path / "out")
        assert not (tmp_path / "books").exists()
    with keeper(tmp_path / "books"):
        assert grinder("run", "--duration", "2s", "--out", "books", cwd=tmp_path).returncode == 3
    again = grinder("run", "--duration", "2s", "--out", "books", cwd=tmp_path)
    assert (again.returncode, "data directory of an instance" in again.stderr) == (2, True)


def test_records_of_a_paced_run_can_be_read_while_it_goes(tmp_path):
    quick = ("--set", "plugins.warm_up.seconds=0.1", "--duration", "10m")
    with paced(tmp_path, *quick):
        assert wait_for(tmp_path / "out" / "decisions.jsonl")


def test_a_paced_resume_does_not_wait_for_what_is_behind_it(tmp_path):
    assert grinder("run", "--duration", "60s", "--out", "out", cwd=tmp_path).returncode == 0
    resumed = grinder("run", "--duration", "61s", "--speed", "1x", "--out", "out", "--resume", cwd=tmp_path)
    assert resumed.returncode == 0
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["wall_s"] < 30


def test_resuming_beyond_the_input_is_refused(tmp_path):
    assert grinder("run", "--duration", "30s", "--out", "out", cwd=tmp_path).returncode == 0
    again = grinder("run", "--duration", "10s", "--out", "out", "--resume", cwd=tmp_path)
    assert again.returncode == 2
    assert "has been traded up to" in again.stderr


def test_a_plugin_that_is_denied_and_settings_that_changed_are_named(tmp_path):
    assert grinder("run", "--duration", "10s", "--out", "out", cwd=tmp_path).returncode == 0
    again = grinder(
        "run", "--duration", "10s", "--out", "out", "--resume", "--set", "host.deny=[warm_up]", cwd=tmp_path
    )
    assert again.returncode == 0
    assert "PLUGIN_DENIED plugin=warm_up" in again.stderr
    assert "SETTINGS_CHANGED" in again.stderr
    assert "host.deny" in again.stderr.split("SETTINGS_CHANGED", 1)[1].splitlines()[0]
