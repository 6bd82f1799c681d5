"""What the account has made, valued at the prices of this moment: one calculation for the summary and the timeline."""

from __future__ import annotations

from decimal import Decimal, localcontext

import msgspec

from grinder.engine.arithmetic import EXACT
from grinder.journal.ledger import Ledger
from grinder.market.state import MarketState

ZERO = Decimal(0)
CENT = Decimal("1E-12")
_DEAREST = 1e15
"""No price is above it; a feed that says so is broken."""


class Worth(msgspec.Struct, frozen=True, kw_only=True):
    """Profit and loss in quote units.

    ``fees`` are paid ones, rebates deducted; ``payments`` what was received by kind, what was paid taken off. ``net``
    is after both.
    """

    realised: Decimal
    unrealised: Decimal
    fees: Decimal
    payments: dict[str, Decimal]
    net: Decimal

    @property
    def parts(self) -> dict[str, Decimal]:
        """What ``net`` is made of, by name; costs are negative."""
        return {"realised": self.realised, "unrealised": self.unrealised, "fees": -self.fees, **self.payments}


def worth(ledger: Ledger, market: MarketState) -> Worth:
    """Value everything that the ledger holds; what has no price counts as if it were worth its cost."""
    payments: dict[str, Decimal] = {}
    with localcontext(EXACT):
        fees = realised = unrealised = ZERO
        for key, holding in ledger.holdings():
            fees += sum(holding.fees.values(), ZERO)
            realised += holding.realised
            for kind, amount in holding.payments.items():
                name = kind.value.lower()
                payments[name] = payments.get(name, ZERO) + amount
            price = value_price(market, key[3])
            if price is not None:
                unrealised += holding.unrealised(price)
        net = money(realised + unrealised + sum(payments.values(), ZERO) - fees)
    return Worth(
        realised=money(realised),
        unrealised=money(unrealised),
        fees=fees,
        payments=dict(sorted(payments.items())),
        net=net,
    )


def value_price(market: MarketState, symbol: str) -> Decimal | None:
    """Mark price, else mid; None when nothing sensible is known."""
    view = market.view(symbol)
    price = view.mark or view.mid
    # A mid of two floats may carry noise in its last digits; no tick is as small as what is cut off.
    return money(Decimal(repr(price)).quantize(Decimal("1E-10"))) if 0 < price < _DEAREST else None


def money(amount: Decimal) -> Decimal:
    """An amount without the noise of average prices that do not terminate: twelve decimals, no trailing zeros."""
    plain = amount.quantize(CENT).normalize()
    return plain if plain.as_tuple().exponent <= 0 else plain.quantize(Decimal(1))  # type: ignore[operator]
