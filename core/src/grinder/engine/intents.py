"""Whether what a strategy or bot proposed is an intent at all: fields of the types that they are declared with."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec

from grinder.types import IntentKind, OrderIntent, PositionSide, Side, TimeInForce

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
    problems = []
    blanks = {}
    for name, kinds in TYPES.items():
        value = getattr(proposal, name)
        if type(value) not in kinds:
            problems.append(f"{name} was {type(value).__name__}, must be {kinds[0].__name__}")
        elif type(value) is Decimal and value.is_finite() and value and not -LARGEST <= value.adjusted() < LARGEST:
            problems.append(f"{name} {value:E} is out of all proportion")
        else:
            continue
        blanks[name] = BLANK.get(name, getattr(_DEFAULTS, name))
    return (msgspec.structs.replace(proposal, **blanks) if blanks else proposal), "; ".join(problems)


_DEFAULTS: Final = OrderIntent(symbol="", side=Side.BUY)
