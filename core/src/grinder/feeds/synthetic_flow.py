"""Order flow of one synthetic symbol: who adds, withdraws and takes what, and when."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import NamedTuple

from grinder.feeds.synthetic_book import SPACING, BookSide
from grinder.instruments import Instrument
from grinder.types import BookDelta, BookSnapshot, Level, MarketEvent, MarkPrice, Side, TopOfBook, Trade

MS = 1_000_000
SECOND = 1000 * MS
_LATENCY_NS = 12 * MS
_DIFF_NS = 100 * MS
_MARK_NS = SECOND
_FUNDING_NS = 8 * 3600 * SECOND
_STEPS_PER_S = 64
_CRASH_DEPTH = 0.05
_RECOVERED = 0.7
_BPS = 1e-4


class Regime(NamedTuple):
    """How a market moves: noise in bps per square root of a second, drift in bps per second, share of takers."""

    noise: float
    drift: float
    takers: float


CALM = Regime(noise=0.08, drift=0.0, takers=0.15)
UP = Regime(noise=0.15, drift=0.25, takers=0.2)
DOWN = Regime(noise=0.15, drift=-0.25, takers=0.2)
VOLATILE = Regime(noise=0.6, drift=0.0, takers=0.3)
_REGIMES = (CALM, CALM, UP, DOWN, VOLATILE)
_REGIME_S = 20.0


class Schedule(NamedTuple):
    """When what happens, in ns since the epoch; a time of 0 means never.

    Attributes:
        start: of the feed.
        end: of the feed; no event is at or after it.
        gap: a book update is lost.
        snapshot: a new snapshot mends the book.
        crash: prices begin to fall.
        bottom: they have fallen.
        recovered: they have risen again.
        silence: nothing arrives from here ...
        sound: ... to here.
    """

    start: int
    end: int
    gap: int
    snapshot: int
    crash: int
    bottom: int
    recovered: int
    silence: int
    sound: int


class Flow:
    """One symbol's market.

    Args:
        instrument: its tick and lot size.
        price: where it starts.
        random: source of all chance.
        schedule: what happens when.
    """

    def __init__(self, instrument: Instrument, price: Decimal, random: Random, schedule: Schedule) -> None:
        self._symbol = instrument.symbol
        self._random = random
        self._schedule = schedule
        self._tick, self._lot = instrument.tick_size, instrument.lot_size
        self._price_format = f".{_decimals(self._tick)}f"
        self._qty_format = f".{_decimals(self._lot)}f"
        self._prices: dict[int, str] = {}
        start = int(price / self._tick)
        self._fair = float(start)
        self._bps = start * _BPS
        # About 1 000 quote units: what a small order or a thin level is worth.
        self._size = max(1, int(1000 / (price * self._lot)))
        self._bids = BookSide(-start, self._size, random)
        self._asks = BookSide(start + 1, self._size, random)
        self._update_id = self._first_id = self._prev_id = random.randrange(10**6, 10**9)
        self._trade_id = random.randrange(10**6, 10**9)
        self._top: tuple[int, int, int, int] = (0, 0, 0, 0)
        self._regime = CALM
        self._regime_ends = schedule.start
