"""Admission: what follows from the gates' answers."""

from __future__ import annotations

from collections.abc import Sequence

from grinder import Answer, GateInfo, OrderIntent


def admission(order: OrderIntent, gates: Sequence[GateInfo], answers: Sequence[Answer]) -> str:
    """Whether an order that its gates let pass is admitted.

    Core has already applied the rule that no policy can loosen: any enforced block blocks, and the smallest
    shrink holds. A policy can only be stricter; the standard one is not.

    Args:
        order: the intent with its final quantity and price.
        gates: the gates that were asked.
        answers: what they answered, in the same order.

    Returns:
        Empty to accept, else a sentence that says why not.
    """
    del order, gates, answers
    return ""
