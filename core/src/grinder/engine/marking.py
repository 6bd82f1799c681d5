"""Looks at mid prices from time to time, for markouts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from grinder.evidence.markouts import Markouts
from grinder.market.state import MarketState

EVERY_NS: Final = 100_000_000
"""Time between two looks."""


class Marking:
    """Lets the mid prices of a moment close what markouts wait for.

    Attributes:
        due_ns: when to look again.
    """

    __slots__ = ("_market", "_markouts", "_symbols", "due_ns")

    def __init__(self, markouts: Markouts, market: MarketState, symbols: Iterable[str]) -> None:
        self._markouts = markouts
        self._market = market
        self._symbols = tuple(symbols)
        self.due_ns = 0

    def look(self, now_ns: int) -> None:
        """Hand over every symbol's mid price; call it when ``due_ns`` has come."""
        self.due_ns = now_ns + EVERY_NS
        for symbol in self._symbols:
            self._markouts.advance(now_ns, symbol, self._market.view(symbol).mid)

    def flush(self) -> None:
        """Hand what is known to the operating system."""
        self._markouts.flush()

    def repeat(self, now_ns: int) -> None:
        """The strategy of an earlier process was asked at this time: look as then, and follow what was decided."""
        if now_ns >= self.due_ns:
            self.look(now_ns)
        self.recall(now_ns)

    def recall(self, until_ns: int) -> None:
        """Follow decisions of earlier processes that were made up to a time."""
        self._markouts.recall(until_ns)
