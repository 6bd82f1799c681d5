"""How a program tells a gatekeeper what became of its orders."""

from __future__ import annotations

from decimal import Decimal

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

    Each is durable when the call returns, but for ``sent``. Saying something twice, late, or out of order is harmless.
    Every method raises ``CallError``, and changes nothing, for an order that was not decided here and for arguments
    that make no sense; and ``StateError`` when the journal cannot be written. What was said then counts, and is kept in
    memory until the journal can: say it again, since a process that ends before has lost it.

    ``client_id`` is that of the order, also where a cancel or an amendment of it was answered; ``request_id`` is that
    of the decision about the cancel or amendment. Without it, amendments in flight count on until one to exactly the
    figures that are stated was made, the venue has been asked, or the order is final.
    """

    _post: Post

    def sent(self, client_id: str) -> None:
        """The order is on its way; it can no longer be abandoned. Saying so is optional."""
        post = self._post
        with post.door:
            post.tick()
            order = post.order(client_id)
            if order.state is OrderState.INTENT:
                post.begin()
                post.account.put(moved(order, OrderState.SENT, order.remaining))

    def abandoned(self, client_id: str) -> None:
        """The order, or amendment, of that id was certainly not sent and will not be: it counts no longer."""
        post = self._post
        with post.door:
            post.tick()
            client_id = text("client_id", client_id)
            changes = post.executor.settlement.changes
            post.begin()
            if changes.pending(client_id):
                changes.over(post.account, client_id, "abandoned by the program")
                post.settle()
                return
            if post.amendment(client_id):
                return  # it was answered, or its order is over
            order = post.order(client_id)
            if order.state.final:
                return
            if order.state is not OrderState.INTENT:
                raise CallError(
                    f"{client_id} is {order.state}: it may have been sent, so say what became of it instead; an "
                    "amendment is abandoned by the client_id of its own decision"
                )
            post.executor.settlement.expire(order, "abandoned by the program")
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

    def unknown(self, client_id: str, cause: str, *, request_id: str = "") -> None:
        """What the venue did with the order, its cancel or its amendment is not known: timeout, 5xx, strange answer.

        Never send it again. It counts until ``unknown_orders`` has been worked through.
        """
        with self._post.door:
            now, _ = self._about(client_id)
            request_id = self._request(client_id, request_id)
            self._post.settle(Unknown(client_id, text("cause", cause), now, request_id))

    def cancelled(self, client_id: str, reason: str = "user") -> None:
        """The order rests no longer; reason ``expired`` where the venue ended it by itself.

        Fills that come afterwards are late ones. Where the venue's answer says how much was filled, report what was
        ``found`` instead: the order is final when its fills are here.
        """
        with self._post.door:
            now, _ = self._about(client_id)
            self._post.settle(Cancelled(client_id, text("reason", reason), now))

    def cancel_rejected(self, client_id: str, code: str, detail: str = "", *, request_id: str = "") -> None:
        """The venue did not cancel or amend the order, which stands as it was; ask what became of it."""
        with self._post.door:
            now, _ = self._about(client_id)
            code, detail = text("code", code), text("detail", detail)
            request_id = self._request(client_id, request_id)
            self._post.settle(CancelRejected(client_id, code, detail, now, request_id))

    def triggered(self, client_id: str, venue_order_id: str = "") -> None:
        """A conditional order has fired: it is a plain one from now on, perhaps under another id of the venue's."""
        with self._post.door:
            now, order = self._about(client_id)
            venue_order_id = text("venue_order_id", venue_order_id)
            self._post.name(order.symbol, venue_order_id, client_id)
            self._post.settle(Triggered(client_id, venue_order_id, now))

    def amended(self, client_id: str, *, qty: Number, price: Number, request_id: str = "") -> None:
        """The venue changed the order to this whole quantity (what is filled included) and price."""
        with self._post.door:
            now, _ = self._about(client_id)
            figures = number("price", price, above_zero=True), number("qty", qty, above_zero=True)
            request_id = self._request(client_id, request_id)
            self._post.settle(Amended(client_id, *figures, now, request_id))

    def found(
        self,
        client_id: str,
        *,
        state: OrderState | str,
        filled_qty: Number,
        venue_order_id: str = "",
        qty: Number | None = None,
        price: Number | None = None,
        waits: bool | None = None,
    ) -> None:
        """The venue's answer to a question about one order: OPEN, PARTIAL, FILLED, CANCELLED, EXPIRED or REJECTED.

        While fills are missing of what it says was filled, the order stays in doubt, at its worst case. ``qty`` (the
        whole of it) and ``price`` settle what became of amendments of unknown outcome, once the question was asked
        ``engine.visibility_lag_ms`` after them. ``waits`` tells of a conditional order whether its trigger has yet to
        come.
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
            figures = _figure("qty", qty), _figure("price", price)
            if waits is not None and not isinstance(waits, bool):
                raise CallError(f"waits was {waits!r:.40}, must be True, False or None")
            self._post.settle(*revived, Found(client_id, venue_order_id, state, filled, (), *figures, waits))

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
            post.begin()
            orders = tuple(order for order in post.account.working() if post.doubtful(order))
            for order in orders:
                post.executor.settlement.doubts.add(order.client_id, order.symbol, now)
                post.executor.settlement.doubts.asked(order.client_id, now)
            return orders

    def _about(self, client_id: str) -> tuple[int, OpenOrder]:
        now = self._post.tick()
        return now, self._post.order(client_id)

    def _request(self, client_id: str, request_id: str) -> str:
        """The client id of a cancel or amendment; a mistaken one must not pass for another request's answer."""
        text("request_id", request_id)
        if request_id and request_id == client_id:
            raise CallError(
                f"request_id {request_id} is the order's own: give the client_id of the cancel or amendment"
            )
        return request_id


def _figure(name: str, given: Number | None) -> Decimal | None:
    return None if given is None else number(name, given, above_zero=True)
