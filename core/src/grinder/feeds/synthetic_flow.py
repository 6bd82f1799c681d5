"""Order flow of one synthetic symbol: who adds, withdraws and takes what, and when."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache, partial
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
_ACTIONS_PER_S = 60.0
_CRASH_HASTE = 5.0
"""How many times more happens in a second while prices crash."""
_CRASH_FALL = 500.0
_CRASH_RISE = 350.0
"""Fall and recovery of a crash, in bps."""
_THIN = 8
"""How many times further apart bids are while prices crash."""
_SWEEP = 6
"""Most levels that one taker goes through."""
_STALE = 100
"""Quotes that the fair price has passed by more ticks than this are withdrawn."""
_BPS = 1e-4


class Regime(NamedTuple):
    """How a market moves: noise in bps per square root of a second, drift in bps per second, share of takers."""

    noise: float
    drift: float
    takers: float


CALM = Regime(noise=0.08, drift=0.0, takers=0.2)
UP = Regime(noise=0.15, drift=0.25, takers=0.25)
DOWN = Regime(noise=0.15, drift=-0.25, takers=0.25)
VOLATILE = Regime(noise=0.6, drift=0.0, takers=0.35)
_REGIMES = (CALM, CALM, UP, DOWN, VOLATILE)
_REGIME_S = 20.0


class Schedule(NamedTuple):
    """When what happens to a symbol, in ns since the epoch; what is at the end never happens.

    Attributes:
        start: of the feed.
        end: of the feed; every event is before it.
        gap: a book update is lost.
        snapshot: a new snapshot mends the book.
        crash: prices begin to fall.
        bottom: they have fallen.
        recovered: most of the fall is made up for.
        silence: nothing arrives from here on ...
        sound: ... until here.
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


def _written(step: int, decimals: int, count: int) -> str:
    """``count`` steps as a decimal number, the way the venue writes it."""
    if not decimals:
        return str(count * step)
    text = str(count * step).zfill(decimals + 1)
    return f"{text[:-decimals]}.{text[-decimals:]}"


def _writer(step: Decimal) -> partial[str]:
    decimals = max(0, -int(step.as_tuple().exponent))
    return partial(_written, int(step.scaleb(decimals)), decimals)


