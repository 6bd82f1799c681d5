"""Binance frames to market events, checked frame by frame and in sequence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from typing import TypeAlias

from grinder.feeds import binance_wire as wire
from grinder.feeds.damage import FUTURE_NS, NS_PER_MS, FrameError
from grinder.types import BookDelta, BookSnapshot, MarketEvent, MarkPrice, Side, TopOfBook, Trade

USDM = "binance-usdm"
SPOT = "binance-spot"
_DIGITS = b"0123456789"
_NAMES = 100
"""Names that are counted one by one; more go under ``others``."""

Handler: TypeAlias = Callable[[bytes, int], MarketEvent | None]
"""Takes a frame and its local time; None means that there is nothing to tell. Raises ValueError."""


def subject(stream: str) -> tuple[str, str]:
    """Symbol and kind of a stream that has market events; the kind is empty for every other stream.

    Streams of partial depth (``depth5``, ``depth20@100ms``) have the names of diffs in their frames and are no diffs.
    """
    name, _, rest = stream.partition("@")
    kind = rest.partition("@")[0]
    return name.upper(), kind if kind in {"depth", "bookTicker", "trade", "aggTrade", "markPrice"} else ""


def _number_check(check: Callable[[bytes], object]) -> Callable[[bytes], None]:
    """The check of one stream's numbers, sped up: frames mostly differ in their digits only.

    A frame that is the one checked before but for its digits needs no check of its own. Strings without a digit are
    what could hide in it, so frames with empty strings or bare points are always checked.
    """
    sound = b""

    def glance(payload: bytes) -> None:
        nonlocal sound
        shape = payload.translate(None, _DIGITS)
        if shape == sound and b'"."' not in payload:
            return
        check(payload)
        if b'""' not in shape:
            sound = shape

    return glance


class Frames:
    """Handlers for the streams of one recording; they remember the last id of each symbol and stream.

    Args:
        streams: names of all streams; where a symbol has ``trade``, its ``aggTrade`` tells the same and is ignored.
        symbols: what is wanted; frames of other symbols are ignored.
        spot: frames are of the spot market.
        ignored: counts what holds no event that is wanted, by name.

    Attributes:
        handlers: handler by name, for the streams that have been met.
    """

    def __init__(
        self, streams: Collection[str], symbols: Collection[str], *, spot: bool, ignored: Counter[str]
    ) -> None:
        self._streams = streams
        self._symbols = symbols
        self._spot = spot
        self._ignored = ignored
        self._made: dict[tuple[str, str], Handler] = {}
        self.handlers: dict[str, Handler] = {}

    def meet(self, payload: bytes, snapshot_symbol: str) -> Handler:
        """The handler for a payload whose stream has not been met, or which is no frame of a stream.

        Args:
            payload: the JSON text.
            snapshot_symbol: whose a bare REST depth answer is; empty when that is not known.

        Raises:
            ValueError: it is neither a frame, nor a REST depth answer, nor a reply.
        """
        outline = wire.decode_outline(payload)
        if outline.stream:
            return self._of_stream(outline.stream)
        if bytes(outline.snapshot):
            return self.snapshot(snapshot_symbol)
        if bytes(outline.request) or bytes(outline.result):
            return self.ignore("reply")
        raise FrameError("unknown", "neither a combined-stream frame nor a REST depth answer of Binance")

    def snapshot(self, symbol: str) -> Handler:
        """Handler of REST depth answers of one symbol."""

        def handle(payload: bytes, local: int) -> BookSnapshot | None:
            if not symbol:
                message = "a REST depth answer names no symbol, and the file has several; record one symbol a file"
                raise FrameError("snapshot_symbol", message)
            book = wire.decode_snapshot(payload)
            wire.check_snapshot(payload)
            return BookSnapshot(symbol, book.event_ms * NS_PER_MS, local, book.last_id, book.bids, book.asks)

        return handle if not symbol or symbol in self._symbols else self.ignore("symbol not asked for")

    def _of_stream(self, stream: str) -> Handler:
        known = self.handlers.get(stream)
        if known is not None:
            return known
        symbol, kind = subject(stream)
        if not kind or (kind == "aggTrade" and f"{stream.partition('@')[0]}@trade" in self._streams):
            handler = self.ignore(stream if stream.startswith("!") else stream.partition("@")[2] or stream)
        elif symbol not in self._symbols:
            handler = self.ignore("symbol not asked for")
        else:
            # Two streams of one kind share a handler, so that what comes twice is seen.
            handler = self._made.get((symbol, kind)) or self._make(symbol, kind)
            self._made[symbol, kind] = handler
        if len(self.handlers) < 10 * _NAMES:
            self.handlers[stream] = handler
        return handler

    def _make(self, symbol: str, kind: str) -> Handler:
        if kind == "bookTicker":
            return self._ticker(symbol)
        if kind == "depth":
            return self._depth(symbol)
        if kind == "markPrice":
            return self._mark(symbol)
        return self._trade(symbol, kind)

    def ignore(self, name: str) -> Handler:
        """Handler of what holds no event that is wanted: it counts."""
        ignored = self._ignored

        def handle(_payload: bytes, _local: int) -> None:
            ignored[name if name in ignored or len(ignored) < _NAMES else "others"] += 1

        return handle

    def _ticker(self, symbol: str) -> Handler:
        decode = wire.decode_spot_ticker if self._spot else wire.decode_ticker
        check = _number_check(wire.check_ticker)
        last = -1

        def handle(payload: bytes, local: int) -> TopOfBook | None:
            nonlocal last
            top = decode(payload).data
            check(payload)
            exchange = top.event_ms * NS_PER_MS
            update_id = top.update_id
            if update_id <= last or exchange - local > FUTURE_NS or top.symbol != symbol or top.status != 1:
                self._refuse("bookTicker", symbol, top, update_id, last)
                return None
            last = update_id
            return TopOfBook(symbol, exchange, local, update_id, top.bid, top.bid_qty, top.ask, top.ask_qty)

        return handle

    def _depth(self, symbol: str) -> Handler:
        decode = wire.decode_spot_depth if self._spot else wire.decode_depth
        check = wire.check_depth
        last = -1

        def handle(payload: bytes, local: int) -> BookDelta | None:
            nonlocal last
            diff = decode(payload).data
            # Each level leaves this much when its digits are gone, and no level leaves it when one string is no number.
            plain = payload.translate(None, _DIGITS).count(b'[".","."]')
            if plain != len(diff.bids) + len(diff.asks) or b'"."' in payload:
                check(payload)
            exchange = diff.event_ms * NS_PER_MS
            last_id = diff.last_id
            if last_id <= last or exchange - local > FUTURE_NS or diff.symbol != symbol or diff.status != 1:
                self._refuse("depthUpdate", symbol, diff, last_id, last)
                return None
            last = last_id
            return BookDelta(symbol, exchange, local, diff.first_id, last_id, diff.prev_id, diff.bids, diff.asks)

        return handle

    def _trade(self, symbol: str, kind: str) -> Handler:
        decode = wire.decode_trade if kind == "trade" else wire.decode_agg_trade
        check = _number_check(wire.check_trade)
        last = -1
        buy, sell = Side.BUY, Side.SELL

        def handle(payload: bytes, local: int) -> Trade | None:
            nonlocal last
            trade = decode(payload).data
            check(payload)
            exchange = trade.event_ms * NS_PER_MS
            trade_id = trade.trade_id
            if trade_id <= last or exchange - local > FUTURE_NS or trade.symbol != symbol or trade.status != 1:
                self._refuse(kind, symbol, trade, trade_id, last)
                return None
            last = trade_id
            taker = sell if trade.buyer_is_maker else buy
            return Trade(symbol, exchange, local, trade_id, trade.price, trade.qty, taker)

        return handle

    def _mark(self, symbol: str) -> Handler:
        last = -1

        def handle(payload: bytes, local: int) -> MarkPrice | None:
            nonlocal last
            mark = wire.decode_mark(payload).data
            wire.check_mark(payload)
            exchange = mark.event_ms * NS_PER_MS
            if exchange <= last or exchange - local > FUTURE_NS or mark.symbol != symbol or mark.status != 1:
                self._refuse("markPriceUpdate", symbol, mark, exchange, last)
                return None
            last = exchange
            next_ns = mark.next_funding_ms * NS_PER_MS
            return MarkPrice(symbol, exchange, local, mark.mark, mark.index, mark.funding_rate, next_ns)

        return handle

    def _refuse(
        self, what: str, symbol: str, frame: wire.Ticker | wire.Depth | wire.PublicTrade | wire.Mark, at: int, last: int
    ) -> None:
        """Say what is wrong with a frame out of the ordinary; one of a symbol that does not trade is ignored."""
        if frame.status != 1:
            self._ignored["symbol not trading"] += 1
            return
        if frame.symbol != symbol:
            raise FrameError("symbol", f"the stream is of {symbol}, its frame of {frame.symbol!r}")
        if at <= last:
            again = "repeats" if at == last else "goes back to"
            raise FrameError(
                "sequence", f"{what} of {symbol} {again} id {at} after {last}; a frame is doubled or moved"
            )
        raise FrameError("clock", f"event time {frame.event_ms} ms is more than a day ahead of the local time")
