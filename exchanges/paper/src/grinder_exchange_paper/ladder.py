"""Own resting orders of one side of one symbol: levels by price, orders by time."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from grinder import BookReader, Side
from grinder_exchange_paper import queue_model
from grinder_exchange_paper.orders import Order

ZERO: Final = Decimal(0)
INFINITY: Final = float("inf")
NEWEST: Final = 1 << 62
"""Update id of a display that is newer than any that an order may have joined."""


class Level:
    """Own orders at one price, oldest first.

    Attributes:
        price: the price.
        key: the price as the feed writes it; empty until it is asked for.
        front: no order has more lots ahead of it.
    """

    __slots__ = ("front", "key", "orders", "price")

    def __init__(self, price: float) -> None:
        self.price = price
        self.front = 0
        self.key = ""
        self.orders: list[Order] = []

    def name(self, book: BookReader) -> str:
        """Ask for the key, and keep it."""
        price = self.orders[0].price
        self.key = book.key(price) if price is not None else ""
        return self.key

    def shown(self, displayed: int, at_ns: int, display_id: int = NEWEST) -> None:
        """So many lots are displayed at the price, by a display of that exchange time and update id."""
        if displayed >= self.front:
            return
        self.front = 0
        for order in self.orders:
            if displayed < order.ahead and order.joined_id <= display_id:
                queue_model.shown(order, displayed, at_ns)
            self.front = max(self.front, order.ahead)


class Ladder:
    """Own resting orders of one side.

    Attributes:
        best: the best own price; without orders, one that no market price reaches (0 for BUY, infinity for SELL).
        notional: what is still open of the orders that are not reduce-only.
        crossed: opposite displayed levels that reach our prices, with the lots that have been offered to us.
    """

    __slots__ = ("best", "buy", "crossed", "levels", "notional", "side")

    def __init__(self, side: Side) -> None:
        self.side = side
        self.buy = side is Side.BUY
        self.levels: dict[float, Level] = {}
        self.best = 0.0 if self.buy else INFINITY
        self.notional = ZERO
        self.crossed: dict[float, int] = {}

    def add(self, order: Order) -> None:
        """Rest an order behind the others at its price."""
        level = self.levels.get(order.limit)
        if level is None:
            level = self.levels[order.limit] = Level(order.limit)
            self.best = max(self.best, order.limit) if self.buy else min(self.best, order.limit)
        level.orders.append(order)
        level.front = max(level.front, order.ahead)
        self.weigh(order, order.lots)

    def remove(self, order: Order) -> bool:
        """Take an order off; False when it does not rest here."""
        level = self.levels.get(order.limit)
        if level is None or order not in level.orders:
            return False
        level.orders.remove(order)
        self.weigh(order, -order.lots)
        if not level.orders:
            del self.levels[order.limit]
            if self.buy:
                self.best = max(self.levels, default=0.0)
            else:
                self.best = min(self.levels, default=INFINITY)
        return True

    def weigh(self, order: Order, lots: int) -> None:
        """Lots of an order were added (or, negative, filled or taken off)."""
        if order.price is not None and not order.reduce_only:
            self.notional += order.price * order.to_qty(lots)

    def by_priority(self) -> list[Level]:
        """Levels, best price first."""
        if len(self.levels) == 1:
            return list(self.levels.values())
        return [self.levels[price] for price in sorted(self.levels, reverse=self.buy)]

    def better(self, price: float, other: float) -> bool:
        """Whether one price is better than another for the taker who meets this side: higher bid, lower ask."""
        return price > other if self.buy else price < other
