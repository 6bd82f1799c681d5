"""The order path against a venue that answers late, twice, wrongly or not at all."""

from __future__ import annotations

import shutil
import sqlite3
from decimal import Decimal, getcontext

import msgspec
import pytest

from grinder import (
    Amended,
    CancelRejected,
    Found,
    IntentKind,
    NotFound,
    OrderIntent,
    OrderState,
    QueryFailed,
    Rejected,
    Risk,
    Side,
    StateError,
    TimeInForce,
    TradingState,
    Unknown,
)
from grinder.journal import store

SYMBOL = "BTCUSDT"


def at(second, *intents):
    """A step that proposes at one second only."""
    return lambda now, account: intents if now == second else ()


def test_a_duplicated_fill_counts_once(bench, place):
    def twice(order):
        bench.venue.updates.extend([bench.venue.fill(order, "t1", "0.004")] * 2)
        bench.venue.updates.append(bench.venue.fill(order, "t2", "0.006"))

    bench.venue.on_submit = twice
    summary = bench.run(at(1, place.buy()))
    assert summary.fills == 2
    assert len((bench.out / "fills.jsonl").read_text().splitlines()) == 2
    assert summary.positions[0].qty == Decimal("0.01")
    assert summary.orders.filled == 1
    assert bench.session._executor.tally.duplicate_fills == 1


def test_a_duplicated_fill_does_not_use_up_its_order(bench, place):
    bench.venue.on_submit = lambda order: bench.venue.updates.extend([bench.venue.fill(order, "t1", "0.004")] * 2)
    bench.run(at(1, place.buy()))
    (order,) = bench.session._account.working()
    assert (order.state, order.remaining) == (OrderState.PARTIAL, Decimal("0.006"))


def test_an_unknown_order_is_never_sent_again_and_counts_until_it_is_found(bench, place):
    held = []

    def step(second, account):
        held.append(account.worst_case(SYMBOL, Side.BUY))
        return [place.buy()] if second == 1 else ()

    bench.venue.on_submit = bench.venue.unknown
    bench.venue.on_query = lambda client_id: QueryFailed(client_id, "timeout")
    summary = bench.run(step)
    assert len(bench.venue.sent) == 1
    assert summary.orders.unknown == 1
    assert summary.orders.absent == 0, "a failed query proves nothing"
    assert set(held[2:]) == {Decimal("0.01")}
    assert len(bench.venue.queries) > 2


def test_absence_needs_two_answers_a_lag_apart(bench, place):
    bench.venue.on_submit = bench.venue.unknown
    asked = []

    def answer(client_id):
        asked.append(bench.venue.clock.now_ns())
        return NotFound(client_id)

    bench.venue.on_query = answer
    summary = bench.run(at(1, place.buy()))
    assert summary.orders.absent == 1
    assert len(asked) == 2
    assert asked[1] - asked[0] >= 2_000_000_000
    assert len(bench.venue.sent) == 1, "an absent intent is not sent again"


def test_an_unknown_order_that_is_found_with_its_fills(bench, place):
    bench.venue.on_submit = bench.venue.unknown

    def answer(client_id):
        order = bench.venue.sent[0]
        fill = bench.venue.fill(order, "t1", "0.004").fill
        return Found(client_id, "v1", OrderState.PARTIAL, Decimal("0.004"), (fill,))

    bench.venue.on_query = answer
    summary = bench.run(at(1, place.buy()))
    assert summary.fills == 1
    order = bench.session._account.working()[0]
    assert (order.state, order.remaining) == (OrderState.PARTIAL, Decimal("0.006"))


def test_a_found_order_whose_fills_are_missing_stays_in_doubt(bench, place):
    bench.venue.on_submit = bench.venue.unknown
    bench.venue.on_query = lambda client_id: Found(client_id, "v1", OrderState.FILLED, Decimal("0.01"))
    summary = bench.run(at(1, place.buy()))
    assert summary.fills == 0
    assert bench.session._account.worst_case(SYMBOL, Side.BUY) == Decimal("0.01")
    assert len(bench.venue.queries) > 1


