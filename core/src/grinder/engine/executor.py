"""Carries decisions out: write ahead, send, and account for what the exchanges answer.

Nothing is sent before its intent and decision are durable in one transaction. Nothing is sent twice. An answer that
is not definitive leaves the order UNKNOWN, and queries find out. Each fill counts once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from grinder.clock import Clock, measure_ns
from grinder.decisions import Decision, decision_record
from grinder.engine.account import Account, moved
from grinder.engine.doubts import Doubts
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
    Update,
)
from grinder.host.manager import Host
from grinder.journal.ledger import Ledger
from grinder.journal.orders import OrderEvent, next_state
from grinder.journal.store import Journal, JournalUnavailable
from grinder.types import Fill, OpenOrder, OrderIntent, OrderState, Position, Risk, Route, TradingState

ZERO: Final = Decimal(0)


class Venue(msgspec.Struct):
    """An exchange with the account that is kept of it and the routes that lead to it."""

    exchange: Exchange
    desk: Desk
    routes: tuple[Route, ...]


class Executor:
    """Sends what was admitted and applies what comes back.

    Args:
        venues: the paper exchange, and the real one where there is one.
        offload: commit in a thread (fsync would stop the event loop) instead of inline.
        log: called with an event name and fields.
    """

    def __init__(
        self,
        *,
        path: OrderPath,
        venues: Sequence[Venue],
        journal: Journal,
        ledger: Ledger,
        recorder: Recorder,
        tally: Tally,
        host: Host,
        clock: Clock,
        next_intent: int,
        tag: str,
        decision_ttl_ns: int,
        visibility_lag_ns: int,
        live: bool,
        offload: bool,
        log: Callable[..., None],
    ) -> None:
        self.path = path
        self.venues = tuple(venues)
        self.journal = journal
        self.ledger = ledger
        self.recorder = recorder
        self.tally = tally
        self.doubts = Doubts(visibility_lag_ns)
        self._by_route = {route: venue for venue in venues for route in venue.routes}
        self._host = host
        self._clock = clock
        self._next_intent = next_intent
        self._tag = tag
        self._ttl = decision_ttl_ns
        self._live = live
        self._offload = offload
        self._log = log
        self._new_fills: list[Fill] = []
        self.on_decision: Callable[[Decision], None] | None = None
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
        written = [self._write(self._decide(intent, now)) for intent in intents]
        if not await self.commit():
            written = self._without_journal(written)
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
        intent_id = f"{self._tag}-{self._next_intent:08d}"
        self._next_intent += 1
        intent = msgspec.structs.replace(proposal, intent_id=intent_id, created_ns=now)
        begin = measure_ns()
        ruling = self.path.decide(intent, now)
        self.tally.decision_ns.observe(measure_ns() - begin)
        if ruling.order is not None:
            self._account(ruling.order.route).put(ruling.order)
        return ruling

    def _write(self, ruling: Ruling) -> tuple[Ruling, bytes]:
        record = canonical(decision_record(ruling.decision))
        self.journal.record_decision(ruling.decision, record, ruling.order)
        return ruling, record

    def _without_journal(self, written: Sequence[tuple[Ruling, bytes]]) -> list[tuple[Ruling, bytes]]:
        """New risk is refused; what reduces risk is sent all the same and kept in memory until it can be written."""
        self.journal.discard()
        kept = []
        for ruling, _ in written:
            final = ruling
            if ruling.decision.allowed and ruling.decision.risk is Risk.INCREASE:
                if ruling.order is not None:
                    self._account(ruling.order.route).put(moved(ruling.order, OrderState.REJECTED, ZERO))
                final = self.path.refuse(ruling, "JOURNAL_UNAVAILABLE", "journal")
            kept.append(self._write(final))
        return kept

    def _send(self, ruling: Ruling) -> bool:
        """Hand an admitted order over. False when it waited too long and must be decided anew."""
        admitted, order = ruling.admitted, ruling.order
        if admitted is None:
            return True
        late = self._live and self._clock.now_ns() - ruling.decision.now_ns > self._ttl
        if late and ruling.decision.risk is Risk.INCREASE:
            if order is not None:
                self._settle(order, OrderState.EXPIRED, ZERO, "DECISION_EXPIRED")
            return False
        if order is not None:
            self._account(order.route).put(moved(order, OrderState.SENT, order.remaining))
        self._by_route[admitted.route].exchange.submit(admitted)
        return True

    def _account(self, route: Route) -> Account:
        return self._by_route[route].desk.account

    async def commit(self) -> bool:
        """Make everything written so far durable. False when it could not be; new risk is then blocked."""
        if not self.journal.pending:
            return True
        self.journal.put_state("position_ns", self._clock.now_ns())
        self.journal.put_state("next_intent", self._next_intent)
        begin = measure_ns()
        try:
            if self._offload:
                await asyncio.get_running_loop().run_in_executor(None, self.journal.commit)
            else:
                self.journal.commit()
        except JournalUnavailable as error:
            if self.path.unavailable != "JOURNAL_UNAVAILABLE":
                self._log("JOURNAL_UNAVAILABLE", error=str(error))
            self.path.unavailable = "JOURNAL_UNAVAILABLE"
            return False
        self.tally.commit_ns.observe(measure_ns() - begin)
        if self.path.unavailable == "JOURNAL_UNAVAILABLE":
            self.path.unavailable = ""
            self._log("JOURNAL_RECOVERED")
        return True

    # From the exchange to the ledger.

    async def collect(self) -> None:
        """Apply everything that has become known, make it durable, then tell the plugins of new fills."""
        seen = False
        for venue in self.venues:
            for update in venue.exchange.poll():
                seen = True
                self._apply[type(update)](venue, update)
        if not seen:
            return
        await self.commit()
        fills, self._new_fills = self._new_fills, []
        for fill in fills:
            self.recorder.fill(canonical(fill_record(fill)))
            self._host.on_fill(fill, self._account(fill.route))

    def apply(self, venue: Venue, update: Update) -> None:
        """Apply one update (recovery uses it, too)."""
        self._apply[type(update)](venue, update)

    def _advance(self, venue: Venue, client_id: str, event: OrderEvent, detail: str = "") -> OpenOrder | None:
        """Move a working order by an event; None when it is final already or not ours."""
        order = venue.desk.account.by_client(client_id)
        if order is None:
            return None
        filled = order.qty - order.remaining
        state = next_state(order.state, filled, order.qty, event)
        self._settle(order, state, order.remaining, detail)
        return order

    def _settle(self, order: OpenOrder, state: OrderState, remaining: Decimal, detail: str) -> None:
        self._account(order.route).put(moved(order, state, remaining))
        now = self._clock.now_ns()
        self.journal.order_event(order.client_id, state, order.qty - remaining, now, detail)
        if state.final or state is OrderState.OPEN:
            self.doubts.settled(order.client_id)

    def _accepted(self, venue: Venue, update: Accepted) -> None:
        if self._advance(venue, update.client_id, OrderEvent.ACCEPTED, update.venue_order_id):
            self.tally.order(venue.exchange.venue, "accepted")

    def _rejected(self, venue: Venue, update: Rejected) -> None:
        if self._advance(venue, update.client_id, OrderEvent.REJECTED, f"{update.code} {update.text}"):
            self.tally.order(venue.exchange.venue, "rejected")
            self._log("ORDER_REJECTED", client_id=update.client_id, code=update.code, text=update.text)

    def _unknown(self, venue: Venue, update: Unknown) -> None:
        order = self._advance(venue, update.client_id, OrderEvent.UNKNOWN, update.cause)
        if order is not None:
            self.tally.order(venue.exchange.venue, "unknown")
            self._log("ORDER_UNKNOWN", client_id=update.client_id, cause=update.cause)
            self.doubts.add(order.client_id, order.symbol, self._clock.now_ns())

    def _cancelled(self, venue: Venue, update: Cancelled) -> None:
        event = OrderEvent.EXPIRED if update.reason == "expired" else OrderEvent.CANCELLED
        if self._advance(venue, update.client_id, event, update.reason):
            self.tally.order(venue.exchange.venue, event.value.lower())

    def _cancel_rejected(self, venue: Venue, update: CancelRejected) -> None:
        order = venue.desk.account.by_client(update.client_id)
        if order is not None:  # we still hold it for working: ask rather than believe
            self.doubts.add(order.client_id, order.symbol, self._clock.now_ns())

    def _amended(self, venue: Venue, update: Amended) -> None:
        order = venue.desk.account.by_client(update.client_id)
        if order is None:
            return
        remaining = update.qty - (order.qty - order.remaining)
        amended = msgspec.structs.replace(order, price=update.price, qty=update.qty, remaining=remaining)
        venue.desk.account.put(amended)
        self.journal.order_event(order.client_id, order.state, update.qty - remaining, update.at_ns, "amended")

    def _filled(self, venue: Venue, update: Filled) -> None:
        fill = update.fill
        if not self.ledger.apply(fill):
            self.tally.duplicate_fills += 1
            return
        account = venue.desk.account
        order = account.by_client(fill.client_id)
        state = OrderState.FILLED
        if order is not None:
            remaining = order.remaining - fill.qty
            state = OrderState.FILLED if remaining <= 0 else OrderState.PARTIAL
            account.put(moved(order, state, remaining))
            if order.qty == order.remaining:
                self.tally.order(venue.exchange.venue, "partially_filled" if remaining > 0 else "first_fill")
            if state.final:
                self.tally.order(venue.exchange.venue, "filled")
                self.doubts.settled(order.client_id)
        else:
            self._late_fill(fill)
        self._book(account, venue)
        self.journal.fill(fill, state)
        self.tally.filled(fill)
        self._new_fills.append(fill)

    def _late_fill(self, fill: Fill) -> None:
        """A fill of an order that we hold for final: it counts, and the symbol only reduces until a clean pass."""
        self.path.symbol_states[fill.symbol] = TradingState.REDUCE_ONLY
        self.save_states()
        self._log("FILL_LATE", client_id=fill.client_id, symbol=fill.symbol, trading_state="REDUCE_ONLY")

    def _book(self, account: Account, venue: Venue) -> None:
        """Bring the account's view in line with the ledger."""
        earned = ZERO
        merged: dict[tuple[str, Any], Position] = {}
        for entry in self.ledger.entries(venue.exchange.venue, venue.exchange.account):
            earned += entry.realised - entry.fees_quote
            key = (entry.symbol, entry.position_side)
            other = merged.get(key)
            merged[key] = entry.position if other is None else _joined(other, entry.position)
        account.earned = earned
        for position in merged.values():
            account.set_position(position)

    def _found(self, venue: Venue, update: Found) -> None:
        for fill in update.fills:
            self._filled(venue, Filled(fill))
        order = venue.desk.account.by_client(update.client_id)
        if order is not None:
            missing = update.filled_qty > order.qty - order.remaining
            if missing:  # the venue has fills that it did not send along: stay in doubt until they come
                self.doubts.add(order.client_id, order.symbol, self._clock.now_ns())
                return
            self._settle(order, update.state, order.remaining, "query")
        self.doubts.settled(update.client_id)

    def _not_found(self, venue: Venue, update: NotFound) -> None:
        order = venue.desk.account.by_client(update.client_id)
        if order is None:
            self.doubts.settled(update.client_id)
        elif self.doubts.absent(update.client_id, self._clock.now_ns()):
            self._settle(order, OrderState.ABSENT, ZERO, "absence proven twice")
            self.tally.order(venue.exchange.venue, "absent")
            self._log("ORDER_ABSENT", client_id=update.client_id)

    def _query_failed(self, venue: Venue, update: QueryFailed) -> None:
        self.doubts.failed(update.client_id, self._clock.now_ns())
        self._log("QUERY_FAILED", venue=venue.exchange.venue, client_id=update.client_id, cause=update.cause)

    def _snapshot(self, venue: Venue, update: ExchangeSnapshot) -> None:
        if update.balance is not None:
            venue.desk.account.start_balance = update.balance - venue.desk.account.earned

    def ask(self, now: int) -> None:
        """Query the orders whose fate is not known and whose time to ask has come."""
        for client_id, symbol in self.doubts.due(now):
            for venue in self.venues:
                if venue.desk.account.by_client(client_id) is not None:
                    venue.exchange.query(symbol, client_id)

    def save_states(self) -> None:
        """Put trading states into the next transaction."""
        states = {symbol: state.value for symbol, state in sorted(self.path.symbol_states.items())}
        self.journal.put_state("trading", {"all": self.path.trading_state.value, "symbols": states})


def _joined(a: Position, b: Position) -> Position:
    """Two routes' positions on one venue as the venue nets them."""
    qty = a.qty + b.qty
    cost = a.qty * a.entry_price + b.qty * b.entry_price
    entry = cost / qty if qty else ZERO
    return Position(a.symbol, a.position_side, qty, entry, a.realised + b.realised)
