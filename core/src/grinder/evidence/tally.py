"""Counts from records, for a run that left no summary; bounded in size."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any, Final

from grinder.evidence.explain import DecisionRow
from grinder.evidence.fills import FillRow
from grinder.evidence.series import drawable
from grinder.evidence.summary import DecisionCounts, GateCounts, Outcomes, Pnl, Summary
from grinder.evidence.timeline import Sample

NAMES: Final = 64
"""Names of gates and reasons, and of symbols that are not drawn, that are kept."""
_OUTCOMES: Final = ("allowed", "blocked", "dropped")


class _Outcomes:
    """Decisions by outcome, and by reason where nothing was sent."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()

    def add(self, row: DecisionRow) -> None:
        self.outcomes[row.outcome if row.outcome in _OUTCOMES else "other"] += 1
        if row.outcome != "allowed":
            self._reasons[row.reason if row.reason in self._reasons or len(self._reasons) < NAMES else "other"] += 1

    def facts(self) -> dict[str, Any]:
        """What :class:`Outcomes` holds."""
        return {**{name: self.outcomes[name] for name in _OUTCOMES}, "by_reason": dict(self._reasons)}


class Tally:
    """Counts from records, for a run that left no summary."""

    def __init__(self) -> None:
        self._every, self._cancels = _Outcomes(), _Outcomes()
        self._gates: dict[str, Counter[str]] = {}
        self._fills = self._maker = 0
        self._volume = self._fees = Decimal(0)
        self._closures: Counter[str] = Counter()
        self._last_blocked = ""

    def decided(self, row: DecisionRow) -> None:
        """One decision."""
        self._every.add(row)
        if row.order.kind == "CANCEL":
            self._cancels.add(row)
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
        """One fill."""
        self._fills += 1
        self._maker += fill.maker
        if fill.cause:
            self._closures[fill.cause.lower() if len(self._closures) < NAMES else "other"] += 1
        if None not in {drawable(fill.price), drawable(fill.qty), drawable(fill.fee)}:
            self._volume += fill.price * fill.qty
            self._fees += fill.fee

    def summary(self, name: str, last: Sample | None) -> Summary:
        """What was counted. ``name`` stands for the run's id; profit and loss are those of the ``last`` sample."""
        gates = {gate: GateCounts(**counts) for gate, counts in self._gates.items()}
        parts = last.parts if last is not None else {}
        return Summary(
            run_id=name,
            intents=self._every.outcomes.total(),
            decisions=DecisionCounts(by_gate=gates, cancels=Outcomes(**self._cancels.facts()), **self._every.facts()),
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
