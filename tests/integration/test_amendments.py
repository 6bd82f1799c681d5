"""Amendments in flight: the order counts at its worst case until it is known what the venue made of each."""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest

from grinder import (
    Amended,
    CallError,
    CancelRejected,
    Found,
    IntentKind,
    OrderIntent,
    OrderState,
    PositionSide,
    Risk,
    Side,
    StateError,
    VenueOrder,
    VenuePosition,
)
from grinder.journal.reading import Reader
from grinder.journal.store import Journal, JournalUnavailable

SYMBOL = "BTCUSDT"


@pytest.fixture
def working(desk, place):
    """An order of 0.01 that rests, and how to ask for another quantity of it."""
    keeper = desk.open()
    order = keeper.check(place.buy())
    keeper.accepted(order.client_id, "1")

    def amend(qty, price="59990.0"):
        wanted = place.buy(qty, price, kind=IntentKind.AMEND, target=order.client_id)
        decision = desk.keeper.check(wanted)
        assert decision.allowed, decision
        return decision.client_id

    return order.client_id, amend


def remaining(desk):
    return [str(order.remaining) for order in desk.keeper.open_orders()]


def reopen(desk, **more):
    desk.close()
    return desk.open(**more)


def stated(client_id, qty, price="59990"):
    return VenueOrder(SYMBOL, client_id, "1", Side.BUY, Decimal(price), Decimal(qty), Decimal(0))


# What survives.


def test_it_counts_after_a_restart_and_new_risk_is_not_taken_for_a_reduction(desk, place):
    keeper = desk.open(ready=False)
    keeper.sync(balance=10_000, positions=[VenuePosition(SYMBOL, PositionSide.BOTH, Decimal("-0.05"), Decimal(60000))])
    desk.tick()
    order = keeper.check(place.buy())
    keeper.accepted(order.client_id, "1")
    assert keeper.check(place.buy("0.05", kind=IntentKind.AMEND, target=order.client_id)).allowed
    desk.close()
    keeper = desk.open(ready=False)
    keeper.sync(balance=10_000)
    desk.tick()
    assert remaining(desk) == ["0.05"]
    assert keeper.check(place.buy("0.04")).risk is Risk.INCREASE


def test_what_was_answered_does_not_come_back(desk, working):
    order, amend = working
    refused, made = amend("0.02"), amend("0.03")
    desk.keeper.cancel_rejected(order, "-5027", request_id=refused)
    desk.keeper.amended(order, qty="0.03", price=59990, request_id=made)
    desk.keeper.abandoned(amend("0.05"))
    reopen(desk)
    assert remaining(desk) == ["0.03"]
    with Reader.open(desk.folder) as journal:
        assert journal.recover().amendments == ()


def test_an_order_that_is_over_takes_its_amendments_along(desk, working):
    order, amend = working
    amend("0.05")
    desk.keeper.cancelled(order)
    keeper = reopen(desk)
    assert keeper.open_orders() == ()
    with Reader.open(desk.folder) as journal:
        assert journal.recover().amendments == ()


def test_archiving_keeps_what_is_in_flight(desk, working):
    _, amend = working
    in_flight = amend("0.05")
    desk.close()
    with Journal.open(desk.folder) as journal:
        journal.archive(1 << 62)
        assert [a.client_id for a in journal.recover().amendments] == [in_flight]
    desk.open()
    assert remaining(desk) == ["0.05"]


def test_after_a_restart_the_venue_tells(desk, working):
    order, amend = working
    amend("0.05")
    keeper = reopen(desk)
    assert [each.client_id for each in keeper.unknown_orders()] == [order]
    keeper.found(order, state="OPEN", filled_qty=0, qty="0.01", price=59990)
    assert remaining(desk) == ["0.05"], "it may be on its way still: the question came too early"
    assert [each.client_id for each in keeper.unknown_orders()] == [order]
    desk.tick(3)
    keeper.unknown_orders()
    keeper.found(order, state="OPEN", filled_qty=0, qty="0.01", price=59990)
    assert remaining(desk) == ["0.01"]
    assert keeper.unknown_orders() == ()
    reopen(desk)
    assert remaining(desk) == ["0.01"]


def test_an_answer_without_figures_settles_the_order_but_not_its_amendment(desk, working):
    order, amend = working
    amend("0.05")
    keeper = reopen(desk)
    desk.tick(3)
    keeper.unknown_orders()
    keeper.found(order, state="OPEN", filled_qty=0)
    assert remaining(desk) == ["0.05"]


