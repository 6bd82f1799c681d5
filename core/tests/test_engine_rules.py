"""Venue rules: exact edges, and what holds for every order that passes them."""

from __future__ import annotations

from decimal import Decimal, localcontext

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder.engine.rules import Ruled, ceil_to, check, floor_to
from grinder.instruments import TABLE, Instrument
from grinder.types import Side

BUY, SELL = Side.BUY, Side.SELL
BTC = msgspec.structs.replace(TABLE["BTCUSDT"], max_qty=Decimal("10.5"))  # tick 0.10, lot 0.001, notional 100
MID = Decimal(50_000)  # the collar is 47 500 to 52 500


def ruled(
    qty: str = "1", price: str | None = "50000", side: Side = BUY, *, reference: str = "50000", reducing: bool = False
) -> Ruled:
    limit = None if price is None else Decimal(price)
    return check(BTC, side, Decimal(qty), limit, Decimal(reference), reducing)


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ({}, ""),
        ({"price": "50000.1"}, ""),
        ({"price": "50000.10000"}, ""),
        ({"price": "50000.05"}, "PRICE_TICK"),
        ({"price": "50000.1000000000000000000000000000000001"}, "PRICE_TICK"),
        ({"price": "0"}, "PRICE_TICK"),
        ({"price": "-50000"}, "PRICE_TICK"),
        ({"price": "NaN"}, "INPUT_NONFINITE"),
        ({"price": "sNaN"}, "INPUT_NONFINITE"),
        ({"price": "Infinity"}, "INPUT_NONFINITE"),
        ({"price": "47500"}, ""),
        ({"price": "47499.9"}, "PRICE_COLLAR"),
        ({"price": "52500"}, ""),
        ({"price": "52500.1"}, "PRICE_COLLAR"),
        ({"price": "52500.1", "reference": "0"}, ""),
        ({"price": "52500.1", "reference": "NaN"}, ""),
        ({"price": "1E+40", "reference": "0"}, "ORDER_INVALID"),
        ({"price": "1E-40", "reference": "0"}, "PRICE_TICK"),
        ({"qty": "0"}, "QTY_ZERO"),
        ({"qty": "-0"}, "QTY_ZERO"),
        ({"qty": "-1"}, "QTY_ZERO"),
        ({"qty": "NaN"}, "INPUT_NONFINITE"),
        ({"qty": "sNaN"}, "INPUT_NONFINITE"),
        ({"qty": "-Infinity"}, "INPUT_NONFINITE"),
        ({"qty": "0.0015"}, "QTY_LOT"),
        ({"qty": "0.0005"}, "QTY_LOT"),
        ({"qty": "1.000000000000000000000000000000000001"}, "QTY_LOT"),
        ({"qty": "10.5"}, ""),
        ({"qty": "10.501"}, "QTY_MAX"),
        ({"qty": "1E+40"}, "QTY_MAX"),
        ({"qty": "0.002"}, ""),
        ({"qty": "0.001"}, "NOTIONAL_MIN"),
        ({"qty": "0.002", "price": "49999.9"}, "NOTIONAL_MIN"),
        ({"qty": "0.002", "price": None}, ""),
        ({"qty": "0.001", "price": None}, "NOTIONAL_MIN"),
        ({"price": None, "reference": "0"}, "PRICE_UNAVAILABLE"),
        ({"price": None, "reference": "NaN"}, "PRICE_UNAVAILABLE"),
    ],
    ids=str,
)
def test_an_order_that_adds_risk_passes_as_it_is_or_is_dropped(order, reason):
    result = ruled(**order)
    assert result.reason == reason
    assert bool(result.detail) is bool(reason)
    assert result.warnings == ()
    if not reason:
        price = order.get("price", "50000")
        assert result.price == (None if price is None else Decimal(price))
        assert result.qty == Decimal(order.get("qty", "1"))


def test_the_minimum_quantity_is_a_rule_of_its_own():
    coarse = msgspec.structs.replace(BTC, min_qty=Decimal("0.010"))
    assert check(coarse, BUY, Decimal("0.009"), MID, MID, reducing=False).reason == "QTY_MIN"
    assert check(coarse, BUY, Decimal("0.010"), MID, MID, reducing=False).reason == ""
    assert check(coarse, BUY, Decimal("0.009"), MID, MID, reducing=True).reason == "QTY_MIN"


