"""Open orders that somebody else placed on the account: told from ours, named, and counted, since they may trade."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TypeAlias

from grinder.errors import CallError
from grinder.exchange import VenueOrder
from grinder.types import OpenOrder, OrderState, PositionSide, Route, Side

if TYPE_CHECKING:
    from grinder.engine.post import Post

ZERO: Final = Decimal(0)
FOREIGN: Final = "venue"
"""Origin of orders that were not decided here, and how their names begin."""

Known: TypeAlias = tuple[VenueOrder, OpenOrder | None]
"""A stated order, and the one of ours that it is."""
OtherKey: TypeAlias = tuple[str, Side, str]
"""Symbol, side and client order id of an order that is not ours; others may give one id to several."""


def name_of(order: VenueOrder) -> str:
    """What an order that is not ours is called here: venues number orders by symbol, so the symbol is part of it."""
    return f"{FOREIGN}:{order.symbol}:{order.venue_order_id or order.client_id}"


def told_apart(post: Post, orders: Iterable[VenueOrder]) -> list[Known]:
    """Every stated order with the order of ours that it is, by symbol, side and client id.

    Raises:
        CallError: two of them cannot be told apart, or one has no id at all.
    """
    known = [(order, _ours(post, order)) for order in orders]
    seen: set[str] = set()
    for order, ours in known:
        what = f"open_orders: {order.side} {order.qty} {order.symbol} at {order.price}"
        if not (order.venue_order_id or order.client_id):
            raise CallError(f"{what} has neither venue_order_id nor client_id: give what the venue calls it")
        name = name_of(order) if ours is None else ours.client_id
        if name in seen:
            ids = f"venue_order_id {order.venue_order_id!r:.60}, client_id {order.client_id!r:.60}"
            raise CallError(f"{what} ({ids}) was stated twice: state each order once, with its venue_order_id")
        seen.add(name)
    return known


def _ours(post: Post, order: VenueOrder) -> OpenOrder | None:
    found = post.find(order.client_id)
    if found is None or found.origin == FOREIGN or (found.symbol, found.side) != (order.symbol, order.side):
        return None
    return found


def aliases(orders: Iterable[VenueOrder]) -> dict[OtherKey, str]:
    """Names of orders that are not ours by client id, for fills that say nothing else; empty where two share one."""
    names: dict[OtherKey, str] = {}
    for order in orders:
        key = (order.symbol, order.side, order.client_id)
        if order.client_id:
            names[key] = "" if key in names else name_of(order)
    return names


def counted(order: VenueOrder, route: Route) -> OpenOrder:
    """The order as the account counts it: at what it may still trade."""
    name = name_of(order)
    return OpenOrder(
        name,
        name,
        order.symbol,
        order.side,
        PositionSide.BOTH,
        order.price or None,
        order.qty,
        max(order.qty - order.filled_qty, ZERO),
        order.reduce_only,
        OrderState.OPEN,
        route,
        FOREIGN,
        0,
        order.trigger,
    )
