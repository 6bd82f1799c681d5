"""From a wanted notional to a quantity."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from grinder.decisions import Outcome
from grinder.engine import rules
from grinder.engine.draft import Draft, Policies, Refusal

ZERO: Final = Decimal(0)


def size(draft: Draft, policies: Policies, reference: Callable[[str], Decimal]) -> Refusal | None:
    """Give the draft the quantity that its wanted notional amounts to; a draft with a quantity is left alone.

    Args:
        draft: the intent on its way.
        policies: asked for what adds risk; what only reduces needs no free balance.
        reference: the price that values a market order of a symbol; zero when unknown.
    """
    wanted = draft.intent.notional
    if wanted is None or draft.intent.qty is not None or draft.instrument is None or draft.desk is None:
        return None
    price = draft.price if draft.price is not None else reference(draft.intent.symbol)
    if not wanted.is_finite() or not price.is_finite():
        return Refusal(Outcome.DROPPED, "INPUT_NONFINITE", "sizing", f"notional {wanted}, price {price}")
    if price <= 0:
        return Refusal(Outcome.DROPPED, "PRICE_UNAVAILABLE", "sizing", "no price is known to size the order")
    plain = rules.floor_to(wanted / price, draft.instrument.lot_size)
    if draft.intent.reduce_only or plain <= _reducible(draft):
        draft.qty = plain  # what only reduces needs no free balance
        return None
    return _size_new_risk(draft, policies, wanted, price)


def _size_new_risk(draft: Draft, policies: Policies, wanted: Decimal, price: Decimal) -> Refusal | None:
    desk, instrument = draft.desk, draft.instrument
    assert desk is not None and instrument is not None  # noqa: S101, PT018 - the caller has seen both
    if not desk.account.known:
        return Refusal(Outcome.BLOCKED, "ACCOUNT_UNKNOWN", "sizing")
    free = desk.account.free_balance
    try:
        qty: object = policies.size(wanted, price, instrument, free)
    except Exception as error:  # noqa: BLE001 - a policy is a plugin
        return Refusal(Outcome.BLOCKED, "POLICY_ERROR", "sizing", f"{type(error).__name__}: {error}")
    if not isinstance(qty, Decimal) or not qty.is_finite():
        return Refusal(Outcome.BLOCKED, "POLICY_ERROR", "sizing", f"answered {type(qty).__name__} {qty!r:.40}")
    draft.qty = qty
    if draft.qty <= 0:  # too little to add risk with; what reduces the position still goes
        draft.qty = rules.floor_to(_reducible(draft), instrument.lot_size)
    if draft.qty > 0:
        return None
    if free < policies.min_free_balance:
        detail = f"free balance {free:.2f} is below {policies.min_free_balance}"
        return Refusal(Outcome.DROPPED, "BALANCE_MIN", "sizing", detail)
    detail = f"notional {wanted} with {free:.2f} free is below the venue's minimum at {price}"
    return Refusal(Outcome.DROPPED, "QTY_ZERO", "sizing", detail)


def _reducible(draft: Draft) -> Decimal:
    """How much the order could reduce, working orders of its side taken off; never below zero."""
    intent, desk = draft.intent, draft.desk
    if desk is None:
        return ZERO
    held = desk.account.position(intent.symbol, intent.position_side).qty
    working = desk.account.worst_case(intent.symbol, intent.side, intent.position_side)
    return max(-held * intent.side.sign - working, ZERO)
