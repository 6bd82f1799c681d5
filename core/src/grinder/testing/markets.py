"""A symbol's market as gates see it, made by the engine's own market state from a few events."""

from __future__ import annotations

from grinder.market.face import MarketFace
from grinder.market.state import MarketState
from grinder.testing.events import ASKS, BIDS, NOW, SYMBOL, Levels, book_snapshot, feed_status, mark_price, trade
from grinder.testing.numbers import Number, text

STALE_MS = 5000
MS = 1_000_000


class FakeMarket(MarketFace):
    """A ``MarketView`` that also says whether a gate would be called with it."""

    __slots__ = ("_state",)

    def __init__(self, state: MarketState, symbol: str) -> None:
        super().__init__(state.view(symbol))
        self._state = state

    @property
    def fault(self) -> str:
        """Why no gate that asks for ``market`` is called, as a reason code; empty when it is."""
        return self._state.fault(self.symbol)


def market(
    *,
    symbol: str = SYMBOL,
    bids: Levels | None = BIDS,
    asks: Levels | None = ASKS,
    mark: Number | None = None,
    last: Number | None = None,
    age_ms: int = 0,
    gap: bool = False,
    stale_ms: int = STALE_MS,
    now_ns: int = NOW,
) -> FakeMarket:
    """A market at ``now_ns``: by default healthy, three levels of 5 on each side of 60,000.

    Args:
        symbol: the symbol.
        bids: (price, quantity) levels, best first or not; None with ``asks`` None for no data at all.
        asks: the same.
        mark: mark price; None leaves it at 0.0, as a feed without one does.
        last: price of the last print; None leaves it at 0.0.
        age_ms: how long ago the last event arrived.
        gap: the feed is down, so that the book can no longer be trusted.
        stale_ms: older data is stale.
        now_ns: the time.

    Raises:
        ValueError: only one of ``bids`` and ``asks`` is None, or ``age_ms`` is negative.
    """
    if (bids is None) is not (asks is None):
        raise ValueError("bids and asks must both be None for no data at all; for an empty side give ()")
    if age_ms < 0:
        raise ValueError(f"age_ms is {age_ms}, must not be negative")
    state = MarketState(stale_ms * MS)
    then = now_ns - age_ms * MS
    if bids is not None and asks is not None:
        state.apply(book_snapshot(symbol=text("symbol", symbol), bids=bids, asks=asks, now_ns=then))
    if mark is not None:
        state.apply(mark_price(symbol=symbol, mark=mark, now_ns=then))
    if last is not None:
        state.apply(trade(symbol=symbol, price=last, now_ns=then))
    if gap:
        state.apply(feed_status(symbol=symbol, connected=False, now_ns=then))
    state.now_ns = now_ns
    return FakeMarket(state, symbol)
