"""The host loads what is enabled and nothing else, calls plugins in the operator's order, and isolates each."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from math import inf, nan
from pathlib import Path

import pytest

from grinder.clock import ManualClock
from grinder.decisions import Allow, Threshold
from grinder.errors import ConfigError, PluginError
from grinder.host.discovery import PluginState, discover
from grinder.host.hookspecs import PluginContext
from grinder.host.manager import Host
from grinder.reasons import CORE_REASONS, ReasonRegistry
from grinder.reconcile.report import ReconcileReport, RemediationPlan
from grinder.settings.plugin import GateSettings
from grinder.types import Fill, Position, PositionSide, Route, Side

HEADER = """
from __future__ import annotations
from pathlib import Path
from grinder import *
from pydantic import Field

class Settings({base}):
    limit: float = Field(default=1.0, description="Limit.")

@hookimpl
def register_settings() -> type[Settings]:
    return Settings
"""
GATE = HEADER.format(base="GateSettings") + "\n@hookimpl\ndef pre_order_gate(now, order): return Allow()\n"
PLAIN = HEADER.format(base="PluginSettings")

FILL = Fill(
    route=Route.PAPER,
    venue="paper",
    account="main",
    symbol="BTCUSDT",
    position_side=PositionSide.BOTH,
    trade_id="1",
    client_id="c",
    intent_id="i",
    side=Side.BUY,
    price=Decimal(60000),
    qty=Decimal("0.001"),
    fee=Decimal(0),
    fee_asset="USDT",
    maker=True,
    exchange_ns=1,
    local_ns=2,
)
REPORT = ReconcileReport(as_of_ns=1, complete=True)


class FakeAccount:
    balance = Decimal(10000)

    def position(self, symbol, position_side=PositionSide.BOTH):
        return Position(symbol, position_side, Decimal(0), Decimal(0), Decimal(0))

    def open_orders(self, symbol):
        return ()

    def worst_case(self, symbol, side):
        return Decimal(0)


class Bench:
    """A plugins directory, and a host loaded from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reasons = ReasonRegistry()
        self.traced: list[str] = []
        self.told: list[tuple[str, str, str]] = []
        folder.mkdir(mode=0o700)

    def write(self, **sources: str) -> None:
        for name, source in sources.items():
            path = self.folder / f"{name}.py"
            path.write_text(source)
            path.chmod(0o600)

    def load(self, *enabled: str, **options) -> Host:
        options.setdefault("on_fault", lambda plugin, hook, error: self.told.append((plugin, hook, str(error))))
        return Host.load(discover(plugins_dir=self.folder), enabled, reasons=self.reasons, **options)

    def bound(self, *enabled: str, **options) -> Host:
        host = self.load(*enabled, **options)
        host.bind({name: model() for name, model in host.models().items()})
        return host


@pytest.fixture
def bench(tmp_path, request):
    yield Bench(tmp_path / "plugins")
    for name in [name for name in sys.modules if name.startswith("grinder_plugins_dir.")]:
        del sys.modules[name]


def state(host: Host, name: str) -> tuple[PluginState, str]:
    (record,) = (record for record in host.records if record.name == name)
    return record.state, record.reason


# loading


def test_only_what_is_enabled_is_imported(bench, tmp_path):
    bench.write(
        acme_on=GATE + f"Path({str(tmp_path / 'on')!r}).touch()",
        acme_off=GATE + f"Path({str(tmp_path / 'off')!r}).touch()",
        acme_denied=GATE + f"Path({str(tmp_path / 'denied')!r}).touch()",
    )
    host = bench.load("acme_on", "acme_denied", deny=["acme_denied"])
    assert (tmp_path / "on").exists()
    assert not (tmp_path / "off").exists()
    assert not (tmp_path / "denied").exists()
    assert list(host.models()) == ["acme_on"]
    assert state(host, "acme_on") == (PluginState.ENABLED, "")
    assert state(host, "acme_off") == (PluginState.DISABLED, "not enabled")
    assert state(host, "acme_denied") == (PluginState.DENIED, "host.deny lists 'acme_denied'")


def test_first_party_plugins_load_through_the_same_door():
    host = Host.load(discover(), ["warm_up", "liquidity_by_side"], reasons=ReasonRegistry())
    host.bind({name: model() for name, model in host.models().items()})
    assert [gate.name for gate in host.gates(["warm_up"])] == ["warm_up", "liquidity_by_side"]


