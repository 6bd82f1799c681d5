"""Bybit v5 topics to market events, checked frame by frame and in sequence."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from grinder.feeds import bybit_wire as wire
from grinder.feeds.damage import FUTURE_NS, NS_PER_MS, FrameError
from grinder.feeds.rows import in_sequence
from grinder.types import BookDelta, BookSnapshot, MarketEvent, MarkPrice, Side, Trade

LINEAR = "bybit-linear"
KINDS = {"orderbook": "depth", "publicTrade": "trade", "tickers": "markPrice"}
"""Topics that have market events, and what they tell."""
_RECENT = 10_000
"""Trade ids of a symbol that are remembered to see a print that comes twice."""
_NAMES = 100
"""Names that are counted one by one; more go under ``others``."""
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}

Handler: TypeAlias = Callable[[bytes, int], Sequence[MarketEvent]]
"""Takes a frame and its local time. Raises ValueError."""


def subject(topic: str) -> tuple[str, str]:
    """Symbol and kind of a topic; the kind is empty where it has no market events."""
    name, _, rest = topic.partition(".")
    return rest.rpartition(".")[2].upper(), KINDS.get(name, "")


def depth(topic: str) -> int:
    """Levels a side of an ``orderbook`` topic; 0 when it does not say."""
    levels = topic.split(".")[1]
    return int(levels) if levels.isdigit() and len(levels) < 6 else 0


def trade_number(text: str) -> int:
    """A trade id as a number: the 128 bits of a UUID.

    Raises:
        FrameError: it is neither a UUID nor a number.
    """
    if _UUID.fullmatch(text):
        return int(text.replace("-", ""), 16)
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    raise FrameError("invalid", f"the trade id {text[:50]!r} is neither a UUID nor a number")


class Topics:
    """Handlers for the topics of one recording; they remember the last id of each symbol and topic.

    Where a symbol has books of several depths, only the deepest is read: each counts its own updates.

    Args:
        topics: names of all topics of the recording.
        symbols: what is wanted; frames of other symbols are ignored.
        ignored: counts what holds no event that is wanted, by name.
    """

    def __init__(self, topics: Collection[str], symbols: Collection[str], ignored: Counter[str]) -> None:
        self._symbols = symbols
        self._ignored = ignored
        self._deepest: dict[str, int] = {}
        for topic in topics:
            symbol, kind = subject(topic)
            if kind == "depth":
                self._deepest[symbol] = max(self._deepest.get(symbol, 0), depth(topic))
        self._handlers: dict[str, Handler] = {}

    def meet(self, payload: bytes) -> Handler:
        """The handler for a frame.

        Raises:
            ValueError: it is neither a frame of a topic nor a reply.
        """
        outline = wire.decode_outline(payload)
        topic = outline.topic
        if not topic:
            if outline.op or bytes(outline.success):
                return self.ignore("reply")
            raise FrameError("unknown", "neither a frame of a Bybit topic nor a reply")
        handler = self._handlers.get(topic)
        if handler is None:
            handler = self._make(topic)
            if len(self._handlers) < 10 * _NAMES:
                self._handlers[topic] = handler
        return handler

    def ignore(self, name: str) -> Handler:
        """Handler of what holds no event that is wanted: it counts."""
        ignored = self._ignored

        def handle(_payload: bytes, _local: int) -> Sequence[MarketEvent]:
            ignored[name if name in ignored or len(ignored) < _NAMES else "others"] += 1
            return ()

        return handle

    def _make(self, topic: str) -> Handler:
        symbol, kind = subject(topic)
        if not kind:
            return self.ignore(topic.rpartition(".")[0] or topic)
        if symbol not in self._symbols:
            return self.ignore("symbol not asked for")
        if kind == "trade":
            return _trades(symbol)
        if kind == "markPrice":
            return self._ticker(symbol)
        if depth(topic) < self._deepest[symbol]:
            return self.ignore("book that a deeper one tells")
        return _book(symbol)

    def _ticker(self, symbol: str) -> Handler:
        last = 0
        known = wire.TickerData(symbol)
        unchanged = self.ignore("tickers without a mark price")

        def handle(payload: bytes, local: int) -> Sequence[MarketEvent]:
            nonlocal last
            frame = wire.decode_ticker(payload)
            data = frame.data
            wire.check_ticker(data)
            _check(symbol, data.symbol, frame.ts, local)
            if frame.cs:
                in_sequence(f"tickers of {symbol}", frame.cs, last, "frame")
                last = frame.cs
            changed = False
            for name in ("markPrice", "indexPrice", "fundingRate", "nextFundingTime"):
                if value := getattr(data, name):
                    setattr(known, name, value)
                    changed = True
            if not (changed and known.markPrice and known.indexPrice and known.fundingRate and known.nextFundingTime):
                return unchanged(payload, local)
            next_ns = int(known.nextFundingTime) * NS_PER_MS
            exchange = frame.ts * NS_PER_MS
            return (MarkPrice(symbol, exchange, local, known.markPrice, known.indexPrice, known.fundingRate, next_ns),)

        return handle


def _check(symbol: str, named: str, ts: int, local: int) -> None:
    if named != symbol:
        raise FrameError("symbol", f"the topic is of {symbol}, its frame of {named[:40]!r}")
    if ts * NS_PER_MS - local > FUTURE_NS:
        raise FrameError("clock", f"event time {ts} ms is more than a day ahead of the local time")


def _book(symbol: str) -> Handler:
    last = -1
    ahead = 0  # how far update ids are ahead of the venue's count, which begins anew when the venue restarts

    def handle(payload: bytes, local: int) -> Sequence[MarketEvent]:
        nonlocal last, ahead
        frame = wire.decode_book(payload)
        wire.check_book(payload)
        data = frame.data
        _check(symbol, data.s, frame.ts, local)
        exchange = (frame.cts or frame.ts) * NS_PER_MS
        if frame.type == "snapshot":
            if data.u <= last:
                ahead += last + 1 - data.u
            last = data.u
            return (BookSnapshot(symbol, exchange, local, data.u + ahead, data.b, data.a),)
        in_sequence(f"orderbook of {symbol}", data.u, last, "frame")
        last = data.u
        update_id = data.u + ahead
        return (BookDelta(symbol, exchange, local, update_id, update_id, update_id - 1, data.b, data.a),)

    return handle


def _trades(symbol: str) -> Handler:
    recent: deque[int] = deque(maxlen=_RECENT)
    known: set[int] = set()
    last = 0

    def handle(payload: bytes, local: int) -> Sequence[MarketEvent]:
        nonlocal last
        frame = wire.decode_trades(payload)
        wire.check_trades(payload)
        numbers = [trade_number(trade.i) for trade in frame.data]
        newest = last
        for number, trade in zip(numbers, frame.data, strict=True):
            _check(symbol, trade.s, trade.T, local)
            if number in known:
                raise FrameError("sequence", f"publicTrade of {symbol} repeats id {trade.i}; a frame is doubled")
            if trade.seq and trade.seq < newest:
                message = f"publicTrade of {symbol} goes back to seq {trade.seq} after {newest}; a frame is moved"
                raise FrameError("sequence", message)
            newest = max(newest, trade.seq)
        if len(set(numbers)) < len(numbers):
            raise FrameError("sequence", f"publicTrade of {symbol} holds an id twice in one frame")
        last = newest
        for number in numbers:
            if len(recent) == _RECENT:
                known.discard(recent[0])
            recent.append(number)
            known.add(number)
        return [
            Trade(symbol, trade.T * NS_PER_MS, local, number, trade.p, trade.v, _SIDES[trade.S])
            for number, trade in zip(numbers, frame.data, strict=True)
        ]

    return handle
