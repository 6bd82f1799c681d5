"""Whether what a strategy or bot proposed is an intent at all: fields of the types that they are declared with."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec

from grinder.types import IntentKind, OrderIntent, PositionSide, Side, TimeInForce, Trigger, TriggerKind, TriggerSource

NUMBER: Final = (Decimal, type(None))
TYPES: Final[dict[str, tuple[type, ...]]] = {
    "symbol": (str,),
    "side": (Side,),
    "kind": (IntentKind,),
    "qty": NUMBER,
    "notional": NUMBER,
    "price": NUMBER,
    "tif": (TimeInForce,),
    "reduce_only": (bool,),
    "position_side": (PositionSide,),
    "trigger": (Trigger, type(None)),
    "target": (str,),
    "origin": (str,),
}
BLANK: Final[dict[str, Any]] = {"symbol": "", "side": Side.BUY}
LARGEST: Final = 20
"""Numbers of an order have at most this many digits before the point, and as many behind it."""


def examined(proposal: object) -> tuple[OrderIntent, str]:
    """The intent, and what is wrong with it; a field of a wrong type is blanked, so that it can be recorded."""
    if not isinstance(proposal, OrderIntent):
        return OrderIntent(symbol="", side=Side.BUY), f"proposed {type(proposal).__name__}, must be an OrderIntent"
    if _ordinary(proposal):
        return proposal, ""
    problems = []
    blanks = {}
    for name, kinds in TYPES.items():
        value = getattr(proposal, name)
        if type(value) not in kinds:
            problems.append(f"{name} was {type(value).__name__}, must be {kinds[0].__name__}")
        elif type(value) is str and not _writable(value):
            problems.append(f"{name} holds half a surrogate pair, which no record can hold: {value!a:.60}")
        elif type(value) is Decimal and _absurd(value):
            problems.append(f"{name} {value:E} is out of all proportion")
        elif type(value) is Trigger and (wrong := _wrong_trigger(value)):
            problems.append(wrong)
        else:
            continue
        blanks[name] = BLANK.get(name, getattr(_DEFAULTS, name))
    return (msgspec.structs.replace(proposal, **blanks) if blanks else proposal), "; ".join(problems)


def _ordinary(p: Any) -> bool:
    """Whether nothing can be wrong: what nearly every intent is, told in one go."""
    return (
        type(p.symbol) is str
        and type(p.side) is Side
        and type(p.kind) is IntentKind
        and type(p.tif) is TimeInForce
        and type(p.reduce_only) is bool
        and type(p.position_side) is PositionSide
        and type(p.target) is str
        and type(p.origin) is str
        and p.symbol.isascii()
        and p.target.isascii()
        and p.origin.isascii()
        and p.trigger is None
        and p.notional is None
        and (p.qty is None or (type(p.qty) is Decimal and not _absurd(p.qty)))
        and (p.price is None or (type(p.price) is Decimal and not _absurd(p.price)))
    )


def _writable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _absurd(value: Decimal) -> bool:
    return value.is_finite() and bool(value) and not -LARGEST <= value.adjusted() < LARGEST


def _wrong_trigger(trigger: Trigger) -> str:
    if type(trigger.kind) is not TriggerKind or type(trigger.source) is not TriggerSource:
        return "trigger.kind and trigger.source must be a TriggerKind and a TriggerSource"
    price = trigger.price
    if type(price) is not Decimal or not price.is_finite() or price <= 0 or _absurd(price):
        return f"trigger.price {price!r} must be a Decimal above zero"
    return ""


_DEFAULTS: Final = OrderIntent(symbol="", side=Side.BUY)
