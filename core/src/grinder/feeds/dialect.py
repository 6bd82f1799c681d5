"""What a client session of one venue means: the part of reading sessions that differs from venue to venue."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from grinder.feeds.layout import Survey, Wanted
from grinder.feeds.records import Record
from grinder.instruments import Instrument
from grinder.types import MarketEvent

Fold: TypeAlias = Callable[[Record], tuple[int, Sequence[MarketEvent]]]
"""Local time and events of a record; no event where it holds none that is wanted. Raises ValueError."""


class Dialect(msgspec.Struct, frozen=True):
    """A venue's sessions.

    Attributes:
        market: what they hold, for instance ``binance-usdm``.
        rules: last part of the path of the request whose answer holds the venue's rules.
        instruments: the rules in such an answer; raises ValueError.
        survey: the first pass over any other record; raises ValueError where it is unusable.
        fold: makes what reads records in the second pass.
    """

    market: str
    rules: str
    instruments: Callable[[Record], Mapping[str, Instrument]]
    survey: Callable[[Record, Survey], None]
    fold: Callable[[Survey, Wanted], Fold]
