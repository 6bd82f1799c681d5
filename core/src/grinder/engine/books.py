"""Fills and payments, booked: each enters the ledger once, and the account's view of its leg follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from grinder.engine.account import Account
from grinder.engine.tally import Tally
from grinder.journal.ledger import FillError, Ledger, LedgerKey
from grinder.journal.store import Journal
from grinder.types import Fill, FillCause, Payment, Position, PositionSide, Route

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

ZERO: Final = Decimal(0)


class Books:
    """Keeps accounts in step with the ledger.

    Args:
        accounts: by every route that leads to them.
        quote: the quote asset of a symbol; fees in other assets are kept but not netted with PnL.
        only_reduce: what is done to a symbol of which something does not add up.
        log: where what operators must know is said.

    Attributes:
        new_fills: executions applied since the list was last taken.
        new_payments: payments applied since the list was last taken.
    """

    def __init__(
        self,
        *,
        accounts: Mapping[Route, Account],
        ledger: Ledger,
        journal: Journal,
        tally: Tally,
        quote: Callable[[str], str],
        only_reduce: Callable[[str], None],
        log: FilteringBoundLogger,
    ) -> None:
        self.ledger = ledger
        self.new_fills: list[Fill] = []
        self.new_payments: list[Payment] = []
        self._accounts = accounts
        self._journal = journal
        self._tally = tally
        self._quote = quote
        self._only_reduce = only_reduce
        self._log = log
        self._earned: dict[LedgerKey, Decimal] = {}

    def rebook(self) -> None:
        """Bring every account in line with a ledger that was rebuilt."""
        for key, _ in self.ledger.holdings():
            self._book_leg(self._accounts[key[0]], *key[1:])

    def adjust(self, fill: Fill) -> None:
        """Book what the venue's position shows and no order explains.

        Raises:
            FillError: its numbers make no sense.
        """
        if self.ledger.takes(fill):
            self._journal.fill(fill, advance=False)
            self.enter(self._accounts[fill.route], fill)

    def takes(self, fill: Fill) -> bool:
        """Whether to book an execution: it is new, and its numbers make sense; if they do not, a person has to look."""
        try:
            new = self.ledger.takes(fill)
        except FillError as error:  # set aside: the books are whole without it
            self._tally.quarantined_fills += 1
            self._set_aside("FILL_QUARANTINED", fill.symbol, error)
            return False
        if not new:
            self._tally.duplicate_fills += 1
        return new

    def enter(self, account: Account, fill: Fill) -> None:
        """Book an execution that the journal holds."""
        self.ledger.restore(fill)
        self._book_leg(account, fill.venue, fill.account, fill.symbol, fill.position_side)
        self.new_fills.append(fill)

    def unexpected(self, fill: Fill) -> None:
        """A fill of an order that we hold for final, or of the venue's own making (liquidation, deleveraging).

        It counts, and the symbol only reduces until a person has looked.
        """
        self._only_reduce(fill.symbol)
        event = "FILL_LATE" if fill.cause is FillCause.TRADE else f"POSITION_CLOSED_BY_{fill.cause.value}"
        if fill.cause is not FillCause.TRADE:
            self._tally.venue_closures[fill.cause.value.lower()] += 1
        self._log.warning(event, client_id=fill.client_id, symbol=fill.symbol, trading_state="REDUCE_ONLY")

    def pay(self, account: Account, payment: Payment) -> None:
        """Book a payment, unless it is known."""
        try:
            if not self.ledger.takes_payment(payment):
                return
        except FillError as error:
            self._set_aside("PAYMENT_QUARANTINED", payment.symbol, error)
            return
        self._journal.payment(payment)
        self.ledger.restore_payment(payment)
        self._book_leg(account, payment.venue, payment.account, payment.symbol, payment.position_side)
        self.new_payments.append(payment)

    def _set_aside(self, event: str, symbol: str, error: FillError) -> None:
        """What cannot be booked: the symbol only reduces until a person has looked."""
        self._only_reduce(symbol)
        self._log.error(event, error=str(error), symbol=symbol, trading_state="REDUCE_ONLY")

    def _book_leg(
        self, account: Account, venue: str, account_name: str, symbol: str, position_side: PositionSide
    ) -> None:
        """Bring the account's view of one leg in line with the ledger, all routes of the venue together."""
        qty = cost = realised = ZERO
        for route in self._accounts:
            key = (route, venue, account_name, symbol, position_side)
            line = self.ledger.holding(key)
            qty, cost, realised = qty + line.qty, cost + line.cost, realised + line.realised
            earned = line.realised + line.received - line.fees.get(self._quote(symbol), ZERO)
            account.earned += earned - self._earned.get(key, ZERO)
            self._earned[key] = earned
        entry = cost / qty if qty else ZERO
        account.set_position(Position(symbol, position_side, qty, entry, realised))
