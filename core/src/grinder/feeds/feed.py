"""What a feed is: market events in local time order, and what they come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import msgspec

from grinder.instruments import Instrument
from grinder.types import MarketEvent


class InputInfo(msgspec.Struct, frozen=True):
    """One recording, as evidence of what a run has read.

    Attributes:
        path: the file, as it was named.
        format: market and kind of file, for instance ``binance-usdm capture``.
        sha256: of the file's bytes.
        first_ns: local time of the first frame, shift included; 0 where there are only venue rules.
        last_ns: local time of the last frame, shift included.
        clock_shift_ns: added to every local time, so that nothing arrives before it happened.
        lines: whole lines in the file.
    """

    path: str
    format: str
    sha256: str
    first_ns: int
    last_ns: int
    clock_shift_ns: int
    lines: int


class Feed(Protocol):
    """Market events in local time order. Iterating again starts over.

    Attributes:
        inputs: the files; empty for a synthetic feed.
        symbols: what it has events of, sorted.
        markets: where each of ``symbols`` is traded, for instance ``binance-usdm``.
        instruments: venue rules by symbol, for each of ``symbols``.
        first_ns: local time of the first event.
        last_ns: local time of the last event.
        skipped: input that was left out because it was damaged, by kind; only a tolerant feed has any.
        ignored: sound input that holds no market event, or none that was asked for, by name.
    """

    @property
    def inputs(self) -> tuple[InputInfo, ...]: ...  # noqa: D102 - the class docstring says it
    @property
    def symbols(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def markets(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def instruments(self) -> Mapping[str, Instrument]: ...  # noqa: D102
    @property
    def first_ns(self) -> int: ...  # noqa: D102
    @property
    def last_ns(self) -> int: ...  # noqa: D102
    @property
    def skipped(self) -> Mapping[str, int]: ...  # noqa: D102
    @property
    def ignored(self) -> Mapping[str, int]: ...  # noqa: D102

    def __iter__(self) -> Iterator[MarketEvent]:
        """The events.

        Raises:
            InputError: the input is damaged and the feed is strict.
        """
        ...

    def close(self) -> None:
        """Release memory and files; the feed cannot be iterated afterwards."""
        ...
