"""What is displayed in one symbol, and how much of it own orders have used."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from grinder import BookDelta, BookReader, BookSnapshot, MarketReader, Side, TopOfBook
from grinder_exchange_paper.orders import UNSEEN

FIRST_LOOK: Final = 10
"""Levels of the book read at first; ten times as many each further time."""
LEVELS_REMEMBERED: Final = 512
"""Levels of which own use is remembered; the oldest is forgotten first."""


class Used:
    """Lots that own orders took from the levels of one side, until the level changes.

    A recording does not know that we took something: without this, the same displayed quantity would fill us again
    and again.
    """

    __slots__ = ("_levels",)

    def __init__(self) -> None:
        self._levels: dict[float, tuple[int, int]] = {}

    def left(self, price: float, displayed: int) -> int:
        """Lots of a displayed level that may still be taken."""
        level = self._levels.get(price)
        if level is None or level[0] != displayed:
            return displayed
        return displayed - level[1]

    def use(self, price: float, displayed: int, lots: int) -> None:
        """Note that an own order took lots of a displayed level."""
        used = displayed - self.left(price, displayed) + lots
        self._levels.pop(price, None)
        self._levels[price] = (displayed, used)
        if len(self._levels) > LEVELS_REMEMBERED:
            del self._levels[next(iter(self._levels))]


class Display:
    """The displayed market of one symbol: the top of book where it is newer than the book, else the book.

    Attributes:
        top: the last best bid and ask that the venue sent.
        change: the last change of the book.
    """

    __slots__ = ("_market", "_scale", "_symbol", "_touch", "_touch_of", "change", "top")

    def __init__(self, symbol: str, decimals: int, market: MarketReader) -> None:
        self._symbol = symbol
        self._market = market
        self._scale = 10.0**decimals
        self._touch: tuple[float, float] | None = None
        self._touch_of: TopOfBook | BookDelta | BookSnapshot | None = None
        self.top: TopOfBook | None = None
        self.change: BookDelta | BookSnapshot | None = None

    def newest(self) -> TopOfBook | BookDelta | BookSnapshot | None:
        """What the display was last known from."""
        top, change = self.top, self.change
        if top is None or (change is not None and change.last_id > top.update_id):
            return change
        return top

    def touch(self) -> tuple[float, float] | None:
        """Best bid and ask; None where one is not known."""
        newest = self.newest()
        if newest is None or newest is not self._touch_of:
            self._touch = self._read_touch(newest)
            self._touch_of = newest
        return self._touch

    def _read_touch(self, newest: TopOfBook | BookDelta | BookSnapshot | None) -> tuple[float, float] | None:
        if isinstance(newest, TopOfBook):
            bid, ask = float(newest.bid), float(newest.ask)
            return (bid, ask) if bid > 0.0 and ask > 0.0 else None
        book = self._book()
        if book is None:
            return None
        bids, asks = book.top(Side.BUY, 1), book.top(Side.SELL, 1)
        return (bids[0][0], asks[0][0]) if bids and asks else None

    def _book(self) -> BookReader | None:
        try:
            return self._market.book(self._symbol)
        except KeyError:
            return None

    def queue(self, side: Side, price: Decimal) -> int:
        """Lots displayed at a price; ``UNSEEN`` where they are not known."""
        newest = self.newest()
        if isinstance(newest, TopOfBook):
            limit = float(price)
            best, qty = (newest.bid, newest.bid_qty) if side is Side.BUY else (newest.ask, newest.ask_qty)
            if limit == float(best):
                return int(float(qty) * self._scale + 0.5)
            if (limit > float(best)) is (side is Side.BUY):
                return 0
        book = self._book()
        if book is None or not book.top(side, 1):
            return UNSEEN
        return int(book.qty_at(side, book.key(price)) * self._scale + 0.5)

    def levels(self, side: Side) -> Iterator[tuple[float, int]]:
        """Price and displayed lots of every level of a side, best first."""
        edge = 0.0
        newest = self.newest()
        if isinstance(newest, TopOfBook):
            best, qty = (newest.bid, newest.bid_qty) if side is Side.BUY else (newest.ask, newest.ask_qty)
            edge = float(best)
            yield edge, int(float(qty) * self._scale + 0.5)
        book = self._book()
        if book is None:
            return
        done, count = 0, FIRST_LOOK
        while True:
            levels = book.top(side, count)
            for price, lots in levels[done:]:
                if not edge or (price < edge if side is Side.BUY else price > edge):
                    yield price, int(lots * self._scale + 0.5)
            if len(levels) < count:
                return
            done, count = count, count * 10
