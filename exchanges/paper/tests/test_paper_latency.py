"""Messages under way: when they arrive, when answers become visible, and what may overtake what."""

from __future__ import annotations

from decimal import Decimal

import pytest

from grinder import (
    Accepted,
    Cancelled,
    CancelRejected,
    Exchange,
    ExchangeSnapshot,
    Filled,
    Found,
    NotFound,
    OrderState,
    Route,
    Side,
    Simulated,
    TimeInForce,
    VenueOrder,
    VenuePosition,
)

MS = 1_000_000
NEVER = 1 << 62
BUY, SELL = Side.BUY, Side.SELL
IOC, GTX = TimeInForce.IOC, TimeInForce.GTX


@pytest.fixture
def apart(make_rig):
    """Entry takes 7 ms, the answer 5 ms."""
    rig = make_rig(entry_latency_ms=7, response_latency_ms=5)
    rig.book([("100.0", "5")], [("100.1", "5")])
    return rig


def test_it_is_an_exchange_and_simulated(rig):
    exchange: Exchange = rig.exchange
    assert isinstance(exchange, Simulated)
    assert (exchange.venue, exchange.account) == ("paper", "paper")


def test_due_is_the_next_arrival_at_either_end(apart):
    exchange, begin = apart.exchange, apart.now
    assert exchange.due_ns == NEVER
    apart.buy("1", "100.0", GTX)
    assert exchange.due_ns == begin + 7 * MS
    exchange.advance(begin + 7 * MS - 1)
    assert exchange.due_ns == begin + 7 * MS
    apart.clock.set(begin + 7 * MS)
    exchange.advance(apart.now)
    assert exchange.due_ns == begin + 12 * MS
    assert exchange.poll() == ()
    apart.clock.set(begin + 12 * MS - 1)
    assert exchange.poll() == ()
    apart.clock.set(begin + 12 * MS)
    assert list(exchange.poll()) == [Accepted("c1", "1", begin + 7 * MS)]
    assert exchange.due_ns == NEVER


def test_an_advance_that_comes_late_keeps_the_times(apart):
    begin = apart.now
    apart.buy("1", "100.1", IOC)
    apart.clock.set(begin + 20 * MS)
    apart.exchange.advance(apart.now)
    accepted, filled = apart.exchange.poll()
    assert accepted.at_ns == begin + 7 * MS
    assert (filled.fill.exchange_ns, filled.fill.local_ns) == (begin + 7 * MS, begin + 12 * MS)


def test_poll_tells_only_what_has_reached_us(apart):
    exchange, begin = apart.exchange, apart.now
    apart.buy("1", "99.0", GTX)
    apart.clock.set(begin + 3 * MS)
    apart.buy("1", "99.0", GTX)
    apart.clock.set(begin + 13 * MS)
    exchange.advance(apart.now)
    assert [update.client_id for update in exchange.poll()] == ["c1"]
    assert exchange.due_ns == begin + 15 * MS
    assert exchange.poll() == ()
    apart.clock.set(begin + 15 * MS)
    assert [update.client_id for update in exchange.poll()] == ["c2"]


def test_several_messages_arrive_in_order(rig):
    order = rig.buy("1", "99.0", GTX)
    rig.cancel(order)
    rig.cancel(order)
    rig.settle()
    assert [type(update) for update in rig.updates] == [Accepted, Cancelled, CancelRejected]


def test_an_order_meets_the_market_of_its_arrival(apart):
    apart.buy("1", "100.1", IOC)
    apart.delta(asks=[("100.1", "0"), ("100.2", "5")])
    apart.settle()
    assert not apart.fills


def test_a_message_arrives_before_the_event_of_the_same_time(apart):
    order = apart.buy("1", "100.1", IOC)
    apart.wait(6)
    apart.delta(asks=[("100.1", "0"), ("100.2", "5")])  # at 7 ms exactly
    assert apart.traded() == [(order, "100.1", "1.000", False)]


