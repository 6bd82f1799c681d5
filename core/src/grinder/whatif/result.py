"""What ``grinder whatif`` answers, as data: the document that ``--json`` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TypeAlias

import msgspec

from grinder.evidence.explain import DecisionRow
from grinder.whatif.changes import Change
from grinder.whatif.effects import Drift, LostFills
from grinder.whatif.review import After, Turn

Key: TypeAlias = tuple[str, ...]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A decision in short. Empty or null where it cannot be known."""

    outcome: str
    reason: str
    by: str
    qty: Decimal | None


class Turned(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that would be another. ``id`` is what ``grinder explain`` takes."""

    id: str
    ts_ns: int
    kind: str
    symbol: str
    side: str
    change: Turn
    before: Told
    after: Told


class GateReport(msgspec.Struct, frozen=True, kw_only=True):
    """How the answers of one gate came about.

    ``status``: ``judged`` anew from what it recorded; ``kept`` as recorded, with the changed settings applied to what
    follows from it; ``no_judge`` kept although its own settings changed; ``absent`` from the run, so that nothing is
    known of it; ``removed`` by the change.
    ``not_judged`` are changed settings that its judge never reads, ``rejudged`` the answers judged anew, ``kept`` those
    that stay as recorded, since its judge does not reproduce them under the run's own settings, or raises.
    ``faults`` are answers that the host had given in the gate's place (missing or stale data, a gate that failed).
    """

    gate: str
    status: str
    changed: tuple[str, ...] = ()
    not_judged: tuple[str, ...] = ()
    rejudged: int = 0
    kept: int = 0
    faults: int = 0


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions, or answers of a gate, that end the same way: in the run and as it would have been."""

    what: Key
    before: int
    after: int


class WhatIf(msgspec.Struct, kw_only=True):
    """The whole answer.

    Attributes:
        decisions: read from the run; ``gated`` of them were put to gates.
        turns: decisions by what becomes of them, ``same`` left out.
        by_reason: (outcome, by, reason).
        by_gate: (gate, mode, verdict, reason).
        first_change: id of the first decision that changes what is sent, empty for none; ``after_first_change``
            decisions follow, whose positions, resting orders and orders would themselves have been others.
        amendments: changed decisions that were amendments, whose order stays as it was when they are blocked.
        drift: by group; null without ``markouts.jsonl``.
        changed: the first changed decisions.
    """

    run: str
    changes: Sequence[Change] = ()
    not_modelled: tuple[str, ...] = ()
    gates: Sequence[GateReport] = ()
    notes: list[str] = msgspec.field(default_factory=list)
    decisions: int = 0
    gated: int = 0
    turns: dict[str, int] = msgspec.field(default_factory=dict)
    by_reason: Sequence[Count] = ()
    by_gate: Sequence[Count] = ()
    first_change: str = ""
    after_first_change: int = 0
    amendments: int = 0
    fills_lost: LostFills = msgspec.field(default_factory=LostFills)
    drift: Mapping[str, Drift] | None = None
    changed: list[Turned] = msgspec.field(default_factory=list)

    @property
    def sent_changes(self) -> int:
        """Decisions that change what is sent, or may."""
        return sum(count for turn, count in self.turns.items() if turn != Turn.REASON)


def turned(row: DecisionRow, after: After) -> Turned:
    """The record of a changed decision."""
    return Turned(
        id=row.id,
        ts_ns=row.ts_ns,
        kind=row.order.kind,
        symbol=row.order.symbol,
        side=row.order.side,
        change=after.turn,
        before=Told(outcome=row.outcome, reason=row.reason, by=row.by, qty=row.qty),
        after=Told(outcome=after.outcome, reason=after.reason, by=after.by, qty=after.qty),
    )


def counts(before: Counter[Key], after: Counter[Key]) -> list[Count]:
    """Both counts side by side, the largest difference first."""
    rows = [Count(what=key, before=before[key], after=after[key]) for key in before.keys() | after.keys()]
    return sorted(rows, key=lambda row: (-abs(row.after - row.before), -row.before, row.what))
