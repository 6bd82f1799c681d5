"""Numbers as builders take them: anything that reads as a finite decimal; the message names the argument."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TypeAlias

Number: TypeAlias = Decimal | int | float | str


def decimal(name: str, value: Number, *, least: Decimal | None = None, above: Decimal | None = None) -> Decimal:
    """The value as a finite decimal.

    Args:
        name: of the argument, for the message.
        value: floats are taken as they print.
        least: lowest value allowed.
        above: the value must be greater.

    Raises:
        ValueError: it is no finite number, or too low.
    """
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{name} is {value!r}, must be a number") from None
    if not number.is_finite():
        raise ValueError(f"{name} is {value!r}, must be a finite number")
    if least is not None and number < least:
        raise ValueError(f"{name} is {value!r}, must be at least {least}")
    if above is not None and number <= above:
        raise ValueError(f"{name} is {value!r}, must be above {above}")
    return number


def text(name: str, value: object) -> str:
    """The value, if it is a text that is not empty.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is {value!r}, must be a text that is not empty")
    return value
