"""What holds for any market and any orders."""

from __future__ import annotations

import collections
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder import (
    Accepted,
    Cancelled,
    Filled,
    Paid,
    Rejected,
    Side,
    TimeInForce,
    Trigger,
    TriggerKind,
    TriggerSource,
)
from grinder_exchange_paper.orders import UNSEEN

D = Decimal
MS = 1_000_000
BUY, SELL = Side.BUY, Side.SELL
LOWEST, HIGHEST = -8, 18
"""Ticks of a bid and an ask that are always there, so that there always is a book."""

sides = st.sampled_from([BUY, SELL])
ticks = st.integers(0, 5)
lots = st.integers(50, 1500)
tifs = st.sampled_from([TimeInForce.GTC, TimeInForce.GTC, TimeInForce.GTX, TimeInForce.GTX, *TimeInForce])
rarely = st.sampled_from([False, False, False, True])
place = st.tuples(st.just("place"), sides, ticks, lots, tifs, rarely)
depth = st.tuples(st.just("depth"), sides, ticks, st.sampled_from([0, 1, 60, 400, 1000]))
trade = st.tuples(st.just("trade"), sides, ticks, st.sampled_from([0, 1, 90, 500, 3000]))
steps = st.one_of(
    place,
    place,
    depth,
    depth,
    trade,
    trade,
    st.tuples(st.just("quote"), sides, lots, rarely),
    st.tuples(st.just("hit"), st.integers(0, 7), st.integers(0, 2), st.sampled_from([1, 90, 500, 3000])),
    st.tuples(st.just("hit"), st.integers(0, 7), st.integers(0, 2), st.sampled_from([1, 90, 500, 3000])),
    st.tuples(st.just("top")),
    st.tuples(st.just("market"), sides, lots, rarely),
    st.tuples(st.just("cancel"), st.integers(0, 7)),
    st.tuples(st.just("amend"), st.integers(0, 7), ticks, lots),
    st.tuples(st.just("wait"), st.integers(1, 30)),
    st.tuples(st.just("stop"), sides, ticks, lots, st.sampled_from([*TriggerKind]), st.sampled_from([*TriggerSource])),
    st.tuples(st.just("mark"), st.integers(-4, 9), st.sampled_from(["0", "0.01", "-0.02"])),
)
stories = st.lists(steps, min_size=20, max_size=60)


def price_of(tick):
    return f"{D(1000 + tick) / 10:.1f}"


def qty_of(count):
    return str(D(count).scaleb(-3))


