"""Carries decisions out: makes them durable, sends what was admitted, collects the answers for settlement.

What adds risk is not sent before its intent and decision are durable in one transaction. What reduces risk, and
cancels, wait for the same transaction, and are sent all the same when the journal cannot be written: their decisions
are then kept in memory until it can. Nothing is sent twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec

from grinder.clock import Clock, measure_ns
from grinder.decisions import Decision, decision_record
from grinder.engine.account import moved
from grinder.engine.arithmetic import plain_arithmetic
from grinder.engine.draft import Ruling
from grinder.engine.intents import examined
from grinder.engine.path import OrderPath
from grinder.engine.settlement import Settlement, Venue
from grinder.engine.tally import Tally
from grinder.errors import StateError
from grinder.evidence.recorder import Recorder, canonical, fill_record, payment_record
from grinder.exchange import Update
from grinder.host.manager import Host
from grinder.journal.records import OrderRecord, Recovered
from grinder.journal.store import Journal, JournalUnavailable
from grinder.types import (
    IntentKind,
    OrderIntent,
    OrderState,
    Risk,
)

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

ZERO: Final = Decimal(0)

ATTEMPTS: Final = 2
"""How often a program's order is decided anew because writing took too long, before it is refused."""

MAX_PENDING: Final = 1000
"""Rows of the journal that may wait for the next commit."""

PROGRESS: Final = "progress"
"""Key under which the journal keeps how far the market has been traded, and what has been counted."""
PROGRESS_NS: Final = 1_000_000_000
"""Event time between two notes of it; decisions and fills carry their own times."""


