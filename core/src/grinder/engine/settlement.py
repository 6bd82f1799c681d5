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
from grinder.engine.books import Books
from grinder.engine.changes import Changes
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
from grinder.journal.ledger import Ledger
from grinder.journal.orders import EVIDENCE, OrderEvent, next_state
from grinder.journal.store import Journal
from grinder.types import (
    Fill,
    OpenOrder,
    OrderState,
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

    The journal's next transaction comes first, then memory: where an exception comes between them, what was not told
    to the journal was not taken in at all, and is taken in when it is said again.

    Args:
        venues: the paper exchange, and the real one where there is one.
        quote: the quote asset of a symbol; fees in other assets are kept but not netted with PnL.
        order_memory: final orders that are remembered, for fills that come late.
        log: where what operators must know is said.

    Attributes:
        ready: whether every venue has stated its balance, so that orders can be sized.
        books: fills and payments that were applied.
        changes: amendments in flight.
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
        self.books = Books(
            accounts={route: venue.desk.account for route, venue in self.by_route.items()},
            ledger=ledger,
            journal=journal,
            tally=tally,
            quote=quote,
            only_reduce=self.only_reduce,
            log=log,
        )
        self.changes = Changes(
            account=self.account,
            find=self._find,
            keep=self._keep,
            amendments=self.amendments,
            doubts=self.doubts,
            journal=journal,
            clock=clock,
        )
        self._path = path
        self._journal = journal
        self._tally = tally
        self._clock = clock
        self._order_memory = order_memory
        self._log = log
        self._ended: OrderedDict[str, OpenOrder] = OrderedDict()
        self._apply: Mapping[type, Callable[[Venue, Any], object]] = {
            Accepted: self._accepted,
            Rejected: self._rejected,
            Unknown: self._unknown,
            Cancelled: self._cancelled,
            CancelRejected: self.changes.refused,
            Amended: self._amended,
            Triggered: self.changes.triggered,
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

    def adopt(self, order: OpenOrder) -> None:
        """Take over a working order from the journal, and ask the venue what became of it."""
        self.account(order.route).put(order)
        self.doubts.add(order.client_id, order.symbol, self._clock.now_ns())

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
        order = self._find(venue.desk.account, client_id)
        if order is None:
            return None
        state = next_state(order.state, order.qty - order.remaining, order.qty, event)
        if state is order.state:
            return None
        self._settle(order, state, event, detail, venue_order_id)
        return order

    def _find(self, account: Account, client_id: str) -> OpenOrder | None:
        return account.by_client(client_id) or self._ended.get(client_id)

    def _settle(
        self, order: OpenOrder, state: OrderState, event: str, detail: str = "", venue_order_id: str = ""
    ) -> None:
        filled = order.qty - order.remaining
        now = self._clock.now_ns()
        self._journal.order_event(
            order.client_id, event, now, state, filled, venue_order_id=venue_order_id, detail=detail
        )
        self._keep(moved(order, state, order.remaining))

    def _keep(self, order: OpenOrder) -> None:
        """Where an order is found from now on: among the working ones, or among the latest final ones."""
        self.account(order.route).put(order)
        if order.state.final:
            self.amendments.done(order.client_id)
            self._remember(order)
        else:
            self._ended.pop(order.client_id, None)
        if order.state is not OrderState.UNKNOWN and not self.amendments.doubted(order.client_id):
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
            self.amendments.doubt(order.client_id, self._clock.now_ns(), update.request_id)

    def _cancelled(self, venue: Venue, update: Cancelled) -> None:
        event = OrderEvent.EXPIRED if update.reason in EXPIRIES else OrderEvent.CANCELLED
        if self._advance(venue, update.client_id, event, update.reason):
            self._tally.order(venue.exchange.venue, event.value.lower())

    def _amended(self, venue: Venue, update: Amended) -> None:
        moved_on = self.changes.amended(venue, update)
        if moved_on is not None:
            self._tally.order(venue.exchange.venue, "filled" if moved_on.state is OrderState.FILLED else "accepted")

    def _filled(self, venue: Venue, update: Filled) -> None:
        fill = update.fill
        if not self.books.takes(fill):
            return
        order = venue.desk.account.by_client(fill.client_id)
        if order is None:
            order = self._ended.get(fill.client_id)
            self.books.unexpected(fill)
        state: OrderState | None = None
        filled = ZERO
        if order is not None:
            remaining = order.remaining - fill.qty
            state = next_state(order.state, order.qty - remaining, order.qty, OrderEvent.FILL)
            filled = order.qty - remaining
            if remaining < 0:
                self._beyond_order(fill, order)
        self._journal.fill(fill, state=state, filled_qty=filled)
        self.books.enter(venue.desk.account, fill)
        if order is not None and state is not None:
            self._keep(moved(order, state, order.remaining - fill.qty))
            self._count_fill(venue.exchange.venue, order, state)
        self._tally.fills.add("sim", fill.side, fill.maker, fill.price * fill.qty, fill.fee)

    def _count_fill(self, venue: str, order: OpenOrder, state: OrderState) -> None:
        if order.qty == order.remaining:
            self._tally.filled_orders += 1
        if state is OrderState.FILLED:
            self._tally.order(venue, "filled")
        elif order.qty == order.remaining:
            self._tally.order(venue, "partially_filled")

    def _beyond_order(self, fill: Fill, order: OpenOrder) -> None:
        """More than was left of the order, as when what was filled so far is reported in place of each trade."""
        self._tally.fills_beyond_order += 1
        self.only_reduce(fill.symbol)
        figures = {"qty": str(fill.qty), "left": str(order.remaining), "trading_state": "REDUCE_ONLY"}
        self._log.error("FILL_BEYOND_ORDER", client_id=fill.client_id, symbol=fill.symbol, **figures)

    def _paid(self, venue: Venue, update: Paid) -> None:
        self.books.pay(venue.desk.account, update.payment)

    def _found(self, venue: Venue, update: Found) -> None:
        for fill in update.fills:
            self._filled(venue, Filled(fill))
        order = venue.desk.account.by_client(update.client_id)
        if order is None:
            return
        if update.filled_qty > order.qty - order.remaining:  # stay in doubt until the missing fills come
            self.doubts.add(order.client_id, order.symbol, self._clock.now_ns())
            return
        if update.waits is False:  # we missed that its trigger came
            told = Triggered(order.client_id, update.venue_order_id, self._clock.now_ns())
            order = self.changes.triggered(venue, told) or order
        if update.state is OrderState.FILLED:
            self.changes.filled_whole(order)
        elif update.qty is not None and not update.state.final:
            self.changes.stated(order, update.qty, update.price, self.doubts.shown_by(order.client_id))
        event = EVIDENCE[update.state]
        if self._advance(venue, update.client_id, event, "query", update.venue_order_id):
            self._tally.order(venue.exchange.venue, event.value.lower())
        if update.qty is None or not self.amendments.doubted(update.client_id):
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
            self.books.pay(venue.desk.account, payment)
        if update.balance is not None:
            venue.desk.account.set_balance(update.balance)
            self.ready = all(each.desk.account.known for each in self.venues)
