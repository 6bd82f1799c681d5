"""Positions and balance: averaging, realising, crossing zero, and nothing lost to rounding."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder_exchange_paper.account import Holding, money

D = Decimal


def test_the_venues_own_sequence():
    holding = Holding()
    steps = [("1", "50000", "50000", "0"), ("1", "51000", "50500", "0")]
    steps += [("-0.5", "52000", "50500", "750"), ("-2", "49000", "49000", "-2250")]
    for delta, price, entry, realised in steps:
        assert holding.trade(D(delta), D(price)) == D(realised)
        assert holding.cost / holding.qty == D(entry)
    assert holding.qty == D("-0.5")


def test_a_short_earns_when_the_price_falls():
    holding = Holding()
    holding.trade(D(-2), D(50000))
    assert holding.trade(D(1), D(49000)) == 1000
    assert holding.trade(D(1), D(50500)) == -500
    assert (holding.qty, holding.cost) == (0, 0)


@pytest.mark.parametrize(
    ("value", "rounded"), [("0.000000005", "0.00000001"), ("-0.000000005", "-0.00000001"), ("0.0000000049", "0")]
)
def test_money_is_rounded_half_up(value, rounded):
    assert money(D(value)) == D(rounded)
    assert money(D(value)).as_tuple().exponent == -8


trades = st.lists(
    st.tuples(st.integers(-3000, 3000).filter(bool), st.integers(500_000, 700_000)), min_size=1, max_size=40
)


@settings(deadline=None, max_examples=200)
@given(trades)
def test_realised_and_what_is_still_held_account_for_every_trade(trades):
    """What was paid and received is realised, or is the cost of the position, to the last digit."""
    holding = Holding()
    cash = realised = D(0)
    for lots, ticks in trades:
        delta, price = D(lots).scaleb(-3), D(ticks).scaleb(-1)
        realised += holding.trade(delta, price)
        cash -= delta * price
        assert realised == cash + holding.cost
    assert holding.qty == sum(D(lots).scaleb(-3) for lots, _ in trades)
    assert realised == money(realised)