@pytest.mark.parametrize(
    ("order", "qty", "price"),
    [
        ({"qty": "0.001"}, "0.001", "50000"),
        ({"qty": "0.0019"}, "0.001", "50000"),
        ({"qty": "0.9999999999999999999999999999999999"}, "0.999", "50000"),
        ({"qty": "11"}, "10.5", "50000"),
        ({"qty": "1E+40"}, "10.5", "50000"),
        ({"price": "50000.05"}, "1", "50000.0"),
        ({"price": "50000.05", "side": SELL}, "1", "50000.1"),
        ({"price": "60000"}, "1", "52500"),
        ({"price": "60000.05"}, "1", "52500"),
        ({"price": "40000", "side": SELL}, "1", "47500"),
        ({"price": "1E+40", "side": BUY}, "1", "52500"),
        ({"price": "1E-40", "side": SELL}, "1", "47500"),
        ({"price": "40000"}, "1", "40000"),
        ({"price": "60000", "side": SELL}, "1", "60000"),
        ({"price": "60000.05", "side": SELL}, "1", "60000.1"),
        ({"price": "60000", "reference": "50000.77"}, "1", "52500.8"),
        ({"price": "40000", "side": SELL, "reference": "50000.77"}, "1", "47500.8"),
        ({"price": None, "reference": "0"}, "1", None),
        ({"price": None, "reference": "NaN", "qty": "0.0015"}, "0.001", None),
    ],
    ids=str,
)
def test_a_reducing_order_is_bent_and_says_so(order, qty, price):
    result = ruled(**order, reducing=True)
    assert result.reason == ""
    assert result.qty == Decimal(qty)
    assert result.price == (None if price is None else Decimal(price))
    asked = order.get("price", "50000")
    in_collar = asked is None or Decimal(47_500) <= Decimal(asked) <= Decimal(52_500)
    bent = result.qty != Decimal(order.get("qty", "1")) or (asked is not None and result.price != Decimal(asked))
    assert bool(result.warnings) is (bent or not in_collar)


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ({"qty": "0.0009"}, "QTY_ZERO"),
        ({"qty": "-1"}, "QTY_ZERO"),
        ({"qty": "NaN"}, "INPUT_NONFINITE"),
        ({"qty": "sNaN"}, "INPUT_NONFINITE"),
        ({"price": "NaN"}, "INPUT_NONFINITE"),
        ({"price": "0"}, "PRICE_TICK"),
        ({"price": "-1"}, "PRICE_TICK"),
        ({"price": "0.05"}, "PRICE_TICK"),
        ({"price": "1E+40", "reference": "0"}, "ORDER_INVALID"),
    ],
    ids=str,
)
def test_a_reducing_order_that_cannot_be_bent_is_dropped(order, reason):
    result = ruled(**order, reducing=True)
    assert (result.reason, bool(result.detail)) == (reason, True)


POWERS = st.sampled_from([Decimal(1).scaleb(-exponent) for exponent in range(9)])
STEPS = st.builds(lambda power, number: power * number, POWERS, st.sampled_from((1, 2, 5, 25)))


@st.composite
def instruments(draw: st.DrawFn) -> Instrument:
    lot = draw(STEPS)
    smallest = lot * draw(st.integers(1, 10))
    return Instrument(
        symbol="X",
        base="X",
        quote="USDT",
        tick_size=draw(STEPS),
        lot_size=lot,
        min_qty=smallest,
        max_qty=smallest + lot * draw(st.integers(0, 10_000)) + draw(st.sampled_from((0, lot / 2))),
        min_notional=draw(st.just(Decimal(0)) | st.decimals(0, 200, places=2)),
        collar_up=draw(st.decimals("1.01", 10, places=2)),
        collar_down=draw(st.decimals("0.01", "0.99", places=2)),
    )


NUMBERS = st.decimals(allow_nan=True, allow_infinity=True)


