"""An account at given mark prices, worked by hand: margins, and what orders cost."""

from __future__ import annotations

from decimal import Decimal

from grinder import PositionSide, Side
from grinder_exchange_paper.account import Account
from grinder_exchange_paper.brackets import BYBIT, Brackets
from grinder_exchange_paper.entries import MarginSet
from grinder_exchange_paper.valuation import Order, Resting, Valuation

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
BOTH, LONG, SHORT = PositionSide.BOTH, PositionSide.LONG, PositionSide.SHORT
BTC, ETH = "BTCUSDT", "ETHUSDT"


def test_a_cross_account_at_its_marks(make_wallet):
    """1 BTC @ 50000 and -10 ETH @ 2500, marks 50500 and 2520; 20x."""
    wallet = make_wallet().fill("1", "50000").fill("-10", "2500", symbol=ETH)
    valuation = wallet.at(50500, 2520)
    assert valuation.unrealised() == 300  # 500 - 200
    assert valuation.equity() == valuation.cross_equity() == 10300
    assert valuation.initial() == 3785  # (50500 + 25200) / 20
    assert valuation.maintenance() == D("302.8")  # 75700 x 0.004
    assert valuation.ratio() == D("302.8") / 10300
    assert valuation.available() == 6515


def test_totals_hold_isolated_positions_too_and_the_cross_account_does_not(make_wallet):
    wallet = make_wallet(isolated={BTC: 10}).fill("1", "50000").fill("1", "2500", symbol=ETH)
    valuation = wallet.at(51000, 2600)
    assert (valuation.maintenance(), valuation.cross_maintenance()) == (D("214.4"), D("10.4"))
    assert (valuation.equity(), valuation.cross_equity()) == (11100, 5100)


def test_a_venue_that_adds_the_fee_to_close_to_margins():
    """Bybit, taker 0.00055: 1 BTC at 50000, 10x: 5000 + 27.5 and 250 + 27.5."""
    account = Account(D(10000), hedge=False, tables={BTC: Brackets(BYBIT.rows, D("0.00055"))})
    account.book(MarginSet(0, BTC, isolated=False, leverage=10))
    valuation = Valuation(account, {BTC: D(50000)})
    assert valuation.need(Order(BTC, BUY, D(1), D(50000))) == D("5027.5")
    assert account.contract(BTC).brackets.maintenance(D(50000)) == D("277.5")


# What orders cost.


def need(valuation, side, qty, price, symbol=BTC, **more):
    return valuation.need(Order(symbol, side, D(qty), D(price), **more))


def test_what_an_order_needs(make_wallet):
    """20x. The venue's example: 1 BTC at 9253.30 with the mark at 9259.84."""
    valuation = make_wallet().at("9259.84")
    assert need(valuation, BUY, "1", "9253.30") == D("462.665")
    assert need(valuation, SELL, "1", "9253.30") == D("469.532")  # 9259.84 / 20 + 6.54
    assert need(valuation, SELL, "1", "9253.30", last=D(9258)) == D("470.13435")
    assert need(valuation, BUY, "1", "9253.30", reduces=True) == 0


def test_in_one_way_mode_the_larger_of_both_sides_needs_margin(make_wallet):
    """Long 1 at 100, mark 100, 20x: selling 2 reaches the same size on the other side."""
    wallet = make_wallet().fill("1", "100")
    valuation = wallet.at(100)
    assert need(valuation, SELL, "2", "100") == 0
    assert need(valuation, SELL, "3", "100") == 5  # one more than is held
    assert need(valuation, BUY, "1", "100") == 5
    resting = {BTC: Resting(buys=D(100))}
    assert need(wallet.at(100, resting=resting), SELL, "3", "100") == 0
    assert need(wallet.at(100, resting=resting), BUY, "1", "100") == 5


def test_in_hedge_mode_every_opening_order_needs_margin(make_wallet):
    wallet = make_wallet(hedge=True).fill("1", "100", side=LONG)
    valuation = wallet.at(100, resting={BTC: Resting(D(100), D(60))})
    assert need(valuation, SELL, "2", "100") == 10
    assert need(valuation, BUY, "2", "100") == 10
    assert valuation.initial() == 13  # 100 + 100 + 60, over 20


def test_an_order_is_affordable_up_to_the_last_digit(make_wallet):
    """100 of cross equity, 20x."""
    wallet = make_wallet("100")
    assert wallet.at(100).affords(Order(BTC, BUY, D(20), D(100)))
    assert not wallet.at(100).affords(Order(BTC, BUY, D("20.001"), D(100)))
    assert not wallet.at(100).affords(Order(BTC, BUY, D(20), D("100.01")))
    busy = {ETH: Resting(sells=D(1000))}
    assert wallet.at(100, resting=busy).affords(Order(BTC, BUY, D(10), D(100)))
    assert not wallet.at(100, resting=busy).affords(Order(BTC, BUY, D("10.001"), D(100)))


