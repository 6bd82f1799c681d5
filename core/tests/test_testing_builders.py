"""Builders make what the engine makes, with sensible values, and refuse what makes no sense."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal

import pytest
from hypothesis import given, settings

import grinder
from grinder import Abstain, Admitted, Allow, Block, Fault, IntentKind, OrderState, PluginError, Side, testing
from grinder.market.state import MarketState
from grinder.testing import (
    NOW,
    FakeExchange,
    Scene,
    account,
    admitted,
    book_delta,
    book_snapshot,
    feed_status,
    fill,
    instrument,
    mark_price,
    market,
    open_order,
    order,
    position,
    run_gate,
    runtime,
    scenes,
    top_of_book,
    trade,
)
from grinder.testing.target import imported

SECOND = 1_000_000_000


def test_every_public_name_is_there_and_sorted():
    assert testing.__all__ == sorted(
        testing.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name)
    )
    assert dir(testing) == sorted(testing.__all__)
    for name in testing.__all__:
        value = getattr(testing, name)
        assert isinstance(value, int | tuple) or value.__doc__, name
        assert type(value).__name__ != "module", name
    assert grinder.testing is testing
    with pytest.raises(AttributeError, match="no public name 'nonsense'"):
        _ = testing.nonsense


def test_importing_it_costs_nothing():
    heavy = "pytest hypothesis pydantic msgspec aiohttp yaml"
    code = f"import sys, grinder.testing; print([m for m in {heavy.split()!r} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_defaults_make_an_ordinary_moment():
    assert (order().qty, order().price, order().side) == (Decimal("0.01"), Decimal("60000.0"), Side.BUY)
    seen = market()
    assert (seen.fault, seen.ready, seen.bid, seen.ask, seen.age_ns) == ("", True, 60000.0, 60000.1, 0)
    assert seen.levels(Side.SELL, 2) == ((60000.1, 5.0), (60000.2, 5.0))
    assert (account().balance, account().position("BTCUSDT").qty) == (10_000, 0)
    assert runtime().healthy_since("ANY") == NOW - 3600 * SECOND
    assert (instrument().tick_size, instrument("NEWUSDT", tick_size="0.5").tick_size) == (
        Decimal("0.10"),
        Decimal("0.5"),
    )
    assert isinstance(admitted(), Admitted)
    assert admitted(order(kind=IntentKind.CANCEL, target="x")).qty == 0


def test_overrides_reach_what_is_made():
    made = order(side="SELL", qty=2, price=None, notional=None, reduce_only=True, origin="me")
    assert (made.side, made.qty, made.price, made.reduce_only, made.origin) == (Side.SELL, 2, None, True, "me")
    held = account(positions=[position("-1.5")], orders=[open_order(side="SELL", qty="0.3", remaining="0.1")])
    assert held.position("BTCUSDT").qty == Decimal("-1.5")
    assert held.worst_case("BTCUSDT", Side.SELL) == Decimal("0.1")
    assert fill(qty=1, fee=-1, venue="other").venue == "other"
    since = runtime(healthy_since={"A": 5}, signals={"depth": 3.0})
    assert (since.healthy_since("A"), since.healthy_since("B"), dict(since.signals)) == (5, 0, {"depth": 3.0})


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"bids": None, "asks": None}, "INPUT_MISSING"),
        ({"bids": ()}, "INPUT_MISSING"),
        ({"mark": "nan"}, "INPUT_NONFINITE"),
        ({"gap": True}, "MARKET_GAP"),
        ({"age_ms": 5001}, "MARKET_STALE"),
        ({"age_ms": 5000, "mark": 1, "last": 2}, ""),
    ],
)
def test_a_market_says_why_no_gate_would_be_asked(fields, fault):
    assert market(**fields).fault == fault


def test_events_fold_into_the_engines_own_market():
    state = MarketState(5 * SECOND)
    for event in (book_snapshot(), book_delta(bids=[("60000.0", 0)]), trade(price=7), mark_price(mark=8)):
        state.apply(event)
    state.now_ns = NOW
    assert (state.fault("BTCUSDT"), state.view("BTCUSDT").bid) == ("", 59999.9)
    assert (state.view("BTCUSDT").last, state.view("BTCUSDT").mark) == (7.0, 8.0)
    state.apply(top_of_book(bid="60001", ask="60002", update_id=9))
    assert state.view("BTCUSDT").bid == 60001.0
    state.apply(feed_status(connected=False))
    assert state.fault("BTCUSDT") == "MARKET_GAP"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: order(qty="one"), "qty is 'one', must be a number"),
        (lambda: order(qty="nan"), "must be a finite number"),
        (lambda: order(qty=-1), "must be at least 0"),
        (lambda: order(price=0), "must be above 0"),
        (lambda: order(side="LONG"), "'LONG' is not a valid Side"),
        (lambda: order(symbol=""), "symbol is ''"),
        (lambda: order(notional=0), "notional is 0"),
        (lambda: position(entry_price=-1), "entry_price"),
        (lambda: open_order(qty=0), "qty is 0"),
        (lambda: open_order(state=OrderState.FILLED), "which is final"),
        (lambda: account(balance="x"), "balance"),
        (lambda: account(orders=[open_order(), open_order()]), "give each its own"),
        (lambda: market(bids=None), "both be None"),
        (lambda: market(age_ms=-1), "must not be negative"),
        (lambda: runtime(started_ns=-1), "is negative"),
        (lambda: fill(qty=0), "qty is 0"),
        (lambda: FakeExchange(balance="x"), "balance"),
    ],
)
def test_what_makes_no_sense_is_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize("make", [order, fill, instrument, market, open_order])
def test_fields_that_are_not_there_are_refused(make):
    with pytest.raises(TypeError, match="nonsense"):
        make(nonsense=1)


@settings(deadline=None, max_examples=50)
@given(scenes())
def test_every_scene_builds_and_says_itself(scene):
    built, again = scene.build(), scene.build()
    assert built.order == again.order
    assert built.fault == again.fault
    assert str(scene).startswith("Scene(")
    assert str(Scene(qty="2", side=Side.SELL)) == "Scene(side='SELL', qty='2')"


def test_the_scenes_are_the_same_whatever_the_seed_of_hashes():
    code = (
        "import hashlib; from grinder.testing.strategies import corpus;"
        "print(hashlib.sha256(repr(corpus(50)).encode()).hexdigest())"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONHASHSEED": seed}
        )
        for seed in ("1", "2")
    ]
    one, other = (child.communicate()[0] for child in children)
    assert one == other
    assert len(one.strip()) == 64


# One gate through the host.

SOURCE = """
from __future__ import annotations
from grinder import Abstain, Allow, Block, GateSettings, MarketView, OrderIntent, Verdict, hookimpl
from pydantic import Field

