"""A program's orders through a gatekeeper: decided, counted, reported, recovered."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import threading
from decimal import Decimal, getcontext, localcontext

import msgspec
import pytest

from grinder import (
    BookSnapshot,
    CallError,
    Gatekeeper,
    IntentKind,
    LiveClock,
    MismatchKind,
    OrderIntent,
    OrderState,
    Outcome,
    PositionSide,
    Risk,
    Route,
    Side,
    StateError,
    TradingState,
    Trigger,
    TriggerKind,
    VenueOrder,
    VenuePosition,
)
from grinder.evidence.summary import read_summary
from grinder.journal import store
from grinder.journal.reading import Reader

SYMBOL = "BTCUSDT"


def fill(keeper, decision, trade_id="t1", qty="0.01", **more):
    given = {"symbol": SYMBOL, "side": decision.intent.side, "price": "59990", "client_id": decision.client_id}
    return keeper.filled(trade_id=trade_id, qty=qty, **{**given, **more})


def held(qty: str, entry: str = "60000") -> list[VenuePosition]:
    return [VenuePosition(SYMBOL, PositionSide.BOTH, Decimal(qty), Decimal(entry))]


# Decisions.


def test_an_allowed_order_says_what_to_send(desk, place):
    decision = desk.open().check(place.buy())
    assert decision.allowed
    assert decision.client_id.startswith("grinder_")
    assert (decision.qty, decision.price, decision.reduce_only) == (Decimal("0.01"), Decimal("59990.0"), False)


def test_a_decision_is_durable_when_check_returns(desk, place):
    decision = desk.open().check(place.buy())
    with Reader.open(desk.folder) as journal:
        order = journal.order(decision.client_id)
        assert order is not None
        assert order.state is OrderState.INTENT
        assert journal.decision(decision.client_id) is not None


def test_new_risk_waits_for_balance_and_positions(desk, place):
    keeper = desk.open(ready=False)
    desk.tick()
    assert keeper.status().blocked_by == "ACCOUNT_UNKNOWN"
    assert keeper.check(place.buy()).reason == "ACCOUNT_UNKNOWN"
    keeper.sync(balance=10_000)
    assert keeper.check(place.buy()).reason == "ACCOUNT_UNKNOWN", "positions are still unknown, not flat"
    assert keeper.check(place.buy(reduce_only=True)).allowed
    keeper.sync(positions=[])
    assert keeper.check(place.buy()).allowed


def test_what_reduces_carries_the_flag_and_meets_no_gate(desk, place):
    keeper = desk.open()
    fill(keeper, keeper.check(place.buy()))
    desk.clock.advance(60_000_000_000)  # the market is stale now
    assert keeper.check(place.buy()).outcome is Outcome.BLOCKED
    assert keeper.status().market[SYMBOL] == "MARKET_STALE"
    decision = keeper.check(place.sell())
    assert (decision.allowed, decision.risk, decision.reduce_only) == (True, Risk.REDUCE, True)
    assert decision.gates == ()


@pytest.fixture
def halved(desk, tmp_path):
    """A gatekeeper with a gate that shrinks."""
    (tmp_path / "gates").mkdir(mode=0o700)
    (tmp_path / "gates" / "halver.py").write_text(HALVER)
    return desk.open(
        overrides={
            "host.plugins_dir": tmp_path / "gates",
            "plugins.halver.enabled": True,
            "plugins.halver.mode": "enforce",
        }
    )


def test_a_shrunk_order_is_to_be_sent_at_the_smaller_quantity(halved, place):
    decision = halved.check(place.buy("0.02"))
    assert (decision.allowed, decision.qty) == (True, Decimal("0.01"))
    (order,) = halved.open_orders(SYMBOL)
    assert order.qty == Decimal("0.01")


def test_a_shrunk_conditional_order_is_measured_by_its_trigger_too(halved, place):
    far = Decimal(90000)
    decision = halved.check(place.buy("0.02", price=far, trigger=Trigger(TriggerKind.STOP, far)))
    assert (decision.allowed, decision.qty) == (True, Decimal("0.01"))


HALVER = """
from decimal import Decimal
from grinder import Allow, GateSettings, OrderIntent, Shrink, hookimpl

REASONS = {"TOO_LARGE": "The order is above 0.01."}