def test_a_print_before_the_arrival_is_not_ours(apart):
    order = apart.buy("1", "100.0", GTX)
    apart.wait(5)
    apart.trade("99.0", "9", SELL)
    apart.wait(1)
    apart.trade("99.0", "0.5", SELL)
    assert apart.traded() == [(order, "100.0", "0.500", True)]


def test_a_fill_on_the_market_is_stamped_with_its_time(apart):
    apart.buy("1", "100.0", GTX)
    apart.settle()
    apart.trade("99.9", "9", SELL)
    at = apart.now
    apart.settle()
    (fill,) = apart.fills
    assert (fill.exchange_ns, fill.local_ns) == (at, at + 5 * MS)
    assert (fill.route, fill.venue, fill.account, fill.intent_id) == (Route.PAPER, "paper", "paper", "i-c1")
    assert (fill.trade_id, fill.symbol, fill.side) == ("p1", "BTCUSDT", BUY)


def test_a_fill_overtakes_a_cancel_that_is_under_way(rig):
    order = rig.buy("1", "100.0", GTX)
    rig.settle()
    rig.cancel(order)
    rig.trade("99.9", "9", SELL)
    rig.settle()
    assert [type(update) for update in rig.updates] == [Accepted, Filled, CancelRejected]
    assert rig.updates[-1].client_id == order
    assert rig.updates[-1].code == "-2011"


def test_a_cancel_that_arrived_stops_the_fill_that_we_do_not_know_of_yet(rig):
    order = rig.buy("1", "100.0", GTX)
    rig.settle()
    rig.cancel(order)
    rig.wait(10)
    rig.trade("99.9", "9", SELL)
    rig.settle()
    assert [type(update) for update in rig.updates] == [Accepted, Cancelled]


def test_no_latency_at_all(make_rig):
    rig = make_rig(entry_latency_ms=0, response_latency_ms=0)
    rig.book([("100.0", "5")], [("100.1", "5")])
    rig.buy("1", "100.1", IOC)
    assert rig.exchange.due_ns == rig.now
    rig.wait(0)
    assert [type(update) for update in rig.updates] == [Accepted, Filled]


def test_a_query_tells_state_quantity_and_fills(rig):
    order = rig.buy("2", "100.0", GTX)
    assert rig.query(order) == Found(order, "1", OrderState.OPEN, Decimal(0), (), Decimal(2), Decimal(100), waits=False)
    rig.trade("99.9", "0.5", SELL)
    rig.trade("99.9", "0.25", SELL)
    found = rig.query(order)
    assert (found.state, str(found.filled_qty)) == (OrderState.PARTIAL, "0.750")
    assert found.fills == tuple(rig.fills)
    rig.trade("99.9", "9", SELL)
    assert rig.query(order).state is OrderState.FILLED


def test_a_query_of_what_the_venue_does_not_know(rig):
    order = rig.buy("2", "100.0", GTX)
    assert rig.query("other") == NotFound("other")
    assert rig.query(order, symbol="ETHUSDT") == NotFound(order)


def test_a_query_overtakes_nothing(rig):
    rig.exchange.query("BTCUSDT", "c1")
    rig.buy("2", "100.0", GTX)
    rig.settle()
    assert [type(update) for update in rig.updates] == [NotFound, Accepted]


def test_a_snapshot_states_everything_at_its_time(rig):
    order = rig.buy("2", "100.0", GTX)
    rig.buy("1", "100.1", IOC)
    rig.settle()
    rig.trade("99.9", "0.5", SELL)
    begin = rig.now
    snapshot = rig.snapshot()
    assert isinstance(snapshot, ExchangeSnapshot)
    assert snapshot.as_of_ns == begin + 10 * MS
    assert snapshot.orders == (
        VenueOrder("BTCUSDT", order, "1", BUY, rig.fills[1].price, rig.fills[0].qty * 2, rig.fills[1].qty),
    )
    (position,) = snapshot.positions
    assert isinstance(position, VenuePosition)
    assert str(position.qty) == "1.500"
    assert float(position.entry_price) == pytest.approx((100.1 + 100.0 / 2) / 1.5)
    fees = sum(fill.fee for fill in rig.fills)
    assert snapshot.balance == 10_000 - fees


