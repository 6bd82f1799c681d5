"""Market events with sensible values. Prices and quantities may be numbers; an event keeps them as text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from grinder.testing.numbers import Number
from grinder.types import BookDelta, BookSnapshot, FeedStatus, Level, MarkPrice, Side, TopOfBook, Trade

NOW: Final = 1_700_000_000_000_000_000
"""The time of every builder unless another is given: 2023-11-14T22:13:20Z, in ns."""

SYMBOL: Final = "BTCUSDT"
HOUR_NS: Final = 3_600_000_000_000

Levels: TypeAlias = Iterable[tuple[Number, Number]]

BIDS: Final[Levels] = (("60000.0", "5"), ("59999.9", "5"), ("59999.8", "5"))
ASKS: Final[Levels] = (("60000.1", "5"), ("60000.2", "5"), ("60000.3", "5"))


def levels(given: Levels) -> list[Level]:
    """Levels as a venue writes them."""
    return [(str(price), str(qty)) for price, qty in given]


def book_snapshot(
    *, symbol: str = SYMBOL, bids: Levels = BIDS, asks: Levels = ASKS, last_id: int = 1, now_ns: int = NOW
) -> BookSnapshot:
    """A whole book: by default three levels of 5 on each side of 60,000."""
    return BookSnapshot(symbol, now_ns, now_ns, last_id, levels(bids), levels(asks))


def book_delta(
    *,
    symbol: str = SYMBOL,
    bids: Levels = (),
    asks: Levels = (),
    first_id: int = 2,
    last_id: int = 2,
    prev_id: int = 1,
    now_ns: int = NOW,
) -> BookDelta:
    """Changed levels; by default the diff that follows ``book_snapshot()`` and changes nothing."""
    return BookDelta(symbol, now_ns, now_ns, first_id, last_id, prev_id, levels(bids), levels(asks))


def top_of_book(
    *,
    symbol: str = SYMBOL,
    bid: Number = "60000.0",
    bid_qty: Number = "5",
    ask: Number = "60000.1",
    ask_qty: Number = "5",
    update_id: int = 1,
    now_ns: int = NOW,
) -> TopOfBook:
    """Best bid and ask."""
    return TopOfBook(symbol, now_ns, now_ns, update_id, str(bid), str(bid_qty), str(ask), str(ask_qty))


def trade(
    *,
    symbol: str = SYMBOL,
    price: Number = "60000.0",
    qty: Number = "0.1",
    taker: Side = Side.BUY,
    trade_id: int = 1,
    now_ns: int = NOW,
) -> Trade:
    """A public print."""
    return Trade(symbol, now_ns, now_ns, trade_id, str(price), str(qty), taker)


def mark_price(
    *,
    symbol: str = SYMBOL,
    mark: Number = "60000.05",
    index: Number = "60000",
    funding_rate: Number = "0.0001",
    now_ns: int = NOW,
) -> MarkPrice:
    """Mark price, index price and funding rate (a fraction); the next funding is in an hour."""
    return MarkPrice(symbol, now_ns, now_ns, str(mark), str(index), str(funding_rate), now_ns + HOUR_NS)


def feed_status(*, symbol: str = SYMBOL, connected: bool = True, detail: str = "", now_ns: int = NOW) -> FeedStatus:
    """The feed went up or down."""
    return FeedStatus(symbol, now_ns, connected, detail)
