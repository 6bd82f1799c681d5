"""Venue rules: tick, lot, minimum and maximum size, minimum notional, price collar. Pure.

An order that adds risk and breaks a rule is dropped. A reducing order is bent to the rule where that is safe, so
that the rule is never a trap: its quantity only ever gets smaller, its price never worse than its own limit.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, InvalidOperation
from typing import Final

import msgspec

from grinder.instruments import Instrument
from grinder.types import Side, Trigger

ZERO: Final = Decimal(0)


class Ruled(msgspec.Struct, frozen=True, gc=False):
    """Quantity and price that the venue would take, or the reason why it would not."""

    qty: Decimal
    price: Decimal | None
    reason: str = ""
    detail: str = ""
    warnings: tuple[str, ...] = ()


def trigger_price(instrument: Instrument, side: Side, trigger: Trigger) -> Decimal:
    """The trigger price on the tick, rounded to where it fires sooner."""
    return (floor_to if trigger.rising(side) else ceil_to)(trigger.price, instrument.tick_size)


class _BrokenError(Exception):
    """A rule is broken and cannot be bent."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of ``step`` that is not above ``value``."""
    return _multiple(value, step, _DOWN)


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """The smallest multiple of ``step`` that is not below ``value``."""
    return _multiple(value, step, _UP)


_DOWN: Final = Context(rounding=ROUND_FLOOR, traps=[])
_UP: Final = Context(rounding=ROUND_CEILING, traps=[])


def _multiple(value: Decimal, step: Decimal, context: Context) -> Decimal:
    """Every step rounds the same way, so that a value of any length ends on its side."""
    steps = context.divide(value, step).to_integral_value(context.rounding, context)
    return context.multiply(steps, step)


def check(  # noqa: PLR0917 - one order, one reference, one question
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
    reference = reference if reference.is_finite() else ZERO
    try:
        if price is not None:
            bend = _bent_price if reducing else _sound_price
            price = bend(instrument, side, price, reference, warnings)
        _require_finite("quantity", qty)
        most = instrument.max_qty if price is not None else instrument.most_at_market
        if reducing:
            qty = _bent_qty(instrument, qty, most, warnings)
        _check_qty(instrument, qty, most)
        if not reducing:
            _check_notional(instrument, qty, reference if price is None else price)
    except _BrokenError as broken:
        return Ruled(qty, price, broken.reason, broken.detail, tuple(warnings))
    except InvalidOperation:
        detail = f"{qty} at {price} has too many digits for exact arithmetic"
        return Ruled(qty, price, "ORDER_INVALID", detail, tuple(warnings))
    return Ruled(qty, price, "", "", tuple(warnings))


def _require_finite(name: str, value: Decimal) -> None:
    if not value.is_finite():
        raise _BrokenError("INPUT_NONFINITE", f"{name} is {value}")


def _sound_price(
    instrument: Instrument, _side: Side, price: Decimal, reference: Decimal, _warnings: list[str]
) -> Decimal:
    """The price as it is."""
    outside = _outside_collar(instrument, price, reference)
    if price <= 0 or price % instrument.tick_size:
        raise _BrokenError("PRICE_TICK", f"price {price} is not a positive multiple of {instrument.tick_size}")
    if outside:
        raise _BrokenError("PRICE_COLLAR", outside)
    return price


def _bent_price(instrument: Instrument, side: Side, price: Decimal, reference: Decimal, warnings: list[str]) -> Decimal:
    """The price on the tick and inside the edge that the venue enforces.

    Venues bound how high one may buy and how low one may sell. At the other edge the order only waits, as a
    take-profit does, and moving it would trade at a worse price than was asked for.
    """
    outside = _outside_collar(instrument, price, reference)
    bent = price
    if side is Side.BUY:
        if outside:
            bent = min(price, reference * instrument.collar_up)
        bent = floor_to(bent, instrument.tick_size)
    else:
        if outside:
            bent = max(price, reference * instrument.collar_down)
        bent = ceil_to(bent, instrument.tick_size)
    if bent <= 0 or bent % instrument.tick_size:
        raise _BrokenError("PRICE_TICK", f"price {price} is not a positive multiple of {instrument.tick_size}")
    if outside:
        warnings.append(f"PRICE_COLLAR: {outside}; sent at {bent}")
    elif bent != price:
        warnings.append(f"PRICE_TICK: {price} moved to {bent}, a multiple of {instrument.tick_size}")
    return bent


def _outside_collar(instrument: Instrument, price: Decimal, reference: Decimal) -> str:
    """A text when the price is outside the collar; empty when inside, or when no reference is known."""
    _require_finite("price", price)
    low, high = reference * instrument.collar_down, reference * instrument.collar_up
    if reference <= 0 or low <= price <= high:
        return ""
    return f"price {price} is outside {low.normalize():f} to {high.normalize():f}"


def _bent_qty(instrument: Instrument, qty: Decimal, most: Decimal, warnings: list[str]) -> Decimal:
    """The quantity cut to the maximum and rounded down to the lot."""
    bent = qty
    if bent > most:
        bent = most
        warnings.append(f"QTY_MAX: {qty} cut to {bent}")
    if bent > 0 and bent % instrument.lot_size:
        bent = floor_to(bent, instrument.lot_size)
        warnings.append(f"QTY_LOT: {qty} rounded down to {bent}, a multiple of {instrument.lot_size}")
    return bent


def _check_qty(instrument: Instrument, qty: Decimal, most: Decimal) -> None:
    if qty <= 0:
        raise _BrokenError("QTY_ZERO", f"quantity is {qty}")
    if qty > most:
        raise _BrokenError("QTY_MAX", f"quantity {qty} is above {most}")
    if qty % instrument.lot_size:
        raise _BrokenError("QTY_LOT", f"quantity {qty} is not a multiple of {instrument.lot_size}")
    if qty < instrument.min_qty:
        raise _BrokenError("QTY_MIN", f"quantity {qty} is below {instrument.min_qty}")


def _check_notional(instrument: Instrument, qty: Decimal, price: Decimal) -> None:
    """Reducing orders are not held to it: venues exempt them."""
    if price <= 0:
        raise _BrokenError("PRICE_UNAVAILABLE", "no price is known that could value the order")
    notional = qty * price
    if notional < instrument.min_notional:
        raise _BrokenError("NOTIONAL_MIN", f"notional {notional.normalize():f} is below {instrument.min_notional}")