def test_a_late_fill_of_an_absent_order_counts_and_the_symbol_only_reduces(bench, place):
    bench.venue.on_submit = bench.venue.unknown

    def step(second, account):
        if second == 6:
            bench.venue.on_submit = None
            bench.venue.updates.append(bench.venue.fill(bench.venue.sent[0], "t1"))
        return [place.buy()] if second in {1, 8} else [place.sell()] if second == 9 else ()

    summary = bench.run(step, seconds=12)
    assert summary.orders.absent == 1
    assert summary.fills == 1
    assert bench.session._path.symbol_states[SYMBOL] is TradingState.REDUCE_ONLY
    outcomes = [(r["order"]["side"], r["outcome"], r["reason"]) for r in bench.records]
    assert outcomes == [
        ("BUY", "allowed", "OK"),
        ("BUY", "blocked", "TRADING_REDUCE_ONLY"),
        ("SELL", "allowed", "OK"),
    ]
    assert bench.venue.sent[-1].reduce_only


def test_reduce_only_survives_a_restart(bench, place):
    test_a_late_fill_of_an_absent_order_counts_and_the_symbol_only_reduces(bench, place)
    bench.run(lambda *_: (), seconds=14, resume=True)
    assert bench.session._path.symbol_states[SYMBOL] is TradingState.REDUCE_ONLY
    assert bench.session._account.position(SYMBOL).qty == Decimal("0.01")


def test_rejects_and_cancels_are_still_counted_after_a_restart(bench, place):
    """The line of rejects says no less than the line of orders, and orders are still told from cancels."""

    def refused(order):
        bench.venue.updates.append(Rejected(order.client_id, "-2019", "margin", bench.venue.clock.now_ns()))

    def step(second, account):
        bench.venue.on_submit = refused if second == 2 else None
        if second == 4:
            (working,) = bench.session._account.working()
            return [OrderIntent(symbol=SYMBOL, side=Side.BUY, kind=IntentKind.CANCEL, target=working.intent_id)]
        return [place.buy()] if second in {1, 2} else ()

    first = bench.run(step, seconds=6)
    assert first.rejects == {"-2019": 1}
    assert (first.decisions.orders.wanted, first.decisions.cancels.allowed) == (2, 1)
    resumed = bench.run(lambda *_: (), seconds=8, resume=True)
    assert (resumed.rejects, resumed.orders.rejected) == (first.rejects, 1)
    assert resumed.decisions == first.decisions


def test_two_orders_cannot_pass_one_limit(bench, place):
    """Worst case: each of them alone would only reduce, both together would cross zero."""

    def step(second, account):
        if second == 1:
            return [place.buy("0.01")]
        if second == 3:
            return [place.sell("0.01"), place.sell("0.01")]
        return ()

    def submit(order):
        if order.intent.side is Side.BUY:
            bench.venue.updates.append(bench.venue.fill(order, "t1"))

    bench.venue.on_submit = submit
    bench.run(step)
    assert [r["risk"] for r in bench.records] == ["INCREASE", "REDUCE", "INCREASE"]


def test_the_in_flight_cap_blocks_new_risk_only(bench, place):
    bench.venue.on_submit = lambda order: None  # no answer at all

    def step(second, account):
        if second == 1:
            return [place.buy(), place.buy(), place.buy(), place.sell(reduce_only=True)]
        return ()

    bench.run(step, overrides=("engine.max_in_flight=2",))
    assert [r["reason"] for r in bench.records] == ["OK", "OK", "IN_FLIGHT_CAP", "OK"]


