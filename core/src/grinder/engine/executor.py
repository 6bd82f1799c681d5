"""Carries decisions out: write ahead, send, and account for what the exchanges answer.

Nothing is sent before its intent and decision are durable in one transaction. Nothing is sent twice. An answer that
is not definitive leaves the order UNKNOWN, and queries find out. Each fill counts once.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from grinder.clock import Clock, measure_ns
from grinder.decisions import Admitted, Decision, decision_record
from grinder.engine.account import Account, moved
from grinder.engine.arithmetic import plain_arithmetic
from grinder.engine.doubts import Doubts
from grinder.engine.intents import examined
from grinder.engine.path import Desk, OrderPath, Ruling
from grinder.engine.tally import Tally
from grinder.evidence.recorder import Recorder, canonical, fill_record
from grinder.exchange import (
    Accepted,
    Amended,
    Cancelled,
    CancelRejected,
    Exchange,
    ExchangeSnapshot,
    Filled,
    Found,
    NotFound,
    QueryFailed,
    Rejected,
    Unknown,
)
from grinder.host.manager import Host
from grinder.journal.ledger import FillError, LedgerKey
from grinder.journal.orders import EVIDENCE, OrderEvent, next_state
from grinder.journal.records import OrderRecord, Recovered
from grinder.journal.store import Journal, JournalUnavailable
from grinder.types import (
    Fill,
    IntentKind,
    OpenOrder,
    OrderIntent,
    OrderState,
    Position,
    PositionSide,
    Risk,
    Route,
    TradingState,
)

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

ZERO: Final = Decimal(0)


MAX_PENDING: Final = 1000
"""Rows of the journal that may wait for the next commit."""

PROGRESS: Final = "progress"
"""Key under which the journal keeps how far the market has been traded, and what has been counted."""
PROGRESS_NS: Final = 1_000_000_000
"""Event time between two notes of it; decisions and fills carry their own times."""


class Venue(msgspec.Struct):
    """An exchange with the account that is kept of it and the routes that lead to it."""

    exchange: Exchange
    desk: Desk
    routes: tuple[Route, ...]


class Executor:
    """Sends what was admitted and applies what comes back.

    Args:
        venues: the paper exchange, and the real one where there is one.
        quote: the quote asset of a symbol; fees in other assets are kept but not netted with PnL.
        offload: commit in a thread (fsync would stop the event loop) instead of inline.
        log: where what operators must know is said.

    Attributes:
        ready: whether every venue has stated its balance, so that orders can be sized.
    """

    def __init__(
        self,
        *,
        path: OrderPath,
        venues: Sequence[Venue],
        journal: Journal,
        recorder: Recorder,
        tally: Tally,
        host: Host,
        clock: Clock,
        quote: Callable[[str], str],
        recovered: Recovered,
        decision_ttl_ns: int,
        visibility_lag_ns: int,
        order_memory: int,
        live: bool,
        offload: bool,
        log: FilteringBoundLogger,
    ) -> None:
        self.path = path
        self.venues = tuple(venues)
        self.ready = False
        self.journal = journal
        self.ledger = recovered.ledger
        self.recorder = recorder
        self.tally = tally
        self.doubts = Doubts(visibility_lag_ns)
        self._by_route = {route: venue for venue in venues for route in venue.routes}
        self._host = host
        self._quote = quote
        self._clock = clock
        self._next_intent = recovered.next_intent_number
        self._intent_prefix = f"{recovered.tag}-{recovered.generation}"
        self._ttl = decision_ttl_ns
        self._live = live
        self._offload = offload
        self._log = log
        self._new_fills: list[Fill] = []
        self._ended: OrderedDict[str, OpenOrder] = OrderedDict()
        self._progress_at = 0
        self._amending: dict[str, OpenOrder] = {}
        self._order_memory = order_memory
        self._earned: dict[LedgerKey, Decimal] = {}
        self.on_decision: Callable[[Decision], None] | None = None
        self.before_commit: Callable[[], None] | None = None
        self._apply: Mapping[type, Callable[[Venue, Any], None]] = {
            Accepted: self._accepted,
            Rejected: self._rejected,
            Unknown: self._unknown,
            Cancelled: self._cancelled,
            CancelRejected: self._cancel_rejected,
            Amended: self._amended,
            Filled: self._filled,
            Found: self._found,
            NotFound: self._not_found,
            QueryFailed: self._query_failed,
            ExchangeSnapshot: self._snapshot,
        }

    # From intents to the exchange.

    async def propose(self, intents: Sequence[OrderIntent], now: int) -> None:
        """Decide intents one at a time, make the decisions durable, then send what was admitted."""
        before = self.journal.pending
        written = [self._write(self._decide(intent, now)) for intent in intents]
        if not await self.commit():
            self.journal.rewind(before)
            written = [self._write(self._without_journal(ruling)) for ruling, _ in written]
        expired: list[OrderIntent] = []
        for ruling, record in written:
            self.recorder.decision(record)
            self.tally.decided(ruling.decision)
            if self.on_decision is not None:
                self.on_decision(ruling.decision)
            if not self._send(ruling):
                expired.append(ruling.decision.intent)
        if expired:
            await self.propose(expired, self._clock.now_ns())

    def _decide(self, proposal: OrderIntent, now: int) -> Ruling:
        intent_id = f"{self._intent_prefix}-{self._next_intent:06d}"
        self._next_intent += 1
        begin = measure_ns()
        examinee, problem = examined(proposal)
        intent = msgspec.structs.replace(examinee, intent_id=intent_id, created_ns=now)
        ruling = self.path.decide(intent, now, problem)
        self.tally.decision_ns.observe(measure_ns() - begin)
        if ruling.order is not None:
            self._account(ruling.order.route).put(ruling.order)
        elif ruling.admitted is not None and ruling.admitted.intent.kind is IntentKind.AMEND:
            self._reserve_amendment(ruling.admitted)
        return ruling

    def _write(self, ruling: Ruling) -> tuple[Ruling, bytes]:
        intent = ruling.decision.intent
        record = canonical(decision_record(ruling.decision))
        self.journal.record_decision(intent.intent_id, ruling.decision.now_ns, record, self._order_record(ruling))
        return ruling, record

    def _order_record(self, ruling: Ruling) -> OrderRecord | None:
        """The order as the journal keeps it; a cancel or amendment is no order of its own."""
        order = ruling.order
        if order is None or ruling.decision.intent.kind is not IntentKind.PLACE:
            return None
        exchange = self._by_route[order.route].exchange
        return OrderRecord(
            intent_id=order.intent_id,
            client_id=order.client_id,
            kind=IntentKind.PLACE,
            symbol=order.symbol,
            side=order.side,
            position_side=order.position_side,
            qty=order.qty,
            price=order.price,
            reduce_only=order.reduce_only,
            route=order.route,
            venue=exchange.venue,
            account=exchange.account,
            origin=order.origin,
            target_client_id="",
            created_ns=order.created_ns,
        )

    def _without_journal(self, ruling: Ruling) -> Ruling:
        """New risk is refused; what reduces risk is sent all the same and kept in memory until it can be written."""
        if not ruling.decision.allowed or ruling.decision.risk is not Risk.INCREASE:
            return ruling
        if ruling.order is not None:
            self._account(ruling.order.route).put(moved(ruling.order, OrderState.REJECTED, ZERO))
        return self.path.refuse(ruling, "JOURNAL_UNAVAILABLE", "journal")

    def _send(self, ruling: Ruling) -> bool:
        """Hand an admitted order over. False when it waited too long and must be decided anew."""
        admitted, order = ruling.admitted, ruling.order
        if admitted is None:
            return True
        late = self._live and self._clock.now_ns() - ruling.decision.now_ns > self._ttl
        if late and ruling.decision.risk is Risk.INCREASE:
            if order is not None:
                self._settle(order, OrderState.EXPIRED, OrderEvent.EXPIRED, "DECISION_EXPIRED")
            return False
        if order is not None:
            self._account(order.route).put(moved(order, OrderState.SENT, order.remaining))
        self._by_route[admitted.route].exchange.submit(admitted)
        return True

    def _reserve_amendment(self, admitted: Admitted) -> None:
        """Until the venue has answered, the order counts at the larger of both quantities."""
        account = self._account(admitted.route)
        order = account.by_client(admitted.target_client_id)
        if order is None:
            return
        self._amending.setdefault(order.client_id, order)
        more = max(admitted.qty - order.qty, ZERO)
        account.put(msgspec.structs.replace(order, qty=order.qty + more, remaining=order.remaining + more))

    def _account(self, route: Route) -> Account:
        return self._by_route[route].desk.account

    async def commit(self) -> bool:
        """Make everything written so far durable. False when it could not be; new risk is then blocked."""
        if not self.journal.pending:
            return True
        if self.before_commit is not None:
            self.before_commit()
        now = self._clock.now_ns()
        if now >= self._progress_at:
            self._progress_at = now + PROGRESS_NS
            self.save_progress()
        begin = measure_ns()
        try:
            if self._offload:
                await asyncio.get_running_loop().run_in_executor(None, self.journal.commit)
            else:
                self.journal.commit()
        except JournalUnavailable as error:
            if self.path.unavailable != "JOURNAL_UNAVAILABLE":
                self._log.warning("JOURNAL_UNAVAILABLE", error=str(error))
            self.path.unavailable = "JOURNAL_UNAVAILABLE"
            return False
        self.tally.commit_ns.observe(measure_ns() - begin)
        if self.path.unavailable == "JOURNAL_UNAVAILABLE":
            self._log.info("JOURNAL_RECOVERED")
        # On paper, records that cannot be written are counted and shown; with real money they stop new risk.
        self.path.unavailable = "EVIDENCE_UNAVAILABLE" if self._live and self.recorder.error else ""
        return True

    # From the exchange to the ledger.

    async def collect(self) -> None:
        """Apply everything that has become known; make fills durable, then tell the plugins of them.

        What else became known is made durable with the next fill or decision: after a crash in between the venue is
        asked again.
        """
        for venue in self.venues:
            for update in venue.exchange.poll():
                self._apply[type(update)](venue, update)
        if (self._new_fills or self.journal.pending > MAX_PENDING) and not await self.commit():
            return  # plugins hear of fills when they are durable
        fills, self._new_fills = self._new_fills, []
        for fill in fills:
            self.recorder.fill(canonical(fill_record(fill)))
            self._host.on_fill(fill, self._by_route[fill.route].desk.face)
        if fills:
            plain_arithmetic()

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
        self.journal.order_event(
            order.client_id, event, now, state, filled, venue_order_id=venue_order_id, detail=detail
        )

    def _keep(self, order: OpenOrder) -> None:
        """Where an order is found from now on: among the working ones, or among the latest final ones."""
        self._account(order.route).put(order)
        if order.state.final:
            self._ended[order.client_id] = order
            if len(self._ended) > self._order_memory:
                self._ended.popitem(last=False)
        else:
            self._ended.pop(order.client_id, None)
        if order.state is not OrderState.UNKNOWN:
            self.doubts.settled(order.client_id)

    def _accepted(self, venue: Venue, update: Accepted) -> None:
        if self._advance(venue, update.client_id, OrderEvent.ACCEPTED, venue_order_id=update.venue_order_id):
            self.tally.order(venue.exchange.venue, "accepted")

    def _rejected(self, venue: Venue, update: Rejected) -> None:
        if self._advance(venue, update.client_id, OrderEvent.REJECTED, f"{update.code} {update.text}"):
            self.tally.order(venue.exchange.venue, "rejected")
            self._log.debug("ORDER_REJECTED", client_id=update.client_id, code=update.code, text=update.text)

    def _unknown(self, venue: Venue, update: Unknown) -> None:
        order = self._advance(venue, update.client_id, OrderEvent.UNKNOWN, update.cause)
        if order is not None:
            self.tally.order(venue.exchange.venue, "unknown")
            self._log.warning("ORDER_UNKNOWN", client_id=update.client_id, cause=update.cause)
            self.doubts.add(order.client_id, order.symbol, self._clock.now_ns())

    def _cancelled(self, venue: Venue, update: Cancelled) -> None:
        event = OrderEvent.EXPIRED if update.reason == "expired" else OrderEvent.CANCELLED
        if self._advance(venue, update.client_id, event, update.reason):
            self.tally.order(venue.exchange.venue, event.value.lower())

    def _cancel_rejected(self, venue: Venue, update: CancelRejected) -> None:
        order = venue.desk.account.by_client(update.client_id)
        before = self._amending.pop(update.client_id, None)
        if order is not None and before is not None:  # the amendment was refused: it stands as it was
            filled = order.qty - order.remaining
            venue.desk.account.put(msgspec.structs.replace(order, qty=before.qty, remaining=before.qty - filled))
        if order is not None:  # we still hold it for working: ask rather than believe
            self.doubts.add(order.client_id, order.symbol, self._clock.now_ns())

    def _amended(self, venue: Venue, update: Amended) -> None:
        order = venue.desk.account.by_client(update.client_id)
        self._amending.pop(update.client_id, None)
        if order is None:
            return
        remaining = update.qty - (order.qty - order.remaining)
        amended = msgspec.structs.replace(order, price=update.price, qty=update.qty, remaining=remaining)
        venue.desk.account.put(amended)
        filled = order.qty - order.remaining
        self.journal.order_event(
            order.client_id, "AMENDED", update.at_ns, order.state, filled, qty=update.qty, price=update.price
        )

    def _filled(self, venue: Venue, update: Filled) -> None:
        fill = update.fill
        try:
            new = self.ledger.apply(fill)
        except FillError as error:  # set aside: the books are whole without it, and a person has to look
            self._quarantine(fill, error)
            return
        if not new:
            self.tally.duplicate_fills += 1
            return
        order = venue.desk.account.by_client(fill.client_id)
        if order is None:
            order = self._ended.get(fill.client_id)
            self._late_fill(fill)
        state: OrderState | None = None
        filled = ZERO
        if order is not None:
            remaining = order.remaining - fill.qty
            state = next_state(order.state, order.qty - remaining, order.qty, OrderEvent.FILL)
            self._keep(moved(order, state, remaining))
            self._count_fill(venue.exchange.venue, order, state)
            filled = order.qty - remaining
        self._book_leg(venue.desk.account, fill.venue, fill.account, fill.symbol, fill.position_side)
        self.journal.fill(fill, state=state, filled_qty=filled)
        self.tally.fills.add("sim", fill.side, fill.maker, fill.price * fill.qty, fill.fee)
        self._new_fills.append(fill)

    def _quarantine(self, fill: Fill, error: FillError) -> None:
        self.tally.quarantined_fills += 1
        self.path.symbol_states[fill.symbol] = TradingState.REDUCE_ONLY
        self.save_states()
        self._log.error("FILL_QUARANTINED", error=str(error), symbol=fill.symbol, trading_state="REDUCE_ONLY")

    def _count_fill(self, venue: str, order: OpenOrder, state: OrderState) -> None:
        if order.qty == order.remaining:
            self.tally.filled_orders += 1
        if state is OrderState.FILLED:
            self.tally.order(venue, "filled")
        elif order.qty == order.remaining:
            self.tally.order(venue, "partially_filled")

    def _late_fill(self, fill: Fill) -> None:
        """A fill of an order that we hold for final: it counts, and the symbol only reduces until a clean pass."""
        self.path.symbol_states[fill.symbol] = TradingState.REDUCE_ONLY
        self.save_states()
        self._log.warning("FILL_LATE", client_id=fill.client_id, symbol=fill.symbol, trading_state="REDUCE_ONLY")

    def _book_leg(
        self, account: Account, venue: str, account_name: str, symbol: str, position_side: PositionSide
    ) -> None:
        """Bring the account's view of one leg in line with the ledger, all routes of the venue together."""
        qty = cost = realised = ZERO
        for route in self._by_route:
            key = (route, venue, account_name, symbol, position_side)
            line = self.ledger.holding(key)
            qty, cost, realised = qty + line.qty, cost + line.cost, realised + line.realised
            earned = line.realised - line.fees.get(self._quote(symbol), ZERO)
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
            self._advance(venue, update.client_id, event, "query", update.venue_order_id)
            self.doubts.settled(update.client_id)

    def _not_found(self, venue: Venue, update: NotFound) -> None:
        order = venue.desk.account.by_client(update.client_id)
        if order is None:
            self.doubts.settled(update.client_id)
        elif self.doubts.absent(update.client_id, self._clock.now_ns()):
            self._settle(order, OrderState.ABSENT, OrderEvent.ABSENT, "absence proven twice")
            self.tally.order(venue.exchange.venue, "absent")
            self._log.info("ORDER_ABSENT", client_id=update.client_id)

    def _query_failed(self, venue: Venue, update: QueryFailed) -> None:
        self.doubts.failed(update.client_id, self._clock.now_ns())
        self._log.warning("QUERY_FAILED", venue=venue.exchange.venue, client_id=update.client_id, cause=update.cause)

    def _snapshot(self, venue: Venue, update: ExchangeSnapshot) -> None:
        if update.balance is not None:
            venue.desk.account.set_balance(update.balance)
            self.ready = all(each.desk.account.known for each in self.venues)

    def greet(self) -> None:
        """Ask every venue for its state; nothing is proposed before it has answered."""
        for venue in self.venues:
            venue.exchange.request_snapshot()

    def adopt(self, order: OpenOrder) -> None:
        """Take over a working order from the journal, and ask the venue what became of it."""
        self._account(order.route).put(order)
        self.doubts.add(order.client_id, order.symbol, self._clock.now_ns())

    def rebook(self) -> None:
        """Bring every account in line with a ledger that was rebuilt."""
        for key, _ in self.ledger.holdings():
            self._book_leg(self._account(key[0]), *key[1:])

    def ask(self, now: int) -> None:
        """Query the orders whose fate is not known and whose time to ask has come."""
        for client_id, symbol in self.doubts.due(now):
            for venue in self.venues:
                if venue.desk.account.by_client(client_id) is not None:
                    venue.exchange.query(symbol, client_id)

    def save_progress(self) -> None:
        """Put how far the market has been traded, and what has been counted, into the next transaction."""
        self.journal.put_state(PROGRESS, {"position_ns": self._clock.now_ns(), **self.tally.save()})

    def save_states(self) -> None:
        """Put trading states into the next transaction."""
        states = {symbol: state.value for symbol, state in sorted(self.path.symbol_states.items())}
        self.journal.put_state("trading", {"all": self.path.trading_state.value, "symbols": states})
