"""Fees: maker and taker tiers by 30-day volume, and what a liquidation costs."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from decimal import ROUND_DOWN, Decimal
from typing import Final, NamedTuple

from grinder_exchange_paper.amounts import CENT, ZERO, TableError, money, table

DAY_NS: Final = 86_400_000_000_000
DAYS: Final = 30
"""Days of trading that decide on a fee tier."""
CLEARANCE: Final = Decimal("0.0125")
"""Binance's liquidation clearance fee for BTCUSDT and ETHUSDT, a fraction of the notional that is liquidated."""


class Tier(NamedTuple):
    """Rates, as fractions, of accounts that have traded at least ``volume_from`` quote units. Rebates are negative."""

    volume_from: Decimal
    maker: Decimal
    taker: Decimal


def parse(rows: object) -> tuple[Tier, ...]:
    """Tiers out of settings: a list of rows with ``volume_from``, ``maker`` and ``taker``, the first from volume 0.

    Raises:
        TableError: the rows are no sound table; the text names the row.
    """
    tiers = tuple(Tier(**row) for row in table("fee_tiers", rows, Tier._fields))
    if tiers[0].volume_from:
        raise TableError(f"fee_tiers, row 1: volume_from was {tiers[0].volume_from}; the first tier is from volume 0")
    for number, tier in enumerate(tiers, 1):
        where = f"fee_tiers, row {number}"
        if number > 1 and tier.volume_from <= tiers[number - 2].volume_from:
            raise TableError(
                f"{where}: volume_from was {tier.volume_from}; it has to be above {tiers[number - 2].volume_from}, "
                "that of the row before"
            )
        if not (-1 < tier.maker < 1 and -1 < tier.taker < 1):
            raise TableError(f"{where}: maker {tier.maker} and taker {tier.taker} have to be fractions, as 0.0002")
        if tier.maker + tier.taker < 0:
            raise TableError(
                f"{where}: the maker rebate {tier.maker} is larger than the taker fee {tier.taker}: "
                "the venue would pay for trading; correct one of them"
            )
    return tiers


class Schedule:
    """Which tier applies: a fold over own fills.

    The tier of a day (UTC) follows from the volume of the 30 days before it, as the venue reckons it at midnight;
    the fills of today count from tomorrow on. A sum is kept for each day, so memory does not grow.

    Args:
        tiers: the tiers, lowest volume first.

    Attributes:
        volume: volume, in quote units, on which the rate that was asked for last is based.
    """

    __slots__ = ("_current", "_days", "_ends_ns", "_floors", "_tiers", "volume")

    def __init__(self, tiers: Iterable[Tier]) -> None:
        self._tiers = tuple(tiers)
        self._floors = [tier.volume_from for tier in self._tiers]
        self._days: deque[tuple[int, Decimal]] = deque()  # day since 1970 and its volume
        self._current = self._tiers[0]
        self._ends_ns = 0
        self.volume = ZERO

    def add(self, at_ns: int, volume: Decimal) -> None:
        """Count a fill; fills come in order of time, and one that is late counts for the latest day."""
        day = at_ns // DAY_NS
        if self._days and self._days[-1][0] >= day:
            last, sum_ = self._days[-1]
            self._days[-1] = (last, sum_ + volume)
        else:
            self._days.append((day, volume))
            while self._days[0][0] < day - DAYS:
                self._days.popleft()

    def rate(self, at_ns: int, *, maker: bool) -> Decimal:
        """The rate of a fill at that time."""
        if at_ns >= self._ends_ns:
            self._turn(at_ns // DAY_NS)
        return self._current.maker if maker else self._current.taker

    def _turn(self, today: int) -> None:
        """A new day: what has been traded before it decides."""
        window = (volume for day, volume in self._days if today - DAYS <= day < today)
        self.volume = sum(window, ZERO)
        self._current = self._tiers[bisect_right(self._floors, self.volume) - 1]
        self._ends_ns = (today + 1) * DAY_NS


def fee(price: Decimal, qty: Decimal, rate: Decimal) -> Decimal:
    """Fee of a fill in quote units; below zero it is a rebate."""
    return money(price * qty * rate)


def clearance(notional: Decimal, left: Decimal, rate: Decimal = CLEARANCE) -> Decimal:
    """What the insurance fund takes of a liquidation, in quote units.

    Args:
        notional: what is liquidated, at the price of its fill.
        left: margin that the fill leaves; no more than that is taken.
        rate: fraction of the notional.
    """
    return max(ZERO, min(money(notional * rate), left.quantize(CENT, ROUND_DOWN)))
