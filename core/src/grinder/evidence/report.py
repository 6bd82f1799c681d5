"""``report.html``: one run on one page. It stands alone: no script, no network, readable on a phone and at night."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Any, Final

import msgspec

from grinder.errors import InputError
from grinder.evidence.chart import PriceChart
from grinder.evidence.explain import DecisionRow, decode_decision, explain, wanted
from grinder.evidence.lines import read_lines, write_atomic
from grinder.evidence.recorder import DECISIONS, FILLS
from grinder.evidence.summary import GateCounts, Summary, ranked
from grinder.evidence.text import number, printable
from grinder.log import utc
from grinder.reasons import CORE_REASONS

REPORT: Final = "report.html"

_CHARTS: Final = 6
_EXAMPLES: Final = 20
_KINDS: Final = 64
_PER_KIND: Final = 4


class FillRow(msgspec.Struct, frozen=True):
    """One line of ``fills.jsonl``, as the report needs it."""

    intent_id: str
    ts_ns: int
    symbol: str
    side: str
    price: Decimal
    qty: Decimal
    maker: bool


_decode_fill = msgspec.json.Decoder(FillRow).decode


class _Gathered:
    """What one pass over the records leaves: bounded, however long the run was."""

    def __init__(self) -> None:
        self.charts: dict[str, PriceChart] = {}
        self.not_drawn: set[str] = set()
        self.kinds: dict[tuple[str, ...], list[bytes]] = {}
        self.fills: dict[str, list[dict[str, Any]]] = {}
        self.problems: list[str] = []

    def read(self, out: Path) -> None:
        for row, line in self._rows(out / DECISIONS, decode_decision):
            self._decision(row, line)
        self.examples = self._choose()
        self.fills = {decode_decision(line).id: [] for line in self.examples}
        for fill, line in self._rows(out / FILLS, _decode_fill):
            self._fill(fill, line)

    def _rows(self, path: Path, decode: Any) -> Iterator[tuple[Any, bytes]]:
        unreadable = 0
        try:
            for _, line, _ in read_lines(path):
                try:
                    yield decode(line), line
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    unreadable += 1
        except OSError as error:
            self.problems.append(f"{path.name} cannot be read: {error.strerror}.")
        if unreadable:
            self.problems.append(f"{unreadable:,} lines of {path.name} are cut off or corrupt and left out.")

    def _chart(self, symbol: str) -> PriceChart | None:
        chart = self.charts.get(symbol)
        if chart is None and len(self.charts) < _CHARTS:
            chart = self.charts[symbol] = PriceChart(symbol)
        elif chart is None and len(self.not_drawn) < _KINDS:
            self.not_drawn.add(symbol)
        return chart

    def _decision(self, row: DecisionRow, line: bytes) -> None:
        chart = self._chart(row.order.symbol)
        if chart is not None and row.mid:
            chart.mid(row.ts_ns, row.mid)
            if row.outcome == "blocked":
                chart.block(row.ts_ns, f"{utc(row.ts_ns)} {wanted(row.order)}: {row.reason}")
        said = next(((gate.gate, gate.verdict) for gate in row.gates if gate.verdict != "allow"), ("", ""))
        kind = (row.outcome, row.reason, *said)
        if len(self.kinds) < _KINDS or kind in self.kinds:
            kept = self.kinds.setdefault(kind, [])
            if len(kept) < _PER_KIND:
                kept.append(line)

    def _choose(self) -> list[bytes]:
        """The first of each kind, then the second, …; those that were not sent before those that were."""
        kinds = sorted(self.kinds.items(), key=lambda item: item[0][0] == "allowed")
        rounds = (kept[place] for place in range(_PER_KIND) for _, kept in kinds if place < len(kept))
        return [line for line, _ in zip(rounds, range(_EXAMPLES), strict=False)]

    def _fill(self, fill: FillRow, line: bytes) -> None:
        chart = self.charts.get(fill.symbol)
        if chart is not None:
            text = f"{utc(fill.ts_ns)} {fill.side} {fill.qty} at {fill.price}, {'maker' if fill.maker else 'taker'}"
            chart.fill(fill.ts_ns, float(fill.price), fill.side, text)
        if fill.intent_id in self.fills and len(self.fills[fill.intent_id]) < _EXAMPLES:
            self.fills[fill.intent_id].append(msgspec.json.decode(line))


def write_report(out: Path, summary: Mapping[str, Any]) -> None:
    """Write ``report.html`` from the summary and the records in the run's directory, atomically, mode 0600.

    Args:
        out: the run's directory.
        summary: as in ``summary.json``.

    Raises:
        InputError: the summary has not the shape that this version writes.
        StateError: the report could not be written.
    """
    try:
        figures = msgspec.json.decode(msgspec.json.encode(summary), type=Summary)
    except msgspec.DecodeError as error:
        raise InputError(str(out / "summary.json"), 0, f"is not a summary ({error}); run again") from error
    gathered = _Gathered()
    gathered.read(out)
    page = "\n".join((_HEAD, f"<title>{_e(figures.run_id)}</title>", _STYLE, *_body(figures, gathered), "</main>"))
    write_atomic(out / REPORT, page.encode("utf-8", "backslashreplace"))


def _e(value: object) -> str:
    return escape(printable(value))


def _body(s: Summary, gathered: _Gathered) -> Iterator[str]:
    yield f"<main><h1>{_e(s.run_id)}</h1><p>profile {_e(s.profile)}, seed {s.seed}</p>"
    problems = [*gathered.problems, *([s.records.error] if s.records.error else [])]
    yield from (f'<p class="problem">{_e(problem)}</p>' for problem in problems)
    yield _headline(s)
    yield "<h2>Price, fills and blocks</h2>"
    yield from (chart.html() for chart in gathered.charts.values())
    if not gathered.charts:
        yield "<p>No decision was made.</p>"
    if gathered.not_drawn:
        yield f"<p>Not drawn: {_e(', '.join(sorted(gathered.not_drawn)))}.</p>"
    yield "<h2>Why orders were not sent</h2>"
    yield _table(("reason", "count", "meaning"), _reasons(s), 1)
    yield "<h2>Gates</h2>"
    yield _table(("gate", *(n.replace("_", " ") for n in GateCounts.__struct_fields__)), _gates(s), 7)
    yield "<h2>Decisions explained</h2>"
    yield from (_example(line, s, gathered) for line in gathered.examples)
    yield "<h2>Positions</h2>"
    yield _table(("symbol", "quantity", "entry", "valued at", "realised", "unrealised", "route"), _positions(s), 5)
    yield "<h2>Orders, fees and feed</h2>"
    yield _table(("figure", "value"), _figures(s), 1)
    yield "<h2>Where this comes from</h2>"
    yield _table(("what", "value"), _origins(s), 0)


def _headline(s: Summary) -> str:
    d = s.decisions
    cards = (
        ("allowed", f"{d.allowed:,}"),
        ("blocked", f"{d.blocked:,}"),
        ("dropped", f"{d.dropped:,}"),
        ("fills", f"{s.fills:,}"),
        ("net PnL", number(s.pnl.net, 2)),
        ("fees", number(s.fees, 2)),
        ("volume", number(s.volume, 0)),
        ("decision p99", f"{s.decision_us.p99:,.0f} µs"),
    )
    return '<div class="cards">' + "".join(f"<div><b>{_e(v)}</b>{_e(k)}</div>" for k, v in cards) + "</div>"


def _table(header: Sequence[str], rows: Iterable[Sequence[object]], numbers: int) -> str:
    """A table that scrolls by itself on a narrow screen; columns 1 to ``numbers`` hold numbers."""

    def cells(row: Sequence[object], tag: str) -> str:
        marks = (' class="n"' if 1 <= i <= numbers else "" for i in range(len(row)))
        return "".join(f"<{tag}{mark}>{_e(cell)}</{tag}>" for cell, mark in zip(row, marks, strict=True))

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    if not body:
        return "<p>None.</p>"
    return f'<div class="scroll"><table><tr>{cells(header, "th")}</tr>{body}</table></div>'


def _meaning(s: Summary, code: str) -> str:
    return s.reasons.get(code) or CORE_REASONS.get(code, code)


def _reasons(s: Summary) -> Iterator[tuple[str, str, str]]:
    for code, count in ranked(s.decisions.by_reason):
        yield code, f"{count:,}", _meaning(s, code)


def _gates(s: Summary) -> Iterator[list[str]]:
    for gate, counts in s.decisions.by_gate.items():
        yield [gate, *(f"{count:,}" for count in msgspec.structs.astuple(counts))]


def _example(line: bytes, s: Summary, gathered: _Gathered) -> str:
    row = decode_decision(line)
    text = explain(msgspec.json.decode(line), lambda code: _meaning(s, code), gathered.fills[row.id])
    title = wanted(row.order)
    if row.outcome != "allowed":
        title += f": {row.reason}" + (f" by {row.by}" if row.by else "")
    shadows = [gate.gate for gate in row.gates if gate.verdict == "block" and gate.mode != "enforce"]
    title += f"; {', '.join(shadows)} would have blocked it" if shadows else ""
    return (
        f'<details><summary><span class="{_e(row.outcome)}">{_e(row.outcome)}</span> {_e(title)}</summary>'
        f"<pre>{escape(text)}</pre></details>"
    )


def _positions(s: Summary) -> Iterator[tuple[str, ...]]:
    for p in s.positions:
        symbol = p.symbol if p.position_side == "BOTH" else f"{p.symbol} {p.position_side}"
        figures = (number(p.qty, 8), number(p.entry_price, 8), number(p.price, 8), number(p.realised))
        yield (symbol, *figures, number(p.unrealised), p.route)


def _figures(s: Summary) -> Iterator[tuple[str, str]]:
    for name, count in msgspec.structs.asdict(s.orders).items():
        yield f"orders {name.replace('_', ' ')}", f"{count:,}"
    yield "fills as maker", f"{s.maker_fills:,} of {s.fills:,}"
    yield "orders with a fill", f"{s.filled_orders:,}"
    yield "volume", number(s.volume)
    yield "fees paid, rebates deducted", number(s.fees)
    yield "PnL realised", number(s.pnl.realised)
    yield "PnL unrealised", number(s.pnl.unrealised)
    yield "PnL net of fees", number(s.pnl.net)
    yield "feed gaps", f"{s.feed.gaps:,}"
    yield "longest silence of the feed", f"{s.feed.stale_ms_max:,} ms"
    yield "book checks failed", f"{s.feed.book_mismatches:,} of {s.feed.book_checks:,}"
    yield "market events", f"{s.events:,} in {s.wall_s:.2f} s"
    yield (
        "time to decide, median / p99 / longest",
        (f"{s.decision_us.p50:,.1f} / {s.decision_us.p99:,.1f} / {s.decision_us.max:,.1f} µs"),
    )


def _origins(s: Summary) -> Iterator[tuple[str, str]]:
    for row in s.inputs:
        span = f", {utc(row.first_ns, 0)} to {utc(row.last_ns, 0)}" if row.last_ns else ""
        yield "input", f"{row.path}{span}" + (f", sha256 {row.sha256}" if row.sha256 else "")
    for plugin in s.plugins:
        yield "plugin", f"{plugin.name} {plugin.version} {plugin.mode}".rstrip()
    yield "settings sha256", s.settings_sha256
    yield "decisions sha256", s.decisions_sha256
    yield "fills sha256", s.fills_sha256


_HEAD: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">"""

