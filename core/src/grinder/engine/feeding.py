"""How a program feeds its market data to a gatekeeper: as events, or as plain numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from grinder.engine.numbers import Number, moment, number, side_of
from grinder.engine.post import Post
from grinder.errors import CallError
from grinder.types import (
    BookDelta,
    BookSnapshot,
    FeedStatus,
    Level,
    MarketEvent,
    MarkPrice,
    Side,
    TopOfBook,
    Trade,
)

ZERO: Final = Decimal(0)
FIELDS: Final[dict[type, dict[str, type]]] = {
    BookSnapshot: {"local_ns": int, "exchange_ns": int, "last_id": int},
    BookDelta: {"local_ns": int, "exchange_ns": int, "first_id": int, "last_id": int, "prev_id": int},
    TopOfBook: {
        "local_ns": int,
        "exchange_ns": int,
        "update_id": int,
        "bid": str,
        "bid_qty": str,
        "ask": str,
        "ask_qty": str,
    },
    Trade: {"local_ns": int, "exchange_ns": int, "trade_id": int, "price": str, "qty": str, "taker": Side},
    MarkPrice: {
        "local_ns": int,
        "exchange_ns": int,
        "mark": str,
        "index": str,
        "funding_rate": str,
        "next_funding_ns": int,
    },
    FeedStatus: {"local_ns": int, "connected": bool, "detail": str},
}


class Feeding:
    """The market as the gates see it. Times are in ns since 1970, at the latest now; without one, it is now."""

    _post: Post

    def on_market(self, event: MarketEvent) -> None:
        """Fold in one event, as the venue sent it; ``local_ns`` is when it arrived.

        Raises:
            CallError: it is no market event, of an unknown symbol, has a field of a wrong type, or is of the future.
        """
        post = self._post
        with post.door:
            now = post.tick()
            _examine(event)
            post.symbol(event.symbol)
            local = moment("local_ns", event.local_ns, now)
            if local != event.local_ns:
                event = msgspec.structs.replace(event, local_ns=local)
            self._fold(event, now)

    def quote(  # noqa: PLR0917 - a quote is read in this order everywhere
        self, symbol: str, bid: Number, bid_qty: Number, ask: Number, ask_qty: Number, ts_ns: int | None = None
    ) -> None:
        """The best bid and ask, with their quantities in base units.

        Raises:
            CallError: unknown symbol, or something that is no finite number of sensible size.
        """
        post = self._post
        with post.door:
            now = post.tick()
            post.symbol(symbol)
            prices = [_plain(name, value, above_zero=True) for name, value in (("bid", bid), ("ask", ask))]
            sizes = [_plain(name, value) for name, value in (("bid_qty", bid_qty), ("ask_qty", ask_qty))]
            local = moment("ts_ns", ts_ns, now)
            update = self._next_id(symbol)
            self._fold(TopOfBook(symbol, local, local, update, prices[0], sizes[0], prices[1], sizes[1]), now)

    def book(
        self,
        symbol: str,
        bids: Iterable[Sequence[Number]],
        asks: Iterable[Sequence[Number]],
        ts_ns: int | None = None,
    ) -> None:
        """The whole book, or its best levels: (price, quantity) pairs in any order. It replaces the book before.

        Raises:
            CallError: unknown symbol, or something that is no finite number of sensible size.
        """
        post = self._post
        with post.door:
            now = post.tick()
            post.symbol(symbol)
            sides = _levels("bids", bids), _levels("asks", asks)
            local = moment("ts_ns", ts_ns, now)
            self._fold(BookSnapshot(symbol, local, local, self._next_id(symbol), *sides), now)

    def trade(self, symbol: str, price: Number, qty: Number, taker: Side | str, ts_ns: int | None = None) -> None:
        """A public print; ``taker`` is the aggressor's side.

        Raises:
            CallError: unknown symbol or side, or something that is no finite number of sensible size.
        """
        post = self._post
        with post.door:
            now = post.tick()
            post.symbol(symbol)
            figures = _plain("price", price, above_zero=True), _plain("qty", qty, above_zero=True)
            side = side_of(taker)
            local = moment("ts_ns", ts_ns, now)
            self._fold(Trade(symbol, local, local, 0, *figures, side), now)

    def mark(self, symbol: str, price: Number, ts_ns: int | None = None) -> None:
        """The mark price.

        Raises:
            CallError: unknown symbol, or no finite number of sensible size.
        """
        post = self._post
        with post.door:
            now = post.tick()
            post.symbol(symbol)
            figure = _plain("price", price, above_zero=True)
            local = moment("ts_ns", ts_ns, now)
            self._fold(MarkPrice(symbol, local, local, figure, figure, "0", 0), now)

    def _fold(self, event: MarketEvent, now: int) -> None:
        self._post.begin()
        self._post.market.apply(event)
        self._post.rest(now)

    def _next_id(self, symbol: str) -> int:
        """An update id that is newer than everything known, as what a program states is."""
        view = self._post.market.view(symbol)
        top = view.top_of_book
        return max(view.book.last_id, top.update_id if top is not None else 0) + 1


def _examine(event: object) -> None:
    """Whether an event's fields are what they are declared to be; texts may hold anything, and market state judges."""
    fields = FIELDS.get(type(event))
    if fields is None:
        raise CallError(f"event was {type(event).__name__}, must be a market event such as TopOfBook or BookSnapshot")
    given: Any = event
    for name, kind in fields.items():
        if type(getattr(given, name)) is not kind:
            was = type(getattr(given, name)).__name__
            raise CallError(f"{type(event).__name__}.{name} was {was}, must be {kind.__name__}")
    if isinstance(event, BookSnapshot | BookDelta):
        for name, levels in (("bids", event.bids), ("asks", event.asks)):
            if not isinstance(levels, list | tuple) or not all(map(_is_level, levels)):
                raise CallError(f"{type(event).__name__}.{name} must be a list of (price, quantity) pairs of str")


def _is_level(level: object) -> bool:
    return isinstance(level, list | tuple) and len(level) == 2 and type(level[0]) is str and type(level[1]) is str


def _plain(name: str, value: Number, *, above_zero: bool = False) -> str:
    """The number as venues write it."""
    return format(number(name, value, above_zero=above_zero, least=ZERO), "f")


def _levels(name: str, levels: Iterable[Sequence[Number]]) -> list[Level]:
    if isinstance(levels, str | bytes) or not isinstance(levels, Iterable):
        raise CallError(f"{name} was {type(levels).__name__}, must be (price, quantity) pairs")
    found = []
    for index, level in enumerate(levels):
        if not isinstance(level, list | tuple) or len(level) < 2:  # ccxt may add a third figure
            raise CallError(f"{name}[{index}] was {level!r:.60}, must be a (price, quantity) pair")
        price, qty = level[0], level[1]
        found.append((_plain(f"{name}[{index}] price", price, above_zero=True), _plain(f"{name}[{index}] qty", qty)))
    return found
