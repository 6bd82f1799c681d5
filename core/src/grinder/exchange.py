"""What an exchange adapter is: it takes admitted orders and reports what became of them.

Nothing here blocks. ``submit`` and ``query`` hand a message over; answers come later from ``poll`` as updates. An
answer that is not definitive is ``Unknown``: the order is never sent again and is resolved by ``query``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final, Protocol, TypeAlias, runtime_checkable

import msgspec

from grinder.clock import Clock
from grinder.decisions import Admitted
from grinder.instruments import Instrument
from grinder.types import Fill, MarketEvent, OrderState, Payment, PositionSide, Side, Trigger


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The venue has the order."""

    client_id: str
    venue_order_id: str
    at_ns: int


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """The venue definitely refused the order; ``code`` and ``text`` are its own."""

    client_id: str
    code: str
    text: str
    at_ns: int


class Unknown(msgspec.Struct, frozen=True, gc=False):
    """It is not known whether the venue has the order (timeout, 5xx, unmapped or unparsable answer).

    ``request_id`` is the client id of the cancel or amendment whose outcome it is.
    """

    client_id: str
    cause: str
    at_ns: int
    request_id: str = ""


class Cancelled(msgspec.Struct, frozen=True, gc=False):
    """The order rests no longer. ``reason`` is ``user``, one of ``EXPIRIES``, or the venue's."""

    client_id: str
    reason: str
    at_ns: int


EXPIRIES: Final = frozenset(("expired", "self_trade", "trigger_refused"))
"""Reasons with which the venue itself ends an order: time in force or post-only, self-trade prevention, and a
conditional order that fired and was refused."""


class CancelRejected(msgspec.Struct, frozen=True, gc=False):
    """The venue did not cancel or amend: usually the order was already final.

    ``request_id`` is the client id of the cancel or amendment that it refused. Without one, amendments in flight count
    on until the order is asked for: any of them may still be carried out.
    """

    client_id: str
    code: str
    text: str
    at_ns: int
    request_id: str = ""


class Amended(msgspec.Struct, frozen=True, gc=False):
    """Price or quantity of a resting order were changed; ``qty`` is the whole quantity, what is filled included.

    ``request_id`` is the client id of the amendment that it answers. Without one, it answers the amendment to exactly
    these figures, and others in flight count on. ``price`` None is a market order's.
    """

    client_id: str
    price: Decimal | None
    qty: Decimal
    at_ns: int
    request_id: str = ""


class Triggered(msgspec.Struct, frozen=True, gc=False):
    """A conditional order has fired: it is a plain order from now on."""

    client_id: str
    venue_order_id: str
    at_ns: int


class Paid(msgspec.Struct, frozen=True, gc=False):
    """A payment, such as funding. It may arrive twice."""

    payment: Payment


class Filled(msgspec.Struct, frozen=True, gc=False):
    """An execution. It may arrive twice, late, or before the acceptance."""

    fill: Fill


class Found(msgspec.Struct, frozen=True, gc=False):
    """Answer to a query: the venue knows the order.

    ``qty`` and ``price`` are as it stands: without them, amendments whose outcome is not known count until the order
    is final. ``waits`` tells of a conditional order whether its trigger has yet to come.
    """

    client_id: str
    venue_order_id: str
    state: OrderState
    filled_qty: Decimal
    fills: tuple[Fill, ...] = ()
    qty: Decimal | None = None
    price: Decimal | None = None
    waits: bool | None = None


class NotFound(msgspec.Struct, frozen=True, gc=False):
    """Answer to a query: the venue does not know the order (now)."""

    client_id: str


class QueryFailed(msgspec.Struct, frozen=True, gc=False):
    """The query itself failed: nothing is known."""

    client_id: str
    cause: str


class VenuePosition(msgspec.Struct, frozen=True, gc=False):
    """A position as the venue states it; None is what it does not state.

    ``liquidation_price`` zero means that no price of the market leads to liquidation. ``isolated_wallet`` is None under
    cross margin.
    """

    symbol: str
    position_side: PositionSide
    qty: Decimal
    entry_price: Decimal
    mark_price: Decimal | None = None
    liquidation_price: Decimal | None = None
    leverage: int | None = None
    isolated_wallet: Decimal | None = None


