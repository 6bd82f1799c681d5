"""The wallet: positions with their average entry, balance, realised PnL and fees.

It is a fold over fills: live trading and recovery from the log go through the same ``apply``.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from grinder import Fill, PositionSide, VenuePosition

ZERO: Final = Decimal(0)
CENT: Final = Decimal("1E-8")
"""The venue keeps money at 8 decimals."""


def money(value: Decimal) -> Decimal:
    """Rounded to 8 decimals, half up (away from zero)."""
    return value.quantize(CENT, ROUND_HALF_UP)


class Holding:
    """A position: signed quantity and signed cost (quantity times average entry price)."""

    __slots__ = ("cost", "qty")

    def __init__(self) -> None:
        self.qty = ZERO
        self.cost = ZERO

    def trade(self, delta: Decimal, price: Decimal) -> Decimal:
        """Add a signed quantity at a price; the realised PnL.

        The same side averages the entry. The other side realises at the average entry; what goes beyond zero
        opens at ``price``.
        """
        if self.qty * delta >= 0:
            self.qty += delta
            self.cost += delta * price
            return ZERO
        closed = -delta if abs(delta) < abs(self.qty) else self.qty
        proceeds = closed * price
        realised = money(proceeds - self.cost * closed / self.qty)
        self.cost -= proceeds - realised
        self.qty -= closed
        opened = delta + closed
        if not self.qty:
            self.cost = ZERO
        if opened:
            self.qty = opened
            self.cost = opened * price
        return realised


class Account:
    """Positions by symbol and side, and the balance in quote units.

    Attributes:
        balance: start + realised - fees, exact to the last digit.
        realised: realised PnL before fees.
        fees: fees paid; rebates lower it.
    """

    __slots__ = ("_holdings", "balance", "fees", "hedge", "realised")

    def __init__(self, balance: Decimal, *, hedge: bool) -> None:
        self._holdings: dict[tuple[str, PositionSide], Holding] = {}
        self.balance = balance
        self.hedge = hedge
        self.realised = ZERO
        self.fees = ZERO

    def apply(self, fill: Fill) -> None:
        """Book one fill."""
        key = (fill.symbol, fill.position_side)
        holding = self._holdings.get(key)
        if holding is None:
            holding = self._holdings[key] = Holding()
        realised = holding.trade(fill.qty * fill.side.sign, fill.price)
        self.realised += realised
        self.fees += fill.fee
        self.balance += realised - fill.fee

    def qty(self, symbol: str, position_side: PositionSide) -> Decimal:
        """Signed position."""
        holding = self._holdings.get((symbol, position_side))
        return holding.qty if holding is not None else ZERO

    def _cost(self, symbol: str, position_side: PositionSide) -> Decimal:
        holding = self._holdings.get((symbol, position_side))
        return holding.cost if holding is not None else ZERO

    def worst_case(self, symbol: str, buys: Decimal, sells: Decimal) -> Decimal:
        """Largest notional that the position can reach when the open notional of one side fills.

        Args:
            symbol: the symbol.
            buys: open notional of buy orders that are not reduce-only.
            sells: the same of sell orders.
        """
        if self.hedge:
            both = self._cost(symbol, PositionSide.LONG) - self._cost(symbol, PositionSide.SHORT)
            return both + buys + sells
        cost = self._cost(symbol, PositionSide.BOTH)
        return max(abs(cost + buys), abs(cost - sells))

    def symbols(self) -> Iterator[str]:
        """Symbols that were ever traded, possibly repeated."""
        return (symbol for symbol, _ in self._holdings)

    def positions(self) -> tuple[VenuePosition, ...]:
        """Positions that are not flat."""
        return tuple(
            VenuePosition(symbol, side, holding.qty, holding.cost / holding.qty)
            for (symbol, side), holding in self._holdings.items()
            if holding.qty
        )