def test_a_whole_process_imports_no_plugin_that_is_not_enabled(tmp_path):
    marker = tmp_path / "imported"
    info = tmp_path / "acme_gate-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-gate\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[grinder.plugins]\nacme = acme_gate\n")
    (tmp_path / "acme_gate.py").write_text(GATE + f"Path({str(marker)!r}).touch()")
    script = (
        "import sys; from grinder.host.discovery import discover; from grinder.host.manager import Host\n"
        "from grinder.reasons import ReasonRegistry\n"
        "host = Host.load(discover(), sys.argv[1:], reasons=ReasonRegistry())\n"
        "print([r.name for r in host.records if r.state == 'enabled'], 'acme_gate' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def run(*names: str) -> str:
        command = [sys.executable, "-c", script, *names]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()

    assert run() == "[] False"
    assert not marker.exists()
    assert run("acme") == "['acme'] True"
    assert marker.exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, r"'acme' is not installed .*pip install grinder-plugin-acme"),
        ("1 / 0", "importing .*acme.py raised ZeroDivisionError"),
        (PLAIN + "\n@hookimpl\ndef on_filled(fill): ...", "no hook of that name; did you mean 'on_fill'"),
        (PLAIN + "\nREASONS = ['A']", "REASONS must map"),
        (PLAIN + "\nREASONS = {'lower': 'x'}", "upper-case snake case"),
        (PLAIN + "\nREASONS = {'GATE_ERROR': 'x'}", "belongs to core"),
        (PLAIN + "\nGRINDER_API = '>=2'", "this grinder has"),
    ],
)
def test_an_enabled_plugin_that_does_not_load_stops_the_start(bench, source, message):
    if source is not None:
        bench.write(acme=source)
    with pytest.raises(ConfigError, match=message):
        bench.load("acme")


@pytest.mark.parametrize(
    ("source", "expected", "part"),
    [
        ("1 / 0", PluginState.FAILED, "ZeroDivisionError"),
        ("class E(BaseException): ...\nraise E('boo')", PluginState.FAILED, "E: boo"),
        (
            "class E(Exception):\n    def __str__(self): 1 / 0\nraise E",
            PluginState.FAILED,
            "E, whose text cannot be read",
        ),
        ("raise RuntimeError('\\x1b[2J\\u202e' + 'x' * 5_000_000)", PluginState.FAILED, r"\x1b[2J\u202ex"),
        (GATE + "def __getattr__(name): raise RuntimeError(name)", PluginState.REFUSED, "RuntimeError: "),
        (GATE + "\nclass E(BaseException): ...\ndef __getattr__(name): raise E", PluginState.REFUSED, "raised E"),
        (GATE + "\nGRINDER_API = '>=' + '9' * 5000", PluginState.REFUSED, "must be a version range"),
        (GATE + "\nGRINDER_API = '>=' + '9' * 90", PluginState.REFUSED, "this grinder has"),
        (GATE + "\nGRINDER_API = object()", PluginState.REFUSED, "must be a version range"),
        (GATE.replace("return Settings", "raise GeneratorExit"), PluginState.REFUSED, "raised GeneratorExit"),
        (PLAIN + "\n@hookimpl\ndef on_filled(fill): ...", PluginState.REFUSED, "hook on_filled(fill)"),
        (PLAIN + "\nGRINDER_API = '>=2'", PluginState.REFUSED, "GRINDER_API"),
    ],
)
def test_a_listing_shows_what_does_not_load(bench, source, expected, part):
    bench.write(acme=source, good=GATE)
    host = bench.load("acme", "good", "absent", strict=False)
    found, reason = state(host, "acme")
    assert found is expected
    assert part in reason
    assert reason.isprintable()
    assert len(reason) < 700
    assert state(host, "good") == (PluginState.ENABLED, "")
    assert list(host.models()) == ["good"]


def test_an_enabled_plugin_that_the_allow_list_leaves_out_is_a_contradiction(bench):
    bench.write(acme=GATE, other=GATE)
    with pytest.raises(PluginError, match=r"plugin 'acme': settings enable it, but it is denied: host\.allow"):
        bench.load("acme", "other", allow=["other"])


def test_a_refused_plugin_stops_the_start_when_enabled(bench):
    bench.write(acme=GATE)
    (bench.folder / "acme.py").chmod(0o666)
    with pytest.raises(PluginError, match="chmod go-w"):
        bench.load("acme")
    assert state(bench.load(), "acme")[0] is PluginState.REFUSED


