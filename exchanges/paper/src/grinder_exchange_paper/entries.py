"""Entries: what changes an account beside fills.

Each holds the amounts that were reckoned when it happened, so that a replay needs no prices and no settings.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TypeAlias

import msgspec

from grinder import PositionSide


class MarginSet(msgspec.Struct, frozen=True, tag_field="op", tag="margin"):
    """Margin mode and leverage of a symbol."""

    at_ns: int
    symbol: str
    isolated: bool
    leverage: int


class Moved(msgspec.Struct, frozen=True, tag_field="op", tag="transfer"):
    """Margin went from the cross wallet into the wallet of an isolated position; below zero, back."""

    at_ns: int
    symbol: str
    position_side: PositionSide
    amount: Decimal


class Funded(msgspec.Struct, frozen=True, tag_field="op", tag="funding"):
    """A position received funding; below zero, it paid.

    Attributes:
        at_ns: the instant of the venue to which it belongs.
        rate: funding rate, a fraction.
        mark: mark price at the instant.
        amount: in quote units.
    """

    at_ns: int
    symbol: str
    position_side: PositionSide
    rate: Decimal
    mark: Decimal
    amount: Decimal


class Cleared(msgspec.Struct, frozen=True, tag_field="op", tag="clearance"):
    """A liquidated position paid the clearance fee."""

    at_ns: int
    symbol: str
    position_side: PositionSide
    amount: Decimal


class Insured(msgspec.Struct, frozen=True, tag_field="op", tag="insurance"):
    """The insurance fund made good what a liquidation had left below zero in the cross wallet."""

    at_ns: int
    amount: Decimal


class Corrected(msgspec.Struct, frozen=True, tag_field="op", tag="correction"):
    """The cross wallet was changed by hand: a deposit, a withdrawal, or a correction of what another record says."""

    at_ns: int
    amount: Decimal
    reason: str


Entry: TypeAlias = MarginSet | Moved | Funded | Cleared | Insured | Corrected
