"""What lasts of the venue: account, orders and counters, as a fold over the log's records.

Live trading and a restart go through the same ``apply``, so that both end in the same state.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Literal

from grinder import Instrument, StateError
from grinder_exchange_paper.account import Account
from grinder_exchange_paper.log import VERSION, Began, Executed, Record, Repeated, Sent, VenueLog
from grinder_exchange_paper.orders import Order, Orders

SENT_REMEMBERED: Final = 20_000
"""Client ids among which a second placement is noticed."""


class State:
    """The venue's lasting state, and the log behind it.

    Args:
        instruments: venue rules by symbol.
        log: an open log.
        balance: wallet balance to begin with; a log that exists keeps its own.
        mode: position mode.

    Attributes:
        account: positions and balance.
        orders: open and final orders.
        trades: fills so far; the trade ids count them.
        duplicates: placements that were sent under a client id sent before.
    """

    __slots__ = (
        "_began_in",
        "_instruments",
        "_log",
        "_mode",
        "_records",
        "_sent",
        "account",
        "duplicates",
        "orders",
        "trades",
    )

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        log: VenueLog,
        *,
        balance: Decimal,
        mode: Literal["one_way", "hedge"],
    ) -> None:
        self._instruments = instruments
        self._log = log
        self._mode = self._began_in = mode
        self._records: list[Record] = []
        self._sent: dict[str, None] = {}
        self.account = Account(balance, hedge=mode == "hedge")
        self.orders = Orders(instruments)
        self.trades = 0
        self.duplicates = 0

    def restore(self) -> None:
        """Let everything in the log happen again, or begin an empty one.

        Raises:
            StateError: the log is corrupt or was written in another position mode.
        """
        number = 0
        for number, records in self._log.read():
            try:
                self._replay(number, records)
            except (StateError, ArithmeticError, ValueError) as error:
                raise self._log.corrupt(number, str(error)) from error
            if number == 1 and self._mode != self._began_in:
                raise StateError(
                    f"{self._log.path} was written in position mode {self._began_in}, settings say {self._mode}; "
                    "set position_mode back, or use a fresh data directory"
                )
        if not number:
            self.do(Began(VERSION, self.account.balance, self._mode))
            self.commit()

    def _replay(self, number: int, records: list[Record]) -> None:
        begins = [isinstance(record, Began) and record.version == VERSION for record in records]
        if begins != [True] if number == 1 else any(begins):
            raise StateError(f"a version {VERSION} log has one 'began' record, and it is the first line")
        for record in records:
            self._apply(record)

    def do(self, record: Record) -> None:
        """Let a record happen, and note it for the log."""
        self._apply(record)
        self._records.append(record)

    def commit(self) -> None:
        """End a transaction: its records go into the next write of the log."""
        if self._records:
            self._log.add(self._records)
            self._records.clear()

    def send(self, client_id: str, at_ns: int) -> None:
        """Note that a placement is on its way, and whether it was sent before."""
        self.do(Repeated(at_ns, client_id) if client_id in self._sent else Sent(at_ns, client_id))
        self.commit()

    def _apply(self, record: Record) -> None:
        if isinstance(record, Executed):
            self.trades += 1
            if record.fill.trade_id != f"p{self.trades}":
                raise StateError(f"trade {record.fill.trade_id} stands where p{self.trades} was due")
            self.orders.apply(record)
            self.account.apply(record.fill)
        elif isinstance(record, Sent):
            self._sent[record.client_id] = None
            if len(self._sent) > SENT_REMEMBERED:
                del self._sent[next(iter(self._sent))]
        elif isinstance(record, Repeated):
            self.duplicates += 1
        elif isinstance(record, Began):
            self.account.balance = record.balance
            self._began_in = record.position_mode
        else:
            self.orders.apply(record)

    def find(self, client_id: str) -> Order | None:
        """The order of that id opened last; orders that memory has forgotten are looked up in the log."""
        order = self.orders.get(client_id)
        if order is not None or not self.orders.forgotten:
            return order
        self._log.flush()
        past = Orders(self._instruments)
        for _, records in self._log.read(client_id):
            for record in records:
                of = record.fill if isinstance(record, Executed) else record
                if not isinstance(of, Began) and of.client_id == client_id:
                    past.apply(record)
        return past.get(client_id)
