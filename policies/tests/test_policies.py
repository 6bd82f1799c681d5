"""Sizing rounds down and never inflates, routing splits exactly, any doubt means paper."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import grinder_policies as policies
from grinder import Block, GateInfo, Instrument, Mode, OrderIntent, Route, Side

NAN = float("nan")


def sizing(**changes):
    values = {
        "leverage": Decimal(10),
        "notional_cap_usd": Decimal(20000),
        "use_all_in": False,
        "min_free_balance_usd": Decimal(200),
    }
    return SimpleNamespace(**values | changes)


def instrument(lot="0.001", min_qty="0.001", min_notional="100"):
    return Instrument(
        symbol="BTCUSDT",
        base="BTC",
        quote="USDT",
        tick_size=Decimal("0.1"),
        lot_size=Decimal(lot),
        min_qty=Decimal(min_qty),
        max_qty=Decimal(1000),
        min_notional=Decimal(min_notional),
    )


def size(notional="50000", price="60000", free="10000", venue=None, **changes):
    return policies.size(Decimal(notional), Decimal(price), venue or instrument(), Decimal(free), sizing(**changes))


def test_twenty_thousand_of_bitcoin_at_sixty_thousand():
    assert str(size()) == "0.333"
    assert str(size(notional="1", use_all_in=True)) == "0.333"


def test_the_wanted_notional_holds_unless_all_in():
    assert size(notional="6000") == Decimal("0.1")
    assert size(notional="6000", use_all_in=True) == Decimal("0.333")


def test_leverage_bounds_a_small_balance():
    assert size(free="300") == Decimal("0.05")
    assert size(free="300", use_all_in=True) == Decimal("0.05")
    assert size(free="300", leverage=Decimal(2), use_all_in=True) == Decimal("0.01")


@pytest.mark.parametrize(("free", "qty"), [("200", "0.033"), ("199.99", "0")])
def test_below_the_least_free_balance_there_is_no_order(free, qty):
    assert size(free=free) == Decimal(qty)


def test_orders_below_a_minimum_are_dropped_not_inflated():
    assert size(notional="99.99", price="33.33") == 0
    assert size(notional="100", price="50", venue=instrument(lot="1", min_qty="3")) == 0
    assert size(notional="100", price="50", venue=instrument(lot="1", min_qty="2")) == 2
    assert size(notional="100.1", price="60", venue=instrument(lot="1")) == 0, "one lot is worth 60, less than 100"
    assert size(notional="59", price="60000", venue=instrument(min_notional="0")) == 0, "less than a lot"


@pytest.mark.parametrize("bad", ["0", "-1", "NaN", "Infinity"])
@pytest.mark.parametrize("argument", ["notional", "price", "free"])
def test_what_is_no_positive_number_gives_no_order(argument, bad):
    assert size(**{argument: bad}) == 0


def test_all_in_does_not_look_at_the_wanted_notional():
    assert size(notional="NaN", use_all_in=True) == Decimal("0.333")


def test_a_quotient_just_below_a_lot_is_not_rounded_up():
    notional = Decimal("19979.99999999999999999999999999999999999")
    assert policies.size(notional, Decimal(60000), instrument(), Decimal(10000), sizing()) == Decimal("0.332")
    assert size(notional="19980") == Decimal("0.333")


amounts = st.decimals(min_value="0.01", max_value="1e8", places=8)


@settings(deadline=None, max_examples=300)
@given(
    notional=amounts,
    price=st.decimals(min_value="0.0001", max_value="1e6", places=4),
    free=amounts,
    lot=st.sampled_from(["0.001", "0.00001", "1", "10", "0.1"]),
    minimum=st.sampled_from(["0", "5", "100"]),
    all_in=st.booleans(),
)
def test_the_largest_multiple_of_the_lot_that_fits_or_nothing(*, notional, price, free, lot, minimum, all_in):
    venue = instrument(lot, lot, minimum)
    own = sizing(use_all_in=all_in)
    qty = policies.size(notional, price, venue, free, own)
    most = min(own.notional_cap_usd, free * own.leverage)
    value = most if all_in else min(notional, most)
    one = Decimal(lot)
    assert qty % one == 0
    if qty:
        assert qty * price <= value < (qty + one) * price
        assert qty * price >= venue.min_notional
        assert qty >= venue.min_qty
        assert free >= own.min_free_balance_usd
    else:
        fits = value // (price * one) * one
        assert free < own.min_free_balance_usd or fits < one or fits * price < venue.min_notional


# routing


def rollout(mode="canary", fraction=0.10, seed=1337):
    return SimpleNamespace(mode=mode, canary_fraction=fraction, rng_seed=seed)


def test_the_vote_is_the_documented_one():
    assert policies.vote(1337, "sig-1") == 0.18723335437659525


@pytest.mark.parametrize(
    ("mode", "fraction", "route"),
    [
        ("disabled", 1.0, Route.PAPER),
        ("full", 0.0, Route.FULL),
        ("canary", 0.18723335437659525, Route.PAPER),
        ("canary", 0.18723335437659528, Route.CANARY),
        ("canary", 0.0, Route.PAPER),
        ("canary", 1.0, Route.CANARY),
    ],
)
def test_modes_and_the_exact_boundary(mode, fraction, route):
    assert policies.route(rollout(mode, fraction), "sig-1") is route


@pytest.mark.parametrize("mode", ["", "FULL", "on", "canary ", None])
def test_an_unknown_mode_is_paper(mode):
    assert policies.route(rollout(mode, 1.0), "sig-1") is Route.PAPER


@pytest.mark.parametrize("fraction", [NAN, -0.1, 1.1, float("inf")])
def test_a_fraction_that_makes_no_sense_is_paper(fraction):
    assert policies.route(rollout(fraction=fraction), "sig-1") is Route.PAPER


@pytest.mark.parametrize("mode", ["full", "canary"])
def test_an_intent_without_an_id_is_paper(mode):
    assert policies.route(rollout(mode, 1.0), "") is Route.PAPER


keys = st.text(st.characters(codec="utf-8"), min_size=1)


@settings(deadline=None, max_examples=300)
@given(seed=st.integers(), key=keys, small=st.floats(0, 1), large=st.floats(0, 1))
def test_a_larger_fraction_only_adds_orders(seed, key, small, large):
    small, large = sorted((small, large))
    assert 0.0 <= policies.vote(seed, key) <= 1.0
    if policies.route(rollout(fraction=small, seed=seed), key) is Route.CANARY:
        assert policies.route(rollout(fraction=large, seed=seed), key) is Route.CANARY
    assert policies.route(rollout(fraction=0.0, seed=seed), key) is Route.PAPER


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.5, 0.9])
def test_the_share_is_close_to_the_fraction(fraction):
    total = 20_000
    share = sum(policies.route(rollout(fraction=fraction), f"i-{n}") is Route.CANARY for n in range(total)) / total
    assert abs(share - fraction) < 4 * (fraction * (1 - fraction) / total) ** 0.5


# admission


def test_the_standard_policy_adds_nothing_to_cores_rule():
    order = OrderIntent(symbol="BTCUSDT", side=Side.BUY, qty=Decimal(1))
    assert policies.admission(order, [GateInfo("g", Mode.SHADOW, "block")], [Block("X")]) == ""


def test_the_entry_point_names_all_three():
    from importlib.metadata import entry_points

    (point,) = entry_points(group="grinder.policies", name="standard")
    module = point.load()
    assert all(callable(getattr(module, part)) for part in ("admission", "size", "route", "vote"))
