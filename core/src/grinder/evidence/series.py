"""What a report draws of one symbol and of the account, collected while records stream by; bounded in size."""

from __future__ import annotations

from decimal import Decimal
from math import isfinite
from typing import Final, NamedTuple

from grinder.evidence.spans import Spans
from grinder.evidence.thinning import Thinned
from grinder.evidence.timeline import Sample, SymbolSample

POINTS: Final = 600
MARKS: Final = 200
BLOCKS: Final = 400
STRETCHES: Final = 400

_LARGEST: Final = 1e18


def drawable(value: Decimal | float | None) -> float | None:
    """A value as a picture can show it; None for what is no number of a sensible size."""
    if value is None or (isinstance(value, Decimal) and not value.is_finite()):
        return None
    plain = float(value)
    return plain if isfinite(plain) and abs(plain) < _LARGEST else None


class Trade(NamedTuple):
    """An execution as it is drawn: the shape of its mark, and the text that it shows."""

    ts_ns: int
    price: float
    shape: str
    text: str


class SymbolSeries:
    """One symbol: its price, its fills and blocked orders, its position, its feed.

    Attributes:
        mids: (ns, mid price), from decisions and from the timeline.
        held: (ns, position).
        silence: (ns, seconds without an event).
        blocks: when orders were not sent, by reason.
        fills: executions of orders.
        closures: executions with which the venue itself closed a position: few, and never left out for the others.
        states: (from ns, to ns, reason code or nothing) of the feed, each as long as it lasted; a gap that was healed
            by the time of the next sample shows as one.
        gaps: of the book's sequence.
        silence_ms_max: longest silence sampled.
        unusable_ns: time in which the data must not be used, as far as samples tell.
        sampled_ns: time that samples cover.
    """

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self._mids: tuple[Thinned[tuple[int, float]], ...] = (Thinned(POINTS), Thinned(POINTS))
        self.held: Thinned[tuple[int, float]] = Thinned(POINTS)
        self.silence: Thinned[tuple[int, float]] = Thinned(POINTS)
        self.blocks = Spans(BLOCKS)
        self.fills: Thinned[Trade] = Thinned(MARKS)
        self.closures: Thinned[Trade] = Thinned(MARKS)
        self.states: list[tuple[int, int, str]] = []
        self.states_left_out = 0
        self.gaps = 0
        self.silence_ms_max = 0
        self.unusable_ns = 0
        self.sampled_ns = 0

    @property
    def mids(self) -> list[tuple[int, float]]:
        """The mid price over time."""
        return sorted({point for kept in self._mids for point in kept.line})

    @property
    def thinned(self) -> bool:
        """Whether the picture leaves records out."""
        return any((*(kept.thinned for kept in self._mids), self.fills.thinned, self.closures.thinned))

    def decided(self, ts_ns: int, mid: float | None) -> None:
        """The mid price that a decision saw."""
        value = drawable(mid)
        if value:
            self._mids[0].add((ts_ns, value))

    def traded(self, trade: Trade, *, by_venue: bool) -> None:
        """An execution."""
        (self.closures if by_venue else self.fills).add(trade)

    def sampled(self, ts_ns: int, before_ns: int, sample: SymbolSample) -> None:
        """The symbol at the time of a sample; the one before it was at ``before_ns``."""
        mid, held = drawable(sample.mid), drawable(sample.qty)
        if mid:
            self._mids[1].add((ts_ns, mid))
        if held is not None:
            self.held.add((ts_ns, held))
        self.silence.add((ts_ns, min(max(sample.silence_ms, 0) / 1000, _LARGEST)))
        broke = sample.gaps > self.gaps
        self.gaps = sample.gaps
        self.silence_ms_max = max(self.silence_ms_max, sample.silence_ms)
        self.sampled_ns += ts_ns - before_ns
        self.unusable_ns += ts_ns - before_ns if sample.fault else 0
        self._state(before_ns, ts_ns, sample.fault or ("MARKET_GAP" if broke else ""))

    def _state(self, start: int, end: int, fault: str) -> None:
        if self.states and self.states[-1][2] == fault and self.states[-1][1] >= start:
            self.states[-1] = (self.states[-1][0], end, fault)
        elif len(self.states) < STRETCHES:
            self.states.append((start, end, fault))
        else:
            self.states_left_out += 1


class AccountSeries:
    """The account: equity, and how far it fell from its highest.

    Attributes:
        equity: (ns, equity), once the balance is known.
        drawdown: (ns, equity less its highest so far), zero or below.
        parts: (ns, value) by name, of what profit and loss is made of.
        deepest: the largest fall, zero or above, and the highest before it.
        start: equity before the first fill; None while the balance is not known.
        last: the last sample.
    """

    def __init__(self) -> None:
        self.equity: Thinned[tuple[int, float]] = Thinned(POINTS)
        self.drawdown: Thinned[tuple[int, float]] = Thinned(POINTS)
        self.parts: dict[str, Thinned[tuple[int, float]]] = {}
        self.deepest = (0.0, 0.0)
        self.start: float | None = None
        self.last: Sample | None = None
        self._highest = 0.0

    def sampled(self, sample: Sample) -> None:
        """The account at the time of a sample."""
        self.last = sample
        value = drawable(sample.equity)
        net = drawable(sample.net)
        if value is None or net is None:
            return
        if self.start is None:
            self.start = self._highest = value - net
        self._highest = max(self._highest, value)
        fall = self._highest - value
        if fall > self.deepest[0]:
            self.deepest = (fall, self._highest)
        self.equity.add((sample.ts_ns, value))
        self.drawdown.add((sample.ts_ns, 0.0 - fall))
        for name, amount in sample.parts.items():
            part = drawable(amount)
            if part is not None and (name in self.parts or len(self.parts) < 8):
                self.parts.setdefault(name, Thinned(POINTS)).add((sample.ts_ns, part))
