"""From times and values to places in a picture, and the round numbers beside it."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, floor, log10
from typing import Final

from grinder.log import utc

WIDTH: Final = 1000
"""Pictures are this wide and this high inside, whatever they measure on a screen."""

_SECOND: Final = 1_000_000_000
_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_TIMES: Final = 6
_VALUES: Final = 4
_DAY: Final = 86_400


class TimeAxis:
    """The time that a picture shows.

    Args:
        start: first time, ns.
        end: last time, ns.
        relative: times are counted from the start of something; else since the Unix epoch.
    """

    def __init__(self, start: int, end: int, *, relative: bool = False) -> None:
        self.start = start
        self.end = max(end, start + 1)
        self.relative = relative

    def x(self, ts: int) -> float:
        """Across, 0 to 1000; times outside are set to the edge."""
        return min(max((ts - self.start) / (self.end - self.start), 0.0), 1.0) * WIDTH

    def ticks(self) -> list[tuple[float, str]]:
        """Where round times are, and their names."""
        span = (self.end - self.start) / _SECOND
        wanted = span / _TIMES
        step = next((s for s in _STEPS if s >= wanted), ceil(wanted / _DAY) * _DAY) * _SECOND
        if wanted < _STEPS[0] / 2:
            step = max(int(_round_up(wanted * _SECOND)), 1)
        first = -(-self.start // step)
        last = self.end // step
        return [(self.x(n * step), self.name(n * step, step)) for n in range(first, last + 1)]

    def name(self, ts: int, step: int) -> str:
        """A time as it stands under a picture whose ticks are ``step`` ns apart."""
        if self.relative:
            seconds, rest = divmod(ts, _SECOND)
            text = f"+{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
            return text if step >= _SECOND else f"{text}.{rest // 100_000_000}"
        text = utc(ts, 1)
        if step >= _DAY * _SECOND:
            return text[:10]
        return text[11:16] if step >= 60 * _SECOND else text[11:19] if step >= _SECOND else text[11:21]


class ValueAxis:
    """The values that a picture shows.

    Args:
        values: all that must be inside.
        zero: zero must be inside as well.
    """

    def __init__(self, values: Iterable[float], *, zero: bool = False) -> None:
        known = [*values, *([0.0] if zero else [])] or [0.0]
        low, high = min(known), max(known)
        if low == high:
            reach = abs(high) * 1e-4 or 1.0
            low, high = (low, high + reach) if zero and low >= 0 else (low - reach, high + reach)
        self.step = _round_up((high - low) / _VALUES)
        edge = (high - low) * 0.04
        self.low = low if zero and low == 0 else low - edge
        self.high = high if zero and high == 0 else high + edge

    def y(self, value: float) -> float:
        """Down, 0 to 1000; values outside are set to the edge."""
        return min(max((self.high - value) / (self.high - self.low), 0.0), 1.0) * WIDTH

    @property
    def digits(self) -> int:
        """Decimals that tell neighbouring ticks apart."""
        return min(max(-floor(log10(self.step) + 1e-9), 0), 12)

    def ticks(self) -> list[tuple[float, str]]:
        """Where round values are, and their names, lowest first."""
        first, last = ceil(self.low / self.step - 1e-9), floor(self.high / self.step + 1e-9)
        values = (n * self.step for n in range(first, min(last, first + 20) + 1))
        return [(self.y(value), f"{value + 0.0:,.{self.digits}f}".replace("-", "\N{MINUS SIGN}")) for value in values]


def _round_up(wanted: float) -> float:
    """The next number of the kind 1, 2 or 5 times a power of ten."""
    power = 10.0 ** floor(log10(wanted)) if wanted > 0 else 1.0
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= wanted * (1 - 1e-9))
