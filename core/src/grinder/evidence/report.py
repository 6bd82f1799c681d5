"""``report.html``: one run on one page, from the files in its directory. It stands alone, and works without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from grinder.evidence import pictures
from grinder.evidence.axis import TimeAxis
from grinder.evidence.gathering import Gathered
from grinder.evidence.page import bar, cards, e, page, section, table
from grinder.evidence.summary import REPORT, GateCounts, Outcomes, Summary, parts, ranked
from grinder.evidence.text import cash, many, number, percent, signed
from grinder.files import write_atomic
from grinder.log import utc
from grinder.reasons import CORE_REASONS

_REASONS: Final = 24
_ROWS: Final = 200
_SETTINGS: Final = 400
_VALUE: Final = 200


def write_report(out: Path, to: Path | None = None) -> Gathered:
    """Write the report of the run in ``out``, atomically, mode 0600. Equal files give equal pages.

    Args:
        out: the run's directory. Whatever is missing or unreadable in it is said on the page.
        to: where the page goes; ``report.html`` in ``out`` unless given.

    Returns:
        What was read, with its problems.

    Raises:
        StateError: the page could not be written.
    """
    gathered = Gathered(out)
    write_atomic(to if to is not None else out / REPORT, build(gathered))
    return gathered


def build(gathered: Gathered) -> bytes:
    """The page."""
    s = gathered.summary
    axis = TimeAxis(gathered.first_ns or s.covered_ns[0], gathered.last_ns or s.covered_ns[1])
    return page(f"{s.run_id} \N{EN DASH} grinder", _body(s, gathered, axis))


def _body(s: Summary, gathered: Gathered, axis: TimeAxis) -> Iterator[str]:
    yield _head(s, gathered)
    yield "<main>"
    yield cards(_cards(s, gathered))
    yield _HINT
    yield section("price", "Price, fills, position", *pictures.prices(gathered, axis))
    yield section("account", "Account", *pictures.equity(gathered, axis))
    yield section("blocks", "Orders that were not sent", *pictures.blocks(gathered, axis), _reasons(s, gathered))
    yield section("gates", "Gates", _gates(s))
    yield section("sent", "Orders that were sent", _sent(s, gathered))
    yield section("latency", "Time to decide", _latency(s))
    yield section("feed", "Market data", *pictures.feed(gathered, axis), _feed(s, gathered))
    yield section("money", "Orders, fees, positions", _positions(s), f'<div class="side">{_orders(s)}{_money(s)}</div>')
    yield section("origin", "Where this comes from", _origins(s), _settings(gathered))
    yield "</main>"


_HINT: Final = (
    '<p class="about hint">Point at a picture, or select it and use the arrow keys: all of them then show the same '
    "moment.</p>"
)
_NAVIGATION: Final = (
    ("price", "Price"),
    ("account", "Account"),
    ("blocks", "Not sent"),
    ("gates", "Gates"),
    ("sent", "Sent"),
    ("latency", "Latency"),
    ("feed", "Market data"),
    ("money", "Money"),
    ("origin", "Origin"),
)


def _head(s: Summary, gathered: Gathered) -> str:
    start, end = s.covered_ns if s.covered_ns[1] else (gathered.first_ns, gathered.last_ns)
    span = (
        [f"{utc(start, 0)} \N{EN DASH}", utc(end, 0), f"({(end - start) / 1e9:,.0f} s)"] if end else ["no market data"]
    )
    facts = [f"profile {s.profile}" if s.profile else "", f"seed {s.seed}" if gathered.complete else "", *span]
    problems = [*gathered.problems, *([s.records.error] if s.records.error else [])]
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title in _NAVIGATION)
    return (
        f'<header><p class="kind">grinder run</p><h1>{e(s.run_id)}</h1>'
        f'<p class="facts">{"".join(f"<span>{e(fact)}</span>" for fact in facts if fact)}</p>'
        f'<p class="lead">{e(_lead(s, gathered))}</p>'
        + "".join(f'<p class="problem" role="note">{e(problem)}</p>' for problem in problems)
        + f'<nav aria-label="Sections">{links}</nav></header>'
    )


def _lead(s: Summary, gathered: Gathered) -> str:
    """The run in three sentences."""
    if not s.decisions.wanted:
        return "No order was wanted in this run."
    orders, cancels = s.decisions.orders, s.decisions.cancels
    text = f"{many(orders.wanted, 'order')} to place or amend: {orders.allowed:,} sent, "
    text += f"{orders.blocked:,} blocked by gates or rules"
    text += f", {orders.dropped:,} dropped. " if orders.dropped else ". "
    text += f"Beside them {many(cancels.wanted, 'cancel')}, {_unsent(cancels)}. " if cancels.wanted else ""
    top = ranked(orders.by_reason)
    share = percent(top[0][1], orders.wanted) if top else ""
    text += f"The most frequent reason was {top[0][0]} ({share} of orders). " if top else ""
    closed = sum(s.venue_closures.values())
    text += f"The venue itself closed positions, with {many(closed, 'fill')}. " if closed else ""
    if not s.fills:
        return text + "Nothing was traded."
    if gathered.complete or gathered.account.last is not None:
        made = "lost" if s.pnl.net < 0 else "made"
        text += f"{many(s.fills, 'fill')} {made} {cash(abs(s.pnl.net))} after {_fees(s)}."
    return text


def _unsent(cancels: Outcomes) -> str:
    return f"{cancels.unsent:,} of them not sent" if cancels.unsent else "all sent"


def _fees(s: Summary) -> str:
    return f"{cash(s.fees)} in fees" if s.fees >= 0 else f"{cash(-s.fees)} in rebates"


def _cards(s: Summary, gathered: Gathered) -> Iterator[tuple[str, str, str]]:
    orders, cancels, t = s.decisions.orders, s.decisions.cancels, s.decision_us
    known = gathered.complete or gathered.account.last is not None
    fall, highest = gathered.account.deepest
    yield "Net PnL", cash(s.pnl.net) if known else "unknown", f"after {_fees(s)}"
    deep = f"{100 * fall / highest:.2f} % of {number(highest, 0)}" if highest > 0 else "from the highest equity"
    yield "Largest drawdown", cash(fall) if gathered.account.last is not None else "unknown", deep
    aside = f"; {many(cancels.wanted, 'cancel')} apart" if cancels.wanted else ""
    yield "Sent", f"{orders.allowed:,}", f"of {many(orders.wanted, 'order')}{aside}"
    unsent = f"{orders.blocked:,} blocked, {orders.dropped:,} dropped"
    yield "Not sent", percent(orders.unsent, orders.wanted), unsent
    yield "Fills", f"{s.fills:,}", f"{percent(s.maker_fills, s.fills)} as maker"
    yield "Volume", number(s.volume, 0), "in quote units"
    yield "Decision, p99", _time(t.p99) if gathered.complete else "unknown", f"median {_time(t.p50)}"
    yield "Feed gaps", f"{s.feed.gaps:,}", f"longest silence {s.feed.stale_ms_max / 1000:,.1f} s"


def _span(start: int, end: int) -> str:
    return f"{utc(start, 0)} to {utc(end, 0)} ({(end - start) / 1e9:,.0f} s)"


def _meaning(s: Summary, code: str) -> str:
    return s.reasons.get(code) or CORE_REASONS.get(code, code)


def _reasons(s: Summary, gathered: Gathered) -> str:
    """Reasons, the most frequent first, each with examples that open."""
    rows = ranked(s.decisions.by_reason)
    if not rows:
        return '<p class="none">Everything that was wanted was sent.</p>'
    parts = [_reason(s, gathered, code, count, rows[0][1]) for code, count in rows[:_REASONS]]
    more = len(rows) - _REASONS
    return _FILTER + "".join(parts) + (f'<p class="none">And {more:,} rarer reasons.</p>' if more > 0 else "")


def _reason(s: Summary, gathered: Gathered, code: str, count: int, most: int) -> str:
    examples = "".join(x.html(lambda c: _meaning(s, c)) for x in gathered.examples.of(False, code))
    meaning = _meaning(s, code)
    cancels = s.decisions.cancels.by_reason.get(code, 0)
    share = f"{percent(count - cancels, s.decisions.orders.wanted)} of orders"
    share += f", {many(cancels, 'cancel')} among them" if cancels else ""
    return (
        f'<article class="reason"><h3><code>{e(code)}</code><b>{count:,}</b><i>{share}</i></h3>'
        f"{bar(count / most, 'stop')}<p>{e(meaning) if meaning != code else ''}</p>{examples}</article>"
    )


_FILTER: Final = (
    '<form class="filter" hidden><label for="filter">Examples that mention</label>'
    '<input id="filter" type="search" autocomplete="off" placeholder="a gate, a symbol, a price, an id">'
    '<output for="filter" aria-live="polite"></output></form>'
)


def _sent(s: Summary, gathered: Gathered) -> str:
    about = "A few of them, with what gates said and what the market did afterwards."
    examples = "".join(x.html(lambda c: _meaning(s, c)) for x in gathered.examples.of(True))
    return f'<p class="about">{about}</p>{examples}' if examples else '<p class="none">No order was sent.</p>'


def _gates(s: Summary) -> str:
    rows = (
        [gate, *(f"{count:,}" for count in msgspec.structs.astuple(counts))]
        for gate, counts in list(s.decisions.by_gate.items())[:_ROWS]
    )
    names = (name.replace("_", " ") for name in GateCounts.__struct_fields__)
    return table("Answers, in the order in which gates are asked", ("gate", *names), rows, 7)


def _latency(s: Summary) -> str:
    """The distribution of the time from intent to decision, a row a bucket."""
    total = sum(count for _, count in s.decision_buckets_us)
    if total <= 0:
        return '<p class="none">This run left no distribution of decision times.</p>'
    most = max(count for _, count in s.decision_buckets_us)
    t = s.decision_us
    marks = (("median", t.p50), ("99 of 100 below", t.p99), ("longest", t.max))
    rows = []
    for below, count in s.decision_buckets_us[:65]:
        here = ", ".join(f"{name} {_time(value)}" for name, value in marks if below / 2 <= value < below)
        label = f"{_time(below / 2)} to {_time(below)}"
        rows.append(
            f"<dt>{label}</dt><dd>{bar(count / most)}<b>{count:,}</b> <i>{percent(count, total)}</i>"
            f"{f'<small>{e(here)}</small>' if here else ''}</dd>"
        )
    return (
        '<p class="about">From intent to decision, every gate and rule included, measured in this process; each row '
        f'is twice as wide as the one above it.</p><dl class="spread">{"".join(rows)}</dl>'
    )


def _time(us: float) -> str:
    """A duration, three digits of it."""
    return f"{us:.3g} µs" if us < 999.5 else f"{us / 1e3:,.3g} ms" if us < 999_500 else f"{us / 1e6:,.3g} s"


def _feed(s: Summary, gathered: Gathered) -> str:
    checks = f"{s.feed.book_checks:,} times the rebuilt book was compared with the venue's best prices: "
    checks += f"{s.feed.book_mismatches:,} differed." if s.feed.book_checks else "nothing to compare."
    rows = (
        (x.symbol, f"{x.gaps:,}", f"{x.silence_ms_max / 1000:,.1f} s", percent(x.unusable_ns, x.sampled_ns))
        for x in gathered.symbols.values()
        if x.sampled_ns
    )
    header = ("symbol", "gaps", "longest silence", "time unusable")
    return f'<p class="about">{e(checks)}</p>' + table("Market data by symbol, as sampled", header, rows, 3)


def _positions(s: Summary) -> str:
    header = ("symbol", "quantity", "entry", "valued at", "realised", "unrealised", "route")
    rows = (
        (
            p.symbol if p.position_side == "BOTH" else f"{p.symbol} {p.position_side}",
            *((signed(number(x, 8)) for x in (p.qty, p.entry_price, p.price)) if p.qty else ("flat", "-", "-")),
            *(signed(number(x)) for x in (p.realised, p.unrealised)),
            p.route,
        )
        for p in s.positions[:_ROWS]
    )
    return table("Positions at the end", header, rows, 5)


def _orders(s: Summary) -> str:
    rows = [(name.replace("_", " "), f"{count:,}") for name, count in msgspec.structs.asdict(s.orders).items()]
    rows += [(f"rejected by {code}", f"{count:,}") for code, count in ranked(s.rejects)[:_ROWS]]
    rows += [("with a fill", f"{s.filled_orders:,}")]
    rows += [(f"closed by the venue: {cause}", f"{count:,} fills") for cause, count in ranked(s.venue_closures)[:_ROWS]]
    return table("Orders", ("what became of them", "orders"), rows, 1)


def _money(s: Summary) -> str:
    rows = [*islice(parts(s), _ROWS), ("net, the sum of these", s.pnl.net)]
    shown = ((name, signed(number(amount))) for name, amount in rows)
    return table("Profit and loss, quote units; costs are negative", ("part", "amount"), shown, 1)


def _origins(s: Summary) -> str:
    rows = []
    for source in s.inputs[:_ROWS]:
        rows.append(
            ("input", f"{source.path}{f', {_span(source.first_ns, source.last_ns)}' if source.last_ns else ''}")
        )
        rows += [("sha256 of it", source.sha256)] if source.sha256 else []
        rows += [("local clock shifted", f"{source.clock_shift_ns / 1e6:,.1f} ms")] if source.clock_shift_ns else []
    rows += [("plugin", f"{p.name} {p.version} {p.mode}".rstrip()) for p in s.plugins[:_ROWS]]
    rows.append(("market events", f"{s.events:,} in {s.wall_s:.2f} s"))
    hashes = (("settings", s.settings_sha256), ("decisions", s.decisions_sha256), ("fills", s.fills_sha256))
    rows += [(f"sha256 of {name}", value) for name, value in hashes if value]
    return f'<div class="origin">{table("Inputs, plugins, hashes", ("what", "value"), rows, 0)}</div>'


def _settings(gathered: Gathered) -> str:
    rows = [(key, str(value)[:_VALUE]) for key, value in sorted(gathered.settings.items())[:_SETTINGS]]
    if not rows:
        return ""
    return (
        f"<details><summary>Settings that the run had</summary>{table('Settings', ('key', 'value'), rows, 0)}</details>"
    )
