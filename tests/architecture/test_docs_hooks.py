"""Each hook does what its documentation says, seen by one plugin that implements all of them, in a real run."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from grinder.decisions import Threshold
from grinder.host.discovery import discover
from grinder.host.manager import Host
from grinder.host.signatures import SPECS
from grinder.reasons import ReasonRegistry
from grinder.reconcile.report import PlannedAction, ReconcileReport

WITNESS = """
from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from grinder import (
    AccountView, Allow, Fill, GateSettings, MarketView, Mismatch, MismatchKind, OrderIntent, PlannedAction,
    PluginContext, ReconcileReport, RemediationPlan, RemediationStep, RuntimeView, Threshold, Verdict, hookimpl,
)

LOG = Path(__file__).with_suffix(".jsonl")


def note(hook, **seen):
    with LOG.open("a") as file:
        file.write(json.dumps({"hook": hook, **seen}) + "\\n")


class Settings(GateSettings):
    THRESHOLD: ClassVar[str] = "limit"
    THRESHOLD_UNIT: ClassVar[str] = "things"
    limit: float = Field(default=1.0, ge=0, le=10, description="Limit.")


@hookimpl
def register_settings() -> type[Settings]:
    note("register_settings")
    return Settings


@hookimpl
def on_start(context: PluginContext) -> None:
    note("on_start", limit=context.settings.limit, name=context.data_dir.name)


@hookimpl
def on_stop() -> None:
    note("on_stop")


@hookimpl
def health() -> str:
    return "a little tired"


@hookimpl
def resolve_threshold(gate: str, symbol: str, configured: float) -> Threshold | None:
    note("resolve_threshold", gate=gate, symbol=symbol, configured=configured)
    return Threshold(7.0) if gate == "witness" else None


@hookimpl
def pre_order_gate(
    order: OrderIntent, market: MarketView, account: AccountView, runtime: RuntimeView, now: int, settings: Settings
) -> Verdict:
    note("pre_order_gate", id=order.intent_id, kind=order.kind, qty=str(order.qty), now=now, limit=settings.limit)
    return Allow()


@hookimpl
def on_fill(fill: Fill, account: AccountView) -> None:
    note("on_fill", trade=fill.trade_id, position=str(account.position(fill.symbol).qty))


@hookimpl
def on_reconcile(report: ReconcileReport, account: AccountView) -> RemediationPlan | None:
    steps = [RemediationStep(PlannedAction.CANCEL, each) for each in report.mismatches]
    return RemediationPlan(tuple(steps)) if report.complete else None
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("witness") / "plugins"
    folder.mkdir(mode=0o700)
    file = folder / "witness.py"
    file.write_text(WITNESS)
    file.chmod(0o600)
    return folder


@pytest.fixture(scope="module")
def run(folder):
    """What a run of a minute left behind."""
    out = folder.parent / "run"
    command = [sys.executable, "-m", "grinder.cli", "run", "--duration", "60s", "--out", str(out), "--plugins-dir",
               str(folder), "--set", "plugins.witness.enabled=true", "--set", "plugins.warm_up.seconds=5"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, cwd=folder.parent, timeout=120)
    return out


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def verdict(row):
    """What the witness said; ``error`` where it was not asked because the market's data could not be used."""
    return next(gate["verdict"] for gate in row["gates"] if gate["gate"] == "witness")


@pytest.fixture(scope="module")
def seen(run, folder):
    """The calls of each hook, in order."""
    calls = lines(folder / "witness.jsonl")
    return {hook: [(at, call) for at, call in enumerate(calls) if call["hook"] == hook] for hook in SPECS}


@pytest.fixture
def host(folder):
    loaded = Host.load(discover(plugins_dir=folder), ["witness"], reasons=ReasonRegistry())
    yield loaded
    del sys.modules["grinder_plugins_dir.witness"]


