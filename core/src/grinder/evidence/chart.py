"""The price line of one symbol as inline SVG, with fills and blocked decisions; bounded in size."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from math import floor, log10
from typing import Final, Generic, TypeVar

from grinder.evidence.text import printable
from grinder.log import utc

T = TypeVar("T")

POINTS: Final = 2000
MARKS: Final = 400

_WIDTH: Final = 1000
_HEIGHT: Final = 300
_RUG: Final = 16
_TICKS: Final = 5


class Thinned(Generic[T]):
    """Keeps an even sample of a stream, at most ``limit`` items, always the same for the same stream."""

    def __init__(self, limit: int) -> None:
        self.items: list[T] = []
        self._limit = limit
        self._step = 1
        self._seen = 0

    def add(self, item: T) -> None:
        """Offer the next item."""
        if self._seen % self._step == 0:
            if len(self.items) == self._limit:
                del self.items[1::2]
                self._step *= 2
            if self._seen % self._step == 0:
                self.items.append(item)
        self._seen += 1

    @property
    def thinned(self) -> bool:
        """Whether items were left out."""
        return self._step > 1


class PriceChart:
    """Collects what is drawn of one symbol while records are streamed."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self._mids: Thinned[tuple[int, float]] = Thinned(POINTS)
        self._blocks: Thinned[tuple[int, str]] = Thinned(MARKS)
        self._fills: Thinned[tuple[int, float, str, str]] = Thinned(MARKS)

    def mid(self, ts_ns: int, mid: float) -> None:
        """The mid price when a decision was made."""
        self._mids.add((ts_ns, mid))

    def block(self, ts_ns: int, reason: str) -> None:
        """A decision that was blocked."""
        self._blocks.add((ts_ns, reason))

    def fill(self, ts_ns: int, price: float, side: str, text: str) -> None:
        """An execution; ``text`` is shown when one points at it."""
        self._fills.add((ts_ns, price, side, text))

    def html(self) -> str:
        """A figure: the line, fills as dots (BUY round, SELL square), blocked decisions as ticks at the foot."""
        name = escape(printable(self.symbol))
        if not self._mids.items:
            return f"<p>{name}: no mid price was known.</p>"
        scale = _Scale(self._mids.items, [(ts, price) for ts, price, _, _ in self._fills.items])
        line = " ".join(scale.at(ts, mid) for ts, mid in self._mids.items)
        ticks = "".join(f"<span>{price:,.{scale.digits}f}</span>" for price in scale.ticks())
        times = "".join(f"<span>{utc(ts, 0)}</span>" for ts in (scale.start, scale.end))
        sampled = any(kept.thinned for kept in (self._mids, self._blocks, self._fills))
        note = "<small>Drawn from an even sample of the records.</small>" if sampled else ""
        return (
            f'<figure><figcaption><b>{name}</b> <span class="buy">&#9679; bought</span> '
            f'<span class="sell">&#9632; sold</span> <span class="block">&#10073; blocked</span>{note}</figcaption>'
            f'<div class="plot"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img" '
            f'aria-label="Mid price of {name}"><polyline class="mid" points="{line}"/>'
            f"{self._rug(scale)}{self._dots(scale)}</svg>"
            f'<div class="prices">{ticks}</div></div><div class="times">{times}</div></figure>'
        )

    def _rug(self, scale: _Scale) -> str:
        ticks: Iterable[str] = (
            f'<path class="block" d="M{scale.x(ts):.1f} {_HEIGHT - _RUG}V{_HEIGHT}">{_title(reason)}</path>'
            for ts, reason in self._blocks.items
        )
        return "".join(ticks)

    def _dots(self, scale: _Scale) -> str:
        # A line of no length with a thick stroke is a dot that keeps its shape however the picture is stretched.
        dots: Iterable[str] = (
            f'<path class="dot {"buy" if side == "BUY" else "sell"}" d="M{scale.at(ts, price)}h0">{_title(text)}</path>'
            for ts, price, side, text in self._fills.items
        )
        return "".join(dots)


class _Scale:
    """From time and price to places in the picture. Fills far off the line do not squeeze it: they are clamped."""

    def __init__(self, mids: list[tuple[int, float]], fills: list[tuple[int, float]]) -> None:
        times = [ts for ts, _ in (*mids, *fills)]
        self.start, self.end = min(times), max(times)
        low, high = min(mid for _, mid in mids), max(mid for _, mid in mids)
        reach = (high - low) or abs(high) * 1e-4
        near = [price for _, price in fills if low - reach <= price <= high + reach]
        self.low, self.high = min(low, *near, low), max(high, *near, high)
        if self.low == self.high:
            self.low, self.high = self.low - reach, self.high + reach

    def x(self, ts: int) -> float:
        """Across, from the first to the last time."""
        return (ts - self.start) / max(self.end - self.start, 1) * _WIDTH

    def at(self, ts: int, price: float) -> str:
        """Across and down; the foot is left to the blocked decisions."""
        share = (self.high - min(max(price, self.low), self.high)) / (self.high - self.low)
        return f"{self.x(ts):.1f},{8 + share * (_HEIGHT - _RUG - 16):.1f}"

    @property
    def digits(self) -> int:
        """Decimals that tell neighbouring prices beside the picture apart."""
        return max(1 - floor(log10(self._step)), 0)

    @property
    def _step(self) -> float:
        return (self.high - self.low) / (_TICKS - 1)

    def ticks(self) -> list[float]:
        """Prices beside the picture, highest first."""
        return [self.high - self._step * place for place in range(_TICKS)]


def _title(text: str) -> str:
    return f"<title>{escape(printable(text))}</title>"
