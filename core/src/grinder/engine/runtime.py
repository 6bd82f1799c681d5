"""What the host remembers for gates, so that they stay pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from grinder.market.state import MarketState


class Runtime:
    """Implements ``RuntimeView``. The engine changes it once per order, after the decision."""

    def __init__(self, market: MarketState) -> None:
        self._market = market
        self._signals: dict[str, float] = {}
        self.signals: Mapping[str, float] = MappingProxyType(self._signals)
        self.started_ns = 0

    def healthy_since(self, symbol: str) -> int:
        """Since when the symbol's data has been continuously healthy, ns; 0 while it is not."""
        return self._market.healthy_since(symbol)

    def signal(self, name: str, value: float) -> None:
        """Set a named measurement."""
        self._signals[name] = value
