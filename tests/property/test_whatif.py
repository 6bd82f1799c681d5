"""``grinder whatif`` predicts what a run with the changed settings really decides, where positions do not drift.

The strategy's orders depend on the clock alone, and the venue never fills: every order is gone before the next one
is decided. So a second run with the changed settings differs from the first in nothing but its gates.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import tempfile
from collections import Counter, deque
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from grinder import Admitted, BookSnapshot, Cancelled, ExchangeSnapshot, FeedStatus, OrderIntent, Side
from grinder.cli.main import invoke
from grinder.engine.options import RunOptions
from grinder.engine.plugins import load
from grinder.engine.session import Session
from grinder.files import write_atomic
from grinder.instruments import TABLE

MS = 1_000_000
T0 = 1_700_000_000_000 * MS
SECONDS = 10
SYMBOLS = ("BTCUSDT", "ETHUSDT")
PRICES = {"BTCUSDT": Decimal(60_000), "ETHUSDT": Decimal(2_500)}
QTYS = {"BTCUSDT": ("0.004", "0.010", "0.025", "0.060"), "ETHUSDT": ("0.045", "0.100", "0.250", "0.600")}

CAP = '''
"""Warns, shrinks and blocks by size."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from pydantic import Field

from grinder import Abstain, Allow, Block, GateSettings, Input, OrderIntent, Shrink, Verdict, Warn, hookimpl

REASONS = {"WI_CAP": "Above the cap.", "WI_HARD": "Far above.", "WI_NEAR": "Near.", "WI_SMALL": "Small."}


class Settings(GateSettings):
    THRESHOLD = "cap"
    cap: float = Field(default=0.5, gt=0, description="Shrinks to this.")
    hard: float = Field(default=9.0, gt=0, description="Blocks above.")
    small: float = Field(default=0.0, ge=0, description="Not concerned below.")
    scale: float = Field(default=1.0, gt=0, description="Goes into what is recorded.")


def judge(inputs: Mapping[str, Input], settings: Settings) -> Verdict:
    qty, asked = Decimal(str(inputs["qty"])), Decimal(str(inputs["asked"]))  # a Decimal comes back as text
    if qty > Decimal(str(settings.hard)):
        return Block("WI_HARD", inputs)
    if qty > Decimal(str(settings.cap)):
        return Shrink(min(Decimal(str(settings.cap)), asked / 2), "WI_CAP", inputs)
    if qty < Decimal(str(settings.small)):
        return Abstain("WI_SMALL", inputs)
    return Warn("WI_NEAR", inputs) if qty * 2 > Decimal(str(settings.cap)) else Allow(inputs)


@hookimpl
def register_settings() -> type[Settings]:
    return Settings


@hookimpl
def pre_order_gate(order: OrderIntent, settings: Settings) -> Verdict:
    return judge({"qty": order.qty * Decimal(str(settings.scale)), "asked": order.qty}, settings)
'''

MOODY = '''
"""Offers no judge; blocks, raises and answers nonsense by the clock."""

from __future__ import annotations

from pydantic import Field

from grinder import Allow, Block, GateSettings, Verdict, hookimpl

REASONS = {"WI_MOOD": "Not now."}


class Settings(GateSettings):
    every: int = Field(default=5, ge=1, description="Blocks every so often.")


@hookimpl
def register_settings() -> type[Settings]:
    return Settings


@hookimpl
def pre_order_gate(now: int, settings: Settings) -> Verdict:
    tick = now // 250_000_000
    if tick % 7 == 0:
        raise RuntimeError("in a mood")
    if tick % 11 == 0:
        return Block("NOT_DECLARED")
    return Block("WI_MOOD") if tick % settings.every == 0 else Allow()
'''

RESOLVER = '''
"""Resolves the depth that ETHUSDT needs and the cap of BTCUSDT."""

from __future__ import annotations

from grinder import PluginSettings, Threshold, hookimpl


@hookimpl
def register_settings() -> type[PluginSettings]:
    return PluginSettings


@hookimpl
def resolve_threshold(gate: str, symbol: str, configured: float) -> Threshold | None:
    known = {("liquidity_by_side", "ETHUSDT"): 12.0, ("wi_cap", "BTCUSDT"): 0.02}
    return Threshold(known[gate, symbol]) if (gate, symbol) in known else None
