"""What is displayed in one symbol, and how much of it own orders have used."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from math import inf
from typing import Final

from grinder import BookDelta, BookReader, BookSnapshot, MarketReader, Side, TopOfBook, Trade
from grinder_exchange_paper.orders import UNSEEN

FIRST_LOOK: Final = 10
"""Levels of the book read at first; ten times as many each further time."""
LEVELS_REMEMBERED: Final = 512
"""Levels of which own use is remembered; the oldest is forgotten first."""


class Used:
    """What own orders left of the levels of one side.

    A recording does not know that we took something: without this, the same displayed quantity would fill us again
    and again. What a level grows by is new. What it shrinks by counts first as what we took: what we left stays, but is
    no more than is displayed.

    Attributes:
        edge: the best price of which something was taken: the side's best must come to it before anything changes.
    """

    __slots__ = ("_buy", "_levels", "edge")

    def __init__(self, side: Side) -> None:
        self._buy = side is Side.BUY
        self._levels: dict[float, tuple[int, int]] = {}
        self._set_edge()

    def __bool__(self) -> bool:
        """Whether anything was taken of a level that is still displayed."""
        return bool(self._levels)

    def __contains__(self, price: float) -> bool:
        """Whether something was taken of the level at a price."""
        return price in self._levels

    def left(self, price: float, displayed: int) -> int:
        """Lots of a displayed level that may still be taken."""
        level = self._levels.get(price)
        if level is None:
            return displayed
        before, left = level
        return min(left, displayed) if displayed <= before else left + displayed - before

    def use(self, price: float, displayed: int, lots: int) -> None:
        """Note that an own order took lots of a displayed level."""
        left = self.left(price, displayed) - lots
        self._levels.pop(price, None)
        self._levels[price] = (displayed, left)
        if len(self._levels) > LEVELS_REMEMBERED:
            del self._levels[next(iter(self._levels))]
        self._set_edge()

    def shown(self, price: float, displayed: int) -> None:
        """A level is displayed at so many lots now; one that is gone and comes back is another one."""
        if price in self._levels:
            if displayed:
                self._levels[price] = (displayed, self.left(price, displayed))
            else:
                del self._levels[price]
                self._set_edge()

    def printed(self, price: float, lots: int) -> None:
        """A print took lots of a level, before any display of that, and all before it."""
        self.best(price)
        if price in self._levels:
            before, left = self._levels[price]
            self._levels[price] = (max(before - lots, 0), max(left - lots, 0))

    def best(self, price: float) -> None:
        """The best level of the side is at a price: those before it are gone."""
        for gone in [each for each in self._levels if (each > price if self._buy else each < price)]:
            del self._levels[gone]
        self._set_edge()

    def _set_edge(self) -> None:
        if self._buy:
            self.edge = max(self._levels, default=-inf)
        else:
            self.edge = min(self._levels, default=inf)


class Eaten:
    """Prints that the display does not contain yet: what they took is gone for whoever comes after them."""

    __slots__ = ("_prints",)

    def __init__(self) -> None:
        self._prints: list[Trade] = []

    def add(self, event: Trade, shown_ns: int) -> None:
        """A print on this side of the book, which was displayed at that exchange time before."""
        prints = self._prints
        if prints and prints[-1].exchange_ns <= shown_ns:
            prints.clear()
        prints.append(event)
        if len(prints) > LEVELS_REMEMBERED:
            del prints[0]

    def since(self, shown_ns: int) -> list[tuple[float, float]]:
        """Price and quantity of those that a display of that exchange time lacks; one without a time lacks none."""
        return [(float(each.price), float(each.qty)) for each in self._prints if each.exchange_ns > shown_ns > 0]


def left_by(prints: list[tuple[float, int]], price: float, displayed: int, *, bids: bool) -> int:
    """Lots of a displayed level that prints have left: none where they went through it."""
    for printed, lots in prints:
        if printed == price:
            displayed -= lots
        elif printed < price if bids else printed > price:
            return 0
    return max(displayed, 0)


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
