"""The ledger: positions, money and fees, from fills alone, each counted once.

It keeps the cost of what is open (the sum of quantity times price) and not the average price, and rounds only when
a reduction takes its share of that cost: forty decimals for the share, and what is left is the exact rest. So
quantity and money are conserved to the last digit: at any mark price, ``realised + unrealised`` equals what the fills
paid and received plus the position at that mark.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Callable, Iterator
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final, TypeAlias

import msgspec

from grinder.errors import StateError
from grinder.types import Fill, Payment, PaymentKind, Position, PositionSide, Route, Side

FillKey: TypeAlias = tuple[str, str, str, str]
"""Venue, account, symbol, trade id: what makes a fill one fill."""

PaymentKey: TypeAlias = tuple[str, str, str, str]
"""Venue, account, kind, payment id: what makes a payment one payment."""

LedgerKey: TypeAlias = tuple[Route, str, str, str, PositionSide]
"""Route, venue, account, symbol, position side."""

ZERO: Final = Decimal(0)
_SHARE_STEP: Final = Decimal("1E-40")
_MAX_NS: Final = 2**63

# A number of a fill has at most 40 digits and lies within 1E-20 and 1E+20; so sums of products stay exact.
_FIELD: Final = Context(prec=40, rounding=ROUND_HALF_EVEN)
_MAGNITUDE: Final = 20
_EXACT: Final = Context(prec=200, rounding=ROUND_HALF_EVEN)
_PRICE: Final = Context(prec=28, rounding=ROUND_HALF_EVEN)


class PositionMode(enum.StrEnum):
    """One position a symbol (BOTH), or one for each side (LONG and SHORT)."""

    ONE_WAY = "one_way"
    HEDGE = "hedge"


class FillError(StateError):
    """A fill that cannot be booked. Nothing was changed: set it aside, report it, and go on with the next."""


def fill_key(fill: Fill) -> FillKey:
    """The key under which the fill is counted once."""
    return fill.venue, fill.account, fill.symbol, fill.trade_id


def payment_key(payment: Payment) -> PaymentKey:
    """The key under which the payment is counted once."""
    return payment.venue, payment.account, payment.kind.value, payment.payment_id


class Holding(msgspec.Struct, gc=False):
    """One line of the ledger. Quantities in base units, money in quote units, fees signed (a rebate is negative).

    ``qty`` is signed; ``cost`` is the signed cost of what is open; ``volume`` is all that was traded, in quote units;
    ``payments`` is what was received by kind, less what was paid.
    """

    qty: Decimal = ZERO
    cost: Decimal = ZERO
    realised: Decimal = ZERO
    volume: Decimal = ZERO
    fees: dict[str, Decimal] = msgspec.field(default_factory=dict)
    payments: dict[PaymentKind, Decimal] = msgspec.field(default_factory=dict)
    maker_fills: int = 0
    taker_fills: int = 0

    @property
    def received(self) -> Decimal:
        """All payments, what was paid taken off."""
        return sum(self.payments.values(), ZERO)

    @property
    def entry_price(self) -> Decimal:
        """Average price of what is open, to 28 digits; zero when flat."""
        return _PRICE.divide(self.cost, self.qty) if self.qty else ZERO

    def unrealised(self, mark: Decimal) -> Decimal:
        """PnL of what is open at a mark price, before fees."""
        return _EXACT.subtract(_EXACT.multiply(self.qty, mark), self.cost)

    def book(self, side: Side, qty: Decimal, price: Decimal) -> None:
        """Trade ``qty`` at ``price``: grow the position, or reduce it, or close it and open the other side."""
        traded = qty if side is Side.BUY else -qty
        value = _EXACT.multiply(traded, price)
        self.volume = _EXACT.add(self.volume, abs(value))
        held = self.qty
        if not held or (held > 0) is (traded > 0):
            self.cost = _EXACT.add(self.cost, value)
        elif qty < abs(held):
            share = _share(self.cost, qty, abs(held))
            self.realised = _EXACT.subtract(self.realised, _EXACT.add(value, share))
            self.cost = _EXACT.subtract(self.cost, share)
        else:
            rest = _EXACT.multiply(_EXACT.add(held, traded), price)
            closing = _EXACT.subtract(value, rest)
            self.realised = _EXACT.subtract(self.realised, _EXACT.add(closing, self.cost))
            self.cost = rest
        self.qty = _EXACT.add(held, traded)


class Ledger:
    """Holdings by (route, venue, account, symbol, position side), each fill applied exactly once.

    Args:
        position_mode: which position sides the account has. A fill of another side is booked under its own all the
            same, and counted in ``unexpected_sides``: it means that the venue's mode differs from the settings.
        remember: how many of the latest fill keys are kept in memory.
        is_known: asked about keys of fills that may have been forgotten; the journal's unique index answers.
        is_paid: the same for payments.
    """

    __slots__ = (
        "_forgot",
        "_forgot_paid",
        "_holdings",
        "_is_known",
        "_is_paid",
        "_paid",
        "_remember",
        "_seen",
        "_sides",
        "fills",
        "unexpected_sides",
    )

    def __init__(
        self,
        position_mode: PositionMode = PositionMode.ONE_WAY,
        *,
        remember: int = 20_000,
        is_known: Callable[[FillKey], bool] | None = None,
        is_paid: Callable[[PaymentKey], bool] | None = None,
    ) -> None:
        self._holdings: dict[LedgerKey, Holding] = {}
        self._seen: OrderedDict[FillKey, None] = OrderedDict()
        self._paid: OrderedDict[PaymentKey, None] = OrderedDict()
        self._forgot_paid = False
        self._is_paid = is_paid
        self._remember = remember if is_known is not None else 0
        self._forgot = False
        self._is_known = is_known
        hedge = position_mode is PositionMode.HEDGE
        self._sides = (PositionSide.LONG, PositionSide.SHORT) if hedge else (PositionSide.BOTH,)
        self.fills = 0
        self.unexpected_sides = 0

    def apply(self, fill: Fill) -> bool:
        """Book a fill, unless it was booked before.

        Returns:
            False when the fill was seen before, and nothing was changed.

        Raises:
            FillError: quantity, price, fee or time make no sense; nothing was changed.
        """
        new = self.takes(fill)
        if new:
            self.restore(fill)
        return new

    def takes(self, fill: Fill) -> bool:
        """Whether ``apply`` would book a fill: it is new, and makes sense. Changes nothing.

        Raises:
            FillError: quantity, price, fee or time make no sense.
        """
        if self.knows(fill_key(fill)):
            return False
        _check(fill)
        return True

    def knows(self, key: FillKey) -> bool:
        """Whether a fill was booked before."""
        return key in self._seen or (self._forgot and self._is_known is not None and self._is_known(key))

    def restore(self, fill: Fill) -> None:
        """Book a fill that the journal holds, without asking whether it is known."""
        self._keep(fill_key(fill))
        side = fill.position_side
        if side not in self._sides:
            self.unexpected_sides += 1
        key = (fill.route, fill.venue, fill.account, fill.symbol, side)
        holding = self._line(key)
        holding.book(fill.side, fill.qty, fill.price)
        holding.fees[fill.fee_asset] = _EXACT.add(holding.fees.get(fill.fee_asset, ZERO), fill.fee)
        if fill.maker:
            holding.maker_fills += 1
        else:
            holding.taker_fills += 1
        self.fills += 1

    def pay(self, payment: Payment) -> bool:
        """Book a payment, unless it was booked before.

        Returns:
            False when the payment was seen before, and nothing was changed.

        Raises:
            FillError: its amount or time make no sense; nothing was changed.
        """
        new = self.takes_payment(payment)
        if new:
            self.restore_payment(payment)
        return new

    def takes_payment(self, payment: Payment) -> bool:
        """Whether ``pay`` would book a payment: it is new, and makes sense. Changes nothing.

        Raises:
            FillError: its amount or time make no sense.
        """
        key = payment_key(payment)
        if key in self._paid or (self._forgot_paid and self._is_paid is not None and self._is_paid(key)):
            return False
        if not (sensible(payment.amount) and 0 <= payment.at_ns < _MAX_NS and 0 <= payment.local_ns < _MAX_NS):
            what = f"{payment.kind} {payment.amount} {payment.asset} on {payment.symbol} at {payment.at_ns} ns"
            raise FillError(f"payment {payment.payment_id!r} of {payment.venue} cannot be booked: amount or time is "
                            f"out of range ({what})")  # fmt: skip
        return True

    def restore_payment(self, payment: Payment) -> None:
        """Book a payment that the journal holds, without asking whether it is known."""
        self._paid[payment_key(payment)] = None
        if self._is_paid is not None and len(self._paid) > max(self._remember, 1):
            self._paid.popitem(last=False)
            self._forgot_paid = True
        p = payment
        holding = self._line((p.route, p.venue, p.account, p.symbol, p.position_side))
        holding.payments[p.kind] = _EXACT.add(holding.payments.get(p.kind, ZERO), p.amount)

    def _line(self, key: LedgerKey) -> Holding:
        holding = self._holdings.get(key)
        if holding is None:
            holding = self._holdings[key] = Holding()
        return holding

    def _keep(self, key: FillKey) -> None:
        seen = self._seen
        seen[key] = None
        # Without somebody to ask about older keys none may be forgotten.
        if self._remember and len(seen) > self._remember:
            seen.popitem(last=False)
            self._forgot = True

    def holding(self, key: LedgerKey) -> Holding:
        """The line of a key; an empty one when nothing was traded under it."""
        return self._holdings.get(key) or Holding()

    def holdings(self) -> Iterator[tuple[LedgerKey, Holding]]:
        """Every line, in the order of its first fill."""
        yield from self._holdings.items()

    def position(self, key: LedgerKey) -> Position:
        """The position of a key, flat when nothing was traded under it."""
        return _position(key, self.holding(key))

    def positions(self) -> Iterator[tuple[LedgerKey, Position]]:
        """Every position that is not flat, in the order of its first fill."""
        for key, holding in self._holdings.items():
            if holding.qty:
                yield key, _position(key, holding)


def _share(cost: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    share = _EXACT.divide(_EXACT.multiply(cost, part), whole)
    rounded = _EXACT.quantize(share, _SHARE_STEP)
    return share if share == rounded else rounded


def _position(key: LedgerKey, holding: Holding) -> Position:
    return Position(key[3], key[4], holding.qty, holding.entry_price, holding.realised)


def sensible(number: Decimal) -> bool:
    """Whether a number can be booked exactly: finite, at most 40 digits, within 1E-20 and 1E+20."""
    if not number.is_finite():
        return False
    return not number or (abs(number.adjusted()) <= _MAGNITUDE and _FIELD.plus(number) == number)


def _check(fill: Fill) -> None:
    if not (sensible(fill.qty) and sensible(fill.price) and sensible(fill.fee)):
        wrong = "quantity, price or fee is not a finite number of sensible size"
    elif fill.qty <= 0 or fill.price <= 0:
        wrong = "quantity and price must be above zero"
    elif not (0 <= fill.exchange_ns < _MAX_NS and 0 <= fill.local_ns < _MAX_NS):
        wrong = "its time is out of range"
    else:
        return
    what = f"{fill.side} {fill.qty} {fill.symbol} at {fill.price}, fee {fill.fee} {fill.fee_asset}"
    raise FillError(f"trade {fill.trade_id!r} of {fill.venue} cannot be booked: {wrong} ({what})")
