"""Gates that misbehave in a real run: nothing that adds risk passes them, and what reduces risk always does."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

PLUGIN = '''
from __future__ import annotations

from decimal import Decimal

from grinder import (
    AccountView, Allow, Block, GateSettings, MarketView, OrderIntent, RuntimeView, Shrink, Verdict, Warn, hookimpl,
)

GOOD_CALLS = 40
calls = 0


class Settings(GateSettings):
    """Settings of a gate that turns evil."""


@hookimpl
def register_settings() -> type[GateSettings]:
    return Settings


@hookimpl
def pre_order_gate(order: OrderIntent, market: MarketView, account: AccountView, runtime: RuntimeView) -> Verdict:
    global calls
    calls += 1
    if calls <= GOOD_CALLS:
        return Allow()
    {deed}
'''

DEEDS = {
    "raises": 'raise RuntimeError("no\\nluck")',
    "recurses": "return pre_order_gate(order, market, account, runtime)",
    "exits": "raise SystemExit(0)",
    "returns None": "return None",
    "returns True": "return True",
    "returns the class": "return Allow",
    "nan input": 'return Allow({"x": float("nan")})',
    "infinite input": 'return Warn("OK", {"x": float("inf")})',
    "undeclared reason": 'return Warn("NOT_DECLARED")',
    "shrinks to nan": 'return Shrink(Decimal("NaN"), "OK")',
    "shrinks to more": 'return Shrink(order.qty * 2, "OK")',
    "shrinks to a float": 'return Shrink(0.5, "OK")',
    "unrecordable input": 'return Allow({"x": object()})',
    "mutates the order": "order.qty = Decimal(100); return Allow()",
    "mutates the market": "market.book = None; return Allow()",
    "mutates the account": "account.earned = Decimal(10**9); return Allow()",
    "reserves orders": "account.put(account.open_orders(order.symbol)[0]); return Allow()",
    "mutates the runtime": "runtime.started_ns = 0; return Allow()",
    "mutates the signals": 'runtime.signals["x"] = 1.0; return Allow()',
    "mutates levels": "market.levels(order.side, 1)[0] = (1.0, 1.0); return Allow()",
}


def run(tmp_path: Path, deed: str, *extra: str) -> subprocess.CompletedProcess[str]:
    folder = tmp_path / "plugins"
    folder.mkdir(mode=0o700)
    (folder / "evil.py").write_text(PLUGIN.replace("{deed}", deed))
    (folder / "evil.py").chmod(0o600)
    command = [
        sys.executable, "-m", "grinder.cli", "run", "--duration", "60s", "--out", "out", "--plugins-dir", "plugins",
        "--set", "plugins.evil.enabled=true", "--set", "plugins.evil.mode=enforce",
        "--set", "plugins.warm_up.seconds=0",
        "--set", "plugins.liquidity_by_side.enabled=false", *extra,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path)


def records(tmp_path: Path) -> list[dict]:
    return [json.loads(line) for line in (tmp_path / "out" / "decisions.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
def test_nothing_that_adds_risk_passes_and_what_reduces_does(tmp_path, deed):
    done = run(tmp_path, deed)
    assert done.returncode == 0, done.stderr
    asked = [r for r in records(tmp_path) if any(g["gate"] == "evil" for g in r["gates"])]
    after = asked[40]["ts_ns"]
    evil = [g for r in asked[40:] for g in r["gates"] if g["gate"] == "evil"]
    assert {g["verdict"] for g in evil} == {"error"}
    later = [r for r in records(tmp_path) if r["ts_ns"] >= after and r not in asked[:40]]
    assert not [r for r in later if r["risk"] == "INCREASE" and r["outcome"] == "allowed"]
    freed = [r for r in later if r["risk"] in {"CANCEL", "REDUCE"} and r["outcome"] == "allowed"]
    assert {r["risk"] for r in freed} == {"CANCEL", "REDUCE"}
    assert all(not r["gates"] for r in freed)
    # The other gates were asked all the same, so that the record is complete.
    assert all(any(g["gate"] == "warm_up" for g in r["gates"]) for r in asked)


def test_on_error_allow_lets_it_pass_by_name(tmp_path):
    done = run(tmp_path, DEEDS["raises"], "--set", "plugins.evil.on_error=allow")
    assert done.returncode == 0, done.stderr
    faulty = [r for r in records(tmp_path) for g in r["gates"] if g["gate"] == "evil" and g["verdict"] == "error"]
    assert faulty
    assert {r["outcome"] for r in faulty if r["by"] != "warm_up"} == {"allowed"}


def test_a_shadow_gate_that_raises_never_binds(tmp_path):
    done = run(tmp_path, DEEDS["raises"], "--set", "plugins.evil.mode=shadow")
    assert done.returncode == 0, done.stderr
    assert {r["outcome"] for r in records(tmp_path) if r["by"] != "warm_up"} == {"allowed"}


def test_a_gate_that_never_returns_ends_the_process(tmp_path):
    begin = time.monotonic()
    done = run(tmp_path, "while True: pass", "--set", "engine.watchdog_s=1")
    assert done.returncode == 3
    assert time.monotonic() - begin < 30
    assert "WATCHDOG_EXPIRED" in done.stderr
    assert "evil.py" in done.stderr
    # What was decided before is durable, and the next start is recovery.
    (tmp_path / "plugins" / "evil.py").write_text(PLUGIN.replace("{deed}", "return Allow()"))
    resumed = subprocess.run(
        [sys.executable, "-m", "grinder.cli", "run", "--duration", "60s", "--out", "out", "--resume"],
        capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert resumed.returncode == 0, resumed.stderr
    assert len({r["id"] for r in records(tmp_path)}) == len(records(tmp_path)) > 40
