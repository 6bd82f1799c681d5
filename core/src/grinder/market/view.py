"""One symbol's market: what is known of it now."""

from __future__ import annotations

import math
from collections import deque
from typing import Protocol

from grinder.market.book import Book
from grinder.types import Side, TopOfBook

_INF = math.inf
TICKERS = 4096
"""Tickers kept to check the book against; more than ever come between two diffs."""


class Now(Protocol):
    """Where a view reads the time."""

    now_ns: int


class View:
    """A ``MarketView``. One lives per symbol; market state writes it, everybody else reads.

    The best prices come from the top of book when it is newer (by update id) than the book, or while the book
    has a gap; else from the book. They become floats when they are read.

    Attributes:
        symbol: the symbol.
        last: price of the last public print; 0.0 before the first.
        mark: mark price; 0.0 while unknown, NaN if the feed sent no number.
        book: full depth.
        top_of_book: the last best bid and ask that the venue sent.
        delta_id: update id of the last diff.
        tickers: those that a diff to come may share its update id with.
        connected: the feed is up.
        updated_ns: local time of the last event.
        notable_ns: a silence longer than this is looked at.
        silence_ns: longest time between two events.
        noted_ns: longest silence that was looked at since whoever samples last took it.
        healthy_ns: since when neither gap nor silence spoilt the data; 0 while one does.
        changed: the best prices have to be looked up again.
    """

    __slots__ = (
        "_ask",
        "_ask_qty",
        "_bid",
        "_bid_qty",
        "_clock",
        "book",
        "changed",
        "connected",
        "delta_id",
        "healthy_ns",
        "last",
        "mark",
        "notable_ns",
        "noted_ns",
        "silence_ns",
        "symbol",
        "tickers",
        "top_of_book",
        "updated_ns",
    )

    def __init__(self, symbol: str, clock: Now) -> None:
        self._clock = clock
        self._bid = self._bid_qty = self._ask = self._ask_qty = 0.0
        self.symbol = symbol
        self.last = 0.0
        self.mark = 0.0
        self.book = Book()
        self.top_of_book: TopOfBook | None = None
        self.delta_id = 0
        self.tickers: deque[TopOfBook] = deque(maxlen=TICKERS)
        self.connected = True
        self.updated_ns = 0
        self.notable_ns = 0
        self.silence_ns = 0
        self.noted_ns = 0
        self.healthy_ns = 0
        self.changed = False

    @property
    def bid(self) -> float:
        """Best bid; 0.0 if there is none."""
        if self.changed:
            self._look_up()
        return self._bid

    @property
    def bid_qty(self) -> float:
        """Displayed quantity at the best bid."""
        if self.changed:
            self._look_up()
        return self._bid_qty

    @property
    def ask(self) -> float:
        """Best ask; 0.0 if there is none."""
        if self.changed:
            self._look_up()
        return self._ask

    @property
    def ask_qty(self) -> float:
        """Displayed quantity at the best ask."""
        if self.changed:
            self._look_up()
        return self._ask_qty

    @property
    def mid(self) -> float:
        """Half way between best bid and ask; 0.0 if one is missing."""
        if self.changed:
            self._look_up()
        return (self._bid + self._ask) / 2 if self._bid and self._ask else 0.0

    @property
    def age_ns(self) -> int:
        """Time since the last event of the symbol arrived."""
        return self._clock.now_ns - self.updated_ns

    @property
    def gap(self) -> bool:
        """Whether the book's sequence is broken or the feed is down."""
        return self.book.gap or not self.connected

    @property
    def ready(self) -> bool:
        """Whether both best prices are positive, finite numbers that do not cross, and no book is awaited."""
        return not self.price_fault()

    def levels(self, side: Side, count: int) -> tuple[tuple[float, float], ...]:
        """The best ``count`` (price, quantity) levels of the BUY (bids) or SELL (asks) side, best first.

        Where the top of book is newer than the book, it is the first level, and levels of the book that it
        has already removed are left out.
        """
        if self.changed:
            self._look_up()
        top = self._newer_top()
        if top is None:
            return self.book.top(side, count)
        # Removed levels are few: ask for some more than wanted, and for all that are needed if that is too little.
        best, sign = ((self._bid, self._bid_qty), 1.0) if side is Side.BUY else ((self._ask, self._ask_qty), -1.0)
        first = (best,) if best[0] and best[1] else ()
        limit = sign * best[0]
        wanted = count + 8
        while True:
            found = self.book.top(side, wanted)
            behind = first + tuple([level for level in found if sign * level[0] < limit])
            if len(behind) >= count or len(found) < wanted:
                return behind[:count]
            wanted *= 2

    def take_silence(self) -> int:
        """How long the symbol has said nothing, or a longer notable silence that ended since the last call, in ns."""
        noted, self.noted_ns = self.noted_ns, 0
        return max(noted, self.age_ns)

    def price_fault(self) -> str:
        """Why the prices must not be used, as a reason code; empty when they may be.

        A best bid at or above the best ask is ``MARKET_GAP``: no venue leaves them so, and an update was missed.
        """
        if self.changed:
            self._look_up()
        bid, ask = self._bid, self._ask
        if bid == 0.0 or ask == 0.0 or self.book.awaited:
            return "INPUT_MISSING"
        # One sum tells: a NaN or an infinity in any of them makes it NaN or infinite.
        if bid < 0.0 or ask < 0.0 or not -_INF < bid + self._bid_qty + ask + self._ask_qty + self.mark < _INF:
            return "INPUT_NONFINITE"
        return "MARKET_GAP" if bid >= ask else ""

    def _newer_top(self) -> TopOfBook | None:
        """The top of book if it is to be believed rather than the book."""
        top, book = self.top_of_book, self.book
        return top if top is not None and (top.update_id >= book.last_id or book.gap) else None

    def _look_up(self) -> None:
        self.changed = False
        top = self._newer_top()
        if top is None:
            (self._bid, self._bid_qty), (self._ask, self._ask_qty) = (
                next(iter(self.book.top(side, 1)), (0.0, 0.0)) for side in (Side.BUY, Side.SELL)
            )
            return
        try:
            self._bid, self._bid_qty = float(top.bid), float(top.bid_qty)
            self._ask, self._ask_qty = float(top.ask), float(top.ask_qty)
        except ValueError:
            self._bid = self._bid_qty = self._ask = self._ask_qty = math.nan
