"""Orders and instruments with sensible values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from grinder.decisions import _SEAL, Admitted
from grinder.instruments import TABLE, Instrument
from grinder.testing.events import NOW, SYMBOL
from grinder.testing.numbers import Number, decimal, text
from grinder.types import IntentKind, OrderIntent, Route, Side

ZERO = Decimal(0)


def order(
    *,
    symbol: str = SYMBOL,
    side: Side | str = Side.BUY,
    qty: Number | None = "0.01",
    price: Number | None = "60000.0",
    intent_id: str = "test-1",
    **more: Any,
) -> OrderIntent:
    """An intent: by default to buy 0.01 BTC at 60,000. ``price=None`` is a market order.

    Args:
        symbol: the symbol.
        side: ``Side`` or its name.
        qty: base units, not negative; None where ``notional`` is given.
        price: limit price.
        intent_id: as the engine would have assigned it.
        more: any other field of ``OrderIntent``; ``notional`` may be any number.

    Raises:
        ValueError: a number or a side makes no sense.
        TypeError: ``OrderIntent`` has no such field.
    """
    if more.get("notional") is not None:
        more["notional"] = decimal("notional", more["notional"], above=ZERO)
    return OrderIntent(
        symbol=text("symbol", symbol),
        side=Side(side),
        qty=None if qty is None else decimal("qty", qty, least=ZERO),
        price=None if price is None else decimal("price", price, above=ZERO),
        intent_id=intent_id,
        **{"created_ns": NOW, **more},
    )


def admitted(
    intent: OrderIntent | None = None,
    *,
    client_id: str = "grinder_test-1",
    reduce_only: bool = False,
    route: Route = Route.PAPER,
    target_client_id: str = "",
    decided_ns: int = NOW,
) -> Admitted:
    """What the engine would hand to an exchange: for tests of exchange adapters, which accept nothing else.

    Args:
        intent: by default ``order()``.
        client_id: client order id.
        reduce_only: whether the venue's flag is set.
        route: where it goes.
        target_client_id: for AMEND and CANCEL, the order meant.
        decided_ns: when it was decided.
    """
    intent = order() if intent is None else intent
    cancel = intent.kind is IntentKind.CANCEL
    qty = ZERO if cancel or intent.qty is None else intent.qty
    price = None if cancel else intent.price
    return Admitted(_SEAL, intent, client_id, qty, price, reduce_only, route, target_client_id, decided_ns)


def instrument(symbol: str = SYMBOL, **fields: Any) -> Instrument:
    """Venue rules: those of the shipped table where it has the symbol, else BTCUSDT's, with fields replaced.

    Raises:
        ValueError: a number makes no sense.
        TypeError: ``Instrument`` has no such field.
    """
    base = TABLE.get(symbol, TABLE[SYMBOL])
    numbers = {name for name in Instrument.__struct_fields__ if isinstance(getattr(base, name), Decimal)}
    plain = {name: decimal(name, value) if name in numbers else value for name, value in fields.items()}
    return msgspec.structs.replace(base, symbol=text("symbol", symbol), **plain)
