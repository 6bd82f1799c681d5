"""Each conformance case fails for a plugin that breaks exactly what it asks for, and says what; a sound one passes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection

import pytest

from grinder.host.discovery import STRATEGIES
from grinder.testing import strategies
from grinder.testing.cases import CASES, Status
from grinder.testing.subject import Subject
from grinder.testing.target import Target

ISOLATED = {"GC18", "GC19", "GC26"}
"""They start processes, so only the mutants that they are about are put to them."""

GOOD = '''
"""A gate that listens, plans and resolves as well."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from grinder import (
    AccountView, Allow, Block, Fault, Fill, GateSettings, MarketView, OrderIntent, PlannedAction, PluginContext,
    ReconcileReport, RemediationPlan, RemediationStep, Shrink, Threshold, Verdict, hookimpl,
)

GRINDER_API = ">=1.0,<2"
REASONS = {
    "GOOD_LOW": "The depth is below plugins.good.limit.",
    "GOOD_HALF": "Half is enough.",
}
SEEN: list[object] = []


class Settings(GateSettings):
    limit: float = Field(default=1.0, ge=0, description="Depth needed.")
    # fields


@hookimpl
def register_settings() -> type[Settings]:
    return Settings


@hookimpl
def pre_order_gate(order: OrderIntent, market: MarketView, account: AccountView, settings: Settings) -> Verdict:
    # first
    depth = sum(qty for _, qty in market.levels(order.side, 3))
    if not math.isfinite(depth):
        return Block("INPUT_NONFINITE")
    inputs = {"depth": float(depth), "qty": order.qty}
    # last
    return judge(inputs, settings)


def judge(inputs: Mapping[str, Any], settings: Settings) -> Verdict:
    if "depth" not in inputs:
        return Block("INPUT_NONFINITE")
    # judging
    if inputs["qty"] > 100:
        return Shrink(inputs["qty"] / 2, "GOOD_HALF", inputs)
    return Allow(inputs) if inputs["depth"] >= settings.limit else Block("GOOD_LOW", inputs)


@hookimpl
def on_fill(fill: Fill, account: AccountView) -> None:
    held = account.position(fill.symbol).qty
    # bookkeeping


@hookimpl
def on_reconcile(report: ReconcileReport, account: AccountView) -> RemediationPlan | None:
    steps = tuple(RemediationStep(PlannedAction.CANCEL, each) for each in report.mismatches)
    # planning
    return RemediationPlan(steps) if report.complete else None


@hookimpl
def resolve_threshold(gate: str, symbol: str, configured: float) -> Threshold | None:
    # resolving
    return Threshold(configured / 2) if gate == "good" else None


@hookimpl
def on_start(context: PluginContext) -> None:
    SEEN.append("start")
    # starting


@hookimpl
def on_stop() -> None:
    SEEN.append("stop")


@hookimpl
def health() -> str:
    return ""