def test_a_statement_tells_once_it_must_contain_it(desk, working):
    order, amend = working
    amend("0.05")
    keeper = reopen(desk)
    keeper.sync(open_orders=[stated(order, "0.01")])
    assert remaining(desk) == ["0.05"]
    desk.tick(3)
    keeper.sync(open_orders=[stated(order, "0.01")])
    assert remaining(desk) == ["0.01"]


def test_a_statement_of_the_figures_that_were_asked_for_is_proof_at_once(desk, working):
    order, amend = working
    amend("0.05")
    keeper = reopen(desk)
    keeper.sync(open_orders=[stated(order, "0.05")])
    keeper.amended(order, qty="0.02", price=59990)
    assert remaining(desk) == ["0.02"], "nothing else is in flight"


# Which answer answers what.


def test_two_in_flight_are_answered_one_by_one(desk, working):
    order, amend = working
    small, large = amend("0.02"), amend("0.05")
    desk.keeper.amended(order, qty="0.02", price=59990, request_id=small)
    assert remaining(desk) == ["0.05"]
    desk.keeper.cancel_rejected(order, "-5027", request_id=large)
    assert remaining(desk) == ["0.02"]


def test_a_refused_cancel_releases_nothing(desk, working):
    order, amend = working
    amend("0.05")
    keeper = desk.keeper
    cancel = keeper.check(OrderIntent(symbol=SYMBOL, side=Side.BUY, kind=IntentKind.CANCEL, target=order))
    keeper.cancel_rejected(order, "-2011", request_id=cancel.client_id)
    assert remaining(desk) == ["0.05"]
    keeper.cancel_rejected(order, "-2011")
    assert remaining(desk) == ["0.05"], "it does not say which of the two was refused"
    desk.tick(3)
    keeper.unknown_orders()
    keeper.found(order, state="OPEN", filled_qty=0, qty="0.01", price=59990)
    assert remaining(desk) == ["0.01"]


def test_an_unnamed_confirmation_answers_the_amendment_to_its_figures(desk, working):
    order, amend = working
    amend("0.02")
    amend("0.05")
    desk.keeper.amended(order, qty="0.05", price=59990)
    desk.keeper.amended(order, qty="0.02", price=59990)
    assert remaining(desk) == ["0.02"]


def test_an_unnamed_confirmation_of_other_figures_releases_nothing(desk, working):
    order, amend = working
    amend("0.05")
    desk.keeper.amended(order, qty="0.02", price=59990)
    assert remaining(desk) == ["0.05"]


@pytest.mark.parametrize("request_id", ["order", 5, None])
def test_a_mistaken_request_id_is_refused(desk, working, request_id):
    order, _ = working
    named = order if request_id == "order" else request_id
    with pytest.raises(CallError, match="request_id"):
        desk.keeper.amended(order, qty="0.02", price=59990, request_id=named)


@pytest.mark.parametrize("client_id", [None, [], 5, "", "nobody"])
def test_only_what_was_decided_here_is_abandoned(desk, working, client_id):
    with pytest.raises(CallError):
        desk.keeper.abandoned(client_id)


def test_an_unknown_outcome_is_asked_for(desk, working):
    order, amend = working
    doubtful, sent_later = amend("0.03"), amend("0.05")
    keeper = desk.keeper
    keeper.unknown(order, "timeout", request_id=doubtful)
    desk.tick(3)
    assert [each.client_id for each in keeper.unknown_orders()] == [order]
    keeper.found(order, state="OPEN", filled_qty=0, qty="0.01", price=59990)
    assert remaining(desk) == ["0.05"], "the answer to the other one is still to come"
    keeper.cancel_rejected(order, "-5027", request_id=sent_later)
    assert remaining(desk) == ["0.01"]


# What a change makes of the order.


def test_an_order_amended_down_to_what_is_filled_is_filled(desk, working):
    order, _ = working
    keeper = desk.keeper
    given = {"symbol": SYMBOL, "side": "BUY", "price": 59990, "client_id": order}
    keeper.filled(trade_id="t1", qty="0.006", **given)
    keeper.amended(order, qty="0.006", price=59990)
    assert keeper.open_orders() == ()
    assert reopen(desk).open_orders() == ()


def test_a_filled_order_ends_when_its_growth_is_refused(desk, working):
    order, amend = working
    growth = amend("0.05")
    keeper = desk.keeper
    keeper.filled(trade_id="t1", symbol=SYMBOL, side="BUY", price=59990, qty="0.01", client_id=order)
    assert remaining(desk) == ["0.04"]
    keeper.cancel_rejected(order, "-2013", request_id=growth)
    assert keeper.open_orders() == ()


