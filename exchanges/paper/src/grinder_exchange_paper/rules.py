"""What the venue refuses, with Binance USD-M codes and texts. The venue does not document the order of its checks."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

from grinder import Instrument, OrderIntent, PositionSide, Side

ZERO: Final = Decimal(0)
MAX_PRICE: Final = Decimal(10**9)
"""Instruments carry no highest price; this one keeps all arithmetic exact."""


class Refusal(NamedTuple):
    """The venue's own code and text."""

    code: str
    text: str


BAD_SYMBOL: Final = Refusal("-1121", "Invalid symbol.")
BAD_POST_ONLY_MARKET: Final = Refusal("-1106", "Parameter 'timeinforce' sent when not required.")
BAD_REDUCE_ONLY: Final = Refusal("-1106", "Parameter 'reduceonly' sent when not required.")
BAD_POSITION_SIDE: Final = Refusal("-4061", "Order's position side does not match user's setting.")
DUPLICATE_ID: Final = Refusal("-4116", "clientOrderId is duplicated")
NO_LIQUIDITY: Final = Refusal("-2020", "Unable to fill.")
NO_MARGIN: Final = Refusal("-2019", "Margin is insufficient.")
NO_POSITION: Final = Refusal("-2022", "ReduceOnly Order is rejected.")
NOT_OPEN_TO_CANCEL: Final = Refusal("-2011", "Unknown order sent.")
NOT_OPEN_TO_AMEND: Final = Refusal("-2013", "Order does not exist.")
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

    ``price`` None is a market order. ``reduces``: it can only reduce a position.
    """

    instrument: Instrument
    side: Side
    price: Decimal | None
    qty: Decimal
    reduces: bool
    post_only: bool
    touch: tuple[float, float] | None

    def refusal(self) -> Refusal | None:
        """The first filter of the instrument that the terms break."""
        checks = (self._check_type, self._check_price, self._check_qty, self._check_collar, self._check_notional)
        return next((refusal for check in checks if (refusal := check()) is not None), None)

    @property
    def would_take(self) -> bool:
        """Whether a limit order would meet displayed liquidity."""
        if self.touch is None or self.price is None:
            return False
        bid, ask = self.touch
        return float(self.price) >= ask if self.side is Side.BUY else float(self.price) <= bid

    def worth(self, filled: Decimal = ZERO) -> Decimal:
        """Notional of what is not filled; a market order is valued at the touch that it meets."""
        price = self.price
        if price is None:
            price = _decimal(self.touch[self.side is Side.BUY]) if self.touch is not None else ZERO
        return price * (self.qty - filled)

    def _check_type(self) -> Refusal | None:
        """A market order takes, and there is something to take."""
        if self.price is not None:
            return None
        if self.post_only:
            return BAD_POST_ONLY_MARKET
        return NO_LIQUIDITY if self.touch is None else None

    def _check_price(self) -> Refusal | None:
        """A positive multiple of the tick size."""
        if self.price is None:
            return None
        if not self.price.is_finite():
            return Refusal("-1130", "Data sent for parameter 'price' is not valid.")
        if self.price <= 0:
            return Refusal("-4001", "Price less than 0.")
        if self.price > MAX_PRICE:
            return Refusal("-4002", "Price greater than max price.")
        if self.price % self.instrument.tick_size:
            return Refusal("-4014", "Price not increased by tick size.")
        return None

    def _check_qty(self) -> Refusal | None:
        """A multiple of the lot size within the instrument's bounds."""
        qty, instrument = self.qty, self.instrument
        if not qty.is_finite():
            return Refusal("-1130", "Data sent for parameter 'quantity' is not valid.")
        if qty <= 0:
            return Refusal("-4003", "Quantity less than zero.")
        if qty < instrument.min_qty:
            return Refusal("-4004", "Quantity less than min quantity.")
        if qty > instrument.max_qty:
            return Refusal("-4005", "Quantity greater than max quantity.")
        if qty % instrument.lot_size:
            return Refusal("-4023", "Qty not increased by step size.")
        return None

    def _check_collar(self) -> Refusal | None:
        """Not too far on the aggressive side of the mid price, which stands for the mark price."""
        if self.price is None or self.touch is None:
            return None
        instrument = self.instrument
        mid = _decimal((self.touch[0] + self.touch[1]) / 2)
        if self.side is Side.BUY:
            cap = mid * instrument.collar_up
            if self.price > cap:
                return Refusal("-4016", f"Limit price can't be higher than {cap.quantize(instrument.tick_size)}.")
        else:
            floor = mid * instrument.collar_down
            if self.price < floor:
                return Refusal("-4024", f"Limit price can't be lower than {floor.quantize(instrument.tick_size)}.")
        return None

    def _check_notional(self) -> Refusal | None:
        """Not below the minimum; orders that can only reduce are exempt."""
        least = self.instrument.min_notional
        if self.reduces or self.worth() >= least:
            return None
        text = f"Order's notional must be no smaller than {least.normalize():f} (unless you choose reduce only)."
        return Refusal("-4164", text)


def _decimal(displayed: float) -> Decimal:
    """A displayed price: its shortest text is the venue's own number."""
    return Decimal(repr(displayed))
