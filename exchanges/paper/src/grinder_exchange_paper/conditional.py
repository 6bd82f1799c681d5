"""Conditional orders that wait for their trigger."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from grinder import TriggerSource
from grinder_exchange_paper.orders import Order

INFINITY: Final = float("inf")


class Waiting:
    """Conditional orders of one symbol.

    Attributes:
        count: how many wait.
        rise: the lowest last price at which one fires when the market rises; infinity when none does.
        fall: the highest at which one fires when it falls; zero when none does.
        marked: whether one waits for the mark price.
    """

    __slots__ = ("_orders", "count", "fall", "marked", "rise")

    def __init__(self) -> None:
        self._orders: dict[str, Order] = {}
        self._reckon()

    def add(self, order: Order) -> None:
        """Let an order wait."""
        self._orders[order.client_id] = order
        self._reckon()

    def remove(self, order: Order) -> None:
        """Take an order out, if it waits here."""
        if self._orders.pop(order.client_id, None) is not None:
            self._reckon()

    def fired(self, source: TriggerSource, price: Decimal) -> list[Order]:
        """Those that fire at a price of that source, oldest first; they wait no longer."""
        found = [
            order
            for order in self._orders.values()
            if order.trigger is not None and order.trigger.source is source and order.trigger.fires(order.side, price)
        ]
        for order in found:
            del self._orders[order.client_id]
        if found:
            self._reckon()
        return found

    def _reckon(self) -> None:
        """Only the nearest triggers are compared with each print."""
        self.count = len(self._orders)
        self.rise, self.fall, self.marked = INFINITY, 0.0, False
        for order in self._orders.values():
            trigger = order.trigger
            if trigger is None:
                continue
            if trigger.source is TriggerSource.MARK:
                self.marked = True
            elif trigger.rising(order.side):
                self.rise = min(self.rise, float(trigger.price))
            else:
                self.fall = max(self.fall, float(trigger.price))