def test_an_order_that_the_venue_holds_for_filled_grows_no_more(desk, working):
    order, amend = working
    amend("0.05")
    keeper = desk.keeper
    keeper.filled(trade_id="t1", symbol=SYMBOL, side="BUY", price=59990, qty="0.01", client_id=order)
    keeper.found(order, state="FILLED", filled_qty="0.01")
    assert keeper.open_orders() == ()


def test_a_confirmed_amendment_ends_the_doubt_about_its_order(desk, place):
    keeper = desk.open()
    order = keeper.check(place.buy())
    keeper.unknown(order.client_id, "timeout")
    assert keeper.status().in_flight == 1
    keeper.amended(order.client_id, qty="0.01", price="59989")
    (known,) = keeper.open_orders()
    assert known.state is OrderState.OPEN
    assert (keeper.status().in_flight, keeper.status().unknown) == (0, 0)
    assert reopen(desk).open_orders()[0].price == Decimal(59989)


# In a run.


def test_in_a_run_each_answer_releases_its_own(bench, place):
    held = []

    def step(second, account):
        held.append(account.worst_case(SYMBOL, Side.BUY))
        sent, updates = bench.venue.sent, bench.venue.updates
        if second == 1:
            return [place.buy("0.01")]
        if second == 3:
            (order,) = account.open_orders(SYMBOL)
            bench.venue.on_submit = lambda _: None
            return [place.buy(qty, kind=IntentKind.AMEND, target=order.intent_id) for qty in ("0.02", "0.03")]
        if second == 5:
            updates.append(Amended(sent[0].client_id, Decimal("59990.0"), Decimal("0.02"), 0, sent[1].client_id))
        if second == 7:
            bench.venue.on_query = lambda c: Found(c, "v1", OrderState.OPEN, Decimal(0))
            updates.append(CancelRejected(sent[0].client_id, "-5027", "", 0, sent[2].client_id))
        return ()

    bench.run(step)
    assert held[4:7] == [Decimal("0.03")] * 3
    assert held[8] == Decimal("0.02")


def test_a_resumed_run_asks_what_became_of_it(bench, place):
    held = []
    figures = []

    def first(second, account):
        if second == 1:
            return [place.buy("0.01")]
        if second == 8:
            bench.venue.on_submit = lambda _: None
            (order,) = account.open_orders(SYMBOL)
            return [place.buy("0.03", kind=IntentKind.AMEND, target=order.intent_id)]
        return ()

    def second(_, account):
        held.append(account.worst_case(SYMBOL, Side.BUY))
        return ()

    def answer(client_id):
        figures.append(client_id)
        return Found(client_id, "v1", OrderState.OPEN, Decimal(0), (), Decimal("0.01"), Decimal("59990.0"))

    bench.run(first, seconds=9)
    bench.venue = type(bench.venue)()
    bench.venue.on_query = answer
    bench.run(second, seconds=20, resume=True)
    assert held[0] == Decimal("0.03")
    assert held[-1] == Decimal("0.01")
    assert len(figures) >= 2, "the first question came too early to prove anything"


# Journals that cannot be written, and decisions that wait too long.


def test_a_report_that_is_not_durable_says_so_until_it_is(desk, working, monkeypatch):
    order, _ = working
    given = {"symbol": SYMBOL, "side": "BUY", "price": 59990, "qty": "0.01", "client_id": order}

    def full(_):
        raise JournalUnavailable("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(Journal, "commit", full)
        for _ in range(2):
            with pytest.raises(StateError, match=r"not durable: disk full"):
                desk.keeper.filled(trade_id="t1", **given)
        with pytest.raises(StateError, match="not durable"):
            desk.keeper.cancelled(order)
        with pytest.raises(StateError, match="not durable"):
            desk.keeper.halt("a person")
    assert desk.keeper.position(SYMBOL).qty == Decimal("0.01"), "it counts all the same"
    assert not desk.keeper.filled(trade_id="t1", **given), "known, and durable by now"
    with Reader.open(desk.folder) as journal:
        assert [fill.trade_id for fill in journal.fills()] == ["t1"]


def test_threads_that_close_at_once_all_come_back(desk):
    keeper = desk.open()
    at_once, faults = threading.Barrier(4), []

    def close():
        at_once.wait()
        try:
            keeper.close()
        except CallError as error:
            faults.append(error)

    threads = [threading.Thread(target=close) for _ in range(4)]
    keeper._post.door._lock.acquire()  # all of them wait at the door
    for thread in threads:
        thread.start()
    while at_once.n_waiting or at_once.broken:
        threading.Event().wait(0.001)
    keeper._post.door._lock.release()
    for thread in threads:
        thread.join()
    assert not faults
    with pytest.raises(CallError, match="closed"):
        keeper.status()