@pytest.mark.parametrize(
    ("enabled", "options", "why"),
    [
        ([], {}, "host.essential names 'acme', but it is disabled: not enabled"),
        (["acme"], {"deny": ["acme"]}, "host.essential names 'acme', but it is denied: host.deny lists 'acme'"),
        (["acme"], {"allow": ["other"]}, "host.essential names 'acme', but it is denied: host.allow"),
    ],
)
def test_essential_plugins_must_end_up_loaded(bench, enabled, options, why):
    bench.write(acme=GATE)
    with pytest.raises(ConfigError) as caught:
        bench.load(*enabled, essential=["acme"], **options)
    assert why in str(caught.value)
    assert list(bench.load("acme", essential=["acme"]).models()) == ["acme"]


def test_an_essential_plugin_that_is_not_installed(bench):
    with pytest.raises(ConfigError, match="pip install grinder-plugin-near-liq"):
        bench.load(essential=["near_liq"])


def test_a_reason_that_an_installed_plugin_owns_is_refused_to_the_file_that_takes_it(bench):
    bench.write(acme=GATE + "\nREASONS = {'WARMUP': 'Mine.'}")
    host = bench.load("acme", "warm_up", strict=False)
    assert state(host, "warm_up") == (PluginState.ENABLED, "")
    found, reason = state(host, "acme")
    assert found is PluginState.REFUSED
    assert "plugin 'acme': reason code WARMUP belongs to plugin 'warm_up'" in reason


def test_a_sentence_of_a_reason_and_what_is_said_of_health_are_one_short_line(bench):
    hook = "\n@hookimpl\ndef health() -> str:\n    return 'ill\\n\\u202e' + 'x' * 10_000_000\n"
    bench.write(acme=PLAIN + hook + "REASONS = {'WIDE': 'Wi\\x1b[31mde\\n' + 'z' * 2_000_000}")
    host = bench.load("acme")
    said, sentence = host.health()["acme"], bench.reasons.meaning("WIDE")
    assert said.startswith(r"ill\n\u202exxx")
    assert sentence.startswith(r"Wi\x1b[31mde\nzzz")
    assert (len(said), len(sentence)) == (300, 300)


def test_reasons_of_two_plugins_must_differ(bench):
    bench.write(a=GATE + "\nREASONS = {'WIDE': 'Wide.'}", b=GATE + "\nREASONS = {'WIDE': 'Wide.'}")
    with pytest.raises(PluginError, match="plugin 'b': reason code WIDE belongs to plugin 'a'"):
        bench.load("a", "b")


# settings and gates


def test_gates_come_in_explicit_order_then_by_name(bench):
    bench.write(a=GATE, b=GATE, c=GATE, d=PLAIN)
    host = bench.bound("a", "b", "c", "d")
    assert [gate.name for gate in host.gates()] == ["a", "b", "c"]
    assert [gate.name for gate in host.gates(["c"])] == ["c", "a", "b"]
    assert [gate.name for gate in host.gates(["d", "c", "b"])] == ["c", "b", "a"]


def test_a_gate_carries_all_that_a_chain_needs(bench):
    bench.write(a=GATE + "\nREASONS = {'A_WIDE': 'Wide.'}", b=GATE + "\nREASONS = {'B_WIDE': 'Wide.'}")
    host = bench.load("a", "b")
    settings = {name: model(limit=2.5) for name, model in host.models().items()}
    host.bind(settings)
    gate = host.gates()[0]
    assert gate.argnames == ("now", "order")
    assert gate.function(1, None) == Allow()
    assert gate.settings is settings["a"]
    assert gate.reasons == {"A_WIDE", *CORE_REASONS}
    assert (gate.distribution, gate.version) == ("", "")


def test_what_is_switched_off_is_passed_over(bench):
    bench.write(a=GATE, b=GATE, off=GATE, denied=GATE)
    host = bench.bound("a", "b", "denied", deny=["denied"])
    assert [gate.name for gate in host.gates(["off", "b", "denied", "a"])] == ["b", "a"]


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (["zz"], "'zz' is not installed .installed: .*a, .*pip install grinder-plugin-zz, or take it out"),
        (["broken"], "ZeroDivisionError"),
        (["a", "a"], "names a plugin twice: a, a"),
    ],
)
def test_an_order_that_cannot_hold_is_an_error(bench, order, message):
    bench.write(a=GATE, broken="1 / 0")
    with pytest.raises(ConfigError, match=r"gates\.order.*" + message):
        bench.bound("a", "broken", strict=False).gates(order)