class Executor:
    """Takes intents from decision to exchange, and answers from exchange to settlement.

    Args:
        offload: commit in a thread (fsync would stop the event loop) instead of inline.
        log: where what operators must know is said.

    Attributes:
        unwritten: why the journal could not be written when it last could not.
    """

    def __init__(
        self,
        *,
        path: OrderPath,
        settlement: Settlement,
        journal: Journal,
        recorder: Recorder,
        tally: Tally,
        host: Host,
        clock: Clock,
        recovered: Recovered,
        decision_ttl_ns: int,
        live: bool,
        offload: bool,
        log: FilteringBoundLogger,
    ) -> None:
        self.path = path
        self.settlement = settlement
        self.journal = journal
        self.recorder = recorder
        self.tally = tally
        self._host = host
        self._clock = clock
        self._next_intent = recovered.next_intent_number
        self._intent_prefix = f"{recovered.tag}-{recovered.generation}"
        self._ttl = decision_ttl_ns
        self._live = live
        self._offload = offload
        self._log = log
        self._progress_at = 0
        self.unwritten = ""
        self.on_decision: Callable[[Decision], None] | None = None
        self.before_commit: Callable[[], None] | None = None

    async def propose(self, intents: Sequence[OrderIntent], now: int) -> None:
        """Decide intents one at a time, make the decisions durable, then send what was admitted.

        Decisions that took so long to write that the market may have moved are made again, and then refused.
        """
        left = await self._attempt(intents, now)
        for attempt in range(1, ATTEMPTS + 1):
            if not left:
                return
            left = await self._attempt(left, self._clock.now_ns(), "DECISION_EXPIRED" if attempt == ATTEMPTS else "")

    async def _attempt(self, intents: Sequence[OrderIntent], now: int, refusal: str = "") -> list[OrderIntent]:
        """Carry intents through once. Those that waited too long to be sent."""
        before = self.journal.pending
        written = [self._write(self._refused(self._decide(intent, now), refusal)) for intent in intents]
        if not await self.commit():
            written = self._rewrite(written, before)
        expired: list[OrderIntent] = []
        for ruling, record in written:
            self._note(ruling, record)
            if not self._send(ruling):
                expired.append(ruling.decision.intent)
        return expired

    def decide(self, proposal: OrderIntent) -> Decision:
        """Decide an intent for a program that sends the order itself; the decision is durable when this returns.

        A decision that took so long to write that the market may have moved is made again, and then refused.
        """
        for _ in range(ATTEMPTS):
            ruling = self._decide_now(proposal)
            if not self._late(ruling):
                return ruling.decision
            self._expire(ruling)
        return self._decide_now(proposal, "DECISION_EXPIRED").decision

    def _decide_now(self, proposal: OrderIntent, refusal: str = "") -> Ruling:
        before = self.journal.pending
        ruling = self._refused(self._decide(proposal, self._clock.now_ns()), refusal)
        written = [self._write(ruling)]
        if not self.commit_now():
            written = self._rewrite(written, before)
        ((ruling, record),) = written
        self._note(ruling, record)
        return ruling

    def _rewrite(self, written: Sequence[tuple[Ruling, bytes]], before: int) -> list[tuple[Ruling, bytes]]:
        """The same rulings as they stand when they could not be made durable.

        New risk is refused; what reduces risk is sent all the same and kept in memory until it can be written.
        """
        self.journal.rewind(before)
        return [self._write(self._refused(ruling, "JOURNAL_UNAVAILABLE")) for ruling, _ in written]

    def _note(self, ruling: Ruling, record: bytes) -> None:
        self.recorder.decision(record)
        self.tally.decided(ruling.decision)
        if self.on_decision is not None:
            self.on_decision(ruling.decision)

    def _decide(self, proposal: OrderIntent, now: int) -> Ruling:
        intent_id = f"{self._intent_prefix}-{self._next_intent:06d}"
        self._next_intent += 1
        begin = measure_ns()
        examinee, problem = examined(proposal)
        intent = msgspec.structs.replace(examinee, intent_id=intent_id, created_ns=now)
        ruling = self.path.decide(intent, now, problem)
        self.tally.decision_ns.observe(measure_ns() - begin)
        if ruling.order is not None:
            self.settlement.account(ruling.order.route).put(ruling.order)
        elif ruling.admitted is not None and ruling.admitted.intent.kind is IntentKind.AMEND:
            self.settlement.changes.reserve(ruling.admitted)
        return ruling

    def _write(self, ruling: Ruling) -> tuple[Ruling, bytes]:
        intent = ruling.decision.intent
        try:
            record = canonical(decision_record(ruling.decision))
            self.journal.record_decision(intent.intent_id, ruling.decision.now_ns, record, self._order_record(ruling))
        except Exception:
            self._withdraw(ruling)
            raise
        return ruling, record

    def _order_record(self, ruling: Ruling) -> OrderRecord | None:
        """The order or the amendment as the journal keeps it; a cancel leaves nothing to count."""
        admitted, order = ruling.admitted, ruling.order
        if admitted is None or admitted.intent.kind is IntentKind.CANCEL:
            return None
        intent, exchange = admitted.intent, self.settlement.by_route[admitted.route].exchange
        return OrderRecord(
            intent_id=intent.intent_id,
            client_id=admitted.client_id,
            kind=intent.kind,
            symbol=intent.symbol,
            side=intent.side,
            position_side=intent.position_side,
            qty=admitted.qty,
            price=admitted.price,
            reduce_only=admitted.reduce_only,
            route=admitted.route,
            venue=exchange.venue,
            account=exchange.account,
            origin=intent.origin,
            target_client_id=admitted.target_client_id,
            created_ns=admitted.decided_ns,
            trigger=None if order is None else order.trigger,
        )

    def _refused(self, ruling: Ruling, reason: str) -> Ruling:
        """The ruling, refused after all if it adds risk; as it is when there is no reason for that."""
        if not reason or not ruling.decision.allowed or ruling.decision.risk is not Risk.INCREASE:
            return ruling
        self._withdraw(ruling)
        return self.path.refuse(ruling, reason, "journal")

    def _withdraw(self, ruling: Ruling) -> None:
        """Nothing is counted any more for a ruling that was never made durable."""
        if ruling.order is not None:
            self.settlement.account(ruling.order.route).put(moved(ruling.order, OrderState.REJECTED, ZERO))
        elif ruling.admitted is not None:
            account = self.settlement.account(ruling.admitted.route)
            self.settlement.changes.withdraw(account, ruling.admitted.client_id)

    def _send(self, ruling: Ruling) -> bool:
        """Hand an admitted order over. False when it waited too long and must be decided anew."""
        admitted, order = ruling.admitted, ruling.order
        if admitted is None:
            return True
        if self._late(ruling):
            self._expire(ruling)
            return False
        if order is not None:
            self.settlement.account(order.route).put(moved(order, OrderState.SENT, order.remaining))
        self.settlement.by_route[admitted.route].exchange.submit(admitted)
        return True

    def _late(self, ruling: Ruling) -> bool:
        """Whether an admitted order that adds risk waited so long that the decision no longer holds."""
        if ruling.admitted is None or not self._live or ruling.decision.risk is not Risk.INCREASE:
            return False
        return self._clock.now_ns() - ruling.decision.now_ns > self._ttl

    def _expire(self, ruling: Ruling) -> None:
        if ruling.order is not None:
            self.settlement.expire(ruling.order, "DECISION_EXPIRED")
        elif ruling.admitted is not None:
            account = self.settlement.account(ruling.admitted.route)
            self.settlement.changes.over(account, ruling.admitted.client_id, "DECISION_EXPIRED")

    async def commit(self) -> bool:
        """Make everything written so far durable. False when it could not be; new risk is then blocked."""
        if not self.journal.pending:
            return True
        self._complete_batch()
        begin = measure_ns()
        try:
            if self._offload:
                await asyncio.get_running_loop().run_in_executor(None, self.journal.commit)
            else:
                self.journal.commit()
        except JournalUnavailable as error:
            return self._uncommitted(error)
        return self._committed(measure_ns() - begin)

    def commit_now(self) -> bool:
        """The same for a caller without an event loop. A damaged journal only stops new risk here, too."""
        if not self.journal.pending:
            return True
        self._complete_batch()
        begin = measure_ns()
        try:
            self.journal.commit()
        except StateError as error:
            return self._uncommitted(error)
        return self._committed(measure_ns() - begin)

    def _complete_batch(self) -> None:
        """Add to the next transaction what belongs into it from time to time."""
        if self.before_commit is not None:
            self.before_commit()
        now = self._clock.now_ns()
        if now >= self._progress_at:
            self._progress_at = now + PROGRESS_NS
            self.save_progress()

    def _uncommitted(self, error: StateError) -> bool:
        if self.path.unavailable != "JOURNAL_UNAVAILABLE":
            self._log.warning("JOURNAL_UNAVAILABLE", error=str(error))
        self.path.unavailable = "JOURNAL_UNAVAILABLE"
        self.unwritten = str(error)
        return False

    def _committed(self, spent_ns: int) -> bool:
        self.tally.commit_ns.observe(spent_ns)
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
        settlement = self.settlement
        for venue in settlement.venues:
            for update in venue.exchange.poll():
                settlement.apply(venue, update)
        told = settlement.books.new_fills or settlement.books.new_payments
        if (told or self.journal.pending > MAX_PENDING) and not await self.commit():
            return  # plugins hear of fills when they are durable
        self._announce()

    def settle(self, venue: Venue, updates: Iterable[Update]) -> bool:
        """Apply what a program reports and make it durable. False when it could not be: it is kept in memory."""
        for update in updates:
            self.settlement.apply(venue, update)
        if not self.commit_now():
            return False
        self._announce()
        return True

    def _announce(self) -> None:
        """Record fills that are durable, and tell the plugins of them."""
        settlement = self.settlement
        books = settlement.books
        fills, books.new_fills = books.new_fills, []
        payments, books.new_payments = books.new_payments, []
        for payment in payments:
            self.recorder.payment(canonical(payment_record(payment)))
        for fill in fills:
            self.recorder.fill(canonical(fill_record(fill)))
            self._host.on_fill(fill, settlement.by_route[fill.route].desk.face)
        if fills:
            plain_arithmetic()

    def greet(self) -> None:
        """Ask every venue for its state; nothing is proposed before it has answered."""
        for venue in self.settlement.venues:
            venue.exchange.request_snapshot()

    def save_progress(self) -> None:
        """Put how far the market has been traded, and what has been counted, into the next transaction."""
        self.journal.put_state(PROGRESS, {"position_ns": self._clock.now_ns(), **self.tally.save()})
