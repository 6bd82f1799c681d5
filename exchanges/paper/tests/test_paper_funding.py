"""Funding through the exchange: at its instants, once each, with the worked amounts, told and kept."""

from __future__ import annotations

from decimal import Decimal

import pytest

from grinder import PaymentKind, PositionSide, Side, TimeInForce

D = Decimal
MS = 1_000_000
BUY, SELL = Side.BUY, Side.SELL
IOC = TimeInForce.IOC
FUNDING = PaymentKind.FUNDING


def hold(make_rig, side, qty="0.5", **settings):
    """A rig with a position, entered without fees."""
    rig = make_rig(**{"maker_fee": 0, "taker_fee": 0, "balance": 10_000, **settings})
    rig.book([("60000.0", "50")], [("60000.1", "50")])
    rig.submit_place(side, qty, "60000.1" if side is BUY else "60000.0", IOC)
    rig.settle()
    return rig


@pytest.mark.parametrize(
    ("side", "rate", "amount"),
    [
        (BUY, "0.0001", "-3.00075000"),  # 0.5 x 60 015 x 0.0001 = 3.00075; long pays
        (SELL, "0.0001", "3.00075000"),  # short receives
        (BUY, "-0.0003", "9.00225000"),  # a negative rate turns it round
        (SELL, "-0.0003", "-9.00225000"),
        (BUY, "0.00000001", "-0.00030008"),  # 0.000300075, half up at 8 decimals
    ],
)
def test_the_amount_is_position_times_mark_times_rate(make_rig, side, rate, amount):
    rig = hold(make_rig, side)
    instant = rig.now + 40 * MS
    rig.mark("60015", rate, instant)
    rig.wait(30)
    assert rig.payments == [], "not before the instant"
    rig.wait(30)
    (payment,) = rig.payments
    assert (payment.kind, payment.amount, payment.asset) == (FUNDING, D(amount), "USDT")
    assert (payment.at_ns, payment.local_ns) == (instant, instant + 10 * MS)
    assert (payment.rate, payment.mark, payment.qty) == (D(rate), D(60015), rig.position())
    assert rig.account.balance == 10_000 + D(amount)


def test_two_instants_are_two_payments_and_the_last_rate_before_each_counts(make_rig):
    rig = hold(make_rig, BUY)
    first = rig.now + 100 * MS
    rig.mark("60000", "0.001", first)
    rig.mark("60000", "0.0001", first)
    rig.wait(200)
    rig.mark("60000", "0.0002", first + 3_600_000 * MS)
    rig.wait(3_600_000)
    assert [payment.amount for payment in rig.payments] == [D(-3), D(-6)]
    assert len({payment.payment_id for payment in rig.payments}) == 2


def test_who_is_flat_at_the_instant_pays_nothing(make_rig):
    rig = hold(make_rig, BUY)
    instant = rig.now + 100 * MS
    rig.mark("60000", "0.001", instant)
    rig.sell("0.5", "60000.0", IOC)
    rig.wait(300)
    assert rig.position() == 0
    assert rig.payments == []


def test_a_position_opened_after_the_instant_pays_nothing(make_rig):
    rig = make_rig(balance=10_000)
    rig.book([("60000.0", "50")], [("60000.1", "50")])
    rig.mark("60000", "0.001", rig.now + 5 * MS)
    rig.buy("0.5", "60000.1", IOC)
    rig.settle()
    assert rig.position() == D("0.5")
    assert rig.payments == []


def test_legs_pay_apart_and_cancel_out(make_rig):
    rig = hold_both(make_rig)
    rig.mark("60000", "0.001", rig.now + 20 * MS)
    rig.wait(60)
    amounts = {payment.position_side: payment.amount for payment in rig.payments}
    assert amounts == {PositionSide.LONG: D(-30), PositionSide.SHORT: D(30)}


def hold_both(make_rig):
    rig = make_rig(position_mode="hedge", balance=100_000)
    rig.book([("60000.0", "50")], [("60000.1", "50")])
    rig.buy("0.5", "60000.1", IOC, position_side=PositionSide.LONG)
    rig.sell("0.5", "60000.0", IOC, position_side=PositionSide.SHORT)
    rig.settle()
    return rig


def test_a_fixed_rate_needs_no_mark_price_of_the_feed(make_rig):
    """The mid price stands in: 0.5 x 60 000.05 x 0.001."""
    rig = hold(make_rig, BUY, funding_rate="0.001", funding_interval_h=1)
    rig.wait(3_600_000)
    rig.book([("60000.0", "50")], [("60000.1", "50")])
    rig.wait(3_600_000)
    assert next(payment.amount for payment in rig.payments) == D("-30.00002500")


def test_it_can_be_switched_off(make_rig):
    rig = hold(make_rig, BUY, funding=False)
    rig.mark("60000", "0.001", rig.now + 20 * MS)
    rig.wait(60)
    assert rig.payments == []


def test_a_restart_pays_nothing_twice_and_states_what_was_paid(make_rig):
    rig = hold(make_rig, BUY)
    instant = rig.now + 40 * MS
    rig.mark("60000", "0.001", instant)
    rig.wait(60)
    (payment,) = rig.payments
    again = make_rig(rig.data_dir, resume=True, begin=rig.now, balance=1)
    assert again.account.balance == rig.account.balance
    snapshot = again.snapshot()
    assert [(p.payment_id, p.amount) for p in snapshot.payments] == [(payment.payment_id, payment.amount)]
    again.book([("60000.0", "50")], [("60000.1", "50")])
    again.mark("60000", "0.001", instant)
    again.wait(60)
    assert again.payments == []


def test_an_instant_between_the_crash_and_the_restart_is_paid(make_rig):
    rig = hold(make_rig, BUY)
    instant = rig.now + 40 * MS
    rig.mark("60000", "0.001", instant)
    again = make_rig(rig.data_dir, resume=True, begin=rig.now)
    again.wait(20)
    again.book([("60000.0", "50")], [("60000.1", "50")])
    again.mark("60000", "0.001", instant)
    again.wait(60)
    assert [payment.at_ns for payment in again.payments] == [instant]
