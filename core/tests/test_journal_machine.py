"""However a venue's messages arrive, and wherever the process dies, the books end like the venue's."""

from __future__ import annotations

import shutil
import tempfile
from decimal import Decimal
from pathlib import Path

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from grinder.journal.identity import client_order_id
from grinder.journal.ledger import Ledger
from grinder.journal.orders import OrderEvent, next_state
from grinder.journal.records import OrderRecord
from grinder.journal.store import Journal
from grinder.types import Fill, IntentKind, OrderState, PositionSide, Route, Side

D = Decimal
TAG = "abcdef"
MEMORY = Path("/dev/shm")  # noqa: S108 - many short lives: where there is one, a disk in memory is faster


class Venue:
    """Holds the truth: orders, what was filled of them, and a log of everything it ever said."""

    def __init__(self):
        self.orders = {}
        self.filled = {}
        self.ended = set()
        self.log = []

    def accept(self, order):
        self.orders[order.client_id] = order
        self.filled[order.client_id] = D(0)
        self.log.append((order.client_id, OrderEvent.ACCEPTED))

    def fill(self, client_id, qty, price):
        order = self.orders[client_id]
        qty = min(qty, order.qty - self.filled[client_id])
        self.filled[client_id] += qty
        if self.filled[client_id] == order.qty:
            self.ended.add(client_id)
        number = len(self.log)
        fill = Fill(
            route=order.route,
            venue=order.venue,
            account=order.account,
            symbol=order.symbol,
            position_side=order.position_side,
            trade_id=str(number),
            client_id=client_id,
            intent_id=order.intent_id,
            side=order.side,
            price=price,
            qty=qty,
            fee=qty * price * D("0.0002"),
            fee_asset="USDT",
            maker=number % 2 == 0,
            exchange_ns=number,
            local_ns=number,
        )
        self.log.append((client_id, fill))

    def cancel(self, client_id):
        self.ended.add(client_id)
        self.log.append((client_id, OrderEvent.CANCELLED))

    def live(self):
        return [client_id for client_id in self.orders if client_id not in self.ended]

    def state(self, client_id):
        filled, qty = self.filled[client_id], self.orders[client_id].qty
        if filled == qty:
            return OrderState.FILLED
        if client_id in self.ended:
            return OrderState.CANCELLED
        return OrderState.PARTIAL if filled else OrderState.OPEN

    def ledger(self):
        ledger = Ledger()
        for _, message in self.log:
            if isinstance(message, Fill):
                ledger.apply(message)
        return ledger


def totals(ledger):
    """What does not depend on the order of fills: quantity, cash, volume, fees, maker and taker fills."""
    return {
        key: (h.qty, h.realised - h.cost, h.volume, h.fees, h.maker_fills, h.taker_fills)
        for key, h in ledger.holdings()
    }


class Books(RuleBasedStateMachine):
    """Keeps the books as the engine does, and dies now and then."""

    def __init__(self):
        super().__init__()
        self.root = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.venue = Venue()
        self.pool = []
        self.lives = 0
        self.journal = Journal.open(self.root / "0", sync="process", tag=TAG)
        self.recover()

    def recover(self):
        recovered = self.journal.recover()
        # A memory of two fills: nearly every key is looked up in the journal.
        self.ledger = Ledger(remember=2, is_known=self.journal.has_fill)
        for fill in self.journal.fills():
            self.ledger.restore(fill)
        assert dict(self.ledger.holdings()) == dict(recovered.ledger.holdings())
        self.orders = {order.client_id: order for order in recovered.orders}
        self.next = recovered.next_intent_number

    @rule(side=st.sampled_from(Side), symbol=st.sampled_from(["BTCUSDT", "ETHUSDT"]), lots=st.integers(1, 5))
    def place(self, side, symbol, lots):
        intent_id = f"i{self.next}"
        self.next += 1
        order = OrderRecord(
            intent_id=intent_id,
            client_id=client_order_id(TAG, intent_id),
            kind=IntentKind.PLACE,
            symbol=symbol,
            side=side,
            position_side=PositionSide.BOTH,
            qty=D("0.003") * lots,
            price=D(100),
            reduce_only=False,
            route=Route.PAPER,
            venue="paper",
            account="main",
            origin="",
            target_client_id="",
            created_ns=1,
        )
        self.journal.record_decision(intent_id, 1, b"{}", order)
        self.journal.commit()
        self.orders[order.client_id] = order
        self.venue.accept(order)
        self.pool.append(self.venue.log[-1])

    @precondition(lambda self: self.venue.live())
    @rule(data=st.data(), lots=st.integers(1, 6), price=st.decimals("90", "110", places=2))
    def trade(self, data, lots, price):
        self.venue.fill(data.draw(st.sampled_from(self.venue.live())), D("0.0025") * lots, price)
        self.pool.append(self.venue.log[-1])

    @precondition(lambda self: self.venue.live())
    @rule(data=st.data())
    def end(self, data):
        self.venue.cancel(data.draw(st.sampled_from(self.venue.live())))
        self.pool.append(self.venue.log[-1])

    @precondition(lambda self: self.pool)
    @rule(data=st.data(), again=st.booleans())
    def hear(self, data, again):
        index = data.draw(st.integers(0, len(self.pool) - 1))
        self.listen(*(self.pool[index] if again else self.pool.pop(index)))

    def listen(self, client_id, message):
        order = self.orders.get(client_id) or self.journal.order(client_id)
        if isinstance(message, Fill):
            if not self.ledger.apply(message):
                return
            filled = order.filled_qty + message.qty
            state = next_state(order.state, filled, order.qty, OrderEvent.FILL)
            self.journal.fill(message, state=state, filled_qty=filled, advance=False)
        else:
            filled = order.filled_qty
            state = next_state(order.state, filled, order.qty, message)
            if state is order.state:
                return
            self.journal.order_event(client_id, message, 1, state, filled)
        self.orders[client_id] = msgspec.structs.replace(order, state=state, filled_qty=filled)

    @rule()
    def commit(self):
        self.journal.commit()

    @rule()
    def die_and_start_again(self):
        self.lives += 1
        image = self.root / str(self.lives)
        shutil.copytree(self.journal.directory, image, ignore=shutil.ignore_patterns("*.lock"))
        self.journal.close()
        shutil.rmtree(self.journal.directory)
        self.journal = Journal.open(image, sync="process", tag=TAG)
        self.recover()
        # What was heard and not committed is forgotten, and nobody knows what that was.
        self.pool = list(self.venue.log)

    def teardown(self):
        try:
            for said in self.venue.log:
                self.listen(*said)
            self.die_and_start_again_after_a_commit()
            assert totals(self.ledger) == totals(self.venue.ledger())
            states = {client_id: self.journal.order(client_id).state for client_id in self.venue.orders}
            assert states == {client_id: self.venue.state(client_id) for client_id in self.venue.orders}
            assert set(self.orders) == set(self.venue.live())
            for client_id, order in self.orders.items():
                assert order.open_order().remaining == order.qty - self.venue.filled[client_id]
        finally:
            self.journal.close()
            shutil.rmtree(self.root)

    def die_and_start_again_after_a_commit(self):
        self.commit()
        before = dict(self.ledger.holdings())
        self.die_and_start_again()
        assert dict(self.ledger.holdings()) == before


Books.TestCase.settings = settings(
    deadline=None, max_examples=60, stateful_step_count=30, suppress_health_check=list(HealthCheck)
)
TestBooks = Books.TestCase