'''

STRATEGY = '''
"""A strategy that bids."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from grinder import OrderIntent, PluginSettings, Side

GRINDER_API = ">=1.0,<2"
SEEN: list[object] = []


class Settings(PluginSettings):
    qty: Decimal = Field(default=Decimal("0.01"), gt=0, description="Size of a bid.")


class Bidder:
    wake_ns = 1_000_000_000

    def __init__(self, settings):
        self.qty = settings.qty

    def on_market(self, market, account, runtime, now):
        # first
        if not market.ready:
            return ()
        price = Decimal(str(market.bid))
        return [OrderIntent(symbol=market.symbol, side=Side.BUY, qty=self.qty, price=price)]


def create(settings, symbols, instruments):
    return Bidder(settings)
'''


@pytest.fixture
def judged(tmp_path, monkeypatch):
    """Failing cases of a source, each with its sentence; on fewer scenes than plugins get, so that it is quick."""
    few = strategies.corpus(15)
    monkeypatch.setattr(strategies, "corpus", lambda: few)

    def run(source: str, *, group: str = "grinder.plugins", isolated: Collection[str] = ()) -> dict[str, str]:
        file = tmp_path / "good.py"
        file.write_text(source)
        target = Target(name="good", file=str(file), group=group)
        subject = Subject(target.load(), target)
        results = [case.run(subject) for case in CASES if case.number in isolated or case.number not in ISOLATED]
        subject.stop()
        assert all(result.advice for result in results if result.status is Status.FAIL)
        return {result.case: result.why for result in results if result.status is Status.FAIL}

    yield run
    sys.modules.pop("grinder_plugins_dir.good", None)


def test_what_is_sound_passes_every_case_that_applies(judged):
    assert judged(GOOD, isolated=ISOLATED) == {}
    assert judged(STRATEGY, group=STRATEGIES) == {}


MUTANTS = [
    # What it declares.
    ("GC01", "def pre_order_gate(order", "async def pre_order_gate(order", "synchronous"),
    ("GC01", "def on_fill(fill: Fill, account: AccountView)", "def on_fill(fil: Fill, account: AccountView)", "'fill'"),
    ("GC01", "order: OrderIntent, market: MarketView", "order: OrderIntent, *, market: MarketView", "keyword-only"),
    ("GC01", "def health(", "def healthy(", "did you mean 'health'"),
    ("GC02", "settings: Settings) -> Verdict:\n    # first", "settings: Settings) -> bool:\n    # first", "bool"),
    ("GC02", "def on_fill(fill: Fill", "def on_fill(fill: OrderIntent", "'fill' is annotated OrderIntent"),
    ("GC03", 'GRINDER_API = ">=1.0,<2"', "", "declares no GRINDER_API"),
    ("GC03", ">=1.0,<2", ">=7", "'>=7'"),
    ("GC03", '">=1.0,<2"', '"one"', "version range"),
    ("GC04", "plugins.good.limit", "plugins.bad.limit", "plugins.bad"),
    ("GC04", "plugins.good.limit", "plugins.good.limits", "no setting"),
    ("GC05", ', description="Depth needed."', "", "'limit' of Settings has no description"),
    ("GC05", "class Settings(GateSettings):", 'class Settings(GateSettings, extra="allow"):', "forbid unknown keys"),
    ("GC06", "default=1.0, ge=0", "default=-1.0, ge=0", "limit"),
    ("GC06", "# fields", 'enabled: bool = Field(default=True, description="On.")', "enabled is true"),
    ("GC06", "# fields", 'mode: Literal["enforce"] = Field(default="enforce", description="M.")', ""),
    ("GC08", "# fields", 'spare: int = Field(default=1, description="Spare.")', "nothing reads spare"),
    ("GC09", '"GOOD_HALF": "Half is enough."', '"GOOD_HALF": "Half.", "low": "Low."', "'low'"),
    ("GC09", '"GOOD_HALF": "Half is enough."', '"GOOD_HALF": "Half.", "OK": "Ours now."', "belongs to core"),
    ("GC09", '"GOOD_HALF": "Half is enough."', '"GOOD_HALF": "Half.", "WARMUP": "Ours."', "to plugin 'warm_up'"),
    ("GC09", "Half is enough.", "Half\\u202eis enough.", "no printable line"),
    ("GC09", '"Half is enough."', '"Half" * 100', "at most 300 characters"),
    ("GC10", "SEEN: list", "from grinder.engine.account import Account\nSEEN: list", "grinder.engine.account"),
    ("GC10", "SEEN: list", "from grinder import testing\nSEEN: list", "grinder.testing"),
    # What it answers.
    ("GC11", "# last", "if depth > 10: return None", "answered None"),
    ("GC11", "# last", "if depth > 10: return True", "answered bool"),
    ("GC11", "# last", 'if depth > 10: return Fault("GATE_ERROR")', "answered Fault"),
    ("GC12", "# first", "1 / market.bid_qty", "ZeroDivisionError"),
    ("GC12", "# first", 'assert order.side == "BUY", "we never sell"', "we never sell"),
    ("GC12", "# first", "account.open_orders(order.symbol)[0]\n    ", "IndexError"),
    ("GC13", "# last", 'if depth > 10: return Block("TOO_DEEP")', "'TOO_DEEP' is not declared"),
    ("GC14", "# last", 'if depth > 10: return Allow({"depth": math.nan, "qty": order.qty})', "depth is nan"),
    ("GC14", "# last", 'inputs["market"] = market', "'market' is FakeMarket"),
    ("GC14", "# last", 'inputs["text"] = "y" * 4096', "more than fit"),
    ("GC14", "# last", "inputs |= {str(each): each for each in range(63)}", "at most 64"),
    ("GC15", 'inputs["qty"] / 2', 'inputs["qty"] * 2', "shrinks to"),
    ("GC15", 'inputs["qty"] / 2', 'inputs["qty"]', "shrinks to"),
    ("GC15", 'inputs["qty"] / 2', 'inputs["qty"] * 0', "shrinks to"),
    ("GC16", "# last", 'settings.__dict__["limit"] = 2.0', "changed the settings"),
    ("GC16", "# last", 'import msgspec; msgspec.structs.force_setattr(order, "symbol", "X")', "changed the order"),
    ("GC16", "# last", "import decimal; decimal.getcontext().prec = 7", "changed the decimal context: precision 28"),
    ("GC17", "# last", 'SEEN.append(1)\n    inputs["depth"] = float(len(SEEN))', "then"),
    ("GC20", "# fields", 'on_error: Literal["allow"] = Field(default="allow", description="Open.")', "is refused"),
    ("GC21", "# fields", 'budget_us: int = Field(default=1, ge=1, description="Little.")', "budget_us 1"),
    ("GC22", "# judging", 'if "secret" in inputs: return Allow({"depth": inputs["depth"], "qty": 1})', "judge"),
    ("GC22", "return judge(inputs, settings)", 'return Allow({"depth": float(depth)})', "judge raised KeyError"),
    ("GC22", "return judge(inputs, settings)", 'return Block("GOOD_LOW")', "the gate Block GOOD_LOW"),
    ("GC22", "(inputs: Mapping[str, Any], settings: Settings)", "(inputs, settings, m=1)", "drop its"),
    # What else it does.
    ("GC23", "# bookkeeping", "assert held >= 0", "AssertionError"),
    ("GC23", "# bookkeeping", "account._AccountFace__account.earned += 1", "changed what it was given"),
    ("GC24", "# planning", "steps = [1 / len(steps)]", "ZeroDivisionError"),
    ("GC24", "# planning", "SEEN.append(1); steps = steps[: len(SEEN) % 2]", "then"),
    ("GC24", "return RemediationPlan(steps) if", "return list(steps) if", "answered list"),
    ("GC25", "Threshold(configured / 2)", 'Threshold(float("nan"))', "must be a finite number"),
    ("GC25", "Threshold(configured / 2)", "configured / 2", "answered float"),
    ("GC25", "# resolving", "SEEN.append(1); configured += len(SEEN)", "then"),
]  # fmt: skip


@pytest.mark.parametrize(("number", "old", "new", "said"), MUTANTS)
def test_one_fault_fails_one_case(judged, number, old, new, said):
    assert GOOD.count(old) >= 1
    source = GOOD.replace(old, new, 1)
    if number == "GC21":
        source = source.replace("# last", "sum(range(2000))")
    if number == "GC22" and "# judging" in old:
        source = source.replace("return judge(inputs, settings)", "return judge({**inputs, 'secret': 1}, settings)")
    found = judged(source)
    assert list(found) == [number], found
    assert said in found[number]


@pytest.mark.parametrize("declared", ["'abc'", "lambda inputs: Allow()", "Settings"])
def test_a_judge_that_the_host_refuses_fails_the_case(judged, declared):
    found = judged(GOOD.replace("return judge(inputs, settings)", "return Allow(inputs)") + f"\njudge = {declared}\n")
    assert list(found) == ["GC22"], found
    assert "must be" in found["GC22"]


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("judge answers differently for the same inputs", "SEEN.append(1); return answers[len(SEEN) % 2]"),
        ("judge answer", "import random; return random.choice(answers)"),
    ],
)
def test_a_judge_that_changes_its_mind_is_told_so(judged, said, answer):
    """It may well repeat the gate's answer while the plainest scene is looked for: the sentence must not get lost."""
    source = GOOD.replace("return judge(inputs, settings)", "return Allow(inputs)")
    assert said in judged(source.replace("# judging", f"answers = Allow(inputs), Block('GOOD_LOW'); {answer}"))["GC22"]


