"""A fake exchange: it does what the test scripts, good days and bad ones, and remembers what it was sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import TypeAlias

import msgspec

from grinder.clock import Clock, ManualClock
from grinder.decisions import Admitted
from grinder.exchange import (
    Accepted,
    Amended,
    Cancelled,
    CancelRejected,
    ExchangeContext,
    ExchangeSnapshot,
    Filled,
    Found,
    NotFound,
    QueryFailed,
    Rejected,
    Unknown,
    Update,
    VenueOrder,
    VenuePosition,
)
from grinder.testing.events import NOW
from grinder.testing.numbers import Number, decimal
from grinder.types import Fill, IntentKind, MarketEvent, OrderState, PositionSide, Route, Side

ZERO = Decimal(0)
NEVER = 1 << 62
NO_SUCH_ORDER = ("-2011", "Unknown order sent.")

Outcome: TypeAlias = Callable[["FakeExchange", Admitted], Iterable[Update]]
"""What becomes of one placement: the updates, in order. It may also change the exchange's books."""


def accept() -> Outcome:
    """The order rests."""
    return lambda exchange, order: (exchange.rest(order),)


def reject(code: str = "-2010", text: str = "Order would immediately match and take.") -> Outcome:
    """The venue definitely refuses it."""
    return lambda exchange, order: (Rejected(order.client_id, code, text, exchange.now_ns),)


def unknown(cause: str = "timeout", *, arrived: bool = True) -> Outcome:
    """No definitive answer comes; whether the order ``arrived`` comes out when it is queried."""

    def outcome(exchange: FakeExchange, order: Admitted) -> Iterator[Update]:
        if arrived:
            exchange.rest(order)
        yield Unknown(order.client_id, cause, exchange.now_ns)

    return outcome


def never_answer(*, arrived: bool = True) -> Outcome:
    """Nothing at all comes back."""

    def outcome(exchange: FakeExchange, order: Admitted) -> Iterable[Update]:
        if arrived:
            exchange.rest(order)
        return ()

    return outcome


def fill_order(qty: Number | None = None) -> Outcome:
    """Accepted, then filled: all of it, or ``qty`` base units."""
    return lambda exchange, order: (exchange.rest(order), exchange.traded(order, qty))


def fill_before_ack(qty: Number | None = None) -> Outcome:
    """The fill overtakes the acceptance."""

    def outcome(exchange: FakeExchange, order: Admitted) -> Iterator[Update]:
        accepted = exchange.rest(order)
        yield exchange.traded(order, qty)
        yield accepted

    return outcome


def duplicate_fill(qty: Number | None = None) -> Outcome:
    """Accepted, then filled, and the same fill once more."""

    def outcome(exchange: FakeExchange, order: Admitted) -> Iterator[Update]:
        yield exchange.rest(order)
        filled = exchange.traded(order, qty)
        yield filled
        yield filled

    return outcome


class _Booked(msgspec.Struct):
    """An order that has reached the fake venue."""

    order: Admitted
    venue_order_id: str
    price: Decimal
    qty: Decimal
    filled: Decimal = ZERO
    state: OrderState = OrderState.OPEN
    fills: tuple[Fill, ...] = ()