def test_a_journal_that_cannot_be_written_stops_new_risk_and_lets_reduction_out(bench, place):
    def step(second, account):
        if second == 2:
            fail(True)
            return [place.buy(), place.sell(reduce_only=True)]
        if second == 3:
            return [place.buy()]
        if second == 4:
            fail(False)
            return [OrderIntent(symbol=SYMBOL, side=Side.BUY, kind=IntentKind.CANCEL, target="nothing")]
        return [place.buy()] if second == 6 else ()

    journal = {}

    def fail(on):
        original = journal.setdefault("db", bench.session._state.journal._db)

        class Full:
            in_transaction = False

            def execute(self, sql, *args):
                if sql.startswith("BEGIN"):
                    raise sqlite3.OperationalError("database or disk is full")
                return original.execute(sql, *args)

            def close(self):
                original.close()

        bench.session._state.journal._db = Full() if on else original

    bench.run(step)
    assert [(r["order"]["side"], r["outcome"], r["reason"]) for r in bench.records] == [
        ("BUY", "blocked", "JOURNAL_UNAVAILABLE"),
        ("SELL", "allowed", "OK"),
        ("BUY", "blocked", "JOURNAL_UNAVAILABLE"),
        ("BUY", "dropped", "TARGET_UNKNOWN"),
        ("BUY", "allowed", "OK"),
    ]
    assert [o.intent.side for o in bench.venue.sent] == [Side.SELL, Side.BUY]


def test_a_strategy_that_raises_leaves_cancels_free(bench, place):
    def step(second, account):
        if second == 1:
            return [place.buy()]
        if second == 3:
            raise ValueError("no idea")
        if second == 4:
            orders = account.open_orders(SYMBOL)
            return [place.buy(), *(OrderIntent(symbol=SYMBOL, side=o.side, kind=IntentKind.CANCEL, target=o.intent_id)
                                   for o in orders)]  # fmt: skip
        return ()

    bench.run(step)
    assert [(r["risk"], r["outcome"]) for r in bench.records] == [
        ("INCREASE", "allowed"),
        ("INCREASE", "blocked"),
        ("CANCEL", "allowed"),
    ]
    assert bench.session.exit_code == 1


def test_an_amendment_counts_at_its_worst_case_until_it_is_answered(bench, place):
    held = []

    def step(second, account):
        held.append(account.worst_case(SYMBOL, Side.BUY))
        if second == 1:
            return [place.buy("0.01")]
        if second == 3:
            (order,) = account.open_orders(SYMBOL)
            bench.venue.on_submit = lambda _: None
            return [place.buy("0.03", kind=IntentKind.AMEND, target=order.intent_id)]
        if second == 6:
            placed, amended = bench.venue.sent
            refused = CancelRejected(placed.client_id, "-5027", "no need to modify", 0, amended.client_id)
            bench.venue.updates.append(refused)
            bench.venue.on_query = lambda c: Found(c, "v1", OrderState.OPEN, Decimal(0))
        if second == 9:
            bench.venue.updates.append(Amended(bench.venue.sent[0].client_id, Decimal("59990.0"), Decimal("0.02"), 0))
        return ()

    bench.run(step, seconds=14)
    assert bench.records[1]["risk"] == "INCREASE"
    assert held[3:6] == [Decimal("0.03")] * 3
    assert held[7:9] == [Decimal("0.01")] * 2
    assert held[10] == Decimal("0.02")


def test_a_cancel_that_crosses_a_fill(bench, place):
    def step(second, account):
        if second == 1:
            return [place.buy()]
        if second == 3:
            (order,) = account.open_orders(SYMBOL)

            def crossed(cancel):
                bench.venue.updates.append(CancelRejected(cancel.target_client_id, "-2011", "Unknown order sent.", 0))
                bench.venue.updates.append(bench.venue.fill(bench.venue.sent[0], "t1"))

            bench.venue.on_submit = crossed
            return [OrderIntent(symbol=SYMBOL, side=order.side, kind=IntentKind.CANCEL, target=order.intent_id)]
        return ()

    summary = bench.run(step)
    assert summary.fills == 1
    assert bench.session._account.working() == ()
    assert not bench.session._path.symbol_states


