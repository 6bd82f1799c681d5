"""The spread gate, as its author would test it: with nothing but grinder's public names."""

from __future__ import annotations

from importlib.metadata import entry_points
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from grinder import HOOK_API, Allow, Block
from grinder.testing import GateConformance, market, run_gate

acme = pytest.importorskip("acme_grinder_spread", reason="acme-grinder-spread is not installed here")


class TestConformance(GateConformance):
    plugin = acme


def test_the_host_runs_it():
    wide = market(bids=[("9990", "1")], asks=[("10010", "1")])
    run = run_gate(acme, market=wide, settings={"max_spread_bps": 19})
    assert (run.blocked, run.answer.reason) == (True, "ACME_SPREAD_WIDE")
    assert not run_gate(acme, market=wide, settings={"max_spread_bps": 20}).blocked


def judge(bid: float, ask: float, max_spread_bps: float = 5.0):
    market = SimpleNamespace(bid=bid, ask=ask, mid=(bid + ask) / 2)
    return acme.pre_order_gate(market, acme.SpreadSettings(max_spread_bps=max_spread_bps))


def test_a_narrow_spread_passes():
    assert judge(9999.0, 10001.0) == Allow({"spread_bps": 2.0})


def test_the_limit_itself_passes_and_more_does_not():
    assert judge(9999.0, 10001.0, max_spread_bps=2.0) == Allow({"spread_bps": 2.0})
    assert judge(9999.0, 10001.0, max_spread_bps=1.9) == Block("ACME_SPREAD_WIDE", {"spread_bps": 2.0})


def test_no_price_blocks():
    assert judge(0.0, 0.0) == Block("INPUT_MISSING")
    assert isinstance(judge(float("nan"), 10001.0), Block)
    assert isinstance(judge(9999.0, float("inf")), Block)


@pytest.mark.parametrize("bad", [-1, float("nan"), float("inf")])
def test_settings_that_make_no_sense_are_refused(bad):
    with pytest.raises(ValidationError):
        acme.SpreadSettings(max_spread_bps=bad)


def test_it_is_installed_as_a_plugin():
    (point,) = entry_points(group="grinder.plugins", name="acme_spread")
    assert point.load() is acme
    assert HOOK_API.startswith("1.")
    assert acme.register_settings() is acme.SpreadSettings
