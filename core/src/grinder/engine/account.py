"""The account as strategies and gates see it: positions, and every order that may still trade at its worst case."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from grinder.types import OpenOrder, OrderState, Position, PositionSide, Side

ZERO: Final = Decimal(0)


class Account:
    """Positions and working orders on one venue. Implements ``AccountView``; only the engine changes it.

    Orders count from the moment they are decided (INTENT) until they are final, so that two orders cannot
    pass one limit.

    Args:
        venue: its name.
        balance: wallet balance in quote units; None while the venue has not stated it.
        leverage: at which positions and orders bind balance.

    Attributes:
        known: whether the balance is.
        earned: realised PnL and payments less fees since the start, quote units.
        unanswered: orders that the venue has not answered yet.
    """

    def __init__(self, venue: str, *, balance: Decimal | None = None, leverage: Decimal = Decimal(1)) -> None:
        self.venue = venue
        self.known = balance is not None
        self.start_balance = balance if balance is not None else ZERO
        self._leverage = leverage
        self.earned = ZERO
        self._positions: dict[tuple[str, PositionSide], Position] = {}
        self._orders: dict[str, OpenOrder] = {}
        self._by_client: dict[str, str] = {}
        self._by_symbol: dict[str, dict[str, OpenOrder]] = {}
        self._worst: dict[tuple[str, Side, PositionSide], Decimal] = {}
        self._bound = ZERO
        self.unanswered = 0

    @property
    def balance(self) -> Decimal:
        """Wallet balance in quote units: what it was at the start, realised PnL and payments added, fees taken off."""
        return self.start_balance + self.earned

    @property
    def free_balance(self) -> Decimal:
        """Balance that neither positions (at entry) nor open orders (at their price) bind, at the leverage given."""
        bound = sum((abs(p.qty) * p.entry_price for p in self._positions.values()), self._bound)
        return self.balance - bound / self._leverage

    def set_balance(self, balance: Decimal) -> None:
        """The venue has stated the wallet balance of this moment."""
        self.start_balance = balance - self.earned
        self.known = True

    def position(self, symbol: str, position_side: PositionSide = PositionSide.BOTH) -> Position:
        """The position of one leg; flat when there is none."""
        held = self._positions.get((symbol, position_side))
        return held if held is not None else Position(symbol, position_side, ZERO, ZERO, ZERO)

    def positions(self) -> tuple[Position, ...]:
        """Every position that is or was held, by symbol and leg."""
        return tuple(self._positions[key] for key in sorted(self._positions))

    def set_position(self, position: Position) -> None:
        """The ledger moved."""
        self._positions[position.symbol, position.position_side] = position

    def open_orders(self, symbol: str) -> tuple[OpenOrder, ...]:
        """Orders of a symbol that may still trade, in the order in which they were decided."""
        return tuple(self._by_symbol.get(symbol, {}).values())

    def working(self) -> tuple[OpenOrder, ...]:
        """All orders that may still trade."""
        return tuple(self._orders.values())

    def worst_case(self, symbol: str, side: Side, position_side: PositionSide = PositionSide.BOTH) -> Decimal:
        """Base units that open orders could still trade on one side."""
        return self._worst.get((symbol, side, position_side), ZERO)

    def order(self, intent_id: str) -> OpenOrder | None:
        """A working order by its intent."""
        return self._orders.get(intent_id)

    def by_client(self, client_id: str) -> OpenOrder | None:
        """A working order by its client order id."""
        intent_id = self._by_client.get(client_id)
        return self._orders.get(intent_id) if intent_id is not None else None

    def put(self, order: OpenOrder) -> None:
        """Add or replace a working order; a final one is taken off."""
        before = self._orders.get(order.intent_id)
        if before is not None:
            self._reserve(before, -1)
        if order.state.final:
            if before is not None:
                del self._orders[before.intent_id], self._by_client[before.client_id]
                del self._by_symbol[before.symbol][before.intent_id]
            return
        self._orders[order.intent_id] = order
        self._by_client[order.client_id] = order.intent_id
        self._by_symbol.setdefault(order.symbol, {})[order.intent_id] = order
        self._reserve(order, 1)

    def _reserve(self, order: OpenOrder, sign: int) -> None:
        key = (order.symbol, order.side, order.position_side)
        remaining = sign * max(order.remaining, ZERO)  # an order filled beyond its quantity reserves nothing
        self._worst[key] = self._worst.get(key, ZERO) + remaining
        if order.price is not None and not order.reduce_only:
            self._bound += remaining * order.price
        if order.state in UNANSWERED:
            self.unanswered += sign


UNANSWERED: Final = frozenset((OrderState.INTENT, OrderState.SENT, OrderState.UNKNOWN))


def moved(order: OpenOrder, state: OrderState, remaining: Decimal) -> OpenOrder:
    """The order in another state."""
    return msgspec.structs.replace(order, state=state, remaining=max(remaining, ZERO))