def test_invalid_intents_are_dropped_with_a_reason(bench, place):
    wrong = [
        place.buy("0.0005"),
        place.buy("0.001"),
        place.buy(price="59990.05"),
        place.buy(price="30000"),
        place.buy("NaN"),
        place.buy(price="Infinity"),
        place.buy("-1"),
        OrderIntent(symbol="NOSUCH", side=Side.BUY, qty=Decimal(1), price=Decimal(1)),
        OrderIntent(symbol=SYMBOL, side=Side.BUY, notional=Decimal(5), price=Decimal(60000)),
    ]
    bench.run(at(1, *wrong))
    assert [r["reason"] for r in bench.records] == [
        "QTY_LOT", "NOTIONAL_MIN", "PRICE_TICK", "PRICE_COLLAR", "INPUT_NONFINITE", "INPUT_NONFINITE", "QTY_ZERO",
        "SYMBOL_UNKNOWN", "QTY_ZERO",
    ]  # fmt: skip
    assert {r["outcome"] for r in bench.records} == {"dropped"}
    assert bench.venue.sent == []


def test_maker_only_sends_resting_orders_post_only_and_drops_takers(bench, place):
    orders = [place.buy(), place.buy(tif=TimeInForce.IOC), place.sell(tif=TimeInForce.IOC, reduce_only=True)]
    bench.run(at(1, *orders), overrides=("exchange.maker_only=true",))
    assert [(r["outcome"], r["reason"]) for r in bench.records] == [
        ("allowed", "OK"),
        ("dropped", "ORDER_INVALID"),
        ("allowed", "OK"),
    ]
    assert [o.intent.tif for o in bench.venue.sent] == [TimeInForce.GTX, TimeInForce.IOC]


def test_a_halted_instance_lets_only_cancels_through(bench, place):
    def step(second, account):
        if second == 1:
            return [place.buy()]
        if second == 3:
            bench.session._path.trading_state = TradingState.HALTED
            orders = account.open_orders(SYMBOL)
            cancels = [
                OrderIntent(symbol=SYMBOL, side=o.side, kind=IntentKind.CANCEL, target=o.intent_id) for o in orders
            ]
            return [place.buy(), place.sell(reduce_only=True), *cancels]
        return ()

    bench.run(step)
    assert [(r["risk"], r["reason"]) for r in bench.records[1:]] == [
        ("INCREASE", "TRADING_HALTED"),
        ("REDUCE", "TRADING_HALTED"),
        ("CANCEL", "OK"),
    ]


def test_a_policy_that_fails_blocks_new_risk_and_routes_to_paper(bench, place):
    class Broken:
        min_free_balance = Decimal(0)

        def admission(self, *_):
            raise ZeroDivisionError("policy")

        def size(self, *_):
            raise ZeroDivisionError("policy")

        def route(self, *_):
            raise ZeroDivisionError("policy")

    def broken(session):
        session._loaded = msgspec.structs.replace(session._loaded, policies=Broken())

    by_notional = OrderIntent(symbol=SYMBOL, side=Side.BUY, notional=Decimal(1000), price=Decimal("59990.0"))
    bench.run(at(1, place.buy(), by_notional, place.sell(reduce_only=True)), before=broken)
    assert [(r["outcome"], r["reason"], r["by"]) for r in bench.records] == [
        ("blocked", "POLICY_ERROR", "admission"),
        ("blocked", "POLICY_ERROR", "sizing"),
        ("allowed", "OK", ""),
    ]
    assert bench.records[2]["route"] == "paper"


def test_proposals_of_wrong_types_are_dropped_and_recorded(bench, place):
    wrong = [
        place.buy("0.01", tif="GTC"),
        msgspec.structs.replace(place.buy(), qty=0.01),
        msgspec.structs.replace(place.buy(), price="59990"),
        msgspec.structs.replace(place.buy(), symbol=["BTCUSDT"]),
        msgspec.structs.replace(place.buy(), side="BUY"),
        OrderIntent(symbol=SYMBOL, side=Side.BUY, notional=Decimal("1E+999999"), price=Decimal("1E-10")),
        "buy!",
    ]
    bench.run(at(1, *wrong))
    assert {(r["outcome"], r["reason"]) for r in bench.records} == {("dropped", "ORDER_INVALID")}
    assert len(bench.records) == len(wrong)
    assert "qty was float, must be Decimal" in bench.records[1]["detail"]
    assert bench.venue.sent == []


