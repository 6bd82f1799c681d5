"""The stage of the order path that holds an order to the rules of its venue."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from grinder.decisions import Outcome
from grinder.engine import rules
from grinder.engine.draft import Draft, Refusal
from grinder.instruments import Instrument
from grinder.types import OrderIntent, Risk


def hold_to_rules(draft: Draft, reference: Callable[[str], Decimal]) -> Refusal | None:
    """Bend quantity and prices to the venue's rules, or refuse; ``reference`` gives the price that values an order."""
    if draft.instrument is None:
        return None
    reducing = draft.risk is Risk.REDUCE
    refusal = _bend_trigger(draft, draft.instrument) if draft.intent.trigger is not None else None
    if refusal is not None:
        return refusal
    at = valued_at(draft.intent, reference)
    ruled = rules.check(draft.instrument, draft.intent.side, draft.qty, draft.price, at, reducing)
    draft.qty, draft.price = ruled.qty, ruled.price
    draft.warnings += ruled.warnings
    if ruled.reason:
        return Refusal(Outcome.DROPPED, ruled.reason, "venue_rules", ruled.detail)
    return None


def valued_at(intent: OrderIntent, reference: Callable[[str], Decimal]) -> Decimal:
    """The price that an order is measured by: its trigger's, where it waits for one, since it trades near that."""
    return intent.trigger.price if intent.trigger is not None else reference(intent.symbol)


def _bend_trigger(draft: Draft, instrument: Instrument) -> Refusal | None:
    """Hold a trigger price to the tick: what adds risk is dropped, what reduces is bent so that it fires sooner."""
    trigger = draft.intent.trigger
    assert trigger is not None  # noqa: S101 - the caller has seen it
    price = rules.trigger_price(instrument, draft.intent.side, trigger)
    if price == trigger.price:
        return None
    tick = instrument.tick_size
    if draft.risk is not Risk.REDUCE or price <= 0:
        detail = f"trigger price {trigger.price} is not a positive multiple of {tick}"
        return Refusal(Outcome.DROPPED, "PRICE_TICK", "venue_rules", detail)
    draft.warnings += (f"PRICE_TICK: trigger {trigger.price} moved to {price}, a multiple of {tick}",)
    moved = msgspec.structs.replace(trigger, price=price)
    draft.intent = msgspec.structs.replace(draft.intent, trigger=moved)
    return None
