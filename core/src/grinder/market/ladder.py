"""One side of a book: every level by its price string, and all prices in order."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence
from itertools import islice

from grinder.types import Level, Side

_INF = math.inf
_SLACK = 1000
"""Removed levels that may stay in any case."""
_FEW = 16
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

    __slots__ = ("_key_of", "_order", "_purge_at", "_sign", "quantities", "unreadable")

    def __init__(self, side: Side) -> None:
        self._sign = side.sign
        self.unreadable = 0
        self.replace(())

    def replace(self, levels: Sequence[Level]) -> None:
        """Forget everything and start from these levels."""
        self.quantities: dict[str, str] = dict(levels)
        # Ranks are prices with the sign that puts the best last, so that changes near the best move little. They
        # stand for the first keys of the dict, as many as there are ranks.
        self._order: list[float] = []
        self._key_of: dict[float, str] = {}
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
        quantities, order, key_of, sign = self.quantities, self._order, self._key_of, self._sign
        if len(quantities) != len(order):
            self._sort_in()
        found: list[tuple[float, float]] = []
        at = len(order)
        while at and len(found) < count:
            at -= 1
            rank = order[at]
            key = key_of[rank]
            qty = self._readable(quantities[key])
            if qty > 0.0:
                found.append((sign * rank, qty))
            else:
                del order[at], key_of[rank], quantities[key]
        return tuple(found)

    def _sort_in(self) -> None:
        """Bring prices that are new in the dict into the order."""
        order, key_of = self._order, self._key_of
        keys = list(islice(reversed(self.quantities), len(self.quantities) - len(order)))
        try:
            ranks = list(map(float, keys)) if self._sign > 0 else [-float(key) for key in keys]
        except ValueError:
            ranks = [math.nan]
        if not math.isfinite(sum(ranks)):
            self._rebuild()
            return
        key_of.update(zip(ranks, keys, strict=True))
        if len(ranks) > _FEW:
            order += ranks
            order.sort()
        else:
            for rank in ranks:
                insort(order, rank)
        if len(key_of) != len(order):
            self._rebuild()

    def _rebuild(self) -> None:
        """Start the order anew without prices that are no number; of two ways to write one price the later stays."""
        self._key_of.clear()
        for key in list(self.quantities):
            try:
                rank = self._sign * float(key)
            except ValueError:
                rank = math.nan
            if not -_INF < rank < _INF:
                del self.quantities[key]
                self.unreadable += 1
                continue
            other = self._key_of.pop(rank, None)
            if other is not None:
                del self.quantities[other]
            self._key_of[rank] = key
        self._order[:] = sorted(self._key_of)

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
        quantities = self.quantities = {p: q for p, q in self.quantities.items() if self._readable(q)}
        self._key_of = {rank: key for rank, key in self._key_of.items() if key in quantities}
        self._order = sorted(self._key_of)
        self._purge_at = 2 * len(quantities) + _SLACK
