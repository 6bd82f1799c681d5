"""What a program gives as a number, a text or a time, taken exactly or refused with a sentence that says why."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Final, TypeAlias, TypeVar

from grinder.errors import CallError
from grinder.journal.ledger import sensible
from grinder.types import Side

Number: TypeAlias = str | int | float | Decimal
"""A price or quantity as programs have it; floats are taken by their shortest text."""

EnumT = TypeVar("EnumT", bound=StrEnum)

LONGEST: Final = 300
"""Characters of a text that a record keeps."""
AHEAD_NS: Final = 5_000_000_000
"""How far a venue's clock may be ahead of ours."""
PLAUSIBLE_NS: Final = 10**17
"""Times below it are in another unit, when the clock itself is above it."""


def number(name: str, value: Number, *, least: Decimal | None = None, above_zero: bool = False) -> Decimal:
    """A finite number of sensible size.

    Raises:
        CallError: it is none, or out of range.
    """
    found = _decimal(value)
    if found is None:
        raise CallError(
            f"{name} was {value!r:.60} ({type(value).__name__}), must be a number: str, int, float, Decimal"
        )
    if not sensible(found):
        raise CallError(f"{name} was {value!r:.60}, must be finite and of sensible size; unknown is no number")
    if (above_zero and found <= 0) or (least is not None and found < least):
        raise CallError(f"{name} was {found}, must be {'above zero' if above_zero else f'{least} or more'}")
    return found


def _decimal(value: object) -> Decimal | None:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return Decimal(float.__repr__(value))  # numpy's floats are floats with another repr
    if isinstance(value, int):
        return Decimal(value)
    try:
        return Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        return None


def text(name: str, value: object, *, empty: bool = True) -> str:
    """A text, cut to what a record keeps.

    Raises:
        CallError: it is no text, or is empty and must not be.
    """
    if not isinstance(value, str):
        raise CallError(f"{name} was {type(value).__name__}, must be a str")
    if not value and not empty:
        raise CallError(f"{name} was empty")
    return value[:LONGEST].encode("utf-8", "backslashreplace").decode()


def member(name: str, kind: type[EnumT], value: object) -> EnumT:
    """A member of an enumeration, as such or by its name in any case.

    Raises:
        CallError: it is none.
    """
    try:
        return kind(str(value).upper())
    except ValueError:
        raise CallError(f"{name} was {value!r:.60}, must be one of {', '.join(kind)}") from None


def side_of(value: object) -> Side:
    """A side, as ``Side`` or as ``buy``, ``SELL`` and the like.

    Raises:
        CallError: it is neither.
    """
    return member("side", Side, value)


def moment(name: str, value: int | None, now: int) -> int:
    """A time in ns, at the latest now; None is now.

    Raises:
        CallError: it is no integer, in another unit, or far ahead of the clock.
    """
    if value is None:
        return now
    if type(value) is not int or value < 0:
        raise CallError(f"{name} was {value!r:.60}, must be nanoseconds since 1970 as an int")
    if value < PLAUSIBLE_NS <= now:
        raise CallError(f"{name} was {value}: too small for nanoseconds since 1970; multiply ms by 1_000_000")
    if value > now + AHEAD_NS:
        ahead = (value - now) / 1e9
        raise CallError(f"{name} was {ahead:,.0f} s ahead of the clock: is it in ns, and is the machine's clock right?")
    return min(value, now)