def test_settings_of_another_class_are_refused(bench):
    bench.write(a=GATE)
    host = bench.load("a")
    for wrong in ({}, {"a": GateSettings()}):
        with pytest.raises(ConfigError, match=r"plugins\.a: settings were"):
            host.bind(wrong)
    with pytest.raises(ConfigError, match="no settings were bound"):
        host.gates()


def test_hooks_of_a_plugin(bench):
    bench.write(a=GATE, b=PLAIN)
    host = bench.load("a", "b")
    assert list(host.hooks("a")) == ["pre_order_gate", "register_settings"]
    assert list(host.hooks("b")) == ["register_settings"]


# notifications


def test_one_raising_plugin_stops_no_other(bench):
    note = "\n@hookimpl\ndef on_fill(fill: Fill):\n    SEEN.append(fill.trade_id)\nSEEN = []\n"
    bench.write(
        a=PLAIN + note,
        b=PLAIN + "\n@hookimpl\ndef on_fill(account, fill): raise ValueError(fill.symbol)",
        c=PLAIN + "\n@hookimpl\ndef on_fill(): raise SystemExit(3)",
        d=PLAIN + note,
    )
    host = bench.bound("a", "b", "c", "d")
    host.on_fill(FILL, FakeAccount())
    host.on_fill(FILL, FakeAccount())
    assert sys.modules["grinder_plugins_dir.a"].SEEN == ["1", "1"]
    assert sys.modules["grinder_plugins_dir.d"].SEEN == ["1", "1"]
    assert host.faults == {("b", "on_fill"): 2, ("c", "on_fill"): 2}
    assert bench.told == [("b", "on_fill", "BTCUSDT"), ("c", "on_fill", "3")] * 2


def test_plans_come_with_their_plugin_in_order(bench):
    plan = "\n@hookimpl\ndef on_reconcile(report: ReconcileReport) -> RemediationPlan | None: return {}"
    bench.write(
        a=PLAIN + plan.format("RemediationPlan()"),
        b=PLAIN + plan.format("None"),
        c=PLAIN + plan.format("1 / 0"),
        d=PLAIN + plan.format("'flatten'"),
        e=PLAIN + plan.format("RemediationPlan()"),
    )
    host = bench.bound("a", "b", "c", "d", "e")
    host.gates(["e"])
    assert host.on_reconcile(REPORT, FakeAccount()) == (("e", RemediationPlan()), ("a", RemediationPlan()))
    assert set(host.faults) == {("c", "on_reconcile"), ("d", "on_reconcile")}
    assert ("d", "on_reconcile", "answered str, must be RemediationPlan or None") in bench.told


def test_health_names_the_sick(bench):
    sick = "\n@hookimpl\ndef health() -> str: return {}"
    bench.write(
        a=PLAIN + sick.format("''"),
        b=PLAIN + sick.format("'model is stale'"),
        c=PLAIN + sick.format("1 / 0"),
        d=PLAIN + sick.format("None"),
        e=PLAIN,
    )
    assert bench.bound("a", "b", "c", "d", "e").health() == {
        "a": "",
        "b": "model is stale",
        "c": "health: ZeroDivisionError: division by zero",
        "d": "health: TypeError: answered NoneType, must be str",
    }


# thresholds

RESOLVER = PLAIN + "\n@hookimpl\ndef resolve_threshold(gate, symbol, configured): return {}"


def valid(value: float) -> bool:
    return 0 <= value <= 10


def resolve(host: Host) -> Threshold:
    return host.resolve_threshold("gate", "BTCUSDT", 5.0, valid)


def test_the_first_answer_in_explicit_order_wins(bench):
    bench.write(
        a=RESOLVER.format("None"),
        b=RESOLVER.format("Threshold(configured + 1, 'bps', reason='ok')"),
        c=RESOLVER.format("Threshold(7, source='eval', evidence='e')"),
    )
    host = bench.bound("a", "b", "c")
    assert resolve(host) == Threshold(6.0, "bps", "b", "ok")
    host.gates(["c"])
    assert resolve(host) == Threshold(7, "", "eval", "", "e")
    assert host.faults == {}


def test_without_an_answer_the_setting_stays(bench):
    bench.write(a=RESOLVER.format("None"))
    assert resolve(bench.bound("a")) == Threshold(5.0)


