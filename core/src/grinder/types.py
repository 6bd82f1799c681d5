"""What travels between the rooms of the house: market events, order intents, fills, views.

All of it is immutable. Times are integer nanoseconds since the Unix epoch (``*_ns``). Money, prices and
quantities of orders and fills are ``Decimal``; market events keep the venue's own strings, which are converted
only where they are read. Quantities are in base units.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol, TypeAlias

import msgspec

Level: TypeAlias = tuple[str, str]
"""Price and quantity of one book level, as the venue wrote them; quantity zero removes the level."""


class Side(enum.StrEnum):
    """Side of an order or fill."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> Side:
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY

    @property
    def sign(self) -> int:
        """+1 for BUY, -1 for SELL."""
        return 1 if self is Side.BUY else -1


class PositionSide(enum.StrEnum):
    """BOTH in one-way mode, LONG or SHORT in hedge mode."""

    BOTH = "BOTH"
    LONG = "LONG"
    SHORT = "SHORT"


class IntentKind(enum.StrEnum):
    """What an intent asks for."""

    PLACE = "PLACE"
    AMEND = "AMEND"
    CANCEL = "CANCEL"


class TimeInForce(enum.StrEnum):
    """How long an order lives. GTX is good-till-cancel and post-only: it never takes."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTX = "GTX"


class TriggerKind(enum.StrEnum):
    """STOP fires when the market moves against the order's side, TAKE_PROFIT when it moves with it."""

    STOP = "STOP"
    TAKE_PROFIT = "TAKE_PROFIT"


class TriggerSource(enum.StrEnum):
    """Whose price fires a conditional order: that of the last print, or the mark price."""

    LAST = "LAST"
    MARK = "MARK"


class Risk(enum.StrEnum):
    """What an intent does to risk in the worst case. Any doubt is INCREASE."""

    INCREASE = "INCREASE"
    REDUCE = "REDUCE"
    CANCEL = "CANCEL"


class TradingState(enum.StrEnum):
    """ACTIVE trades; REDUCE_ONLY lets only reducing orders and cancels through; HALTED only cancels."""

    ACTIVE = "ACTIVE"
    REDUCE_ONLY = "REDUCE_ONLY"
    HALTED = "HALTED"


class Route(enum.StrEnum):
    """Where an admitted order goes: the simulator, or a venue with (part of) the real flow."""

    PAPER = "paper"
    CANARY = "canary"
    FULL = "full"


class OrderState(enum.StrEnum):
    """Life of an order as the journal knows it.

    INTENT: decided and durable, not yet sent. SENT: handed to the exchange, no answer yet. UNKNOWN: sent, and
    the answer does not tell. OPEN and PARTIAL rest on the venue. The others are final; ABSENT means that the
    venue has been shown never to have had it.
    """

    INTENT = "INTENT"
    SENT = "SENT"
    UNKNOWN = "UNKNOWN"
    OPEN = "OPEN"
    PARTIAL = "PARTIAL"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    ABSENT = "ABSENT"

    @property
    def final(self) -> bool:
        """Whether nothing more is expected of the order."""
        return self in FINAL_STATES


FINAL_STATES = frozenset(
    (OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REJECTED, OrderState.ABSENT)
)


class BookSnapshot(msgspec.Struct, frozen=True, gc=False):
    """A whole book. ``last_id`` is the update id that it contains."""

    symbol: str
    exchange_ns: int
    local_ns: int
    last_id: int
    bids: Sequence[Level]
    asks: Sequence[Level]


class BookDelta(msgspec.Struct, frozen=True, gc=False):
    """Changed levels, absolute quantities. ``prev_id`` is -1 where the venue does not send one (spot)."""

    symbol: str
    exchange_ns: int
    local_ns: int
    first_id: int
    last_id: int
    prev_id: int
    bids: Sequence[Level]
    asks: Sequence[Level]


