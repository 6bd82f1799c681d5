"""Liquidation, worked by hand: when, at which price, who pays what."""

from __future__ import annotations

from decimal import Decimal

import pytest

from grinder import PositionSide, Side
from grinder_exchange_paper import fees, liquidation
from grinder_exchange_paper.entries import Cleared, Insured

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
BOTH, LONG, SHORT = PositionSide.BOTH, PositionSide.LONG, PositionSide.SHORT
BTC, ETH = "BTCUSDT", "ETHUSDT"


def test_cross_liquidation_prices_take_the_rest_of_the_account_along(make_wallet):
    """B8: with 1500 of loss and 500 of maintenance margin elsewhere."""
    wallet = make_wallet().fill("1", "50000").fill("50", "2530", symbol=ETH)
    valuation = wallet.at(50000, 2500)  # ETH: -1500; 125,000 x 0.004 = 500
    assert f"{liquidation.price(valuation, BTC, BOTH):.4f}" == "42168.6747"
    assert f"{liquidation.bankruptcy_price(valuation, BTC, BOTH):.4f}" == "41500.0000"  # 50000 - 8500


@pytest.mark.parametrize(("side", "qty", "price"), [(LONG, "1", "45180.7229"), (SHORT, "-1", "54780.8765")])
def test_isolated_legs_of_a_hedge_do_not_know_each_other(make_wallet, side, qty, price):
    """B12: each as B1 and B2."""
    wallet = make_wallet("20000", hedge=True, isolated={BTC: 10}).fill(qty, "50000", side=side)
    alone = liquidation.price(wallet.at(50000), BTC, side)
    wallet.fill("-1" if side is LONG else "1", "50000", side=SHORT if side is LONG else LONG)
    assert f"{liquidation.price(wallet.at(50000), BTC, side):.4f}" == f"{alone:.4f}" == price


def test_cross_legs_of_a_hedge_share_their_price(make_wallet):
    """B10."""
    wallet = make_wallet(hedge=True).fill("2", "50000", side=LONG).fill("-1", "52000", side=SHORT)
    for side in (LONG, SHORT):
        assert f"{liquidation.price(wallet.at(50000), BTC, side):.4f}" == "38461.5385"
    assert liquidation.price(wallet.at(50000), ETH, LONG) is None
    assert liquidation.bankruptcy_price(wallet.at(50000), ETH, LONG) is None


def liquidate(wallet, marks, at=None):
    """As the venue does it: close at the bankruptcy price or ``at``, take the fee, let the fund make good the rest."""
    closed = liquidation.due(wallet.at(*marks))
    for each in closed:
        price = at or each.bankruptcy
        left = liquidation.margin_left(wallet.at(*marks), each.symbol, each.position_side, abs(each.qty), price)
        wallet.fill(-each.qty, price, symbol=each.symbol, side=each.position_side)
        fee = fees.clearance(abs(each.qty) * price, left)
        wallet.book(Cleared(wallet.now, each.symbol, each.position_side, fee))
    if wallet.account.shortfall():
        wallet.book(Insured(wallet.now, wallet.account.shortfall()))
    return closed


@pytest.mark.parametrize(("qty", "before", "mark"), [("1", "45180.73", "45180.72"), ("-1", "54780.87", "54780.88")])
def test_an_isolated_position_is_liquidated_at_its_price_and_not_before(make_wallet, qty, before, mark):
    """B1 and B2. At the bankruptcy price all of its 5000 is gone, and nothing is left for a fee."""
    wallet = make_wallet(isolated={BTC: 10}).fill(qty, "50000")
    assert liquidation.due(wallet.at(before)) == []
    (closed,) = liquidate(wallet, [mark])
    assert closed == (BTC, BOTH, D(qty), D(45000 if D(qty) > 0 else 55000), True)
    assert wallet.wallets == ["5000", "5000", "0"]
    assert (wallet.account.clearance, wallet.account.insurance) == (0, 0)


def test_margin_that_is_equal_to_the_maintenance_margin_does_not_suffice(make_wallet):
    """Isolated, at 45000: 5180 - 5000 = 180 = 45000 x 0.004. Cross, at 40000: 10160 - 10000 = 160."""
    isolated = make_wallet(isolated={BTC: 10}).fill("1", "50000").move("180")
    assert len(liquidation.due(isolated.at(45000))) == 1
    assert liquidation.due(isolated.at("45000.01")) == []
    cross = make_wallet("10160").fill("1", "50000")
    assert len(liquidation.due(cross.at(40000))) == 1
    assert liquidation.due(cross.at("40000.01")) == []


def test_an_empty_account_has_nothing_to_liquidate(make_wallet):
    assert liquidation.due(make_wallet("0").at(50000)) == []
    assert liquidation.due(make_wallet("5000", isolated={BTC: 10}).fill("1", "50000").at(50000)) == []


