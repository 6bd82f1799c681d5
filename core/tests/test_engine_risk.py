"""What reduces risk: the cases of the design, and what holds for every order that is classed REDUCE."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from grinder.engine.risk import risk_of
from grinder.types import IntentKind, OpenOrder, OrderIntent, OrderState, PositionSide, Risk, Route, Side

BUY, SELL = Side.BUY, Side.SELL
BOTH, LONG, SHORT = PositionSide.BOTH, PositionSide.LONG, PositionSide.SHORT
INCREASE, REDUCE = Risk.INCREASE, Risk.REDUCE


def placed(side: Side, qty: str | None = "1", **fields: Any) -> OrderIntent:
    return OrderIntent(symbol="BTCUSDT", side=side, qty=None if qty is None else Decimal(qty), **fields)


def resting(side: Side = SELL, qty: str = "5", price: str | None = "100", **fields: Any) -> OpenOrder:
    order = OpenOrder(
        intent_id="i",
        client_id="c",
        symbol="BTCUSDT",
        side=side,
        position_side=BOTH,
        price=None if price is None else Decimal(price),
        qty=Decimal(qty),
        remaining=Decimal(qty),
        reduce_only=False,
        state=OrderState.OPEN,
        route=Route.PAPER,
        origin="",
        created_ns=0,
    )
    return msgspec.structs.replace(order, **fields)


@pytest.mark.parametrize(
    ("position", "same_side", "side", "qty", "risk"),
    [
        ("0", "0", BUY, "1", INCREASE),
        ("0", "0", SELL, "1", INCREASE),
        ("2", "0", BUY, "1", INCREASE),
        ("-2", "0", SELL, "1", INCREASE),
        ("2", "0", SELL, "1", REDUCE),
        ("-2", "0", BUY, "1", REDUCE),
        ("2", "0", SELL, "2", REDUCE),
        ("2", "0", SELL, "2.001", INCREASE),
        ("-2", "0", BUY, "2.001", INCREASE),
        ("2", "1", SELL, "1", REDUCE),
        ("2", "1.001", SELL, "1", INCREASE),
        ("-2", "1.5", BUY, "1", INCREASE),
        (None, "0", SELL, "1", INCREASE),
        ("2", "0", SELL, "NaN", INCREASE),
        ("2", "0", SELL, "sNaN", INCREASE),
        ("2", "0", SELL, "Infinity", INCREASE),
    ],
)
def test_a_new_order_without_a_flag(position, same_side, side, qty, risk):
    held = None if position is None else Decimal(position)
    assert risk_of(placed(side, qty), Decimal(qty), held, Decimal(same_side), None) is risk


@pytest.mark.parametrize("position", [None, Decimal(0), Decimal(2), Decimal(-2)])
@pytest.mark.parametrize("side", [BUY, SELL])
def test_the_reduce_only_flag_reduces_even_if_our_position_is_unknown(position, side):
    intent = placed(side, "9", reduce_only=True)
    assert risk_of(intent, Decimal(9), position, Decimal(9), None) is REDUCE


def test_a_flag_that_the_venue_does_not_enforce_proves_nothing():
    intent = placed(SELL, "9", reduce_only=True)
    assert risk_of(intent, Decimal(9), Decimal(2), Decimal(0), None, venue_reduce_only=False) is INCREASE
    assert risk_of(intent, Decimal(9), Decimal(9), Decimal(0), None, venue_reduce_only=False) is REDUCE


@pytest.mark.parametrize(
    ("leg", "side", "risk"),
    [(LONG, SELL, REDUCE), (LONG, BUY, INCREASE), (SHORT, BUY, REDUCE), (SHORT, SELL, INCREASE)],
)
@pytest.mark.parametrize("position", [None, Decimal(5), Decimal(-5)])
@pytest.mark.parametrize("flag", [False, True])
def test_in_hedge_mode_the_closing_side_decides_and_the_flag_does_not(leg, side, risk, position, flag):
    intent = placed(side, position_side=leg, reduce_only=flag)
    assert risk_of(intent, Decimal(1), position, Decimal(0), None) is risk


def test_a_cancel_is_a_cancel():
    intent = OrderIntent(symbol="BTCUSDT", side=BUY, kind=IntentKind.CANCEL, target="i")
    for target in (None, resting()):
        assert risk_of(intent, Decimal(0), None, Decimal(0), target) is Risk.CANCEL


@pytest.mark.parametrize(
    ("change", "target", "risk"),
    [
        ({"qty": "6"}, resting(), INCREASE),
        ({"qty": "5.001"}, resting(reduce_only=True), INCREASE),
        ({"qty": "5"}, resting(), REDUCE),
        ({"qty": "4"}, resting(), REDUCE),
        ({"qty": "4", "price": Decimal("100.0")}, resting(), REDUCE),
        ({"qty": "4", "price": Decimal(99)}, resting(), INCREASE),
        ({"qty": "4", "price": Decimal(99)}, resting(reduce_only=True), REDUCE),
        ({"price": Decimal(99)}, resting(), INCREASE),
        ({"price": Decimal(99)}, resting(reduce_only=True), REDUCE),
        ({"price": Decimal(99)}, resting(position_side=LONG), REDUCE),
        ({"price": Decimal(99)}, resting(BUY, position_side=SHORT), REDUCE),
        ({"price": Decimal(99)}, resting(position_side=SHORT), INCREASE),
        ({"price": Decimal(99)}, resting(position_side=SHORT, reduce_only=True), INCREASE),
        ({"price": Decimal(99)}, resting(price=None), INCREASE),
        ({"price": Decimal("NaN")}, resting(), INCREASE),
        ({"price": Decimal("sNaN")}, resting(), INCREASE),
        ({"qty": "NaN"}, resting(reduce_only=True), INCREASE),
        ({"qty": "sNaN"}, resting(reduce_only=True), INCREASE),
        ({"qty": "4"}, resting(symbol="ETHUSDT", reduce_only=True), INCREASE),
        ({"qty": "4"}, None, INCREASE),
    ],
)
def test_an_amendment(change, target, risk):
    side = target.side if target is not None else SELL
    intent = placed(side, **{"qty": None, "kind": IntentKind.AMEND, "target": "i", **change})
    qty = intent.qty if intent.qty is not None else Decimal(5)
    assert risk_of(intent, qty, Decimal(100), Decimal(0), target) is risk


def test_an_amendment_that_turns_the_side_adds_risk():
    intent = placed(BUY, "4", kind=IntentKind.AMEND, target="i")
    assert risk_of(intent, Decimal(4), Decimal(100), Decimal(0), resting(SELL, reduce_only=True)) is INCREASE


def test_a_flag_on_the_target_that_the_venue_does_not_enforce_proves_nothing():
    intent = placed(SELL, "4", price=Decimal(99), kind=IntentKind.AMEND, target="i")
    target = resting(reduce_only=True)
    assert risk_of(intent, Decimal(4), Decimal(9), Decimal(5), target, venue_reduce_only=False) is INCREASE


QTY = st.decimals("0.001", 20, places=3)


SMALL = st.decimals("0.001", 8, places=3)


@given(size=st.decimals(1, 60, places=3), side=st.sampled_from((BUY, SELL)), qty=SMALL, data=st.data())
@settings(deadline=None, max_examples=100)
def test_what_reduces_never_grows_the_position_nor_crosses_zero(size, side, qty, data):
    """Whatever the open orders of the same side and the order fill, in parts and in any order."""
    position = -side.sign * size
    rest = data.draw(st.lists(SMALL, max_size=3))
    risk = risk_of(placed(side, str(qty)), qty, position, sum(rest, Decimal(0)), None)
    assume(risk is REDUCE)
    remaining = [*rest, qty]
    held = position
    while any(remaining):
        index = data.draw(st.sampled_from([index for index, left in enumerate(remaining) if left]))
        fill = data.draw(st.one_of(st.just(remaining[index]), st.decimals("0.001", remaining[index], places=3)))
        remaining[index] -= fill
        after = held + side.sign * fill
        assert abs(after) <= abs(held)
        assert after * position >= 0
        held = after


@given(position=st.decimals(-20, 20, places=3), side=st.sampled_from((BUY, SELL)), qty=QTY, rest=QTY)
@settings(deadline=None, max_examples=200)
def test_what_adds_risk_could_grow_the_position_or_cross_zero(position, side, qty, rest):
    """The other direction: nothing that can only reduce is held back."""
    assume(risk_of(placed(side, str(qty)), qty, position, rest, None) is INCREASE)
    after = position + side.sign * (qty + rest)
    assert abs(after) > abs(position) or after * position < 0 or position * side.sign >= 0


@given(old=QTY, new=st.none() | QTY, price=st.none() | st.sampled_from((Decimal(99), Decimal(100))), flag=st.booleans())
@settings(deadline=None, max_examples=200)
def test_an_amendment_that_reduces_never_grows_and_moves_only_what_the_venue_holds(old, new, price, flag):
    target = resting(qty=str(old), reduce_only=flag)
    intent = placed(SELL, None if new is None else str(new), price=price, kind=IntentKind.AMEND, target="i")
    qty = old if new is None else new
    assume(risk_of(intent, qty, Decimal(0), old, target) is REDUCE)
    assert qty <= old
    assert flag or price in {None, target.price}
