"""What the journal keeps, as records."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, TypeAlias

import msgspec

from grinder.journal.ledger import Ledger
from grinder.types import (
    IntentKind,
    OpenOrder,
    OrderState,
    PositionSide,
    Route,
    Side,
    Trigger,
)

TRIGGERED: Final = "TRIGGERED"
"""Kind of the event after which a conditional order is a plain one."""
AMENDED: Final = "AMENDED"
"""Kind of the event with which the venue confirmed an order's quantity and price; ``detail`` is the client id of the
amendment that it carried out, empty when that is not known."""
AMENDMENT_OVER: Final = "AMENDMENT_OVER"
"""Kind of the event after which an amendment of the order is no longer possible; its client id begins ``detail``."""
CursorKey: TypeAlias = tuple[str, str, str]
"""Venue, account, symbol."""


class OrderRecord(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An order as the journal knows it. ``qty`` and ``price`` are as last amended; ``created_ns`` is the intent's.

    ``trigger`` is that of a conditional order which has not fired. A record of ``kind`` AMEND is a wish: the quantity
    and price that the order ``target_client_id`` is to have.
    """

    intent_id: str
    client_id: str
    kind: IntentKind
    symbol: str
    side: Side
    position_side: PositionSide
    qty: Decimal
    price: Decimal | None
    reduce_only: bool
    route: Route
    venue: str
    account: str
    origin: str
    target_client_id: str
    created_ns: int
    trigger: Trigger | None = None
    state: OrderState = OrderState.INTENT
    filled_qty: Decimal = Decimal(0)
    venue_order_id: str = ""
    updated_ns: int = 0

    def open_order(self) -> OpenOrder:
        """The order at its worst case: everything that is not filled may still trade."""
        return OpenOrder(
            intent_id=self.intent_id,
            client_id=self.client_id,
            symbol=self.symbol,
            side=self.side,
            position_side=self.position_side,
            price=self.price,
            qty=self.qty,
            remaining=max(self.qty - self.filled_qty, Decimal(0)),
            reduce_only=self.reduce_only,
            state=self.state,
            route=self.route,
            origin=self.origin,
            created_ns=self.created_ns,
            trigger=self.trigger,
        )


class LoggedEvent(msgspec.Struct, frozen=True, gc=False):
    """One thing that became known of an order, and its state after it. ``qty`` and ``price`` tell an amendment."""

    seq: int
    client_id: str
    ts_ns: int
    kind: str
    state: OrderState
    filled_qty: Decimal
    qty: Decimal | None
    price: Decimal | None
    venue_order_id: str
    detail: str


class Cursor(msgspec.Struct, frozen=True, gc=False):
    """How far a symbol's trades were read."""

    last_exchange_ns: int
    last_trade_id: str
    updated_ns: int


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a start needs, whether it follows a crash or not.

    Attributes:
        tag: the instance.
        generation: how many runs have written here. Intent ids that contain it are never used twice, not even
            after a run that died with writes it could not make durable.
        next_intent_number: one more than the number of decisions recorded.
        orders: orders that are not final, oldest first.
        amendments: amendments of these orders that may still be carried out, oldest first.
        ledger: rebuilt from every fill.
        cursors: by (venue, account, symbol).
        state: what ``put_state`` kept, decoded.
        last_event_ns: latest time on record, 0 when there is none.
    """

    tag: str
    generation: int
    next_intent_number: int
    orders: tuple[OrderRecord, ...]
    amendments: tuple[OrderRecord, ...]
    ledger: Ledger
    cursors: dict[CursorKey, Cursor]
    state: dict[str, Any]
    last_event_ns: int


def order_after(order: OrderRecord, event: LoggedEvent) -> OrderRecord:
    """The order after one of its events."""
    return msgspec.structs.replace(
        order,
        state=event.state,
        filled_qty=event.filled_qty,
        qty=order.qty if event.qty is None else event.qty,
        price=order.price if event.price is None else event.price,
        venue_order_id=event.venue_order_id or order.venue_order_id,
        trigger=None if event.kind == TRIGGERED else order.trigger,
        updated_ns=event.ts_ns,
    )
