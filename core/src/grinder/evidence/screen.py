"""The text that closes a run on the screen."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from grinder.evidence.summary import (
    SUMMARY,
    DecisionCounts,
    FeedHealth,
    GateCounts,
    InputRow,
    PositionRow,
    Summary,
    parts,
    ranked,
)
from grinder.evidence.text import many, number, percent, printable, table
from grinder.log import utc


def render(summary: Summary, out: Path | None = None, top: int = 8) -> str:
    """The text that closes a run. ``out`` is where its evidence lies; ``top`` reasons are listed."""
    s = summary
    d = s.decisions
    lines = [_row("run", *_of(run=s.run_id, profile=s.profile, seed=s.seed))]
    lines += [_row("input", _input(row)) for row in s.inputs]
    span = f" of {(s.covered_ns[1] - s.covered_ns[0]) / 1e9:,.0f} s" if s.covered_ns[1] else ""
    lines.append(_row("events", f"{s.events:,}{span} in {s.wall_s:.2f} s ({s.events_per_s:,.0f} a second)"))
    lines += _intents(d)
    lines.append(
        _row("decision", f"{_us(s.decision_us.p50)} median, {_us(s.decision_us.p99)} p99, {_us(s.decision_us.max)} max")
    )
    lines += _gates(d.by_gate)
    lines += _reasons(d.by_reason, s.reasons, top)
    lines += ["", _row("orders", _counts(msgspec.structs.asdict(s.orders)))]
    if s.rejects:
        lines.append(_row("rejects", *(f"{count:,} by {code}" for code, count in ranked(s.rejects))))
    lines.append(
        _row(
            "fills",
            f"{s.fills:,} ({s.maker_fills:,} maker) on {s.filled_orders:,} orders, volume {number(s.volume, 2)}",
        )
    )
    made_of = ", ".join(f"{name} {number(amount)}" for name, amount in parts(s))
    lines.append(_row("pnl", f"net {number(s.pnl.net)}, the sum of {made_of}"))
    if s.venue_closures:
        lines.append(_row("CLOSED", *(f"{count:,} fills by {cause}" for cause, count in ranked(s.venue_closures))))
    lines += [_row("position", _position(row)) for row in s.positions] or [_row("position", "flat")]
    lines.append(_row("feed", _feed(s.feed)))
    if s.records.error or s.records.lost:
        lines.append(_row("RECORDS", f"{s.records.lost:,} lines lost. {s.records.error}"))
    if out is not None:
        lines.append(_row("evidence", str(out)))
        if s.example:
            where = "" if out == Path("runs/paper") else f" --run {shlex.quote(str(out))}"
            lines.append(_row("try", f"grinder explain {s.example}{where}"))
    return "\n".join(lines)


def _row(name: str, *parts: str) -> str:
    return f"{name:<10}{printable(', '.join(parts))}"


def _of(run: str, **pairs: object) -> list[str]:
    return [run, *(f"{key} {value}" for key, value in pairs.items() if value != "")]


def _intents(decisions: DecisionCounts) -> list[str]:
    """Orders and cancels apart: cancels are always let through while all is well, and would water the shares down."""
    orders, cancels = decisions.orders, decisions.cancels
    share = f", {percent(orders.unsent, orders.wanted)} not sent" if orders.unsent else ""
    lines = [
        _row("intents", f"{decisions.wanted:,}: {many(orders.wanted, 'order')} and {many(cancels.wanted, 'cancel')}"),
        _row("wanted", f"{many(orders.wanted, 'order')}: {orders.told()}{share}"),
    ]
    return [*lines, _row("cancels", cancels.told())] if cancels.unsent else lines


def _us(value: float) -> str:
    return f"{value:,.1f} us" if value < 1000 else f"{value / 1000:,.1f} ms"


def _input(row: InputRow) -> str:
    text = row.path
    if row.last_ns:
        text += f", {utc(row.first_ns, 0)} to {utc(row.last_ns, 0)} ({(row.last_ns - row.first_ns) / 1e9:,.0f} s)"
    if row.clock_shift_ns:
        text += f", local clock shifted by {row.clock_shift_ns / 1e6:,.1f} ms"
    return text


def _gates(by_gate: Mapping[str, GateCounts]) -> list[str]:
    if not by_gate:
        return []
    names = GateCounts.__struct_fields__
    rows = [[gate, *(f"{getattr(counts, name):,}" for name in names)] for gate, counts in by_gate.items()]
    header = ["gate", *(name.replace("_", " ") for name in names)]
    return ["", *table(header, rows, len(names))]


def _reasons(by_reason: Mapping[str, int], meanings: Mapping[str, str], top: int) -> list[str]:
    counted = ranked(by_reason)
    if not counted:
        return []
    rows = [[code, f"{count:,}", meanings.get(code, "")] for code, count in counted[:top]]
    more = len(counted) - top
    rest = [f"... and {more} more in {SUMMARY}"] if more > 0 else []
    return ["", *table(["reason", "count", "meaning"], rows, 1), *rest]


def _counts(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count) or "none"


def _position(row: PositionRow) -> str:
    side = "" if row.position_side == "BOTH" else f" {row.position_side}"
    if not row.qty:
        return f"{row.symbol}{side} flat, realised {number(row.realised)} ({row.route})"
    at = f", valued at {number(row.price, 8)}" if row.price is not None else ", not valued: no price"
    pnl = f", unrealised {number(row.unrealised)}" if row.unrealised is not None else ""
    return f"{row.symbol}{side} {number(row.qty, 8)} from {number(row.entry_price, 8)}{at}{pnl} ({row.route})"


def _feed(feed: FeedHealth) -> str:
    checks = (
        f"{feed.book_mismatches:,} of {feed.book_checks:,} book checks failed" if feed.book_checks else "no book checks"
    )
    return f"{feed.gaps:,} gaps, longest silence {feed.stale_ms_max:,} ms, {checks}"
