"""``compare.html``: two runs on one page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from grinder.evidence.axis import TimeAxis
from grinder.evidence.chart import Chart, Line
from grinder.evidence.comparison import Comparison, Figure
from grinder.evidence.examples import e_lines
from grinder.evidence.explain import explain
from grinder.evidence.gathering import Gathered
from grinder.evidence.page import cards, e, page, section, table
from grinder.evidence.parting import Pairs, Parting
from grinder.evidence.pictures import block_bars, block_names
from grinder.evidence.text import cash, number, printable, signed
from grinder.files import write_atomic
from grinder.reasons import CORE_REASONS

_CARDS = {
    ("wanted", "orders blocked"): "Orders blocked",
    ("fills", "fills"): "Fills",
    ("money", "pnl net"): "Net PnL",
    ("money", "largest drawdown"): "Largest drawdown",
}
_STYLES = ("c0", "c1")


def write_comparison(comparison: Comparison, names: tuple[str, str], to: Path) -> None:
    """Write the page, atomically, mode 0600.

    Args:
        comparison: the two runs.
        names: under which the runs were given.
        to: the file.

    Raises:
        StateError: it could not be written.
    """
    write_atomic(to, page("Two runs \N{EN DASH} grinder", _body(comparison, names)))


def _body(c: Comparison, names: tuple[str, str]) -> Iterator[str]:
    runs = (c.a, c.b)
    start = tuple(run.first_ns for run in runs)
    axis = TimeAxis(0, max(run.last_ns - run.first_ns for run in runs), relative=True)
    yield _head(c, names)
    yield "<main>"
    yield cards(_card(f) for f in c.figures if (f.group, f.name) in _CARDS)
    yield section("parting", "Where they part", _parting(c))
    yield section("account", "Account", _equity(runs, start, axis))
    yield section("blocks", "Orders that were not sent", *_blocks(runs, start, axis))
    yield section("given", "What they were given", _given(c))
    yield section("figures", "Figures", _figures(c))
    yield "</main>"


def _head(c: Comparison, names: tuple[str, str]) -> str:
    rows = "".join(
        f'<p class="facts"><span class="{style}"><b>{letter}</b></span><span>{e(name)}</span>'
        f"<span>{e(run.summary.run_id)}</span></p>"
        for letter, name, run, style in zip("AB", names, (c.a, c.b), _STYLES, strict=True)
    )
    problems = [f"{letter}: {text}" for letter, run in zip("AB", (c.a, c.b), strict=True) for text in run.problems]
    return (
        f'<header><p class="kind">grinder compare</p><h1>Two runs</h1>{rows}<p class="lead">{e(verdict(c))}</p>'
        + "".join(f'<p class="problem" role="note">{e(problem)}</p>' for problem in problems)
        + "</header>"
    )


def verdict(c: Comparison) -> str:
    """What the comparison found, in a sentence or two."""
    if c.same:
        counts = ", ".join(f"{pairs.compared:,} {pairs.kind}s" for pairs in c.records)
        return f"The runs are the same: {counts}, every figure that is not measured.{_noticed(c)}"
    if c.parting is None:
        others = " ".join(filter(None, map(records_verdict, c.records)))
        return f"All {c.decided:,} decisions are the same. {others or _figure_verdict(c)}{_noticed(c)}"
    p = c.parting
    before = f"The first {p.number - 1:,} decisions are the same. " if p.number > 1 else ""
    if p.a is None or p.b is None:
        return f"{before}Then {'A' if p.a is None else 'B'} ends, and the other goes on."
    if p.same_order:
        return f"{before}At decision {p.number:,} the same order is decided differently."
    return f"{before}At decision {p.number:,} the runs are asked about different orders."


def records_verdict(pairs: Pairs) -> str:
    """Where records other than decisions part, or what hindered their comparison; empty when they are the same."""
    p = pairs.parting
    if pairs.absent:
        return f"{pairs.name} is missing in {' and '.join(pairs.absent)}: {pairs.kind}s could not be compared."
    if p is None:
        return ""
    if p.a is None or p.b is None:
        return f"{'A' if p.a is None else 'B'} has {p.number - 1:,} {pairs.kind}s, and the other has more."
    return f"The runs differ from {pairs.kind} {p.number:,} on ({printable(', '.join(p.keys))})."


def _figure_verdict(c: Comparison) -> str:
    names = [f.name for f in c.figures if f.a != f.b and not f.measured]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"So are fills and payments; figures differ: {printable(', '.join(names[:3]))}{more}."


def _noticed(c: Comparison) -> str:
    if c.noticed is None:
        return ""
    return (
        f" What gates looked at differs from decision {c.noticed.number:,} on ({printable(', '.join(c.noticed.keys))})."
    )


def _card(figure: Figure) -> tuple[str, str, str]:
    show = cash if figure.group == "money" else number
    below = f"A {_shown(figure.a, show)}, B {_shown(figure.b, show)}"
    change = "no change" if figure.a == figure.b else _changed(figure, show)
    return _CARDS[figure.group, figure.name], change, below


def _changed(figure: Figure, show: Callable[[Any], str]) -> str:
    if figure.difference is None:
        return "?"
    text = signed(show(figure.difference))
    return text if text.startswith("\N{MINUS SIGN}") else f"+{text}"


def _shown(value: Any, show: Callable[[Any], str] = number) -> str:
    return "unknown" if value is None else show(value)


def _parting(c: Comparison) -> str:
    p = c.parting
    if p is None:
        others = [e(text) for text in map(records_verdict, c.records) if text]
        return f'<p class="none">{" ".join(others) or f"Nowhere: {c.decided:,} decisions are the same."}</p>'
    keys = f'<p class="about">What differs in the record: {e(", ".join(p.keys))}.</p>' if p.keys else ""
    sides = (_side(letter, record, run.summary.reasons) for letter, record, run in _sides(c, p))
    return f'{keys}<div class="side">{"".join(sides)}</div>'


def _sides(c: Comparison, p: Parting) -> Iterator[tuple[str, dict[str, Any] | None, Gathered]]:
    yield "A", p.a, c.a
    yield "B", p.b, c.b


def _side(letter: str, record: dict[str, Any] | None, reasons: Mapping[str, str]) -> str:
    return f"<div><h3>{letter}</h3><pre>{e_lines(in_words(record, reasons))}</pre></div>"


def in_words(record: dict[str, Any] | None, reasons: Mapping[str, str]) -> str:
    """The record as ``grinder explain`` tells it, or that there is none."""
    if record is None:
        return "This run made no further decision."
    try:
        return explain(record, lambda code: reasons.get(code) or CORE_REASONS.get(code, code))
    except (ValueError, TypeError, ArithmeticError) as error:
        return f"This record is not one of a run ({error})."


def _equity(runs: tuple[Gathered, Gathered], start: tuple[int, ...], axis: TimeAxis) -> str:
    lines = [
        Line(name=letter, style=style, points=[(ts - begin, value) for ts, value in run.account.equity.line])
        for letter, style, run, begin in zip("AB", _STYLES, runs, start, strict=True)
        if run.account.equity.items
    ]
    if not lines:
        return '<p class="none">Neither run left a timeline of equity.</p>'
    missing = "" if len(lines) == 2 else f" This is {lines[0].name}; the other run left no timeline."
    note = f"By the time since each run's first record.{missing}"
    return Chart(title="Equity", lines=lines, note=note).html(axis)


def _blocks(runs: tuple[Gathered, Gathered], start: tuple[int, ...], axis: TimeAxis) -> Iterator[str]:
    for by, names, counted in (
        ("reason", block_names(*(run.why for run in runs)), [run.why for run in runs]),
        ("gate or rule", block_names(*(run.who for run in runs)), [run.who for run in runs]),
    ):
        for letter, bins, begin in zip("AB", counted, start, strict=True):
            bars = block_bars(f"{letter}: share not sent, by {by}", bins, names, begin)
            yield bars.html(axis) if bars is not None else f'<p class="none">{letter}: every order wanted was sent.</p>'


def _given(c: Comparison) -> str:
    rows = ((f"{g.kind} {g.key}", _value(g.a), _value(g.b)) for g in c.given[:400])
    if not c.given:
        return '<p class="none">The same settings, inputs, plugins and seed.</p>'
    return table("What differs", ("what", "A", "B"), rows, 0)


def _value(value: Any) -> str:
    return "\N{EN DASH}" if value is None else str(value)[:300]


def _figures(c: Comparison) -> str:
    rows = (
        (f"{f.group}: {f.name}", signed(_shown(f.a)), signed(_shown(f.b)), signed(f.change())) for f in c.figures[:400]
    )
    return table(
        "All figures; those that are measured differ between equal runs", ("figure", "A", "B", "difference"), rows, 3
    )
