"""The figures of one run: ``summary.json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from grinder.errors import InputError
from grinder.files import write_atomic

SUMMARY: Final = "summary.json"
REPORT: Final = "report.html"
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


class Outcomes(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions by outcome, and by reason where nothing was sent."""

    allowed: int = 0
    blocked: int = 0
    dropped: int = 0
    by_reason: dict[str, int] = {}

    @property
    def wanted(self) -> int:
        """All of them."""
        return self.allowed + self.blocked + self.dropped

    @property
    def unsent(self) -> int:
        """Those that were not sent."""
        return self.blocked + self.dropped

    def told(self) -> str:
        """Every outcome with its count."""
        return f"{self.allowed:,} allowed, {self.blocked:,} blocked, {self.dropped:,} dropped"


class DecisionCounts(Outcomes, frozen=True, kw_only=True):
    """All decisions, ``cancels`` among them; and answers by gate, in the order in which gates are asked."""

    by_gate: dict[str, GateCounts] = {}
    cancels: Outcomes = Outcomes()

    @property
    def orders(self) -> Outcomes:
        """Decisions about orders to place or amend: all but the cancels."""
        every, cancels = self.by_reason.items(), self.cancels
        return Outcomes(
            allowed=self.allowed - cancels.allowed,
            blocked=self.blocked - cancels.blocked,
            dropped=self.dropped - cancels.dropped,
            by_reason={code: count - cancels.by_reason.get(code, 0) for code, count in every},
        )


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
        rejects: how often each code of a venue rejected an order.
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


def ranked(by_reason: Mapping[str, int]) -> list[tuple[str, int]]:
    """Why orders were not sent, the most frequent reason first; equal ones by name."""
    return sorted(((code, n) for code, n in by_reason.items() if code != "OK" and n), key=lambda row: (-row[1], row[0]))


def parts(summary: Summary) -> Iterator[tuple[str, Decimal]]:
    """What net profit and loss is the sum of, by name: a cost is negative, an income positive."""
    yield "realised", summary.pnl.realised
    yield "unrealised", summary.pnl.unrealised
    yield "fees", 0 - summary.fees
    yield from ((kind.replace("_", " "), amount) for kind, amount in summary.payments.items())
