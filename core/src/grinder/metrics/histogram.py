"""Durations, counted so cheaply that the order path can afford it."""

from __future__ import annotations

from math import ceil
from typing import Final

_FIRST_BUCKET: Final = 10
_LAST_BUCKET: Final = 34


class Pow2Histogram:
    """Durations in buckets that double, counted in O(1) without allocation.

    ``buckets[k]`` counts durations below ``2**k`` ns and at or above half of that. Where even a call is too much,
    do ``buckets[ns.bit_length()] += 1`` and ``total_ns += ns`` in place; ``max_ns`` is then not kept.

    Attributes:
        buckets: counts by bit length.
        total_ns: sum of all durations.
        max_ns: longest duration given to :meth:`observe`.
    """

    __slots__ = ("buckets", "max_ns", "total_ns")

    def __init__(self) -> None:
        self.buckets = [0] * 65
        self.total_ns = 0
        self.max_ns = 0

    def observe(self, ns: int) -> None:
        """Count one duration of ``ns`` (zero or more) nanoseconds."""
        self.buckets[ns.bit_length()] += 1
        self.total_ns += ns
        self.max_ns = max(self.max_ns, ns)

    @property
    def count(self) -> int:
        """How many durations were counted."""
        return sum(self.buckets)

    def quantile(self, p: float) -> float:
        """The ``p``-quantile (0 to 1) in ns, at most a factor of two off; 0.0 when nothing was counted."""
        rank = max(ceil(p * self.count), 1)
        seen = 0
        for bits, number in enumerate(self.buckets):
            if seen + number >= rank:
                low = (1 << bits) >> 1
                estimate = low + (rank - seen - 0.5) / number * low
                return min(estimate, self.max_ns) if self.max_ns >= low else estimate
            seen += number
        return 0.0

    def counted(self) -> list[tuple[int, int]]:
        """Upper bound in ns and count of each bucket, from the first that holds something to the last."""
        held = [bits for bits, number in enumerate(self.buckets) if number]
        return [(1 << bits, self.buckets[bits]) for bits in range(held[0], held[-1] + 1)] if held else []

    def cumulative(self) -> list[tuple[str, float]]:
        """Upper bound in seconds and cumulative count, as Prometheus wants them: 1 µs to 17 s, and infinity."""
        rows = []
        seen = sum(self.buckets[:_FIRST_BUCKET])
        for bits in range(_FIRST_BUCKET, _LAST_BUCKET + 1):
            seen += self.buckets[bits]
            rows.append((repr((1 << bits) / 1e9), float(seen)))
        return [*rows, ("+Inf", float(self.count))]