_STYLE: Final = """<style>
:root { color-scheme: light dark; --ink: #1b1f24; --dim: #5b6570; --page: #fff; --card: #f3f5f7; --line: #d5dae0;
  --mid: #5b6570; --buy: #0969da; --sell: #b35900; --block: #cf222e; --ok: #1a7f37; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaef; --dim: #98a3af; --page: #101418; --card: #1a2027;
  --line: #313a44; --mid: #98a3af; --buy: #58a6ff; --sell: #f0a050; --block: #ff7b72; --ok: #56d364; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 64rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.4rem; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
h1 + p { margin: 0 0 1rem; color: var(--dim); }
.problem { border-left: 4px solid var(--block); padding-left: .75rem; overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(max(6.5rem, 22%), 1fr)); gap: .5rem; }
.cards div { background: var(--card); border-radius: .5rem; padding: .5rem .75rem; color: var(--dim); }
.cards b { display: block; font-size: 1.25rem; color: var(--ink); font-variant-numeric: tabular-nums; }
figure { margin: 0 0 1.5rem; }
figcaption small { display: block; color: var(--dim); }
figcaption span { margin-left: .75rem; white-space: nowrap; }
.plot { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: .5rem; margin-top: .25rem; }
.plot svg { width: 100%; height: clamp(12rem, 40vw, 20rem); background: var(--card); border-radius: .5rem; }
.prices { display: flex; flex-direction: column; justify-content: space-between; text-align: right;
  padding-bottom: 1rem; }
.times { display: flex; justify-content: space-between; }
.prices, .times { color: var(--dim); font-size: .8rem; font-variant-numeric: tabular-nums; }
svg path, svg polyline { fill: none; vector-effect: non-scaling-stroke; }
.mid { stroke: var(--mid); stroke-width: 1.5; } path.block { stroke: var(--block); stroke-width: 1; }
.dot { stroke-width: 7; } .dot.buy { stroke: var(--buy); stroke-linecap: round; }
.dot.sell { stroke: var(--sell); stroke-linecap: square; }
span.buy { color: var(--buy); } span.sell { color: var(--sell); }
span.block, .blocked, .dropped { color: var(--block); } .allowed { color: var(--ok); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td:last-child:not(.n) { overflow-wrap: anywhere; min-width: 8rem; }
.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
details { border-bottom: 1px solid var(--line); padding: .3rem 0; }
summary { cursor: pointer; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--card); border-radius: .5rem; padding: .75rem;
  font: .85rem/1.5 ui-monospace, monospace; }
</style>"""
