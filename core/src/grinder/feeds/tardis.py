"""Files of Tardis.dev: incremental_book_L2 and trades, as csv, with local times in microseconds."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

import msgspec

from grinder.errors import InputError
from grinder.feeds.binance import USDM
from grinder.feeds.bybit import LINEAR, trade_number
from grinder.feeds.damage import FUTURE_NS, FrameError, in_order
from grinder.feeds.layout import Blocks, Head, Layout, Reject, Survey, Wanted
from grinder.feeds.rows import decimal, flag, in_sequence, numbered, split_row, time_ns
from grinder.types import BookDelta, BookSnapshot, Level, MarketEvent, Side, Trade

_BOOK: Final = b"exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"
_TRADES: Final = b"exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
_KINDS: Final = {_BOOK: "depth", _TRADES: "trade"}
_COLUMNS: Final = 8
_MARKETS: Final = {"binance-futures": USDM, "bybit": LINEAR}
"""Exchanges that can be read, by the name that the files have for them."""
_SYMBOLS: Final = 2_000
"""Most symbols in one file."""
_PARTS_NS: Final = 10**9
"""Rows of a snapshot that come later than this after the last ones are of another snapshot."""


def _kind(head: Head) -> str:
    return _KINDS.get(head.lines[0].rstrip(b"\r"), "") if head.lines else ""


def _knows(head: Head) -> bool:
    if not _kind(head):
        return False
    first = head.lines[1].partition(b",")[0].decode("latin1") if len(head.lines) > 1 else ""
    if first and first not in _MARKETS:
        message = f"a file of {first[:40]!r}; readable are {' and '.join(_MARKETS)}"
        raise InputError(head.path, 2, message)
    return True


class _Row(msgspec.Struct, gc=False):
    """The fields that every row has, and the others as text."""

    exchange: str
    symbol: str
    exchange_ns: int
    local_ns: int
    rest: list[str]


def _read(line: bytes) -> _Row:
    exchange, symbol, stamp, local, *rest = split_row(line, _COLUMNS)
    if not symbol.isalnum():
        raise FrameError("invalid", f"the symbol is {symbol[:40]!r}")
    return _Row(exchange, symbol.upper(), time_ns(stamp), time_ns(local), rest)


def _survey(head: Head, blocks: Blocks, _reject: Reject) -> Survey:
    kind = _kind(head)
    exchange = head.lines[1].partition(b",")[0].decode("latin1") if len(head.lines) > 1 else ""
    survey = Survey(_MARKETS.get(exchange, USDM))
    seen: set[bytes] = set()
    for number, line in numbered(blocks):
        if number == 1:
            continue
        parts = line.split(b",", 4)
        try:
            if len(parts) < 5:
                continue
            local = time_ns(parts[3].decode("latin1"))
            if parts[1] not in seen and len(seen) < _SYMBOLS:
                symbol = _read(line).symbol
                seen.add(parts[1])
                survey.meet(f"{symbol.lower()}@{kind}", symbol, kind)
            ahead = time_ns(parts[2].decode("latin1")) - local
        except FrameError:
            continue
        survey.meet_time(local)
        if survey.behind_ns < ahead < FUTURE_NS:
            survey.behind_ns = ahead
    return survey


def _events(head: Head, blocks: Blocks, survey: Survey, wanted: Wanted, reject: Reject) -> Iterator[MarketEvent]:
    reader = _Books(wanted, survey.symbols) if _kind(head) == "depth" else _Prints(wanted)
    previous = 0
    for number, line in numbered(blocks):
        if number == 1:
            wanted.ignored["header"] += 1
            continue
        row = None
        try:
            read = _read(line)
            _check(read, survey.market)
            in_order(read.local_ns + wanted.shift_ns, previous)
            row = read
            event = reader.take(row)
        except FrameError as error:
            reject(number, error)
            event = reader.lose(row)
        else:
            previous = row.local_ns + wanted.shift_ns
        if event is not None:
            yield event
    event = reader.flush()
    if event is not None:
        yield event


def _check(row: _Row, market: str) -> None:
    if _MARKETS.get(row.exchange) != market:
        raise FrameError("exchange", f"the row is of {row.exchange[:40]!r}, the file of {market}")
    if row.exchange_ns - row.local_ns > FUTURE_NS:
        raise FrameError("clock", "the exchange's time is more than a day ahead of the local time")


class _Books:
    """Messages of books: rows of one symbol and local time that follow one another.

    The files have no update ids; messages are numbered instead, so that each follows the one before it. A number is
    left out where a row was: the book has a gap from there on, until a snapshot comes that is whole.
    """

    def __init__(self, wanted: Wanted, known: Collection[str]) -> None:
        self._wanted = wanted
        self._known = known
        self._ids: dict[str, int] = {}
        self._snapshots: dict[str, tuple[int, set[tuple[int, str]]]] = {}  # when last added to, and levels
        self._lacking: dict[str, int] = {}  # how many of the next messages of a symbol may lack a row
        self._head: tuple[str, int, bool] = ("", 0, False)
        self._exchange_ns = 0
        self._sides: tuple[dict[str, str], dict[str, str]] = ({}, {})

    def take(self, row: _Row) -> MarketEvent | None:
        """Take a row; the message before it when that is complete now."""
        snapshot, side, price, amount = row.rest
        if side not in ("bid", "ask"):
            raise FrameError("invalid", f"the side is {side[:40]!r}, neither bid nor ask")
        level: Level = (decimal(price), decimal(amount))
        head = (row.symbol, row.local_ns, flag(snapshot))
        if row.symbol not in self._known:  # one that is known, with an error in it
            self._lack(self._known, 2)
        done = None
        if head != self._head:
            done = self.flush()
            self._head, self._exchange_ns = head, row.exchange_ns
        self._exchange_ns = max(self._exchange_ns, row.exchange_ns)
        self._sides[side == "ask"][level[0]] = level[1]
        return done

    def lose(self, row: _Row | None) -> MarketEvent | None:
        """Note that a row is left out; None when not even its symbol and time can be told.

        Then it belongs to the message that is being put together or to the next one, of any symbol.
        """
        if row is None or row.symbol not in self._known:
            self._lack(self._known, 2)
            return None
        done = self.flush() if self._head[:2] != (row.symbol, row.local_ns) else None
        self._lack((row.symbol,), 1)
        return done

    def _lack(self, symbols: Collection[str], messages: int) -> None:
        for symbol in symbols:
            self._lacking[symbol] = max(self._lacking.get(symbol, 0), messages)

    def flush(self) -> MarketEvent | None:
        """The message that is being put together, if it is wanted."""
        sides = self._sides
        bids, asks = (list(levels.items()) for levels in sides)
        self._sides = ({}, {})
        symbol, local, snapshot = self._head
        if not (bids or asks):
            return None
        wanted = self._wanted
        if symbol not in wanted.symbols:
            wanted.ignored["symbol not asked for"] += 1
            return None
        last = self._ids.get(symbol, 0)
        if not last and not snapshot:
            wanted.ignored["update before the first snapshot"] += 1
            return None
        begins = self._begins(symbol, local, sides, snapshot=snapshot)
        lacking = self._lacking.pop(symbol, 0)
        if lacking > 1:
            self._lacking[symbol] = lacking - 1
        last += bool(lacking)
        self._ids[symbol] = at = last + 1
        local += wanted.shift_ns
        if begins and not lacking:
            return BookSnapshot(symbol, self._exchange_ns, local, at, bids, asks)
        return BookDelta(symbol, self._exchange_ns, local, at, at, last, bids, asks)

    def _begins(self, symbol: str, local: int, sides: tuple[dict[str, str], dict[str, str]], *, snapshot: bool) -> bool:
        """Whether a message is of a snapshot, and not one more part of the snapshot before it.

        Parts follow one another closely and state no level twice.
        """
        before = self._snapshots.pop(symbol, None)
        if not snapshot:
            return False
        stated = {(side, price) for side, levels in enumerate(sides) for price in levels}
        part = before is not None and local - before[0] <= _PARTS_NS and before[1].isdisjoint(stated)
        self._snapshots[symbol] = (local, stated | before[1] if part and before is not None else stated)
        return not part


class _Prints:
    """Trades, one a row."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._last: dict[str, int] = {}

    def take(self, row: _Row) -> MarketEvent | None:
        """The trade of a row."""
        text, side, price, amount = row.rest
        number = trade_number(text)
        price, amount = decimal(price), decimal(amount)
        if side not in ("buy", "sell", "unknown"):
            raise FrameError("invalid", f"the side is {side[:40]!r}, none of buy, sell and unknown")
        wanted = self._wanted
        if row.symbol not in wanted.symbols:
            wanted.ignored["symbol not asked for"] += 1
            return None
        if side == "unknown":
            wanted.ignored["trade of an unknown side"] += 1
            return None
        if text.isdigit():
            in_sequence(f"trades of {row.symbol}", number, self._last.get(row.symbol, -1))
        self._last[row.symbol] = number
        taker = Side.BUY if side == "buy" else Side.SELL
        return Trade(row.symbol, row.exchange_ns, row.local_ns + wanted.shift_ns, number, price, amount, taker)

    def lose(self, _row: _Row | None) -> MarketEvent | None:
        """A print that is missing spoils no other."""
        return None

    def flush(self) -> MarketEvent | None:
        """Nothing is held back."""
        return None


TARDIS = Layout("tardis", "incremental_book_L2 or trades csv of Tardis.dev", _knows, _survey, _events)
