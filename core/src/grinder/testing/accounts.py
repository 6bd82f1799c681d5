"""The account as gates see it, made of the engine's own; positions, open orders and fills to put into it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from grinder.engine.account import Account
from grinder.engine.faces import AccountFace
from grinder.testing.events import NOW, SYMBOL
from grinder.testing.numbers import Number, decimal, text
from grinder.types import Fill, OpenOrder, OrderState, Position, PositionSide, Route, Side

ZERO = Decimal(0)


def position(
    qty: Number = 0,
    *,
    symbol: str = SYMBOL,
    entry_price: Number = "60000",
    realised: Number = 0,
    position_side: PositionSide = PositionSide.BOTH,
) -> Position:
    """A position of ``qty`` base units, signed.

    Raises:
        ValueError: a number makes no sense.
    """
    return Position(
        text("symbol", symbol),
        position_side,
        decimal("qty", qty),
        decimal("entry_price", entry_price, least=ZERO),
        decimal("realised", realised),
    )


def open_order(
    *,
    symbol: str = SYMBOL,
    side: Side | str = Side.BUY,
    qty: Number = "0.01",
    price: Number | None = "60000.0",
    remaining: Number | None = None,
    state: OrderState = OrderState.OPEN,
    intent_id: str = "test-open-1",
    position_side: PositionSide = PositionSide.BOTH,
    reduce_only: bool = False,
    origin: str = "",
    created_ns: int = NOW,
) -> OpenOrder:
    """An order that may still trade ``remaining`` base units, by default all of ``qty``.

    Raises:
        ValueError: a number makes no sense, or ``state`` is final.
    """
    if state.final:
        raise ValueError(f"state is {state}, which is final: such an order is not open")
    total = decimal("qty", qty, above=ZERO)
    return OpenOrder(
        intent_id=text("intent_id", intent_id),
        client_id=f"grinder_{intent_id}",
        symbol=text("symbol", symbol),
        side=Side(side),
        position_side=position_side,
        price=None if price is None else decimal("price", price, above=ZERO),
        qty=total,
        remaining=total if remaining is None else decimal("remaining", remaining, least=ZERO),
        reduce_only=reduce_only,
        state=state,
        route=Route.PAPER,
        origin=origin,
        created_ns=created_ns,
    )


def account(
    *,
    balance: Number = 10_000,
    positions: Iterable[Position] = (),
    orders: Iterable[OpenOrder] = (),
) -> AccountFace:
    """The engine's own account face over these positions and open orders; by default flat.

    Args:
        balance: wallet balance in quote units.
        positions: one a symbol and leg.
        orders: those that may still trade; each needs an ``intent_id`` of its own.

    Raises:
        ValueError: two orders have one id.
    """
    inner = Account("paper", balance=decimal("balance", balance))
    for held in positions:
        inner.set_position(held)
    for working in orders:
        if inner.order(working.intent_id) is not None:
            raise ValueError(f"two open orders have the intent_id {working.intent_id!r}; give each its own")
        inner.put(working)
    return AccountFace(inner)


def fill(
    *,
    symbol: str = SYMBOL,
    side: Side | str = Side.BUY,
    qty: Number = "0.01",
    price: Number = "60000.0",
    fee: Number = "0.12",
    trade_id: str = "1",
    now_ns: int = NOW,
    **more: Any,
) -> Fill:
    """An execution on the paper venue; ``more`` is any other field of ``Fill``.

    Raises:
        ValueError: a number makes no sense.
        TypeError: ``Fill`` has no such field.
    """
    fields: dict[str, Any] = {
        "route": Route.PAPER,
        "venue": "paper",
        "account": "paper",
        "position_side": PositionSide.BOTH,
        "client_id": "grinder_test-1",
        "intent_id": "test-1",
        "fee_asset": "USDT",
        "maker": True,
        "exchange_ns": now_ns,
        "local_ns": now_ns,
        **more,
    }
    return Fill(
        symbol=text("symbol", symbol),
        side=Side(side),
        qty=decimal("qty", qty, above=ZERO),
        price=decimal("price", price, above=ZERO),
        fee=decimal("fee", fee),
        trade_id=trade_id,
        **fields,
    )
