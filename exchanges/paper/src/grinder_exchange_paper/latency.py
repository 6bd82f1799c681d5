"""How long messages travel: market data to us, our messages to the venue, its answers back.

The run's clock is ours, so a market event that has travelled for ``feed`` happened at the venue that much earlier.
The venue is simulated in our time: an order meets the market that was there when it arrived, which is the market that
we see ``feed`` later, and the answer to what happened in that market comes ``response`` after it, less ``feed``, but
never before we have seen it happen.
"""

from __future__ import annotations

import math
from random import Random
from typing import Final

from grinder_exchange_paper.settings import Settings

MS: Final = 1_000_000
P99: Final = 2.3263478740408408
"""Standard deviations from the median to the 99th percentile of a normal distribution."""


class Latency:
    """One way: constant, or drawn from a log-normal distribution by the run's seed.

    Args:
        median_ms: the constant, or the median.
        p99_ms: the 99th percentile; None for a constant.
        seed: the same seed draws the same latencies.
    """

    __slots__ = ("_median", "_random", "_sigma", "median_ns")

    def __init__(self, median_ms: float, p99_ms: float | None, seed: str) -> None:
        self.median_ns = round(median_ms * MS)
        self._median = math.log(median_ms * MS) if median_ms else 0.0
        self._sigma = math.log(p99_ms / median_ms) / P99 if p99_ms is not None and median_ms else 0.0
        self._random = Random(seed)  # noqa: S311 - a simulation that has to repeat

    @property
    def drawn(self) -> bool:
        """Whether it differs from message to message."""
        return bool(self._sigma)

    def draw(self) -> int:
        """The time that the next message takes, ns."""
        if not self._sigma:
            return self.median_ns
        return round(math.exp(self._random.normalvariate(self._median, self._sigma)))


class Courier:
    """Says when messages arrive. Those of one direction never overtake each other.

    Args:
        settings: the latencies.
        seed: of the run.
    """

    __slots__ = ("_answer_ns", "_constant", "_entry", "_feed", "_last_in", "_last_out", "_response", "_send_ns")

    def __init__(self, settings: Settings, seed: int) -> None:
        s = settings
        self._feed = Latency(s.feed_latency_ms, s.feed_latency_p99_ms, f"{seed} feed")
        self._entry = Latency(s.entry_latency_ms, s.entry_latency_p99_ms, f"{seed} entry")
        self._response = Latency(s.response_latency_ms, s.response_latency_p99_ms, f"{seed} response")
        self._last_in = self._last_out = 0
        # Constant latencies keep the order by themselves, and most runs have no others.
        self._constant = not (self._feed.drawn or self._entry.drawn or self._response.drawn)
        self._send_ns = self._feed.median_ns + self._entry.median_ns
        self._answer_ns = max(0, self._response.median_ns - self._feed.median_ns)

    def outbound(self, now: int) -> int:
        """When a message that is sent now meets the market that we see."""
        if self._constant:
            return now + self._send_ns
        self._last_out = max(self._last_out, now + self._feed.draw() + self._entry.draw())
        return self._last_out

    def inbound(self, now: int) -> int:
        """When we learn of what happened in the market that we see now."""
        if self._constant:
            return now + self._answer_ns
        self._last_in = max(self._last_in, now + max(0, self._response.draw() - self._feed.draw()))
        return self._last_in

    def venue_time(self, now: int) -> int:
        """The venue's own time of the market that we see now."""
        return now - self._feed.median_ns
