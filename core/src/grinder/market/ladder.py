"""One side of a book: every level by its price string, and all prices in order."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Iterable, Sequence
from itertools import islice

from grinder.types import Level, Side

_INF = math.inf
_SLACK = 1000
"""Removed levels that may stay in any case."""
_FEW = 64
"""Up to this many new prices are inserted one by one; more are appended and sorted together."""


class Ladder:
    """Levels of one side.

    An update is one ``dict.update`` and nothing else. Removed levels stay as zero quantities until a reader meets
    them, or until the dict has doubled. Prices that are new since the last read are the last ones in the dict, so a
    reader knows which ones to sort in without a trace of the updates between.

    Attributes:
        quantities: quantity string by price string; zeros are removals.
        unreadable: levels thrown away because price or quantity is no finite number.
    """

    __slots__ = ("_order", "_purge_at", "_sign", "_sorted", "quantities", "unreadable")

    def __init__(self, side: Side) -> None:
        self._sign = side.sign
        self.unreadable = 0
        self.replace(())

    def replace(self, levels: Sequence[Level]) -> None:
        """Forget everything and start from these levels."""
        self.quantities: dict[str, str] = dict(levels)
        # (rank, price string), worst first, so that changes near the best move little; a rank is a signed price.
        self._order: list[tuple[float, str]] = []
        # How many of the dict's keys, from its first, the order holds.
        self._sorted = 0
        self._purge_at = 2 * len(self.quantities) + _SLACK

    def update(self, levels: Sequence[Level]) -> None:
        """Fold changed levels in; quantities are absolute."""
        self.quantities.update(levels)
        if len(self.quantities) > self._purge_at:
            self._purge()

    def quantity(self, key: str) -> float:
        """Quantity at a price key; 0.0 if there is none."""
        try:
            return float(self.quantities.get(key, 0.0))
        except ValueError:
            return 0.0

    def top(self, count: int) -> tuple[tuple[float, float], ...]:
        """The best ``count`` (price, quantity) levels, best first."""
        quantities, order, sign = self.quantities, self._order, self._sign
        if len(quantities) != self._sorted:
            self._sort_in(islice(reversed(quantities), len(quantities) - self._sorted))
        found: list[tuple[float, float]] = []
        at = len(order)
        while at and len(found) < count:
            at -= 1
            rank, key = order[at]
            qty = self._readable(quantities[key])
            if qty > 0.0:
                found.append((sign * rank, qty))
            else:
                del order[at], quantities[key]
                self._sorted -= 1
        return tuple(found)

    def _sort_in(self, keys: Iterable[str]) -> None:
        """Bring prices that are new in the dict into the order."""
        new = []
        for key in list(keys):
            try:
                rank = self._sign * float(key)
            except ValueError:
                rank = _INF
            if -_INF < rank < _INF:
                new.append((rank, key))
            else:
                del self.quantities[key]
                self.unreadable += 1
        if len(new) > _FEW:
            self._order += new
            self._order.sort()
        else:
            for pair in new:
                insort(self._order, pair)
        self._sorted += len(new)

    def _readable(self, text: str) -> float:
        try:
            qty = float(text)
        except ValueError:
            qty = math.nan
        if 0.0 <= qty < _INF:
            return qty
        self.unreadable += 1
        return 0.0

    def _purge(self) -> None:
        """Drop the levels that have been removed."""
        self.quantities = {p: q for p, q in self.quantities.items() if self._readable(q)}
        self._order = [pair for pair in self._order if pair[1] in self.quantities]
        self._sorted = len(self._order)
        self._purge_at = 2 * len(self.quantities) + _SLACK
