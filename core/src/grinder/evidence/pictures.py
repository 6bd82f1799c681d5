"""The pictures of a run, from what was gathered of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from grinder.evidence.axis import TimeAxis
from grinder.evidence.chart import Bars, Chart, Line, Mark, Strip, strips
from grinder.evidence.gathering import Gathered
from grinder.evidence.page import e
from grinder.evidence.series import BLOCKS, AccountSeries, SymbolSeries
from grinder.evidence.spans import Span
from grinder.evidence.text import cash
from grinder.evidence.thinning import Bins
from grinder.log import utc

_MARKS: Final = (
    ("buy-taker", "bought as taker"),
    ("buy-maker", "as maker"),
    ("sell-taker", "sold as taker"),
    ("sell-maker", "as maker"),
    ("closed", "closed by the venue"),
    ("stop", "not sent"),
)
_STATES: Final = {
    "": ("good", "usable"),
    "MARKET_STALE": ("stale", "stale"),
    "MARKET_GAP": ("gap", "gap"),
    "INPUT_MISSING": ("missing", "no price"),
    "INPUT_NONFINITE": ("missing", "no price"),
}
_LARGEST_PARTS: Final = 7


def prices(gathered: Gathered, axis: TimeAxis) -> Iterator[str]:
    """For each symbol its price with fills and blocked orders, and below it the position."""
    for series in gathered.symbols.values():
        yield f'<div class="pair">{_price(series, axis)}{_position(series, axis)}</div>'
    if not gathered.symbols:
        yield '<p class="none">No decision was made.</p>'
    if gathered.not_drawn:
        yield f'<p class="none">Not drawn: {e(", ".join(sorted(gathered.not_drawn)))}.</p>'


def _price(series: SymbolSeries, axis: TimeAxis) -> str:
    mids = series.mids
    if not mids:
        return f'<p class="none">{e(series.symbol)}: no mid price was known.</p>'
    digits = max((len(f"{mid:.8f}".rstrip("0").partition(".")[2]) for _, mid in mids[:50]), default=2)
    near = _reach([mid for _, mid in mids])
    marks = [_stopped(span) for span in series.blocks.merged((axis.end - axis.start) // (BLOCKS // 2))]
    lines = [Line(name="mid", style="mid", points=mids)]
    for trade in (*series.fills.items, *series.closures.items):
        value = min(max(trade.price, near[0]), near[1])
        marks.append(Mark(ts_ns=trade.ts_ns, shape=trade.shape, text=trade.text, value=value))
    used = {mark.shape for mark in marks}
    return Chart(
        title=series.symbol,
        lines=lines,
        marks=marks,
        digits=digits,
        legend=[(shape, name if _told(shape, used) else _whole(shape)) for shape, name in _MARKS if shape in used],
        note="Drawn from an even sample of the records." if series.thinned else "",
    ).html(axis)


def _stopped(span: Span) -> Mark:
    """Orders that were not sent: a tick for one, a band for many that are too close to be told apart."""
    if span.count == 1:
        return Mark(ts_ns=span.start, shape="stop", text=span.text)
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in span.by_key.most_common())
    text = f"{utc(span.start)[11:]} to {utc(span.end)[11:]}: {span.count:,} not sent, {reasons}"
    return Mark(ts_ns=span.start, until_ns=span.end, shape="stop", text=text)


def _told(shape: str, used: set[str]) -> bool:
    """Whether the short name does, because the other role of the same side stands before it."""
    return not shape.endswith("-maker") or shape.replace("-maker", "-taker") in used


def _whole(shape: str) -> str:
    return "bought as maker" if shape == "buy-maker" else "sold as maker"


def _reach(mids: list[float]) -> tuple[float, float]:
    """Fills far off the line are drawn at the edge."""
    low, high = min(mids), max(mids)
    reach = (high - low) * 0.05
    return low - reach, high + reach


def _position(series: SymbolSeries, axis: TimeAxis) -> str:
    if not any(held for _, held in series.held.items):
        return '<p class="none">No position was held.</p>' if series.held.items else ""
    line = Line(name="held", style="c0", points=series.held.line, step=True, fill=0.0)
    return Chart(
        title=f"{series.symbol} position", lines=[line], digits=8, unit="base units", zero=True, low=True
    ).html(axis)


def equity(gathered: Gathered, axis: TimeAxis) -> Iterator[str]:
    """Equity, how far it was below its highest, and what it is made of."""
    account = gathered.account
    points = account.equity.line
    if not points or account.start is None:
        yield '<p class="none">This run left no timeline of equity.</p>'
        return
    fall, _ = account.deepest
    note = f"Valued at mark or mid prices; it began with {cash(account.start)}."
    yield Chart(title="Equity", lines=[Line(name="equity", style="c0", points=points)], note=note).html(axis)
    if fall:
        yield _drawdown(account, axis)
    parts = [
        Line(name=name.replace("_", " "), style=f"c{place % 8}", points=kept.line)
        for place, (name, kept) in enumerate(account.parts.items())
    ]
    if any(value for line in parts for _, value in line.points):
        yield Chart(
            title="What it is made of", lines=parts, note="Sums since the start; costs are negative.", zero=True
        ).html(axis)


def _drawdown(account: AccountSeries, axis: TimeAxis) -> str:
    fall, highest = account.deepest
    deepest = f"At its deepest {cash(fall)} below the highest" + (
        f", {100 * fall / highest:.2f} %." if highest > 0 else "."
    )
    down = Line(name="below the highest", style="stop", points=account.drawdown.line, fill=0.0)
    return Chart(title="Drawdown", lines=[down], note=deepest, zero=True, low=True).html(axis)


def blocks(gathered: Gathered, axis: TimeAxis) -> Iterator[str]:
    """Which share of orders was not sent, by reason and by what stopped them, over time."""
    for title, bins in (("Share not sent, by reason", gathered.why), ("Share not sent, by gate or rule", gathered.who)):
        figure = block_bars(title, bins, block_names(bins))
        if figure is not None:
            yield figure.html(axis)


def block_names(*several: Bins) -> list[str]:
    """Why orders were not sent, or what stopped them, the most frequent first over all that will be drawn.

    Names have their colours by their place in it, so pictures with one list have the same colour for the same name.
    """
    total = sum((bins.total() for bins in several), Counter[str]())
    return [name for name, _ in sorted(total.items(), key=lambda item: (-item[1], item[0])) if name]


def block_bars(title: str, bins: Bins, names: Sequence[str], offset: int = 0) -> Bars | None:
    """Bars of the shares of one period each; None when every order was sent.

    Args:
        title: of the picture.
        bins: counts over time; what was sent under the empty name.
        names: see :func:`block_names`.
        offset: taken off the times, ns.
    """
    if not any(bins.total()):
        return None
    first, rest = names[:_LARGEST_PARTS], names[_LARGEST_PARTS:]
    whole = [max(counts.total(), 1) for counts in bins.bins]
    parts = [(name, [c[name] / n for c, n in zip(bins.bins, whole, strict=True)]) for name in first]
    if rest:
        parts.append(("all others", [sum(c[k] for k in rest) / n for c, n in zip(bins.bins, whole, strict=True)]))
    note = f"Of the orders to place or amend in each {bins.width / 1e9:,g} s."
    return Bars(title=title, start=bins.start - offset, width=bins.width, parts=parts, note=note)


def feed(gathered: Gathered, axis: TimeAxis) -> Iterator[str]:
    """When the market data could be used, and for how long it said nothing."""
    drawn = [series for series in gathered.symbols.values() if series.silence.items]
    if not drawn:
        yield '<p class="none">This run left no timeline of its market data.</p>'
        return
    rows = [
        Strip(name=x.symbol, stretches=[(a, b, *_STATES.get(fault, ("missing", fault))) for a, b, fault in x.states])
        for x in drawn
    ]
    left_out = sum(x.states_left_out for x in drawn)
    note = f"{left_out:,} later changes are not drawn." if left_out else ""
    yield strips("Whether it could be used", rows, axis, note=note)
    lines = [Line(name=x.symbol, style=f"c{n % 8}", points=x.silence.line, step=True) for n, x in enumerate(drawn)]
    yield Chart(
        title="Silence", lines=lines, digits=3, unit="s", zero=True, low=True,
        note="Time since the last event of each symbol, or a longer silence that ended since the sample before.",
    ).html(axis)  # fmt: skip