class TopOfBook(msgspec.Struct, frozen=True, gc=False):
    """Best bid and ask. ``exchange_ns`` is 0 where the venue sends no time (spot)."""

    symbol: str
    exchange_ns: int
    local_ns: int
    update_id: int
    bid: str
    bid_qty: str
    ask: str
    ask_qty: str


class Trade(msgspec.Struct, frozen=True, gc=False):
    """A public print. ``taker`` is the aggressor's side. Price or quantity may be zero: ignore and count.

    ``trade_id`` is the venue's; where that is a UUID (Bybit), its 128 bits as a number.
    """

    symbol: str
    exchange_ns: int
    local_ns: int
    trade_id: int
    price: str
    qty: str
    taker: Side


class MarkPrice(msgspec.Struct, frozen=True, gc=False):
    """Mark and index price, funding rate as a fraction per interval, time of the next funding."""

    symbol: str
    exchange_ns: int
    local_ns: int
    mark: str
    index: str
    funding_rate: str
    next_funding_ns: int


class FeedStatus(msgspec.Struct, frozen=True, gc=False):
    """The feed of a symbol went up (``connected``) or down; while it is down its data is a gap."""

    symbol: str
    local_ns: int
    connected: bool
    detail: str = ""


MarketEvent: TypeAlias = BookSnapshot | BookDelta | TopOfBook | Trade | MarkPrice | FeedStatus


class Trigger(msgspec.Struct, frozen=True, gc=False):
    """What makes an order conditional: it waits at the venue, takes no margin, and becomes a plain order when it fires.

    A STOP BUY and a TAKE_PROFIT SELL fire at or above ``price``, a STOP SELL and a TAKE_PROFIT BUY at or below it.
    """

    kind: TriggerKind
    price: Decimal
    source: TriggerSource = TriggerSource.LAST

    def rising(self, side: Side) -> bool:
        """Whether an order of that side fires when the market has risen to the price, and not when it has fallen."""
        return (side is Side.BUY) is (self.kind is TriggerKind.STOP)

    def fires(self, side: Side, price: Decimal) -> bool:
        """Whether an order of that side fires at a market price."""
        return price >= self.price if self.rising(side) else price <= self.price