class Theatre:
    """Plays a story, and checks each fill against the event that brought it."""

    def __init__(self, rig):
        self.rig = rig
        rig.pause = 0
        self.sides = {BUY: {LOWEST: 5000}, SELL: {HIGHEST: 5000}}
        self.left = {}  # displayed and not yet taken by own takers, since the level changed
        self.printed = collections.Counter()  # by level, since the last display: what is displayed then has come anew
        self.beyond = set()  # prices of prints, where market orders may meet what no display has shown
        self.limits = {}  # client id: side and limits that the order has had
        self.reducers = set()
        self.conditional = set()
        self.position = D(0)
        self.seen = 0
        rig.book(
            [(price_of(LOWEST), "5")],
            [(price_of(HIGHEST), "5")],
        )
        self.changed(BUY, LOWEST)
        self.changed(SELL, HIGHEST)

    def changed(self, side, tick):
        self.left[side, price_of(tick)] = D(self.sides[side].get(tick, 0)).scaleb(-3)

    def play(self, story):
        for step in story:
            getattr(self, step[0])(*step[1:])
        self.wait(50)
        return self.rig

    def new_fills(self):
        """Fills since the last look; those of own orders with each other are checked and left out."""
        fills = self.rig.fills[self.seen :]
        self.seen += len(fills)
        market = []
        while fills:
            fill = fills.pop(0)
            with_own = not fill.maker and fills and fills[0].maker and fills[0].exchange_ns == fill.exchange_ns
            if with_own and (fills[0].price, fills[0].qty) == (fill.price, fill.qty):
                self.check(fill, own=True)
                self.check(fills.pop(0), own=True)
            else:
                self.check(fill)
                market.append(fill)
        return market

    def check(self, fill, *, own=False):
        side, limits = self.limits[fill.client_id]
        assert fill.side is side
        assert fill.qty > 0
        before, self.position = self.position, self.position + fill.qty * side.sign
        if fill.client_id in self.reducers:
            assert abs(self.position) < abs(before)
            assert self.position * before >= 0
        if fill.maker:
            assert fill.price in limits
            return
        if own:
            return
        assert None in limits or any(fill.price * side.sign <= limit * side.sign for limit in limits)
        key = (side.opposite, f"{fill.price:.1f}")
        if None in limits and key in self.beyond and self.left.get(key, 0) < fill.qty:
            return
        self.left[key] -= fill.qty
        assert self.left[key] >= 0

    def arrive(self):
        """Let what is under way arrive before the market moves, and see only own takers fill."""
        self.rig.wait(1)
        assert not any(fill.maker for fill in self.new_fills())

    def wait(self, ms):
        self.rig.wait(ms)
        assert not any(fill.maker for fill in self.new_fills())

    def depth(self, side, tick, count):
        """Set a level; what it crosses is gone."""
        self.arrive()
        own, other = self.sides[side], self.sides[side.opposite]
        changes = {BUY: [], SELL: []}
        own[tick] = count
        changes[side].append((price_of(tick), qty_of(count)))
        for crossed in [t for t in other if count and (tick - t) * side.sign >= 0]:
            del other[crossed]
            changes[side.opposite].append((price_of(crossed), "0"))
            self.changed(side.opposite, crossed)
        if not count:
            del own[tick]
        self.changed(side, tick)
        self.redisplay()
        self.rig.delta(changes[BUY], changes[SELL])
        self.displayed()
        self.rig.delta(changes[BUY], changes[SELL])
        assert not self.makers(), "the same display filled twice"

    def top(self):
        self.arrive()
        bid, ask = max(self.sides[BUY]), min(self.sides[SELL])
        quote = (price_of(bid), qty_of(self.sides[BUY][bid]), price_of(ask), qty_of(self.sides[SELL][ask]))
        self.redisplay()
        self.rig.top(*quote)
        self.displayed()
        self.rig.top(*quote)
        assert not self.makers(), "the same display filled twice"

    def redisplay(self):
        """A display contains the prints before it: what it still shows of what they took is new."""
        self.beyond.clear()
        for (side, name), count in self.printed.items():
            for key in self.left:
                through = (D(key[1]) - D(name)) * side.sign > 0
                if key[0] is side and (through or key[1] == name):
                    self.left[key] += D(count if not through else 10**6).scaleb(-3)
        self.printed.clear()

    def displayed(self):
        """Fills by a display are makers' and never more than what crosses them."""
        fills = self.makers()
        for side in (BUY, SELL):
            mine = [fill for fill in fills if fill.side is side]
            if mine:
                reach = max(fill.price * side.sign for fill in mine)
                crossing = [n for t, n in self.sides[side.opposite].items() if D(price_of(t)) * side.sign <= reach]
                assert sum(fill.qty for fill in mine) <= D(sum(crossing)).scaleb(-3)

    def trade(self, taker, tick, count):
        self.arrive()
        self.printed[taker.opposite, price_of(tick)] += count
        self.beyond.add((taker.opposite, price_of(tick)))
        self.rig.trade(price_of(tick), qty_of(count), taker)
        fills = self.makers()
        assert sum(fill.qty for fill in fills) <= D(qty_of(count))
        for fill in fills:
            assert fill.maker
            assert fill.side is taker.opposite
            assert fill.price * fill.side.sign >= D(price_of(tick)) * fill.side.sign

    def place(self, side, tick, count, tif, reduce_only):
        send = self.rig.buy if side is BUY else self.rig.sell
        client_id = send(qty_of(count), price_of(tick), tif, reduce_only=reduce_only)
        self.limits[client_id] = (side, [D(price_of(tick))])
        self.reducers |= {client_id} if reduce_only else set()

    def quote(self, side, count, reduce_only):
        """Join the best displayed price."""
        best = max(self.sides[BUY]) if side is BUY else min(self.sides[SELL])
        self.place(side, best, count, TimeInForce.GTX, reduce_only)

    def hit(self, number, through, count):
        """Print at, or some ticks through, the price of an order that rests."""
        order = self.rig.exchange.state.orders.open.get(self.pick(number))
        if order is not None and order.price is not None:
            self.trade(order.side.opposite, int(order.price * 10) - 1000 - through * order.side.sign, count)

    def market(self, side, count, reduce_only):
        send = self.rig.buy if side is BUY else self.rig.sell
        client_id = send(qty_of(count), None, TimeInForce.IOC, reduce_only=reduce_only)
        self.limits[client_id] = (side, [None])
        self.reducers |= {client_id} if reduce_only else set()

    def stop(self, side, tick, count, kind, source):
        """A conditional market order."""
        send = self.rig.buy if side is BUY else self.rig.sell
        trigger = Trigger(kind, D(price_of(tick)), source)
        client_id = send(qty_of(count), None, TimeInForce.IOC, trigger=trigger)
        self.limits[client_id] = (side, [None])
        self.conditional.add(client_id)

    def mark(self, tick, rate):
        """A mark price shortly before a funding instant, and the instant."""
        self.arrive()
        self.rig.mark(price_of(tick), rate, self.rig.now + 2 * MS)
        assert self.makers() == []
        self.wait(3)

    def makers(self):
        """New fills of orders that rested; what else fills in a market event is a conditional order that fired."""
        fills = self.new_fills()
        assert all(fill.maker or fill.client_id in self.conditional for fill in fills)
        return [fill for fill in fills if fill.maker]

    def pick(self, number):
        """An order that rests, if there is one."""
        orders = list(self.rig.exchange.state.orders.open) or list(self.limits) or ["nothing"]
        return orders[number % len(orders)]

    def cancel(self, number):
        self.rig.cancel(self.pick(number))

    def amend(self, number, tick, count):
        target = self.pick(number)
        self.rig.amend(target, qty_of(count), price_of(tick))
        if target in self.limits:
            self.limits[target][1].append(D(price_of(tick)))


