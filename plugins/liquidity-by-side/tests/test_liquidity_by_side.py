"""The liquidity gate: depth of others on the side that matters, NaN and emptiness block."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import grinder_plugin_liquidity_by_side as plugin
from grinder import Allow, Block, OpenOrder, OrderIntent, OrderState, PositionSide, Route, Side
from grinder.testing import GateConformance
from grinder_plugin_liquidity_by_side.gate import depth, look
from grinder_plugin_liquidity_by_side.settings import LiquiditySettings

gate = plugin.pre_order_gate
NAN = float("nan")
INF = float("inf")
BIDS = ((100.0, 1.0), (99.9, 2.0), (99.8, 4.0), (99.7, 8.0))
ASKS = ((100.1, 0.5), (100.2, 0.25), (100.3, 0.25), (100.4, 100.0))


class TestConformance(GateConformance):
    plugin = plugin


class Market:
    symbol = "BTCUSDT"

    def __init__(self, bids=BIDS, asks=ASKS) -> None:
        self.sides = {Side.BUY: tuple(bids), Side.SELL: tuple(asks)}
        self.bid, self.bid_qty = self.sides[Side.BUY][0] if bids else (0.0, 0.0)
        self.ask, self.ask_qty = self.sides[Side.SELL][0] if asks else (0.0, 0.0)

    def levels(self, side, count):
        return self.sides[side][:count]


class Account:
    def __init__(self, *orders: OpenOrder) -> None:
        self.orders = orders

    def open_orders(self, symbol):
        return tuple(order for order in self.orders if order.symbol == symbol)


def order(side: Side = Side.BUY, qty: str | None = "1") -> OrderIntent:
    return OrderIntent(symbol="BTCUSDT", side=side, qty=None if qty is None else Decimal(qty), price=Decimal(100))


def resting(side: Side, price: str | None, remaining: str, state: OrderState = OrderState.OPEN) -> OpenOrder:
    return OpenOrder(
        "i",
        "c",
        "BTCUSDT",
        side,
        PositionSide.BOTH,
        None if price is None else Decimal(price),
        Decimal(9),
        Decimal(remaining),
        False,
        state,
        Route.PAPER,
        "grid",
        0,
    )


def answer(side=Side.BUY, qty="1", market=None, account=None, **options):
    return gate(order(side, qty), market or Market(), account or Account(), LiquiditySettings(**options))


def test_defaults():
    own = LiquiditySettings()
    assert (own.alpha, own.levels, own.side) == (1.5, 3, "exit")


@pytest.mark.parametrize(
    ("side", "choice", "available"),
    [
        (Side.BUY, "exit", 7.0),
        (Side.SELL, "exit", 1.0),
        (Side.BUY, "entry", 1.0),
        (Side.SELL, "entry", 7.0),
        (Side.BUY, "both", 1.0),
        (Side.SELL, "both", 1.0),
    ],
)
def test_each_choice_looks_at_its_side(side, choice, available):
    verdict = gate(order(side, "0.1"), Market(), Account(), LiquiditySettings(side=choice))
    assert verdict.inputs["available"] == available


def test_the_requirement_is_alpha_times_the_quantity():
    assert answer(qty="4.666", alpha=1.5) == Allow({"available": 7.0, "qty": 4.666, "required": 4.666 * 1.5})
    assert answer(qty="4.667", alpha=1.5) == Block(
        "LIQUIDITY_LOW", {"available": 7.0, "qty": 4.667, "required": 4.667 * 1.5}
    )
    assert answer(qty="7", alpha=1.0) == Allow({"available": 7.0, "qty": 7.0, "required": 7.0})


def test_levels_bound_what_is_added_up():
    assert answer(levels=1).inputs["available"] == 1.0
    assert answer(levels=4).inputs["available"] == 15.0


def test_fewer_levels_count_as_they_are():
    assert answer(market=Market(bids=BIDS[:1]), qty="0.5") == Allow({"available": 1.0, "qty": 0.5, "required": 0.75})


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("market", [Market(bids=()), Market(asks=())])
def test_an_empty_side_blocks_every_order(side, market):
    assert answer(side, market=market) == Block("LIQUIDITY_ZERO", {"available": 0.0, "qty": 1.0, "required": 1.5})


@pytest.mark.parametrize("state", [OrderState.INTENT, OrderState.SENT, OrderState.UNKNOWN, OrderState.PARTIAL])
def test_our_own_orders_are_no_liquidity(state):
    account = Account(
        resting(Side.BUY, "99.90", "1.5", state),
        resting(Side.BUY, "99.9", "0.25", state),
        resting(Side.SELL, "100.0", "1"),
        resting(Side.BUY, "90", "5"),
        resting(Side.BUY, None, "5"),
    )
    assert answer(account=account).inputs["available"] == 5.25


def test_a_level_never_counts_below_zero():
    assert answer(account=Account(resting(Side.BUY, "100", "50"))).inputs["available"] == 6.0


def test_a_side_that_is_all_ours_is_empty():
    market = Market(bids=BIDS[:1])
    verdict = answer(market=market, account=Account(resting(Side.BUY, "100", "1")))
    assert verdict == Block("LIQUIDITY_ZERO", {"available": 0.0, "qty": 1.0, "required": 1.5})


@pytest.mark.parametrize("bad", [NAN, INF])
@pytest.mark.parametrize("choice", ["exit", "entry", "both"])
@pytest.mark.parametrize("side", list(Side))
def test_a_depth_that_is_no_number_blocks(bad, choice, side):
    market = Market(bids=(BIDS[0], (99.9, bad)), asks=(ASKS[0], (100.2, bad)))
    assert gate(order(side), market, Account(), LiquiditySettings(side=choice)) == Block(
        "INPUT_NONFINITE", {"available": None, "qty": 1.0}
    )


def test_not_a_number_on_either_side_is_seen_by_both():
    for market in (Market(bids=(BIDS[0], (99.9, NAN))), Market(asks=(ASKS[0], (100.2, NAN)))):
        verdict = gate(order(qty="0.01"), market, Account(), LiquiditySettings(side="both"))
        assert verdict == Block("INPUT_NONFINITE", {"available": None, "qty": 0.01})


def test_a_requirement_that_is_no_number_blocks():
    assert answer(qty="1e308", alpha=10) == Block("INPUT_NONFINITE", {"available": 7.0, "qty": 1e308})
    assert answer(qty="1e400") == Block("INPUT_NONFINITE", {"available": 7.0, "qty": None})


def test_an_order_without_a_quantity_blocks():
    assert answer(qty=None) == Block("INPUT_MISSING")


@pytest.mark.parametrize("options", [{"alpha": -1}, {"alpha": NAN}, {"alpha": INF}, {"levels": 0}, {"side": "left"}])
def test_settings_that_make_no_sense_are_refused(options):
    with pytest.raises(ValidationError):
        LiquiditySettings(**options)


def test_the_module_is_a_gate():
    model = plugin.register_settings()
    assert model is LiquiditySettings
    assert model.THRESHOLD in model.model_fields
    arguments = (order(), Market(), Account(), LiquiditySettings())
    assert plugin.pre_order_gate(*arguments) == plugin.judge(look(*arguments), arguments[-1])


numbers = st.floats(allow_nan=True, allow_infinity=True)
books = st.lists(st.tuples(numbers, numbers), max_size=6)
owns = st.lists(
    st.builds(
        resting,
        st.sampled_from(list(Side)),
        st.sampled_from(["100", "99.9", "100.1", None]),
        st.decimals(min_value=0, max_value=100, places=3).map(str),
    ),
    max_size=4,
)
options = st.fixed_dictionaries(
    {
        "alpha": st.floats(min_value=0, max_value=1e6),
        "levels": st.integers(min_value=1, max_value=10),
        "side": st.sampled_from(["exit", "entry", "both"]),
    }
)


@settings(deadline=None, max_examples=300)
@given(
    bids=books,
    asks=books,
    own=owns,
    options=options,
    side=st.sampled_from(list(Side)),
    qty=st.decimals(min_value="0.001", max_value="1e9", places=3).map(str),
)
def test_pure_and_never_raises(*, bids, asks, own, options, side, qty):
    market, account, model = Market(bids, asks), Account(*own), LiquiditySettings(**options)
    first = gate(order(side, qty), market, account, model)
    again = gate(order(side, qty), Market(bids, asks), Account(*own), model)
    assert first == again
    recorded = json.loads(json.dumps(first.inputs))
    assert plugin.judge(recorded, model) == first
    other = LiquiditySettings(**{**options, "alpha": options["alpha"] / 2 + 0.5})
    assert plugin.judge(recorded, other) == gate(order(side, qty), market, account, other)
    assert repr(market.sides) == repr(Market(bids, asks).sides)
    assert account.orders == tuple(own)
    if isinstance(first, Allow):
        assert first.inputs["available"] >= first.inputs["required"]
        assert first.inputs["available"] > 0
    else:
        assert first.reason in {*plugin.REASONS, "INPUT_NONFINITE"}


@settings(deadline=None, max_examples=200)
@given(own=owns, extra=st.decimals(min_value=0, max_value=10, places=3), side=st.sampled_from(list(Side)))
def test_more_of_our_own_orders_never_add_depth(own, extra, side):
    before = depth(Market(), side, 3, own)
    after = depth(Market(), side, 3, [*own, resting(side, "100", str(extra))])
    assert after <= before
