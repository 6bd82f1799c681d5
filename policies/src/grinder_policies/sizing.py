"""Sizing: how a wanted notional becomes a quantity. It only ever rounds down and never inflates to a minimum."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Final, Protocol

from grinder import Instrument

ZERO: Final = Decimal(0)

EXACT: Final = Context(prec=100)
"""Digits enough for products of prices, lots and balances to be exact, so that no quotient is rounded up."""


class SizingSettings(Protocol):
    """What is read of the ``sizing`` settings."""

    @property
    def leverage(self) -> Decimal: ...  # noqa: D102 - the settings' own descriptions say it
    @property
    def notional_cap_usd(self) -> Decimal: ...  # noqa: D102
    @property
    def use_all_in(self) -> bool: ...  # noqa: D102
    @property
    def min_free_balance_usd(self) -> Decimal: ...  # noqa: D102


def size(
    notional: Decimal, price: Decimal, instrument: Instrument, free_balance: Decimal, settings: SizingSettings
) -> Decimal:
    """The largest multiple of the lot size that fits.

    Args:
        notional: what the strategy wants, quote units; not looked at when ``use_all_in`` is set.
        price: price that values the order, quote units.
        instrument: lot size and minimums.
        free_balance: balance that is not bound, quote units.
        settings: ``sizing``.

    Returns:
        Base units; zero when the free balance, the quantity or its value is below the minimum, or an argument is
        not a positive number.
    """
    given = (price, free_balance) if settings.use_all_in else (notional, price, free_balance)
    if not all(value.is_finite() and value > 0 for value in given) or free_balance < settings.min_free_balance_usd:
        return ZERO
    most = min(settings.notional_cap_usd, EXACT.multiply(free_balance, settings.leverage))
    value = most if settings.use_all_in else min(notional, most)
    lots = EXACT.divide_int(value, EXACT.multiply(price, instrument.lot_size))
    qty = EXACT.multiply(lots, instrument.lot_size)
    if qty < instrument.min_qty or EXACT.multiply(qty, price) < instrument.min_notional:
        return ZERO
    return qty
