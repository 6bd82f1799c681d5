"""What changed decisions had led to: the fills that would be lost, and what the market did after the orders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal, localcontext
from math import isfinite, nan
from pathlib import Path
from typing import Final

import msgspec

from grinder.engine.arithmetic import EXACT
from grinder.evidence.markouts import MARKOUTS
from grinder.evidence.reading import RecordReader
from grinder.evidence.recorder import FILLS
from grinder.whatif.blocks import BlockMean, Estimate
from grinder.whatif.marks import ALLOWED, BLOCKED, FILLED, FOLLOWED, TURNED, Marks

SECOND_NS: Final = 1_000_000_000
HORIZONS: Final = (1, 5, 30)
GROUPS: Final = ("fills_lost", "newly_blocked", "newly_allowed", "all_fills")
_ZERO: Final = Decimal(0)
_DIGITS: Final = 40
"""Size of a number, in digits before or after the point, beyond which it is no price, quantity or fee."""


class _Fill(msgspec.Struct, frozen=True, gc=False):
    intent_id: str
    symbol: str
    price: Decimal
    qty: Decimal
    fee: Decimal
    fee_asset: str = ""

    def sound(self) -> bool:
        """Whether its numbers can be added up."""
        return all(value.is_finite() and abs(value.adjusted()) < _DIGITS for value in (self.price, self.qty, self.fee))


class _Markout(msgspec.Struct, frozen=True, gc=False):
    id: str
    side: str
    ts_ns: int
    mid: float | None = None
    mid_1s: float | None = None
    mid_5s: float | None = None
    mid_30s: float | None = None


class SymbolFills(msgspec.Struct, kw_only=True):
    """Fills of one symbol: quantity in base units, notional in quote units, fees by asset (negative is a rebate)."""

    symbol: str
    orders: int = 0
    fills: int = 0
    qty: Decimal = _ZERO
    notional: Decimal = _ZERO
    fees: dict[str, Decimal] = msgspec.field(default_factory=dict)


class LostFills(msgspec.Struct, kw_only=True):
    """Fills of orders that would not have been sent; ``resized_orders`` had fills and would have another quantity."""

    orders: int = 0
    fills: int = 0
    notional: Decimal = _ZERO
    fees: dict[str, Decimal] = msgspec.field(default_factory=dict)
    resized_orders: int = 0
    by_symbol: list[SymbolFills] = msgspec.field(default_factory=list)


def lost_fills(reader: RecordReader, run: Path, marks: Marks) -> LostFills:
    """Read the fills, mark the decisions that had one, and add up those that would be lost.

    Raises:
        ConfigError: ``fills.jsonl`` is missing.
    """
    lost = LostFills()
    symbols: dict[str, SymbolFills] = {}
    with localcontext(EXACT):
        for fill, _ in reader.rows(run / FILLS, _Fill, _Fill.sound):
            if not fill.intent_id:  # the venue itself traded, not an order of ours
                continue
            bits = marks.get(fill.intent_id)
            first = not bits & FILLED
            if first:
                marks.add(fill.intent_id, FILLED)
                lost.resized_orders += bool(bits & TURNED)
            if bits & BLOCKED:
                _add(symbols.setdefault(fill.symbol, SymbolFills(symbol=fill.symbol)), fill, first=first)
        for row in symbols.values():
            lost.orders += row.orders
            lost.fills += row.fills
            lost.notional += row.notional
            for asset, fee in row.fees.items():
                lost.fees[asset] = lost.fees.get(asset, _ZERO) + fee
    lost.by_symbol = sorted(symbols.values(), key=lambda row: row.symbol)
    return lost


def _add(row: SymbolFills, fill: _Fill, *, first: bool) -> None:
    row.orders += first
    row.fills += 1
    row.qty += fill.qty
    row.notional += fill.qty * fill.price
    row.fees[fill.fee_asset] = row.fees.get(fill.fee_asset, _ZERO) + fill.fee


class Drift(msgspec.Struct, frozen=True):
    """How the mid price moved after the orders of a group, in bps of the mid price at the decision.

    Positive is good for the order's side. One observation for each order, whatever it filled. ``orders`` are in the
    group; ``no_markout`` of them have no line in ``markouts.jsonl``, and others may lack a later price.
    """

    orders: int = 0
    no_markout: int = 0
    s1: Estimate = Estimate()
    s5: Estimate = Estimate()
    s30: Estimate = Estimate()


def drifts(reader: RecordReader, run: Path, marks: Marks) -> dict[str, Drift] | None:
    """The drift of each of ``GROUPS``; None when the run has no ``markouts.jsonl``.

    Blocks are twice the horizon long, and 10 s at least.
    """
    if not (run / MARKOUTS).exists():
        return None
    means = {name: [BlockMean(max(2 * h, 10) * SECOND_NS) for h in HORIZONS] for name in GROUPS}
    for row, _ in reader.rows(run / MARKOUTS, _Markout):
        bits = marks.get(row.id)
        if not bits:
            continue
        marks.add(row.id, FOLLOWED)
        if row.mid is None or not row.mid > 0:
            continue
        sign = 1 if row.side == "BUY" else -1
        groups = list(_groups(bits))
        for index, later in enumerate((row.mid_1s, row.mid_5s, row.mid_30s)):
            moved = sign * (later / row.mid - 1) * 1e4 if later is not None else nan
            if isfinite(moved):
                for name in groups:
                    means[name][index].add(row.ts_ns, moved)
    orders, without = _sizes(marks)
    return {
        name: Drift(orders[name], without[name], *(mean.estimate() for mean in horizons))
        for name, horizons in means.items()
    }


def _sizes(marks: Marks) -> tuple[Counter[str], Counter[str]]:
    """Orders of each group, and those of them without a markout."""
    orders: Counter[str] = Counter()
    without: Counter[str] = Counter()
    for bits, count in marks.counts().items():
        for name in _groups(bits):
            orders[name] += count
            without[name] += 0 if bits & FOLLOWED else count
    return orders, without


def _groups(bits: int) -> Iterator[str]:
    if bits & FILLED:
        yield "all_fills"
        if bits & BLOCKED:
            yield "fills_lost"
    if bits & BLOCKED:
        yield "newly_blocked"
    if bits & ALLOWED:
        yield "newly_allowed"
