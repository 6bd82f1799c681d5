"""Times at which things happened, as stretches: what follows closely on one another is one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

KEYS: Final = 6
"""Keys that are told apart in one stretch; others count together."""

_FIRST_GAP_NS: Final = 1_000_000
_OTHER: Final = "other"


class Span:
    """A stretch of time in which things happened.

    Attributes:
        start: of the first of them, ns.
        end: of the last.
        text: of one of them; the only one where ``count`` is 1.
        by_key: how many there were, by key.
    """

    __slots__ = ("by_key", "end", "start", "text")

    def __init__(self, ts_ns: int, key: str, text: str) -> None:
        self.start = self.end = ts_ns
        self.text = text
        self.by_key = Counter({key: 1})

    @property
    def count(self) -> int:
        """How many things happened."""
        return self.by_key.total()

    def took(self, other: Span) -> Span:
        """A stretch that holds both."""
        span = Span(min(self.start, other.start), "", self.text)
        span.end = max(self.end, other.end)
        span.by_key = Counter(self.by_key)
        span.add(other.by_key)
        return span

    def add(self, counts: Counter[str]) -> None:
        """Count more things."""
        for key, count in counts.items():
            self.by_key[key if key in self.by_key or len(self.by_key) < KEYS else _OTHER] += count


class Spans:
    """Stretches of things that come in order of time, at most ``limit`` of them.

    Whenever there are more, the gap across which things belong together doubles. It stays below the whole time
    divided by ``limit`` / 2, so ``merged`` at that gap is what it would be had every time been kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._gap = _FIRST_GAP_NS
        self._spans: list[Span] = []

    def add(self, ts_ns: int, key: str, text: str) -> None:
        """Something happened."""
        last = self._spans[-1] if self._spans else None
        if last is not None and ts_ns - last.end <= self._gap:
            last.start, last.end = min(last.start, ts_ns), max(last.end, ts_ns)
            last.add(Counter({key: 1}))
            return
        self._spans.append(Span(ts_ns, key, text))
        while len(self._spans) > self._limit:
            self._gap *= 2
            self._spans = list(self.merged(self._gap))

    def merged(self, gap_ns: int) -> Iterator[Span]:
        """The stretches, where things that are at most so far apart belong together."""
        open_span: Span | None = None
        for span in self._spans:
            if open_span is not None and span.start - open_span.end <= gap_ns:
                open_span = open_span.took(span)
            else:
                if open_span is not None:
                    yield open_span
                open_span = span
        if open_span is not None:
            yield open_span
