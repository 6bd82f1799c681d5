"""The figures of one run: ``summary.json``, and the text that closes a run on screen."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from grinder.errors import InputError
from grinder.evidence.text import number, printable, table
from grinder.files import write_atomic
from grinder.log import utc

SUMMARY: Final = "summary.json"
METRICS: Final = "metrics.prom"
"""The metrics of a run as they stood at its end."""


class InputRow(msgspec.Struct, frozen=True, kw_only=True):
    """One source of market data. ``clock_shift_ns`` was added to local times (see the feed's documentation)."""

    path: str
    sha256: str = ""
    first_ns: int = 0
    last_ns: int = 0
    clock_shift_ns: int = 0


class PluginRow(msgspec.Struct, frozen=True, kw_only=True):
    """One plugin that was loaded. ``mode`` is empty where it has none."""

    name: str
    version: str
    mode: str = ""


class GateCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Answers of one gate. ``block`` bound (mode enforce), ``shadow_block`` would have."""

    allow: int = 0
    warn: int = 0
    shrink: int = 0
    block: int = 0
    abstain: int = 0
    shadow_block: int = 0
    error: int = 0


class DecisionCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions by outcome, by gate (in the order in which they are asked), and by final reason."""

    allowed: int = 0
    blocked: int = 0
    dropped: int = 0
    by_gate: dict[str, GateCounts] = {}
    by_reason: dict[str, int] = {}


class OrderCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of admitted orders."""

    accepted: int = 0
    rejected: int = 0
    unknown: int = 0
    absent: int = 0
    cancelled: int = 0
    filled: int = 0
    partially_filled: int = 0


class Pnl(msgspec.Struct, frozen=True, kw_only=True):
    """Profit and loss in quote units; ``net`` is after fees and payments."""

    realised: Decimal = Decimal(0)
    unrealised: Decimal = Decimal(0)
    net: Decimal = Decimal(0)


class PositionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A position at the end. ``price`` is what it was valued at; None when nothing was known."""

    symbol: str
    route: str
    position_side: str
    qty: Decimal
    entry_price: Decimal
    price: Decimal | None = None
    realised: Decimal = Decimal(0)
    unrealised: Decimal | None = None


class FeedHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How good the market data was. ``stale_ms_max`` is the longest silence of a symbol."""

    gaps: int = 0
    stale_ms_max: int = 0
    book_checks: int = 0
    book_mismatches: int = 0


class DecisionTimes(msgspec.Struct, frozen=True, kw_only=True):
    """Measured time from intent to decision, in microseconds."""

    p50: float = 0.0
    p99: float = 0.0
    max: float = 0.0


class RecordHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the records are whole: lines that are missing from files, and why."""

    lost: int = 0
    error: str = ""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that ``summary.json`` holds.

    Attributes:
        covered_ns: event time of the first and the last event that this process saw.
        rejects: how often each code of a venue rejected an order, in this process.
        reasons: meaning of every reason code that occurs in this run, so that readers need no plugins.
        example: id of a blocked decision worth explaining; empty if there is none.
        volume: traded notional in quote units.
        decision_buckets_us: how the times to decide spread: for each bucket its upper bound in microseconds (half of
            it is the lower one) and how many fell into it, in this process.
        fees: paid in quote units, rebates deducted.
        payments: what the wallet received other than by trading, by kind (funding, liquidation_fee, insurance), in
            quote units, less what was paid.
        venue_closures: fills with which the venue itself closed a position: liquidation, adl.
        decisions_sha256: over the decision lines: equal for equal inputs, settings and seed.
        fills_sha256: over the fill lines.
    """

    run_id: str
    profile: str = ""
    seed: int = 0
    covered_ns: tuple[int, int] = (0, 0)
    inputs: tuple[InputRow, ...] = ()
    settings_sha256: str = ""
    plugins: tuple[PluginRow, ...] = ()
    events: int = 0
    intents: int = 0
    decisions: DecisionCounts = DecisionCounts()
    orders: OrderCounts = OrderCounts()
    rejects: dict[str, int] = {}
    fills: int = 0
    filled_orders: int = 0
    maker_fills: int = 0
    volume: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    payments: dict[str, Decimal] = {}
    venue_closures: dict[str, int] = {}
    pnl: Pnl = Pnl()
    positions: tuple[PositionRow, ...] = ()
    feed: FeedHealth = FeedHealth()
    wall_s: float = 0.0
    events_per_s: float = 0.0
    decision_us: DecisionTimes = DecisionTimes()
    decision_buckets_us: tuple[tuple[float, int], ...] = ()
    decisions_sha256: str = ""
    fills_sha256: str = ""
    records: RecordHealth = RecordHealth()
    reasons: dict[str, str] = {}
    example: str = ""

    def write(self, out: Path) -> None:
        """Write ``summary.json`` into the run's directory, atomically, mode 0600.

        Raises:
            StateError: it could not be written.
        """
        write_atomic(out / SUMMARY, msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")


def read_summary(out: Path) -> Summary | None:
    """The summary of a run's directory; None while there is none (the run has not ended).

    Raises:
        InputError: the file is not a summary.
    """
    path = out / SUMMARY
    try:
        return msgspec.json.decode(path.read_bytes(), type=Summary)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(str(path), 0, f"is not a readable summary ({error}); run again to write it anew") from error


def render(summary: Summary, out: Path | None = None, top: int = 8) -> str:
    """The text that closes a run. ``out`` is where its evidence lies; ``top`` reasons are listed."""
    s = summary
    d = s.decisions
    lines = [_row("run", *_of(run=s.run_id, profile=s.profile, seed=s.seed))]
    lines += [_row("input", _input(row)) for row in s.inputs]
    span = f" of {(s.covered_ns[1] - s.covered_ns[0]) / 1e9:,.0f} s" if s.covered_ns[1] else ""
    lines.append(_row("events", f"{s.events:,}{span} in {s.wall_s:.2f} s ({s.events_per_s:,.0f} a second)"))
    lines.append(_row("intents", f"{s.intents:,}: {d.allowed:,} allowed, {d.blocked:,} blocked, {d.dropped:,} dropped"))
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
    others = "".join(f", {kind.replace('_', ' ')} {number(amount)}" for kind, amount in s.payments.items())
    lines.append(_row("pnl", f"net {number(s.pnl.net)}: realised {number(s.pnl.realised)}, unrealised "
                             f"{number(s.pnl.unrealised)}, fees {number(s.fees)}{others}"))  # fmt: skip
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


def ranked(by_reason: Mapping[str, int]) -> list[tuple[str, int]]:
    """Why orders were not sent, the most frequent reason first; equal ones by name."""
    return sorted(((code, n) for code, n in by_reason.items() if code != "OK" and n), key=lambda row: (-row[1], row[0]))


def _counts(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count) or "none"


def _position(row: PositionRow) -> str:
    side = "" if row.position_side == "BOTH" else f" {row.position_side}"
    at = f", valued at {number(row.price, 8)}" if row.price is not None else ", not valued: no price"
    pnl = f", unrealised {number(row.unrealised)}" if row.unrealised is not None else ""
    return f"{row.symbol}{side} {number(row.qty, 8)} from {number(row.entry_price, 8)}{at}{pnl} ({row.route})"


def _feed(feed: FeedHealth) -> str:
    checks = (
        f"{feed.book_mismatches:,} of {feed.book_checks:,} book checks failed" if feed.book_checks else "no book checks"
    )
    return f"{feed.gaps:,} gaps, longest silence {feed.stale_ms_max:,} ms, {checks}"
