"""Files of Binance's public archive: aggTrades, trades and bookTicker of one symbol and day, as csv.

They have no local times: the exchange's transaction time stands for both. They do not name their symbol either: the
name under which they were published does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeAlias

import msgspec

from grinder.errors import ConfigError
from grinder.feeds.binance import SPOT, USDM
from grinder.feeds.damage import FrameError, in_order
from grinder.feeds.layout import Blocks, Head, Layout, Reject, Survey, Wanted
from grinder.feeds.rows import decimal, flag, in_sequence, numbered, split_row, time_ns, whole
from grinder.types import MarketEvent, Side, TopOfBook, Trade

_NAME = re.compile(r"([A-Z0-9]{2,30})-(aggTrades|trades|bookTicker)-\d{4}-\d{2}(?:-\d{2})?\.(?:csv|zip)(?:\.\w+)?")
_TRUTH = rb"(?i:true|false)"
_DECIMAL = rb"[0-9.eE-]+"
_BOM = b"\xef\xbb\xbf"

Build: TypeAlias = Callable[[str, list[str]], MarketEvent]
"""An event of a symbol and the fields of a row; raises FrameError."""


class _Table(msgspec.Struct, frozen=True):
    """A kind of file.

    Attributes:
        name: as file names have it.
        tells: what it tells.
        market: USDM or SPOT.
        header: first names of its header; spot files of old have none.
        row: what a row looks like.
        columns: how many fields a row has.
        time: number of the field that holds the transaction time.
        build: makes the event.
    """

    name: str
    tells: str
    market: str
    header: bytes
    row: re.Pattern[bytes]
    columns: int
    time: int
    build: Build


def _agg_trade(symbol: str, row: list[str]) -> Trade:
    at = time_ns(row[5])
    taker = Side.SELL if flag(row[6]) else Side.BUY
    return Trade(symbol, at, at, whole(row[0]), decimal(row[1]), decimal(row[2]), taker)


def _trade(symbol: str, row: list[str]) -> Trade:
    at = time_ns(row[4])
    taker = Side.SELL if flag(row[5]) else Side.BUY
    return Trade(symbol, at, at, whole(row[0]), decimal(row[1]), decimal(row[2]), taker)


def _ticker(symbol: str, row: list[str]) -> TopOfBook:
    at = time_ns(row[5])
    prices = (decimal(row[1]), decimal(row[2]), decimal(row[3]), decimal(row[4]))
    return TopOfBook(symbol, at, at, whole(row[0]), *prices)


def _row(*fields: bytes) -> re.Pattern[bytes]:
    return re.compile(b",".join(fields) + rb"\r?")


_AGG = (rb"\d+", _DECIMAL, _DECIMAL, rb"\d+", rb"\d+", rb"\d{13,16}", _TRUTH)
_PRINT = (rb"\d+", _DECIMAL, _DECIMAL, _DECIMAL, rb"\d{13,16}", _TRUTH)
_QUOTE = (rb"\d+", _DECIMAL, _DECIMAL, _DECIMAL, _DECIMAL, rb"\d{13,16}", rb"\d{13,16}")
_TABLES = (
    _Table("aggTrades", "trade", USDM, b"agg_trade_id,price,quantity", _row(*_AGG), 7, 5, _agg_trade),
    _Table("aggTrades", "trade", SPOT, b"agg_trade_id,price,quantity", _row(*_AGG, _TRUTH), 8, 5, _agg_trade),
    _Table("trades", "trade", USDM, b"id,price,qty", _row(*_PRINT), 6, 4, _trade),
    _Table("trades", "trade", SPOT, b"id,price,qty", _row(*_PRINT, _TRUTH), 7, 4, _trade),
    _Table("bookTicker", "bookTicker", USDM, b"update_id,best_bid_price", _row(*_QUOTE), 7, 5, _ticker),
)


def _table(head: Head) -> _Table | None:
    """The kind of a file, by its header or its first rows."""
    for table in _TABLES:
        if _is_header(head.lines[0], table) or any(table.row.fullmatch(line) for line in head.lines[:10]):
            return table
    return None


def _is_header(line: bytes, table: _Table) -> bool:
    return line.removeprefix(_BOM).startswith(table.header) and line.count(b",") == table.columns - 1


def _symbol(head: Head, table: _Table) -> str:
    """The symbol that the file's name tells, or that of the file in a zip."""
    for name in head.names:
        match = _NAME.fullmatch(name)
        if match and match[2] == table.name:
            return match[1]
    raise ConfigError(
        f"{head.path} has the columns of a Binance archive file ({table.name}), which does not name its symbol; "
        f"give it the name that it was published under, such as BTCUSDT-{table.name}-2024-08-09.csv"
    )


def _knows(head: Head) -> bool:
    table = _table(head)
    return table is not None and bool(_symbol(head, table))


def _survey(head: Head, blocks: Blocks, _reject: Reject) -> Survey:
    table = _known(head)
    symbol = _symbol(head, table)
    survey = Survey(table.market)
    survey.meet(f"{symbol.lower()}@{table.tells}", symbol, table.tells)
    for lines in blocks:
        for found in (next(_times(lines, table), 0), next(_times(lines[::-1], table), 0)):
            if found:
                survey.meet_time(found)
    return survey


def _known(head: Head) -> _Table:
    table = _table(head)
    if table is None:
        raise FrameError("invalid", "no file of the archive")
    return table


def _times(lines: list[bytes], table: _Table) -> Iterator[int]:
    for line in lines:
        try:
            yield time_ns(split_row(line, table.columns)[table.time])
        except FrameError:
            continue


def _events(head: Head, blocks: Blocks, survey: Survey, wanted: Wanted, reject: Reject) -> Iterator[MarketEvent]:
    table = _known(head)
    (symbol,) = survey.symbols
    previous, last_id = 0, -1
    for number, line in numbered(blocks):
        if number == 1 and _is_header(line, table):
            wanted.ignored["header"] += 1
            continue
        try:
            fields = split_row(line, table.columns)
            event = table.build(symbol, fields)
            in_order(event.local_ns, previous)
            at = int(fields[0])
            in_sequence(table.name, at, last_id)
        except FrameError as error:
            reject(number, error)
            continue
        previous, last_id = event.local_ns, at
        yield event


ARCHIVE = Layout("archive", "aggTrades, trades or bookTicker csv of Binance's public archive", _knows, _survey, _events)