class OrderIntent(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a strategy or a bot wants. Nothing is sent until gates and policies have decided.

    Give ``qty`` in base units, or ``notional`` in quote units to let the sizing policy choose the quantity.
    ``price`` None is a market order. ``trigger`` makes the order a stop or take-profit order. For AMEND and CANCEL
    ``target`` is the intent id of the order meant.
    ``intent_id`` and ``created_ns`` are assigned by the engine.
    """

    symbol: str
    side: Side
    kind: IntentKind = IntentKind.PLACE
    qty: Decimal | None = None
    notional: Decimal | None = None
    price: Decimal | None = None
    tif: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    position_side: PositionSide = PositionSide.BOTH
    trigger: Trigger | None = None
    target: str = ""
    origin: str = ""
    intent_id: str = ""
    created_ns: int = 0


class FillCause(enum.StrEnum):
    """Why a fill happened: an order of ours traded, or the venue closed a position."""

    TRADE = "TRADE"
    LIQUIDATION = "LIQUIDATION"
    ADL = "ADL"


class Fill(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One execution. ``trade_id`` is unique per (venue, account, symbol). ``fee`` is signed: negative is a rebate.

    What the venue closed itself (``cause``) has no intent of ours: ``intent_id`` is empty, ``client_id`` the venue's.
    """

    route: Route
    venue: str
    account: str
    symbol: str
    position_side: PositionSide
    trade_id: str
    client_id: str
    intent_id: str
    side: Side
    price: Decimal
    qty: Decimal
    fee: Decimal
    fee_asset: str
    maker: bool
    exchange_ns: int
    local_ns: int
    cause: FillCause = FillCause.TRADE


class PaymentKind(enum.StrEnum):
    """Why the wallet changed other than by trading."""

    FUNDING = "FUNDING"
    LIQUIDATION_FEE = "LIQUIDATION_FEE"
    INSURANCE = "INSURANCE"


class Payment(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One change of the wallet that is no fill. ``payment_id`` is unique per (venue, account, kind).

    ``amount`` is in ``asset``: positive when received, negative when paid. With funding come the ``rate``, the
    ``mark`` price and the signed position (``qty``) of the instant ``at_ns``.
    """

    kind: PaymentKind
    payment_id: str
    route: Route
    venue: str
    account: str
    symbol: str
    position_side: PositionSide
    amount: Decimal
    asset: str
    at_ns: int
    local_ns: int
    rate: Decimal | None = None
    mark: Decimal | None = None
    qty: Decimal | None = None


class Position(msgspec.Struct, frozen=True, gc=False):
    """Signed quantity (base units), average entry price, realised PnL before fees (quote units)."""

    symbol: str
    position_side: PositionSide
    qty: Decimal
    entry_price: Decimal
    realised: Decimal


class OpenOrder(msgspec.Struct, frozen=True, gc=False):
    """An order that may still trade, at its worst case: ``remaining`` is all that is not filled yet.

    ``trigger`` is that of a conditional order which has not fired.
    """

    intent_id: str
    client_id: str
    symbol: str
    side: Side
    position_side: PositionSide
    price: Decimal | None
    qty: Decimal
    remaining: Decimal
    reduce_only: bool
    state: OrderState
    route: Route
    origin: str
    created_ns: int
    trigger: Trigger | None = None


class MarketView(Protocol):
    """What strategies and gates see of one symbol's market. Read-only; valid for the call it is passed to.

    Prices and quantities are floats, 0.0 where unknown. ``age_ns`` is the time since the last event of the
    symbol arrived; ``gap`` is True while the book's sequence is broken or the feed is down.
    """

    @property
    def symbol(self) -> str: ...  # noqa: D102 - the class docstring says it
    @property
    def bid(self) -> float: ...  # noqa: D102
    @property
    def bid_qty(self) -> float: ...  # noqa: D102
    @property
    def ask(self) -> float: ...  # noqa: D102
    @property
    def ask_qty(self) -> float: ...  # noqa: D102
    @property
    def mid(self) -> float: ...  # noqa: D102
    @property
    def mark(self) -> float: ...  # noqa: D102
    @property
    def last(self) -> float: ...  # noqa: D102
    @property
    def age_ns(self) -> int: ...  # noqa: D102
    @property
    def gap(self) -> bool: ...  # noqa: D102
    @property
    def ready(self) -> bool: ...  # noqa: D102

    def levels(self, side: Side, count: int) -> tuple[tuple[float, float], ...]:
        """The best ``count`` (price, quantity) levels of the BUY (bids) or SELL (asks) side, best first."""
        ...


class AccountView(Protocol):
    """What strategies and gates see of the account: positions, and orders that may still trade."""

    @property
    def balance(self) -> Decimal: ...  # noqa: D102 - wallet balance in quote units, fees and PnL included
    def position(self, symbol: str, position_side: PositionSide = PositionSide.BOTH) -> Position: ...  # noqa: D102
    def open_orders(self, symbol: str) -> Sequence[OpenOrder]: ...  # noqa: D102 - INTENT to UNKNOWN included
    def worst_case(self, symbol: str, side: Side) -> Decimal: ...  # noqa: D102 - open quantity on one side


class RuntimeView(Protocol):
    """What the host remembers for gates, so that they stay pure."""

    @property
    def started_ns(self) -> int: ...  # noqa: D102 - when the engine started, on the injected clock
    @property
    def signals(self) -> Mapping[str, float]: ...  # noqa: D102 - named measurements, e.g. queue depth
    def healthy_since(self, symbol: str) -> int: ...  # noqa: D102 - ns; 0 while unhealthy


class Strategy(Protocol):
    """Proposes orders. ``wake_ns`` is the interval of calls in event time; 0 means every market event."""

    wake_ns: int

    def on_market(
        self, market: MarketView, account: AccountView, runtime: RuntimeView, now: int
    ) -> Sequence[OrderIntent]:
        """What to do about one symbol now; empty for nothing."""
        ...