@pytest.mark.parametrize("answer", ["1 / 0", "6.0", "Threshold(11.0)", "Threshold(float('nan'))", "Threshold(True)"])
def test_a_faulty_answer_keeps_the_setting_and_is_told(bench, answer):
    bench.write(a=RESOLVER.format(answer), b=RESOLVER.format("Threshold(6.0)"))
    host = bench.bound("a", "b")
    assert resolve(host) == Threshold(5.0)
    assert host.faults == {("a", "resolve_threshold"): 1}
    assert bench.told[0][:2] == ("a", "resolve_threshold")


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_a_threshold_that_is_not_finite_is_never_offered_to_the_setting(bench, value):
    bench.write(a=RESOLVER.format(f"Threshold(float('{value}'))"))
    assert bench.bound("a").resolve_threshold("gate", "X", 5.0, lambda _: True) == Threshold(5.0)


def test_the_unit_is_the_gates(bench):
    bench.write(g=GATE.replace("    limit", "    THRESHOLD = 'limit'\n    THRESHOLD_UNIT = 's'\n    limit", 1))
    bench.write(r=RESOLVER.format("Threshold(6.0)"))
    host = bench.bound("g", "r")
    assert host.resolve_threshold("g", "X", 5.0, valid) == Threshold(6.0, "s", "r")


# start and stop

LIFE = (
    PLAIN
    + """
LOG = Path(__file__).with_name("log")
def note(text):
    with LOG.open("a") as file:
        file.write(text + "\\n")
@hookimpl
def on_start(context: PluginContext):
    note("start {name} " + str(context.settings.limit))
    {begin}
@hookimpl
def on_stop():
    note("stop {name}")
    {end}
"""
)


def contexts(host: Host, folder: Path) -> dict[str, PluginContext]:
    return {n: PluginContext(model(), ManualClock(), folder) for n, model in host.models().items()}


def test_start_in_order_stop_in_reverse_once(bench):
    bench.write(
        a=LIFE.format(name="a", begin="", end=""),
        b=LIFE.format(name="b", begin="", end="1 / 0"),
        c=LIFE.format(name="c", begin="", end=""),
    )
    host = bench.bound("a", "b", "c")
    host.gates(["c"])
    host.start(contexts(host, bench.folder))
    host.stop()
    host.stop()
    log = (bench.folder / "log").read_text().split("\n")
    assert log == ["start c 1.0", "start a 1.0", "start b 1.0", "stop b", "stop a", "stop c", ""]
    assert host.faults == {("b", "on_stop"): 1}


def test_a_start_that_fails_names_the_plugin_and_stops_what_was_reached(bench):
    bench.write(
        a=LIFE.format(name="a", begin="", end=""),
        b=LIFE.format(name="b", begin="raise OSError('no model')", end=""),
        c=LIFE.format(name="c", begin="", end=""),
    )
    host = bench.bound("a", "b", "c")
    with pytest.raises(PluginError, match="plugin 'b': on_start raised OSError: no model"):
        host.start(contexts(host, bench.folder))
    assert (bench.folder / "log").read_text().split() == [
        "start",
        "a",
        "1.0",
        "start",
        "b",
        "1.0",
        "stop",
        "b",
        "stop",
        "a",
    ]


def test_a_start_without_a_context_is_refused_before_anything_starts(bench):
    bench.write(a=LIFE.format(name="a", begin="", end=""))
    host = bench.bound("a")
    with pytest.raises(PluginError, match="no context"):
        host.start({})
    assert not (bench.folder / "log").exists()


# tracing


def test_a_trace_shows_hook_plugin_arguments_and_result(bench):
    bench.write(
        a=PLAIN + "\n@hookimpl\ndef health(): return 'x' * 999",
        b=PLAIN + "\n@hookimpl\ndef on_fill(fill): 1 / 0",
        c=RESOLVER.format("None"),
    )
    host = bench.bound("a", "b", "c", trace=bench.traced.append)
    assert host.trace is not None
    host.health()
    host.on_fill(FILL, FakeAccount())
    resolve(host)
    health, fill, threshold = bench.traced
    assert health.startswith("health a -> 'xxx")
    assert len(health) < 250
    assert fill.startswith("on_fill b fill=Fill(")
    assert fill.endswith("-> raised ZeroDivisionError: division by zero")
    assert threshold == "resolve_threshold c gate='gate' symbol='BTCUSDT' configured=5.0 -> None"


def test_without_a_trace_nothing_is_printed(bench, capsys):
    bench.write(a=PLAIN + "\n@hookimpl\ndef health(): return ''")
    assert bench.bound("a").health() == {"a": ""}
    assert capsys.readouterr() == ("", "")
