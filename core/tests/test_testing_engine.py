"""The fake exchange does what is scripted, and the real engine copes with it: each bad day, in one run."""

from __future__ import annotations

from decimal import Decimal

import pytest

from grinder import (
    Accepted,
    Cancelled,
    CancelRejected,
    ConfigError,
    Exchange,
    ExchangeSnapshot,
    Filled,
    Found,
    IntentKind,
    ManualClock,
    NotFound,
    OrderState,
    QueryFailed,
    Rejected,
    Simulated,
    Unknown,
)
from grinder.testing import (
    NOW,
    FakeExchange,
    accept,
    admitted,
    duplicate_fill,
    fill_before_ack,
    fill_order,
    market,
    never_answer,
    order,
    reject,
    run_engine,
    trade,
    unknown,
)


def placed(exchange: FakeExchange, number: int = 1):
    sent = admitted(order(intent_id=f"test-{number}"), client_id=f"c{number}")
    exchange.submit(sent)
    return sent


def kinds(updates):
    return [type(update) for update in updates]


def test_it_is_an_exchange():
    exchange: Exchange = FakeExchange()
    assert isinstance(exchange, Simulated)
    with pytest.raises(AttributeError):
        exchange.due_ns = 1


@pytest.mark.parametrize(
    ("outcome", "updates", "state"),
    [
        (accept(), [Accepted], OrderState.OPEN),
        (reject(), [Rejected], None),
        (unknown(), [Unknown], OrderState.OPEN),
        (unknown(arrived=False), [Unknown], None),
        (never_answer(), [], OrderState.OPEN),
        (never_answer(arrived=False), [], None),
        (fill_order(), [Accepted, Filled], OrderState.FILLED),
        (fill_order("0.004"), [Accepted, Filled], OrderState.PARTIAL),
        (fill_before_ack(), [Filled, Accepted], OrderState.FILLED),
        (duplicate_fill(), [Accepted, Filled, Filled], OrderState.FILLED),
    ],
)
def test_what_is_scripted_happens_and_a_query_finds_it(outcome, updates, state):
    exchange = FakeExchange([outcome])
    placed(exchange)
    assert exchange.due_ns == (NOW if updates else 1 << 62)
    assert kinds(exchange.poll()) == updates
    assert exchange.poll() == []
    exchange.query("BTCUSDT", "c1")
    (answer,) = exchange.poll()
    assert (answer.state if isinstance(answer, Found) else None) == state
    assert isinstance(answer, Found if state else NotFound)
    exchange.queries_fail = True
    exchange.query("BTCUSDT", "c1")
    assert kinds(exchange.poll()) == [QueryFailed]
    assert exchange.queried == ["c1", "c1"]


def test_the_script_is_followed_in_order_and_then_the_rest_holds():
    exchange = FakeExchange([reject()], then=fill_order())
    exchange.will(accept())
    for number in (1, 2, 3):
        placed(exchange, number)
    assert kinds(exchange.poll()) == [Rejected, Accepted, Accepted, Filled]
    assert [sent.client_id for sent in exchange.sent] == ["c1", "c2", "c3"]


def test_resting_orders_fill_cancel_and_show_in_a_snapshot():
    clock = ManualClock(NOW)
    exchange = FakeExchange(clock=clock, balance=7)
    first, second = placed(exchange, 1), placed(exchange, 2)
    clock.advance(5)
    filled = exchange.fill(first, "0.004")
    assert (filled.fill.qty, filled.fill.local_ns) == (Decimal("0.004"), NOW + 5)
    for _ in range(2):
        exchange.submit(admitted(order(kind=IntentKind.CANCEL, target="test-2"), target_client_id=second.client_id))
    exchange.request_snapshot()
    *_, cancelled, refused, snapshot = exchange.poll()
    assert (type(cancelled), type(refused), type(snapshot)) == (Cancelled, CancelRejected, ExchangeSnapshot)
    assert [(each.client_id, each.filled_qty) for each in snapshot.orders] == [("c1", Decimal("0.004"))]
    assert [(each.qty, snapshot.balance) for each in snapshot.positions] == [(Decimal("0.004"), 7)]
    amend = order(kind=IntentKind.AMEND, target="test-1", qty="0.02", price=59_000)
    exchange.submit(admitted(amend, client_id="c9", target_client_id="c1"))
    assert exchange.poll()[0].qty == Decimal("0.02")
    with pytest.raises(ValueError, match="cannot be filled"):
        exchange.fill("c1", 1)
    with pytest.raises(ValueError, match="no order with client id 'c7'"):
        exchange.fill("c7")


def test_the_engine_copes_with_every_bad_day(tmp_path):
    exchange = FakeExchange([reject(), fill_before_ack(), duplicate_fill(), unknown(arrived=False), never_answer()])
    run = run_engine(
        lambda second, *_: [order(intent_id="")] if second <= 5 else None,
        exchange=exchange,
        settings={"engine.visibility_lag_ms": 1000},
        seconds=12,
        out=tmp_path / "run",
    )
    assert run.exit_code == 0
    assert len(exchange.sent) == 5
    orders = run.summary.orders
    assert (orders.rejected, orders.filled, orders.unknown, orders.absent) == (1, 2, 1, 1)
    assert run.summary.fills == 2
    assert len(run.decisions) == len(run.decisions.allowed) == 5
    assert (tmp_path / "run" / "summary.json").exists()


def test_gates_are_on_only_when_they_are_enabled():
    def step(second, seen, held):
        assert seen.symbol == "BTCUSDT"
        assert held.position("BTCUSDT").qty == 0
        return [order(intent_id="")]

    free = run_engine(step, seconds=3)
    assert free.decisions.reasons == {"OK": 3}
    settings = {"plugins.warm_up.enabled": True, "plugins.warm_up.mode": "enforce", "plugins.warm_up.seconds": 2.5}
    gated = run_engine(step, seconds=3, settings=settings)
    assert gated.decisions.reasons == {"WARMUP": 2, "OK": 1}
    assert (
        [each.by for each in gated.decisions.blocked]
        == ["warm_up"] * 2
        == [e.by for e in gated.decisions.by("warm_up")]
    )
    assert len(gated.decisions.answers("warm_up")) == 3
    assert not gated.decisions.dropped
    assert [row["reason"] for row in gated.decisions.records()] == ["WARMUP", "WARMUP", "OK"]
    assert len(gated.exchange.sent) == 1


def test_what_cannot_be_run_is_refused():
    with pytest.raises(ValueError, match="events is empty"):
        run_engine(lambda *_: None, events=[])
    with pytest.raises(ConfigError, match="nonsense"):
        run_engine(lambda *_: None, settings={"plugins.nonsense.enabled": True})


def test_events_and_instruments_can_be_given():
    run = run_engine(lambda *_: None, events=[trade(symbol="ETHUSDT"), trade(symbol="NEWUSDT", now_ns=NOW + 1)])
    assert run.summary.events == 2
    assert market(symbol="NEWUSDT").symbol == "NEWUSDT"
