"""Read-only faces of what the engine keeps: what strategies, gates and hooks are given.

They have no way to change anything, so that a plugin that assigns or calls by mistake raises instead of trading on
a state that nobody decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from grinder.engine.account import Account
from grinder.engine.runtime import Runtime
from grinder.types import OpenOrder, Position, PositionSide, Side


class AccountFace:
    """Implements ``AccountView``."""

    __slots__ = ("__account",)

    def __init__(self, account: Account) -> None:
        self.__account = account

    @property
    def balance(self) -> Decimal:
        """Wallet balance in quote units, realised PnL and fees included."""
        return self.__account.balance

    def position(self, symbol: str, position_side: PositionSide = PositionSide.BOTH) -> Position:
        """The position of one leg; flat when there is none."""
        return self.__account.position(symbol, position_side)

    def open_orders(self, symbol: str) -> tuple[OpenOrder, ...]:
        """Orders that may still trade, from INTENT to UNKNOWN, in the order in which they were decided."""
        return self.__account.open_orders(symbol)

    def worst_case(self, symbol: str, side: Side) -> Decimal:
        """Base units that open orders could still trade on one side."""
        return self.__account.worst_case(symbol, side)


class RuntimeFace:
    """Implements ``RuntimeView``."""

    __slots__ = ("__runtime",)

    def __init__(self, runtime: Runtime) -> None:
        self.__runtime = runtime

    @property
    def started_ns(self) -> int:
        """When the engine began to trade, on the injected clock."""
        return self.__runtime.started_ns

    @property
    def signals(self) -> Mapping[str, float]:
        """Named measurements."""
        return self.__runtime.signals

    def healthy_since(self, symbol: str) -> int:
        """Since when the symbol's data has been continuously healthy, ns; 0 while it is not."""
        return self.__runtime.healthy_since(symbol)
