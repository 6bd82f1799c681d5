"""What an intent does to risk in the worst case. Pure; any doubt is INCREASE."""

from __future__ import annotations

from decimal import Decimal

from grinder.types import IntentKind, OpenOrder, OrderIntent, PositionSide, Risk, Side


def closes_leg(side: Side, position_side: PositionSide) -> bool:
    """Whether the side closes the leg in hedge mode; the venue itself enforces that it cannot open one."""
    return (position_side is PositionSide.LONG and side is Side.SELL) or (
        position_side is PositionSide.SHORT and side is Side.BUY
    )


def place_risk(intent: OrderIntent, qty: Decimal, position: Decimal | None, same_side: Decimal) -> Risk:
    """Risk of a new order.

    Args:
        intent: the order.
        qty: its quantity, base units.
        position: signed position of the leg; None when unknown.
        same_side: all that resting, in-flight and unknown orders could still trade on the order's side.
    """
    if intent.reduce_only or closes_leg(intent.side, intent.position_side):
        return Risk.REDUCE
    if position is None or intent.position_side is not PositionSide.BOTH:
        return Risk.INCREASE
    against = position * intent.side.sign
    return Risk.REDUCE if against < 0 and qty + same_side <= -against else Risk.INCREASE


def amend_risk(intent: OrderIntent, target: OpenOrder) -> Risk:
    """Risk of changing a resting order: growing it, or moving one that is not reduce-only, adds risk."""
    if intent.qty is None or intent.qty > target.qty:
        return Risk.INCREASE
    moved = intent.price is not None and intent.price != target.price
    if moved and not target.reduce_only:
        return Risk.INCREASE
    return Risk.REDUCE


def risk_of(
    intent: OrderIntent, qty: Decimal, position: Decimal | None, same_side: Decimal, target: OpenOrder | None
) -> Risk:
    """Class of any intent."""
    if intent.kind is IntentKind.CANCEL:
        return Risk.CANCEL
    if intent.kind is IntentKind.AMEND:
        return Risk.INCREASE if target is None else amend_risk(intent, target)
    return place_risk(intent, qty, position, same_side)
