"""Maintenance margin brackets of a run: the settings' own, over those shipped for the venue."""

from __future__ import annotations

from collections.abc import Mapping

from grinder import Instrument
from grinder_exchange_paper import brackets
from grinder_exchange_paper.brackets import BINANCE, BYBIT, DEFAULT, Brackets
from grinder_exchange_paper.dialect import Dialect
from grinder_exchange_paper.settings import Settings


def tables(settings: Settings, dialect: Dialect, instruments: Mapping[str, Instrument]) -> dict[str, Brackets]:
    """Brackets by symbol.

    Bybit adds the estimated fee to close to both margins; what it has published of its brackets is that of BTCUSDT.
    """
    found = dict(BINANCE)
    if dialect.name == "bybit":
        for symbol, instrument in instruments.items():
            shipped = BYBIT if symbol == "BTCUSDT" else DEFAULT
            found[symbol] = Brackets(shipped.rows, instrument.taker_fee)
    for symbol, rows in settings.brackets.items():
        closing_rate = instruments[symbol].taker_fee if dialect.name == "bybit" and symbol in instruments else None
        found[symbol] = brackets.parse(symbol, rows, *(() if closing_rate is None else (closing_rate,)))
    return found
