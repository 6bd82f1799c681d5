"""An account valued at mark prices: equity, margins, what an order may cost, and who is to be liquidated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from grinder import PositionSide, Side
from grinder_exchange_paper import margin
from grinder_exchange_paper.account import Account
from grinder_exchange_paper.amounts import ZERO
from grinder_exchange_paper.holding import Contract, Holding
from grinder_exchange_paper.margin import Leg


class Resting(NamedTuple):
    """Open notional of one symbol's orders that are not reduce-only, at the prices at which they may open."""

    buys: Decimal = ZERO
    sells: Decimal = ZERO


NOTHING: Final = Resting()


class Liquidation(NamedTuple):
    """A position that the venue has to close, and the limit price of the order that does it.

    Attributes:
        symbol: the symbol.
        position_side: the side of the position.
        qty: signed quantity of the position.
        bankruptcy: price at which nothing of its margin is left; None when there is none: any price.
        isolated: it is liquidated alone; else the whole cross account is.
    """

    symbol: str
    position_side: PositionSide
    qty: Decimal
    bankruptcy: Decimal | None
    isolated: bool


class Valuation:
    """An account at one moment's mark prices and open orders. It changes nothing, and is cheap to make.

    A position without a mark price counts at its entry price.

    Args:
        account: the account.
        marks: mark prices by symbol.
        resting: open orders by symbol.
    """

    __slots__ = ("_account", "_marks", "_resting")

    def __init__(
        self,
        account: Account,
        marks: Mapping[str, Decimal],
        resting: Mapping[str, Resting] | None = None,
    ) -> None:
        self._account = account
        self._marks = marks
        self._resting = resting or {}

    # The account as a whole.

    def unrealised(self) -> Decimal:
        """Unrealised PnL of all positions."""
        return self._unrealised(self._contracts())

    def equity(self) -> Decimal:
        """Wallet balance and unrealised PnL, cross and isolated."""
        return self._account.balance + self.unrealised()

    def cross_equity(self) -> Decimal:
        """Cross wallet and unrealised PnL of cross positions."""
        return self._account.cross + self._unrealised(self._contracts(isolated=False))

    def initial(self) -> Decimal:
        """Initial margin of all positions and open orders."""
        return sum((self._initial(symbol, contract) for symbol, contract in self._all()), ZERO)

    def maintenance(self) -> Decimal:
        """Maintenance margin of all positions."""
        return self._maintenance(self._contracts())

    def ratio(self) -> Decimal:
        """Maintenance margin to equity of the cross account; at 1 it is liquidated."""
        return margin.ratio(self._maintenance(self._contracts(isolated=False)), self.cross_equity())

    # What orders may cost.

    def available(self) -> Decimal:
        """What orders may still cost: cross equity less initial margins; isolated positions have theirs already."""
        return max(ZERO, self._free())

    def _free(self) -> Decimal:
        account, marks, resting = self._account, self._marks, self._resting
        free = account.balance - account.isolated
        for symbol, contract in self._all():
            mark = marks.get(symbol)
            buys, sells = resting.get(symbol, NOTHING)
            needed = contract.gross(mark, buys, sells)
            if contract.isolated:
                needed -= contract.gross(mark, ZERO, ZERO)
            elif mark is not None:
                free += contract.unrealised(mark)
            free -= contract.initial(needed)
        return free

    def need(
        self,
        symbol: str,
        side: Side,
        qty: Decimal,
        price: Decimal,
        *,
        reduces: bool = False,
        last: Decimal | None = None,
    ) -> Decimal:
        """What an order would take from the available balance, given the orders that are open.

        In one-way mode it takes nothing as far as it stays below what orders of the other side, or the position that
        it closes, take already.

        Args:
            symbol: the symbol.
            side: its side.
            qty: quantity that may still fill.
            price: limit price, or the price at which a market order is valued.
            reduces: it can only reduce a position.
            last: price traded last; sell orders are assumed to open above it.
        """
        if reduces:
            return ZERO
        contract = self._account.contract(symbol)
        mark = self._marks.get(symbol)
        buys, sells = self._resting.get(symbol, NOTHING)
        before = contract.gross(mark, buys, sells)
        value = qty * (margin.assumed_price(side, price, mark, last) if mark is not None else price)
        if side is Side.BUY:
            after = contract.gross(mark, buys + value, sells)
        else:
            after = contract.gross(mark, buys, sells + value)
        if after <= before:
            return ZERO
        loss = margin.open_loss(side, qty, price, mark) if mark is not None else ZERO
        return contract.initial(after - before) + loss

    def affords(
        self,
        symbol: str,
        side: Side,
        qty: Decimal,
        price: Decimal,
        *,
        reduces: bool = False,
        last: Decimal | None = None,
    ) -> bool:
        """Whether the available balance covers an order (else -2019). Arguments as in ``need``."""
        need = self.need(symbol, side, qty, price, reduces=reduces, last=last)
        return not need or need <= self._free()

    def fits_leverage(self, symbol: str, side: Side, notional: Decimal) -> bool:
        """Whether an order keeps the position within what the brackets allow at its leverage (else -2027).

        An order that does not make the position larger always does.
        """
        contract = self._account.contract(symbol)
        mark = self._marks.get(symbol)
        high, low = contract.reach(mark, *self._resting.get(symbol, NOTHING))
        before, after = (high, high + notional) if side is Side.BUY else (low, low - notional)
        return abs(after) <= abs(before) or abs(after) <= contract.brackets.max_notional(contract.leverage)

    # Liquidation.

    def liquidation_price(self, symbol: str, position_side: PositionSide) -> Decimal | None:
        """Mark price of a symbol at which its position is liquidated, all others staying; None when there is none."""
        contract = self._account.contract(symbol)
        legs = self._legs(contract, position_side)
        if not legs:
            return None
        wallet = self._backing(symbol, contract, position_side)
        mark = self._marks.get(symbol, legs[0].cost / legs[0].qty)
        return margin.liquidation_price(wallet, legs, contract.brackets, mark)

    def bankruptcy_price(self, symbol: str, position_side: PositionSide) -> Decimal | None:
        """Price of a symbol at which nothing of the margin behind its position is left; None when there is none."""
        contract = self._account.contract(symbol)
        legs = self._legs(contract, position_side)
        return margin.bankruptcy_price(self._backing(symbol, contract, position_side), legs) if legs else None

    def liquidations(self) -> list[Liquidation]:
        """Positions that have to be liquidated now, isolated ones first.

        An isolated position is, when its wallet and its unrealised PnL are not above its maintenance margin; all
        cross positions are, when that holds for the cross account.
        """
        found = [
            self._liquidation(symbol, side, holding, contract)
            for symbol, contract in self._account.contracts.items()
            if contract.isolated
            for side, holding in contract.holdings.items()
            if holding.qty and self._spent(symbol, contract, holding)
        ]
        cross = list(self._contracts(isolated=False))
        needed = self._maintenance(cross)
        if needed and self._account.cross + self._unrealised(cross) <= needed:
            found += [
                self._liquidation(symbol, side, holding, contract)
                for symbol, contract in cross
                for side, holding in contract.holdings.items()
                if holding.qty
            ]
        return found

    def _spent(self, symbol: str, contract: Contract, holding: Holding) -> bool:
        mark = self._marks.get(symbol)
        needed = contract.brackets.maintenance(abs(holding.value(mark)))
        return holding.wallet + holding.unrealised(mark) <= needed

    def _liquidation(self, symbol: str, side: PositionSide, holding: Holding, contract: Contract) -> Liquidation:
        return Liquidation(symbol, side, holding.qty, self.bankruptcy_price(symbol, side), contract.isolated)

    def margin_left(self, symbol: str, position_side: PositionSide, qty: Decimal, price: Decimal) -> Decimal:
        """What is left of the margin of a position, or of its part, when that is closed at a price; not below zero.

        Args:
            symbol: the symbol.
            position_side: the side of the position.
            qty: quantity that is closed, above zero and not above that of the position.
            price: price of the fill that closes it.
        """
        contract = self._account.contract(symbol)
        if contract.isolated:
            left = contract.hold(position_side).proceeds(qty, price)
        else:
            others = [each for each in self._contracts(isolated=False) if each[0] != symbol]
            left = self._account.cross + self._unrealised(others) + contract.unrealised(price)
        return max(ZERO, left)

    # Margin that is moved by hand.

    def addable(self) -> Decimal:
        """The most that may be moved from the cross wallet into that of an isolated position."""
        cross = self._account.cross - self._maintenance(self._contracts(isolated=False))
        for symbol, contract in self._all():
            if contract.isolated:
                mark = self._marks.get(symbol)
                orders = contract.gross(mark, *self._resting.get(symbol, NOTHING)) - contract.gross(mark, ZERO, ZERO)
                cross -= contract.initial(orders)
        return max(ZERO, min(cross, self._free()))

    def removable(self, symbol: str, position_side: PositionSide) -> Decimal:
        """The most that may be moved out of the wallet of an isolated position."""
        contract = self._account.contract(symbol)
        holding = contract.hold(position_side)
        mark = self._marks.get(symbol)
        value = abs(holding.value(mark))
        above_maintenance = holding.wallet - contract.brackets.maintenance(value)
        above_initial = holding.wallet + holding.unrealised(mark) - contract.initial(value)
        return max(ZERO, min(above_maintenance, above_initial))

    # Sums.

    def _contracts(self, *, isolated: bool | None = None) -> Iterable[tuple[str, Contract]]:
        """Symbols that have been traded; those in one margin mode, or all."""
        contracts = self._account.contracts.items()
        return contracts if isolated is None else [each for each in contracts if each[1].isolated is isolated]

    def _all(self) -> Iterable[tuple[str, Contract]]:
        """Symbols that have been traded or have open orders."""
        contracts = self._account.contracts
        new = self._resting.keys() - contracts.keys()
        if not new:
            return contracts.items()
        return [*contracts.items(), *((symbol, self._account.contract(symbol)) for symbol in sorted(new))]

    def _initial(self, symbol: str, contract: Contract) -> Decimal:
        return contract.initial(contract.gross(self._marks.get(symbol), *self._resting.get(symbol, NOTHING)))

    def _unrealised(self, contracts: Iterable[tuple[str, Contract]]) -> Decimal:
        return sum((contract.unrealised(self._marks.get(symbol)) for symbol, contract in contracts), ZERO)

    def _maintenance(self, contracts: Iterable[tuple[str, Contract]]) -> Decimal:
        return sum((contract.maintenance(self._marks.get(symbol)) for symbol, contract in contracts), ZERO)

    def _legs(self, contract: Contract, position_side: PositionSide) -> list[Leg]:
        """The positions that share a liquidation price with that of a side, itself first; none when it is flat."""
        first = contract.hold(position_side)
        if not first.qty:
            return []
        others = [] if contract.isolated else [h for h in contract.holdings.values() if h.qty and h is not first]
        return [Leg(holding.qty, holding.cost) for holding in (first, *others)]

    def _backing(self, symbol: str, contract: Contract, position_side: PositionSide) -> Decimal:
        """What stands behind the positions of a symbol, before their own PnL and maintenance margin."""
        if contract.isolated:
            return contract.hold(position_side).wallet
        others = [each for each in self._contracts(isolated=False) if each[0] != symbol]
        return self._account.cross + self._unrealised(others) - self._maintenance(others)
