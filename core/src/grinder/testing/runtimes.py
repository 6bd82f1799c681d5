"""What the host remembers for gates, as a test wants it remembered."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from grinder.testing.events import NOW

HOUR_NS = 3_600_000_000_000


class FakeRuntime:
    """A ``RuntimeView`` that cannot be changed."""

    __slots__ = ("_healthy", "_signals", "_started")

    def __init__(self, healthy: int | Mapping[str, int], started_ns: int, signals: Mapping[str, float]) -> None:
        self._healthy = healthy if isinstance(healthy, int) else dict(healthy)
        self._started = started_ns
        self._signals = MappingProxyType(dict(signals))

    @property
    def started_ns(self) -> int:
        """When the engine began to trade."""
        return self._started

    @property
    def signals(self) -> Mapping[str, float]:
        """Named measurements."""
        return self._signals

    def healthy_since(self, symbol: str) -> int:
        """Since when the symbol's data is healthy, ns; 0 while it is not."""
        return self._healthy if isinstance(self._healthy, int) else self._healthy.get(symbol, 0)


def runtime(
    *,
    healthy_since: int | Mapping[str, int] = NOW - HOUR_NS,
    started_ns: int = NOW - HOUR_NS,
    signals: Mapping[str, float] | None = None,
) -> FakeRuntime:
    """By default started an hour ago, every symbol healthy since, no signals.

    Args:
        healthy_since: ns, for all symbols or by symbol (0, unhealthy, for those left out).
        started_ns: when the engine began to trade.
        signals: named measurements.

    Raises:
        ValueError: a time is negative.
    """
    times = [started_ns, *([healthy_since] if isinstance(healthy_since, int) else healthy_since.values())]
    if min(times) < 0:
        raise ValueError(f"healthy_since and started_ns are times in ns since 1970; {min(times)} is negative")
    return FakeRuntime(healthy_since, started_ns, signals or {})