def test_an_amendment_or_cancel_must_be_of_its_targets_symbol_and_side(bench, place):
    def step(second, account):
        if second == 1:
            return [place.buy()]
        if second == 3:
            (order,) = account.open_orders(SYMBOL)
            return [
                OrderIntent(symbol="ETHUSDT", side=Side.BUY, kind=IntentKind.CANCEL, target=order.intent_id),
                place.sell(kind=IntentKind.AMEND, target=order.intent_id),
            ]
        return ()

    bench.run(step)
    assert [r["outcome"] for r in bench.records[1:]] == ["dropped", "dropped"]
    assert len(bench.venue.sent) == 1


def test_an_amendment_counts_from_its_admission_on(bench, place):
    """A sale decided in the same breath as a growing amendment must not be taken for a reduction."""

    def step(second, account):
        if second == 1:
            return [place.buy("0.02")]
        if second == 3:
            return [place.sell("0.01")]
        if second == 5:
            (order,) = account.open_orders(SYMBOL)
            return [place.sell("0.02", kind=IntentKind.AMEND, target=order.intent_id), place.sell("0.01")]
        return ()

    def submit(order):
        if order.intent.side is Side.BUY:
            bench.venue.updates.append(bench.venue.fill(order, "t1"))

    bench.venue.on_submit = submit
    bench.run(step)
    assert [r["risk"] for r in bench.records] == ["INCREASE", "REDUCE", "INCREASE", "INCREASE"]


def test_a_plugin_that_changes_the_arithmetic_of_the_thread_changes_no_money(bench, place):
    def fill_at_once(order):
        bench.venue.updates.append(bench.venue.fill(order, f"t{len(bench.venue.sent)}"))

    def step(second, account):
        getcontext().prec = 3
        return [place.buy("0.123", "59990.1")] if second == 1 else [place.sell("0.1", "60010.3")] if second == 2 else ()

    bench.venue.on_submit = fill_at_once
    summary = bench.run(step, overrides=("sizing.notional_cap_usd=100000",))
    getcontext().prec = 28
    assert summary.pnl.realised == Decimal("2.02")
    assert summary.volume == Decimal("0.123") * Decimal("59990.1") + Decimal("0.1") * Decimal("60010.3")


def test_after_a_restart_an_order_without_an_answer_is_unknown_and_asked_for(bench, place):
    bench.venue.on_submit = lambda order: None
    bench.run(at(1, place.buy()), seconds=4)
    (sent,) = bench.venue.sent
    seen = []

    def look(second, account):
        seen.extend((order.state, order.remaining) for order in account.open_orders(SYMBOL))
        return ()

    bench.venue = type(bench.venue)()
    bench.venue.on_query = lambda client_id: QueryFailed(client_id, "timeout")
    bench.run(look, seconds=8, resume=True)
    assert set(seen) == {(OrderState.UNKNOWN, Decimal("0.01"))}
    assert set(bench.venue.queries) == {sent.client_id}
    assert bench.venue.sent == []


@pytest.mark.parametrize("answer", [None, 0.5, "1", Decimal("NaN"), Decimal("Infinity"), []])
def test_a_policy_that_answers_nonsense_blocks_new_risk(bench, answer):
    class Odd:
        min_free_balance = Decimal(0)

        def admission(self, *_):
            return ""

        def size(self, *_):
            return answer

        def route(self, *_):
            return answer

    def odd(session):
        session._loaded = msgspec.structs.replace(session._loaded, policies=Odd())

    by_notional = OrderIntent(symbol=SYMBOL, side=Side.BUY, notional=Decimal(1000), price=Decimal("59990.0"))
    by_qty = OrderIntent(symbol=SYMBOL, side=Side.BUY, qty=Decimal("0.01"), price=Decimal("59990.0"))
    bench.run(at(1, by_notional, by_qty), before=odd)
    assert [(r["outcome"], r["reason"], r["route"]) for r in bench.records] == [
        ("blocked", "POLICY_ERROR", None),
        ("allowed", "OK", "paper"),
    ]


