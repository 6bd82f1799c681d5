"""Keeps the decisions of a run, and answers what tests ask of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from grinder.decisions import Answer, Decision, Outcome, decision_record


class DecisionRecorder:
    """Takes decisions when called with them, in the order in which they were made."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []

    def __call__(self, decision: Decision) -> None:
        """Keep one."""
        self.decisions.append(decision)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.decisions)

    def __iter__(self) -> Iterator[Decision]:
        """All of them."""
        return iter(self.decisions)

    @property
    def allowed(self) -> list[Decision]:
        """Those that let the order be sent."""
        return [each for each in self.decisions if each.outcome is Outcome.ALLOWED]

    @property
    def blocked(self) -> list[Decision]:
        """Those that refused the order."""
        return [each for each in self.decisions if each.outcome is Outcome.BLOCKED]

    @property
    def dropped(self) -> list[Decision]:
        """Those on orders that could never be valid."""
        return [each for each in self.decisions if each.outcome is Outcome.DROPPED]

    @property
    def reasons(self) -> Counter[str]:
        """How often each reason decided."""
        return Counter(each.reason for each in self.decisions)

    def by(self, name: str) -> list[Decision]:
        """Those that a gate, or a stage of the order path, decided."""
        return [each for each in self.decisions if each.by == name]

    def answers(self, gate: str) -> list[Answer]:
        """What one gate answered, in order; decisions for which it was not asked are left out."""
        return [
            answer
            for each in self.decisions
            for info, answer in zip(each.gates, each.answers, strict=False)
            if info.name == gate
        ]

    def records(self) -> list[dict[str, Any]]:
        """The decisions as plain data, as ``decisions.jsonl`` holds them."""
        return [decision_record(each) for each in self.decisions]
