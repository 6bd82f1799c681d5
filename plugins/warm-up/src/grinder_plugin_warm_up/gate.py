"""The judgement: has the symbol's market been healthy for long enough? Pure."""

from __future__ import annotations

from typing import Final

from grinder import Allow, Block, OrderIntent, RuntimeView, Verdict
from grinder_plugin_warm_up.settings import WarmUpSettings

NOT_HEALTHY: Final = Block("WARMUP_NOT_HEALTHY", {"healthy_s": 0.0})


def judge(order: OrderIntent, runtime: RuntimeView, now: int, settings: WarmUpSettings) -> Verdict:
    """Block until ``seconds`` of unbroken health have passed, counted from the start of the engine at the earliest.

    Health before the start does not count: signals, books and the account were not watched then.
    """
    since = runtime.healthy_since(order.symbol)
    if not since:
        return NOT_HEALTHY
    started = runtime.started_ns
    healthy_s = (now - max(started, since)) / 1e9
    inputs = {"healthy_s": healthy_s}
    return Allow(inputs) if healthy_s >= settings.seconds else Block("WARMUP", inputs)