@hookimpl
def register_settings() -> type[GateSettings]:
    return GateSettings


@hookimpl
def pre_order_gate(order: OrderIntent) -> Allow | Shrink:
    limit = Decimal("0.01")
    return Shrink(limit, "TOO_LARGE") if order.qty > limit else Allow()
"""


def test_an_order_that_makes_no_sense_is_a_decision(desk, place):
    keeper = desk.open()
    for wrong in (None, "buy", place.buy("NaN"), OrderIntent(symbol=SYMBOL, side="buy"), place.buy(price="59990.05")):
        decision = keeper.check(wrong)
        assert decision.outcome is Outcome.DROPPED
        assert decision.detail
    assert keeper.check(OrderIntent(symbol="DOGEUSDT", side=Side.BUY, qty=Decimal(1))).reason == "SYMBOL_UNKNOWN"
    desk.close()
    assert len(desk.records) == 6


def test_an_order_never_reported_back_counts_in_flight(desk, place):
    keeper = desk.open(overrides={"engine.max_in_flight": 2})
    keeper.check(place.buy())
    sent = keeper.check(place.buy())
    assert keeper.check(place.buy()).reason == "IN_FLIGHT_CAP"
    assert keeper.check(place.sell(reduce_only=True)).allowed, "what reduces gets out"
    keeper.accepted(sent.client_id, "v2")
    keeper.abandoned(keeper.open_orders(SYMBOL)[0].client_id)


def test_plain_quotes_hold_over_the_events_that_came_before(desk):
    keeper = desk.open()
    now = desk.clock.now_ns()
    keeper.on_market(BookSnapshot(SYMBOL, now, now, 10**12, [("50000.0", "1")], [("50000.1", "1")]))
    keeper.quote(SYMBOL, 60000, 1, 60001, 1)
    assert keeper._post.market.view(SYMBOL).bid == 60000
    keeper.book(SYMBOL, [(55000, 1)], [(55001, 1)])
    assert keeper._post.market.view(SYMBOL).bid == 55000


# Outcomes.


def test_a_fill_counts_once(desk, place):
    keeper = desk.open()
    decision = keeper.check(place.buy())
    assert fill(keeper, decision, qty="0.004")
    assert not fill(keeper, decision, qty="0.004")
    assert keeper.position(SYMBOL).qty == Decimal("0.004")
    (order,) = keeper.open_orders()
    assert (order.state, order.remaining) == (OrderState.PARTIAL, Decimal("0.006"))


def test_a_fill_named_by_the_venues_order_id(desk, place):
    keeper = desk.open()
    decision = keeper.check(place.buy())
    with pytest.raises(CallError, match="report the trade again"):
        fill(keeper, decision, client_id="", venue_order_id="77")
    assert keeper.position(SYMBOL).qty == 0
    keeper.accepted(decision.client_id, "77")
    assert fill(keeper, decision, client_id="", venue_order_id="77")
    assert keeper.open_orders() == ()


def test_a_fill_of_an_order_that_is_not_ours_counts_and_the_symbol_only_reduces(desk, place):
    keeper = desk.open()
    assert keeper.filled(trade_id="9", symbol=SYMBOL, side="sell", price=60000, qty=0.5, venue_order_id="by hand")
    assert keeper.position(SYMBOL).qty == Decimal("-0.5")
    assert keeper.check(place.sell()).reason == "TRADING_REDUCE_ONLY"
    keeper.sync(positions=held("-0.5"), open_orders=[])
    assert keeper.check(place.sell()).allowed, "a clean pass ends it"


def test_a_late_fill_counts_and_the_symbol_only_reduces(desk, place):
    keeper = desk.open()
    decision = keeper.check(place.buy())
    keeper.cancelled(decision.client_id)
    assert fill(keeper, decision)
    assert keeper.position(SYMBOL).qty == Decimal("0.01")
    assert keeper.status().symbols == {SYMBOL: TradingState.REDUCE_ONLY}


def test_an_unknown_order_counts_until_absence_is_proven_twice(desk, place):
    keeper = desk.open()
    decision = keeper.check(place.buy())
    keeper.unknown(decision.client_id, "RequestTimeout")
    (order,) = keeper.unknown_orders()
    assert order.client_id == decision.client_id
    assert not keeper.absent(decision.client_id)
    desk.clock.advance(1_000_000_000)
    keeper.unknown_orders()
    assert not keeper.absent(decision.client_id), "too early: venues show orders late"
    desk.clock.advance(2_000_000_000)
    assert not keeper.absent(decision.client_id), "the question was asked too early, however late the answer came"
    keeper.unknown_orders()
    assert keeper.absent(decision.client_id)
    assert keeper.open_orders() == ()


def test_an_order_held_for_absent_that_is_found_counts_again(desk, place):
    keeper = desk.open()
    decision = keeper.check(place.buy())
    keeper.unknown(decision.client_id, "timeout")
    keeper.absent(decision.client_id)
    desk.tick(3)
    keeper.unknown_orders()
    assert keeper.absent(decision.client_id)
    desk.close()
    keeper = desk.open()
    keeper.found(decision.client_id, state="open", filled_qty=0, venue_order_id="3")
    assert [order.state for order in keeper.open_orders()] == [OrderState.OPEN]


def test_an_order_in_flight_cannot_be_absent(desk, place):
    keeper = desk.open()
    decision = keeper.check(place.buy())
    with pytest.raises(CallError, match="unknown first"):
        keeper.absent(decision.client_id)
    keeper.accepted(decision.client_id)
    with pytest.raises(CallError, match="is OPEN"):
        keeper.absent(decision.client_id)


def test_only_what_was_never_sent_can_be_abandoned(desk, place):
    keeper = desk.open()
    first, second = keeper.check(place.buy()), keeper.check(place.buy())
    keeper.abandoned(first.client_id)
    keeper.sent(second.client_id)
    with pytest.raises(CallError, match="may have been sent"):
        keeper.abandoned(second.client_id)
    assert [order.client_id for order in keeper.open_orders()] == [second.client_id]


def test_a_found_order_stays_in_doubt_while_fills_are_missing(desk, place):
    keeper = desk.open()
    decision = keeper.check(place.buy())
    keeper.unknown(decision.client_id, "504")
    keeper.found(decision.client_id, state="FILLED", filled_qty="0.01", venue_order_id="5")
    assert keeper.status().unknown == 1
    fill(keeper, decision, client_id="", venue_order_id="5")
    assert keeper.status().unknown == 0
    assert keeper.position(SYMBOL).qty == Decimal("0.01")


def test_an_order_is_cancelled_and_amended_by_its_client_id(desk, place):
    keeper = desk.open()
    order = keeper.check(place.buy())
    keeper.accepted(order.client_id)
    larger = place.buy("0.03", kind=IntentKind.AMEND, target=order.client_id)
    first = keeper.check(larger)
    assert first.allowed
    assert keeper.open_orders()[0].remaining == Decimal("0.03"), "until it is answered it counts at the larger"
    keeper.cancel_rejected(order.client_id, "-4028", request_id=first.client_id)
    assert keeper.open_orders()[0].remaining == Decimal("0.01")
    again = keeper.check(larger)
    keeper.amended(order.client_id, qty="0.03", price="59980", request_id=again.client_id)
    assert keeper.open_orders()[0].price == Decimal(59980)
    cancel = keeper.check(OrderIntent(kind=IntentKind.CANCEL, symbol=SYMBOL, side=Side.BUY, target=order.client_id))
    assert (cancel.allowed, cancel.risk) == (True, Risk.CANCEL)
    keeper.cancelled(order.client_id)
    assert keeper.open_orders() == ()


def test_an_amendment_that_was_not_sent_is_abandoned(desk, place):
    keeper = desk.open()
    order = keeper.check(place.buy())
    keeper.accepted(order.client_id)
    amendment = keeper.check(place.buy("0.03", kind=IntentKind.AMEND, target=order.client_id))
    with pytest.raises(CallError, match="by the client_id of its own decision"):
        keeper.abandoned(order.client_id)
    assert keeper.open_orders()[0].remaining == Decimal("0.03")
    keeper.abandoned(amendment.client_id)
    keeper.abandoned(amendment.client_id)
    assert keeper.open_orders()[0].remaining == Decimal("0.01")


def test_a_conditional_order_fires(desk, place):
    keeper = desk.open()
    stop = keeper.check(place.buy(price="61010", trigger=Trigger(TriggerKind.STOP, Decimal(61000))))
    assert (stop.allowed, stop.intent.trigger.price) == (True, Decimal(61000))
    keeper.accepted(stop.client_id, "a1")
    keeper.triggered(stop.client_id, "o1")
    assert keeper.open_orders()[0].trigger is None
    assert fill(keeper, stop, client_id="", venue_order_id="o1")


def test_a_query_tells_that_a_conditional_order_has_fired(desk, place):
    keeper = desk.open()
    stop = keeper.check(place.buy(price="61010", trigger=Trigger(TriggerKind.STOP, Decimal(61000))))
    keeper.accepted(stop.client_id, "a1")
    for waits in (True, None, False):
        assert keeper.open_orders()[0].trigger is not None
        keeper.found(stop.client_id, state="OPEN", filled_qty=0, venue_order_id="o1", waits=waits)
    assert keeper.open_orders()[0].trigger is None
    keeper.close()
    (order,) = desk.open().open_orders()
    assert order.trigger is None


def test_a_liquidation_counts_and_the_symbol_only_reduces(desk, place):
    keeper = desk.open()
    fill(keeper, keeper.check(place.buy()))
    keeper.check(place.buy())  # in flight: what the venue does by itself is told from it all the same
    assert keeper.filled(trade_id="x", symbol=SYMBOL, side="SELL", price=1, qty="0.01", cause="LIQUIDATION")
    assert keeper.position(SYMBOL).qty == 0
    assert keeper.status().symbols == {SYMBOL: TradingState.REDUCE_ONLY}


def test_funding_counts_once(desk):
    keeper = desk.open()
    for _ in range(2):
        keeper.paid(payment_id="f1", symbol=SYMBOL, amount="-0.5")
    assert keeper._post.account.balance == Decimal("9999.5")


# What the venue holds.


def test_the_first_statement_is_taken_over(desk, place):
    keeper = desk.open(ready=False)
    report = keeper.sync(balance="10000", positions=held("0.02"), open_orders=[])
    assert report.mismatches == ()
    assert keeper.position(SYMBOL).qty == Decimal("0.02")
    desk.tick()
    assert keeper.check(place.sell("0.02")).risk is Risk.REDUCE
    desk.close()
    keeper = desk.open(ready=False)
    assert keeper.position(SYMBOL).qty == Decimal("0.02"), "it is in the journal"


def test_a_later_difference_makes_the_symbol_only_reduce_until_a_clean_pass(desk, place):
    keeper = desk.open()
    (mismatch,) = keeper.sync(positions=held("0.5"), open_orders=[]).mismatches
    assert (mismatch.kind, mismatch.observed) == (MismatchKind.POSITION_NONZERO_UNEXPECTED, "0.5")
    assert keeper.check(place.buy()).reason == "TRADING_REDUCE_ONLY"
    keeper.sync(positions=[])
    assert keeper.check(place.buy()).reason == "TRADING_REDUCE_ONLY", "open orders are unknown, so it is not complete"
    keeper.sync(positions=[], open_orders=[])
    assert keeper.check(place.buy()).allowed


def test_a_person_may_take_over_a_difference(desk, place):
    keeper = desk.open()
    keeper.sync(positions=held("0.5"), open_orders=[])
    keeper.sync(positions=held("0.5"), open_orders=[], adopt="moved from the other bot")
    assert keeper.position(SYMBOL).qty == Decimal("0.5")
    assert keeper.check(place.sell("0.5")).risk is Risk.REDUCE


def test_open_orders_of_others_count(desk, place):
    keeper = desk.open()
    fill(keeper, keeper.check(place.buy("0.02")), qty="0.02")
    other = VenueOrder(SYMBOL, "web_1", "4", Side.SELL, Decimal(61000), Decimal("0.02"), Decimal(0))
    keeper.sync(positions=held("0.02"), open_orders=[other])
    assert keeper.check(place.sell("0.02")).risk is Risk.INCREASE, "both could trade"
    keeper.sync(positions=held("0.02"), open_orders=[])
    assert keeper.check(place.sell("0.02")).risk is Risk.INCREASE, "our own first one is in flight"


def test_a_fill_of_an_open_order_of_others_uses_it_up(desk):
    keeper = desk.open()
    other = VenueOrder(SYMBOL, "web_1", "4", Side.SELL, Decimal(61000), Decimal("0.02"), Decimal(0))
    keeper.sync(positions=[], open_orders=[other])
    assert keeper.filled(trade_id="1", symbol=SYMBOL, side="sell", price=61000, qty="0.02", venue_order_id="4")
    assert keeper.open_orders() == ()
    assert keeper.position(SYMBOL).qty == Decimal("-0.02")


def sell_of_others(client_id: str, venue_order_id: str, *, symbol: str = SYMBOL, qty: str = "0.02") -> VenueOrder:
    return VenueOrder(symbol, client_id, venue_order_id, Side.SELL, Decimal(61000), Decimal(qty), Decimal(0))


def test_orders_of_others_are_named_by_symbol_and_the_venues_id(desk):
    keeper = desk.open()
    stated = [sell_of_others("", "4"), sell_of_others("", "4", symbol="ETHUSDT"), sell_of_others("web_1", "")]
    keeper.sync(positions=[], open_orders=stated)
    named = {order.client_id for order in keeper.open_orders()}
    assert named == {"venue:BTCUSDT:4", "venue:ETHUSDT:4", "venue:BTCUSDT:web_1"}
    keeper.sync(positions=[], open_orders=stated[1:2])
    assert [order.client_id for order in keeper.open_orders()] == ["venue:ETHUSDT:4"]


def test_our_id_on_another_symbol_is_an_order_of_others(desk, place):
    keeper = desk.open()
    ours = keeper.check(place.buy("0.02"))
    keeper.accepted(ours.client_id, "1")
    other = sell_of_others(ours.client_id, "9", symbol="ETHUSDT", qty="7")
    report = keeper.sync(positions=[], open_orders=[other])
    assert {order.client_id: order.remaining for order in keeper.open_orders()} == {
        ours.client_id: Decimal("0.02"), "venue:ETHUSDT:9": Decimal(7),
    }  # fmt: skip
    unexpected = [each for each in report.mismatches if each.kind is MismatchKind.ORDER_EXISTS_UNEXPECTED]
    assert [(each.symbol, each.expected, each.observed) for each in unexpected] == [
        ("ETHUSDT", "BUY BTCUSDT", "SELL ETHUSDT open")
    ]


@pytest.mark.parametrize("said", [{"client_id": "web_1"}, {"client_id": "web_1", "venue_order_id": "4"}], ids=str)
def test_a_fill_names_an_order_of_others_by_either_id(desk, said):
    keeper = desk.open()
    stated = [sell_of_others("web_1", "4"), sell_of_others("web_1", "5", symbol="ETHUSDT")]
    keeper.sync(positions=[], open_orders=stated)
    assert keeper.filled(trade_id="1", symbol=SYMBOL, side="sell", price=61000, qty="0.02", **said)
    assert [order.client_id for order in keeper.open_orders()] == ["venue:ETHUSDT:5"]
    assert SYMBOL not in keeper.status().symbols, "it was stated, so it is expected"


def test_a_fill_of_one_of_two_orders_that_share_an_id_is_nobodys_until_the_venues_id_is_given(desk):
    keeper = desk.open()
    keeper.sync(positions=[], open_orders=[sell_of_others("web_1", "4"), sell_of_others("web_1", "5")])
    fills = {"symbol": SYMBOL, "side": "sell", "price": 61000, "qty": "0.01", "client_id": "web_1"}
    assert keeper.filled(trade_id="1", venue_order_id="5", **fills)
    assert [order.remaining for order in keeper.open_orders()] == [Decimal("0.02"), Decimal("0.01")]
    assert SYMBOL not in keeper.status().symbols
    assert keeper.filled(trade_id="2", **fills)
    assert [order.remaining for order in keeper.open_orders()] == [Decimal("0.02"), Decimal("0.01")]
    assert keeper.status().symbols[SYMBOL] is TradingState.REDUCE_ONLY
    assert keeper.position(SYMBOL).qty == Decimal("-0.02")


def test_a_fill_of_an_order_of_others_is_booked_on_the_leg_that_it_names(desk):
    keeper = desk.open()
    keeper.sync(positions=[], open_orders=[sell_of_others("", "4")])
    fill = {"symbol": SYMBOL, "side": "sell", "price": 61000, "qty": "0.01", "venue_order_id": "4"}
    keeper.filled(trade_id="1", position_side="short", **fill)
    assert keeper.position(SYMBOL, PositionSide.SHORT).qty == Decimal("-0.01")
    assert keeper.open_orders()[0].remaining == Decimal("0.01")


def test_an_amendment_that_a_killed_process_never_heard_of_is_taken_from_the_statement(desk, place):
    keeper = desk.open()
    order = keeper.check(place.buy())
    keeper.accepted(order.client_id, "1")
    keeper.check(place.buy("0.03", kind=IntentKind.AMEND, target=order.client_id))
    stated = VenueOrder(SYMBOL, order.client_id, "1", Side.BUY, Decimal(59990), Decimal("0.01"), Decimal(0))
    keeper.sync(positions=[], open_orders=[stated])
    assert keeper.open_orders()[0].remaining == Decimal("0.03"), "its answer is still to come"
    desk.close()
    keeper = desk.open()
    larger = VenueOrder(SYMBOL, order.client_id, "1", Side.BUY, Decimal(59980), Decimal("0.03"), Decimal(0))
    keeper.sync(positions=[], open_orders=[larger])
    (known,) = keeper.open_orders()
    assert (known.remaining, known.price) == (Decimal("0.03"), Decimal(59980))


def test_an_order_that_rests_no_longer_has_to_be_asked_for(desk, place):
    keeper = desk.open()
    decision = keeper.check(place.buy())
    keeper.accepted(decision.client_id, "1")
    (mismatch,) = keeper.sync(positions=[], open_orders=[]).mismatches
    assert mismatch.kind is MismatchKind.ORDER_MISSING_ON_EXCHANGE
    assert [order.client_id for order in keeper.unknown_orders()] == [decision.client_id]
    assert keeper.check(place.buy()).reason == "TRADING_REDUCE_ONLY"


def test_an_order_of_ours_that_the_books_ended_is_a_mismatch(desk, place):
    keeper = desk.open()
    decision = keeper.check(place.buy())
    keeper.cancelled(decision.client_id)
    order = VenueOrder(SYMBOL, decision.client_id, "4", Side.BUY, Decimal(59990), Decimal("0.01"), Decimal(0))
    (mismatch,) = keeper.sync(positions=[], open_orders=[order]).mismatches
    assert (mismatch.kind, mismatch.key) == (MismatchKind.ORDER_STATUS_DIVERGENCE, decision.client_id)


# Restarts.


def test_a_restart_recovers_orders_positions_halts_and_names(desk, place):
    keeper = desk.open()
    resting, checked, asked = (keeper.check(place.buy()) for _ in range(3))
    keeper.accepted(resting.client_id, "11")
    fill(keeper, resting, qty="0.004")
    keeper.unknown(asked.client_id, "timeout")
    keeper.halt("exchange maintenance")
    desk.close()
    keeper = desk.open()
    assert keeper.position(SYMBOL).qty == Decimal("0.004")
    states = {order.client_id: order.state for order in keeper.open_orders()}
    assert states == {
        resting.client_id: OrderState.PARTIAL,
        checked.client_id: OrderState.UNKNOWN,
        asked.client_id: OrderState.UNKNOWN,
    }
    assert {order.client_id for order in keeper.unknown_orders()} == set(states)
    assert keeper.check(place.buy()).reason == "TRADING_HALTED"
    keeper.resume("maintenance is over")
    assert not fill(keeper, resting, qty="0.004"), "counted before the restart"
    for each in (checked, asked):  # the venue knows neither
        keeper.absent(each.client_id)
        desk.tick(3)
        keeper.unknown_orders()
        assert keeper.absent(each.client_id)
    assert fill(keeper, resting, "t2", "0.006", client_id="", venue_order_id="11")
    assert keeper.open_orders() == ()
    assert keeper.trades_since_ns(SYMBOL) == desk.clock.now_ns()


def test_a_fill_of_an_order_that_ended_before_the_restart_is_ours(desk, place):
    keeper = desk.open()
    decision = keeper.check(place.buy())
    keeper.rejected(decision.client_id, "-2019", "margin")
    desk.close()
    keeper = desk.open()
    assert fill(keeper, decision, qty="0.004")
    (order,) = keeper.open_orders()
    assert (order.state, order.remaining) == (OrderState.PARTIAL, Decimal("0.006")), "the fill proves it was accepted"
    desk.close()
    with Reader.open(desk.folder) as journal:
        (booked,) = journal.fills()
    assert booked.intent_id == decision.intent.intent_id


def test_a_restart_never_uses_a_client_id_again(desk, place):
    first = desk.open().check(place.buy())
    desk.close()
    assert desk.open().check(place.buy()).client_id != first.client_id


def test_one_process_has_a_data_directory_at_a_time(desk):
    desk.open()
    with pytest.raises(StateError, match="in use"):
        Gatekeeper.from_settings(data_dir=desk.folder)


def test_the_state_of_a_run_is_not_taken_for_a_gatekeepers(bench, place):
    bench.run(lambda second, account: [place.buy()] if second == 1 else ())
    with pytest.raises(StateError, match="grinder run"):
        Gatekeeper.from_settings(data_dir=bench.out / "state")


def test_books_of_one_venue_are_not_taken_for_anothers(desk):
    desk.open()
    desk.close()
    with pytest.raises(StateError, match=r"exchange\.venue"):
        desk.open(overrides={"exchange.venue": "binance"})


def test_with_real_money_the_route_is_full_and_the_journal_survives_a_power_cut(desk, place):
    keeper = desk.open(overrides={"exchange.venue": "binance", "exchange.mode": "real"})
    decision = keeper.check(place.buy())
    assert (decision.allowed, decision.route) == (True, Route.FULL)
    (synchronous,) = keeper._post.executor.journal._db.execute("PRAGMA synchronous").fetchone()
    assert synchronous == 2


# Failures.


def test_without_a_journal_new_risk_is_blocked_and_what_reduces_passes(desk, place):
    keeper = desk.open()
    fill(keeper, keeper.check(place.buy()))
    other = sqlite3.connect(desk.folder / "journal.sqlite", isolation_level=None)
    keeper._post.executor.journal._db.execute("PRAGMA busy_timeout = 0")
    other.execute("BEGIN IMMEDIATE")
    decision = keeper.check(place.buy())
    assert (decision.outcome, decision.reason, decision.client_id) == (Outcome.BLOCKED, "JOURNAL_UNAVAILABLE", "")
    assert keeper.check(place.sell()).allowed
    assert keeper.status().blocked_by == "JOURNAL_UNAVAILABLE"
    other.execute("ROLLBACK")
    other.close()
    keeper.check(place.buy())  # writes what waited
    assert keeper.check(place.buy()).allowed


def test_a_decision_that_was_written_too_late_is_made_again_and_then_refused(desk, place):
    keeper = desk.open(clock=SlowClock(), ready=False, overrides={"market.stale_ms": 60_000})
    keeper.sync(balance=10_000, positions=[])
    desk.tick()
    keeper._post.clock.slow = True
    decision = keeper.check(place.buy())
    assert (decision.outcome, decision.reason) == (Outcome.BLOCKED, "DECISION_EXPIRED")
    assert keeper.open_orders() == (), "nothing of it counts"


class SlowClock:
    """Two seconds pass between any two looks at it."""

    def __init__(self) -> None:
        self.now = LiveClock().now_ns()
        self.slow = False

    def now_ns(self) -> int:
        self.now += 2_000_000_000 * self.slow
        return self.now


# Calls.


def test_threads_wait_for_one_another(desk, place):
    keeper = desk.open(overrides={"engine.max_in_flight": 1000})
    seen = []

    def program():
        seen.extend(keeper.check(place.buy()).client_id for _ in range(25))

    threads = [threading.Thread(target=program) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 100
    assert len(keeper.open_orders()) == 100


def test_a_call_from_inside_a_call_is_refused(desk, place):
    keeper = desk.open()
    heard = []

    def hook(decision):
        with pytest.raises(CallError, match="inside a call"):
            keeper.status()
        heard.append(decision.allowed)

    keeper._post.executor.on_decision = hook
    keeper.check(place.buy())
    assert heard == [True]


def test_a_forked_child_is_refused(desk):
    keeper = desk.open()
    child = os.fork()
    if not child:
        try:
            keeper.status()
        except CallError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_closed_gatekeeper_says_so(desk):
    keeper = desk.open()
    keeper.close()
    keeper.close()
    with pytest.raises(CallError, match="closed"):
        keeper.status()


def test_the_programs_arithmetic_and_logging_are_its_own(desk, place, caplog):
    root = list(logging.getLogger().handlers)
    with localcontext() as context:
        context.prec = 3
        keeper = desk.open()
        assert fill(keeper, keeper.check(place.buy("0.012", price="59990.1")), qty="0.012", price="59990.1")
        assert keeper.position(SYMBOL).entry_price == Decimal("59990.1")
        assert getcontext().prec == 3
    keeper.unknown(keeper.check(place.buy()).client_id, "timeout")
    assert "ORDER_UNKNOWN" in caplog.text
    assert logging.getLogger().handlers == root


def test_closing_leaves_a_summary(desk, place):
    keeper = desk.open()
    keeper.check(place.buy())
    desk.close()
    summary = read_summary(desk.folder)
    assert (summary.intents, summary.decisions.allowed) == (1, 1)


def test_without_its_directory_new_risk_is_blocked_and_what_reduces_passes(desk, place, monkeypatch):
    monkeypatch.setattr(store, "LOOK_NS", 0)
    keeper = desk.open()
    fill(keeper, keeper.check(place.buy()))
    shutil.rmtree(desk.folder)
    assert keeper.check(place.buy()).reason == "JOURNAL_UNAVAILABLE"
    assert keeper.status().blocked_by == "JOURNAL_UNAVAILABLE"
    assert keeper.check(place.sell()).allowed
    with pytest.raises((StateError, OSError)):
        keeper.close()
    desk.keeper = None


@pytest.mark.parametrize("field", ["symbol", "origin", "target"])
def test_half_a_surrogate_pair_is_a_decision_and_leaves_nothing(desk, place, field):
    keeper = desk.open()
    decision = keeper.check(msgspec.structs.replace(place.buy(), **{field: "\ud800"}))
    assert (decision.outcome, decision.reason) == (Outcome.DROPPED, "ORDER_INVALID")
    assert field in decision.detail
    assert keeper.open_orders() == ()
    assert keeper.check(msgspec.structs.replace(place.buy(), origin="grün")).allowed


def test_an_order_that_cannot_be_written_counts_no_longer(desk, place, monkeypatch):
    keeper = desk.open()

    def broken(*_, **__):
        raise UnicodeError

    with monkeypatch.context() as patch:
        patch.setattr(keeper._post.executor.journal, "record_decision", broken)
        with pytest.raises(UnicodeError):
            keeper.check(place.buy())
    assert keeper.open_orders() == ()
    assert keeper.check(place.buy()).reason == "CALL_INTERRUPTED"


@pytest.mark.parametrize("wrong", ["now", None, 1.5, -5, 10**30, True])
def test_a_clock_that_says_no_time_is_refused_and_the_gatekeeper_goes_on(desk, place, wrong):
    class Broken(LiveClock):
        said = None

        def now_ns(self):
            return super().now_ns() if self.said is None else self.said[0]

    desk.clock = clock = Broken()
    keeper = desk.open(ready=False)
    keeper.sync(balance=10_000, positions=[])
    clock.said = [wrong]
    with pytest.raises(CallError, match="the clock said"):
        keeper.check(place.buy())
    clock.said = None
    keeper.quote(SYMBOL, 60000, 5, 60000.1, 5)
    assert keeper.check(place.buy()).allowed
    clock.said = [wrong]
    keeper.close()


def test_a_clock_that_goes_back_makes_no_old_data_fresh(desk, place):
    class Stepping:
        now = 1_700_000_000_000_000_000

        def now_ns(self):
            return self.now

    hour = 3600 * 10**9
    desk.clock = clock = Stepping()
    keeper = desk.open(ready=False)
    keeper.sync(balance=10_000, positions=[])
    keeper.quote(SYMBOL, 60000, 5, 60000.1, 5)
    clock.now -= hour
    for step in (0, hour // 2):
        clock.now += step
        assert keeper.status().market[SYMBOL] == "MARKET_STALE"
    keeper.quote(SYMBOL, 60000, 5, 60000.1, 5)
    assert SYMBOL not in keeper.status().market
