"""The venue's front desk: checks each message that arrives, and carries it out or refuses it."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from grinder import Admitted, CancelRejected, IntentKind, NotFound, OrderIntent, OrderState, Rejected, TimeInForce
from grinder_exchange_paper import rules
from grinder_exchange_paper.orders import Order
from grinder_exchange_paper.rules import Refusal, Terms
from grinder_exchange_paper.venue import Venue


class Query(NamedTuple):
    """A question about one order."""

    symbol: str
    client_id: str


class SnapshotRequest(NamedTuple):
    """A question about everything."""


Message: TypeAlias = Admitted | Query | SnapshotRequest


def receive(venue: Venue, message: Message) -> None:
    """Handle one message that has arrived, as one transaction."""
    if isinstance(message, Query):
        order = venue.state.find(message.client_id)
        known = order is not None and order.symbol == message.symbol
        venue.say(order.found() if order is not None and known else NotFound(message.client_id))
    elif isinstance(message, SnapshotRequest):
        venue.say(venue.snapshot())
    elif message.intent.kind is IntentKind.PLACE:
        place(venue, message)
    elif message.intent.kind is IntentKind.AMEND:
        amend(venue, message)
    else:
        cancel(venue, message)
    venue.state.commit()


def place(venue: Venue, message: Admitted) -> None:
    """Accept and match an order, or refuse it."""
    refusal = _refuse_placement(venue, message)
    if refusal is not None:
        venue.say(Rejected(message.client_id, refusal.code, refusal.text, venue.now))
        return
    venue.work(venue.open(message))


def cancel(venue: Venue, message: Admitted) -> None:
    """Take a resting order out, or refuse: it is final or was never there."""
    order = _target(venue, message)
    if order is None:
        _refuse_change(venue, message, rules.NOT_OPEN_TO_CANCEL)
    else:
        venue.end(order, OrderState.CANCELLED, "user")


def amend(venue: Venue, message: Admitted) -> None:
    """Change price or quantity of a resting order.

    A filter failure leaves the order as it was. A quantity that is filled already, or a post-only order that would
    take, ends it.
    """
    order = _target(venue, message)
    if order is None or order.price is None:
        _refuse_change(venue, message, rules.NOT_OPEN_TO_AMEND)
        return
    price = message.price if message.price is not None else order.price
    terms = Terms(
        instrument=venue.instruments[order.symbol],
        side=order.side,
        price=price,
        qty=message.qty,
        reduces=order.reduce_only,
        post_only=order.tif is TimeInForce.GTX,
        touch=venue.matcher(order.symbol).display.touch(),
    )
    refusal = _refuse_amendment(venue, order, terms)
    if refusal is not None:
        _refuse_change(venue, message, refusal)
    elif message.qty <= order.filled_qty:
        venue.end(order, OrderState.CANCELLED, "amend")
    elif terms.post_only and terms.would_take:
        venue.end(order, OrderState.EXPIRED, "expired")
    else:
        venue.change(order, price, message.qty)


def _target(venue: Venue, message: Admitted) -> Order | None:
    order = venue.state.orders.open.get(message.target_client_id)
    return order if order is not None and order.symbol == message.intent.symbol else None


def _refuse_change(venue: Venue, message: Admitted, refusal: Refusal) -> None:
    venue.say(CancelRejected(message.target_client_id, refusal.code, refusal.text, venue.now))


def _refuse_placement(venue: Venue, message: Admitted) -> Refusal | None:
    """The first rule that a new order breaks."""
    intent = message.intent
    instrument = venue.instruments.get(intent.symbol)
    if instrument is None:
        return rules.BAD_SYMBOL
    terms = Terms(
        instrument=instrument,
        side=intent.side,
        price=message.price,
        qty=message.qty,
        reduces=message.reduce_only or rules.closes(intent.side, intent.position_side),
        post_only=intent.tif is TimeInForce.GTX,
        touch=venue.matcher(intent.symbol).display.touch(),
    )
    return (
        rules.check_mode(intent, reduce_only=message.reduce_only, hedge=venue.state.account.hedge)
        or (rules.DUPLICATE_ID if message.client_id in venue.state.orders.open else None)
        or terms.refusal()
        or _refuse_for_account(venue, intent, terms)
        or (rules.WOULD_TAKE if terms.post_only and terms.would_take else None)
    )


def _refuse_for_account(venue: Venue, intent: OrderIntent, terms: Terms) -> Refusal | None:
    """A position to reduce, or margin to open."""
    if terms.reduces:
        reducible = venue.reducible(intent.symbol, intent.side, intent.position_side)
        return None if reducible else rules.NO_POSITION
    return None if venue.affords(intent.symbol, intent.side, terms.worth()) else rules.NO_MARGIN


def _refuse_amendment(venue: Venue, order: Order, terms: Terms) -> Refusal | None:
    """The first rule that an amendment breaks."""
    if order.price is None or (terms.price == order.price and terms.qty == order.qty):
        return rules.NOTHING_TO_AMEND
    refusal = terms.refusal()
    if refusal is None and not order.reduce_only:
        more = terms.worth(order.filled_qty) - order.price * (order.qty - order.filled_qty)
        if not venue.affords(order.symbol, order.side, more):
            refusal = rules.NO_MARGIN
    return refusal
