"""The order book of the synthetic market: displayed quantity on a grid of ticks, in lots."""

from __future__ import annotations

from random import Random

DEPTH = 1000
"""Ticks behind the best price that are kept filled; what falls further behind is withdrawn."""
SPACING = 3
"""Ordinary distance of filled levels, in ticks, on average."""


class BookSide:
    """One side. Levels are kept by rank: the price in ticks, negated for bids, so that the best is the smallest.

    Attributes:
        levels: lots by rank, never zero.
        best: rank of the best level; there always is one.
        changed: lots by rank of every level touched since it was last cleared; zero is removed.
        spacing: average distance of levels that are filled in behind the others.
    """

    __slots__ = ("_far", "_random", "_size", "best", "changed", "levels", "spacing")

    def __init__(self, best: int, size: int, random: Random) -> None:
        self._random = random
        self._size = size
        self._far = best
        self.levels: dict[int, int] = {}
        self.changed: dict[int, int] = {}
        self.spacing = SPACING
        self.best = best
        self.put(best, self.usual_size())
        self.fill()

    def usual_size(self) -> int:
        """A random quantity for a level, in lots: many small ones, few large ones."""
        return 1 + int(self._size / (self._random.random() + 0.02))

    def put(self, rank: int, lots: int) -> None:
        """Display a quantity at a level."""
        self.levels[rank] = self.changed[rank] = lots
        self.best = min(self.best, rank)

    def drop(self, rank: int) -> None:
        """Withdraw a level."""
        del self.levels[rank]
        self.changed[rank] = 0
        if rank == self.best:
            self._find_best()

    def take(self, lots: int, limit: int, most: int) -> list[tuple[int, int]]:
        """Consume displayed quantity, best levels first.

        Args:
            lots: how much.
            limit: worst rank to take from.
            most: most levels to take from.

        Returns:
            (rank, lots) of each level that was hit.
        """
        hits: list[tuple[int, int]] = []
        while lots > 0 and self.best <= limit and len(hits) < most:
            rank = self.best
            there = self.levels[rank]
            hit = min(lots, there)
            hits.append((rank, hit))
            lots -= hit
            if hit == there:
                self.drop(rank)
            else:
                self.put(rank, there - hit)
        return hits

    def fill(self) -> None:
        """Fill the depth behind the best level and withdraw what has fallen out of it."""
        end = self.best + DEPTH
        while self._far < end:
            self._far += 1 + int(2 * self.spacing * self._random.random())
            self.put(self._far, self.usual_size())
        if self._far > end + DEPTH:
            for rank in [rank for rank in self.levels if rank > end]:
                self.drop(rank)
            self._far = end

    def withdraw(self, end: int) -> None:
        """Withdraw every level better than ``end``."""
        while self.best < end:
            self.drop(self.best)

    def _find_best(self) -> None:
        rank = self.best
        while rank <= self._far:
            if rank in self.levels:
                self.best = rank
                return
            rank += 1
        self.best = self._far = rank
        self.put(rank, self.usual_size())
