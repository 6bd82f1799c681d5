"""Everything wrong that a program can give to a gatekeeper: a sentence says what, and nothing is changed."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import grinder.engine.plugins
from grinder import (
    BookSnapshot,
    CallError,
    ConfigError,
    FeedStatus,
    Gatekeeper,
    GrinderError,
    MarkPrice,
    OrderIntent,
    PositionSide,
    Side,
    TopOfBook,
    Trade,
    VenueOrder,
    VenuePosition,
    instrument_from_ccxt,
    instruments_from_exchange_info,
)
from grinder.host.discovery import STRATEGIES
from grinder.instruments import TABLE

SYMBOL = "BTCUSDT"
NO_NUMBERS = [float("nan"), float("inf"), "NaN", "-Infinity", "1,5", "", None, True, b"1", [], Decimal("sNaN"), 10**30]
NO_TIMES = [1.5, -1, True, "1", 10**30, 1_700_000_000_000]


@pytest.fixture
def keeper(standing):
    return standing.keeper


@pytest.fixture
def fresh(desk):
    return desk.open()


def quote(keeper, **changes):
    keeper.quote(**{"symbol": SYMBOL, "bid": 1, "bid_qty": 1, "ask": 2, "ask_qty": 1, **changes})


def refused(keeper, call, *arguments, **named) -> str:
    """The sentence that a call is refused with; what is known stays as it was."""
    before = (keeper.status(), keeper.open_orders(), keeper.position(SYMBOL), keeper._post.market.events)
    pending = keeper._post.executor.journal.pending
    with pytest.raises(CallError) as caught:
        call(*arguments, **named)
    assert (keeper.status(), keeper.open_orders(), keeper.position(SYMBOL), keeper._post.market.events) == before
    assert keeper._post.executor.journal.pending == pending
    return str(caught.value)


# The market.


@pytest.mark.parametrize("wrong", [*NO_NUMBERS, 0, -1], ids=repr)
def test_prices_that_are_none(keeper, wrong):
    assert "bid was" in refused(keeper, quote, keeper, bid=wrong)
    assert "price was" in refused(keeper, keeper.trade, SYMBOL, wrong, 1, "buy")
    assert "price was" in refused(keeper, keeper.mark, SYMBOL, wrong)
    assert "bids[1] price was" in refused(keeper, keeper.book, SYMBOL, [(1, 1), (wrong, 1)], [])


@pytest.mark.parametrize("wrong", [*NO_NUMBERS, -1], ids=repr)
def test_quantities_that_are_none(keeper, wrong):
    assert "ask_qty was" in refused(keeper, quote, keeper, ask_qty=wrong)
    assert "asks[0] qty was" in refused(keeper, keeper.book, SYMBOL, [], [(1, wrong)])


@pytest.mark.parametrize("wrong", NO_TIMES, ids=repr)
def test_times_that_are_none(keeper, wrong):
    assert "ts_ns was" in refused(keeper, quote, keeper, ts_ns=wrong)
    assert "ts_ns was" in refused(keeper, keeper.mark, SYMBOL, 1, wrong)


@pytest.mark.parametrize("wrong", ["DOGEUSDT", "BTC/USDT:USDT", "", None, 5, [], "x" * 10_000], ids=str)
def test_symbols_that_are_not_traded(keeper, wrong):
    text = refused(keeper, quote, keeper, symbol=wrong)
    assert "BTCUSDT" in text
    assert len(text) < 300
    for call in (keeper.position, keeper.trades_since_ns, keeper.mark):
        with pytest.raises((CallError, TypeError)):
            call(wrong)
    assert "symbol" in refused(keeper, keeper.on_market, MarkPrice(wrong, 1, 1, "1", "1", "0", 0))


def test_sides_and_levels_that_are_none(keeper):
    assert "side was" in refused(keeper, keeper.trade, SYMBOL, 1, 1, "long")
    for wrong in ("ab", None, 5, [1], [(1,)], ["12"]):
        assert "bids" in refused(keeper, keeper.book, SYMBOL, wrong, [])


@pytest.mark.parametrize(
    "event",
    [
        None,
        {"symbol": SYMBOL},
        TopOfBook(SYMBOL, 0, 1, 1, 60000.0, "1", "2", "1"),
        TopOfBook(SYMBOL, 0, 1, "1", "1", "1", "2", "1"),
        TopOfBook(SYMBOL, 0, None, 1, "1", "1", "2", "1"),
        BookSnapshot(SYMBOL, 0, 1, 1, [("1", 2)], []),
        BookSnapshot(SYMBOL, 0, 1, 1, None, []),
        Trade(SYMBOL, 0, 1, 1, "1", "1", "buy"),
        FeedStatus(SYMBOL, 1, "up"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_events_that_are_none(keeper, event):
    assert "must be" in refused(keeper, keeper.on_market, event)


def test_an_event_of_the_future_is_refused_and_one_of_a_fast_clock_is_now(desk, fresh):
    keeper = fresh
    now = desk.clock.now_ns()
    ahead = TopOfBook(SYMBOL, 0, now + 3600 * 10**9, 1, "1", "1", "2", "1")
    assert "ahead of the clock" in refused(keeper, keeper.on_market, ahead)
    keeper.on_market(msgspec.structs.replace(ahead, local_ns=now + 10**9))
    assert keeper._post.market.view(SYMBOL).updated_ns == now


def test_garbage_in_the_texts_of_an_event_blocks(desk, fresh, place):
    keeper = fresh
    keeper.on_market(TopOfBook(SYMBOL, 0, desk.clock.now_ns(), 10**12, "sixty", "1", "2", "1"))
    assert keeper.status().market[SYMBOL] == "INPUT_NONFINITE"
    assert not keeper.check(place.buy()).allowed


@given(
    bid=st.one_of(st.integers(1, 10**6), st.floats(0.01, 1e6), st.decimals("0.01", 10**6, places=4)),
    as_text=st.booleans(),
)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_kind_of_number_is_taken_exactly(desk, bid, as_text):
    keeper = desk.keeper or desk.open()
    quote(keeper, bid=str(bid) if as_text else bid, ask=10**7)
    assert keeper._post.market.view(SYMBOL).bid == float(bid)


# Outcomes.


@pytest.mark.parametrize(
    "wrong", ["", "nonsense", None, 5, "grinder_aaaaaa_bbbbbbbbbbbbbbbbbbbb", "x" * 10_000], ids=str
)
def test_orders_that_were_not_decided_here(keeper, wrong):
    calls = [
        (keeper.sent,), (keeper.abandoned,), (keeper.accepted,), (keeper.rejected, "-1"), (keeper.unknown, "timeout"),
        (keeper.cancelled,), (keeper.cancel_rejected, "-1"), (keeper.absent,),
    ]  # fmt: skip
    for call, *rest in calls:
        said = refused(keeper, call, wrong, *rest)
        assert "no order" in said or "client_id was" in said
    assert "no order" in refused(keeper, keeper.amended, wrong, qty=1, price=1)
    assert "no order" in refused(keeper, keeper.found, wrong, state="OPEN", filled_qty=0)


def test_reports_that_make_no_sense(fresh, place):
    keeper = fresh
    decision = keeper.check(place.buy())
    known = decision.client_id
    assert "venue_order_id was int" in refused(keeper, keeper.accepted, known, 77)
    assert "code was NoneType" in refused(keeper, keeper.rejected, known, None)
    assert "cause was" in refused(keeper, keeper.unknown, known, ValueError("timeout"))
    assert "qty was" in refused(keeper, keeper.amended, known, qty="NaN", price=1)
    assert "state was" in refused(keeper, keeper.found, known, state="closed", filled_qty=0)
    assert "report unknown" in refused(keeper, keeper.found, known, state="UNKNOWN", filled_qty=0)
    assert "waits was" in refused(keeper, keeper.found, known, state="OPEN", filled_qty=0, waits="yes")
    assert "filled_qty was" in refused(keeper, keeper.found, known, state="OPEN", filled_qty=None)
    with pytest.raises(TypeError, match="unexpected keyword"):
        keeper.found(known, status="OPEN")


def test_fills_that_make_no_sense(fresh, place):
    wrong = [
        ({"trade_id": ""}, "trade_id was empty"),
        ({"trade_id": 5}, "trade_id was int"),
        ({"side": "long"}, "side was"),
        ({"side": "sell"}, "its order"),
        ({"symbol": "ETHUSDT"}, "its order"),
        ({"price": float("nan")}, "price was"),
        ({"price": 0}, "price was"),
        ({"qty": -1}, "qty was"),
        ({"fee": "NaN"}, "fee was"),
        ({"fee_asset": None}, "fee_asset was"),
        ({"ts_ns": 1_700_000_000_000}, "multiply ms"),
        ({"venue_order_id": 7}, "venue_order_id was"),
        ({"client_id": [1]}, "client_id was list"),
        ({"client_id": "", "venue_order_id": ""}, "report the trade again"),
    ]
    client_id = fresh.check(place.buy()).client_id
    given = {"trade_id": "1", "symbol": SYMBOL, "side": "buy", "price": 60000, "qty": "0.01", "client_id": client_id}
    for changes, said in wrong:
        assert said in refused(fresh, fresh.filled, **{**given, **changes})
    assert fresh.filled(**given)
    wrong_leg = {**given, "trade_id": "2", "client_id": "", "position_side": "up"}
    assert "position_side was" in refused(fresh, fresh.filled, **wrong_leg)


def test_payments_that_make_no_sense(keeper):
    given = {"payment_id": "1", "symbol": SYMBOL, "amount": 1}
    for changes, said in (
        ({"payment_id": ""}, "payment_id was empty"),
        ({"symbol": "X"}, "symbol 'X'"),
        ({"amount": "NaN"}, "amount was"),
        ({"kind": "TIP"}, "kind was"),
        ({"ts_ns": 5}, "multiply ms"),
        ({"asset": 5}, "asset was"),
    ):
        assert said in refused(keeper, keeper.paid, **{**given, **changes})


def test_statements_that_make_no_sense(keeper):
    held = VenuePosition(SYMBOL, PositionSide.BOTH, Decimal("NaN"), Decimal(1))
    order = VenueOrder(SYMBOL, "c", "v", "BUY", Decimal(1), Decimal(1), Decimal(0))
    assert "balance was" in refused(keeper, keeper.sync, balance="NaN")
    assert "positions: qty was" in refused(keeper, keeper.sync, positions=[held])
    assert "positions was" in refused(keeper, keeper.sync, positions={SYMBOL: 1})
    assert "must be VenuePosition" in refused(keeper, keeper.sync, positions=[(SYMBOL, 1)])
    assert "with a Side" in refused(keeper, keeper.sync, open_orders=[order])
    assert "adopt was" in refused(keeper, keeper.sync, positions=[], adopt=True)
    assert "reason was empty" in refused(keeper, keeper.halt, "")


def test_statements_that_contradict_themselves(fresh, place):
    keeper, ours = fresh, fresh.check(place.buy()).client_id

    def order(client_id="", venue_order_id="", symbol=SYMBOL):
        return VenueOrder(symbol, client_id, venue_order_id, Side.BUY, Decimal(1), Decimal(2), Decimal(0))

    def position(qty):
        return VenuePosition(SYMBOL, PositionSide.BOTH, Decimal(qty), Decimal(1))

    sync = keeper.sync
    twice = refused(keeper, sync, balance=5, positions=[position("0.5"), position("0.3")], open_orders=[order("w")])
    assert "BTCUSDT BOTH was stated twice, 0.5 and 0.3" in twice
    assert "at most 28 digits" in refused(keeper, sync, positions=[position("1.0000000000000000000000000001")])
    keeper.filled(trade_id="dust", symbol=SYMBOL, side="buy", price=1, qty="1E-20", client_id=ours)
    far = {"positions": [position("1.5E20")], "open_orders": [order("w")], "adopt": "x"}
    assert "too long a number" in refused(keeper, sync, **far)
    for wrong, said in (
        ([order("w", symbol=""), order("w")], "symbol was empty"),
        ([order("w"), order()], "neither venue_order_id nor client_id"),
        ([order("w"), order("w")], "(venue_order_id '', client_id 'w') was stated twice"),
        ([order("w", "1"), order("v", "1")], "was stated twice"),
        ([order(ours, "1"), order(ours, "2")], "was stated twice"),
    ):
        assert said in refused(keeper, sync, balance=5, positions=[position("0.5")], open_orders=wrong, adopt="x")


# Opening.


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"overrides": {"plugins.warm_up.secondz": 1}}, "secondz"),
        ({"overrides": "plugins.warm_up.seconds=1"}, "must be a mapping"),
        ({"overrides": [5]}, "each must be a str"),
        ({"profile": "papper"}, "paper"),
        ({"config": "missing.yaml"}, "missing.yaml"),
        ({"config": 5}, "config was 5"),
        ({"instruments": 5}, "must be Instruments"),
        ({"instruments": []}, "no instrument"),
        ({"instruments": [{"symbol": SYMBOL}]}, "must be an Instrument"),
        ({"instruments": [msgspec.structs.replace(TABLE[SYMBOL], tick_size=Decimal(0))]}, "tick_size was"),
        ({"instruments": [msgspec.structs.replace(TABLE[SYMBOL], lot_size=0.001)]}, "lot_size was"),
        ({"overrides": {"symbols": ["DOGEUSDT"]}}, "no instrument is given for DOGEUSDT"),
        ({"clock": 5}, "now_ns"),
        ({"clock": None, "seed": 1}, "never happen live"),
        ({"seed": "1"}, "seed was"),
        ({"out": 5}, "out was"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_arguments_that_make_no_sense(desk, changes, said):
    with pytest.raises(ConfigError) as caught:
        desk.open(**changes)
    assert said in str(caught.value)
    assert not desk.folder.exists(), "nothing has been started"


def test_unknown_arguments(tmp_path):
    with pytest.raises(TypeError, match="unexpected keyword"):
        Gatekeeper.from_settings(data_dir=tmp_path, profil="paper")


def test_a_data_directory_that_is_a_file(desk):
    desk.folder.write_text("")
    with pytest.raises(GrinderError) as caught:
        desk.open()
    assert str(desk.folder) in str(caught.value)


def test_a_damaged_journal_is_refused_and_the_lock_given_back(desk, place):
    desk.open().check(place.buy())
    desk.close()
    path = desk.folder / "journal.sqlite"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(GrinderError):
        desk.open()
    path.write_bytes(whole)
    assert desk.open().status().open == 1


def test_a_strategy_that_settings_name_need_not_be_installed(desk, monkeypatch, place):
    original = grinder.engine.plugins.discover
    monkeypatch.setattr(
        grinder.engine.plugins,
        "discover",
        lambda group, **more: [] if group == STRATEGIES else [r for r in original(group, **more) if r.name != "grid"],
    )
    assert desk.open().check(place.buy()).allowed


# Instruments.

MARKET = {
    "id": "XBTUSDT", "symbol": "XBT/USDT:USDT", "base": "XBT", "quote": "USDT", "linear": True, "contractSize": 1.0,
    "precision": {"price": 0.5, "amount": 0.001}, "maker": 0.0001, "taker": 0.0006, "info": {},
    "limits": {"amount": {"min": 0.001, "max": 100.0}, "cost": {"min": 5}, "price": {"min": None}},
}  # fmt: skip


def test_an_instrument_from_ccxt():
    made = instrument_from_ccxt(MARKET)
    assert (made.symbol, made.tick_size, made.lot_size, made.min_notional) == (
        "XBTUSDT", Decimal("0.5"), Decimal("0.001"), Decimal(5),
    )  # fmt: skip
    assert (made.min_qty, made.max_qty, made.taker_fee) == (Decimal("0.001"), Decimal(100), Decimal("0.0006"))
    places = MARKET | {"precision": {"price": 1, "amount": 3}}
    assert instrument_from_ccxt(places, precision_mode=2).lot_size == Decimal("0.001")


@pytest.mark.parametrize(
    "changes",
    [
        {"inverse": True}, {"option": True}, {"contractSize": 0.01}, {"id": None}, {"precision": {}},
        {"precision": None}, {"precision": {"price": 0, "amount": 1}}, {"precision": {"price": "x", "amount": 1}},
        {"precision": {"price": float("nan"), "amount": 1}}, {"limits": 5}, {"contractSize": []},
        {"info": {"filters": [{}]}}, {"info": {"filters": [{"filterType": "LOT_SIZE"}]}}, {"maker": "x"},
    ],
    ids=str,
)  # fmt: skip
def test_markets_that_cannot_be_used(changes):
    with pytest.raises(ConfigError):
        instrument_from_ccxt(MARKET | changes)


def test_no_market_at_all():
    for wrong in (None, 5, "BTC", []):
        with pytest.raises(ConfigError, match="no market of ccxt"):
            instrument_from_ccxt(wrong)
    with pytest.raises(ConfigError, match="precisionMode"):
        instrument_from_ccxt(MARKET, precision_mode=3)


def test_instruments_of_a_venue_trade(desk, place):
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.10"},
        {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "1000"},
        {"filterType": "MIN_NOTIONAL", "notional": "100"},
    ]
    entry = {"symbol": SYMBOL, "baseAsset": "BTC", "quoteAsset": "USDT", "filters": filters}
    keeper = desk.open(instruments=instruments_from_exchange_info({"symbols": [entry]}))
    assert keeper.check(place.buy()).allowed
    assert keeper.check(OrderIntent(symbol="ETHUSDT", side=Side.BUY, qty=Decimal(1))).reason == "SYMBOL_UNKNOWN"