REASONS = {"RIG_LARGE": "The order is large.", "RIG_OTHER": "Not ours."}

class Settings(GateSettings):
    THRESHOLD, THRESHOLD_UNIT = "largest", "base units"
    largest: float = Field(default=1.0, gt=0, description="Largest.")

@hookimpl
def register_settings() -> type[Settings]:
    return Settings

@hookimpl
def pre_order_gate(order: OrderIntent, market: MarketView, settings: Settings) -> Verdict:
    if order.symbol != "BTCUSDT":
        return Abstain("RIG_OTHER")
    if order.qty == 13:
        raise ValueError("superstition")
    return Allow({"mid": market.mid}) if order.qty <= settings.largest else Block("RIG_LARGE")
"""


@pytest.fixture
def rig(tmp_path):
    from grinder.host.loading import load_file

    (tmp_path / "rig.py").write_text(SOURCE)
    yield load_file("grinder_plugins_dir.rig", str(tmp_path / "rig.py"))
    sys.modules.pop("grinder_plugins_dir.rig")


def test_a_gate_runs_as_the_host_runs_it(rig):
    run = run_gate(rig)
    assert (run.answer, run.blocked, run.gate.name, run.overran) == (Allow({"mid": 60000.05}), False, "rig", False)
    assert (run.gate.threshold.value, run.gate.threshold.unit) == (1.0, "base units")
    run = run_gate(rig, order(qty=2))
    assert (run.answer, run.blocked) == (Block("RIG_LARGE"), True)
    assert not run_gate(rig, order(qty=2), settings={"largest": 2}).blocked
    assert not run_gate(rig, order(qty=2), mode="shadow").blocked
    assert run_gate(rig, order(symbol="ETHUSDT")).answer == Abstain("RIG_OTHER")


def test_a_fault_follows_on_error(rig):
    for on_error in ("block", "allow"):
        run = run_gate(rig, order(qty=13), settings={"on_error": on_error})
        assert run.answer == Fault("GATE_ERROR", "ValueError: superstition", on_error == "block")
        assert run.blocked is (on_error == "block")
    assert run_gate(rig, market=market(gap=True)).answer == Fault("MARKET_GAP")
    assert run_gate(rig, market_fault="MARKET_STALE").answer == Fault("MARKET_STALE")


def test_what_cannot_be_run_is_refused(rig):
    with pytest.raises(ValueError, match="settings of 'rig': largest"):
        run_gate(rig, settings={"largest": 0})
    with pytest.raises(ValueError, match="mode is off"):
        run_gate(rig, mode="off")
    rig.REASONS = {"low": "x"}
    with pytest.raises(PluginError, match="upper-case"):
        run_gate(rig)
    del rig.pre_order_gate
    rig.REASONS = {}
    with pytest.raises(ValueError, match="'rig' has no gate"):
        run_gate(rig)


class Counting:
    """A plugin that is an object: its module names it, so that another process finds it again."""

    GRINDER_API = ">=1.0,<2"

    @grinder.hookimpl
    def register_settings(self) -> type[grinder.GateSettings]:
        return grinder.GateSettings

    @grinder.hookimpl
    def pre_order_gate(self, order: grinder.OrderIntent) -> grinder.Verdict:
        return Allow({"qty": order.qty})


COUNTING = Counting()


def test_a_plugin_may_be_an_object():
    assert run_gate(COUNTING, name="counting").answer == Allow({"qty": Decimal("0.01")})
    assert (imported(COUNTING, "counting").attribute, imported(Counting(), "counting").attribute) == ("COUNTING", "?")
