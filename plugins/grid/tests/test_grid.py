"""The grid: quotes stand where they should, cancels come first, inventory stays within the cap."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import grinder_plugin_grid as plugin
from grinder import (
    ConfigError,
    Instrument,
    IntentKind,
    OpenOrder,
    OrderState,
    Position,
    PositionSide,
    Route,
    Side,
    TimeInForce,
)
from grinder.testing import GateConformance
from grinder_plugin_grid.quotes import Quote, wanted
from grinder_plugin_grid.settings import GridSettings


class TestConformance(GateConformance):
    plugin = plugin
    settings = {"qty": "0.01"}  # noqa: RUF012 - as a class attribute of the base


TICK = Decimal("0.10")
BTC = Instrument(
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick_size=TICK,
    lot_size=Decimal("0.001"),
    min_qty=Decimal("0.001"),
    max_qty=Decimal(100),
    min_notional=Decimal(100),
)
INSTRUMENTS = {"BTCUSDT": BTC}


class Market:
    symbol = "BTCUSDT"
    mark = last = mid = 60000.0
    bid_qty = ask_qty = 1.0
    age_ns = 0

    def __init__(self, bid: float = 60000.0, ask: float = 60000.1, *, ready: bool = True, gap: bool = False) -> None:
        self.bid, self.ask, self.ready, self.gap = bid, ask, ready, gap

    def levels(self, side, count):
        raise AssertionError("the grid reads the touch only")


class Account:
    balance = Decimal(10000)

    def __init__(self, *orders: OpenOrder, position: str = "0") -> None:
        self.orders = orders
        self.qty = Decimal(position)

    def position(self, symbol, position_side=PositionSide.BOTH):
        return Position(symbol, position_side, self.qty, Decimal(0), Decimal(0))

    def open_orders(self, symbol):
        return self.orders

    def worst_case(self, symbol, side):
        raise AssertionError("not needed")


class Runtime:
    started_ns = 0
    signals: dict[str, float] = {}  # noqa: RUF012

    def healthy_since(self, symbol):
        return 0


def resting(
    name: str, side: Side, price: str, *, origin: str = "grid", state: OrderState = OrderState.OPEN
) -> OpenOrder:
    return OpenOrder(
        name,
        f"c-{name}",
        "BTCUSDT",
        side,
        PositionSide.BOTH,
        Decimal(price),
        Decimal("0.01"),
        Decimal("0.01"),
        False,
        state,
        Route.PAPER,
        origin,
        0,
    )


def grid(**options: Any):
    options.setdefault("qty", "0.01")
    return plugin.create(GridSettings(**options), ["BTCUSDT"], INSTRUMENTS)


def look(strategy, market: Market | None = None, account: Account | None = None):
    intents = strategy.on_market(market or Market(), account or Account(), Runtime(), 1)
    cancels = [i.target for i in intents if i.kind is IntentKind.CANCEL]
    quotes = [(i.side, str(i.price)) for i in intents if i.kind is IntentKind.PLACE]
    assert [i.kind for i in intents] == [IntentKind.CANCEL] * len(cancels) + [IntentKind.PLACE] * len(quotes)
    return cancels, quotes


def test_one_quote_each_side_joins_the_touch():
    strategy = grid()
    bid, ask = strategy.on_market(Market(), Account(), Runtime(), 1)
    assert (bid.side, bid.price, bid.qty, bid.tif) == (Side.BUY, Decimal(60000), Decimal("0.01"), TimeInForce.GTX)
    assert (ask.side, ask.price, ask.qty, ask.tif) == (Side.SELL, Decimal("60000.1"), Decimal("0.01"), TimeInForce.GTX)
    assert (bid.kind, bid.origin, bid.notional) == (IntentKind.PLACE, "grid", None)
    assert strategy.wake_ns == 500_000_000


def test_distance_levels_and_steps_in_ticks():
    _, quotes = look(grid(distance_ticks=2, levels=3, step_ticks=5))
    assert quotes == [
        (Side.BUY, "59999.80"),
        (Side.BUY, "59999.30"),
        (Side.BUY, "59998.80"),
        (Side.SELL, "60000.30"),
        (Side.SELL, "60000.80"),
        (Side.SELL, "60001.30"),
    ]


def test_a_notional_is_left_to_the_sizing_policy():
    intents = grid(qty=None, notional="500", post_only=False).on_market(Market(), Account(), Runtime(), 1)
    assert {(i.qty, i.notional, i.tif) for i in intents} == {(None, Decimal(500), TimeInForce.GTC)}


def test_always_replaces_everything_cancels_first():
    account = Account(resting("a", Side.BUY, "60000"), resting("b", Side.SELL, "60000.5"))
    cancels, quotes = look(grid(), account=account)
    assert cancels == ["a", "b"]
    assert quotes == [(Side.BUY, "60000.00"), (Side.SELL, "60000.10")]


def test_moved_keeps_what_stands_right():
    account = Account(resting("a", Side.BUY, "60000.0"), resting("b", Side.SELL, "60000.5"))
    cancels, quotes = look(grid(requote="moved"), account=account)
    assert cancels == ["b"]
    assert quotes == [(Side.SELL, "60000.10")]


def test_moved_keeps_one_order_for_each_quote():
    account = Account(resting("a", Side.BUY, "60000"), resting("twin", Side.BUY, "60000"))
    cancels, quotes = look(grid(requote="moved"), account=account)
    assert cancels == ["twin"]
    assert quotes == [(Side.SELL, "60000.10")]


@pytest.mark.parametrize("state", [OrderState.INTENT, OrderState.SENT, OrderState.UNKNOWN, OrderState.PARTIAL])
def test_orders_on_their_way_count_as_standing(state):
    account = Account(resting("a", Side.BUY, "60000", state=state), resting("b", Side.SELL, "60000.1", state=state))
    assert look(grid(requote="moved"), account=account) == ([], [])


@pytest.mark.parametrize("requote", ["always", "moved"])
def test_slow_cancels_do_not_pile_orders_up(requote):
    strategy = grid(requote=requote)
    stuck = Account(resting("a", Side.BUY, "59990"))
    assert look(strategy, account=stuck) == (["a"], [(Side.BUY, "60000.00"), (Side.SELL, "60000.10")])
    assert look(strategy, account=stuck) == (["a"], [(Side.SELL, "60000.10")])
    assert look(strategy, account=Account()) == ([], [(Side.BUY, "60000.00"), (Side.SELL, "60000.10")])


def test_orders_of_others_are_left_alone():
    account = Account(resting("a", Side.BUY, "59990", origin="human"))
    assert look(grid(), account=account) == ([], [(Side.BUY, "60000.00"), (Side.SELL, "60000.10")])


@pytest.mark.parametrize("market", [Market(ready=False), Market(gap=True), Market(0.0, 0.0, ready=False)])
def test_quotes_are_withdrawn_while_the_book_cannot_be_trusted(market):
    account = Account(resting("a", Side.BUY, "60000"))
    for requote in ("always", "moved"):
        assert look(grid(requote=requote), market, account) == (["a"], [])


@pytest.mark.parametrize(
    ("position", "buys", "sells"),
    [("0", 2, 2), ("0.01", 1, 2), ("0.02", 0, 2), ("0.05", 0, 2), ("-0.015", 2, 0), ("-0.01", 2, 1)],
)
def test_the_cap_ends_the_side_that_would_grow_beyond_it(position, buys, sells):
    _, quotes = look(grid(levels=2, max_position="0.02"), account=Account(position=position))
    assert [side for side, _ in quotes] == [Side.BUY] * buys + [Side.SELL] * sells


def test_the_cap_counts_a_notional_at_the_quotes_price():
    strategy = grid(qty=None, notional="600", levels=3, max_position="0.02")
    _, quotes = look(strategy, Market(60000.0, 60600.0))
    assert [side for side, _ in quotes] == [Side.BUY, Side.SELL, Side.SELL]


@pytest.mark.parametrize(("position", "buys", "sells"), [("0", 1, 1), ("0.02", 0, 1), ("-0.02", 1, 0)])
def test_the_cap_in_quote_units_ends_the_side_that_would_grow_beyond_it(position, buys, sells):
    strategy = grid(qty=None, notional="600", max_notional="1500")
    _, quotes = look(strategy, Market(60000.0, 60600.0), account=Account(position=position))
    assert [side for side, _ in quotes] == [Side.BUY] * buys + [Side.SELL] * sells


def test_a_symbol_that_is_not_traded_is_ignored():
    strategy = plugin.create(GridSettings(qty=1), [], INSTRUMENTS)
    assert look(strategy) == ([], [])


def test_quotes_below_zero_are_left_out():
    assert wanted(GridSettings(levels=5, qty=1), Decimal(1), 2.0, 3.0, Decimal(0))[:2] == (
        Quote(Side.BUY, Decimal(2)),
        Quote(Side.BUY, Decimal(1)),
    )
    assert len(wanted(GridSettings(levels=5, qty=1), Decimal(1), 2.0, 3.0, Decimal(0))) == 7


@pytest.mark.parametrize("options", [{}, {"qty": None, "notional": None}])
def test_a_size_is_needed(options):
    with pytest.raises(ConfigError, match="exactly one of qty"):
        plugin.create(GridSettings(**options), ["BTCUSDT"], INSTRUMENTS)


def test_a_symbol_without_an_instrument_is_refused():
    with pytest.raises(ConfigError, match="'DOGEUSDT' has no instrument"):
        plugin.create(GridSettings(qty=1), ["BTCUSDT", "DOGEUSDT"], INSTRUMENTS)


@pytest.mark.parametrize(
    "options",
    [
        {"qty": 1, "notional": 1},
        {"qty": 0},
        {"qty": "NaN"},
        {"notional": -1},
        {"distance_ticks": -1},
        {"levels": 0},
        {"step_ticks": 0},
        {"requote": "never"},
        {"max_position": 0},
        {"typo": 1},
    ],
)
def test_settings_that_make_no_sense_are_refused(options):
    with pytest.raises(ValidationError):
        GridSettings(**options)


ticks = st.integers(min_value=1, max_value=10**9)


@settings(deadline=None, max_examples=300)
@given(
    tick=st.sampled_from(["0.1", "0.01", "0.00001", "1", "0.5"]).map(Decimal),
    bid=ticks,
    spread=st.integers(min_value=1, max_value=1000),
    distance=st.integers(min_value=0, max_value=50),
    levels=st.integers(min_value=1, max_value=5),
    step=st.integers(min_value=1, max_value=20),
    position=st.decimals(min_value=-5, max_value=5, places=3),
    cap=st.none() | st.decimals(min_value="0.1", max_value=5, places=2),
)
def test_quotes_are_on_the_tick_never_cross_and_stay_within_the_cap(
    *, tick, bid, spread, distance, levels, step, position, cap
):
    own = GridSettings(qty="0.7", distance_ticks=distance, levels=levels, step_ticks=step, max_position=cap)
    best_bid, best_ask = bid * tick, (bid + spread) * tick
    quotes = wanted(own, tick, float(best_bid), float(best_ask), position)
    assert len(set(quotes)) == len(quotes)
    for quote in quotes:
        assert quote.price > 0
        assert quote.price % tick == 0
        touch = best_bid if quote.side is Side.BUY else best_ask
        assert (touch - quote.price) * quote.side.sign >= distance * tick
    for side in Side:
        count = sum(quote.side is side for quote in quotes)
        if cap is not None and count:
            assert position * side.sign + count * Decimal("0.7") <= cap
