"""What an intent does to risk in the worst case. Pure; any doubt is INCREASE."""

from __future__ import annotations

from decimal import Decimal

from grinder.types import IntentKind, OpenOrder, OrderIntent, PositionSide, Risk, Side


def closes_leg(side: Side, position_side: PositionSide) -> bool:
    """Whether the side closes the leg in hedge mode; the venue itself enforces that it cannot open one."""
    return (position_side is PositionSide.LONG and side is Side.SELL) or (
        position_side is PositionSide.SHORT and side is Side.BUY
    )


def held_by_venue(side: Side, position_side: PositionSide, flag: bool) -> bool:
    """Whether the venue itself lets the order only reduce: by the reduce-only ``flag``, or as closing side of a leg.

    Hedge mode knows no reduce-only flag, so there it proves nothing.
    """
    return flag if position_side is PositionSide.BOTH else closes_leg(side, position_side)


def place_risk(
    intent: OrderIntent, qty: Decimal, position: Decimal | None, same_side: Decimal, *, venue_reduce_only: bool = True
) -> Risk:
    """Risk of a new order.

    Args:
        intent: the order.
        qty: its quantity, base units.
        position: signed position of the leg; None when unknown.
        same_side: all that resting, in-flight and unknown orders could still trade on the order's side.
        venue_reduce_only: whether the venue has a reduce-only flag and enforces it.
    """
    if held_by_venue(intent.side, intent.position_side, intent.reduce_only and venue_reduce_only):
        return Risk.REDUCE
    if intent.trigger is not None and not venue_reduce_only:
        return Risk.INCREASE  # the position may be another one when it fires, and nobody would hold it to that
    if position is None or not qty.is_finite() or intent.position_side is not PositionSide.BOTH:
        return Risk.INCREASE
    against = position * intent.side.sign
    return Risk.REDUCE if against < 0 and qty + same_side <= -against else Risk.INCREASE


def amend_risk(intent: OrderIntent, qty: Decimal, target: OpenOrder, *, venue_reduce_only: bool = True) -> Risk:
    """Risk of changing a resting order to ``qty``: growing it adds risk, and so does moving one that is not held."""
    if intent.side is not target.side or intent.symbol != target.symbol:
        return Risk.INCREASE
    if not qty.is_finite() or qty > target.qty:
        return Risk.INCREASE
    if held_by_venue(target.side, target.position_side, target.reduce_only and venue_reduce_only):
        return Risk.REDUCE
    price = intent.price
    unmoved = price is None or (price.is_finite() and price == target.price)
    return Risk.REDUCE if unmoved else Risk.INCREASE


def risk_of(
    intent: OrderIntent,
    qty: Decimal,
    position: Decimal | None,
    same_side: Decimal,
    target: OpenOrder | None,
    *,
    venue_reduce_only: bool = True,
) -> Risk:
    """Class of any intent; ``target`` is the order that an amendment means, None when it is not known."""
    if intent.kind is IntentKind.CANCEL:
        return Risk.CANCEL
    if intent.kind is IntentKind.PLACE:
        return place_risk(intent, qty, position, same_side, venue_reduce_only=venue_reduce_only)
    return Risk.INCREASE if target is None else amend_risk(intent, qty, target, venue_reduce_only=venue_reduce_only)