@st.composite
def orders(draw: st.DrawFn) -> tuple[Instrument, Side, Decimal, Decimal | None, Decimal]:
    """Mostly orders on and around the edges of their rules, sometimes any."""
    rules = draw(instruments())
    tick, lot = rules.tick_size, rules.lot_size
    reference = draw(st.integers(0, 100_000)) * tick / 2
    offset = draw(st.sampled_from((0, 0, 0, 1, -1, Decimal("0.5"))))
    edges = (reference, reference * rules.collar_up, reference * rules.collar_down, reference * 2)
    near = floor_to(draw(st.sampled_from(edges)), tick) + offset * tick
    sizes = (rules.max_qty, rules.min_qty, rules.min_qty * 2, rules.max_qty * 2)
    size = floor_to(draw(st.sampled_from(sizes)), lot) + draw(st.sampled_from((0, 0, 0, 1, -1, Decimal("0.5")))) * lot
    price = draw(st.one_of(st.none(), st.just(near), st.just(near), st.just(near), NUMBERS))
    qty = draw(st.one_of(st.just(size), st.just(size), st.just(size), NUMBERS))
    return rules, draw(st.sampled_from((BUY, SELL))), qty, price, reference


@given(orders())
@settings(deadline=None, max_examples=300)
def test_what_passes_for_new_risk_keeps_every_rule_and_is_unchanged(drawn):
    rules, side, qty, price, reference = drawn
    result = check(rules, side, qty, price, reference, reducing=False)
    if result.reason:
        return
    assert (result.qty, result.price, result.warnings) == (qty, price, ())
    assert qty % rules.lot_size == 0
    assert rules.min_qty <= qty <= rules.max_qty
    assert qty * (reference if price is None else price) >= rules.min_notional
    if price is not None:
        assert price > 0
        assert price % rules.tick_size == 0
        if reference:
            assert reference * rules.collar_down <= price <= reference * rules.collar_up


@given(orders())
@settings(deadline=None, max_examples=300)
def test_what_passes_reducing_is_never_more_never_worse_and_what_the_venue_takes(drawn):
    rules, side, qty, price, reference = drawn
    result = check(rules, side, qty, price, reference, reducing=True)
    if result.reason:
        return
    assert 0 < result.qty <= qty
    assert result.qty % rules.lot_size == 0
    assert rules.min_qty <= result.qty <= rules.max_qty
    assert (result.price is None) is (price is None)
    if price is None or result.price is None:
        return
    assert result.price % rules.tick_size == 0
    assert result.price > 0
    if side is BUY:
        assert result.price <= price
        assert not reference or result.price <= reference * rules.collar_up
    else:
        assert result.price >= price
        assert not reference or result.price >= reference * rules.collar_down


@given(orders())
@settings(deadline=None, max_examples=300)
def test_what_passes_for_new_risk_passes_unbent_when_it_reduces(drawn):
    rules, side, qty, price, reference = drawn
    if not check(rules, side, qty, price, reference, reducing=False).reason:
        assert check(rules, side, qty, price, reference, reducing=True) == Ruled(qty, price)


@pytest.mark.parametrize("value", ["1E+40", "1E+999999", "1E-999999", "0.9999999999999999999999999999999999", "0"])
@pytest.mark.parametrize("step", ["1", "0.001", "0.25"])
def test_rounding_a_value_of_any_length_ends_on_its_side(value, step):
    assert 0 <= floor_to(Decimal(value), Decimal(step)) <= Decimal(value)
    assert ceil_to(Decimal(value), Decimal(step)) >= Decimal(value)


def test_rounding_does_not_depend_on_the_decimal_context_that_a_plugin_may_have_changed():
    with localcontext(prec=3):
        assert floor_to(Decimal("1234.5678"), Decimal("0.001")) == Decimal("1234.567")
        assert ceil_to(Decimal("1234.5678"), Decimal("0.001")) == Decimal("1234.568")


@given(value=st.decimals(0, 10**12, places=8), step=STEPS)
@settings(deadline=None, max_examples=300)
def test_rounding_to_a_step(value, step):
    down, up = floor_to(value, step), ceil_to(value, step)
    assert down % step == up % step == 0
    assert down <= value <= up
    assert value - down < step
    assert up - value < step
