"""Mean and standard error of observations that overlap in time.

What the market did in the 30 s after one order is nearly what it did after the next, so the usual standard error of
such observations is far too small. Here they are gathered into blocks of time longer than the horizon, all symbols of
an instant together, and the blocks take the place of independent observations (a cluster-robust standard error).
"""

from __future__ import annotations

from math import sqrt
from typing import Final

import msgspec

MIN_BLOCKS: Final = 5
"""With fewer blocks than these no standard error is told: it would say nothing."""


class Estimate(msgspec.Struct, frozen=True):
    """Mean in bps of ``n`` observations; ``se`` is None where there are too few ``blocks`` for one."""

    n: int = 0
    mean: float | None = None
    se: float | None = None
    blocks: int = 0
    block_s: float = 0.0


class BlockMean:
    """Adds up observations by block of time.

    Args:
        block_ns: length of a block.
    """

    __slots__ = ("_block_ns", "_sums")

    def __init__(self, block_ns: int) -> None:
        self._block_ns = block_ns
        self._sums: dict[int, list[float]] = {}

    def add(self, at_ns: int, value: float) -> None:
        """One observation that begins at ``at_ns``."""
        block = self._sums.setdefault(at_ns // self._block_ns, [0.0, 0.0])
        block[0] += 1.0
        block[1] += value

    def estimate(self) -> Estimate:
        """What they amount to."""
        count, block_s = len(self._sums), self._block_ns / 1e9
        n = sum(block[0] for block in self._sums.values())
        if not n:
            return Estimate(block_s=block_s)
        mean = sum(block[1] for block in self._sums.values()) / n
        error = None
        if count >= MIN_BLOCKS:
            spread = sum((total - mean * number) ** 2 for number, total in self._sums.values())
            error = sqrt(spread * count / (count - 1)) / n
        return Estimate(int(n), mean, error, count, block_s)
