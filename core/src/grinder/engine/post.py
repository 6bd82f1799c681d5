"""What a gatekeeper's calls work on: the parts of the order path, entered one call at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from grinder.clock import Clock
from grinder.engine.assembly import Assembly
from grinder.engine.door import Door
from grinder.engine.executor import Executor
from grinder.engine.foreign import OtherKey
from grinder.engine.marking import EVERY_NS, Marking
from grinder.engine.outside import Outside
from grinder.engine.settlement import Venue
from grinder.errors import CallError, StateError
from grinder.exchange import Update
from grinder.instruments import Instrument
from grinder.journal.identity import is_ours
from grinder.types import OpenOrder, OrderState

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

FLUSH_NS: Final = 1_000_000_000
"""Time between two hand-overs of records to the operating system."""
LATEST_NS: Final = 1 << 62
"""No clock is that late."""
INTERRUPTED: Final = "CALL_INTERRUPTED"
REOPEN: Final = (
    "an exception interrupted a call in the middle, so what is held in memory may differ from the journal, which is "
    "right: close this gatekeeper and open it again"
)
BEGAN: Final = "books_began_ns"
"""Key under which the journal keeps when the books began with what the venue stated."""


class Post:
    """The open parts of one gatekeeper. Everything but ``enter`` and ``close`` is called from inside.

    Attributes:
        venue_ids: client order id by (symbol, the venue's order id), of orders that may still be filled.
        others: names of orders that are not ours by symbol, side and client id, as last stated.
        synced: whether positions have been stated since the start.
        balance: as stated before positions were; else None.
        began_ns: when the books began with the venue's first statement; 0 before.
        last_fill_ns: venue time of the latest fill by symbol.
        reopen: why the gatekeeper has to be closed and opened again; empty when it has not.
    """

    def __init__(
        self,
        parts: Assembly,
        executor: Executor,
        clock: Clock,
        closing: contextlib.ExitStack,
        log: FilteringBoundLogger,
    ) -> None:
        self.parts = parts
        self.executor = executor
        self.clock = clock
        self.log = log
        self.closing = closing
        self.door = Door()
        self.venue: Venue = executor.settlement.venues[0]
        self.account = parts.account
        self.market = parts.market
        self.first_ns = 0
        self.synced = False
        self.reopen = ""
        self.balance: Decimal | None = None
        self.venue_ids: dict[tuple[str, str], str] = {}
        self.others: dict[OtherKey, str] = {}
        self.began_ns = int(parts.state.recovered.state.get(BEGAN, 0))
        self.last_fill_ns: dict[str, int] = {}
        self._named: set[str] = set()
        self._flush_at = 0
        self._marking = Marking(parts.markouts, parts.market, parts.instruments)
        executor.journal.index()
        for order in parts.state.recovered.orders:
            self.name(order.symbol, order.venue_order_id, order.client_id)
        for (_, _, symbol), cursor in parts.state.recovered.cursors.items():
            self.last_fill_ns[symbol] = cursor.last_exchange_ns

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """What is traded."""
        return self.parts.instruments

    @property
    def names(self) -> tuple[str, str]:
        """Venue and account, as fills are keyed by them."""
        exchange = self.venue.exchange
        assert isinstance(exchange, Outside)  # noqa: S101 - it was connected to one
        return exchange.venue, exchange.account

    def tick(self) -> int:
        """The time of this call, which everything in it sees.

        Raises:
            CallError: the program's clock says no time.
        """
        now = self.clock.now_ns()
        if type(now) is not int or not 0 <= now < LATEST_NS:
            raise CallError(f"the clock said {now!r:.60}, must be nanoseconds since 1970 as an int; nothing was done")
        if self.door.broken:
            self._mistrust()
        self.market.now_ns = now
        if not self.first_ns:
            self.first_ns = self.parts.runtime.started_ns = now
        return now

    def begin(self) -> None:
        """The call has read its arguments and begins to change things."""
        self.door.changing = True

    def _mistrust(self) -> None:
        """Memory may differ from the journal: no new risk until the journal has been read again."""
        path = self.executor.path
        if not self.reopen:
            self.reopen = REOPEN
            self.log.error(INTERRUPTED, error=REOPEN)
        path.unavailable = INTERRUPTED

    def rest(self, now: int) -> None:
        """What is due from time to time: records on disk, mids for markouts. A clock that went back delays neither."""
        if not self._marking.due_ns - EVERY_NS <= now < self._marking.due_ns:
            self._marking.look(now)
        if not self._flush_at - FLUSH_NS <= now < self._flush_at:
            self._flush_at = now + FLUSH_NS
            self.parts.recorder.flush()
            self.parts.markouts.flush()
            self.executor.journal.index()

    def settle(self, *updates: Update) -> None:
        """Apply what was reported, and make it durable.

        Raises:
            StateError: it has been applied and could not be made durable; it is kept in memory.
        """
        self.begin()
        durable = self.executor.settle(self.venue, updates)
        self.rest(self.clock.now_ns())
        if not durable:
            raise StateError(
                f"what was reported counts, but is not durable: {self.executor.unwritten}. Report it again: that tries "
                "again to write it, and counts nothing twice"
            )

    def symbol(self, symbol: object) -> str:
        """A symbol that is traded.

        Raises:
            CallError: it is not.
        """
        if isinstance(symbol, str) and symbol in self.instruments:
            return symbol
        known = ", ".join(sorted(self.instruments)[:10])
        raise CallError(f"symbol {symbol!r:.60} has no instrument; known are {known}. Symbols are the venue's own")

    def order(self, client_id: object) -> OpenOrder:
        """An order that was decided here, working or final.

        Raises:
            CallError: there is none.
        """
        found = self.find(client_id)
        if found is None:
            raise CallError(f"no order {client_id!r:.60} was decided here: give the client_id of the decision about it")
        return found

    def find(self, client_id: object) -> OpenOrder | None:
        """The same, or None. One that ended long ago is looked up in the journal."""
        if not isinstance(client_id, str) or not client_id:
            return None
        settlement = self.executor.settlement
        order = self.account.by_client(client_id) or settlement.ended(client_id)
        if order is None and is_ours(client_id, self.parts.state.recovered.tag):
            record = self.executor.journal.order(client_id)
            if record is None:
                return None
            order = record.open_order()
            settlement.recall(order)
        return order

    def amendment(self, client_id: object) -> bool:
        """Whether an amendment was decided here under this client id, and is no longer in flight."""
        if not isinstance(client_id, str) or not is_ours(client_id, self.parts.state.recovered.tag):
            return False
        return self.find(client_id) is None and self.executor.journal.decision(client_id) is not None

    def name(self, symbol: str, venue_order_id: str, client_id: str) -> None:
        """Remember what the venue calls an order; names of orders that ended are forgotten with them."""
        if not venue_order_id:
            return
        self.venue_ids[symbol, venue_order_id] = client_id
        self._named.add(client_id)
        if len(self.venue_ids) > MAX_NAMES:
            settlement = self.executor.settlement
            self.venue_ids = {
                key: client
                for key, client in self.venue_ids.items()
                if self.account.by_client(client) or settlement.ended(client)
            }
            self._named = set(self.venue_ids.values())

    def unresolved(self, symbol: str) -> list[OpenOrder]:
        """Orders of a symbol that the venue may have under a name that is not known here."""
        return [order for order in self.account.open_orders(symbol) if order.client_id not in self._named]

    def doubtful(self, order: OpenOrder) -> bool:
        """Whether the program has to ask the venue what became of an order."""
        return order.state is OrderState.UNKNOWN or order.client_id in self.executor.settlement.doubts


MAX_NAMES: Final = 50_000
"""Names of orders that are kept before those of orders that ended long ago are dropped."""
