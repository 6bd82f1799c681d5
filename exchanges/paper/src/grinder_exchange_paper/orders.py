"""Orders as the venue keeps them: open ones, and a bounded memory of final ones.

It is a fold over the log's records: live trading, recovery and looking up old orders go through the same ``apply``.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from grinder import Fill, Found, Instrument, OrderState, StateError, VenueOrder
from grinder_exchange_paper.log import Changed, Ended, Executed, Fired, Opened, Record

ZERO: Final = Decimal(0)
REMEMBERED: Final = 10_000
"""Final orders kept in memory; older ones are looked up in the log."""
UNSEEN: Final = 1 << 62
"""Lots ahead of an order whose level has not been seen yet: the first display sets it."""


def lot_decimals(instrument: Instrument) -> int:
    """Decimals of the lot size: quantities are matched as integers of that last digit, here called lots."""
    exponent = instrument.lot_size.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


class Order:
    """One order.

    Attributes:
        limit: price as a float, for comparison with displayed prices; 0.0 for a market order.
        lots: what is still to be filled.
        cause: why its fills happen.
        trigger: what a conditional order waits for; None once it has fired.
        changes: how often it was amended.
        ahead: displayed lots in front of it in the queue at its price; a fraction where they are estimated.
        joined_ns: exchange time of the display that it joined; earlier prints do not concern it.
        joined_id: update id of that display; earlier displays do not concern it.
        shown_ns: exchange time of the display that last moved it forward.
        credit: by how many lots displays moved it forward: prints up to ``shown_ns`` are in them already.
        traded: lots printed at its price since the last display.
    """

    __slots__ = (
        "ahead",
        "cause",
        "changes",
        "client_id",
        "credit",
        "decimals",
        "filled_qty",
        "fills",
        "intent_id",
        "joined_id",
        "joined_ns",
        "limit",
        "lots",
        "position_side",
        "price",
        "qty",
        "reduce_only",
        "route",
        "shown_ns",
        "side",
        "state",
        "symbol",
        "tif",
        "traded",
        "trigger",
        "venue_order_id",
    )

    def __init__(self, record: Opened, decimals: int) -> None:
        self.client_id = record.client_id
        self.venue_order_id = str(record.venue_order_id)
        self.intent_id = record.intent_id
        self.route = record.route
        self.symbol = record.symbol
        self.side = record.side
        self.position_side = record.position_side
        self.tif = record.tif
        self.reduce_only = record.reduce_only
        self.decimals = decimals
        self.state = OrderState.OPEN
        self.filled_qty = ZERO
        self.fills: list[Fill] = []
        self.trigger = record.trigger
        self.cause = record.cause
        self.changes = 0
        self.ahead: float = UNSEEN
        self.credit: float = 0
        self.joined_id = self.joined_ns = self.shown_ns = self.traded = 0
        self.change(record.price, record.qty)

    def change(self, price: Decimal | None, qty: Decimal) -> None:
        """Set price and whole quantity."""
        self.price = price
        self.limit = float(price) if price is not None else 0.0
        self.qty = qty
        self.lots = self.to_lots(qty - self.filled_qty)

    def to_lots(self, qty: Decimal) -> int:
        """A quantity in lots, rounded down."""
        return int(qty.scaleb(self.decimals))

    def to_qty(self, lots: int) -> Decimal:
        """Lots as a quantity in base units."""
        return Decimal(lots).scaleb(-self.decimals)

    @property
    def open(self) -> bool:
        """Whether it may still trade."""
        return not self.state.final

    def stated(self) -> VenueOrder:
        """The order as a snapshot states it."""
        return VenueOrder(
            symbol=self.symbol,
            client_id=self.client_id,
            venue_order_id=self.venue_order_id,
            side=self.side,
            price=self.price if self.price is not None else ZERO,
            qty=self.qty,
            filled_qty=self.filled_qty,
            reduce_only=self.reduce_only,
            trigger=self.trigger,
        )

    def found(self) -> Found:
        """The order as the answer to a query."""
        return Found(
            self.client_id,
            self.venue_order_id,
            self.state,
            self.filled_qty,
            tuple(self.fills),
            self.qty,
            self.price,
            waits=self.trigger is not None,
        )


class Orders:
    """All orders of the venue.

    Attributes:
        open: orders that may still trade, by client id, oldest first.
        forgotten: final orders that are in the log only.
        last_id: venue order id given last.
    """

    __slots__ = ("_decimals", "_final", "forgotten", "last_id", "open")

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self._decimals = {symbol: lot_decimals(instrument) for symbol, instrument in instruments.items()}
        self._final: dict[str, Order] = {}
        self.open: dict[str, Order] = {}
        self.forgotten = 0
        self.last_id = 0

    def apply(self, record: Record) -> None:
        """Let one record happen.

        Raises:
            StateError: it contradicts what happened before.
        """
        if isinstance(record, Opened):
            self._open(record)
        elif isinstance(record, Executed):
            self._fill(record.fill)
        elif isinstance(record, Changed):
            order = self._working(record.client_id)
            order.change(record.price, record.qty)
            order.changes += 1
        elif isinstance(record, Fired):
            self._fire(record)
        elif isinstance(record, Ended):
            self._finish(self._working(record.client_id), record.state)

    def _open(self, record: Opened) -> None:
        if record.client_id in self.open:
            raise StateError(f"order {record.client_id} is opened twice")
        decimals = self._decimals.get(record.symbol)
        if decimals is None:
            raise StateError(f"order {record.client_id} is of {record.symbol}, which has no instrument")
        self.open[record.client_id] = Order(record, decimals)
        self.last_id = record.venue_order_id

    def _fire(self, record: Fired) -> None:
        order = self._working(record.client_id)
        if order.trigger is None:
            raise StateError(f"order {record.client_id} fires and has no trigger")
        order.trigger = None
        order.venue_order_id = str(record.venue_order_id)
        self.last_id = record.venue_order_id

    def _working(self, client_id: str) -> Order:
        order = self.open.get(client_id)
        if order is None:
            raise StateError(f"order {client_id} is not open")
        return order

    def _fill(self, fill: Fill) -> None:
        order = self._working(fill.client_id)
        order.lots -= order.to_lots(fill.qty)
        if order.lots < 0:
            raise StateError(f"order {fill.client_id} is filled beyond its quantity")
        order.filled_qty += fill.qty
        order.fills.append(fill)
        if order.lots:
            order.state = OrderState.PARTIAL
        else:
            self._finish(order, OrderState.FILLED)

    def _finish(self, order: Order, state: OrderState) -> None:
        order.state = state
        del self.open[order.client_id]
        self._final.pop(order.client_id, None)
        self._final[order.client_id] = order
        if len(self._final) > REMEMBERED:
            del self._final[next(iter(self._final))]
            self.forgotten += 1

    def get(self, client_id: str) -> Order | None:
        """The order of that id that was opened last, if it is in memory."""
        return self.open.get(client_id) or self._final.get(client_id)
