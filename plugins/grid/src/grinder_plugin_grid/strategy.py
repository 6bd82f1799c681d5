"""The strategy: at each look cancel what stands wrong and place what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from grinder import (
    AccountView,
    ConfigError,
    Instrument,
    IntentKind,
    MarketView,
    OpenOrder,
    OrderIntent,
    RuntimeView,
    TimeInForce,
)
from grinder_plugin_grid.quotes import Quote, wanted
from grinder_plugin_grid.settings import GridSettings

ORIGIN = "grid"
"""Marks the strategy's orders; it leaves all others alone."""


class Grid:
    """Two-sided quotes around the touch of each symbol.

    While the book is not ready or has a gap the quotes are withdrawn, since their prices can no longer be judged.
    A side on which an order still works although it was cancelled at an earlier look gets no new quotes, so that
    slow cancels never pile orders up.

    Raises:
        ConfigError: the size of a quote is not set, or a symbol has no instrument.
    """

    def __init__(self, settings: GridSettings, symbols: Sequence[str], instruments: Mapping[str, Instrument]) -> None:
        if (settings.qty is None) is (settings.notional is None):
            raise ConfigError("plugins.grid: set exactly one of qty (base units) and notional (quote units)")
        for symbol in symbols:
            if symbol not in instruments:
                raise ConfigError(f"plugins.grid: symbol {symbol!r} has no instrument, so its tick size is unknown")
        self.wake_ns = settings.interval_ms * 1_000_000
        self._settings = settings
        self._ticks: dict[str, Decimal] = {symbol: instruments[symbol].tick_size for symbol in symbols}
        self._cancelled: dict[str, frozenset[str]] = {}
        self._tif = TimeInForce.GTX if settings.post_only else TimeInForce.GTC

    def on_market(
        self,
        market: MarketView,
        account: AccountView,
        runtime: RuntimeView,  # noqa: ARG002 - part of the protocol
        now: int,  # noqa: ARG002 - part of the protocol
    ) -> Sequence[OrderIntent]:
        """Cancels first, then new quotes, bids before asks, each side from the touch outwards."""
        symbol = market.symbol
        tick = self._ticks.get(symbol)
        if tick is None:
            return ()
        own = [order for order in account.open_orders(symbol) if order.origin == ORIGIN]
        quotes: tuple[Quote, ...] = ()
        if market.ready and not market.gap:
            position = account.position(symbol).qty
            quotes = wanted(self._settings, tick, market.bid, market.ask, position)
        kept = self._kept(own, quotes)
        stale = [order for order in own if order.intent_id not in kept]
        before = self._cancelled.get(symbol, frozenset())
        stuck = {order.side for order in stale if order.intent_id in before}
        self._cancelled[symbol] = frozenset(order.intent_id for order in stale)
        standing = set(kept.values())
        new = [quote for quote in quotes if quote.side not in stuck and quote not in standing]
        return [*map(_cancel, stale), *(self._place(symbol, quote) for quote in new)]

    def _kept(self, own: Sequence[OpenOrder], quotes: Sequence[Quote]) -> dict[str, Quote]:
        """Orders that already stand where a quote is wanted, at most one for each."""
        if self._settings.requote == "always":
            return {}
        free = set(quotes)
        kept = {}
        for order in own:
            quote = Quote(order.side, order.price) if order.price is not None else None
            if quote in free:
                free.remove(quote)
                kept[order.intent_id] = quote
        return kept

    def _place(self, symbol: str, quote: Quote) -> OrderIntent:
        return OrderIntent(
            symbol=symbol,
            side=quote.side,
            qty=self._settings.qty,
            notional=self._settings.notional,
            price=quote.price,
            tif=self._tif,
            origin=ORIGIN,
        )


def _cancel(order: OpenOrder) -> OrderIntent:
    return OrderIntent(
        symbol=order.symbol, side=order.side, kind=IntentKind.CANCEL, target=order.intent_id, origin=ORIGIN
    )
