"""Margin arithmetic: pure functions of positions, prices and brackets.

A position is a signed quantity (long above zero) and its signed cost, quantity times average entry price. Prices,
costs and margins are in quote units. Sums and products are exact; quotients have 28 digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from grinder import Side
from grinder_exchange_paper.amounts import ZERO
from grinder_exchange_paper.brackets import Brackets

MARKET_SELL_FACTOR: Final = Decimal("1.0015")
"""A sell order is assumed to open at the last price times this, or higher."""
INFINITY: Final = Decimal("Infinity")


class Leg(NamedTuple):
    """A position: signed quantity and signed cost."""

    qty: Decimal
    cost: Decimal


def leg(qty: Decimal, entry: Decimal) -> Leg:
    """A position of a signed quantity at an average entry price."""
    return Leg(qty, qty * entry)


def notional(qty: Decimal, mark: Decimal) -> Decimal:
    """Value of a position, never negative."""
    return abs(qty) * mark


def unrealised(position: Leg, mark: Decimal) -> Decimal:
    """Profit, or loss below zero, that closing at the mark price would realise."""
    return position.qty * mark - position.cost


def initial(value: Decimal, leverage: int, closing_rate: Decimal = ZERO) -> Decimal:
    """Initial margin of a notional, with the fee to close where the venue adds it."""
    return value / leverage + value * closing_rate if closing_rate else value / leverage


def ratio(maintenance: Decimal, equity: Decimal) -> Decimal:
    """Maintenance margin to equity; liquidation comes at 1. Infinite when margin is needed and no equity is left."""
    if not maintenance:
        return ZERO
    return maintenance / equity if equity > 0 else INFINITY


# What an order costs.


def assumed_price(side: Side, price: Decimal, mark: Decimal, last: Decimal | None = None) -> Decimal:
    """Price at which the venue assumes that an order opens a position.

    A buy order opens at its own price; a sell order at the highest of its own price, the mark price and the last
    price times 1.0015.
    """
    if side is Side.BUY:
        return price
    return max(price, mark, last * MARKET_SELL_FACTOR) if last is not None else max(price, mark)


def open_loss(side: Side, qty: Decimal, price: Decimal, mark: Decimal) -> Decimal:
    """Loss that an order would have at once if it were filled at its price; never negative."""
    return max(ZERO, qty * (price - mark) * side.sign)


def order_cost(
    side: Side, qty: Decimal, price: Decimal, *, mark: Decimal, leverage: int, last: Decimal | None = None
) -> Decimal:
    """What an order that opens a position takes from the available balance: initial margin and open loss."""
    assumed = assumed_price(side, price, mark, last)
    return initial(qty * assumed, leverage) + open_loss(side, qty, price, mark)


# Liquidation and bankruptcy.


def liquidation_price(wallet: Decimal, legs: Sequence[Leg], brackets: Brackets, mark: Decimal) -> Decimal | None:
    """Mark price at which margin no longer covers the maintenance margin of the legs; None when there is none.

    The equation ``wallet + unrealised = maintenance`` is solved with the brackets of the notionals at ``mark``, and
    again with those at the price found, until they are the same. All legs are of one symbol, and what is reached
    first in the direction in which they lose is found.

    Args:
        wallet: isolated: the leg's own wallet. Cross: the cross wallet, plus unrealised PnL and less maintenance
            margin of the positions in other symbols.
        legs: isolated: the one leg. Cross: all legs of the symbol; in hedge mode they share the price.
        brackets: the symbol's.
        mark: mark price to begin with.
    """
    qty = sum((each.qty for each in legs), ZERO)
    left = wallet - sum((each.cost for each in legs), ZERO)
    tried: set[Decimal] = set()
    price = mark
    while price not in tried:  # each is the solution of one choice of brackets: they are finitely many
        tried.add(price)
        solution = _solve(left, qty, legs, brackets, price)
        if solution is None or solution == price:
            return solution or None
        price = solution
    return None


def _solve(left: Decimal, qty: Decimal, legs: Sequence[Leg], brackets: Brackets, price: Decimal) -> Decimal | None:
    """The liquidation price with the brackets of one price, not below zero; None when margin is the same at all."""
    slope, deduction = -qty, ZERO
    for each in legs:
        size = abs(each.qty)
        row = brackets.at(size * price)
        slope += size * (row.mmr + brackets.closing_rate)
        deduction += row.cum
    return max(ZERO, (left + deduction) / slope) if slope else None


def bankruptcy_price(wallet: Decimal, legs: Sequence[Leg]) -> Decimal | None:
    """Price at which nothing of the margin is left; None when there is none. Arguments as in ``liquidation_price``."""
    qty = sum((each.qty for each in legs), ZERO)
    if not qty:
        return None
    price = (sum((each.cost for each in legs), ZERO) - wallet) / qty
    return price if price > 0 else None


def liquidation_price_by_entry(
    position: Leg, leverage: int, brackets: Brackets, extra: Decimal = ZERO
) -> Decimal | None:
    """The estimate that Bybit's help page gives for an isolated position: maintenance margin is that of the entry.

    Args:
        position: the position.
        leverage: its leverage.
        brackets: the symbol's.
        extra: margin that was added beyond the initial margin.
    """
    value = abs(position.cost)
    cushion = initial(value, leverage) + extra - brackets.maintenance(value)
    price = (position.cost - cushion) / position.qty
    return price if price > 0 else None
