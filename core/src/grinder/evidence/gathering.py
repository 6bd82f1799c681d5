"""One pass over the files of a run's directory: what reports and comparisons are made of, bounded in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from grinder.errors import ConfigError, InputError
from grinder.evidence.examples import Examples
from grinder.evidence.explain import DecisionRow, decode_decision, wanted
from grinder.evidence.fills import FillRow, decode_fill
from grinder.evidence.markouts import MARKOUTS, MarkoutHead
from grinder.evidence.reading import readable
from grinder.evidence.recorder import DECISIONS, FILLS
from grinder.evidence.series import AccountSeries, SymbolSeries, Trade, drawable
from grinder.evidence.summary import SUMMARY, Summary, read_summary
from grinder.evidence.tally import NAMES, Tally
from grinder.evidence.thinning import Bins
from grinder.evidence.timeline import TIMELINE, Sample, decode_sample
from grinder.log import utc
from grinder.settings.saved import SETTINGS, read_saved

T = TypeVar("T")

CHARTS: Final = 6
"""Symbols that are drawn."""
PROBLEMS: Final = 20


_decode_markout = msgspec.json.Decoder(MarkoutHead).decode


class Gathered:
    """What the files of a run say.

    Attributes:
        summary: its figures; made from the records where ``summary.json`` is missing or no summary.
        complete: whether they come from ``summary.json``.
        problems: what is missing or cannot be read, in sentences.
        corrupt: the first thing that cannot be read though it was written to its end; None when all is well.
        first_ns: event time of the first record, and ``last_ns`` of the last; 0 when there is none.
        settings: what the settings made the run do, by dotted key.
        why: orders to place or amend by the reason why they were not sent, over time; ``who`` by what stopped them.
            Sent ones count under an empty name.
    """

    def __init__(self, out: Path) -> None:
        self.problems: list[str] = []
        self.corrupt: InputError | None = None
        self.symbols: dict[str, SymbolSeries] = {}
        self.not_drawn: set[str] = set()
        self.account = AccountSeries()
        self.why, self.who = Bins(), Bins()
        self.examples = Examples()
        self.first_ns = self.last_ns = 0
        self.samples = 0
        self._sampled_ns = 0
        self._tally = Tally()
        self._out = out
        self._read()

    def _read(self) -> None:
        written = self._summary()
        for row, line in self._rows(DECISIONS, decode_decision):
            self._decision(row, line)
        self.examples.choose()
        for fill, line in self._rows(FILLS, decode_fill):
            self._fill(fill, line)
        for head, line in self._rows(MARKOUTS, _decode_markout):
            example = self.examples.chosen.get(head.id)
            if example is not None:
                example.markout = msgspec.json.decode(line)
        for sample, _ in self._rows(TIMELINE, decode_sample):
            self._sample(sample)
        self.settings = self._settings()
        self.complete = written is not None
        self.summary = written or self._tally.summary(self._out.name, self.account.last)

    def _summary(self) -> Summary | None:
        try:
            summary = read_summary(self._out)
        except InputError as error:
            self._refuse(error)
            return None
        if not sensible(summary):
            self._refuse(InputError(str(self._out / SUMMARY), 0, "holds figures that no run has; run again"))
            return None
        if summary is None:
            self._note(f"{SUMMARY} is missing (the run has not ended?); figures are counted from the records.")
        return summary

    def _refuse(self, error: InputError) -> None:
        self._note(f"{SUMMARY} is not a readable summary; figures are counted from the records.")
        self.corrupt = self.corrupt or error

    def _settings(self) -> dict[str, Any]:
        path = self._out / SETTINGS
        try:
            return read_saved(path).dotted()
        except ConfigError:
            self._note(f"{SETTINGS} is missing: settings are not shown.")
        except InputError as error:
            self._note(f"{SETTINGS} cannot be read; settings are not shown.")
            self.corrupt = self.corrupt or error
        return {}

    def _rows(self, name: str, decode: Callable[[bytes], T]) -> Iterator[tuple[T, bytes]]:
        unreadable, cut = 0, False

        def checked(line: bytes) -> T:
            row = decode(line)
            _check_time(getattr(row, "ts_ns", 0))
            return row

        def damage(number: int, error: Exception, ended: bool) -> None:
            nonlocal unreadable, cut
            unreadable, cut = unreadable + ended, cut or not ended
            if ended:
                self.corrupt = self.corrupt or InputError(
                    str(self._out / name), number, f"is corrupt ({error}); the report leaves it out"
                )

        try:
            yield from readable(self._out / name, checked, damage)
        except FileNotFoundError:
            self._note(f"{name} is missing: what it holds is not shown.")
        except OSError as error:
            self._note(f"{name} cannot be read: {error.strerror}.")
        if unreadable:
            self._note(f"{unreadable:,} lines of {name} are corrupt and left out.")
        if cut:
            self._note(f"The last line of {name} is cut off and left out (is the run still writing?).")

    def _note(self, problem: str) -> None:
        if len(self.problems) < PROBLEMS:
            self.problems.append(problem)

    def _at(self, ts_ns: int) -> None:
        self.first_ns = min(self.first_ns or ts_ns, ts_ns)
        self.last_ns = max(self.last_ns, ts_ns)

    def _of(self, symbol: str) -> SymbolSeries | None:
        series = self.symbols.get(symbol)
        if series is None and len(self.symbols) < CHARTS:
            series = self.symbols[symbol] = SymbolSeries(symbol)
        elif series is None and len(self.not_drawn) < NAMES:
            self.not_drawn.add(symbol)
        return series

    def _decision(self, row: DecisionRow, line: bytes) -> None:
        self._at(row.ts_ns)
        self._tally.decided(row)
        sent = row.outcome == "allowed"
        if row.order.kind != "CANCEL":
            self.why.add(row.ts_ns, "" if sent else row.reason or "no reason")
            self.who.add(row.ts_ns, "" if sent else row.by or "nobody")
        self.examples.offer(row, line)
        series = self._of(row.order.symbol)
        if series is not None:
            series.decided(row.ts_ns, row.mid)
            if not sent:
                reason = row.reason or "no reason"
                series.blocks.add(row.ts_ns, reason, f"{utc(row.ts_ns)[11:]} {wanted(row.order)}: {reason}")

    def _fill(self, fill: FillRow, line: bytes) -> None:
        self._at(fill.ts_ns)
        self._tally.filled(fill)
        example = self.examples.chosen.get(fill.intent_id)
        if example is not None:
            example.fill(line)
        series, price = self._of(fill.symbol), drawable(fill.price)
        if series is not None and price is not None:
            series.traded(Trade(fill.ts_ns, price, fill.shape, fill.told), by_venue=bool(fill.cause))

    def _sample(self, sample: Sample) -> None:
        before = self._sampled_ns or (self.first_ns and min(self.first_ns, sample.ts_ns)) or sample.ts_ns
        if sample.ts_ns < before:
            return  # never written by a run; time does not go back
        self._at(sample.ts_ns)
        self._sampled_ns = sample.ts_ns
        self.samples += 1
        self.account.sampled(sample)
        for symbol, state in sample.symbols.items():
            series = self._of(symbol)
            if series is not None:
                series.sampled(sample.ts_ns, before, state)


def _check_time(ts_ns: int) -> None:
    """Refuse times before the epoch and beyond the year 2262: no run has them, and no picture could show them."""
    if not 0 <= ts_ns < 1 << 63:
        raise msgspec.DecodeError(f"ts_ns {ts_ns} is out of range")


def sensible(value: Any) -> bool:
    """Whether every number in a summary is one that can be shown and computed with."""
    if isinstance(value, msgspec.Struct):
        return all(sensible(each) for each in msgspec.structs.astuple(value))
    if isinstance(value, dict):
        return all(sensible(each) for each in value.values())
    if isinstance(value, tuple):
        return all(sensible(each) for each in value)
    if isinstance(value, int):
        return abs(value) < 1 << 63
    return not isinstance(value, float | Decimal) or drawable(value) is not None
