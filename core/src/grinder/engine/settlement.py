"""What exchanges answer, applied: orders move, fills enter the ledger once, doubts are followed up.

An answer that is not definitive leaves the order UNKNOWN, and queries find out. Everything goes into the journal's
next transaction.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from grinder.clock import Clock
from grinder.engine.account import Account, moved
from grinder.engine.amendments import Amendments
from grinder.engine.doubts import Doubts
from grinder.engine.draft import Desk
from grinder.engine.path import OrderPath
from grinder.engine.tally import Tally
from grinder.exchange import (
    EXPIRIES,
    Accepted,
    Amended,
    Cancelled,
    CancelRejected,
    Exchange,
    ExchangeSnapshot,
    Filled,
    Found,
    NotFound,
    Paid,
    QueryFailed,
    Rejected,
    Triggered,
    Unknown,
    Update,
)
from grinder.journal.ledger import FillError, Ledger, LedgerKey
from grinder.journal.orders import EVIDENCE, OrderEvent, next_state
from grinder.journal.records import TRIGGERED
from grinder.journal.store import Journal
from grinder.types import (
    Fill,
    FillCause,
    OpenOrder,
    OrderState,
    Payment,
    Position,
    PositionSide,
    Route,
    TradingState,
)

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

ZERO: Final = Decimal(0)


class Venue(msgspec.Struct):
    """An exchange with the account that is kept of it and the routes that lead to it."""

    exchange: Exchange
    desk: Desk
    routes: tuple[Route, ...]


class Settlement:
    """Keeps accounts, ledger and journal in step with what the venues say.

    Args:
        venues: the paper exchange, and the real one where there is one.
        quote: the quote asset of a symbol; fees in other assets are kept but not netted with PnL.
        order_memory: final orders that are remembered, for fills that come late.
        log: where what operators must know is said.

    Attributes:
        ready: whether every venue has stated its balance, so that orders can be sized.
        new_fills: executions applied since the list was last taken.
        new_payments: payments applied since the list was last taken.
    """

    def __init__(
        self,
        *,
        venues: Sequence[Venue],
        path: OrderPath,
        journal: Journal,
        ledger: Ledger,
        tally: Tally,
        clock: Clock,
        quote: Callable[[str], str],
        visibility_lag_ns: int,
        order_memory: int,
        log: FilteringBoundLogger,
    ) -> None:
        self.venues = tuple(venues)
        self.by_route = {route: venue for venue in venues for route in venue.routes}
        self.ledger = ledger
        self.doubts = Doubts(visibility_lag_ns)
        self.amendments = Amendments()
        self.ready = False
        self.new_fills: list[Fill] = []
        self.new_payments: list[Payment] = []
        self._path = path
        self._journal = journal
        self._tally = tally
        self._clock = clock
        self._quote = quote
        self._order_memory = order_memory
        self._log = log
        self._ended: OrderedDict[str, OpenOrder] = OrderedDict()
        self._earned: dict[LedgerKey, Decimal] = {}
        self._apply: Mapping[type, Callable[[Venue, Any], None]] = {
            Accepted: self._accepted,
            Rejected: self._rejected,
            Unknown: self._unknown,
            Cancelled: self._cancelled,
            CancelRejected: self._cancel_rejected,
            Amended: self._amended,
            Triggered: self._triggered,
            Filled: self._filled,
            Paid: self._paid,
            Found: self._found,
            NotFound: self._not_found,
            QueryFailed: self._query_failed,
            ExchangeSnapshot: self._snapshot,
        }

    def account(self, route: Route) -> Account:
        """The account behind a route."""
        return self.by_route[route].desk.account

    def apply(self, venue: Venue, update: Update) -> None:
        """Apply one thing that has become known."""
        self._apply[type(update)](venue, update)

    def expire(self, order: OpenOrder, detail: str) -> None:
        """The order was decided but is not going to be sent."""
        self._settle(order, OrderState.EXPIRED, OrderEvent.EXPIRED, detail)

    def ended(self, client_id: str) -> OpenOrder | None:
        """One of the latest final orders."""
        return self._ended.get(client_id)

    def recall(self, order: OpenOrder) -> None:
        """Bring a final order back to memory, for messages that come late."""
        self._remember(order)

    def book(self, venue: Venue, fill: Fill) -> None:
        """Book what the venue's position shows and no order explains.

        Raises:
            FillError: its numbers make no sense.
        """
        if self.ledger.apply(fill):
            self._book_leg(venue.desk.account, fill.venue, fill.account, fill.symbol, fill.position_side)
            self._journal.fill(fill, advance=False)
            self.new_fills.append(fill)

    def adopt(self, order: OpenOrder) -> None:
        """Take over a working order from the journal, and ask the venue what became of it."""
        self.account(order.route).put(order)
        self.doubts.add(order.client_id, order.symbol, self._clock.now_ns())

    def rebook(self) -> None:
        """Bring every account in line with a ledger that was rebuilt."""
        for key, _ in self.ledger.holdings():
            self._book_leg(self.account(key[0]), *key[1:])

    def ask(self, now: int) -> None:
        """Query the orders whose fate is not known and whose time to ask has come."""
        for client_id, symbol in self.doubts.due(now):
            for venue in self.venues:
                if venue.desk.account.by_client(client_id) is not None:
                    venue.exchange.query(symbol, client_id)

    def only_reduce(self, symbol: str) -> None:
        """Something about the symbol does not add up: it only reduces until a clean pass."""
        self._path.symbol_states[symbol] = TradingState.REDUCE_ONLY
        self.save_states()

    def save_states(self) -> None:
        """Put trading states into the next transaction."""
        states = {symbol: state.value for symbol, state in sorted(self._path.symbol_states.items())}
        self._journal.put_state("trading", {"all": self._path.trading_state.value, "symbols": states})

    def _advance(
        self, venue: Venue, client_id: str, event: OrderEvent, detail: str = "", venue_order_id: str = ""
    ) -> OpenOrder | None:
        """Move an order by an event. None when we do not know it, or when the event changes nothing."""
        order = venue.desk.account.by_client(client_id) or self._ended.get(client_id)
        if order is None:
            return None
        state = next_state(order.state, order.qty - order.remaining, order.qty, event)
        if state is order.state:
            return None
        self._settle(order, state, event, detail, venue_order_id)
        return order

    def _settle(
        self, order: OpenOrder, state: OrderState, event: str, detail: str = "", venue_order_id: str = ""
    ) -> None:
        self._keep(moved(order, state, order.remaining))
        filled = order.qty - order.remaining
        now = self._clock.now_ns()
        self._journal.order_event(
            order.client_id, event, now, state, filled, venue_order_id=venue_order_id, detail=detail
        )

    def _keep(self, order: OpenOrder) -> None:
        """Where an order is found from now on: among the working ones, or among the latest final ones."""
        self.account(order.route).put(order)
        if order.state.final:
            self.amendments.done(order.client_id)
            self._remember(order)
        else:
            self._ended.pop(order.client_id, None)
        if order.state is not OrderState.UNKNOWN:
            self.doubts.settled(order.client_id)

    def _remember(self, order: OpenOrder) -> None:
        self._ended[order.client_id] = order
        if len(self._ended) > self._order_memory:
            self._ended.popitem(last=False)

    def _accepted(self, venue: Venue, update: Accepted) -> None:
        if self._advance(venue, update.client_id, OrderEvent.ACCEPTED, venue_order_id=update.venue_order_id):
            self._tally.order(venue.exchange.venue, "accepted")

    def _rejected(self, venue: Venue, update: Rejected) -> None:
        if self._advance(venue, update.client_id, OrderEvent.REJECTED, f"{update.code} {update.text}"):
            self._tally.order(venue.exchange.venue, "rejected")
            self._tally.rejects[update.code] += 1
            self._log.debug("ORDER_REJECTED", client_id=update.client_id, code=update.code, text=update.text)

    def _unknown(self, venue: Venue, update: Unknown) -> None:
        if self._advance(venue, update.client_id, OrderEvent.UNKNOWN, update.cause):
            self._tally.order(venue.exchange.venue, "unknown")
        order = venue.desk.account.by_client(update.client_id)
        if order is not None:  # a cancel of unknown outcome changes no state, and has to be asked for all the same
            self._log.warning("ORDER_UNKNOWN", client_id=update.client_id, cause=update.cause)
            self.doubts.add(order.client_id, order.symbol, self._clock.now_ns())

    def _cancelled(self, venue: Venue, update: Cancelled) -> None:
        event = OrderEvent.EXPIRED if update.reason in EXPIRIES else OrderEvent.CANCELLED
        if self._advance(venue, update.client_id, event, update.reason):
            self._tally.order(venue.exchange.venue, event.value.lower())

    def _cancel_rejected(self, venue: Venue, update: CancelRejected) -> None:
        self.amendments.release(venue.desk.account, update.client_id)  # if it was an amendment that was refused
        order = venue.desk.account.by_client(update.client_id)
        if order is not None:  # we still hold it for working: ask rather than believe
            self.doubts.add(order.client_id, order.symbol, self._clock.now_ns())

    def _amended(self, venue: Venue, update: Amended) -> None:
        order = venue.desk.account.by_client(update.client_id)
        self.amendments.done(update.client_id)
        if order is None:
            return
        remaining = update.qty - (order.qty - order.remaining)
        amended = msgspec.structs.replace(order, price=update.price, qty=update.qty, remaining=remaining)
        venue.desk.account.put(amended)
        filled = order.qty - order.remaining
        self._journal.order_event(
            order.client_id, "AMENDED", update.at_ns, order.state, filled, qty=update.qty, price=update.price
        )

    def _filled(self, venue: Venue, update: Filled) -> None:
        fill = update.fill
        try:
            new = self.ledger.apply(fill)
        except FillError as error:  # set aside: the books are whole without it, and a person has to look
            self._tally.quarantined_fills += 1
            self._set_aside("FILL_QUARANTINED", fill.symbol, error)
            return
        if not new:
            self._tally.duplicate_fills += 1
            return
        order = venue.desk.account.by_client(fill.client_id)
        if order is None:
            order = self._ended.get(fill.client_id)
            self._unexpected_fill(fill)
        state: OrderState | None = None
        filled = ZERO
        if order is not None:
            remaining = order.remaining - fill.qty
            state = next_state(order.state, order.qty - remaining, order.qty, OrderEvent.FILL)
            self._keep(moved(order, state, remaining))
            self._count_fill(venue.exchange.venue, order, state)
            filled = order.qty - remaining
        self._book_leg(venue.desk.account, fill.venue, fill.account, fill.symbol, fill.position_side)
        self._journal.fill(fill, state=state, filled_qty=filled)
        self._tally.fills.add("sim", fill.side, fill.maker, fill.price * fill.qty, fill.fee)
        self.new_fills.append(fill)

    def _count_fill(self, venue: str, order: OpenOrder, state: OrderState) -> None:
        if order.qty == order.remaining:
            self._tally.filled_orders += 1
        if state is OrderState.FILLED:
            self._tally.order(venue, "filled")
        elif order.qty == order.remaining:
            self._tally.order(venue, "partially_filled")

    def _unexpected_fill(self, fill: Fill) -> None:
        """A fill of an order that we hold for final, or of the venue's own making (liquidation, deleveraging).

        It counts, and the symbol only reduces until a person has looked.
        """
        self.only_reduce(fill.symbol)
        event = "FILL_LATE" if fill.cause is FillCause.TRADE else f"POSITION_CLOSED_BY_{fill.cause.value}"
        if fill.cause is not FillCause.TRADE:
            self._tally.venue_closures[fill.cause.value.lower()] += 1
        self._log.warning(event, client_id=fill.client_id, symbol=fill.symbol, trading_state="REDUCE_ONLY")

    def _triggered(self, venue: Venue, update: Triggered) -> None:
        """A conditional order became a plain one; it was accepted before, and counted at its worst case since."""
        order = venue.desk.account.by_client(update.client_id)
        if order is None or order.trigger is None:
            return
        venue.desk.account.put(msgspec.structs.replace(order, trigger=None))
        self._journal.order_event(
            order.client_id,
            TRIGGERED,
            update.at_ns,
            order.state,
            order.qty - order.remaining,
            venue_order_id=update.venue_order_id,
        )

    def _paid(self, venue: Venue, update: Paid) -> None:
        payment = update.payment
        try:
            if not self.ledger.pay(payment):
                return
        except FillError as error:
            self._set_aside("PAYMENT_QUARANTINED", payment.symbol, error)
            return
        self._book_leg(venue.desk.account, payment.venue, payment.account, payment.symbol, payment.position_side)
        self._journal.payment(payment)
        self.new_payments.append(payment)

    def _set_aside(self, event: str, symbol: str, error: FillError) -> None:
        """What cannot be booked: the symbol only reduces until a person has looked."""
        self.only_reduce(symbol)
        self._log.error(event, error=str(error), symbol=symbol, trading_state="REDUCE_ONLY")

    def _book_leg(
        self, account: Account, venue: str, account_name: str, symbol: str, position_side: PositionSide
    ) -> None:
        """Bring the account's view of one leg in line with the ledger, all routes of the venue together."""
        qty = cost = realised = ZERO
        for route in self.by_route:
            key = (route, venue, account_name, symbol, position_side)
            line = self.ledger.holding(key)
            qty, cost, realised = qty + line.qty, cost + line.cost, realised + line.realised
            earned = line.realised + line.received - line.fees.get(self._quote(symbol), ZERO)
            account.earned += earned - self._earned.get(key, ZERO)
            self._earned[key] = earned
        entry = cost / qty if qty else ZERO
        account.set_position(Position(symbol, position_side, qty, entry, realised))

    def _found(self, venue: Venue, update: Found) -> None:
        for fill in update.fills:
            self._filled(venue, Filled(fill))
        order = venue.desk.account.by_client(update.client_id)
        if order is not None:
            missing = update.filled_qty > order.qty - order.remaining
            if missing:  # the venue has fills that it did not send along: stay in doubt until they come
                self.doubts.add(order.client_id, order.symbol, self._clock.now_ns())
                return
            event = EVIDENCE[update.state]
            if self._advance(venue, update.client_id, event, "query", update.venue_order_id):
                self._tally.order(venue.exchange.venue, event.value.lower())
            self.doubts.settled(update.client_id)

    def _not_found(self, venue: Venue, update: NotFound) -> None:
        order = venue.desk.account.by_client(update.client_id)
        if order is None:
            self.doubts.settled(update.client_id)
        elif self.doubts.absent(update.client_id, self._clock.now_ns()):
            self._settle(order, OrderState.ABSENT, OrderEvent.ABSENT, "absence proven twice")
            self._tally.order(venue.exchange.venue, "absent")
            self._log.info("ORDER_ABSENT", client_id=update.client_id)

    def _query_failed(self, venue: Venue, update: QueryFailed) -> None:
        self.doubts.failed(update.client_id, self._clock.now_ns())
        self._log.warning("QUERY_FAILED", venue=venue.exchange.venue, client_id=update.client_id, cause=update.cause)

    def _snapshot(self, venue: Venue, update: ExchangeSnapshot) -> None:
        for fill in update.fills:
            self._filled(venue, Filled(fill))
        for payment in update.payments:
            self._paid(venue, Paid(payment))
        if update.balance is not None:
            venue.desk.account.set_balance(update.balance)
            self.ready = all(each.desk.account.known for each in self.venues)
