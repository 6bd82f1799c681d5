"""Whatever a program does, across restarts: every trade counts once, and every order until it is over."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from grinder import Gatekeeper, ManualClock, OrderIntent, OrderState, Risk, Side

SYMBOL = "BTCUSDT"
SECOND = 10**9
OVERRIDES = {"plugins.warm_up.seconds": 0, "engine.visibility_lag_ms": 1000, "engine.max_in_flight": 6}
SETTLED = frozenset((OrderState.CANCELLED, OrderState.REJECTED))


class Order:
    """What the program knows of an order that it was allowed to send."""

    def __init__(self, decision) -> None:
        self.client_id, self.side, self.qty = decision.client_id, decision.intent.side, decision.qty
        self.filled = Decimal(0)
        self.answered = self.over = False


class Program(RuleBasedStateMachine):
    """A bot with a model of its own of what the books must say."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.clock = ManualClock(1_700_000_000 * SECOND)
        self.orders: list[Order] = []
        self.trades: list[dict] = []
        self.keeper = self.open()

    def open(self) -> Gatekeeper:
        keeper = Gatekeeper.from_settings(
            data_dir=Path(self.folder.name), clock=self.clock, seed=7, overrides=OVERRIDES
        )
        if not self.trades and not self.orders:
            keeper.sync(positions=[])
        keeper.sync(balance=100_000)
        return keeper

    @property
    def position(self) -> Decimal:
        return sum((t["qty"] if t["side"] is Side.BUY else -t["qty"] for t in self.trades), Decimal(0))

    def worst(self, side: Side) -> Decimal:
        return sum((o.qty - o.filled for o in self.orders if o.side is side and not o.over), Decimal(0))

    @rule(side=st.sampled_from(list(Side)), lots=st.integers(1, 5))
    def ask(self, side: Side, lots: int) -> None:
        self.clock.advance(SECOND)
        self.keeper.quote(SYMBOL, "60000", 50, "60000.1", 50)
        price = Decimal(59990) if side is Side.BUY else Decimal(60010)
        qty = Decimal("0.01") * lots
        position = self.position * side.sign
        decision = self.keeper.check(OrderIntent(symbol=SYMBOL, side=side, qty=qty, price=price))
        reduces = position < 0 and qty + self.worst(side) <= -position
        assert decision.risk is (Risk.REDUCE if reduces else Risk.INCREASE)
        in_flight = sum(not order.answered and not order.over for order in self.orders)
        if reduces:
            assert decision.allowed
            assert decision.reduce_only
        elif in_flight >= OVERRIDES["engine.max_in_flight"]:
            assert not decision.allowed
        if decision.allowed:
            self.orders.append(Order(decision))

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def accept(self, data) -> None:
        order = data.draw(st.sampled_from(self.orders))
        self.keeper.accepted(order.client_id, f"v{self.orders.index(order)}")
        order.answered = True

    @precondition(lambda self: any(not order.over for order in self.orders))
    @rule(data=st.data(), what=st.sampled_from(["reject", "cancel", "unknown"]))
    def end(self, data, what: str) -> None:
        order = data.draw(st.sampled_from([order for order in self.orders if not order.over]))
        if what == "unknown":
            self.keeper.unknown(order.client_id, "timeout")
            return
        if what == "reject" and not order.answered:
            self.keeper.rejected(order.client_id, "-2019")
        else:
            self.keeper.cancelled(order.client_id)
        order.answered = order.over = True

    @precondition(lambda self: any(order.filled < order.qty and not order.over for order in self.orders))
    @rule(data=st.data(), named=st.booleans())
    def fill(self, data, named: bool) -> None:
        open_orders = [order for order in self.orders if order.filled < order.qty and not order.over]
        order = data.draw(st.sampled_from(open_orders))
        lots = data.draw(st.integers(1, int((order.qty - order.filled) / Decimal("0.01"))))
        trade = {"trade_id": f"t{len(self.trades)}", "symbol": SYMBOL, "side": order.side, "price": "60000",
                 "qty": Decimal("0.01") * lots, "client_id": order.client_id}  # fmt: skip
        if named and order.answered and order.filled == 0:
            self.keeper.accepted(order.client_id, f"v{self.orders.index(order)}")
            trade |= {"client_id": "", "venue_order_id": f"v{self.orders.index(order)}"}
        assert self.keeper.filled(**trade)
        self.trades.append(trade)
        order.filled += trade["qty"]
        order.answered = True
        order.over = order.filled == order.qty

    @precondition(lambda self: self.trades)
    @rule(data=st.data())
    def hear_a_trade_again(self, data) -> None:
        assert not self.keeper.filled(**data.draw(st.sampled_from(self.trades)))

    @rule()
    def restart(self) -> None:
        self.keeper.close()
        self.keeper = self.open()
        for order in self.orders:
            if not order.filled and not order.over and order.client_id in self.unanswered():
                order.answered = False

    def unanswered(self) -> set[str]:
        states = {OrderState.INTENT, OrderState.SENT, OrderState.UNKNOWN}
        return {order.client_id for order in self.keeper.open_orders() if order.state in states}

    @invariant()
    def every_trade_counts_once(self) -> None:
        assert self.keeper.position(SYMBOL).qty == self.position

    @invariant()
    def every_order_counts_until_it_is_over(self) -> None:
        known = {order.client_id: order.remaining for order in self.keeper.open_orders(SYMBOL)}
        assert known == {order.client_id: order.qty - order.filled for order in self.orders if not order.over}

    @invariant()
    def an_order_without_an_answer_is_in_flight(self) -> None:
        expected = {order.client_id for order in self.orders if not order.answered and not order.over}
        assert self.unanswered() >= expected

    def teardown(self) -> None:
        self.keeper.close()
        self.folder.cleanup()


TestProgram = Program.TestCase
TestProgram.settings = settings(max_examples=8, stateful_step_count=25, deadline=None)