def test_a_cancel_of_unknown_outcome_is_asked_for(bench, place):
    def step(second, account):
        if second == 1:
            return [place.buy()]
        if second == 3:
            (order,) = account.open_orders(SYMBOL)
            now = bench.venue.clock.now_ns()
            bench.venue.on_submit = lambda c: bench.venue.updates.append(Unknown(c.target_client_id, "timeout", now))
            return [OrderIntent(symbol=SYMBOL, side=order.side, kind=IntentKind.CANCEL, target=order.intent_id)]
        return ()

    bench.venue.on_query = lambda client_id: Found(client_id, "v1", OrderState.CANCELLED, Decimal(0))
    summary = bench.run(step)
    assert bench.venue.queries == [bench.venue.sent[0].client_id]
    assert bench.session._account.working() == ()
    assert summary.orders.cancelled == 1


def test_an_amendment_that_is_never_sent_reserves_nothing(bench, place):
    held, kept = [], {}

    def step(second, account):
        held.append(account.worst_case(SYMBOL, Side.BUY))
        if second == 1:
            return [place.buy("0.01")]
        if second == 3:
            db = kept["db"] = bench.session._state.journal._db

            class Full:
                in_transaction = False

                def execute(self, sql, *args):
                    raise sqlite3.OperationalError("database or disk is full")

                def close(self):
                    db.close()

            bench.session._state.journal._db = Full()
            (order,) = account.open_orders(SYMBOL)
            return [place.buy("0.03", kind=IntentKind.AMEND, target=order.intent_id)]
        if second == 4:
            bench.session._state.journal._db = kept["db"]
        return ()

    bench.run(step)
    assert [r["reason"] for r in bench.records] == ["OK", "JOURNAL_UNAVAILABLE"]
    assert set(held[3:]) == {Decimal("0.01")}
    assert len(bench.venue.sent) == 1


def test_an_order_whose_decisions_always_wait_too_long_is_refused_in_the_end(bench, place):
    def step(second, account):
        if second == 3:
            executor = bench.session._executor
            executor._late = lambda ruling: ruling.admitted is not None and ruling.decision.risk is Risk.INCREASE
            return [place.buy(), place.buy("0.02"), place.sell("0.03", reduce_only=True)]
        return ()

    bench.run(step)
    outcomes = [(r["outcome"], r["reason"]) for r in bench.records if r["order"]["side"] == "BUY"]
    assert outcomes == [("allowed", "OK")] * 4 + [("blocked", "DECISION_EXPIRED")] * 2
    assert [order.intent.side for order in bench.venue.sent] == [Side.SELL]
    assert bench.session._account.worst_case(SYMBOL, Side.BUY) == 0


def test_a_fill_beyond_its_order_counts_and_the_symbol_only_reduces(bench, place):
    def cumulative(order):  # the classic mistake: what was filled so far, in place of each trade
        bench.venue.updates.append(bench.venue.fill(order, "t1", "0.006"))
        bench.venue.updates.append(bench.venue.fill(order, "t2", "0.010"))

    bench.venue.on_submit = cumulative
    summary = bench.run(at(1, place.buy()))
    assert summary.positions[0].qty == Decimal("0.016")
    assert bench.session._path.symbol_states[SYMBOL] is TradingState.REDUCE_ONLY
    assert bench.session._executor.tally.fills_beyond_order == 1
    assert bench.session.exit_code == 1


def test_a_run_whose_directory_is_deleted_takes_no_new_risk(bench, place, monkeypatch):
    monkeypatch.setattr(store, "LOOK_NS", 0)

    def step(second, _):
        if second == 3:
            shutil.rmtree(bench.out)
        return [place.buy()]

    with pytest.raises(StateError, match="was deleted, moved or replaced"):
        bench.run(step)
    assert len(bench.venue.sent) == 2, "those before the third second"