def test_profit_can_be_used_and_losses_count(make_wallet):
    wallet = make_wallet("100").fill("1", "100")
    # at 120: 120 of equity less 6 of margin; at 80: 80 less 4
    assert (wallet.at(120).available(), wallet.at(80).available()) == (114, 76)
    assert (wallet.at(1).available(), wallet.account.cross) == (D("0.95"), 100)


def test_an_order_that_makes_nothing_larger_is_affordable_without_money(make_wallet):
    wallet = make_wallet("1").fill("1", "100")
    assert wallet.at(50).available() == 0
    assert wallet.at(50).affords(Order(BTC, SELL, D(2), D(50)))
    assert not wallet.at(50).affords(Order(BTC, BUY, D("0.001"), D(50)))


def test_isolated_positions_have_paid_and_their_profit_is_not_available(make_wallet):
    wallet = make_wallet("1000", isolated={BTC: 10}).fill("1", "1000")
    assert wallet.at(5000).available() == 900
    assert need(wallet.at(1000), BUY, "1", "1000") == 100
    resting = {BTC: Resting(buys=D(1000), sells=D(500))}
    assert wallet.at(1000, resting=resting).available() == 800  # the buy order needs 100 of its own


def test_a_position_without_a_mark_price_counts_at_its_entry(make_wallet):
    valuation = Valuation(make_wallet("100").fill("1", "100").account, {})
    assert (valuation.equity(), valuation.available(), valuation.maintenance()) == (100, 95, D("0.4"))
    assert need(valuation, SELL, "3", "50") == D("0")  # 3 x 50 - 100 is less than what is held
    assert need(valuation, SELL, "5", "50") == D("2.5")


def test_brackets_bound_the_position_at_a_leverage(make_wallet):
    """At 125x BTCUSDT may be held up to 300,000."""
    wallet = make_wallet("100000").set(BTC, 125).fill("5", "50000")
    valuation = wallet.at(50000)
    assert valuation.fits_leverage(Order(BTC, BUY, D(1), D(50000)))
    assert not valuation.fits_leverage(Order(BTC, BUY, D("1.001"), D(50000)))
    assert valuation.fits_leverage(Order(BTC, SELL, D(11), D(50000)))  # to short 6
    assert not valuation.fits_leverage(Order(BTC, SELL, D("11.001"), D(50000)))
    assert valuation.fits_leverage(Order(BTC, BUY, D(9), D(50000), reduces=True))
    busy = wallet.at(50000, resting={BTC: Resting(buys=D(50000))})
    assert not busy.fits_leverage(Order(BTC, BUY, D("0.001"), D(50000)))
    assert not make_wallet().set(BTC, 151).at(50000).fits_leverage(Order(BTC, BUY, D("0.001"), D(50000)))


def test_a_position_beyond_its_brackets_may_become_smaller(make_wallet):
    """It grew with the mark, to 350,000."""
    wallet = make_wallet("100000").set(BTC, 125).fill("5", "50000")
    assert wallet.at(70000).fits_leverage(Order(BTC, SELL, D(1), D(70000)))
    assert not wallet.at(70000).fits_leverage(Order(BTC, BUY, D("0.001"), D(70000)))
    assert not wallet.at(70000).fits_leverage(Order(BTC, SELL, D("9.5"), D(70000)))  # to short 4.5, still beyond


def test_in_hedge_mode_brackets_bound_each_leg(make_wallet):
    wallet = make_wallet("100000", hedge=True).set(BTC, 125).fill("6", "50000", side=LONG)
    assert wallet.at(50000).fits_leverage(Order(BTC, SELL, D(6), D(50000)))
    assert not wallet.at(50000).fits_leverage(Order(BTC, SELL, D("6.001"), D(50000)))
    assert not wallet.at(50000).fits_leverage(Order(BTC, BUY, D("0.001"), D(50000)))


def test_margin_that_may_be_moved(make_wallet):
    """Isolated long 1 @ 50000, 10x, 10000 in all. In: 5000 less what orders need. Out: what leaves both margins."""
    wallet = make_wallet(isolated={BTC: 10}).fill("1", "50000")
    assert wallet.at(50000).addable() == 5000
    assert wallet.at(50000, resting={BTC: Resting(buys=D(10000))}).addable() == 4000
    assert wallet.at(50000).removable(BTC, BOTH) == 0
    busy = make_wallet(isolated={BTC: 10}).fill("1", "50000").fill("1", "2500", symbol=ETH)
    assert busy.at(50000, 2500).addable() == 4875  # 2500 of ETH need 125 of initial margin
    assert busy.at(50000, 2600).addable() == 4970  # and with 100 of profit 130
    assert busy.at(50000, 10000).addable() == 4960  # profit is not moved: 5000 less 40 of maintenance margin
    assert wallet.at(51000).removable(BTC, BOTH) == 900  # 5000 + 1000 - 5100
    wallet.move("5000")
    assert wallet.at(50000).removable(BTC, BOTH) == 5000
    assert wallet.at(60000).removable(BTC, BOTH) == 9760  # 10000 - 60000 x 0.004, though 14000 is above initial margin
    assert wallet.at(40000).removable(BTC, BOTH) == 0
