"""Kinds of recording files: what each can tell in a first pass, and how it yields events in the second."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import msgspec

from grinder.feeds.binance import Frames, subject
from grinder.instruments import Instrument
from grinder.types import MarketEvent

Blocks: TypeAlias = Iterable[list[bytes]]
"""The lines of a file, in blocks."""
Reject: TypeAlias = Callable[[int, Exception], None]
"""Told of a line that cannot be used and why: raises InputError, or counts it."""


class Survey(msgspec.Struct):
    """What the first pass finds. Times are the file's own.

    Attributes:
        streams: names of the streams.
        symbols: symbols that have market events.
        instruments: from recorded exchangeInfo.
        first_ns: local time of the first frame; 0 when there is none.
        last_ns: local time of the last frame.
        behind_ns: how far the local clock runs behind the exchange's: the most that any stream frame's event
            time is ahead of its local time; 0 when none is.
        spot: frames are of the spot market.
    """

    streams: set[str] = msgspec.field(default_factory=set)
    symbols: set[str] = msgspec.field(default_factory=set)
    instruments: dict[str, Instrument] = msgspec.field(default_factory=dict)
    first_ns: int = 0
    last_ns: int = 0
    behind_ns: int = 0
    spot: bool = False

    def meet_stream(self, name: str) -> None:
        """Note a stream, and its symbol if it has market events."""
        self.streams.add(name)
        symbol, kind = subject(name)
        if kind:
            self.symbols.add(symbol)


class Layout(msgspec.Struct, frozen=True):
    """A kind of file.

    Attributes:
        name: what it is called in reports.
        about: what its lines look like, for messages.
        knows: whether the first lines of a file (path given for messages) are of this kind; raises InputError when
            they are, but of a venue or version that cannot be read.
        survey: the first pass. It rejects only what the second pass does not read.
        events: the second pass: events in local time order, with the given ns added to each local time.
    """

    name: str
    about: str
    knows: Callable[[str, list[bytes]], bool]
    survey: Callable[[Blocks, Reject], Survey]
    events: Callable[[Blocks, Frames, Survey, int, Reject], Iterator[MarketEvent]]
