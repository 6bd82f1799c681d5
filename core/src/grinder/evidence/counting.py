"""Counts from the records of a run that left no summary."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Final

import msgspec

from grinder.evidence.explain import DecisionRow
from grinder.evidence.series import drawable
from grinder.evidence.summary import DecisionCounts, GateCounts, Pnl, Summary
from grinder.evidence.timeline import Sample

NAMES: Final = 64
"""Names of gates and reasons that are kept."""
_OUTCOMES: Final = ("allowed", "blocked", "dropped")


class FillRow(msgspec.Struct, frozen=True):
    """One line of ``fills.jsonl``, as far as reports need it."""

    intent_id: str
    ts_ns: int
    symbol: str
    side: str
    price: Decimal
    qty: Decimal
    maker: bool
    fee: Decimal = Decimal(0)
    cause: str = ""


class Tally:
    """Counts from records, for a run that left no summary."""

    def __init__(self) -> None:
        self._outcomes: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._gates: dict[str, Counter[str]] = {}
        self._fills = self._maker = 0
        self._volume = self._fees = Decimal(0)
        self._closures: Counter[str] = Counter()
        self._last_blocked = ""

    def decided(self, row: DecisionRow) -> None:
        """Count a decision."""
        self._outcomes[row.outcome if row.outcome in _OUTCOMES else "other"] += 1
        if row.outcome != "allowed":
            self._reasons[row.reason if row.reason in self._reasons or len(self._reasons) < NAMES else "other"] += 1
        if row.outcome == "blocked":
            self._last_blocked = row.id
        for gate in row.gates:
            counts = self._gates.get(gate.gate)
            if counts is None and len(self._gates) < NAMES:
                counts = self._gates[gate.gate] = Counter()
            said = "shadow_block" if gate.verdict == "block" and gate.mode != "enforce" else gate.verdict
            if counts is not None and said in GateCounts.__struct_fields__:
                counts[said] += 1

    def filled(self, fill: FillRow) -> None:
        """Count a fill."""
        self._fills += 1
        self._maker += fill.maker
        if fill.cause:
            self._closures[fill.cause.lower() if len(self._closures) < NAMES else "other"] += 1
        if None not in {drawable(fill.price), drawable(fill.qty), drawable(fill.fee)}:
            self._volume += fill.price * fill.qty
            self._fees += fill.fee

    def summary(self, name: str, last: Sample | None) -> Summary:
        """The figures under the name of a run; profit and loss are those of its last sample."""
        gates = {gate: GateCounts(**counts) for gate, counts in self._gates.items()}
        parts = last.parts if last is not None else {}
        return Summary(
            run_id=name,
            intents=self._outcomes.total(),
            decisions=DecisionCounts(
                allowed=self._outcomes["allowed"],
                blocked=self._outcomes["blocked"],
                dropped=self._outcomes["dropped"],
                by_gate=gates,
                by_reason=dict(self._reasons),
            ),
            fills=self._fills,
            maker_fills=self._maker,
            volume=self._volume,
            fees=self._fees,
            venue_closures=dict(self._closures),
            pnl=Pnl(
                realised=parts.get("realised", Decimal(0)),
                unrealised=parts.get("unrealised", Decimal(0)),
                net=last.net if last is not None else Decimal(0),
            ),
            example=self._last_blocked,
        )
