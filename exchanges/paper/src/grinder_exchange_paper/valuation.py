"""An account valued at mark prices: equity, margins, and what orders may cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from grinder import PositionSide, Side
from grinder_exchange_paper import margin
from grinder_exchange_paper.account import Account
from grinder_exchange_paper.amounts import ZERO
from grinder_exchange_paper.holding import Contract


class Resting(NamedTuple):
    """Open notional of one symbol's orders that are not reduce-only, at the prices at which they may open."""

    buys: Decimal = ZERO
    sells: Decimal = ZERO


NOTHING: Final = Resting()


class Order(NamedTuple):
    """An order that is to be paid for.

    Attributes:
        symbol: the symbol.
        side: BUY or SELL.
        qty: quantity that may still fill.
        price: limit price, or the price at which a market order is valued.
        reduces: it can only reduce a position.
        last: price traded last; sell orders are assumed to open above it.
    """

    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    reduces: bool = False
    last: Decimal | None = None


class Valuation:
    """An account at one moment's mark prices and open orders. It changes nothing, and is cheap to make.

    A position without a mark price counts at its entry price.

    Args:
        account: the account.
        marks: mark prices by symbol.
        resting: open orders by symbol.

    Attributes:
        account: the account.
        marks: mark prices by symbol.
    """

    __slots__ = ("_resting", "account", "marks")

    def __init__(
        self, account: Account, marks: Mapping[str, Decimal], resting: Mapping[str, Resting] | None = None
    ) -> None:
        self.account = account
        self.marks = marks
        self._resting = resting or {}

    # The account as a whole.

    def unrealised(self) -> Decimal:
        """Unrealised PnL of all positions."""
        return self._unrealised(self.account.contracts.items())

    def equity(self) -> Decimal:
        """Wallet balance and unrealised PnL, cross and isolated."""
        return self.account.balance + self.unrealised()

    def initial(self) -> Decimal:
        """Initial margin of all positions and open orders."""
        return sum((contract.initial(self._gross(symbol, contract)) for symbol, contract in self._all()), ZERO)

    def maintenance(self) -> Decimal:
        """Maintenance margin of all positions."""
        return self._maintenance(self.account.contracts.items())

    def cross_equity(self, without: str = "") -> Decimal:
        """Cross wallet and unrealised PnL of cross positions, those of one symbol left out."""
        return self.account.cross + self._unrealised(self._cross(without))

    def cross_maintenance(self, without: str = "") -> Decimal:
        """Maintenance margin of cross positions, those of one symbol left out."""
        return self._maintenance(self._cross(without))

    def ratio(self) -> Decimal:
        """Maintenance margin to equity of the cross account; at 1 it is liquidated."""
        return margin.ratio(self.cross_maintenance(), self.cross_equity())

    # What orders may cost.

    def available(self) -> Decimal:
        """What orders may still cost: cross equity less initial margins; isolated positions have theirs already."""
        return max(ZERO, self._free())

    def need(self, order: Order) -> Decimal:
        """What an order would take from the available balance, given the orders that are open.

        In one-way mode buy and sell orders are alternatives: only what makes the larger end larger takes anything.
        """
        if order.reduces:
            return ZERO
        symbol, side, qty, price, _, last = order
        contract = self.account.contract(symbol)
        mark = self.marks.get(symbol)
        high, low = contract.reach(mark, *self._resting.get(symbol, NOTHING))
        value = qty * (price if mark is None else margin.assumed_price(side, price, mark, last))
        after = contract.gross(high + value, low) if side is Side.BUY else contract.gross(high, low + value)
        more = after - contract.gross(high, low)
        need = ZERO
        if more > 0:
            need = contract.initial(more) + (ZERO if mark is None else margin.open_loss(side, qty, price, mark))
        return max(need, self._flip(contract, order, mark)) if contract.isolated else need

    def _flip(self, contract: Contract, order: Order, mark: Decimal | None) -> Decimal:
        """What it takes to close an isolated position and to open the other side; zero when the order does not.

        What closing it brings out of its wallet pays for the new one, and is less than the wallet after a loss.
        """
        both = contract.holdings.get(PositionSide.BOTH)
        if both is None or both.qty * order.side.sign >= 0 or order.qty <= abs(both.qty):
            return ZERO
        opened = order.qty - abs(both.qty)
        price = order.price if mark is None else margin.assumed_price(order.side, order.price, mark, order.last)
        loss = ZERO if mark is None else margin.open_loss(order.side, opened, order.price, mark)
        back = max(ZERO, both.proceeds(abs(both.qty), order.price))
        return max(ZERO, contract.initial(opened * price) + loss - back)

    def affords(self, order: Order) -> bool:
        """Whether the available balance covers an order; one that needs nothing always passes."""
        need = self.need(order)
        return not need or need <= self._free()

    def fits_leverage(self, order: Order) -> bool:
        """Whether the position stays within what its brackets allow at its leverage, with all orders of that side."""
        if order.reduces:
            return True
        contract = self.account.contract(order.symbol)
        resting = self._resting.get(order.symbol, NOTHING)
        high, low = contract.reach(self.marks.get(order.symbol), *resting)
        reached = (high if order.side is Side.BUY else low) + order.qty * order.price
        return reached <= contract.max_notional

    # Margin that is moved by hand.

    def addable(self) -> Decimal:
        """The most that may be moved from the cross wallet into that of an isolated position."""
        orders = (self._order_margin(symbol, each) for symbol, each in self._all() if each.isolated)
        spare = self.account.cross - self.cross_maintenance() - sum(orders, ZERO)
        return max(ZERO, min(spare, self._free()))

    def removable(self, symbol: str, position_side: PositionSide) -> Decimal:
        """The most that may be moved out of the wallet of an isolated position."""
        contract = self.account.contract(symbol)
        holding = contract.hold(position_side)
        mark = self.marks.get(symbol)
        value = abs(holding.value(mark))
        above_maintenance = holding.wallet - contract.brackets.maintenance(value)
        above_initial = holding.wallet + holding.unrealised(mark) - contract.initial(value)
        return max(ZERO, min(above_maintenance, above_initial))

    # Sums.

    def _free(self) -> Decimal:
        """The available balance, also below zero."""
        account, marks, resting = self.account, self.marks, self._resting
        free = account.balance - account.isolated
        for symbol, contract in self._all():
            if contract.isolated:
                free -= self._order_margin(symbol, contract)
            else:
                mark = marks.get(symbol)
                high, low = contract.reach(mark, *resting.get(symbol, NOTHING))
                free += contract.unrealised(mark) - contract.initial(contract.gross(high, low))
        return free

    def _gross(self, symbol: str, contract: Contract) -> Decimal:
        return contract.gross(*contract.reach(self.marks.get(symbol), *self._resting.get(symbol, NOTHING)))

    def _order_margin(self, symbol: str, contract: Contract) -> Decimal:
        """Initial margin that open orders need beyond that of the positions."""
        held = contract.gross(*contract.reach(self.marks.get(symbol), ZERO, ZERO))
        return contract.initial(self._gross(symbol, contract) - held)

    def _all(self) -> Iterable[tuple[str, Contract]]:
        """Symbols that have been traded or have open orders."""
        contracts = self.account.contracts
        new = self._resting.keys() - contracts.keys()
        if not new:
            return contracts.items()
        return [*contracts.items(), *((symbol, self.account.contract(symbol)) for symbol in sorted(new))]

    def _cross(self, without: str) -> list[tuple[str, Contract]]:
        contracts = self.account.contracts.items()
        return [(symbol, each) for symbol, each in contracts if not each.isolated and symbol != without]

    def _unrealised(self, contracts: Iterable[tuple[str, Contract]]) -> Decimal:
        return sum((contract.unrealised(self.marks.get(symbol)) for symbol, contract in contracts), ZERO)

    def _maintenance(self, contracts: Iterable[tuple[str, Contract]]) -> Decimal:
        return sum((contract.maintenance(self.marks.get(symbol)) for symbol, contract in contracts), ZERO)
