"""Pictures over time as inline SVG that fits any width: lines, areas, stacked bars, marks, and strips of states.

What is drawn stretches with the page; texts and marks do not, since they stand in SVG without a view box and are
placed by percentages. The values are beside each line, for the read-out that the page's script makes of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from grinder.evidence.axis import WIDTH, TimeAxis, ValueAxis
from grinder.evidence.page import e

COLOURS: Final = 8
"""Colours of series; more take them in turn."""
Point = tuple[int, float]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One series. A value holds until the next one when ``step`` is set; ``fill`` is the value to fill towards."""

    name: str
    style: str
    points: Sequence[Point]
    step: bool = False
    fill: float | None = None


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened: at a value, or (without one) at the foot. ``text`` is shown when it is pointed at.

    With ``until_ns`` it is a band at the foot that lasts until then.
    """

    ts_ns: int
    shape: str
    text: str
    value: float | None = None
    until_ns: int | None = None


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """A picture of lines and marks on a common time axis.

    Attributes:
        title: what it shows.
        unit: of its values, such as ``s``; empty for quote units and prices. One of a single letter stands at the axis.
        digits: decimals of the read-out.
        legend: (style, name) of what is not a line.
        note: a sentence below the title.
        zero: whether the picture reaches down to zero.
        low: whether it is a low picture.
    """

    title: str
    lines: Sequence[Line]
    marks: Sequence[Mark] = ()
    unit: str = ""
    digits: int = 2
    legend: Sequence[tuple[str, str]] = ()
    note: str = ""
    zero: bool = False
    low: bool = False

    def html(self, axis: TimeAxis) -> str:
        """The figure."""
        values = ValueAxis((v for line in self.lines for _, v in line.points), zero=self.zero)
        drawn = "".join(_line(line, axis, values) for line in self.lines)
        marks = "".join(_mark(mark, axis, values) for mark in self.marks)
        keys = [(line.style, line.name) for line in self.lines] if len(self.lines) > 1 or self.legend else []
        return figure(
            self.title,
            f"{_stretched(drawn)}{marks}",
            axis,
            ticks=[(y, f"{text} {self.unit}" if len(self.unit) == 1 else text) for y, text in values.ticks()],
            keys=[*keys, *self.legend],
            note=self.note,
            label=self._label(),
            digits=self.digits,
            unit=self.unit,
            low=self.low,
        )

    def _label(self) -> str:
        """What somebody who does not see the picture should know of it."""
        parts = []
        for line in self.lines:
            if line.points:
                values = [value for _, value in line.points]
                ends = (values[0], values[-1], min(values), max(values))
                first, last, low, high = (f"{value:,.{self.digits}f}" for value in ends)
                parts.append(
                    f"{line.name}: from {first} to {last}, between {low} and {high}{self.unit and ' '}{self.unit}"
                )
        return f"{self.title}. {'; '.join(parts)}."


class Bars(msgspec.Struct, frozen=True, kw_only=True):
    """Bars over time, of parts that stand on one another.

    Attributes:
        title: what they show.
        start: of the first bar, ns.
        width: of each bar, ns.
        parts: name and values of each part (at least one), one value a bar, as shares of one. The place of a part is
            its colour; one that has no bar is not in the legend.
        note: a sentence below the title.
    """

    title: str
    start: int
    width: int
    parts: Sequence[tuple[str, Sequence[float]]]
    note: str = ""

    def html(self, axis: TimeAxis) -> str:
        """The figure."""
        height = max((sum(bar) for bar in zip(*(v for _, v in self.parts), strict=True)), default=0.0)
        top = next((share for share in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if height <= share), 1.0)
        edges = [axis.x(self.start + n * self.width) for n in range(len(self.parts[0][1]) + 1)]
        below = [0.0] * len(self.parts[0][1])
        drawn = []
        for place, (name, shares) in enumerate(self.parts):
            times = " ".join(f"{(left + right) / 2:.0f}" for left, right in pairwise(edges))
            values = " ".join(f"{100 * share:.4g}" for share in shares)
            path = "".join(_bars([(b / top, s / top) for b, s in zip(below, shares, strict=True)], edges))
            drawn.append(
                f'<path class="bar c{place % COLOURS}" data-name="{e(name)}" data-x="{times}" data-v="{values}" '
                f'd="{path}"/>'
            )
            below = [b + s for b, s in zip(below, shares, strict=True)]
        return figure(
            self.title,
            _stretched("".join(drawn)),
            axis,
            ticks=[(WIDTH * (1 - n / 4), f"{100 * top * n / 4:g}%") for n in range(5)],
            keys=[(f"c{place % COLOURS}", name) for place, (name, shares) in enumerate(self.parts) if any(shares)],
            note=self.note,
            label=f"{self.title}. Highest {100 * height:.1f} per cent.",
            digits=1,
            unit="%",
        )


def _bars(parts: Iterable[tuple[float, float]], edges: Sequence[float]) -> Iterator[str]:
    """Boxes between the edges: each from where it stands, as high as it is, both as shares of the picture."""
    for (foot, height), (left, right) in zip(parts, pairwise(edges), strict=True):
        if height:
            end = max(right - min((right - left) * 0.12, 1.5), left)
            yield f"M{left:.1f} {WIDTH * (1 - foot - height):.1f}H{end:.1f}v{WIDTH * height:.1f}H{left:.1f}z"


class Strip(msgspec.Struct, frozen=True, kw_only=True):
    """The state of something over time: (from ns, to ns, style, name) of each stretch."""

    name: str
    stretches: Sequence[tuple[int, int, str, str]]


def strips(title: str, rows: Sequence[Strip], axis: TimeAxis, *, note: str = "") -> str:
    """A figure of one strip below another."""
    seen = {(style, name): None for row in rows for _, _, style, name in row.stretches}
    body = "".join(
        f'<div class="strip"><span>{e(row.name)}</span><svg viewBox="0 0 {WIDTH} 10" preserveAspectRatio="none" '
        f'role="img" aria-label="{e(_states(row))}">{_stretches(row, axis)}</svg></div>'
        for row in rows
    )
    return f'<figure class="strips">{_caption(title, list(seen), note)}{body}</figure>'


def figure(
    title: str,
    body: str,
    axis: TimeAxis,
    *,
    ticks: Sequence[tuple[float, str]],
    keys: Sequence[tuple[str, str]],
    note: str,
    label: str,
    digits: int,
    unit: str,
    low: bool = False,
) -> str:
    """A picture in its frame: caption, lines at round values, their names beside it, times below it."""
    names = axis.ticks()
    grid = [f'<line class="grid" x1="0" x2="100%" y1="{y / 10:.2f}%" y2="{y / 10:.2f}%"/>' for y, _ in ticks]
    grid += [f'<line class="grid" y1="0" y2="100%" x1="{x / 10:.2f}%" x2="{x / 10:.2f}%"/>' for x, _ in names]
    beside = "".join(f'<text x="0" y="{y / 10:.2f}%" dy=".32em">{e(text)}</text>' for y, text in ticks)
    below = "".join(_time(n, x, text) for n, (x, text) in enumerate(names))
    return (
        f'<figure data-start="{axis.start}" data-end="{axis.end}" data-digits="{digits}" data-unit="{e(unit)}"'
        f"{' data-relative' if axis.relative else ''}>{_caption(title, keys, note)}"
        f'<div class="frame{" low" if low else ""}"><svg class="plot" role="img" aria-label="{e(label)}">'
        f'{"".join(grid)}{body}<line class="cross" y1="0" y2="100%" x1="0" x2="0"/></svg>'
        f'<svg class="beside" aria-hidden="true">{beside}</svg>'
        f'<svg class="below" aria-hidden="true">{below}</svg></div></figure>'
    )


def _caption(title: str, keys: Sequence[tuple[str, str]], note: str) -> str:
    legend = "".join(
        f'<span class="key"><svg class="{e(style)}" aria-hidden="true" viewBox="0 0 12 12">{_swatch(style)}</svg>'
        f"{e(name)}</span>"
        for style, name in keys
    )
    about = f"<small>{e(note)}</small>" if note else ""
    return f'<figcaption><b>{e(title)}</b>{legend}{about}<output aria-live="off"></output></figcaption>'


def _swatch(style: str) -> str:
    if style in SHAPES:
        return f'<use href="#{style}" x="6" y="6"/>'
    return '<rect width="12" height="12" rx="2"/>'


def _stretched(drawn: str) -> str:
    box = f'viewBox="0 0 {WIDTH} {WIDTH}" preserveAspectRatio="none" width="100%" height="100%"'
    return f'<svg class="in" {box}>{drawn}</svg>'


def _line(line: Line, axis: TimeAxis, values: ValueAxis) -> str:
    places = [(axis.x(ts), values.y(value)) for ts, value in line.points]
    if not places:
        return ""
    path = "".join(_segments(places, step=line.step))
    area = ""
    if line.fill is not None:
        foot = values.y(line.fill)
        area = f'<path class="area {line.style}" d="{path}V{foot:.1f}H{places[0][0]:.1f}z"/>'
    times = " ".join(f"{x:.0f}" for x, _ in places)
    shown = " ".join(f"{value:.10g}" for _, value in line.points)
    return (
        f'{area}<path class="line {line.style}" data-name="{e(line.name)}" data-x="{times}" data-v="{shown}"'
        f'{" data-step" if line.step else ""} d="{path}"/>'
    )


def _segments(places: Iterable[Point | tuple[float, float]], *, step: bool) -> Iterator[str]:
    join: Callable[[float, float], str] = (
        (lambda x, y: f"H{x:.1f}V{y:.1f}") if step else (lambda x, y: f"L{x:.1f} {y:.1f}")
    )
    for n, (x, y) in enumerate(places):
        yield join(x, y) if n else f"M{x:.1f} {y:.1f}"


SHAPES: Final = ("buy-maker", "buy-taker", "sell-maker", "sell-taker", "closed", "stop")
"""Marks that the page defines."""


_THINNEST: Final = 0.15
"""Width of the thinnest band, in per cent of the picture."""


def _mark(mark: Mark, axis: TimeAxis, values: ValueAxis) -> str:
    if mark.until_ns is not None:
        left, right = axis.x(mark.ts_ns) / 10, axis.x(mark.until_ns) / 10
        return (
            f'<rect class="band {mark.shape}" x="{left:.2f}%" width="{max(right - left, _THINNEST):.2f}%" y="100%" '
            f'height="9"><title>{e(mark.text)}</title></rect>'
        )
    y = "100%" if mark.value is None else f"{values.y(mark.value) / 10:.2f}%"
    return (
        f'<use class="{mark.shape}" href="#{mark.shape}" x="{axis.x(mark.ts_ns) / 10:.2f}%" y="{y}">'
        f"<title>{e(mark.text)}</title></use>"
    )


def _time(place: int, x: float, text: str) -> str:
    anchor = "start" if x < WIDTH * 0.05 else "end" if x > WIDTH * 0.95 else "middle"
    return f'<text{" class=odd" if place % 2 else ""} x="{x / 10:.2f}%" y="1em" text-anchor="{anchor}">{e(text)}</text>'


def _stretches(row: Strip, axis: TimeAxis) -> str:
    drawn = []
    for start, end, style, name in row.stretches:
        left, right = axis.x(start), axis.x(end)
        place = f'x="{left:.1f}" width="{max(right - left, 1):.1f}" height="10"'
        drawn.append(f'<rect class="{e(style)}" {place}><title>{e(name)}</title></rect>')
    return "".join(drawn)


def _states(row: Strip) -> str:
    lasting: dict[str, int] = {}
    for start, end, _, name in row.stretches:
        lasting[name] = lasting.get(name, 0) + end - start
    return f"{row.name}: " + ", ".join(f"{name} for {ns / 1e9:,.0f} s" for name, ns in lasting.items())
