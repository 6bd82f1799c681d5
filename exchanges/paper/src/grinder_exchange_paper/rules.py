"""What the venue refuses, with Binance USD-M codes and texts. The venue does not document the order of its checks."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final, NamedTuple

from grinder import Instrument, OrderIntent, PositionSide, Side, Trigger
from grinder_exchange_paper.dialect import Refusal

ZERO: Final = Decimal(0)
MAX_PRICE: Final = Decimal(10**9)
"""Instruments carry no highest price; this one keeps all arithmetic exact."""


BAD_SYMBOL: Final = Refusal("-1121", "Invalid symbol.")
BAD_POST_ONLY_MARKET: Final = Refusal("-1106", "Parameter 'timeinforce' sent when not required.")
BAD_REDUCE_ONLY: Final = Refusal("-1106", "Parameter 'reduceonly' sent when not required.")
BAD_POSITION_SIDE: Final = Refusal("-4061", "Order's position side does not match user's setting.")
DUPLICATE_ID: Final = Refusal("-4116", "clientOrderId is duplicated")
NO_LIQUIDITY: Final = Refusal("-2020", "Unable to fill.")
NO_MARGIN: Final = Refusal("-2019", "Margin is insufficient.")
ABOVE_LEVERAGE: Final = Refusal("-2027", "Exceeded the maximum allowable position at current leverage.")
NO_POSITION: Final = Refusal("-2022", "ReduceOnly Order is rejected.")
NOT_OPEN_TO_CANCEL: Final = Refusal("-2011", "Unknown order sent.")
NOT_OPEN_TO_AMEND: Final = Refusal("-2013", "Order does not exist.")
NOT_TO_AMEND: Final = Refusal("-5025", "Only limit order is supported.")
AMENDED_TOO_OFTEN: Final = Refusal("-5026", "Exceed maximum modify order limit.")
TOO_MANY_ORDERS: Final = Refusal("-2025", "Reach max open order limit.")
TOO_MANY_CONDITIONAL: Final = Refusal("-4045", "Reach max stop order limit.")
WOULD_FIRE: Final = Refusal("-2021", "Order would immediately trigger.")
OUT_OF_BOUND: Final = Refusal("-4131", "The counterparty's best price does not meet the PERCENT_PRICE filter limit.")
MOST_AMENDMENTS: Final = 10_000
NOTHING_TO_AMEND: Final = Refusal("-5027", "No need to modify the order.")
WOULD_TAKE: Final = Refusal(
    "-5022",
    "Due to the order could not be executed as maker, the Post Only order will be rejected. "
    "The order will not be recorded in the order history",
)


def closes(side: Side, position_side: PositionSide) -> bool:
    """Whether a side closes by nature: SELL of LONG, BUY of SHORT."""
    return (position_side is PositionSide.LONG and side is Side.SELL) or (
        position_side is PositionSide.SHORT and side is Side.BUY
    )


def check_mode(intent: OrderIntent, *, reduce_only: bool, hedge: bool) -> Refusal | None:
    """Position side against the account's mode; in hedge mode only a closing order may say reduce-only."""
    if hedge == (intent.position_side is PositionSide.BOTH):
        return BAD_POSITION_SIDE
    if hedge and reduce_only and not closes(intent.side, intent.position_side):
        return BAD_REDUCE_ONLY
    return None


