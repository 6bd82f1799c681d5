"""Venue rules: tick, lot, minimum and maximum size, minimum notional, price collar. Pure.

An order that adds risk and breaks a rule is dropped. A reducing order is bent to the rule where that is safe
(rounded down to the lot, moved to the edge of the collar), so that the rule is never a trap.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

import msgspec

from grinder.instruments import Instrument
from grinder.types import Side

ZERO: Final = Decimal(0)


class Ruled(msgspec.Struct, frozen=True, gc=False):
    """Quantity and price that the venue would take, or the reason why it would not."""

    qty: Decimal
    price: Decimal | None
    reason: str = ""
    detail: str = ""
    warnings: tuple[str, ...] = ()


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of ``step`` that is not above ``value``."""
    return (value / step).to_integral_value(ROUND_FLOOR) * step


def check(
    instrument: Instrument, side: Side, qty: Decimal, price: Decimal | None, reference: Decimal, reducing: bool
) -> Ruled:
    """Hold one order against the venue's rules.

    Args:
        instrument: the rules.
        side: of the order.
        qty: base units.
        price: limit price; None for a market order.
        reference: price that values market orders and centres the collar; zero when unknown.
        reducing: whether the order can only reduce.
    """
    warnings: list[str] = []
    if price is not None:
        if not price.is_finite():
            return Ruled(qty, price, "INPUT_NONFINITE", f"price is {price}")
        if price <= 0 or (not reducing and price % instrument.tick_size):
            return Ruled(qty, price, "PRICE_TICK", f"price {price} is not a multiple of {instrument.tick_size}")
        price, outside = _collar(instrument, side, price, reference)
        if outside and not reducing:
            return Ruled(qty, price, "PRICE_COLLAR", outside)
        if outside:
            warnings.append(f"PRICE_COLLAR: {outside}")
    if not qty.is_finite():
        return Ruled(qty, price, "INPUT_NONFINITE", f"quantity is {qty}")
    if reducing and qty % instrument.lot_size:
        warnings.append(f"QTY_LOT: {qty} rounded down to a multiple of {instrument.lot_size}")
        qty = floor_to(qty, instrument.lot_size)
    reason, detail = _size(instrument, qty, price if price is not None else reference, reducing)
    return Ruled(qty, price, reason, detail, tuple(warnings))


def _collar(instrument: Instrument, side: Side, price: Decimal, reference: Decimal) -> tuple[Decimal, str]:
    """The price within the collar, on the tick, and a text when it was outside."""
    tick = instrument.tick_size
    inside = (price / tick).to_integral_value(ROUND_FLOOR if side is Side.BUY else ROUND_CEILING) * tick
    if reference <= 0:
        return inside, ""
    low, high = reference * instrument.collar_down, reference * instrument.collar_up
    if low <= inside <= high:
        return inside, ""
    outside = f"price {price} is outside {low.normalize():f} to {high.normalize():f}"
    if inside < low:
        return (low / tick).to_integral_value(ROUND_CEILING) * tick, outside
    return floor_to(high, tick), outside


def _size(instrument: Instrument, qty: Decimal, value_price: Decimal, reducing: bool) -> tuple[str, str]:
    if qty <= 0:
        return "QTY_ZERO", f"quantity is {qty}"
    if qty % instrument.lot_size:
        return "QTY_LOT", f"quantity {qty} is not a multiple of {instrument.lot_size}"
    if qty < instrument.min_qty:
        return "QTY_MIN", f"quantity {qty} is below {instrument.min_qty}"
    if qty > instrument.max_qty:
        return "QTY_MAX", f"quantity {qty} is above {instrument.max_qty}"
    if value_price <= 0:
        return ("", "") if reducing else ("PRICE_UNAVAILABLE", "no price is known that could value the order")
    notional = qty * value_price
    if notional < instrument.min_notional and not reducing:
        return "NOTIONAL_MIN", f"notional {notional.normalize():f} is below {instrument.min_notional}"
    return "", ""
