"""How the account and the market stood as time went by, in a side file: ``timeline.jsonl``.

Records of decisions and fills say what happened; they do not hold equity, positions or the silence of a feed at
regular times. Event time only, so equal runs write equal files.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from grinder.evidence.lines import LineFile, read_lines
from grinder.evidence.recorder import canonical

TIMELINE: Final = "timeline.jsonl"

SAMPLES: Final = 500
"""Samples of a run, as far as its length is known at its start."""
FEWEST: Final = 60
"""Samples of a run of very many symbols."""
ROWS: Final = 20_000
"""Rows of single symbols in all, as far as that leaves ``FEWEST`` samples."""

_SECOND: Final = 1_000_000_000
_STEPS: Final = (1, 2, 5, 10, 20, 50, 100, 150, 300, 600, 1200, 3000, 6000, 9000, 18000, 36000, 72000, 216000, 432000)
"""Tenths of a second that people count in: 0.1 s, 0.2 s, ... 1 s, ... 1 min, ... 12 h."""


class SymbolSample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One symbol at one time.

    Attributes:
        qty: what is held, base units, signed; both legs of a hedge together.
        mid: the mid price; None while unknown.
        gaps: how often the book's sequence has broken so far.
        silence_ms: how long the symbol had said nothing, or a longer silence that ended since the last sample.
        fault: why the data must not be used, as a reason code; empty when it may be.
    """

    qty: Decimal = Decimal(0)
    mid: float | None = None
    gaps: int = 0
    silence_ms: int = 0
    fault: str = ""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One line of ``timeline.jsonl``.

    Attributes:
        equity: balance at the start and ``net``, quote units; None while the venue has not stated its balance.
        net: profit and loss so far, fees taken off, quote units.
        parts: what ``net`` is made of, by name; costs are negative.
        working: orders that may still trade.
        symbols: one entry a symbol.
    """

    ts_ns: int
    equity: Decimal | None = None
    net: Decimal = Decimal(0)
    parts: dict[str, Decimal] = {}
    working: int = 0
    symbols: dict[str, SymbolSample] = {}


decode_sample = msgspec.json.Decoder(Sample).decode
"""A line of ``timeline.jsonl`` as a :class:`Sample`; raises msgspec.DecodeError if it is not one."""


def interval_ns(span_ns: int, symbols: int) -> int:
    """Time between samples of a run of this length, so that it has at most ``SAMPLES`` of them, and bounded rows."""
    wanted = span_ns / max(min(SAMPLES, ROWS // max(symbols, 1)), FEWEST)
    fitting = (step * _SECOND // 10 for step in _STEPS if step * _SECOND // 10 >= wanted)
    day = 86_400 * _SECOND
    return next(fitting, -(-int(wanted) // day) * day)


class Timeline:
    """Writes ``timeline.jsonl``. Each sample is handed to the operating system at once: they are few.

    Should a run last longer than it seemed at its start, the interval doubles each time the file has ``SAMPLES``
    more samples: it grows with the logarithm of time.

    Args:
        out: the run's directory.
        every_ns: time between samples.
        keep: continue the file of a run that is resumed instead of replacing it.

    Attributes:
        every_ns: time between samples, as it is now.
    """

    def __init__(self, out: Path, every_ns: int, *, keep: bool = False) -> None:
        self.every_ns = every_ns
        self._path = out / TIMELINE
        self._file = LineFile(self._path, keep=keep)
        self._room = SAMPLES + 1

    def add(self, sample: Sample) -> None:
        """Write one sample."""
        self._file.append(canonical(sample))
        self._file.flush()
        self._room -= 1
        if not self._room:
            self._room = SAMPLES
            self.every_ns *= 2

    def restore(self, until_ns: int) -> None:
        """Keep what earlier processes wrote up to a time; what comes after it is going to happen again."""
        self._file.restore(_up_to(self._path, until_ns))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def error(self) -> str:
        """Why lines wait or are lost; empty when all is well."""
        return self._file.error


def _up_to(path: Path, until_ns: int) -> Iterator[bytes]:
    for _, line, ended in read_lines(path):
        try:
            if ended and decode_sample(line).ts_ns <= until_ns:
                yield line
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue  # a line that a crash left behind; there is nothing to rebuild it from
