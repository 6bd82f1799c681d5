"""Holdings: a position with its average entry and, in isolated mode, its own wallet."""

from __future__ import annotations

from copy import copy
from decimal import Decimal
from typing import Final

from grinder import PositionSide
from grinder_exchange_paper.amounts import ZERO, money
from grinder_exchange_paper.brackets import Brackets
from grinder_exchange_paper.funding import Due

LEVERAGE: Final = 20
"""Leverage of a symbol for which none has been set, as on Binance."""


class Holding:
    """A position: signed quantity and signed cost (quantity times average entry price).

    Attributes:
        wallet: margin of its own, in quote units; 0 in cross mode and when flat.
        opened_ns: venue time at which it was opened last; a fill that crosses zero opens it.
        funded_ns: instant for which it paid or received funding last.
    """

    __slots__ = ("cost", "funded_ns", "opened_ns", "qty", "wallet")

    def __init__(self) -> None:
        self.qty = ZERO
        self.cost = ZERO
        self.wallet = ZERO
        self.opened_ns = 0
        self.funded_ns = 0

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

    def value(self, mark: Decimal | None) -> Decimal:
        """Signed notional at the mark price; at the entry price where there is no mark price."""
        return self.cost if mark is None else self.qty * mark

    def unrealised(self, mark: Decimal | None) -> Decimal:
        """Unrealised PnL; 0 where there is no mark price."""
        return ZERO if mark is None else self.qty * mark - self.cost

    def release(self, closed: Decimal, before: Decimal) -> Decimal:
        """Take margin out of the wallet for a part of the position that was closed: as large a part of the wallet.

        Args:
            closed: quantity that was closed, above zero.
            before: the quantity before that, above zero.
        """
        released = self.wallet if closed == before else money(self.wallet * closed / before)
        self.wallet -= released
        return released

    def proceeds(self, closed: Decimal, price: Decimal) -> Decimal:
        """What closing a part would bring out of the wallet: its margin and its PnL; below zero is a loss beyond it."""
        after = copy(self)
        realised = after.trade(-closed if self.qty > 0 else closed, price)
        return after.release(closed, abs(self.qty)) + realised


class Contract:
    """One symbol in an account: its margin mode and leverage, its brackets and its positions.

    Args:
        table: its brackets.
        hedge: whether positions are LONG and SHORT apart.

    Attributes:
        isolated: whether its positions have wallets of their own.
        brackets: maintenance margin and leverage by notional.
        holdings: positions by side, also flat ones.
        max_notional: largest notional that may be held at the leverage.
        last_funding: the instant that was paid last.
    """

    __slots__ = ("_hedge", "_leverage", "brackets", "holdings", "isolated", "last_funding", "max_notional")

    def __init__(self, table: Brackets, *, hedge: bool) -> None:
        self._hedge = hedge
        self.brackets = table
        self.leverage = LEVERAGE
        self.isolated = False
        self.holdings: dict[PositionSide, Holding] = {}
        self.last_funding: Due | None = None

    @property
    def leverage(self) -> int:
        """Notional to initial margin."""
        return int(self._leverage)

    @leverage.setter
    def leverage(self, leverage: int) -> None:
        self._leverage = Decimal(leverage)
        self.max_notional = self.brackets.max_notional(leverage)

    def hold(self, position_side: PositionSide) -> Holding:
        """The position of a side; a flat one to begin with."""
        holding = self.holdings.get(position_side)
        if holding is None:
            holding = self.holdings[position_side] = Holding()
        return holding

    def reach(self, mark: Decimal | None, buys: Decimal, sells: Decimal) -> tuple[Decimal, Decimal]:
        """Notional that is long when all buy orders fill, and that is short when all sell orders do.

        In one-way mode they are two ends of the one position; a negative one is a position of the other side that is
        left. In hedge mode they are the long and the short position.
        """
        if self._hedge:
            long, short = self.holdings.get(PositionSide.LONG), self.holdings.get(PositionSide.SHORT)
            return (
                buys if long is None else buys + long.value(mark),
                sells if short is None else sells - short.value(mark),
            )
        both = self.holdings.get(PositionSide.BOTH)
        if both is None:
            return buys, sells
        net = both.cost if mark is None else both.qty * mark
        return buys + net, sells - net

    def gross(self, high: Decimal, low: Decimal) -> Decimal:
        """The notional that needs initial margin, of what ``reach`` gives: the larger end, or both positions."""
        if self._hedge:
            return high + low
        return max(high, low)

    def initial(self, notional: Decimal) -> Decimal:
        """Initial margin of a notional."""
        closing_rate = self.brackets.closing_rate
        margin = notional / self._leverage
        return margin + notional * closing_rate if closing_rate else margin

    def unrealised(self, mark: Decimal | None) -> Decimal:
        """Unrealised PnL of all positions; 0 where there is no mark price."""
        if mark is None:
            return ZERO
        pnl = ZERO
        for holding in self.holdings.values():
            pnl += holding.qty * mark - holding.cost
        return pnl

    def maintenance(self, mark: Decimal | None) -> Decimal:
        """Maintenance margin of all positions."""
        return sum((self.brackets.maintenance(abs(h.value(mark))) for h in self.holdings.values() if h.qty), ZERO)
