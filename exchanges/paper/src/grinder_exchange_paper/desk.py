"""The venue's front desk: checks each message that arrives, and carries it out or refuses it."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple, TypeAlias

from grinder import (
    Admitted,
    CancelRejected,
    IntentKind,
    NotFound,
    OrderIntent,
    OrderState,
    Rejected,
    TimeInForce,
    TriggerSource,
)
from grinder_exchange_paper import rules
from grinder_exchange_paper.dialect import Refusal
from grinder_exchange_paper.orders import Order
from grinder_exchange_paper.rules import Terms
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
    if message.intent.symbol not in venue.instruments:
        _reject(venue, message, rules.BAD_SYMBOL)
        return
    terms = _terms(venue, message)
    if venue.dialect.moves_price:
        terms = terms.moved()
    refusal = _refuse_placement(venue, message, terms)
    if refusal is not None:
        _reject(venue, message, refusal)
        return
    order = venue.open(message, terms.price, _clipped(venue, message, terms))
    if not venue.dialect.rejects_post_only and _would_take(venue, terms):
        venue.end(order, OrderState.EXPIRED, "expired")
    else:
        venue.work(order)


def _reject(venue: Venue, message: Admitted, refusal: Refusal) -> None:
    code, text = venue.dialect.refuse(refusal)
    venue.say(Rejected(message.client_id, code, text, venue.now))


def _terms(venue: Venue, message: Admitted) -> Terms:
    intent = message.intent
    return Terms(
        instrument=venue.instruments[intent.symbol],
        side=intent.side,
        price=message.price,
        qty=message.qty,
        reduces=message.reduce_only or rules.closes(intent.side, intent.position_side),
        post_only=intent.tif is TimeInForce.GTX,
        touch=venue.matcher(intent.symbol).display.touch(),
        mark=venue.margining.marks.get(intent.symbol),
        trigger=intent.trigger,
    )


def _clipped(venue: Venue, message: Admitted, terms: Terms) -> Decimal:
    """The quantity; where the venue clips an order that only reduces, no more than the position."""
    if not (venue.dialect.clips_reducing and terms.reduces) or terms.trigger is not None:
        return terms.qty
    return min(terms.qty, venue.reducible(message.intent.symbol, terms.side, message.intent.position_side))


def _would_take(venue: Venue, terms: Terms) -> bool:
    """Whether a post-only order would meet what is displayed or an own order."""
    if not terms.post_only or terms.price is None or terms.trigger is not None:
        return False
    return venue.matcher(terms.instrument.symbol).would_take(terms.side, terms.price)


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
    terms = venue.terms(order)._replace(price=price, qty=message.qty)
    if venue.dialect.moves_price:
        terms = terms.moved()
    refusal = _refuse_amendment(venue, order, terms)
    if refusal is not None:
        _refuse_change(venue, message, refusal)
    elif message.qty <= order.filled_qty:
        venue.end(order, OrderState.CANCELLED, "amend")
    elif _would_take(venue, terms):
        venue.end(order, OrderState.EXPIRED, "expired")
    else:
        venue.change(order, terms.price or price, message.qty, message.client_id)


def _target(venue: Venue, message: Admitted) -> Order | None:
    order = venue.state.orders.open.get(message.target_client_id)
    return order if order is not None and order.symbol == message.intent.symbol else None


def _refuse_change(venue: Venue, message: Admitted, refusal: Refusal) -> None:
    code, text = venue.dialect.refuse(refusal)
    venue.say(CancelRejected(message.target_client_id, code, text, venue.now, message.client_id))


def _refuse_placement(venue: Venue, message: Admitted, terms: Terms) -> Refusal | None:
    """The first rule that a new order breaks."""
    intent = message.intent
    refuses_post_only = venue.dialect.rejects_post_only and _would_take(venue, terms)
    return (
        rules.check_mode(intent, reduce_only=message.reduce_only, hedge=venue.state.account.hedge)
        or (rules.DUPLICATE_ID if _id_is_taken(venue, message.client_id) else None)
        or terms.refusal()
        or _refuse_trigger(venue, terms)
        or _refuse_number(venue, terms)
        or (_refuse_for_account(venue, intent, terms) if terms.trigger is None else None)
        or (rules.WOULD_TAKE if refuses_post_only else None)
    )


def _id_is_taken(venue: Venue, client_id: str) -> bool:
    if client_id in venue.state.orders.open:
        return True
    return venue.dialect.unique_for_ever and venue.state.find(client_id) is not None


def _refuse_trigger(venue: Venue, terms: Terms) -> Refusal | None:
    """A conditional order that would fire at once."""
    trigger, symbol = terms.trigger, terms.instrument.symbol
    if trigger is None:
        return None
    last = venue.matcher(symbol).last
    known = Decimal(last) if last and trigger.source is TriggerSource.LAST else terms.market
    return rules.WOULD_FIRE if known is not None and trigger.fires(terms.side, known) else None


def _refuse_number(venue: Venue, terms: Terms) -> Refusal | None:
    """One order too many."""
    dialect, matcher = venue.dialect, venue.matcher(terms.instrument.symbol)
    if terms.trigger is None:
        return rules.TOO_MANY_ORDERS if matcher.resting >= dialect.most_orders else None
    counted = (matcher,) if dialect.conditional_by_symbol else venue.matchers.values()
    full = sum(each.waiting.count for each in counted) >= dialect.most_conditional
    return rules.TOO_MANY_CONDITIONAL if full else None


def _refuse_for_account(venue: Venue, intent: OrderIntent, terms: Terms) -> Refusal | None:
    """A position to reduce, or margin to open."""
    return venue.margining.refusal(terms, venue.reducible(intent.symbol, intent.side, intent.position_side))


def _refuse_amendment(venue: Venue, order: Order, terms: Terms) -> Refusal | None:
    """The first rule that an amendment breaks."""
    if order.trigger is not None or order.price is None:
        return rules.NOT_TO_AMEND
    if terms.price == order.price and terms.qty == order.qty:
        return rules.NOTHING_TO_AMEND
    if order.changes >= rules.MOST_AMENDMENTS:
        return rules.AMENDED_TOO_OFTEN
    refusal = terms.refusal()
    if refusal is None and not order.reduce_only and terms.qty > order.filled_qty:
        with venue.without(order):
            reducible = venue.reducible(order.symbol, order.side, order.position_side)
            refusal = venue.margining.refusal(terms, reducible, order.filled_qty)
    return refusal