@pytest.mark.parametrize(
    ("name", "said"), [("warm_up", "claim the name"), ("near_liq", "grinder's own"), ("paper", "reserved")]
)
def test_a_name_that_is_somebody_elses(tmp_path, name, said):
    file = tmp_path / f"{name}.py"
    file.write_text(GOOD.replace("plugins.good", f"plugins.{name}"))
    target = Target(name=name, file=str(file))
    result = next(case for case in CASES if case.number == "GC04").run(Subject(target.load(), target))
    assert (result.status, said in result.why) == (Status.FAIL, True), result
    del sys.modules[f"grinder_plugins_dir.{name}"]


def test_settings_that_have_no_schema(judged):
    field = 'rule: Any = Field(default=print, description="A function.")'
    source = GOOD.replace("# fields", field).replace("# last", "settings.rule").replace("rule: Any", "rule: Rule")
    found = judged(
        source.replace("SEEN: list", "from typing import Callable\nRule = Callable[[str], None]\nSEEN: list")
    )
    assert list(found) == ["GC07"], found


ALONE = [
    ("GC18", "# last", 'inputs["first"] = next(iter({"a", "b", "c", "d", "e", "f", "g"}))', "hash seed"),
    ("GC19", "# first", "open(__file__).close()", "opens a file"),
    ("GC19", "SEEN: list", "from time import monotonic_ns\nSEEN: list", "reads the clock (time.monotonic_ns)"),
    ("GC19", "# first", 'print("judging")', "prints"),
    ("GC26", "# starting", 'raise OSError("no model")', "no model"),
    ("GC26", "# starting", "import threading, time; threading.Thread(target=time.sleep, args=(30,)).start()", "thread"),
    ("GC26", 'return ""', "return None", "health answered NoneType"),
]


