"""Differences between the ledger and a venue's snapshot, and what a planner answers."""

from __future__ import annotations

import enum

import msgspec


class MismatchKind(enum.StrEnum):
    """What differs."""

    ORDER_EXISTS_UNEXPECTED = "ORDER_EXISTS_UNEXPECTED"
    ORDER_STATUS_DIVERGENCE = "ORDER_STATUS_DIVERGENCE"
    ORDER_MISSING_ON_EXCHANGE = "ORDER_MISSING_ON_EXCHANGE"
    POSITION_NONZERO_UNEXPECTED = "POSITION_NONZERO_UNEXPECTED"


class Mismatch(msgspec.Struct, frozen=True):
    """One difference. ``key`` is a client order id, or the position side."""

    kind: MismatchKind
    symbol: str
    key: str
    expected: str
    observed: str


class ReconcileReport(msgspec.Struct, frozen=True):
    """One comparison. ``complete`` is False when a read failed: what is missing then is unknown, not flat."""

    as_of_ns: int
    complete: bool
    mismatches: tuple[Mismatch, ...] = ()


class PlannedAction(enum.StrEnum):
    """What a plan may ask for; nothing that adds risk."""

    CANCEL = "CANCEL"
    FLATTEN = "FLATTEN"


class RemediationStep(msgspec.Struct, frozen=True):
    """One action for one mismatch."""

    action: PlannedAction
    mismatch: Mismatch


class RemediationPlan(msgspec.Struct, frozen=True):
    """A proposal; it is shown, budgeted and armed before anything of it is executed."""

    steps: tuple[RemediationStep, ...] = ()
