"""The only place that reads the time. Everything else is given a clock."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time in ns; in replay, the time of the event being processed."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        ...


class LiveClock:
    """The machine's clock."""

    __slots__ = ()

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        return time.time_ns()  # noqa: TID251 - this is the clock that the ban points to


class ManualClock:
    """A clock that stands until it is set. Replay and tests use it."""

    __slots__ = ("_now",)

    def __init__(self, now_ns: int = 0) -> None:
        self._now = now_ns

    def now_ns(self) -> int:
        """The time last set."""
        return self._now

    def set(self, now_ns: int) -> None:
        """Move to a time; an earlier one is ignored without a word, since event time never runs back."""
        if now_ns > self._now:  # noqa: PLR1730 - once per market event: max() would cost a call
            self._now = now_ns

    def advance(self, ns: int) -> None:
        """Move forward by ``ns``."""
        self._now += max(ns, 0)


measure_ns = time.perf_counter_ns
"""Monotonic counter for measured durations. They go to metrics only, never into records."""
