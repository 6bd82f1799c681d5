"""What a run has counted: plain integers, read by the summary and by metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from grinder.decisions import Decision, Outcome
from grinder.metrics.fills import FillCounts
from grinder.metrics.histogram import Pow2Histogram
from grinder.types import IntentKind, Risk


class Tally:
    """Counts of decisions, orders and fills since the journal began."""

    def __init__(self) -> None:
        self.events = 0
        self.intents = 0
        self.outcomes: Counter[str] = Counter()
        self.reasons: Counter[tuple[str, str]] = Counter()
        self.cancels: Counter[tuple[str, str]] = Counter()
        self.by_gate: dict[str, Counter[str]] = {}
        self.orders: Counter[tuple[str, str]] = Counter()
        self.routes: Counter[str] = Counter()
        self.rejects: Counter[str] = Counter()
        self.venue_closures: Counter[str] = Counter()
        self.opened: Counter[str] = Counter()
        self.blocked_by: Counter[tuple[str, str]] = Counter()
        self.fills = FillCounts(("sim",))
        self.filled_orders = 0
        self.duplicate_fills = 0
        self.quarantined_fills = 0
        self.fills_beyond_order = 0
        self.strategy_errors = 0
        self.last_blocked = ""
        self.decision_ns = Pow2Histogram()
        self.commit_ns = Pow2Histogram()

    def decided(self, decision: Decision) -> None:
        """One decision."""
        self.intents += 1
        self.outcomes[decision.outcome.value] += 1
        if decision.intent.kind is IntentKind.CANCEL:
            self.cancels[decision.outcome.value, decision.reason] += 1
        if not decision.allowed:
            self.reasons[decision.outcome.value, decision.reason] += 1
            self.blocked_by[decision.by, decision.intent.symbol] += 1
            if decision.outcome is Outcome.BLOCKED:
                self.last_blocked = decision.intent.intent_id
        elif decision.route is not None:
            self.routes[decision.route.value] += 1
            if decision.risk is Risk.INCREASE:
                self.opened[decision.route.value] += 1

    def save(self) -> dict[str, Any]:
        """What cannot be counted again from decisions and fills."""
        orders = [[venue, outcome, count] for (venue, outcome), count in self.orders.items()]
        return {"orders": orders, "filled_orders": self.filled_orders, "rejects": dict(self.rejects)}

    def load(self, saved: Mapping[str, Any]) -> None:
        """Take back what ``save`` gave."""
        self.orders = Counter({(venue, outcome): count for venue, outcome, count in saved["orders"]})
        self.filled_orders = saved["filled_orders"]
        self.rejects = Counter(saved.get("rejects", {}))

    def restore(self, record: Mapping[str, Any]) -> None:
        """One decision of an earlier process, from its record."""
        self.intents += 1
        self.outcomes[record["outcome"]] += 1
        if record["order"]["kind"] == "CANCEL":
            self.cancels[record["outcome"], record["reason"]] += 1
        if record["outcome"] != "allowed":
            self.reasons[record["outcome"], record["reason"]] += 1
        for row in record["gates"]:
            verdict = row["verdict"]
            name = "shadow_block" if verdict == "block" and row["mode"] == "shadow" else verdict
            self.by_gate.setdefault(row["gate"], Counter())[name] += 1

    def order(self, venue: str, outcome: str) -> None:
        """An order reached a state that is counted: accepted, rejected, filled, ..."""
        self.orders[venue, outcome] += 1

    def order_total(self, outcome: str) -> int:
        """Orders of that outcome on all venues."""
        return sum(count for (_, name), count in self.orders.items() if name == outcome)
