"""Columns of a Parquet recording: a row for every market event, with the venue's own strings beside the numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from grinder.errors import ConfigError
from grinder.feeds.damage import FrameError
from grinder.types import BookDelta, BookSnapshot, FeedStatus, Level, MarketEvent, MarkPrice, Side, TopOfBook, Trade

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION: Final = 1
NAMED: Final = (
    ("ts_ms", "int64"),
    ("symbol", "string"),
    ("bid_px", "float64"),
    ("bid_sz", "float64"),
    ("ask_px", "float64"),
    ("ask_sz", "float64"),
    ("last_px", "float64"),
    ("last_sz", "float64"),
    ("side", "string"),
    ("event", "string"),
    ("src", "string"),
    ("seq", "int64"),
)
"""What readers of other makers expect, in this order. Prices and sizes are numbers here, for analysis."""
EXACT: Final = (
    ("local_ns", "int64"),
    ("exchange_ns", "int64"),
    ("first_id", "int64"),
    ("last_id", "int64"),
    ("prev_id", "int64"),
    ("trade_id", "string"),
    ("bid", "string"),
    ("bid_qty", "string"),
    ("ask", "string"),
    ("ask_qty", "string"),
    ("price", "string"),
    ("qty", "string"),
    ("bids", "string"),
    ("asks", "string"),
    ("mark", "string"),
    ("index", "string"),
    ("funding_rate", "string"),
    ("next_funding_ns", "int64"),
    ("connected", "bool"),
    ("detail", "string"),
)
"""What replay reads: everything that the event held, as it was."""
FIELDS: Final = NAMED + EXACT
FIELD_ORDER: Final = tuple(name for name, _ in EXACT)
FIELD_ORDER_HASH: Final = sha256(",".join(FIELD_ORDER).encode()).hexdigest()
PLAIN_TEXT: Final = ("bids", "asks", "trade_id", "detail")
"""Columns whose values hardly ever repeat."""
STEPPED: Final = ("ts_ms", "seq", "local_ns", "exchange_ns", "first_id", "last_id", "prev_id")
"""Columns of numbers that grow little by little."""

Row: TypeAlias = tuple[Any, ...]
_Lists: TypeAlias = Mapping[str, list[Any]]
_encode = msgspec.json.encode
_decode_levels = msgspec.json.Decoder(list[tuple[str, str]]).decode
_check_levels = msgspec.json.Decoder(list[tuple[float, float]], strict=False).decode
_DIGITS: Final = b"0123456789"
_N2, _N3, _N4, _N6, _N7, _N12 = ((None,) * count for count in (2, 3, 4, 6, 7, 12))


def arrow() -> Any:
    """The pyarrow module.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        message = "Parquet recordings need pyarrow; install it with: pip install 'grinder-core[parquet]'"
        raise ConfigError(message) from error
    return pa


def schema() -> pa.Schema:
    """The columns, as pyarrow has them."""
    make = arrow()
    kinds = {"int64": make.int64(), "float64": make.float64(), "string": make.string(), "bool": make.bool_()}
    return make.schema([make.field(name, kinds[kind]) for name, kind in FIELDS])


def row_of(event: MarketEvent, src: str, seq: int) -> Row:
    """The values of an event, in the order of ``FIELDS``."""
    return _ROWS[type(event)](event, src, seq)


