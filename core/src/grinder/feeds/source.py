"""What a feed is merged from: recordings of any form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final, Protocol

from grinder.feeds.feed import InputInfo
from grinder.instruments import Instrument
from grinder.types import MarketEvent

MANIFEST: Final = "recording.json"
"""What a directory that is a recording has in it."""


def is_recording(path: Path) -> bool:
    """Whether a path is a directory that is a recording."""
    try:
        return (path / MANIFEST).is_file()
    except OSError:
        return False


class Source(Protocol):
    """A recording that has been surveyed.

    Attributes:
        info: what a run reports of it.
        markets: market by symbol, for instance ``binance-usdm``, for each symbol that it has events of.
        tells: what it tells of which symbol, as ``btcusdt@trade``; empty where nothing can be told twice.
        rules: recorded venue rules by symbol, for each market.
        damage: what the first pass could not use, by kind.
    """

    @property
    def info(self) -> InputInfo: ...  # noqa: D102 - the class docstring says it
    @property
    def markets(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def tells(self) -> AbstractSet[str]: ...  # noqa: D102
    @property
    def rules(self) -> Mapping[str, Mapping[str, Instrument]]: ...  # noqa: D102
    @property
    def damage(self) -> Mapping[str, int]: ...  # noqa: D102

    def events(self, symbols: Collection[str], skipped: Counter[str], ignored: Counter[str]) -> Iterator[MarketEvent]:
        """Events of the symbols in local time order; what is left out is counted.

        Raises:
            InputError: something is damaged and the recording is not read tolerantly.
        """
        ...

    def forget(self, symbols: Collection[str]) -> None:
        """Treat symbols as damage: a spoilt stream name looks like one."""
        ...

    def release(self) -> None:
        """Give memory back."""
        ...
