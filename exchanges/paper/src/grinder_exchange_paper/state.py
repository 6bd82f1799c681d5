"""What lasts of the venue: account, orders and counters, as a fold over the log's records.

Live trading and a restart go through the same ``apply``, so that both end in the same state.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Literal

from grinder import Fill, FillCause, Instrument, Payment, PaymentKind, PositionSide, Route, StateError
from grinder_exchange_paper.account import Account
from grinder_exchange_paper.brackets import Brackets
from grinder_exchange_paper.entries import Cleared, Corrected, Entry, Funded, Insured, MarginSet, Moved
from grinder_exchange_paper.fees import Schedule
from grinder_exchange_paper.log import VERSION, Began, Executed, Record, Repeated, Sent, VenueLog
from grinder_exchange_paper.orders import Order, Orders

ENTRIES: Final = (MarginSet, Moved, Funded, Cleared, Insured, Corrected)
CLOSURES_REMEMBERED: Final = 1000
"""Fills of the venue's own making, and payments, that a snapshot states."""
VENUE: Final = "paper"
SENT_REMEMBERED: Final = 20_000
"""Client ids among which a second placement is noticed."""


class State:
    """The venue's lasting state, and the log behind it.

    Args:
        instruments: venue rules by symbol.
        log: an open log.
        balance: wallet balance to begin with; a log that exists keeps its own.
        mode: position mode.
        tables: maintenance margin brackets by symbol.
        schedule: fee tiers; None where there are none.

    Attributes:
        account: positions and balance.
        closures: the latest fills with which the venue closed positions itself.
        payments: the latest payments.
        untold: payments that nobody has been told of; whoever tells takes them out.
        orders: open and final orders.
        trades: fills so far; the trade ids count them.
        last_ns: the latest time in the log when it was read; 0 when it was new.
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
        "closures",
        "duplicates",
        "last_ns",
        "orders",
        "paid",
        "payments",
        "schedule",
        "trades",
        "untold",
    )

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        log: VenueLog,
        *,
        balance: Decimal,
        mode: Literal["one_way", "hedge"],
        tables: Mapping[str, Brackets],
        schedule: Schedule | None = None,
    ) -> None:
        self._instruments = instruments
        self._log = log
        self._mode = self._began_in = mode
        self._records: list[Record] = []
        self._sent: dict[str, None] = {}
        self.account = Account(balance, hedge=mode == "hedge", tables=tables)
        self.schedule = schedule
        self.closures: deque[Fill] = deque(maxlen=CLOSURES_REMEMBERED)
        self.payments: deque[Payment] = deque(maxlen=CLOSURES_REMEMBERED)
        self.untold: list[Payment] = []
        self.paid = 0
        self.last_ns = 0
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
        self.untold.clear()
        if not number:
            self.do(Began(VERSION, self.account.balance, self._mode))
            self.commit()

    def _replay(self, number: int, records: list[Record]) -> None:
        begins = [isinstance(record, Began) and record.version == VERSION for record in records]
        if begins != [True] if number == 1 else any(begins):
            raise StateError(f"a version {VERSION} log has one 'began' record, and it is the first line")
        for record in records:
            self._apply(record)
            at_ns = record.fill.exchange_ns if isinstance(record, Executed) else getattr(record, "at_ns", 0)
            self.last_ns = max(self.last_ns, at_ns)

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
            self._book(record.fill)
        elif isinstance(record, ENTRIES):
            self._enter(record)
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

    def _book(self, fill: Fill) -> None:
        insurance = self.account.insurance
        self.account.apply(fill)
        self._insured(insurance, fill.symbol, fill.position_side, fill.exchange_ns)
        if self.schedule is not None:
            self.schedule.add(fill.exchange_ns, fill.price * fill.qty)
        if fill.cause is not FillCause.TRADE:
            self.closures.append(fill)

    def _enter(self, entry: Entry) -> None:
        """Book what is no fill; what it does to the wallet is a payment."""
        account = self.account
        insurance = account.insurance
        if isinstance(entry, Funded):
            qty = account.qty(entry.symbol, entry.position_side)
            account.book(entry)
            self._pay(PaymentKind.FUNDING, entry.symbol, entry.position_side, entry.amount, entry.at_ns,
                      rate=entry.rate, mark=entry.mark, qty=qty)  # fmt: skip
            self._insured(insurance, entry.symbol, entry.position_side, entry.at_ns)
            return
        account.book(entry)
        if isinstance(entry, Cleared):
            self._pay(PaymentKind.LIQUIDATION_FEE, entry.symbol, entry.position_side, -entry.amount, entry.at_ns)
        elif isinstance(entry, Insured):
            self._insured(insurance, "", PositionSide.BOTH, entry.at_ns)

    def _insured(self, before: Decimal, symbol: str, position_side: PositionSide, at_ns: int) -> None:
        """The insurance fund took over a loss, if it did."""
        amount = self.account.insurance - before
        if amount:
            self._pay(PaymentKind.INSURANCE, symbol, position_side, amount, at_ns)

    def _pay(
        self,
        kind: PaymentKind,
        symbol: str,
        position_side: PositionSide,
        amount: Decimal,
        at_ns: int,
        **details: Decimal,
    ) -> None:
        self.paid += 1
        instrument = self._instruments.get(symbol) or next(iter(self._instruments.values()))
        payment = Payment(
            kind=kind,
            payment_id=f"w{self.paid}",
            route=Route.PAPER,
            venue=VENUE,
            account=VENUE,
            symbol=symbol or instrument.symbol,
            position_side=position_side,
            amount=amount,
            asset=instrument.quote,
            at_ns=at_ns,
            local_ns=at_ns,
            **details,
        )
        self.payments.append(payment)
        self.untold.append(payment)

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
                if getattr(of, "client_id", "") == client_id:
                    past.apply(record)
        return past.get(client_id)
