"""Liquidation through the exchange: long and short, isolated and cross, to the last digit.

Entry 50 000 at 10x, maintenance 0.004 of the notional: isolated long positions are liquidated at 45 180.7229 (B1 of
Binance's formula), short ones at 54 780.8765; what backs them is gone at 45 000 and 55 000.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec import structs

from grinder import Cancelled, FillCause, PaymentKind, PositionSide, Rejected, Side, TimeInForce

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
IOC, GTC, GTX = TimeInForce.IOC, TimeInForce.GTC, TimeInForce.GTX


def rig_with(make_rig, side, **settings):
    """A position of 1 at exactly 50 000, without fees."""
    rig = make_rig(**{"leverage": 10, "balance": 10_000, "maker_fee": 0, "taker_fee": 0, **settings})
    at = ("49999.9", "50000.0") if side is BUY else ("50000.0", "50000.1")
    rig.book([(at[0], "100")], [(at[1], "100")])
    rig.mark("50000")
    rig.submit_place(side, "1", "50000.0", IOC)
    rig.settle()
    assert abs(rig.position()) == 1
    return rig


def show(rig, bid, ask, size="100"):
    rig.book([(bid, size)], [(ask, size)])


ISOLATED = {"margin_mode": "isolated"}


@pytest.mark.parametrize(
    ("side", "alive", "dead", "stated"),
    [(BUY, "45180.8", "45180.7", "45180.7229"), (SELL, "54780.8", "54780.9", "54780.8765")],
)
def test_an_isolated_position_is_liquidated_at_its_price(make_rig, side, alive, dead, stated):
    rig = rig_with(make_rig, side, **ISOLATED)
    (position,) = rig.snapshot().positions
    assert position.liquidation_price.quantize(D("0.0001")) == D(stated)
    assert (position.leverage, position.isolated_wallet, position.mark_price) == (10, D(5000), D(50000))
    show(rig, "47000.0", "52000.0")
    rig.mark(alive)
    rig.settle()
    assert rig.position() != 0
    rig.mark(dead)
    rig.settle()
    assert rig.position() == 0
    assert {fill.cause for fill in rig.fills[1:]} == {FillCause.LIQUIDATION}


@pytest.mark.parametrize(
    ("side", "bid", "ask", "price", "left"),
    [
        # Sold into the bid at 45 100: 100 of the 5 000 are left, and a fee of 1.25 % of 45 100 is more: all of it goes.
        (BUY, "45100.0", "45100.1", "45100.0", "0"),
        # Sold at 48 000: 3 000 left, less 1.25 % of 48 000 = 600.
        (BUY, "48000.0", "48000.1", "48000.0", "2400"),
        # No bid above the bankruptcy price: the insurance fund takes over at it, and nothing is left.
        (BUY, "44000.0", "44000.1", "45000.0", "0"),
        (SELL, "54800.0", "54900.0", "54900.0", "0"),
        (SELL, "51999.9", "52000.0", "52000.0", "2350"),  # 3 000 - 1.25 % of 52 000 = 3 000 - 650
        (SELL, "56000.0", "56000.1", "55000.0", "0"),
    ],
)
def test_what_is_left_of_an_isolated_wallet(make_rig, side, bid, ask, price, left):  # noqa: PLR0917 - one worked case
    rig = rig_with(make_rig, side, **ISOLATED)
    show(rig, bid, ask)
    rig.mark("45000" if side is BUY else "55000")
    rig.settle()
    (fill,) = rig.fills[1:]
    assert (fill.price, fill.qty, fill.fee, fill.maker) == (D(price), D(1), 0, False)
    assert (fill.client_id[:10], fill.intent_id) == ("autoclose-", "")
    assert rig.account.balance == 5000 + D(left)
    assert rig.account.isolated == 0


def test_the_display_fills_what_it_can_and_the_insurance_fund_the_rest(make_rig):
    rig = rig_with(make_rig, BUY, **ISOLATED)
    rig.book([("45100.0", "0.4"), ("44000.0", "50")], [("45200.0", "50")])
    rig.mark("45100")
    rig.settle()
    assert [(fill.price, fill.qty) for fill in rig.fills[1:]] == [(D("45100.0"), D("0.4")), (D("45000.0"), D("0.6"))]
    # 0.4 x 100 = 40 of margin are left, and taken as the fee.
    assert [(p.kind, p.amount) for p in rig.payments] == [(PaymentKind.LIQUIDATION_FEE, D(-40))]
    assert rig.account.balance == 5000


@pytest.mark.parametrize(
    ("side", "alive", "dead", "stated"),
    [(BUY, "40160.7", "40160.6", "40160.6426"), (SELL, "59760.9", "59761.0", "59760.9562")],
)
def test_a_cross_position_has_the_whole_wallet_behind_it(make_rig, side, alive, dead, stated):
    """B6 and B7 of the worked cases."""
    rig = rig_with(make_rig, side)
    (position,) = rig.snapshot().positions
    assert position.liquidation_price.quantize(D("0.0001")) == D(stated)
    assert position.isolated_wallet is None
    show(rig, "46000.0", "53000.0")
    rig.mark(alive)
    rig.settle()
    assert rig.position() != 0
    rig.mark(dead)
    rig.settle()
    assert rig.position() == 0


def test_cross_liquidation_to_the_last_digit(make_rig):
    """Sold at 42 000: 10 000 - 8 000 = 2 000 left, less 1.25 % of 42 000 = 525."""
    rig = rig_with(make_rig, BUY)
    show(rig, "42000.0", "42000.1")
    rig.mark("40000")
    rig.settle()
    assert rig.account.balance == D(1475)
    assert [(p.kind, p.amount) for p in rig.payments] == [(PaymentKind.LIQUIDATION_FEE, D(-525))]


def test_a_cross_wallet_never_ends_below_zero(make_rig):
    """No bid above 40 000, where nothing is left: the insurance fund takes over there."""
    rig = rig_with(make_rig, BUY)
    show(rig, "30000.0", "30000.1")
    rig.mark("30000")
    rig.settle()
    assert [(fill.price, fill.qty) for fill in rig.fills[1:]] == [(D("40000.0"), D(1))]
    assert rig.account.balance == 0


def test_what_rests_is_cancelled_first(make_rig):
    rig = rig_with(make_rig, BUY, **ISOLATED)
    rig.buy("0.01", "45500.0", GTX)
    rig.sell("1", "60000.0", GTC, reduce_only=True)
    rig.settle()
    show(rig, "46000.0", "46000.1")
    rig.updates.clear()
    rig.mark("45000")
    rig.settle()
    ends = [(update.client_id, update.reason) for update in rig.said(Cancelled)]
    assert ends == [("c2", "liquidation"), ("c3", "liquidation")]
    assert rig.exchange.state.orders.open == {}


@pytest.mark.parametrize(("leg", "side", "mark"), [("LONG", BUY, "45000"), ("SHORT", SELL, "55000")])
def test_legs_of_hedge_mode_are_liquidated_apart_under_isolated_margin(make_rig, leg, side, mark):
    rig = make_rig(position_mode="hedge", leverage=10, balance=20_000, maker_fee=0, taker_fee=0, **ISOLATED)
    rig.book([("49999.9", "100")], [("50000.0", "100")])
    rig.mark("50000")
    rig.buy("1", "50000.0", IOC, position_side=PositionSide.LONG)
    rig.settle()
    rig.book([("50000.0", "100")], [("50000.1", "100")])
    rig.sell("1", "50000.0", IOC, position_side=PositionSide.SHORT)
    rig.settle()
    show(rig, "48000.0", "52000.0")
    rig.mark(mark)
    rig.settle()
    other = PositionSide.SHORT if leg == "LONG" else PositionSide.LONG
    assert rig.position(PositionSide(leg)) == 0
    assert rig.position(other) != 0
    assert {fill.side for fill in rig.fills[2:]} == {side.opposite}


def test_hedged_legs_under_cross_margin_share_one_price(make_rig):
    """B10 of the worked cases: long 2 at 50 000, short 1 at 52 000, wallet 10 000."""
    rig = make_rig(position_mode="hedge", leverage=20, balance=10_000, maker_fee=0, taker_fee=0)
    rig.book([("49999.9", "100")], [("50000.0", "100")])
    rig.mark("50000")
    rig.buy("2", "50000.0", IOC, position_side=PositionSide.LONG)
    rig.settle()
    rig.book([("52000.0", "100")], [("52000.1", "100")])
    rig.mark("52000")
    rig.sell("1", "52000.0", IOC, position_side=PositionSide.SHORT)
    rig.settle()
    prices = {position.liquidation_price.quantize(D("0.0001")) for position in rig.snapshot().positions}
    assert prices == {D("38461.5385")}
    show(rig, "38461.5", "38461.6")
    rig.mark("38461.6")
    rig.settle()
    assert rig.position(PositionSide.LONG) == 2
    rig.mark("38461.5")
    rig.settle()
    assert rig.position(PositionSide.LONG) == rig.position(PositionSide.SHORT) == 0


def test_without_mark_prices_of_the_feed_the_mid_price_stands_in(make_rig):
    rig = make_rig(leverage=10, balance=10_000, maker_fee=0, taker_fee=0, **ISOLATED)
    rig.book([("49999.9", "100")], [("50000.0", "100")])
    rig.buy("1", "50000.0", IOC)
    rig.settle()
    rig.wait(2000)
    show(rig, "45100.0", "45100.2")
    rig.settle()
    assert rig.position() == 0


def test_a_liquidation_survives_a_crash_and_is_stated(make_rig):
    rig = rig_with(make_rig, BUY, **ISOLATED)
    show(rig, "46000.0", "46000.1")
    rig.mark("45000")
    rig.settle()
    fill, payments = rig.fills[-1], rig.payments
    again = make_rig(rig.data_dir, resume=True, begin=rig.now, margin_mode="isolated", leverage=10)
    assert again.account.balance == rig.account.balance
    snapshot = again.snapshot()
    assert snapshot.positions == ()
    assert [(each.trade_id, each.cause) for each in snapshot.fills] == [(fill.trade_id, FillCause.LIQUIDATION)]
    assert [each.payment_id for each in snapshot.payments] == [each.payment_id for each in payments]


def test_brackets_of_settings_hold(make_rig):
    rows = [{"cap": "1000000", "mmr": "0.02", "max_leverage": "10"}]
    rig = rig_with(make_rig, BUY, brackets={"BTCUSDT": rows}, **ISOLATED)
    (position,) = rig.snapshot().positions
    assert position.liquidation_price.quantize(D("0.0001")) == D("45918.3673")  # 45 000 / 0.98


def test_a_larger_position_than_the_leverage_allows_is_refused(make_rig):
    rows = [{"cap": "40000", "mmr": "0.02", "max_leverage": "10"}]
    rig = make_rig(leverage=10, balance=100_000, brackets={"BTCUSDT": rows})
    rig.book([("49999.9", "100")], [("50000.0", "100")])
    rig.buy("1", "50000.0", IOC)
    rig.settle()
    assert rig.updates[-1].code == "-2027"


def test_nobody_is_liquidated_before_every_position_has_a_mark(make_rig, instrument):
    """Long one symbol and as short of another: what one loses the other earns, once both are seen."""
    both = (instrument, structs.replace(instrument, symbol="ETHUSDT", base="ETH"))
    rig = make_rig(instruments=both, balance=400)
    for symbol in ("BTCUSDT", "ETHUSDT"):
        rig.book([("100.0", "50")], [("100.1", "50")], symbol=symbol)
        rig.mark("100.0", symbol=symbol)
    rig.sell("30", "100.0", IOC, symbol="ETHUSDT")
    rig.buy("30", "100.1", IOC)
    rig.settle()
    rig.exchange.stop()
    again = make_rig(rig.data_dir, resume=True, begin=rig.now, instruments=both, balance=400)
    again.book([("85.0", "50")], [("85.1", "50")])
    again.mark("85.0")
    again.settle()
    assert again.position() == 30
    again.book([("85.0", "50")], [("85.1", "50")], symbol="ETHUSDT")
    again.mark("85.0")
    again.settle()
    assert (again.position(), again.position(symbol="ETHUSDT")) == (30, -30)
    again.mark("120.0", symbol="ETHUSDT")
    again.settle()
    assert (again.position(), again.position(symbol="ETHUSDT")) == (0, 0)


def test_a_wallet_below_zero_is_nobody_elses_loss_while_nothing_is_liquidated(make_rig):
    """A market order that slips costs more isolated margin than the account has: no insurance pays for that."""
    rig = make_rig(leverage=1, balance=10_000, **ISOLATED)
    rig.book([("100.0", "500")], [("100.1", "1"), ("104.0", "500")])
    rig.mark("100.0")
    rig.buy("99", None, IOC)
    rig.settle()
    assert rig.account.cross < 0
    rig.mark("100.0")
    rig.settle()
    assert rig.account.insurance == 0
    assert not rig.payments


def test_turning_an_isolated_position_needs_what_its_closing_brings_too_little(make_rig):
    rig = make_rig(balance=101, leverage=10, taker_fee=0, **ISOLATED)
    rig.book([("99.9", "500")], [("100.0", "500")])
    rig.mark("100.0")
    rig.buy("10", "100.0", IOC)
    rig.settle()
    rig.book([("93.0", "500")], [("93.1", "500")])
    rig.mark("93.0")
    turn, close = rig.sell("20", "93.0", IOC), rig.sell("10", "93.0", IOC)
    rig.settle()
    assert [(update.client_id, update.code) for update in rig.said(Rejected)] == [(turn, "-2019")]
    assert [fill.client_id for fill in rig.fills[1:]] == [close]
    assert rig.account.balance == D(31)
