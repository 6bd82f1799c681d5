"""The judgement: is there depth enough on the side that matters? Pure. Quantities are floats in base units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, nan

from grinder import AccountView, Allow, Block, Input, MarketView, OpenOrder, OrderIntent, Side, Verdict
from grinder_plugin_liquidity_by_side.settings import LiquiditySettings


def look(order: OrderIntent, market: MarketView, account: AccountView, settings: LiquiditySettings) -> dict[str, Input]:
    """The order's quantity and the depth on the side that matters, None where it is no number.

    The position of a BUY leaves through the bids, that of a SELL through the asks. Of ``both`` the thinner one
    counts. An empty side of the book leaves no depth at all.
    """
    if order.qty is None:
        return {}
    qty = float(order.qty)
    available = 0.0
    if market.bid_qty > 0.0 and market.ask_qty > 0.0:
        own = account.open_orders(order.symbol)
        choice, levels = settings.side, settings.levels
        side = order.side.opposite if choice == "entry" else order.side
        available = depth(market, side, levels, own)
        if choice == "both":
            other = depth(market, side.opposite, levels, own)
            available = min(available, other) if isfinite(available + other) else nan  # min() could lose a NaN
    if isfinite(available + qty):
        return {"available": available, "qty": qty}
    return {"available": available if isfinite(available) else None, "qty": qty if isfinite(qty) else None}


def judge(inputs: Mapping[str, Input], settings: LiquiditySettings) -> Verdict:
    """Block when the depth is below ``alpha`` times the quantity, or when there is none."""
    if not inputs:
        return Block("INPUT_MISSING", inputs)
    available, qty = inputs["available"], inputs["qty"]
    if type(available) is not float or type(qty) is not float:  # None, where it was no number
        return Block("INPUT_NONFINITE", inputs)
    required = settings.alpha * qty
    if not isfinite(required):
        return Block("INPUT_NONFINITE", inputs)
    seen: dict[str, Input] = {"available": available, "qty": qty, "required": required}
    if available <= 0.0:
        return Block("LIQUIDITY_ZERO", seen)
    return Allow(seen) if available >= required else Block("LIQUIDITY_LOW", seen)


def depth(market: MarketView, side: Side, count: int, own: Sequence[OpenOrder]) -> float:
    """Quantity of others on the best ``count`` levels of the BUY (bids) or SELL (asks) side.

    Our own orders count at all that they could still rest with, whatever their state: too little depth is the
    safe mistake.
    """
    ours: dict[float, float] = {}
    for order in own:
        if order.side is side and order.price is not None:
            at = float(order.price)
            ours[at] = ours.get(at, 0.0) + float(order.remaining)
    total = 0.0
    for price, qty in market.levels(side, count):
        total += max(qty - ours[price], 0.0) if price in ours else qty
    return total
