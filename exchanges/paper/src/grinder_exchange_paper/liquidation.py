"""Liquidation: which positions the venue closes at the present marks, at which prices, and what that leaves."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from grinder import PositionSide
from grinder_exchange_paper import margin
from grinder_exchange_paper.amounts import ZERO
from grinder_exchange_paper.holding import Contract, Holding
from grinder_exchange_paper.margin import Leg
from grinder_exchange_paper.valuation import Valuation


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


def due(valuation: Valuation) -> list[Liquidation]:
    """Positions that have to be liquidated now, isolated ones first.

    An isolated position has to be, when its wallet and its unrealised PnL are not above its maintenance margin; all
    cross positions have to be, when that holds for the cross account.
    """
    cross_is_due = valuation.cross_equity() <= valuation.cross_maintenance()
    found = [
        Liquidation(symbol, side, holding.qty, bankruptcy_price(valuation, symbol, side), contract.isolated)
        for symbol, contract in valuation.account.contracts.items()
        for side, holding in contract.holdings.items()
        if holding.qty and (_spent(valuation, symbol, contract, holding) if contract.isolated else cross_is_due)
    ]
    found.sort(key=lambda each: not each.isolated)
    return found


def _spent(valuation: Valuation, symbol: str, contract: Contract, holding: Holding) -> bool:
    mark = valuation.marks.get(symbol)
    return holding.wallet + holding.unrealised(mark) <= contract.brackets.maintenance(abs(holding.value(mark)))


def price(valuation: Valuation, symbol: str, position_side: PositionSide) -> Decimal | None:
    """Mark price of a symbol at which its position is liquidated, all else staying; None when there is none.

    In hedge mode with cross margin both positions of the symbol share it.
    """
    contract = valuation.account.contract(symbol)
    legs = _legs(contract, position_side)
    if not legs:
        return None
    wallet = _backing(valuation, symbol, contract, position_side)
    if not contract.isolated:
        wallet -= valuation.cross_maintenance(without=symbol)
    mark = valuation.marks.get(symbol, legs[0].cost / legs[0].qty)
    return margin.liquidation_price(wallet, legs, contract.brackets, mark)


def bankruptcy_price(valuation: Valuation, symbol: str, position_side: PositionSide) -> Decimal | None:
    """Price of a symbol at which nothing is left of the margin behind its position; None when there is none."""
    contract = valuation.account.contract(symbol)
    legs = _legs(contract, position_side)
    return margin.bankruptcy_price(_backing(valuation, symbol, contract, position_side), legs)


def margin_left(
    valuation: Valuation, symbol: str, position_side: PositionSide, qty: Decimal, price: Decimal
) -> Decimal:
    """What is left of the margin of a position, or of its part, when that is closed at a price; not below zero.

    Args:
        valuation: the account before the fill.
        symbol: the symbol.
        position_side: the side of the position.
        qty: quantity that is closed, above zero and not above that of the position.
        price: price of the fill that closes it.
    """
    contract = valuation.account.contract(symbol)
    if contract.isolated:
        return max(ZERO, contract.hold(position_side).proceeds(qty, price))
    return max(ZERO, valuation.cross_equity(without=symbol) + contract.unrealised(price))


def _legs(contract: Contract, position_side: PositionSide) -> list[Leg]:
    """The positions that share a liquidation price with that of a side, itself first; none when it is flat."""
    first = contract.hold(position_side)
    if not first.qty:
        return []
    others = (
        [] if contract.isolated else [each for each in contract.holdings.values() if each.qty and each is not first]
    )
    return [Leg(holding.qty, holding.cost) for holding in (first, *others)]


def _backing(valuation: Valuation, symbol: str, contract: Contract, position_side: PositionSide) -> Decimal:
    """The money behind a position, before its own PnL: its wallet, or the cross account without its symbol."""
    if contract.isolated:
        return contract.hold(position_side).wallet
    return valuation.cross_equity(without=symbol)
