"""Market state: folds events into one view per symbol and says whether its data can be trusted."""

from __future__ import annotations

import math

from grinder.market.book import Book
from grinder.market.face import MarketFace
from grinder.market.view import View
from grinder.types import BookDelta, BookSnapshot, FeedStatus, MarketEvent, MarkPrice, Side, TopOfBook, Trade

_NS_PER_MS = 1_000_000
_INF = math.inf
_SPOILING = frozenset(("INPUT_MISSING", "INPUT_NONFINITE", "MARKET_GAP"))


class MarketState:
    """Views and books of every symbol; a ``MarketReader``.

    Args:
        stale_ns: data older than this is stale.

    Attributes:
        now_ns: the engine's time; set it before reading ages, faults or health.
        events: events folded.
        ignored_prints: trades whose price or quantity is zero or no finite number; they never become ``last``.
        book_checks: books compared with a top of book of the same update id.
        book_mismatches: those that differed.
    """

    __slots__ = (
        "_faces",
        "_stale_ns",
        "_views",
        "book_checks",
        "book_mismatches",
        "events",
        "ignored_prints",
        "now_ns",
    )

    def __init__(self, stale_ns: int) -> None:
        self._stale_ns = stale_ns
        self._views: dict[str, View] = {}
        self._faces: dict[str, MarketFace] = {}
        self.now_ns = 0
        self.events = 0
        self.ignored_prints = 0
        self.book_checks = 0
        self.book_mismatches = 0

    def apply(self, event: MarketEvent) -> None:
        """Fold one event in. Events of a symbol come in local time order."""
        self.events += 1
        view = self._views.get(event.symbol)
        if view is None:
            view = self._add(event)
        local = event.local_ns
        if local - view.updated_ns > view.notable_ns:
            self._note_silence(view, local)
        view.updated_ns = local
        if isinstance(event, TopOfBook):
            view.top_of_book = event
            view.changed = True
            if event.update_id > view.delta_id:
                view.tickers.append(event)
            elif event.update_id == view.delta_id:
                self._check_book(view.book, event)
            if not view.healthy_ns:
                self._judge(view)
        elif isinstance(event, Trade):
            self._apply_trade(view, event)
        elif isinstance(event, BookDelta):
            self._apply_delta(view, event)
        else:
            self._apply_rare(view, event)

    def view(self, symbol: str) -> View:
        """The symbol's market; an empty one that is not ready when no data of it has been seen."""
        return self._views.get(symbol) or View(symbol, self)

    def face(self, symbol: str) -> MarketFace:
        """The symbol's market as plugins see it."""
        face = self._faces.get(symbol)
        if face is None:
            face = MarketFace(self.view(symbol))
            if symbol in self._views:
                self._faces[symbol] = face
        return face

    def book(self, symbol: str) -> Book:
        """The symbol's book.

        Raises:
            KeyError: no data of that symbol has been seen.
        """
        return self._views[symbol].book

    def fault(self, symbol: str) -> str:
        """Why the symbol's data must not be used now, as a reason code; empty when it may be."""
        view = self._views.get(symbol)
        if view is None:
            return "INPUT_MISSING"
        fault = self._standing(view)
        if fault in _SPOILING:
            view.healthy_ns = 0
        return fault

    def standing(self, symbol: str) -> str:
        """What :meth:`fault` says, without taking note: for those who only watch, and must change nothing."""
        view = self._views.get(symbol)
        return "INPUT_MISSING" if view is None else self._standing(view)

    def healthy_since(self, symbol: str) -> int:
        """Since when the symbol's data has been continuously healthy, in ns; 0 while it is not.

        Gaps and silences restart it whether or not anybody asked meanwhile; a best price that vanished, or met the
        other side, does when it was noticed.
        """
        return 0 if self.fault(symbol) else self._views[symbol].healthy_ns

    @property
    def gaps(self) -> int:
        """How often the sequence of a book broke or its feed went down."""
        return sum(view.book.gaps for view in self._views.values())

    @property
    def dropped_deltas(self) -> int:
        """Book updates lost because too many waited for a snapshot."""
        return sum(view.book.dropped for view in self._views.values())

    @property
    def stale_ms_max(self) -> int:
        """Longest silence between two events of one symbol, in ms."""
        return max((view.silence_ns for view in self._views.values()), default=0) // _NS_PER_MS

    def _standing(self, view: View) -> str:
        fault = view.price_fault()
        if fault:
            return fault
        if view.book.gap or not view.connected:
            return "MARKET_GAP"
        # Data of the future is no fresher than data of the past: the clock went back, and hides how old it is.
        return "" if -self._stale_ns <= self.now_ns - view.updated_ns <= self._stale_ns else "MARKET_STALE"

    def _add(self, event: MarketEvent) -> View:
        view = self._views[event.symbol] = View(event.symbol, self)
        view.updated_ns = event.local_ns
        return view

    def _note_silence(self, view: View, local: int) -> None:
        """Remember a silence that is the longest yet, or longer than data may be old."""
        silence = local - view.updated_ns
        view.silence_ns = max(view.silence_ns, silence)
        view.noted_ns = max(view.noted_ns, silence)
        view.notable_ns = min(view.silence_ns, self._stale_ns)
        if silence > self._stale_ns and view.healthy_ns:
            view.healthy_ns = local

    def _apply_trade(self, view: View, trade: Trade) -> None:
        try:
            price = float(trade.price)
            if 0.0 < price < _INF and 0.0 < float(trade.qty) < _INF:
                view.last = price
                return
        except ValueError:
            pass
        self.ignored_prints += 1

    def _apply_delta(self, view: View, delta: BookDelta) -> None:
        book = view.book
        book.apply_delta(delta)
        view.changed = True
        view.delta_id = last_id = delta.last_id
        tickers = view.tickers
        while tickers and tickers[0].update_id <= last_id:
            ticker = tickers.popleft()
            if ticker.update_id == last_id:
                self._check_book(book, ticker)
        self._judge(view)

    def _apply_rare(self, view: View, event: BookSnapshot | MarkPrice | FeedStatus) -> None:
        if isinstance(event, MarkPrice):
            try:
                view.mark = float(event.mark)
            except ValueError:
                view.mark = math.nan
            return
        view.changed = True
        if isinstance(event, BookSnapshot):
            view.book.apply_snapshot(event)
        else:
            view.connected = event.connected
            if not event.connected:
                view.book.break_sequence()
        self._judge(view)

    def _judge(self, view: View) -> None:
        """Start or end the healthy time after the book or the feed changed."""
        if view.book.gap or not view.connected:
            view.healthy_ns = 0
        elif not view.healthy_ns and not view.price_fault():
            view.healthy_ns = view.updated_ns

    def _check_book(self, book: Book, ticker: TopOfBook) -> None:
        """Compare the rebuilt best levels with what the venue says of the same update id."""
        if not book.ready or book.gap or book.last_id != ticker.update_id:
            return
        self.book_checks += 1
        sides = ((Side.BUY, ticker.bid, ticker.bid_qty), (Side.SELL, ticker.ask, ticker.ask_qty))
        try:
            same = all(book.top(side, 1) == ((float(price), float(qty)),) for side, price, qty in sides)
        except ValueError:
            same = False
        self.book_mismatches += not same
