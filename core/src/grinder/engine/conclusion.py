"""The end of the order path: one decision, and what is admitted. The only maker of ``Admitted``."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from grinder.decisions import _SEAL, Admitted, Decision, Mode, Outcome, Shrink
from grinder.engine.draft import Draft, Refusal, Ruling
from grinder.gates.chain import Evaluation
from grinder.journal.identity import client_order_id
from grinder.types import IntentKind, OpenOrder, OrderState, Route, TradingState

ZERO: Final = Decimal(0)


def conclude(draft: Draft, refusal: Refusal | None, *, tag: str, trading_state: TradingState, mid: float) -> Ruling:
    """The decision, and unless it was refused the sealed order.

    Args:
        draft: the intent after the last stage.
        refusal: what ended it; None when it goes out.
        tag: of the instance, part of every client order id.
        trading_state: that held for its symbol.
        mid: the mid price, 0.0 when unknown.
    """
    evaluation = draft.evaluation
    intent = draft.intent
    cancel = intent.kind is IntentKind.CANCEL
    client_id = client_order_id(tag, intent.intent_id) if refusal is None else ""
    decision = Decision(
        intent=intent,
        now_ns=draft.now,
        risk=draft.risk,
        outcome=Outcome.ALLOWED if refusal is None else refusal.outcome,
        reason="OK" if refusal is None else refusal.reason,
        by="" if refusal is None else refusal.by,
        qty=None if cancel else draft.qty,
        price=draft.price,
        route=draft.route if refusal is None else None,
        trading_state=trading_state,
        mid=mid,
        detail="" if refusal is None else refusal.detail,
        warnings=draft.warnings + _gate_warnings(evaluation),
        gates=evaluation.gates if evaluation is not None else (),
        answers=evaluation.answers if evaluation is not None else (),
        first_answers=draft.first,
        client_id=client_id,
        reduce_only=draft.reduce_only,
    )
    if refusal is not None or draft.route is None:
        return Ruling(decision)
    return _admit(draft, draft.route, decision)


def _admit(draft: Draft, route: Route, decision: Decision) -> Ruling:
    intent, target, client_id = draft.intent, draft.target, decision.client_id
    admitted = Admitted(
        _SEAL,
        intent,
        client_id,
        ZERO if intent.kind is IntentKind.CANCEL else draft.qty,
        draft.price,
        draft.reduce_only,
        route,
        target.client_id if target is not None else "",
        draft.now,
    )
    if intent.kind is not IntentKind.PLACE:
        return Ruling(decision, admitted)
    order = OpenOrder(
        intent.intent_id,
        client_id,
        intent.symbol,
        intent.side,
        intent.position_side,
        draft.price,
        draft.qty,
        draft.qty,
        draft.reduce_only,
        OrderState.INTENT,
        route,
        intent.origin,
        draft.now,
        intent.trigger,
    )
    return Ruling(decision, admitted, order)


def _gate_warnings(evaluation: Evaluation | None) -> tuple[str, ...]:
    """Shadow answers that would have bound, so that an operator sees them on an allowed order too."""
    if evaluation is None:
        return ()
    return tuple(
        f"{info.name} would shrink to {answer.qty}: {answer.reason}"
        for info, answer in zip(evaluation.gates, evaluation.answers, strict=True)
        if info.mode is Mode.SHADOW and isinstance(answer, Shrink)
    )