def assert_sound(rig):
    """What is kept twice agrees, and the account is the sum of its fills."""
    state = rig.exchange.state
    fills = rig.fills
    assert [fill.trade_id for fill in fills] == [f"p{n + 1}" for n in range(len(fills))]
    assert rig.position() == sum(fill.qty * fill.side.sign for fill in fills)
    account = state.account
    assert account.fees == sum(fill.fee for fill in fills)
    paid = sum(payment.amount for payment in rig.payments)
    assert paid == account.funding - account.clearance + account.insurance
    assert account.balance == 10_000 + account.realised - account.fees + paid
    assert account.balance == account.cross + sum(
        holding.wallet for contract in account.contracts.values() for holding in contract.holdings.values()
    )
    matcher = rig.exchange._matchers.get("BTCUSDT")
    ladders = (matcher.bids, matcher.asks) if matcher else ()
    resting = [order for ladder in ladders for level in ladder.ranked for order in level.orders]
    waiting = {order.client_id for order in state.orders.open.values() if order.trigger is not None}
    assert {order.client_id for order in resting} == set(state.orders.open) - waiting
    assert (matcher.waiting.count if matcher else 0) == len(waiting)
    for order in resting:
        assert 0 <= order.ahead < UNSEEN
        assert order.to_qty(order.lots) == order.qty - order.filled_qty > 0
    for ladder in ladders:
        own = [order for order in resting if order.side is ladder.side and not order.reduce_only]
        assert ladder.notional == sum(order.price * order.to_qty(order.lots) for order in own)
    if matcher:
        assert matcher.resting == len(resting)


def told_ns(update):
    if isinstance(update, Filled):
        return update.fill.local_ns
    return update.payment.local_ns if isinstance(update, Paid) else update.at_ns


def assert_told_in_order(rig):
    """Updates come in the order of their times, and each order's life makes sense."""
    times = [told_ns(update) for update in rig.updates]
    assert times == sorted(times)
    begun, done = set(), set()
    for update in rig.updates:
        if isinstance(update, Accepted):
            begun.add(update.client_id)
        elif isinstance(update, Filled):
            assert update.fill.client_id in begun - done
        elif isinstance(update, Cancelled | Rejected):
            assert update.client_id not in done
            done.add(update.client_id)


def held(snapshot):
    return [(each.symbol, each.position_side, each.qty, each.entry_price) for each in snapshot.positions]


SETTINGS = {
    "plain": {},
    "far": {"entry_latency_ms": 10},
    "power": {"queue": "power", "self_trade": "expire_taker"},
    "bybit": {"rules": "bybit", "self_trade": "expire_both", "margin_mode": "isolated", "leverage": 5},
    "with oneself": {"self_trade": "none", "queue": "power", "queue_power": 1},
}


@pytest.mark.parametrize("kind", SETTINGS)
@settings(deadline=None, max_examples=80)
@given(story=stories)
def test_any_story(make_rig, kind, story):
    """Answers without delay, so that each fill is seen at the event that brought it."""
    chosen = {"entry_latency_ms": 0, "response_latency_ms": 0, **SETTINGS[kind]}
    rig = Theatre(make_rig(**chosen)).play(story)
    assert_sound(rig)
    assert_told_in_order(rig)
    rig.exchange.stop()


@settings(deadline=None, max_examples=40)
@given(story=stories)
def test_the_same_inputs_give_the_same_outputs_and_a_restart_the_same_state(make_rig, story):
    first, second = (Theatre(make_rig(response_latency_ms=0)).play(story) for _ in range(2))
    assert first.updates == second.updates
    assert first.log_path.read_bytes() == second.log_path.read_bytes()
    first.exchange.stop()
    again = make_rig(first.data_dir, resume=True, begin=first.now)
    before, after = second.snapshot(), again.snapshot()
    assert (before.orders, before.balance) == (after.orders, after.balance)
    assert held(before) == held(after)
    second.exchange.stop()
    again.exchange.stop()
