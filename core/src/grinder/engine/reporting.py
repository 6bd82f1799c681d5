"""How a program tells a gatekeeper what became of its orders."""

from __future__ import annotations

from grinder.engine.account import moved
from grinder.engine.numbers import Number, member, number, text
from grinder.engine.post import Post
from grinder.errors import CallError
from grinder.exchange import (
    Accepted,
    Amended,
    Cancelled,
    CancelRejected,
    Found,
    NotFound,
    Rejected,
    Triggered,
    Unknown,
)
from grinder.types import OpenOrder, OrderState

MAX_CODES = 1000
"""Different codes of rejections that are counted; others count together."""


class Reporting:
    """Outcomes of orders, by the ``client_id`` of the decision about the order.

    Each is durable when the call returns. Saying something twice, late, or out of order is harmless. Every method
    raises ``CallError``, and changes nothing, for an order that was not decided here and for arguments that make no
    sense.
    """

    _post: Post

    def sent(self, client_id: str) -> None:
        """The order is on its way; it can no longer be abandoned. Saying so is optional."""
        post = self._post
        with post.door:
            post.tick()
            order = post.order(client_id)
            if order.state is OrderState.INTENT:
                post.account.put(moved(order, OrderState.SENT, order.remaining))

    def abandoned(self, client_id: str) -> None:
        """The order (or its amendment) was certainly not sent and will not be: it counts no longer."""
        post = self._post
        with post.door:
            post.tick()
            order = post.order(client_id)
            settlement = post.executor.settlement
            if settlement.amendments.release(post.account, client_id) or order.state.final:
                return
            if order.state is not OrderState.INTENT:
                raise CallError(
                    f"{client_id} is {order.state}: it may have been sent, so say what became of it instead"
                )
            settlement.expire(order, "abandoned by the program")
            post.settle()

    def accepted(self, client_id: str, venue_order_id: str = "") -> None:
        """The venue has the order, under an id of its own by which its fills can be reported."""
        with self._post.door:
            now, order = self._about(client_id)
            venue_order_id = text("venue_order_id", venue_order_id)
            self._post.name(order.symbol, venue_order_id, client_id)
            self._post.settle(Accepted(client_id, venue_order_id, now))

    def rejected(self, client_id: str, code: str, detail: str = "") -> None:
        """The venue definitely refused the order. When in any doubt, report it ``unknown``."""
        with self._post.door:
            now, _ = self._about(client_id)
            code = text("code", code)[:64]
            rejects = self._post.executor.tally.rejects
            if code not in rejects and len(rejects) >= MAX_CODES:
                code = "other"
            self._post.settle(Rejected(client_id, code, text("detail", detail), now))

    def unknown(self, client_id: str, cause: str) -> None:
        """What the venue did with the order, its cancel or its amendment is not known: timeout, 5xx, strange answer.

        Never send it again. It counts until ``unknown_orders`` has been worked through.
        """
        with self._post.door:
            now, _ = self._about(client_id)
            self._post.settle(Unknown(client_id, text("cause", cause), now))

    def cancelled(self, client_id: str, reason: str = "user") -> None:
        """The order rests no longer; reason ``expired`` where the venue ended it by itself.

        Fills that come afterwards are late ones. Where the venue's answer says how much was filled, report what was
        ``found`` instead: the order is final when its fills are here.
        """
        with self._post.door:
            now, _ = self._about(client_id)
            self._post.settle(Cancelled(client_id, text("reason", reason), now))

    def cancel_rejected(self, client_id: str, code: str, detail: str = "") -> None:
        """The venue did not cancel or amend the order, which stands as it was; ask what became of it."""
        with self._post.door:
            now, _ = self._about(client_id)
            self._post.settle(CancelRejected(client_id, text("code", code), text("detail", detail), now))

    def triggered(self, client_id: str, venue_order_id: str = "") -> None:
        """A conditional order has fired: it is a plain one from now on, perhaps under another id of the venue's."""
        with self._post.door:
            now, order = self._about(client_id)
            venue_order_id = text("venue_order_id", venue_order_id)
            self._post.name(order.symbol, venue_order_id, client_id)
            self._post.settle(Triggered(client_id, venue_order_id, now))

    def amended(self, client_id: str, *, qty: Number, price: Number) -> None:
        """The venue changed the order to this whole quantity and price."""
        with self._post.door:
            now, _ = self._about(client_id)
            figures = number("price", price, above_zero=True), number("qty", qty, above_zero=True)
            self._post.settle(Amended(client_id, *figures, now))

    def found(self, client_id: str, *, state: OrderState | str, filled_qty: Number, venue_order_id: str = "") -> None:
        """The venue's answer to a question about one order: OPEN, PARTIAL, FILLED, CANCELLED, EXPIRED or REJECTED.

        While fills are missing of what it says was filled, the order stays in doubt, at its worst case.
        """
        with self._post.door:
            now, order = self._about(client_id)
            state = member("state", OrderState, state)
            if state in {OrderState.INTENT, OrderState.SENT, OrderState.UNKNOWN, OrderState.ABSENT}:
                raise CallError(f"state {state} is nothing that a venue says; report unknown or absent instead")
            filled = number("filled_qty", filled_qty, least=order.qty * 0)
            venue_order_id = text("venue_order_id", venue_order_id)
            self._post.name(order.symbol, venue_order_id, client_id)
            revived = (Accepted(client_id, venue_order_id, now),) if order.state is OrderState.ABSENT else ()
            self._post.settle(*revived, Found(client_id, venue_order_id, state, filled))

    def absent(self, client_id: str) -> bool:
        """The venue does not know the order: not by its id, not among open orders, and no trade is of it.

        Returns:
            Whether that proves it. Venues show orders late, so it takes two answers to questions that were asked
            after ``unknown_orders`` listed the order, ``engine.visibility_lag_ms`` apart.
        """
        post = self._post
        with post.door:
            _, order = self._about(client_id)
            if not order.state.final and order.state is not OrderState.UNKNOWN:
                raise CallError(
                    f"{client_id} is {order.state}, not UNKNOWN: report what is known of it, or unknown first"
                )
            post.settle(NotFound(client_id))
            return post.order(client_id).state is OrderState.ABSENT

    def unknown_orders(self) -> tuple[OpenOrder, ...]:
        """Orders to ask the venue about: of unknown outcome, or working when an earlier process ended.

        For each: query it by client id; report its fills, then what was ``found``, or ``absent``.
        """
        post = self._post
        with post.door:
            now = post.tick()
            orders = tuple(order for order in post.account.working() if post.doubtful(order))
            for order in orders:
                post.executor.settlement.doubts.add(order.client_id, order.symbol, now)
                post.executor.settlement.doubts.asked(order.client_id, now)
            return orders

    def _about(self, client_id: str) -> tuple[int, OpenOrder]:
        now = self._post.tick()
        return now, self._post.order(client_id)
