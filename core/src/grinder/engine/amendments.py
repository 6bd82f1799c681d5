"""Amendments that the venue has not answered: their orders count at the largest quantity that is still possible.

Each is kept under its own client id, as requests are at the venue, so that one answer never speaks for another. An
answer that does not name its request proves only what it says: an amendment to exactly the figures that the venue
states has been carried out; any other may still be.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from grinder.engine.account import moved
from grinder.types import OpenOrder

ZERO: Final = Decimal(0)


class Amendment(msgspec.Struct, frozen=True, gc=False):
    """What was asked for, and until when it may have been sent (ns).

    ``doubted`` when no answer is to be expected any more: the venue has to be asked.
    """

    client_id: str
    qty: Decimal
    price: Decimal | None
    at_ns: int
    doubted: bool = False


class _Pending:
    """The quantity of an order as the venue last confirmed it, and what it was asked to make of it."""

    __slots__ = ("asked", "qty")

    def __init__(self, qty: Decimal) -> None:
        self.qty = qty
        self.asked: dict[str, Amendment] = {}


class Amendments:
    """Amendments in flight, by their own client id, and the orders that they are to change."""

    def __init__(self) -> None:
        self._pending: dict[str, _Pending] = {}
        self._target: dict[str, str] = {}

    def __contains__(self, client_id: str) -> bool:
        """Whether the order waits for the answer to an amendment."""
        return client_id in self._pending

    def target(self, request_id: str) -> str:
        """Client id of the order that an amendment in flight is to change; empty when there is no such amendment."""
        return self._target.get(request_id, "")

    def doubted(self, client_id: str) -> bool:
        """Whether the venue has to be asked what became of an amendment of the order."""
        pending = self._pending.get(client_id)
        return pending is not None and any(each.doubted for each in pending.asked.values())

    def reserve(self, order: OpenOrder, amendment: Amendment) -> OpenOrder:
        """The order as it counts from now on."""
        pending = self._pending.setdefault(order.client_id, _Pending(order.qty))
        pending.asked[amendment.client_id] = amendment
        self._target[amendment.client_id] = order.client_id
        return self.counted(order)

    def counted(self, order: OpenOrder) -> OpenOrder:
        """The order at its worst case."""
        pending = self._pending.get(order.client_id)
        return order if pending is None else _resized(order, _worst(pending))

    def doubt(self, client_id: str, now: int, request_id: str = "") -> None:
        """It is not known what became of one amendment of an order, or of any: nothing is sent after ``now``."""
        pending = self._pending.get(client_id)
        if pending is None:
            return
        for each in tuple(pending.asked.values()):
            if not each.doubted and request_id in {"", each.client_id}:
                pending.asked[each.client_id] = msgspec.structs.replace(each, at_ns=now, doubted=True)

    def confirmed_qty(self, order: OpenOrder) -> Decimal:
        """The quantity as the venue last confirmed it."""
        pending = self._pending.get(order.client_id)
        return order.qty if pending is None else pending.qty

    def confirmed(self, order: OpenOrder, qty: Decimal, price: Decimal | None) -> OpenOrder:
        """The order when the venue has stated its quantity and price; what is in flight counts on."""
        pending = self._pending.get(order.client_id)
        if pending is not None:
            pending.qty = qty
        stated = msgspec.structs.replace(order, price=order.price if price is None else price)
        return _resized(stated, qty if pending is None else _worst(pending))

    def carried_out(self, client_id: str, qty: Decimal, price: Decimal | None) -> str:
        """Client id of an amendment in flight to exactly these figures; empty when there is none."""
        pending = self._pending.get(client_id)
        asked = () if pending is None else pending.asked.values()
        return next((a.client_id for a in asked if a.qty == qty and a.price in {None, price}), "")

    def over_by(self, client_id: str, moment: int) -> list[str]:
        """Amendments whose fate is not known and that the venue must have seen, if ever, by a moment (ns)."""
        pending = self._pending.get(client_id)
        asked = () if pending is None else pending.asked.values()
        return [a.client_id for a in asked if a.doubted and a.at_ns <= moment]

    def release(self, order: OpenOrder, request_id: str) -> OpenOrder:
        """The order as it counts without an amendment that is over."""
        pending = self._pending.get(order.client_id)
        if pending is None or pending.asked.pop(request_id, None) is None:
            return order
        del self._target[request_id]
        if not pending.asked:
            del self._pending[order.client_id]
        return _resized(order, _worst(pending))

    def done(self, client_id: str) -> None:
        """The order is over, and whatever was to change it."""
        pending = self._pending.pop(client_id, None)
        for request_id in () if pending is None else pending.asked:
            del self._target[request_id]


def _worst(pending: _Pending) -> Decimal:
    return max(pending.qty, *(each.qty for each in pending.asked.values()), ZERO)


def _resized(order: OpenOrder, qty: Decimal) -> OpenOrder:
    filled = order.qty - order.remaining
    return moved(msgspec.structs.replace(order, qty=qty), order.state, qty - filled)
