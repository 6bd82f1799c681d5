"""The warm-up gate: unbroken health since the start, on the given clock, fails closed."""

from __future__ import annotations

import json
from decimal import Decimal
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import grinder_plugin_warm_up as plugin
from grinder import Allow, Block, GateSettings, OrderIntent, Side
from grinder.testing import GateConformance
from grinder_plugin_warm_up.gate import judge, look
from grinder_plugin_warm_up.settings import WarmUpSettings

S = 1_000_000_000
START = 1_700_000_000 * S
ORDER = OrderIntent(symbol="BTCUSDT", side=Side.BUY, qty=Decimal("0.01"), price=Decimal(60000), intent_id="i1")


class Runtime:
    signals = MappingProxyType({})

    def __init__(self, since: int = START, started_ns: int = START, **others: int) -> None:
        self._since = {"BTCUSDT": since, **others}
        self.started_ns = started_ns

    def healthy_since(self, symbol: str) -> int:
        return self._since.get(symbol, 0)


def answer(now: int, runtime: Runtime | None = None, seconds: float = 90.0):
    return plugin.pre_order_gate(ORDER, runtime or Runtime(), now, WarmUpSettings(seconds=seconds))


def test_ninety_seconds_by_default():
    assert WarmUpSettings().seconds == 90.0
    assert answer(START + 90 * S - 1) == Block("WARMUP", {"healthy_s": 89.999999999})
    assert answer(START + 90 * S) == Allow({"healthy_s": 90.0})


def test_no_health_blocks_even_without_a_wait():
    for runtime in (Runtime(since=0), Runtime(since=0, ETHUSDT=START)):
        assert answer(START + 1000 * S, runtime, seconds=0) == Block(
            "WARMUP_NOT_HEALTHY", {"healthy": False, "healthy_s": 0.0}
        )


def test_health_before_the_start_does_not_count():
    runtime = Runtime(since=START - 3600 * S)
    assert answer(START + 10 * S, runtime) == Block("WARMUP", {"healthy_s": 10.0})


def test_a_break_starts_the_time_anew():
    runtime = Runtime(since=START + 1000 * S)
    assert answer(START + 1050 * S, runtime) == Block("WARMUP", {"healthy_s": 50.0})
    assert isinstance(answer(START + 1090 * S, runtime), Allow)


def test_each_symbol_has_its_own_time():
    runtime = Runtime(since=START + 1000 * S, ETHUSDT=START)
    other = OrderIntent(symbol="ETHUSDT", side=Side.SELL, qty=Decimal(1))
    assert isinstance(plugin.pre_order_gate(other, runtime, START + 1001 * S, WarmUpSettings()), Allow)
    assert isinstance(answer(START + 1001 * S, runtime), Block)


def test_a_clock_before_the_start_blocks():
    assert answer(START - 5 * S) == Block("WARMUP", {"healthy_s": -5.0})


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), "soon"])
def test_settings_that_make_no_sense_are_refused(seconds):
    with pytest.raises(ValidationError):
        WarmUpSettings(seconds=seconds)


def test_the_module_is_a_gate():
    model = plugin.register_settings()
    assert model is WarmUpSettings
    assert issubclass(model, GateSettings)
    assert model.THRESHOLD in model.model_fields
    assert plugin.judge is judge
    direct = judge(look(ORDER, Runtime(), START), WarmUpSettings())
    assert plugin.pre_order_gate(ORDER, Runtime(), START, WarmUpSettings()) == direct


class TestConformance(GateConformance):
    plugin = plugin


times = st.integers(min_value=0, max_value=2**62)


@settings(deadline=None, max_examples=200)
@given(now=times, since=times, started=times, seconds=st.floats(min_value=0, max_value=1e12))
def test_pure_and_never_raises(now, since, started, seconds):
    own = WarmUpSettings(seconds=seconds)
    runtime = Runtime(since, started)
    first = plugin.pre_order_gate(ORDER, runtime, now, own)
    assert first == plugin.pre_order_gate(ORDER, runtime, now, own)
    other = WarmUpSettings(seconds=seconds / 2 + 1)
    recorded = json.loads(json.dumps(first.inputs))
    assert judge(recorded, own) == first
    assert judge(recorded, other) == plugin.pre_order_gate(ORDER, runtime, now, other)
    assert (runtime.started_ns, runtime.healthy_since("BTCUSDT")) == (started, since)
    assert isinstance(first, Allow) or first.reason in plugin.REASONS
    if isinstance(first, Allow):
        assert since > 0
        assert first.inputs["healthy_s"] >= seconds


@settings(deadline=None, max_examples=200)
@given(later=st.integers(min_value=0, max_value=10**18), now=st.integers(min_value=START, max_value=START + 200 * S))
def test_what_is_warm_stays_warm_while_it_is_healthy(now, later):
    if isinstance(answer(now), Allow):
        assert isinstance(answer(now + later), Allow)