# Latencies that are drawn, and that of market data.


def arrivals(make_rig, seed, count=200, **settings):
    """How long each of some orders took to the venue, and how long its answer took back."""
    rig = make_rig(seed=seed, **settings)
    rig.book([("100.0", "5")], [("100.1", "5")])
    there, back = [], []
    for _ in range(count):
        sent = rig.now
        rig.buy("0.1", "99.0", GTX)
        rig.updates.clear()
        while not rig.updates:
            rig.wait(0.5)
        there.append((rig.updates[0].at_ns - sent) / MS)
        back.append(rig.now / MS - rig.updates[0].at_ns / MS)
        rig.cancel(f"c{2 * len(there) - 1}")
        rig.wait(2000)
    return there, back


DRAWN = {"entry_latency_ms": 10, "entry_latency_p99_ms": 40, "response_latency_ms": 5, "response_latency_p99_ms": 50}


def test_drawn_latencies_have_the_median_and_tail_that_are_asked_for(make_rig):
    there, _ = arrivals(make_rig, 1, **DRAWN)
    assert 8 < sorted(there)[100] < 12.5
    assert sum(ms > 40 for ms in there) <= 8
    assert max(there) > 25
    assert min(there) > 1


def test_the_seed_decides(make_rig):
    first, again, other = (arrivals(make_rig, seed, 20, **DRAWN) for seed in (1, 1, 2))
    assert first == again != other


def test_messages_of_one_direction_never_overtake_each_other(make_rig):
    rig = make_rig(entry_latency_ms=10, entry_latency_p99_ms=500, response_latency_ms=10, response_latency_p99_ms=500)
    rig.book([("100.0", "5")], [("100.1", "5")])
    orders = [rig.buy("0.1", "99.0", GTX) for _ in range(50)]
    rig.wait(5000)
    assert [update.client_id for update in rig.said(Accepted)] == orders
    times = [update.at_ns for update in rig.said(Accepted)]
    assert times == sorted(times)


def test_an_order_meets_the_market_that_we_see_a_feed_latency_later(make_rig):
    """Sent at 0 with 10 ms there and 30 ms of feed: what we see at 35 ms was at the venue at 5, and is met at 10."""
    rig = make_rig(feed_latency_ms=30, entry_latency_ms=10, response_latency_ms=10)
    rig.pause = 0
    rig.book([("100.0", "5")], [("100.1", "5")])
    begin = rig.now
    rig.buy("1", "100.1", IOC)
    rig.wait(35)
    rig.book([("100.0", "5")], [("100.1", "0.4")])
    rig.wait(4.9)
    assert rig.updates == []
    rig.wait(0.1)
    (fill,) = rig.fills
    assert fill.qty == Decimal("0.4")
    assert fill.exchange_ns == begin + 10 * MS
    assert rig.now == fill.local_ns == begin + 40 * MS, "not before the market that it met is seen"


def test_a_slow_answer_comes_when_it_comes(make_rig):
    rig = make_rig(feed_latency_ms=30, entry_latency_ms=10, response_latency_ms=50)
    rig.book([("100.0", "5")], [("100.1", "5")])
    begin = rig.now
    rig.buy("1", "100.1", IOC)
    rig.wait(59.9)
    assert rig.updates == []
    rig.wait(0.1)
    assert [fill.local_ns - begin for fill in rig.fills] == [60 * MS]


@pytest.mark.parametrize(("median", "p99"), [(0, 5), (10, 9)])
def test_a_tail_below_its_median_is_refused(make_rig, median, p99):
    with pytest.raises(ValueError, match="entry_latency_p99_ms is"):
        make_rig(entry_latency_ms=median, entry_latency_p99_ms=p99)
