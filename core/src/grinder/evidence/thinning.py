"""Bounded summaries of streams of any length; the same stream always leaves the same."""

from __future__ import annotations

from collections import Counter
from typing import Final, Generic, TypeVar

T = TypeVar("T")

OTHER: Final = "other"
"""Under which name keys are counted that come when there are many already."""

_FIRST_WIDTH_NS: Final = 100_000_000


class Thinned(Generic[T]):
    """Keeps an even sample of a stream, at most ``limit`` items.

    Attributes:
        items: the sample; it begins with the first item.
    """

    def __init__(self, limit: int) -> None:
        self.items: list[T] = []
        self._limit = limit
        self._step = 1
        self._seen = 0
        self._last: tuple[T, ...] = ()

    def add(self, item: T) -> None:
        """Offer the next item."""
        self._last = (item,)
        if self._seen % self._step == 0:
            if len(self.items) == self._limit:
                del self.items[1::2]
                self._step *= 2
            if self._seen % self._step == 0:
                self.items.append(item)
        self._seen += 1

    @property
    def line(self) -> list[T]:
        """The sample with the last item at its end, for lines that have to end where the stream did."""
        return self.items if self.items[-1:] == list(self._last) else [*self.items, *self._last]

    @property
    def thinned(self) -> bool:
        """Whether items were left out."""
        return self._step > 1


class Bins:
    """Counts of keys over time, in at most ``limit`` bins of one width; the width doubles whenever they run out.

    Times before the first one are counted with it.

    Attributes:
        start: of the first bin, ns; 0 before anything was counted.
        width: of each bin, ns.
        bins: what was counted in each, by key.
    """

    def __init__(self, limit: int = 120, keys: int = 12) -> None:
        self.start = 0
        self.width = _FIRST_WIDTH_NS
        self.bins: list[Counter[str]] = []
        self._limit = limit
        self._keys: dict[str, None] = {}
        self._most = keys

    def add(self, ts_ns: int, key: str) -> None:
        """Count one thing that happened."""
        if not self.bins:
            self.start = ts_ns
        place = max(ts_ns - self.start, 0) // self.width
        while place >= self._limit:
            self._halve()
            place //= 2
        while len(self.bins) <= place:
            self.bins.append(Counter())
        self.bins[place][self._known(key)] += 1

    def total(self) -> Counter[str]:
        """Counts over the whole time."""
        return sum(self.bins, Counter[str]())

    def _known(self, key: str) -> str:
        if key not in self._keys:
            if len(self._keys) >= self._most:
                return OTHER
            self._keys[key] = None
        return key

    def _halve(self) -> None:
        pairs = range(0, len(self.bins), 2)
        self.bins = [sum(self.bins[i : i + 2], Counter[str]()) for i in pairs]
        self.width *= 2