class Terms(NamedTuple):
    """What an order asks for, beside the touch (best displayed bid and ask) that it meets.

    ``price`` None is a market order. ``reduces``: it can only reduce a position. ``mark`` is the mark price, None while
    none is known. A conditional order is held against its trigger instead of the market.
    """

    instrument: Instrument
    side: Side
    price: Decimal | None
    qty: Decimal
    reduces: bool
    post_only: bool
    touch: tuple[float, float] | None
    mark: Decimal | None = None
    trigger: Trigger | None = None

    def refusal(self) -> Refusal | None:
        """The first filter of the instrument that the terms break."""
        checks = (
            self._check_type,
            self._check_price,
            self._check_trigger,
            self._check_qty,
            self._check_collar,
            self._check_notional,
        )
        return next((refusal for check in checks if (refusal := check()) is not None), None)

    @property
    def value_price(self) -> Decimal:
        """What the order is valued at: its limit, else its trigger, else the touch that it meets."""
        if self.price is not None:
            return self.price
        if self.trigger is not None:
            return self.trigger.price
        return _decimal(self.touch[self.side is Side.BUY]) if self.touch is not None else ZERO

    def worth(self, filled: Decimal = ZERO) -> Decimal:
        """Notional of what is not filled."""
        return self.value_price * (self.qty - filled)

    @property
    def reference(self) -> Decimal | None:
        """The price that the collar is centred on: the trigger of a conditional order, else the market's."""
        return self.trigger.price if self.trigger is not None else self.market

    @property
    def market(self) -> Decimal | None:
        """The mark price, or the mid price while there is none."""
        if self.mark is not None:
            return self.mark
        return _decimal((self.touch[0] + self.touch[1]) / 2) if self.touch is not None else None

    @property
    def bound(self) -> Decimal | None:
        """The worst limit price that the collar allows; None while no reference is known."""
        reference, instrument = self.reference, self.instrument
        if reference is None:
            return None
        return reference * (instrument.collar_up if self.side is Side.BUY else instrument.collar_down)

    def moved(self) -> Terms:
        """The same with its limit moved to the nearest price that the collar allows."""
        bound, tick = self.bound, self.instrument.tick_size
        if self.price is None or bound is None or not self.price.is_finite():
            return self
        if self.side is Side.BUY and self.price > bound:
            return self._replace(price=(bound / tick).to_integral_value(ROUND_FLOOR) * tick)
        if self.side is Side.SELL and self.price < bound:
            return self._replace(price=(bound / tick).to_integral_value(ROUND_CEILING) * tick)
        return self

    def _check_type(self) -> Refusal | None:
        """A market order takes, and there is something to take."""
        if self.price is not None:
            return None
        if self.post_only:
            return BAD_POST_ONLY_MARKET
        if self.trigger is not None:
            return None
        if self.touch is None:
            return NO_LIQUIDITY
        best, bound = _decimal(self.touch[self.side is Side.BUY]), self.bound
        outside = bound is not None and (best > bound if self.side is Side.BUY else best < bound)
        return OUT_OF_BOUND if outside else None

    def _check_price(self) -> Refusal | None:
        return None if self.price is None else _check_price(self.price, self.instrument)

    def _check_trigger(self) -> Refusal | None:
        """A trigger price like any price."""
        return None if self.trigger is None else _check_price(self.trigger.price, self.instrument)

    def _check_qty(self) -> Refusal | None:
        """A multiple of the lot size within the instrument's bounds."""
        qty, instrument = self.qty, self.instrument
        if not qty.is_finite():
            return Refusal("-1130", "Data sent for parameter 'quantity' is not valid.")
        if qty <= 0:
            return Refusal("-4003", "Quantity less than zero.")
        if qty < instrument.min_qty:
            return Refusal("-4004", "Quantity less than min quantity.")
        if qty > (instrument.max_qty if self.price is not None else instrument.most_at_market):
            return Refusal("-4005", "Quantity greater than max quantity.")
        if qty % instrument.lot_size:
            return Refusal("-4023", "Qty not increased by step size.")
        return None

    def _check_collar(self) -> Refusal | None:
        """Not too far on the aggressive side of the reference price."""
        bound = self.bound
        if self.price is None or bound is None:
            return None
        shown = bound.quantize(self.instrument.tick_size)
        if self.side is Side.BUY and self.price > bound:
            return Refusal("-4016", f"Limit price can't be higher than {shown}.")
        if self.side is Side.SELL and self.price < bound:
            return Refusal("-4024", f"Limit price can't be lower than {shown}.")
        return None

    def _check_notional(self) -> Refusal | None:
        """Not below the minimum; orders that can only reduce are exempt."""
        least = self.instrument.min_notional
        if self.reduces or self.worth() >= least:
            return None
        text = f"Order's notional must be no smaller than {least.normalize():f} (unless you choose reduce only)."
        return Refusal("-4164", text)


def _check_price(price: Decimal, instrument: Instrument) -> Refusal | None:
    """A positive multiple of the tick size."""
    if not price.is_finite():
        return Refusal("-1130", "Data sent for parameter 'price' is not valid.")
    if price <= 0:
        return Refusal("-4001", "Price less than 0.")
    if price > MAX_PRICE:
        return Refusal("-4002", "Price greater than max price.")
    if price % instrument.tick_size:
        return Refusal("-4014", "Price not increased by tick size.")
    return None


def _decimal(displayed: float) -> Decimal:
    """A displayed price: its shortest text is the venue's own number."""
    return Decimal(repr(displayed))
