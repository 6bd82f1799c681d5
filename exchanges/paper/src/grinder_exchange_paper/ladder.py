"""Own resting orders of one side of one symbol: levels by price, orders by time."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from grinder import BookReader, Side
from grinder_exchange_paper.orders import UNSEEN, Order
from grinder_exchange_paper.queue_model import UNKNOWN, QueueModel

ZERO: Final = Decimal(0)
INFINITY: Final = float("inf")


class Level:
    """Own orders at one price.

    Attributes:
        orders: oldest first; a new tuple with every change, so that it may change while it is gone through.
        price: the price.
        key: the price as the feed writes it; empty until it is asked for.
        front: no order has more lots ahead of it.
        seen: lots displayed last, by the display of update id ``seen_id``; ``UNKNOWN`` before the first.
    """

    __slots__ = ("front", "key", "orders", "price", "seen", "seen_id")

    def __init__(self, price: float) -> None:
        self.price = price
        self.front: float = 0
        self.seen = UNKNOWN
        self.seen_id = 0
        self.key = ""
        self.orders: tuple[Order, ...] = ()

    def name(self, book: BookReader) -> str:
        """Ask for the key, and keep it."""
        price = self.orders[0].price
        self.key = book.key(price) if price is not None else ""
        return self.key

    def shown(self, model: QueueModel, displayed: int, at_ns: int, display_id: int) -> None:
        """So many lots are displayed at the price, by a display of that exchange time and update id."""
        before = self.seen
        if model.heeds_all:
            if display_id < self.seen_id or displayed == before:
                return
            self.seen, self.seen_id = displayed, display_id
        elif displayed >= self.front:
            return
        self.front = 0
        for order in self.orders:
            if order.joined_id <= display_id:
                model.shown(order, before, displayed, at_ns)
            self.front = max(self.front, order.ahead)


class Ladder:
    """Own resting orders of one side.

    Attributes:
        levels: by price.
        ranked: best price first; a new tuple with every change, so that it may change while it is gone through.
        best: the best own price; without orders, one that no market price reaches (0 for BUY, infinity for SELL).
        notional: what is still open of the orders that are not reduce-only.
        crossed: opposite displayed levels that reach our prices, with the lots that have been offered to us.
    """

    __slots__ = ("best", "buy", "crossed", "levels", "notional", "ranked", "side")

    def __init__(self, side: Side) -> None:
        self.side = side
        self.buy = side is Side.BUY
        self.levels: dict[float, Level] = {}
        self.ranked: tuple[Level, ...] = ()
        self.best = 0.0 if self.buy else INFINITY
        self.notional = ZERO
        self.crossed: dict[float, int] = {}

    def add(self, order: Order) -> None:
        """Rest an order behind the others at its price."""
        level = self.levels.get(order.limit)
        if level is None:
            level = self.levels[order.limit] = Level(order.limit)
            self._rank()
        level.orders = (*level.orders, order)
        if order.ahead < UNSEEN:
            level.seen, level.seen_id = int(order.ahead), order.joined_id
        level.front = max(level.front, order.ahead)
        self.weigh(order, order.lots)

    def remove(self, order: Order) -> bool:
        """Take an order off; False when it does not rest here."""
        level = self.levels.get(order.limit)
        if level is None or order not in level.orders:
            return False
        level.orders = tuple(other for other in level.orders if other is not order)
        self.weigh(order, -order.lots)
        if not level.orders:
            del self.levels[order.limit]
            self._rank()
        return True

    def _rank(self) -> None:
        levels = self.levels
        self.ranked = tuple([levels[price] for price in sorted(levels, reverse=self.buy)])
        nothing = 0.0 if self.buy else INFINITY
        self.best = self.ranked[0].price if levels else nothing

    def weigh(self, order: Order, lots: int) -> None:
        """Lots of an order were added (or, negative, filled or taken off)."""
        if order.price is not None and not order.reduce_only:
            self.notional += order.price * order.to_qty(lots)

    def better(self, price: float, other: float) -> bool:
        """Whether one price is better than another for the taker who meets this side: higher bid, lower ask."""
        return price > other if self.buy else price < other
