"""What becomes of a working order without a trade: it is amended, a change of it is refused, its trigger fires."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec

from grinder.clock import Clock
from grinder.decisions import Admitted
from grinder.engine.account import Account, moved
from grinder.engine.amendments import Amendment, Amendments
from grinder.engine.doubts import Doubts
from grinder.exchange import Amended, CancelRejected, Triggered
from grinder.journal.orders import OrderEvent, next_state
from grinder.journal.records import AMENDED, AMENDMENT_OVER, TRIGGERED, OrderRecord
from grinder.journal.store import Journal
from grinder.types import OpenOrder, OrderState, Route

if TYPE_CHECKING:
    from grinder.engine.settlement import Venue

ZERO: Final = Decimal(0)


class Changes:
    """Keeps orders at their worst case while changes of them are on their way.

    Args:
        account: the account behind a route.
        find: a working order, or one of the latest final ones.
        keep: where an order is put when it has changed.
    """

    def __init__(
        self,
        *,
        account: Callable[[Route], Account],
        find: Callable[[Account, str], OpenOrder | None],
        keep: Callable[[OpenOrder], None],
        amendments: Amendments,
        doubts: Doubts,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._account = account
        self._find = find
        self._keep = keep
        self._amendments = amendments
        self._doubts = doubts
        self._journal = journal
        self._clock = clock

    def reserve(self, admitted: Admitted) -> None:
        """Let the order that is to be amended count at its worst case until the venue has answered."""
        account = self._account(admitted.route)
        order = account.by_client(admitted.target_client_id)
        if order is not None:
            wanted = Amendment(admitted.client_id, admitted.qty, admitted.price, admitted.decided_ns)
            account.put(self._amendments.reserve(order, wanted))

    def adopt(self, record: OrderRecord) -> None:
        """Take over an amendment from the journal: nobody is left who hears its answer."""
        account = self._account(record.route)
        order = account.by_client(record.target_client_id)
        if order is not None:
            wanted = Amendment(record.client_id, record.qty, record.price, record.created_ns, doubted=True)
            account.put(self._amendments.reserve(order, wanted))

    def pending(self, request_id: str) -> bool:
        """Whether an amendment may still be carried out."""
        return bool(self._amendments.target(request_id))

    def withdraw(self, account: Account, request_id: str) -> None:
        """An amendment was not made durable, and not sent: nothing is left of it."""
        order = account.by_client(self._amendments.target(request_id))
        if order is not None:
            self._keep(_ended_by_fills(self._amendments.release(order, request_id)))

    def over(self, account: Account, request_id: str, why: str) -> None:
        """An amendment was certainly not carried out, and will not be."""
        order = account.by_client(self._amendments.target(request_id))
        if order is None:
            return
        released = _ended_by_fills(self._amendments.release(order, request_id))
        self._keep(released)
        self._over(released, request_id, why)

    def amended(self, venue: Venue, update: Amended) -> OpenOrder | None:
        """The venue changed an order. The order as it is now, when that ended the wait for the venue's first word."""
        order = self._find(venue.desk.account, update.client_id)
        if order is None:
            return None
        request_id = update.request_id
        if self._amendments.target(request_id) != order.client_id:
            request_id = self._amendments.carried_out(order.client_id, update.qty, update.price)
        confirmed = self._amendments.confirmed(order, update.qty, update.price)
        changed = self._amendments.release(confirmed, request_id)
        filled = order.qty - order.remaining
        state = next_state(order.state, filled, changed.qty, OrderEvent.ACCEPTED)
        if state.final and order.state.final:
            return None
        changed = moved(changed, state, changed.remaining)
        self._keep(changed)
        self._amended(changed, filled, update.qty, update.price, request_id)
        return changed if state is not order.state else None

    def refused(self, venue: Venue, update: CancelRejected) -> None:
        """The venue did not cancel or amend an order that we still hold for working: ask rather than believe.

        Where it does not say which request it refused, amendments of the order may still be carried out.
        """
        account = venue.desk.account
        if self._amendments.target(update.request_id) == update.client_id:
            self.over(account, update.request_id, f"{update.code} {update.text}")
        elif not update.request_id:
            self._amendments.doubt(update.client_id, self._clock.now_ns())
        order = account.by_client(update.client_id)
        if order is not None:
            self._doubts.add(order.client_id, order.symbol, self._clock.now_ns())

    def stated(self, order: OpenOrder, qty: Decimal, price: Decimal | None, asked_ns: int) -> OpenOrder:
        """The order as it counts when the venue, asked at ``asked_ns`` or later, states its quantity and price.

        An amendment in flight to these figures has been carried out. Others whose fate is not known, and that the
        venue must have seen by then, were not.
        """
        filled = order.qty - order.remaining
        differs = (qty, price) != (self._amendments.confirmed_qty(order), order.price)
        made = self._amendments.carried_out(order.client_id, qty, price)
        over = {made, *self._amendments.over_by(order.client_id, asked_ns)} - {""}
        changed = self._amendments.confirmed(order, qty, price)
        for request_id in over:
            changed = self._amendments.release(changed, request_id)
        changed = _ended_by_fills(changed)
        if differs:
            self._amended(changed, filled, qty, price)
        for request_id in sorted(over):
            self._over(changed, request_id, "as the venue states the order")
        if changed != order:
            self._keep(changed)
        return changed

    def filled_whole(self, order: OpenOrder) -> None:
        """The venue holds an order for filled: amendments of it can no longer be carried out."""
        if order.client_id not in self._amendments:
            return
        filled = order.qty - order.remaining
        self._amendments.done(order.client_id)
        whole = msgspec.structs.replace(order, qty=filled, remaining=ZERO)
        self._keep(whole)
        self._amended(whole, filled, filled, order.price)

    def triggered(self, venue: Venue, update: Triggered) -> OpenOrder | None:
        """A conditional order became a plain one; it was accepted before, and counted at its worst case since.

        The order as it is now, when that changed it.
        """
        order = venue.desk.account.by_client(update.client_id)
        if order is None or order.trigger is None:
            return None
        filled = order.qty - order.remaining
        told = update.venue_order_id
        self._journal.order_event(
            order.client_id, TRIGGERED, self._clock.now_ns(), order.state, filled, venue_order_id=told
        )
        fired = msgspec.structs.replace(order, trigger=None)
        venue.desk.account.put(fired)
        return fired

    def _amended(
        self, order: OpenOrder, filled: Decimal, qty: Decimal, price: Decimal | None, request_id: str = ""
    ) -> None:
        now = self._clock.now_ns()
        self._journal.order_event(
            order.client_id, AMENDED, now, order.state, filled, qty=qty, price=price, detail=request_id
        )

    def _over(self, order: OpenOrder, request_id: str, why: str) -> None:
        filled, now = order.qty - order.remaining, self._clock.now_ns()
        self._journal.order_event(
            order.client_id, AMENDMENT_OVER, now, order.state, filled, detail=f"{request_id} {why}"
        )


def _ended_by_fills(order: OpenOrder) -> OpenOrder:
    """The order, FILLED if nothing is left of it at its smaller quantity."""
    return order if order.remaining else moved(order, OrderState.FILLED, ZERO)