class FakeExchange:
    """Implements ``Exchange`` and ``Simulated``. Its answers are there as soon as they are polled for.

    Args:
        script: what becomes of the placements to come, one after the other.
        then: what becomes of those after the script.
        clock: where it reads the time; ``start`` replaces it with the engine's.
        balance: what its snapshots state, quote units.

    Attributes:
        sent: everything that was submitted, in order.
        queried: client ids that were asked for, in order.
        queries_fail: while True a query answers that it failed.
        started: between ``start`` and ``stop``.
    """

    venue = "paper"
    account = "paper"

    def __init__(
        self,
        script: Iterable[Outcome] = (),
        *,
        then: Outcome | None = None,
        clock: Clock | None = None,
        balance: Number = 10_000,
    ) -> None:
        self.sent: list[Admitted] = []
        self.queried: list[str] = []
        self.queries_fail = False
        self.started = False
        self._script = deque(script)
        self._then = then or accept()
        self._clock: Clock = clock or ManualClock(NOW)
        self._balance = decimal("balance", balance)
        self._orders: dict[str, _Booked] = {}
        self._positions: dict[tuple[str, PositionSide], VenuePosition] = {}
        self._updates: deque[Update] = deque()
        self._trades = 0

    # What tests do with it.

    @property
    def now_ns(self) -> int:
        """Its time."""
        return self._clock.now_ns()

    def will(self, *outcomes: Outcome) -> None:
        """Add to the script."""
        self._script.extend(outcomes)

    def push(self, *updates: Update) -> None:
        """Let updates arrive, whatever they are."""
        self._updates.extend(updates)

    def fill(self, order: Admitted | str, qty: Number | None = None) -> Filled:
        """Execute an order, given itself or by client id, or ``qty`` base units of it; the fill arrives.

        Raises:
            ValueError: no such order has arrived, or so much of it is not open.
        """
        client_id = order if isinstance(order, str) else order.client_id
        if client_id not in self._orders:
            raise ValueError(f"no order with client id {client_id!r} has arrived here")
        filled = self.traded(self._orders[client_id].order, qty)
        self._updates.append(filled)
        return filled

    # What outcomes are made of.

    def rest(self, order: Admitted) -> Accepted:
        """Take the order into the book."""
        number = f"v{len(self._orders) + 1}"
        self._orders[order.client_id] = _Booked(order, number, order.price or ZERO, order.qty)
        return Accepted(order.client_id, number, self.now_ns)

    def traded(self, order: Admitted, qty: Number | None = None) -> Filled:
        """Execute what rests, or ``qty`` of it, at its limit price (a market order at 60,000).

        Raises:
            ValueError: so much is not open.
        """
        booked = self._orders[order.client_id]
        left = booked.qty - booked.filled
        amount = left if qty is None else decimal("qty", qty, above=ZERO)
        if not 0 < amount <= left or booked.state.final:
            raise ValueError(f"{amount} of {order.client_id!r} cannot be filled: {left} is left, it is {booked.state}")
        self._trades += 1
        fill = self._execution(booked, amount)
        booked.filled += amount
        booked.state = OrderState.FILLED if booked.filled == booked.qty else OrderState.PARTIAL
        booked.fills += (fill,)
        key = (fill.symbol, fill.position_side)
        held = self._positions[key].qty if key in self._positions else ZERO
        self._positions[key] = VenuePosition(*key, held + fill.side.sign * amount, fill.price)
        return Filled(fill)

    def _execution(self, booked: _Booked, amount: Decimal) -> Fill:
        intent = booked.order.intent
        price = booked.price or Decimal(60_000)
        return Fill(
            route=Route.PAPER,
            venue=self.venue,
            account=self.account,
            symbol=intent.symbol,
            position_side=intent.position_side,
            trade_id=str(self._trades),
            client_id=booked.order.client_id,
            intent_id=intent.intent_id,
            side=Side(intent.side),
            price=price,
            qty=amount,
            fee=price * amount * Decimal("0.0002"),
            fee_asset="USDT",
            maker=True,
            exchange_ns=self.now_ns,
            local_ns=self.now_ns,
        )

    # Exchange.

    def start(self, context: ExchangeContext) -> None:
        """Take the engine's clock."""
        self._clock = context.clock
        self.started = True

    def submit(self, order: Admitted) -> None:
        """Do to a placement what the script says; cancels and amendments work on what rests."""
        self.sent.append(order)
        if order.intent.kind is IntentKind.PLACE:
            outcome = self._script.popleft() if self._script else self._then
            self._updates.extend(outcome(self, order))
        else:
            self._updates.append(self._changed(order))

    def poll(self) -> Sequence[Update]:
        """What has arrived since the last call."""
        updates, self._updates = list(self._updates), deque()
        return updates

    def query(self, symbol: str, client_id: str) -> None:  # noqa: ARG002 - the protocol's signature
        """Answer with what the book says."""
        self.queried.append(client_id)
        booked = self._orders.get(client_id)
        if self.queries_fail:
            self._updates.append(QueryFailed(client_id, "timeout"))
        elif booked is None:
            self._updates.append(NotFound(client_id))
        else:
            told = (booked.state, booked.filled, booked.fills, booked.qty, booked.price)
            self._updates.append(Found(client_id, booked.venue_order_id, *told))

    def request_snapshot(self) -> None:
        """Answer with what rests, the positions that fills have made, and the balance given."""
        resting = tuple(
            VenueOrder(
                symbol=booked.order.intent.symbol,
                client_id=client_id,
                venue_order_id=booked.venue_order_id,
                side=booked.order.intent.side,
                price=booked.price,
                qty=booked.qty,
                filled_qty=booked.filled,
                reduce_only=booked.order.reduce_only,
            )
            for client_id, booked in self._orders.items()
            if not booked.state.final
        )
        self._updates.append(ExchangeSnapshot(self.now_ns, resting, tuple(self._positions.values()), self._balance))

    def stop(self) -> None:
        """Nothing is open."""
        self.started = False

    def _changed(self, order: Admitted) -> Update:
        """Cancel or amend what rests."""
        booked = self._orders.get(order.target_client_id)
        if booked is None or booked.state.final:
            return CancelRejected(order.target_client_id, *NO_SUCH_ORDER, self.now_ns, order.client_id)
        if order.intent.kind is IntentKind.CANCEL:
            booked.state = OrderState.CANCELLED
            return Cancelled(order.target_client_id, "user", self.now_ns)
        booked.price, booked.qty = order.price or booked.price, order.qty
        return Amended(order.target_client_id, booked.price, booked.qty, self.now_ns, order.client_id)

    # Simulated: it is polled when something has arrived.

    @property
    def due_ns(self) -> int:
        """Now, while something waits to be polled."""
        return self.now_ns if self._updates else NEVER

    @due_ns.setter
    def due_ns(self, _value: int) -> None:
        raise AttributeError("due_ns follows from what waits to be polled; use push()")

    def advance(self, now: int) -> None:
        """Answers are there at once."""

    def on_market(self, event: MarketEvent) -> None:
        """The market does not move this venue."""