def test_isolated_positions_are_liquidated_before_the_cross_account(make_wallet):
    wallet = make_wallet("5100").fill("10", "2500", symbol=ETH).set(BTC, 10, isolated=True).fill("1", "50000")
    assert [(each.symbol, each.isolated) for each in liquidation.due(wallet.at(45000, 2490))] == [
        (BTC, True),
        (ETH, False),
    ]


def test_a_liquidation_above_the_bankruptcy_price_pays_the_clearance_fee_from_what_is_left(make_wallet):
    """Closed at 45100: 100 is left, less than 1.25 % of 45100; at 46000: 1000 is left, 575 is the fee."""
    wallet = make_wallet(isolated={BTC: 10}).fill("1", "50000")
    liquidate(wallet, ["45180.72"], at=D(45100))
    assert (wallet.wallets, wallet.account.clearance) == (["5000", "5000", "0"], 100)
    wallet = make_wallet(isolated={BTC: 10}).fill("1", "50000")
    liquidate(wallet, ["45180.72"], at=D(46000))
    assert (wallet.wallets, wallet.account.clearance) == (["5425", "5425", "0"], 575)


def test_an_isolated_liquidation_leaves_the_other_leg_and_the_cross_account_alone(make_wallet):
    wallet = (
        make_wallet("30000", hedge=True, isolated={BTC: 10})
        .fill("1", "50000", side=LONG)
        .fill("-1", "50000", side=SHORT)
    )
    wallet.fill("1", "2500", symbol=ETH, side=LONG)
    closed = liquidate(wallet, ["45180", "2500"])
    assert [(each.symbol, each.position_side) for each in closed] == [(BTC, LONG)]
    assert [(p.symbol, p.position_side) for p in wallet.account.positions()] == [(BTC, SHORT), (ETH, LONG)]
    assert wallet.wallets == ["25000", "20000", "0", "5000", "0"]


def test_a_cross_account_is_liquidated_as_a_whole(make_wallet):
    """B6, with a short position of ETH at its entry: 10 x 2500 x 0.004 = 100 more of maintenance margin.

    40160.6426 alone becomes (50000 - 10000 + 100) / 0.996 = 40261.0442.
    """
    wallet = make_wallet().fill("1", "50000").fill("-10", "2500", symbol=ETH)
    assert f"{liquidation.price(wallet.at(50000, 2500), BTC, BOTH):.4f}" == "40261.0442"
    assert liquidation.due(wallet.at("40261.05", 2500)) == []
    closed = liquidation.due(wallet.at("40261.04", 2500))
    assert [(each.symbol, each.qty, each.isolated) for each in closed] == [(BTC, 1, False), (ETH, -10, False)]
    assert [each.bankruptcy for each in closed] == [D(40000), D("2526.104")]  # 10000 - 9738.96 = 261.04, over 10


def test_what_a_cross_liquidation_leaves_below_zero_is_the_insurance_funds(make_wallet):
    """Closed 300 beyond its bankruptcy price of 40000."""
    wallet = make_wallet().fill("1", "50000")
    liquidate(wallet, ["40100"], at=D(39700))
    assert wallet.wallets == ["0", "0", "0"]
    assert (wallet.account.realised, wallet.account.insurance, wallet.account.clearance) == (-10300, 300, 0)


def test_an_isolated_position_does_not_pay_for_the_cross_account_nor_hold_the_insurance_fund_off(make_wallet):
    """5000 of cross wallet behind 1 BTC, closed at 44000: the fund adds 1000, the isolated 250 stay where they are."""
    wallet = make_wallet("5250", isolated={ETH: 10}).fill("1", "2500", symbol=ETH).fill("1", "50000")
    closed = liquidate(wallet, ["45000", "2500"], at=D(44000))
    assert [each.symbol for each in closed] == [BTC]
    assert wallet.wallets == ["250", "0", "250", "0"]
    assert wallet.account.insurance == 1000


def test_the_fund_waits_while_another_cross_position_may_still_gain(make_wallet):
    wallet = make_wallet().fill("1", "50000").fill("1", "2500", symbol=ETH).fill("-1", "39000")
    assert (wallet.account.cross, wallet.account.shortfall()) == (-1000, 0)
    wallet.fill("-1", "2500", symbol=ETH)
    assert wallet.account.shortfall() == 1000


def test_a_cross_liquidation_pays_its_fee_before_it_is_empty(make_wallet):
    """Closed at 40100: 100 is left of the wallet and taken."""
    wallet = make_wallet().fill("1", "50000")
    liquidate(wallet, ["40100"], at=D(40100))
    assert (wallet.wallets, wallet.account.clearance) == (["0", "0", "0"], 100)
