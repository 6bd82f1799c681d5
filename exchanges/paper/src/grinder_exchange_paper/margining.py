"""What the venue knows of prices and margin: mark prices, what orders may cost, how positions stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from grinder import MarkPrice, VenuePosition
from grinder_exchange_paper import liquidation, rules
from grinder_exchange_paper.amounts import ZERO
from grinder_exchange_paper.dialect import Refusal
from grinder_exchange_paper.entries import MarginSet
from grinder_exchange_paper.matching import Matcher
from grinder_exchange_paper.rules import Terms
from grinder_exchange_paper.settings import Settings
from grinder_exchange_paper.state import State
from grinder_exchange_paper.valuation import Order as Priced
from grinder_exchange_paper.valuation import Resting, Valuation

STALE_NS: Final = 60_000_000_000
"""A mark price of the feed older than this gives way to the mid price."""


class Margining:
    """Mark prices and margin of one account.

    Args:
        settings: margin mode and leverage.
        state: orders and account.
        matchers: where open orders and displayed prices are.

    Attributes:
        marks: mark prices by symbol, from the feed, or mid prices where it has none.
    """

    __slots__ = ("_marked_ns", "_matchers", "_settings", "_state", "marks")

    def __init__(self, settings: Settings, state: State, matchers: Mapping[str, Matcher]) -> None:
        self._settings = settings
        self._state = state
        self._matchers = matchers
        self.marks: dict[str, Decimal] = {}
        self._marked_ns: dict[str, int] = {}

    # Mark prices.

    def mark(self, event: MarkPrice) -> Decimal | None:
        """Take a mark price from the feed; None when it is no price."""
        try:
            price = Decimal(event.mark)
        except ArithmeticError:
            return None
        if not price.is_finite() or price <= 0:
            return None
        self.marks[event.symbol] = price
        self._marked_ns[event.symbol] = event.local_ns
        return price

    def sample(self, now: int) -> Iterator[tuple[str, Decimal]]:
        """Take mid prices for the mark prices of traded symbols that the feed leaves without one."""
        for symbol, matcher in self._matchers.items():
            if now - self._marked_ns.get(symbol, -STALE_NS) >= STALE_NS:
                touch = matcher.display.touch()
                if touch is not None:
                    self.marks[symbol] = _mid(touch)
                    yield symbol, self.marks[symbol]

    def knows_all(self) -> bool:
        """Whether every position that is open has a mark price; where one lacks, the mid price stands in."""
        for symbol, contract in self._state.account.contracts.items():
            if symbol not in self.marks and any(holding.qty for holding in contract.holdings.values()):
                touch = self._matchers[symbol].display.touch()
                if touch is None:
                    return False
                self.marks[symbol] = _mid(touch)
        return True

    # Margin.

    def set_up(self, symbol: str, now: int) -> Iterator[MarginSet]:
        """What it takes for a symbol to have the margin mode and leverage that settings ask for.

        No more leverage than the symbol's lowest bracket has.
        """
        contract = self._state.account.contract(symbol)
        isolated = self._settings.margin_mode == "isolated"
        leverage = min(self._settings.leverage, int(contract.brackets.rows[0].max_leverage))
        if (contract.isolated, contract.leverage) != (isolated, leverage):
            yield MarginSet(now, symbol, isolated, leverage)

    def valuation(self) -> Valuation:
        """The account at the present marks and open orders."""
        resting = {
            symbol: Resting(matcher.bids.notional, matcher.asks.notional)
            for symbol, matcher in self._matchers.items()
            if matcher.resting
        }
        return Valuation(self._state.account, self.marks, resting)

    def refusal(self, terms: Terms, reducible: Decimal, filled: Decimal = ZERO) -> Refusal | None:
        """Why the account cannot bear an order; None when it can.

        Args:
            terms: the order.
            reducible: by how much an order of its side can reduce the position.
            filled: what of its quantity is filled already.
        """
        if terms.reduces:
            return None if reducible else rules.NO_POSITION
        last = self._matchers[terms.instrument.symbol].last
        order = Priced(
            terms.instrument.symbol,
            terms.side,
            terms.qty - filled,
            terms.value_price,
            last=Decimal(last) if last else None,
        )
        if not self.marks.keys() >= self._state.account.contracts.keys():
            self.knows_all()
        valuation = self.valuation()
        if not valuation.fits_leverage(order):
            return rules.ABOVE_LEVERAGE
        return None if valuation.affords(order) else rules.NO_MARGIN

    def positions(self) -> tuple[VenuePosition, ...]:
        """Positions that are not flat, as the venue states them."""
        valuation, account = self.valuation(), self._state.account
        return tuple(
            VenuePosition(
                symbol,
                side,
                holding.qty,
                holding.cost / holding.qty,
                mark_price=self.marks.get(symbol),
                liquidation_price=liquidation.price(valuation, symbol, side) or ZERO,
                leverage=contract.leverage,
                isolated_wallet=holding.wallet if contract.isolated else None,
            )
            for symbol, contract in account.contracts.items()
            for side, holding in contract.holdings.items()
            if holding.qty
        )


def _mid(touch: tuple[float, float]) -> Decimal:
    return (Decimal(repr(touch[0])) + Decimal(repr(touch[1]))) / 2