'''


class Feed:
    """Books of random depth every 250 ms; the feed of ETHUSDT is down for a while."""

    inputs = ()
    symbols = SYMBOLS
    skipped = ignored = MappingProxyType({})
    instruments = MappingProxyType({symbol: TABLE[symbol] for symbol in SYMBOLS})
    first_ns, last_ns = T0, T0 + SECONDS * 1000 * MS

    def __iter__(self):
        draw = random.Random(5)
        for step in range(SECONDS * 4):
            now = T0 + step * 250 * MS
            if step == 20:
                yield FeedStatus("ETHUSDT", now, connected=False)
            for symbol in SYMBOLS:
                if symbol == "ETHUSDT" and 20 <= step < 26:
                    continue
                if step == 26 and symbol == "ETHUSDT":
                    yield FeedStatus(symbol, now, connected=True)
                tick = TABLE[symbol].tick_size
                sides = [
                    [
                        (str(PRICES[symbol] + sign * tick * level), f"{draw.expovariate(20):.3f}")
                        for level in range(1, 5)
                    ]
                    for sign in (-1, 1)
                ]
                yield BookSnapshot(symbol, now, now, step + 1, *sides)

    def close(self):
        """Nothing is open."""


class Clockwork:
    """One order a look and symbol, chosen by the clock, far from the book."""

    wake_ns = 250 * MS

    def on_market(self, market, account, runtime, now):
        step = now // (250 * MS)
        side = Side.BUY if step % 2 else Side.SELL
        away = Decimal("0.98") if side is Side.BUY else Decimal("1.02")
        qty = Decimal(QTYS[market.symbol][step // 2 % 4])
        return [
            OrderIntent(symbol=market.symbol, side=side, qty=qty, price=PRICES[market.symbol] * away, origin="clock")
        ]


class Void:
    """A venue on which every order has expired before the next is decided."""

    venue = account = "paper"

    def start(self, context):
        self.clock = context.clock
        self.updates: deque[Any] = deque()

    def submit(self, order: Admitted) -> None:
        self.updates.append(Cancelled(order.client_id, "expired", self.clock.now_ns()))

    def poll(self):
        updates, self.updates = list(self.updates), deque()
        return updates

    @property
    def due_ns(self) -> int:
        return self.clock.now_ns() if self.updates else 1 << 62

    def advance(self, now: int) -> None: ...
    def on_market(self, event: object) -> None: ...
    def query(self, symbol: str, client_id: str) -> None: ...

    def request_snapshot(self) -> None:
        self.updates.append(ExchangeSnapshot(self.clock.now_ns(), (), (), Decimal(10_000)))

    def stop(self) -> None: ...


@cache
def plugins_dir() -> tuple[tempfile.TemporaryDirectory[str], Path]:
    kept = tempfile.TemporaryDirectory()
    folder = Path(kept.name)
    for name, source in (("wi_cap", CAP), ("wi_moody", MOODY), ("wi_resolver", RESOLVER)):
        write_atomic(folder / f"{name}.py", source.encode())
    return kept, folder


FIXED = (
    "gates.order=warm_up,wi_cap,liquidity_by_side,wi_moody",
    *(f"plugins.{name}.enabled=true" for name in ("wi_cap", "wi_moody")),
    *(f"plugins.{name}.breaker.fault.minimum_calls=100000" for name in ("wi_cap", "wi_moody", "liquidity_by_side")),
    "plugins.liquidity_by_side.alpha=1.5",
    "plugins.wi_moody.mode=enforce",
    "plugins.wi_cap.mode=enforce",
)


def run(out: Path, overrides: tuple[str, ...]) -> list[dict[str, Any]]:
    options = RunOptions(out=out, plugins_dir=plugins_dir()[1], overrides=(*FIXED, *overrides))
    loaded = load(options.sources())
    loaded = msgspec.structs.replace(
        loaded,
        strategy=SimpleNamespace(create=lambda *_: Clockwork()),
        exchanges={"paper": SimpleNamespace(create=lambda _: Void())},
    )
    Session(options, loaded, Feed()).run()
    return [json.loads(line) for line in (out / "decisions.jsonl").read_bytes().splitlines()]


@cache
def recorded(overrides: tuple[str, ...]) -> tuple[tempfile.TemporaryDirectory[str], Path, list[dict[str, Any]]]:
    kept = tempfile.TemporaryDirectory()
    out = Path(kept.name) / "run"
    return kept, out, run(out, overrides)


GATES = ("warm_up", "wi_cap", "liquidity_by_side", "wi_moody")
BASES = (
    ("plugins.warm_up.seconds=4", "plugins.wi_cap.cap=0.0015"),
    ("plugins.warm_up.seconds=2", "plugins.wi_cap.cap=0.0205", "plugins.liquidity_by_side.on_error=allow"),
    ("plugins.warm_up.seconds=3", "gates.evaluate=first_block", "plugins.wi_resolver.enabled=true"),
    ("plugins.warm_up.seconds=0", "plugins.wi_cap.mode=shadow", "plugins.wi_moody.symbols=BTCUSDT"),
    ("plugins.warm_up.seconds=0", "plugins.wi_cap.scale=3", "plugins.wi_cap.cap=0.05", "plugins.wi_moody.mode=shadow"),
)
QUESTIONS = st.dictionaries(
    st.sampled_from(
        [
            "plugins.warm_up.seconds",
            "plugins.liquidity_by_side.alpha",
            *(f"plugins.wi_cap.{name}" for name in ("cap", "hard", "small")),
            *(f"plugins.{gate}.{name}" for gate in GATES for name in ("mode", "symbols", "on_error")),
            "plugins.wi_moody.enabled",
            "gates.evaluate",
            "gates.order",
        ]
    ),
    st.integers(min_value=0, max_value=5),
    min_size=1,
    max_size=4,
)
VALUES = {
    "seconds": ("0", "1", "2.5", "4", "6", "9"),
    "alpha": ("0", "1", "3", "5", "8", "20"),
    "cap": ("0.005", "0.0205", "0.05", "0.1", "0.3", "5"),
    "hard": ("0.003", "0.02", "0.05", "0.2", "0.5", "9"),
    "small": ("0", "0.005", "0.02", "0.05", "0.2", "1"),
    "mode": ("off", "shadow", "enforce", "shadow", "enforce", "enforce"),
    "symbols": ("", "BTCUSDT", "ETHUSDT", "BTCUSDT,ETHUSDT", "XRPUSDT", ""),
    "on_error": ("allow", "block", "allow", "block", "allow", "block"),
    "enabled": ("false", "true", "false", "true", "false", "true"),
    "evaluate": ("all", "first_block", "all", "first_block", "all", "first_block"),
    "order": (
        "wi_moody,wi_cap",
        "liquidity_by_side,warm_up",
        "wi_cap",
        "warm_up",
        "wi_moody,liquidity_by_side,warm_up,wi_cap",
        "",
    ),
}


def told(record: dict[str, Any]) -> tuple[Any, ...]:
    return record["outcome"], record["reason"], record["by"], Decimal(record["qty"])


@settings(deadline=None, max_examples=8)
@example(BASES[3], {"plugins.wi_moody.on_error": 0})
@example(BASES[3], {"plugins.wi_moody.mode": 1, "plugins.liquidity_by_side.symbols": 2})
@example(BASES[2], {"plugins.warm_up.seconds": 0})
@example(BASES[1], {"plugins.wi_cap.cap": 0})
@example(BASES[2], {"plugins.wi_cap.hard": 2, "plugins.wi_cap.small": 3, "plugins.warm_up.seconds": 0})
@example(BASES[2], {"gates.order": 4, "plugins.wi_cap.hard": 4})
@example(BASES[0], {"plugins.wi_cap.cap": 5, "plugins.warm_up.seconds": 0})
@example(BASES[4], {"plugins.wi_cap.cap": 3, "gates.evaluate": 1, "gates.order": 4})
@given(base=st.sampled_from(BASES), question=QUESTIONS)
def test_it_predicts_a_real_run_decision_by_decision(base, question):
    asked = {key: VALUES[key.rpartition(".")[2]][choice] for key, choice in question.items()}
    if any("resolver" in override for override in base):
        for key in ("plugins.liquidity_by_side.alpha", "plugins.wi_cap.cap"):
            asked.pop(key, None)  # the plugin would resolve it again in a real run
    overrides = tuple(f"{key}={value}" for key, value in asked.items()) or ("log.level=info",)
    _, folder, before = recorded(base)
    with tempfile.TemporaryDirectory() as new:
        real = run(Path(new) / "run", (*base, *overrides))
        predicted, answer = ask(folder, Path(new), overrides)
    assert [row["id"] for row in before] == [row["id"] for row in real]
    known = 0
    for was, really in zip(before, real, strict=True):
        turned = predicted.get(was["id"])
        if turned is None:
            assert told(really) == told(was), was
        elif turned["after"]["outcome"] and not turned["after"]["reason"]:
            assert really["outcome"] == turned["after"]["outcome"] == was["outcome"]
        elif turned["after"]["outcome"]:
            known += 1
            assert told(really) == told(turned["after"]), (was, turned)
        elif turned["change"] == "shrunk":
            shrunk = [Decimal(gate["qty"]) for gate in really["first_pass"] if gate["verdict"] == "shrink"]
            assert min(shrunk) == Decimal(turned["after"]["qty"])
        else:
            assert turned["change"] == "unknown"
            assert "first_block" in str(base)
    if known == len(predicted) and not any("gates were not asked" in note for note in answer["notes"]):
        counted = Counter(
            (g["gate"], g["mode"], g["verdict"], g.get("reason", "")) for row in real for g in row["gates"]
        )
        assert counted == Counter({tuple(row["what"]): row["after"] for row in answer["by_gate"] if row["after"]})


def ask(folder: Path, new: Path, overrides: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Every changed decision by id, and the whole answer."""
    command = ["whatif", str(folder), "--json", "--out", str(new / "changed.jsonl"), "--plugins-dir"]
    sets = [part for override in overrides for part in ("--set", override)]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert invoke([*command, str(plugins_dir()[1]), *sets]) == 0
    lines = (new / "changed.jsonl").read_bytes().splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}, json.loads(printed.getvalue())
