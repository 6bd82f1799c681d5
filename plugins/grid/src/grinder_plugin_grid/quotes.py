"""Where the quotes belong. Pure; prices and quantities are Decimals on the instrument's grid."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from grinder import Side
from grinder_plugin_grid.settings import GridSettings


class Quote(NamedTuple):
    """One wanted order."""

    side: Side
    price: Decimal


def wanted(settings: GridSettings, tick: Decimal, bid: float, ask: float, position: Decimal) -> tuple[Quote, ...]:
    """The quotes around a touch, bids first, each side from the touch outwards.

    A side ends where its quotes, all filled, would carry the position beyond ``max_position`` or ``max_notional``.

    Args:
        settings: the strategy's settings.
        tick: tick size.
        bid: best bid.
        ask: best ask.
        position: signed position in base units.
    """
    return tuple(
        Quote(side, price)
        for side, touch in ((Side.BUY, bid), (Side.SELL, ask))
        for price in _within(settings, _ladder(settings, tick, side, touch), position * side.sign)
    )


def _ladder(settings: GridSettings, tick: Decimal, side: Side, touch: float) -> Iterator[Decimal]:
    first = round(touch / float(tick)) - side.sign * settings.distance_ticks
    for level in range(settings.levels):
        ticks = first - side.sign * level * settings.step_ticks
        if ticks > 0:
            yield ticks * tick


def _within(settings: GridSettings, prices: Iterator[Decimal], position: Decimal) -> Iterator[Decimal]:
    """Prices as long as the position, counted in the quotes' direction, stays within both caps."""
    for price in prices:
        position += settings.qty if settings.qty is not None else (settings.notional or 0) / price
        if settings.max_position is not None and position > settings.max_position:
            return
        if settings.max_notional is not None and position * price > settings.max_notional:
            return
        yield price
