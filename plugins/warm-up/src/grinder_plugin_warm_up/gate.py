"""The judgement: has the symbol's market been healthy for long enough? Pure."""

from __future__ import annotations

from collections.abc import Mapping

from grinder import Allow, Block, Input, OrderIntent, RuntimeView, Verdict
from grinder_plugin_warm_up.settings import WarmUpSettings


def look(order: OrderIntent, runtime: RuntimeView, now: int) -> dict[str, Input]:
    """For how many seconds the symbol has been healthy, counted from the start of the engine at the earliest.

    Health before the start does not count: signals, books and the account were not watched then. ``healthy`` False
    is recorded only while the market is not healthy.
    """
    since = runtime.healthy_since(order.symbol)
    if not since:
        return {"healthy": False, "healthy_s": 0.0}
    return {"healthy_s": (now - max(runtime.started_ns, since)) / 1e9}


def judge(inputs: Mapping[str, Input], settings: WarmUpSettings) -> Verdict:
    """Block until ``seconds`` of unbroken health have passed."""
    if "healthy" in inputs:
        return Block("WARMUP_NOT_HEALTHY", inputs)
    healthy_s = inputs["healthy_s"]
    if type(healthy_s) is float and healthy_s >= settings.seconds:
        return Allow(inputs)
    return Block("WARMUP", inputs)