def _top_row(e: TopOfBook, src: str, seq: int) -> Row:
    numbers = (float(e.bid), float(e.bid_qty), float(e.ask), float(e.ask_qty))
    texts = (e.bid, e.bid_qty, e.ask, e.ask_qty)
    head = (e.local_ns // 1_000_000, e.symbol, *numbers, None, None, None, "top", src, seq)
    return (*head, e.local_ns, e.exchange_ns, None, e.update_id, None, None, *texts, *_N4, *_N6)


def _trade_row(e: Trade, src: str, seq: int) -> Row:
    head = (e.local_ns // 1_000_000, e.symbol, *_N4, float(e.price), float(e.qty), e.taker.value, "trade", src, seq)
    return (*head, e.local_ns, e.exchange_ns, *_N3, str(e.trade_id), *_N4, e.price, e.qty, *_N2, *_N6)


def _delta_row(e: BookDelta, src: str, seq: int) -> Row:
    head = (e.local_ns // 1_000_000, e.symbol, *_N7, "delta", src, seq)
    ids = (e.first_id, e.last_id, e.prev_id)
    return (*head, e.local_ns, e.exchange_ns, *ids, *_N7, _encode(e.bids), _encode(e.asks), *_N6)


def _snapshot_row(e: BookSnapshot, src: str, seq: int) -> Row:
    head = (e.local_ns // 1_000_000, e.symbol, *_N7, "snapshot", src, seq)
    levels = (_encode(e.bids), _encode(e.asks))
    return (*head, e.local_ns, e.exchange_ns, None, e.last_id, None, *_N7, *levels, *_N6)


def _mark_row(e: MarkPrice, src: str, seq: int) -> Row:
    head = (e.local_ns // 1_000_000, e.symbol, *_N7, "mark", src, seq)
    values = (e.mark, e.index, e.funding_rate, e.next_funding_ns)
    return (*head, e.local_ns, e.exchange_ns, *_N12, *values, None, None)


def _status_row(e: FeedStatus, src: str, seq: int) -> Row:
    head = (e.local_ns // 1_000_000, e.symbol, *_N7, "status", src, seq)
    return (*head, e.local_ns, None, *_N12, *_N4, e.connected, e.detail)


_ROWS: Final[Mapping[type, Callable[..., Row]]] = {
    TopOfBook: _top_row,
    Trade: _trade_row,
    BookDelta: _delta_row,
    BookSnapshot: _snapshot_row,
    MarkPrice: _mark_row,
    FeedStatus: _status_row,
}


# Back to events. What a row must have is checked; that its numbers are numbers is, too.


def events_of(batch: pa.RecordBatch, reject: Callable[[int, FrameError], None]) -> Iterator[tuple[int, MarketEvent]]:
    """Number (from 0) and event of every row; ``reject`` is told of rows that cannot be used."""
    lists = _lists(batch)
    makers = {kind: maker(lists) for kind, maker in _MAKERS.items()}
    for at, kind in enumerate(lists["event"]):
        try:
            event = makers[kind](at)
        except FrameError as error:
            reject(at, error)
        except (LookupError, ValueError, TypeError, RecursionError) as error:
            reject(at, FrameError("invalid", f"the event {str(kind)[:40]!r} is spoilt: {error}"))
        else:
            yield at, event


def _lists(batch: pa.RecordBatch) -> _Lists:
    binary = arrow().binary()
    lists: dict[str, list[Any]] = {}
    for name in ("symbol", "event", "side", *FIELD_ORDER):
        column = batch.column(name)
        lists[name] = (column.cast(binary) if name in ("bids", "asks") else column).to_pylist()
    return lists


def _whole(*values: int | None) -> None:
    """Refuse numbers that are missing, and negative ones where only -1 has a meaning."""
    for value in values:
        if value is None or value < -1:
            raise FrameError("invalid", "an id or time is missing or negative")


def _amounts(*texts: str | None) -> None:
    """Refuse texts that are no number from 0 to 1e18."""
    for text in texts:
        if text is None or not 0 <= float(text) <= 1e18:
            raise FrameError("number", f"a price or quantity is {text!r}, not a number from 0 to 1e18")


def _levels(text: bytes | None) -> Sequence[Level]:
    if text is None:
        raise FrameError("invalid", "the levels are missing")
    levels = _decode_levels(text)
    # Each level leaves this much when its digits are gone; others are looked at number by number.
    if text.translate(None, _DIGITS).count(b'[".","."]') != len(levels) or b'"."' in text:
        for price, qty in _check_levels(text):
            if not (0 <= price <= 1e18 and 0 <= qty <= 1e18):
                raise FrameError("number", "a price or quantity of a level is no number from 0 to 1e18")
    return levels


def _tops(c: _Lists) -> Callable[[int], TopOfBook]:
    symbols, locals_, exchanges, ids = c["symbol"], c["local_ns"], c["exchange_ns"], c["last_id"]
    bids, bid_qtys, asks, ask_qtys = c["bid"], c["bid_qty"], c["ask"], c["ask_qty"]

    def make(at: int) -> TopOfBook:
        local, exchange, update_id = locals_[at], exchanges[at], ids[at]
        bid, bid_qty, ask, ask_qty = bids[at], bid_qtys[at], asks[at], ask_qtys[at]
        _whole(local, exchange, update_id)
        _amounts(bid, bid_qty, ask, ask_qty)
        return TopOfBook(symbols[at], exchange, local, update_id, bid, bid_qty, ask, ask_qty)

    return make


def _trades(c: _Lists) -> Callable[[int], Trade]:
    symbols, locals_, exchanges, ids = c["symbol"], c["local_ns"], c["exchange_ns"], c["trade_id"]
    prices, qtys, sides = c["price"], c["qty"], c["side"]
    takers = {"BUY": Side.BUY, "SELL": Side.SELL}

    def make(at: int) -> Trade:
        local, exchange, text = locals_[at], exchanges[at], ids[at]
        price, qty, taker = prices[at], qtys[at], takers.get(sides[at])
        _whole(local, exchange)
        _amounts(price, qty)
        if taker is None or text is None or not (text.isascii() and text.isdigit() and len(text) < 40):
            raise FrameError("invalid", f"the side or the id of a trade is spoilt: {sides[at]!r}, {text!r}")
        return Trade(symbols[at], exchange, local, int(text), price, qty, taker)

    return make


def _deltas(c: _Lists) -> Callable[[int], BookDelta]:
    symbols, locals_, exchanges = c["symbol"], c["local_ns"], c["exchange_ns"]
    firsts, lasts, prevs, bids, asks = c["first_id"], c["last_id"], c["prev_id"], c["bids"], c["asks"]

    def make(at: int) -> BookDelta:
        local, exchange, first, last, prev = locals_[at], exchanges[at], firsts[at], lasts[at], prevs[at]
        _whole(local, exchange, first, last, prev)
        return BookDelta(symbols[at], exchange, local, first, last, prev, _levels(bids[at]), _levels(asks[at]))

    return make


def _snapshots(c: _Lists) -> Callable[[int], BookSnapshot]:
    def make(at: int) -> BookSnapshot:
        local, exchange, last = c["local_ns"][at], c["exchange_ns"][at], c["last_id"][at]
        _whole(local, exchange, last)
        levels = (_levels(c["bids"][at]), _levels(c["asks"][at]))
        return BookSnapshot(c["symbol"][at], exchange, local, last, *levels)

    return make


def _marks(c: _Lists) -> Callable[[int], MarkPrice]:
    def make(at: int) -> MarkPrice:
        local, exchange, following = c["local_ns"][at], c["exchange_ns"][at], c["next_funding_ns"][at]
        mark, index, rate = c["mark"][at], c["index"][at], c["funding_rate"][at]
        _whole(local, exchange, following)
        _amounts(mark, index)
        if rate is None or not -1e3 <= float(rate) <= 1e3:
            raise FrameError("number", f"the funding rate is {rate!r}")
        return MarkPrice(c["symbol"][at], exchange, local, mark, index, rate, following)

    return make


def _statuses(c: _Lists) -> Callable[[int], FeedStatus]:
    def make(at: int) -> FeedStatus:
        local, connected, detail = c["local_ns"][at], c["connected"][at], c["detail"][at]
        _whole(local, connected)
        return FeedStatus(c["symbol"][at], local, connected, detail or "")

    return make


_MAKERS: Final[Mapping[str, Callable[[_Lists], Callable[[int], MarketEvent]]]] = {
    "top": _tops,
    "trade": _trades,
    "delta": _deltas,
    "snapshot": _snapshots,
    "mark": _marks,
    "status": _statuses,
}
