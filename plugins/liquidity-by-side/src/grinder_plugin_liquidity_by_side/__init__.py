"""Gate for grinder: enough depth on the side through which the position would leave."""

from __future__ import annotations

from grinder import AccountView, MarketView, OrderIntent, Verdict, hookimpl
from grinder_plugin_liquidity_by_side.gate import judge, look
from grinder_plugin_liquidity_by_side.settings import LiquiditySettings

__all__ = ["GRINDER_API", "REASONS", "judge", "pre_order_gate", "register_settings"]

GRINDER_API = ">=1.0,<2"

REASONS = {
    "LIQUIDITY_LOW": "The depth on the side that matters is below plugins.liquidity_by_side.alpha times the quantity.",
    "LIQUIDITY_ZERO": "A side of the book is empty, or nobody else's orders are on the levels looked at.",
}


@hookimpl
def register_settings() -> type[LiquiditySettings]:
    """Settings under ``plugins.liquidity_by_side``."""
    return LiquiditySettings


@hookimpl
def pre_order_gate(
    order: OrderIntent, market: MarketView, account: AccountView, settings: LiquiditySettings
) -> Verdict:
    """Block an order that is large for the depth."""
    return judge(look(order, market, account, settings), settings)