def test_register_settings_is_called_before_anything_else_and_mounts_the_model(seen, run):
    assert [at for at, _ in seen["register_settings"]] == [0]
    gates = [gate for row in lines(run / "decisions.jsonl") for gate in row["gates"] if gate["gate"] == "witness"]
    assert gates
    assert {gate["mode"] for gate in gates} == {"shadow"}


def test_on_start_is_called_once_before_the_first_order_with_settings_and_a_folder(seen):
    ((at, call),) = seen["on_start"]
    assert (call["limit"], call["name"]) == (1.0, "witness")
    assert at < seen["pre_order_gate"][0][0]


def test_on_stop_is_called_once_after_everything(seen):
    ((at, _),) = seen["on_stop"]
    assert at > seen["pre_order_gate"][-1][0]
    assert at > seen["on_fill"][-1][0]


def test_pre_order_gate_is_asked_once_for_every_order_that_adds_risk_and_for_nothing_else(seen, run):
    decisions = lines(run / "decisions.jsonl")
    asked = [call["id"] for _, call in seen["pre_order_gate"]]
    answered = {row["id"]: verdict(row) for row in decisions if row["risk"] == "INCREASE" and row["gates"]}
    assert asked == [each for each, said in answered.items() if said != "error"]
    assert {row["risk"] for row in decisions} > {"INCREASE", "CANCEL"}
    assert {call["kind"] for _, call in seen["pre_order_gate"]} == {"PLACE"}
    by_id = {row["id"]: row for row in decisions}
    for _, call in seen["pre_order_gate"]:
        assert call["qty"] == by_id[call["id"]]["qty"]
        assert call["now"] == by_id[call["id"]]["ts_ns"]


def test_pre_order_gate_gets_its_settings_with_the_threshold_resolved(seen, run):
    assert {call["limit"] for _, call in seen["pre_order_gate"]} == {7.0}
    row = next(row for row in lines(run / "decisions.jsonl") if row["gates"])
    (gate,) = (gate for gate in row["gates"] if gate["gate"] == "witness")
    assert gate["threshold"] == {"value": 7.0, "unit": "things", "source": "witness"}


def test_resolve_threshold_is_asked_for_each_gate_and_symbol_and_never_per_order(seen):
    asked = [(call["gate"], call["symbol"]) for _, call in seen["resolve_threshold"]]
    assert len(asked) == len(set(asked)) < len(seen["pre_order_gate"])
    assert {gate for gate, _ in asked} == {"warm_up", "liquidity_by_side", "witness"}


def test_resolve_threshold_out_of_the_settings_range_leaves_what_is_configured(host):
    refused = host.resolve_threshold("witness", "BTCUSDT", 1.0, lambda value: value < 5)
    assert refused == Threshold(1.0, "things")
    assert host.faults == {("witness", "resolve_threshold"): 1}


def test_on_fill_is_told_each_fill_once_with_the_account_after_it(seen, run):
    fills = lines(run / "fills.jsonl")
    assert fills
    assert [call["trade"] for _, call in seen["on_fill"]] == [fill["trade_id"] for fill in fills]
    assert seen["on_fill"][0][1]["position"] == ("" if fills[0]["side"] == "BUY" else "-") + fills[0]["qty"]


def test_on_reconcile_plans_come_back_by_name_and_none_is_no_plan(host):
    from grinder import Mismatch, MismatchKind

    mismatch = Mismatch(MismatchKind.ORDER_EXISTS_UNEXPECTED, "BTCUSDT", "c", "", "OPEN")
    account = object()
    ((name, plan),) = host.on_reconcile(ReconcileReport(1, True, (mismatch,)), account)
    assert name == "witness"
    assert [step.action for step in plan.steps] == [PlannedAction.CANCEL]
    assert host.on_reconcile(ReconcileReport(1, False), account) == ()


def test_health_is_told_by_name(host):
    assert host.health() == {"witness": "a little tired"}