class VenueOrder(msgspec.Struct, frozen=True, gc=False):
    """An open order as the venue states it: it rests, or waits for its ``trigger``."""

    symbol: str
    client_id: str
    venue_order_id: str
    side: Side
    price: Decimal
    qty: Decimal
    filled_qty: Decimal
    reduce_only: bool = False
    trigger: Trigger | None = None


class ExchangeSnapshot(msgspec.Struct, frozen=True):
    """What the venue says it holds. None means that the read failed: unknown, never "flat".

    ``fills`` and ``payments`` are the latest of the venue's own making (liquidations, funding, ...), for which no order
    can be asked; what is known already counts once.
    """

    as_of_ns: int
    orders: tuple[VenueOrder, ...] | None
    positions: tuple[VenuePosition, ...] | None
    balance: Decimal | None
    fills: tuple[Fill, ...] = ()
    payments: tuple[Payment, ...] = ()


Update: TypeAlias = (
    Accepted
    | Rejected
    | Unknown
    | Cancelled
    | CancelRejected
    | Amended
    | Triggered
    | Filled
    | Paid
    | Found
    | NotFound
    | QueryFailed
    | ExchangeSnapshot
)


class BookReader(Protocol):
    """The book of one symbol, as simulators read it. Prices are keys in the venue's own format."""

    def key(self, price: Decimal) -> str:
        """The price as the feed writes it."""
        ...

    def qty_at(self, side: Side, key: str) -> float:
        """Displayed quantity of the BUY (bids) or SELL (asks) side at a price key; 0.0 if none."""
        ...

    def top(self, side: Side, count: int) -> tuple[tuple[float, float], ...]:
        """The best (price, quantity) levels, best first."""
        ...


class MarketReader(Protocol):
    """Where a simulator finds the books that the engine keeps."""

    def book(self, symbol: str) -> BookReader:
        """The symbol's book.

        Raises:
            KeyError: no data of that symbol has been seen.
        """
        ...


class ExchangeContext(msgspec.Struct, frozen=True):
    """What an exchange is given when it starts.

    ``hedge`` is whether the program keeps two legs per symbol, LONG and SHORT. None is where it does not say: then the
    exchange's own setting holds, or one-way. ``traded`` is whether orders or fills of earlier processes are on record:
    an exchange that keeps state of its own must have it then.
    """

    clock: Clock
    instruments: Mapping[str, Instrument]
    market: MarketReader
    data_dir: Path
    seed: int
    resume: bool
    settings: object
    hedge: bool | None = None
    traded: bool = False


class Exchange(Protocol):
    """An adapter. ``venue`` and ``account`` are parts of every fill's key."""

    venue: str
    account: str

    def start(self, context: ExchangeContext) -> None:
        """Connect or load state; raises VenueError or StateError."""
        ...

    def submit(self, order: Admitted) -> None:
        """Send a placement, amendment or cancel. Never raises for the order's sake: updates tell."""
        ...

    def poll(self) -> Sequence[Update]:
        """What has become known since the last call, in the order in which it became known."""
        ...

    def query(self, symbol: str, client_id: str) -> None:
        """Ask what the venue knows of one order; ``Found``, ``NotFound`` or ``QueryFailed`` comes from ``poll``."""
        ...

    def request_snapshot(self) -> None:
        """Ask for orders, positions and balance; an ``ExchangeSnapshot`` comes from ``poll``."""
        ...

    def stop(self) -> None:
        """Flush and disconnect; resting orders stay."""
        ...


@runtime_checkable
class Simulated(Protocol):
    """What an exchange has besides when market data drives it.

    ``due_ns`` is when the next message between us and the venue arrives (a large number when none does), so
    that the engine calls ``advance`` no more often than needed.
    """

    due_ns: int

    def advance(self, now: int) -> None:
        """Let every message due up to ``now`` arrive, before the market event of that time is applied."""
        ...

    def on_market(self, event: MarketEvent) -> None:
        """A market event has just been applied to the books."""
        ...
