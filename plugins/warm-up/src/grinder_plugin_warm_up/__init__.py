"""Gate for grinder: no new risk until market data has been healthy for a while."""

from __future__ import annotations

from grinder import OrderIntent, RuntimeView, Verdict, hookimpl
from grinder_plugin_warm_up.gate import judge, look
from grinder_plugin_warm_up.settings import WarmUpSettings

__all__ = ["GRINDER_API", "REASONS", "judge", "pre_order_gate", "register_settings"]

GRINDER_API = ">=1.0,<2"

REASONS = {
    "WARMUP": "The symbol's market data has not been healthy for plugins.warm_up.seconds yet.",
    "WARMUP_NOT_HEALTHY": "The symbol's market data is not healthy now: none yet, stale, or with a gap.",
}


@hookimpl
def register_settings() -> type[WarmUpSettings]:
    """Settings under ``plugins.warm_up``."""
    return WarmUpSettings


@hookimpl
def pre_order_gate(order: OrderIntent, runtime: RuntimeView, now: int, settings: WarmUpSettings) -> Verdict:
    """Block while the market warms up."""
    return judge(look(order, runtime, now), settings)
