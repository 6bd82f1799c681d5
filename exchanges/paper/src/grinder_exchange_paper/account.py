"""The wallets: positions with their average entry, cross and isolated margin, realised PnL, fees and funding.

They are a fold over fills and entries: live trading and recovery from the log go through the same ``apply`` and
``book``. What has to be valued at prices is in ``valuation``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from grinder import Fill, PositionSide, StateError, VenuePosition
from grinder_exchange_paper import brackets
from grinder_exchange_paper.amounts import CENT, ZERO, money
from grinder_exchange_paper.brackets import BINANCE, Brackets
from grinder_exchange_paper.entries import Cleared, Corrected, Entry, Funded, MarginSet, Moved
from grinder_exchange_paper.funding import Due, payment
from grinder_exchange_paper.holding import Contract, Holding

__all__ = ["CENT", "ZERO", "Account", "Holding", "money"]


class Account:
    """Positions by symbol and side, and the wallets in quote units.

    balance = balance at the start + realised - fees + funding - clearance + insurance + corrections, and
    balance = cross + wallets of isolated positions, both to the last digit.

    Args:
        balance: wallet balance at the start.
        hedge: whether positions are LONG and SHORT apart, or BOTH.
        tables: brackets by symbol, before those that are shipped.

    Attributes:
        balance: wallet balance, cross and isolated.
        isolated: the wallets of isolated positions together.
        realised: realised PnL before fees.
        fees: fees paid; rebates lower it.
        funding: funding received; below zero it was paid.
        clearance: clearance fees paid for liquidations.
        insurance: losses that the insurance fund took over.
        corrections: deposits and corrections, less withdrawals.
        contracts: what is known of a symbol: margin mode, leverage, brackets, positions.
    """

    __slots__ = (
        "_holdings",
        "_tables",
        "balance",
        "clearance",
        "contracts",
        "corrections",
        "fees",
        "funding",
        "hedge",
        "insurance",
        "isolated",
        "realised",
    )

    def __init__(self, balance: Decimal, *, hedge: bool, tables: Mapping[str, Brackets] = BINANCE) -> None:
        self._holdings: dict[tuple[str, PositionSide], tuple[Holding, Contract]] = {}
        self._tables = tables
        self.contracts: dict[str, Contract] = {}
        self.balance = balance
        self.hedge = hedge
        self.isolated = self.realised = self.fees = ZERO
        self.funding = self.clearance = self.insurance = self.corrections = ZERO

    @property
    def cross(self) -> Decimal:
        """The cross wallet: what is not in the wallet of an isolated position."""
        return self.balance - self.isolated

    # The fold.

    def apply(self, fill: Fill) -> None:
        """Book one fill."""
        key = (fill.symbol, fill.position_side)
        holding, contract = self._holdings.get(key) or self._hold(key)
        delta = fill.qty * fill.side.sign
        before = holding.qty
        realised = holding.trade(delta, fill.price)
        self.realised += realised
        self.fees += fill.fee
        self.balance += realised - fill.fee
        if before * holding.qty <= 0:
            holding.opened_ns = fill.exchange_ns
        if contract.isolated:
            self._isolate(fill, holding, contract, before, realised)

    def _hold(self, key: tuple[str, PositionSide]) -> tuple[Holding, Contract]:
        symbol, position_side = key
        contract = self.contract(symbol)
        held = self._holdings[key] = contract.hold(position_side), contract
        return held

    def _isolate(self, fill: Fill, holding: Holding, contract: Contract, before: Decimal, realised: Decimal) -> None:
        """Move margin with a fill of an isolated position.

        What is closed releases its part of the wallet to the cross wallet, where realised PnL and fees go as well; a
        loss beyond that part is the insurance fund's, so that the position never costs more than its wallet. What is
        opened takes its initial margin along.
        """
        closed = min(fill.qty, abs(before)) if before * fill.side.sign < 0 else ZERO
        if closed:
            released = holding.release(closed, abs(before))
            self.isolated -= released
            self._insure(-(released + realised))
        opened = fill.qty - closed
        if opened:
            self._shift(holding, money(opened * fill.price / contract.leverage))

    def _shift(self, holding: Holding, amount: Decimal) -> None:
        holding.wallet += amount
        self.isolated += amount

    def _insure(self, loss: Decimal) -> None:
        if loss > 0:
            self.insurance += loss
            self.balance += loss

    def book(self, entry: Entry) -> None:
        """Book what is no fill.

        Raises:
            StateError: it contradicts what happened before, or its amount has more than 8 decimals.
        """
        if isinstance(entry, MarginSet):
            self._set(entry)
            return
        if not entry.amount.is_finite() or entry.amount != money(entry.amount):
            raise StateError(f"an amount of {entry.amount} in a {type(entry).__name__} record is no money")
        if isinstance(entry, Funded):
            self._fund(entry)
        elif isinstance(entry, Moved):
            self._move(entry)
        elif isinstance(entry, Corrected):
            self.corrections += entry.amount
            self.balance += entry.amount
        elif entry.amount < 0:
            raise StateError(f"a negative amount of {entry.amount} in a {type(entry).__name__} record")
        elif isinstance(entry, Cleared):
            self.clearance += entry.amount
            self.balance -= entry.amount
        elif entry.amount > -self.cross:
            raise StateError(f"the insurance fund adds {entry.amount} to a cross wallet of {self.cross}")
        else:
            self._insure(entry.amount)

    def _set(self, entry: MarginSet) -> None:
        contract = self.contract(entry.symbol)
        if entry.leverage < 1:
            raise StateError(f"leverage {entry.leverage} of {entry.symbol}")
        if entry.isolated != contract.isolated and any(holding.qty for holding in contract.holdings.values()):
            raise StateError(
                f"margin mode of {entry.symbol} changes while a position is open; set margin_mode back until it is "
                "closed, or use a fresh data directory"
            )
        contract.isolated = entry.isolated
        contract.leverage = entry.leverage

    def _fund(self, entry: Funded) -> None:
        """An isolated position pays from its wallet.

        What the wallet lacks, the cross wallet advances as far as unrealised profit covers it; the rest is a loss
        beyond the wallet, and the insurance fund's.
        """
        holding, contract = self._open(entry)
        if not holding.opened_ns < entry.at_ns > holding.funded_ns:
            raise StateError(
                f"funding of {entry.symbol} {entry.position_side} at {entry.at_ns}: it was paid already, or the "
                "position was opened later"
            )
        holding.funded_ns = entry.at_ns
        contract.last_funding = Due(entry.at_ns, entry.mark, entry.rate)
        self.funding += entry.amount
        self.balance += entry.amount
        if contract.isolated:
            lacking = -(holding.wallet + entry.amount)
            self._shift(holding, max(entry.amount, -holding.wallet))
            if lacking > 0:
                self._insure(lacking - min(lacking, max(ZERO, money(holding.unrealised(entry.mark)))))

    def _move(self, entry: Moved) -> None:
        holding, contract = self._open(entry)
        if not contract.isolated:
            raise StateError(f"margin is moved into {entry.symbol}, which is not isolated")
        if not -holding.wallet <= entry.amount <= max(ZERO, self.cross):
            raise StateError(f"{entry.amount} is moved into the wallet of {entry.symbol}, and is not there")
        self._shift(holding, entry.amount)

    def _open(self, entry: Funded | Moved) -> tuple[Holding, Contract]:
        held = self._holdings.get((entry.symbol, entry.position_side))
        if held is None or not held[0].qty:
            raise StateError(f"a {type(entry).__name__} record of {entry.symbol} {entry.position_side}, which is flat")
        return held

    # What can be asked.

    def contract(self, symbol: str) -> Contract:
        """What is known of a symbol; cross margin and a leverage of 20 to begin with."""
        contract = self.contracts.get(symbol)
        if contract is None:
            contract = self.contracts[symbol] = Contract(brackets.of(symbol, self._tables), hedge=self.hedge)
        return contract

    def owed(self, symbol: str, due: Due) -> tuple[Funded, ...]:
        """Funding of an instant, an entry for each position of the symbol that was open before it."""
        contract = self.contracts.get(symbol)
        if contract is None:
            return ()
        return tuple(
            Funded(due.at_ns, symbol, side, due.rate, due.mark, payment(holding.qty, due.mark, due.rate))
            for side, holding in contract.holdings.items()
            if holding.qty and holding.opened_ns < due.at_ns > holding.funded_ns
        )

    def shortfall(self) -> Decimal:
        """What the insurance fund has to add: the cross wallet below zero while no cross position is open."""
        backed = any(
            holding.qty
            for contract in self.contracts.values()
            if not contract.isolated
            for holding in contract.holdings.values()
        )
        return ZERO if backed else max(ZERO, -self.cross)

    def qty(self, symbol: str, position_side: PositionSide) -> Decimal:
        """Signed position."""
        held = self._holdings.get((symbol, position_side))
        return held[0].qty if held is not None else ZERO

    def worst_case(self, symbol: str, buys: Decimal, sells: Decimal) -> Decimal:
        """Largest notional, at entry prices, that the position can reach when the open notional of one side fills.

        Args:
            symbol: the symbol.
            buys: open notional of buy orders that are not reduce-only.
            sells: the same of sell orders.
        """
        contract = self.contract(symbol)
        return contract.gross(*contract.reach(None, buys, sells))

    def symbols(self) -> Iterator[str]:
        """Symbols that were ever traded, possibly repeated."""
        return (symbol for symbol, _ in self._holdings)

    def positions(self) -> tuple[VenuePosition, ...]:
        """Positions that are not flat."""
        return tuple(
            VenuePosition(symbol, side, holding.qty, holding.cost / holding.qty)
            for (symbol, side), (holding, _) in self._holdings.items()
            if holding.qty
        )