class Flow:
    """One symbol's market, event by event.

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
        self._price = lru_cache(maxsize=1 << 15)(_writer(instrument.tick_size))
        self._qty = lru_cache(maxsize=1 << 15)(_writer(instrument.lot_size))
        start = int(price / instrument.tick_size)
        self._fair = float(start)
        self._least = start / 10
        self._bps = start * _BPS
        # About 1 000 quote units: what a small order or a thin level is worth.
        self._size = max(1, int(1000 / (price * instrument.lot_size)))
        self._bids = BookSide(-start, self._size, random)
        self._asks = BookSide(start + 1, self._size, random)
        self._bids.changed.clear()
        self._asks.changed.clear()
        self._update_id = self._first_id = random.randrange(10**6, 10**9)
        self._prev_id = self._update_id - 1
        self._trade_id = random.randrange(10**6, 10**9)
        self._top = (0, 0, 0, 0)
        self._regime = CALM
        self._regime_end = schedule.start

    def events(self) -> Iterator[MarketEvent]:
        """The events in local time order; can be had once."""
        schedule, expovariate = self._schedule, self._random.expovariate
        now = schedule.start
        yield self._snapshot(now)
        next_diff, next_mark = now + _DIFF_NS, now
        mended = False
        while True:
            crashing = schedule.crash <= now < schedule.bottom
            pause = expovariate(_ACTIONS_PER_S * _CRASH_HASTE if crashing else _ACTIONS_PER_S)
            now += 1 + int(pause * SECOND)
            if schedule.silence <= now < schedule.sound:
                now = schedule.sound
            if now >= schedule.end:
                return
            if now >= next_mark:
                yield self._mark(now)
                next_mark = now + _MARK_NS
            if now >= next_diff:
                diff = self._diff(now)
                lost = next_diff - _DIFF_NS < schedule.gap <= now
                next_diff = now + _DIFF_NS
                if not lost:
                    yield diff
            self._move(now, pause)
            yield from self._act(now)
            if not mended and now >= schedule.snapshot:
                mended = True
                yield self._snapshot(now)
            if self._top_changed():
                yield self._top_of_book(now)

    def _top_changed(self) -> bool:
        bids, asks, before = self._bids, self._asks, self._top
        self._top = (bids.best, bids.levels[bids.best], asks.best, asks.levels[asks.best])
        return self._top != before

    def _move(self, now: int, pause: float) -> None:
        """Let the fair price move for ``pause`` seconds, as the regime or the crash has it."""
        schedule = self._schedule
        if now >= self._regime_end:
            self._regime = self._random.choice(_REGIMES)
            self._regime_end = now + int(self._random.expovariate(1 / _REGIME_S) * SECOND)
        noise, drift, _ = self._regime
        if schedule.crash <= now < schedule.recovered:
            drift = self._crash(now)
        moved = drift * pause + noise * math.sqrt(pause) * self._random.gauss(0.0, 1.0)
        self._fair = max(self._least, self._fair + self._bps * moved)

    def _crash(self, now: int) -> float:
        """Drift of the crash in bps per second: down through bids that are filled in thinly, then up again."""
        schedule = self._schedule
        if now >= schedule.bottom:
            self._bids.spacing = SPACING
            return _CRASH_RISE * SECOND / (schedule.recovered - schedule.bottom)
        self._bids.spacing = _THIN * SPACING
        return -_CRASH_FALL * SECOND / (schedule.bottom - schedule.crash)

    def _act(self, now: int) -> list[Trade]:
        """One participant acts; the prints that come of it."""
        random, bids, asks, fair = self._random.random, self._bids, self._asks, self._fair
        self._update_id += 1
        if fair >= asks.best + 1:
            return self._prints(now, Side.BUY, self._sweep(asks, bids, int(fair)))
        if fair <= -bids.best - 1:
            return self._prints(now, Side.SELL, self._sweep(bids, asks, -math.ceil(fair)))
        chance = random()
        buying = random() < 0.5
        if chance < self._regime.takers:
            side = asks if buying else bids
            lots = 1 + int(0.02 * self._size / (random() + 0.002))
            return self._prints(now, Side.BUY if buying else Side.SELL, side.take(lots, side.best + 2, 2))
        if asks.best + bids.best > 1 and chance < 0.6:
            self._improve(fair)
        else:
            self._quote(bids if buying else asks, adds=chance < 0.8)
        return []

    def _quote(self, side: BookSide, *, adds: bool) -> None:
        """A maker sets or withdraws a level: half of it at the best price, the rest rarer the further behind."""
        rank = side.best + max(0, int(1 / (self._random.random() + 0.01)) - 1)
        if adds:
            side.put(rank, side.usual_size())
        elif rank in side.levels:
            side.drop(rank)

    def _sweep(self, side: BookSide, other: BookSide, fair: int) -> list[tuple[int, int]]:
        """A taker goes for quotes that the fair price has passed, or makers save them; the other side follows."""
        hits: list[tuple[int, int]] = []
        if fair - side.best > _STALE:
            side.withdraw(fair - _STALE)
        else:
            hits = side.take(10**12, fair, _SWEEP)
        rank = 1 - side.best + int(side.spacing * self._random.random())
        if rank < other.best:
            other.put(rank, other.usual_size())
        return hits

    def _improve(self, fair: float) -> None:
        """Quote inside the spread, on the side that is further from the fair price."""
        bid, ask = -self._bids.best, self._asks.best
        if fair - bid > ask - fair:
            self._bids.put(-min(ask - 1, max(bid + 1, int(fair))), self._bids.usual_size())
        else:
            self._asks.put(max(bid + 1, min(ask - 1, math.ceil(fair))), self._asks.usual_size())

    def _prints(self, now: int, taker: Side, hits: list[tuple[int, int]]) -> list[Trade]:
        exchange = self._exchange_ns(now)
        prints = []
        for rank, lots in hits:
            self._trade_id += 1
            prints.append(
                Trade(self._symbol, exchange, now, self._trade_id, self._price(abs(rank)), self._qty(lots), taker)
            )
        return prints

    def _top_of_book(self, now: int) -> TopOfBook:
        bid, bid_lots, ask, ask_lots = self._top
        price, qty = self._price, self._qty
        return TopOfBook(
            self._symbol,
            self._exchange_ns(now),
            now,
            self._update_id,
            price(-bid),
            qty(bid_lots),
            price(ask),
            qty(ask_lots),
        )

    def _diff(self, now: int) -> BookDelta:
        """Everything that changed since the last one."""
        self._bids.fill()
        self._asks.fill()
        diff = BookDelta(
            self._symbol,
            self._exchange_ns(now),
            now,
            self._first_id,
            self._update_id,
            self._prev_id,
            self._levels(self._bids.changed),
            self._levels(self._asks.changed),
        )
        self._prev_id = self._update_id
        self._first_id = self._update_id + 1
        self._bids.changed.clear()
        self._asks.changed.clear()
        return diff

    def _snapshot(self, now: int) -> BookSnapshot:
        return BookSnapshot(
            self._symbol,
            self._exchange_ns(now),
            now,
            self._update_id,
            self._levels(dict(sorted(self._bids.levels.items()))),
            self._levels(dict(sorted(self._asks.levels.items()))),
        )

    def _mark(self, now: int) -> MarkPrice:
        exchange = self._exchange_ns(now)
        mark = self._price(round(self._fair))
        next_funding = (exchange // _FUNDING_NS + 1) * _FUNDING_NS
        return MarkPrice(self._symbol, exchange, now, mark, mark, "0.00010000", next_funding)

    def _levels(self, lots_by_rank: dict[int, int]) -> list[Level]:
        price, qty = self._price, self._qty
        return [(price(abs(rank)), qty(lots)) for rank, lots in lots_by_rank.items()]

    def _exchange_ns(self, now: int) -> int:
        return (now - _LATENCY_NS) // MS * MS
