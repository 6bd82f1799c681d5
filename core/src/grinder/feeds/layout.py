"""Kinds of recording files: what each can tell in a first pass, and how it yields events in the second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TypeAlias

import msgspec

from grinder.instruments import Instrument
from grinder.types import MarketEvent

Blocks: TypeAlias = Iterable[list[bytes]]
"""The lines of a file, in blocks."""
Reject: TypeAlias = Callable[[int, Exception], None]
"""Told of a line that cannot be used and why: raises InputError, or counts it."""


class Head(msgspec.Struct, frozen=True):
    """What a file is recognised by.

    Attributes:
        path: for messages.
        names: the file's own name, and that of the one file in it where it is a zip.
        lines: its first lines.
    """

    path: str
    names: tuple[str, ...]
    lines: list[bytes]


class Survey(msgspec.Struct):
    """What the first pass finds. Times are the file's own.

    Attributes:
        market: whose data it is, for instance ``binance-usdm``.
        streams: names of the streams, as the venue has them.
        symbols: symbols that have market events.
        tells: what it tells of which symbol, as ``btcusdt@trade``: kinds are depth, trade, bookTicker, markPrice.
        instruments: from recorded venue rules.
        first_ns: local time of the first frame; 0 when there is none.
        last_ns: local time of the last frame.
        behind_ns: how far the local clock runs behind the exchange's: the most that any stream frame's event
            time is ahead of its local time; 0 when none is.
    """

    market: str
    streams: set[str] = msgspec.field(default_factory=set)
    symbols: set[str] = msgspec.field(default_factory=set)
    tells: set[str] = msgspec.field(default_factory=set)
    instruments: dict[str, Instrument] = msgspec.field(default_factory=dict)
    first_ns: int = 0
    last_ns: int = 0
    behind_ns: int = 0

    def meet(self, stream: str, symbol: str, kind: str) -> None:
        """Note a stream, and its symbol if it has market events (``kind`` is empty where it has none)."""
        self.streams.add(stream)
        if kind:
            self.symbols.add(symbol)
            # Both tell the same prints.
            self.tells.add(f"{symbol.lower()}@{'trade' if kind == 'aggTrade' else kind}")

    def meet_time(self, local: int) -> None:
        """Note a local time."""
        self.first_ns = min(self.first_ns or local, local)
        self.last_ns = max(self.last_ns, local)


class Wanted(msgspec.Struct, frozen=True):
    """What the second pass is for.

    Attributes:
        symbols: whose events are wanted.
        shift_ns: added to each local time.
        ignored: counts sound input that yields no event, by name.
    """

    symbols: Collection[str]
    shift_ns: int
    ignored: Counter[str]


class Layout(msgspec.Struct, frozen=True):
    """A kind of file.

    Attributes:
        name: what it is called in reports.
        about: what its lines look like, for messages.
        knows: whether a file is of this kind; raises InputError or ConfigError when it is, but cannot be read.
        survey: the first pass. It rejects only what the second pass does not read.
        events: the second pass: events in local time order.
    """

    name: str
    about: str
    knows: Callable[[Head], bool]
    survey: Callable[[Head, Blocks, Reject], Survey]
    events: Callable[[Head, Blocks, Survey, Wanted, Reject], Iterator[MarketEvent]]
