"""What follows from the gates' answers: the first enforced block, then the admission policy."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from grinder.decisions import Answer, GateInfo, Outcome
from grinder.engine.draft import Refusal
from grinder.gates.chain import Evaluation
from grinder.types import OrderIntent


class Admitting(Protocol):
    """The part of the policies that is asked here."""

    def admission(self, order: OrderIntent, gates: Sequence[GateInfo], answers: Sequence[Answer]) -> str:
        """Empty to accept, else why not."""
        ...


def admission(order: OrderIntent, evaluation: Evaluation, policies: Admitting) -> Refusal | None:
    """Why an order is not admitted; None when it is.

    Args:
        order: the intent.
        evaluation: what its gates answered, at the quantity that would be sent.
        policies: can only be stricter than the gates.
    """
    if evaluation.blocker >= 0:
        answer = evaluation.answers[evaluation.blocker]
        return Refusal(Outcome.BLOCKED, getattr(answer, "reason", ""), evaluation.gates[evaluation.blocker].name)
    try:
        refused = policies.admission(order, evaluation.gates, evaluation.answers)
    except Exception as error:  # noqa: BLE001 - a policy is a plugin
        return Refusal(Outcome.BLOCKED, "POLICY_ERROR", "admission", f"{type(error).__name__}: {error}")
    if not isinstance(refused, str):  # a policy is a plugin: what it promised is no proof
        answered: str = type(refused).__name__  # type: ignore[unreachable]
        return Refusal(Outcome.BLOCKED, "POLICY_ERROR", "admission", f"answered {answered}")
    return Refusal(Outcome.BLOCKED, "POLICY_REFUSED", "admission", refused) if refused else None


def shrunk_again(evaluation: Evaluation, qty: Decimal) -> Refusal | None:
    """The refusal of an order whose gates ask for still less at the quantity ``qty`` that they were shrunk to."""
    if evaluation.blocker < 0 and evaluation.shrink is not None:
        return Refusal(Outcome.DROPPED, "SHRINK_REPEATED", "shrink", f"asked for {evaluation.shrink} after {qty}")
    return None
