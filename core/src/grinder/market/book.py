"""The full-depth book of one symbol, kept in step with the venue by update ids."""

from __future__ import annotations

from collections import deque
from decimal import Decimal

from grinder.market.ladder import Ladder
from grinder.types import BookDelta, BookSnapshot, Side

BUFFER = 10_000
"""Diffs held back for a snapshot; when more come, the oldest are dropped and counted."""


class Book:
    """Book from a snapshot and diffs; a ``BookReader``.

    Binance USD-M: the first diff after a snapshot must span its id (or follow it directly), then every diff's
    ``prev_id`` must be the ``last_id`` before it. Spot (``prev_id`` -1): ``first_id`` must follow the
    ``last_id`` before it, and the first diff may overlap the snapshot. When the chain breaks, ``gap`` is True
    until a new snapshot; diffs are then still applied, since they state absolute quantities, and are held back
    as well for the snapshot to come.

    Attributes:
        ready: a snapshot has been applied.
        gap: the sequence is broken.
        gaps: how often it broke.
        last_id: update id that the book contains.
        dropped: diffs lost because too many waited for a snapshot.
    """

    __slots__ = ("_asks", "_bids", "_chained", "_format", "_waiting", "dropped", "gap", "gaps", "last_id", "ready")

    def __init__(self) -> None:
        self._bids = Ladder(Side.BUY)
        self._asks = Ladder(Side.SELL)
        self._chained = False
        self._format = ""
        self._waiting: deque[BookDelta] = deque(maxlen=BUFFER)
        self.ready = False
        self.gap = False
        self.gaps = 0
        self.last_id = 0
        self.dropped = 0

    def apply_snapshot(self, snapshot: BookSnapshot) -> None:
        """Start from a whole book, then apply the diffs that waited for it.

        A snapshot older than a book without a gap is ignored: the book contains it.
        """
        if self.ready and not self.gap and snapshot.last_id <= self.last_id:
            return
        self._bids.replace(snapshot.bids)
        self._asks.replace(snapshot.asks)
        self.last_id = snapshot.last_id
        self.ready = True
        self.gap = False
        self._chained = False
        waiting = self._waiting
        self._waiting = deque(maxlen=BUFFER)
        for delta in waiting:
            self.apply_delta(delta)

    def apply_delta(self, delta: BookDelta) -> None:
        """Fold a diff in, hold it back until a snapshot comes, or drop it if the snapshot contains it."""
        if (delta.prev_id != self.last_id or not self._chained) and not self._admit(delta):
            return
        self.last_id = delta.last_id
        if delta.bids:
            self._bids.update(delta.bids)
        if delta.asks:
            self._asks.update(delta.asks)

    def break_sequence(self) -> None:
        """Note that updates are missing: what comes next is not continuous with what is here."""
        if self.ready and not self.gap:
            self.gap = True
            self.gaps += 1
            self._chained = False

    @property
    def awaited(self) -> bool:
        """Diffs have come, but not the snapshot that they need. A feed without depth awaits nothing."""
        return not self.ready and bool(self._waiting)

    def key(self, price: Decimal) -> str:
        """The price as the feed writes it: with as many decimals as its levels have."""
        return format(price, self._format or self._learn_format())

    def qty_at(self, side: Side, key: str) -> float:
        """Displayed quantity of the BUY (bids) or SELL (asks) side at a price key; 0.0 if none."""
        return (self._bids if side is Side.BUY else self._asks).quantity(key)

    def top(self, side: Side, count: int) -> tuple[tuple[float, float], ...]:
        """The best (price, quantity) levels of the BUY (bids) or SELL (asks) side, best first."""
        ladder = self._bids if side is Side.BUY else self._asks
        levels = ladder.top(count)
        if ladder.unreadable:
            # A level that is no number leaves a hole that only a new snapshot fills.
            ladder.unreadable = 0
            self.break_sequence()
        return levels

    def _admit(self, delta: BookDelta) -> bool:
        """Judge a diff that is not the plain USD-M continuation: whether to apply it now."""
        if not self.ready or self.gap:
            self._hold(delta)
            return self.gap
        last = self.last_id
        spot = delta.prev_id == -1
        if self._chained:
            if spot and delta.first_id == last + 1:
                return True
        else:
            if delta.last_id < last + spot:
                return False
            if delta.prev_id == last or delta.first_id <= last + spot:
                self._chained = True
                return True
        self.break_sequence()
        self._hold(delta)
        return True

    def _hold(self, delta: BookDelta) -> None:
        self.dropped += len(self._waiting) == BUFFER
        self._waiting.append(delta)

    def _learn_format(self) -> str:
        for ladder in (self._bids, self._asks):
            for price in ladder.quantities:
                self._format = f".{len(price.partition('.')[2])}f"
                return self._format
        return "f"
