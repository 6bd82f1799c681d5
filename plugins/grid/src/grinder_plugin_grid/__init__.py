"""Strategy for grinder: two-sided post-only quotes around the touch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grinder import Instrument, Strategy
from grinder_plugin_grid.settings import GridSettings
from grinder_plugin_grid.strategy import Grid

GRINDER_API = ">=1.0,<2"

Settings = GridSettings


def create(settings: GridSettings, symbols: Sequence[str], instruments: Mapping[str, Instrument]) -> Strategy:
    """The strategy for some symbols.

    Args:
        settings: of ``plugins.grid``.
        symbols: the symbols to quote.
        instruments: venue rules; every symbol's tick size is needed.

    Raises:
        ConfigError: neither ``qty`` nor ``notional`` is set, or a symbol has no instrument.
    """
    return Grid(settings, symbols, instruments)