@pytest.mark.parametrize(("number", "old", "new", "said"), ALONE)
def test_one_fault_fails_one_case_that_needs_a_process(judged, number, old, new, said):
    source = GOOD.replace(old, new, 1)
    if new.startswith("from time"):
        source = source.replace("# first", "monotonic_ns()")
    found = judged(source, isolated={number} if number == "GC26" else {"GC18", "GC19"})
    assert list(found) == [number], found
    assert said in found[number]


DEEDS = {
    "import time; time.time()": "reads the clock (time.time)",
    "import time; time.perf_counter_ns()": "reads the clock (time.perf_counter_ns)",
    "import time; time.localtime()": "reads the clock (time.localtime)",
    "import time; time.localtime(0)": "",
    "import time; time.sleep(0)": "sleeps",
    "import datetime; datetime.datetime.now(datetime.timezone.utc)": "reads the clock (datetime.now)",
    "import datetime; datetime.date.today()": "reads the clock (date.today)",
    "import datetime; assert isinstance(EPOCH, datetime.datetime)": "",
    "import random; random.random()": "draws randomness (random.random)",
    "import random; random.shuffle([1, 2])": "draws randomness (random.shuffle)",
    "import random; random.Random(7).random()": "",
    "import uuid; uuid.uuid4()": "draws randomness (os.urandom)",
    "import secrets; secrets.token_hex()": "draws randomness (os.urandom)",
    "import os; os.getenv('HOME')": "reads the environment (os.environ)",
    "import os; os.system('true')": "calls the operating system (os.system",
    "import os; os.listdir('.')": "calls the operating system (os.listdir",
    "import pathlib; pathlib.Path('x').exists()": "",
    "import subprocess; subprocess.run(['true'])": "starts a process (subprocess.Popen",
    "import socket; socket.socket().close()": "uses the network (socket.__new__",
    "import threading; threading.Thread(target=int).start()": "starts a thread",
    "import _thread; _thread.start_new_thread(int, ())": "starts a thread",
    "import sqlite3; sqlite3.connect(':memory:')": "opens a database",
    "import colorsys": "imports a module (import: 'colorsys'",
    "open('/dev/null').close()": "opens a file (open: '/dev/null'",
    "print('x')": "prints",
    "import sys; sys.stderr.write('x')": "prints",
    "sorted([3, 1]); import decimal; decimal.Decimal(1) / 3; import math; math.sqrt(2)": "",
}
"""What code does, and how the watch notes it; nothing for what a pure function may do."""

WATCHED = """
import datetime, json, sys
EPOCH = datetime.datetime(1970, 1, 1)
from grinder.testing.watch import Watch
watch = Watch()
import decimal, math, os, pathlib, random, secrets, socket, sqlite3, subprocess, threading, time, uuid
seen = []
for source in json.load(sys.stdin):
    code = compile(source, "deed", "exec")
    watch.seen.clear()
    with watch:
        exec(code, {"EPOCH": EPOCH})
    seen.append(list(watch.seen))
print(json.dumps(seen))
"""


def test_the_watch_notes_what_a_pure_function_does_not_do():
    given = json.dumps(list(DEEDS))
    ran = subprocess.run([sys.executable, "-c", WATCHED], input=given, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    for (source, expected), seen in zip(DEEDS.items(), json.loads(ran.stdout), strict=True):
        assert any(expected in deed for deed in seen) if expected else not seen, (source, seen)


STRATEGY_MUTANTS = [
    ("# first", 'raise ValueError("empty book")', "empty book"),
    ("if not market.ready", "if False", "price is"),
    ("symbol=market.symbol", 'symbol="OTHER"', "none of its symbols"),
    ("qty=self.qty", "qty=-self.qty", "size is"),
    ("qty=self.qty", "qty=0.01", "must be a Decimal"),
    ("return ()", "return None", "must be a sequence"),
    ("# first", "SEEN.append(1); self.qty += len(SEEN)", "the other"),
    ("wake_ns = 1_000_000_000", "wake_ns = -1", "wake_ns"),
]


@pytest.mark.parametrize(("old", "new", "said"), STRATEGY_MUTANTS)
def test_one_fault_of_a_strategy_fails_its_case(judged, old, new, said):
    found = judged(STRATEGY.replace(old, new, 1), group=STRATEGIES)
    assert list(found) == ["GC27"], found
    assert said in found["GC27"]


@pytest.mark.parametrize("part", ["class Settings(PluginSettings)", "def create"])
def test_a_strategy_without_its_parts(judged, part):
    renamed = part.replace("Settings(", "Options(").replace("create", "make")
    found = judged(STRATEGY.replace(part, renamed), group=STRATEGIES)
    assert "GC01" in found


def test_every_case_has_a_mutant():
    tried = {row[0] for row in (*MUTANTS, *ALONE)} | {"GC07", "GC27"}
    assert tried == {case.number for case in CASES}
