"""Amounts of money: decimals, rounded where the venue rounds, and tables of them out of settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Final

ZERO: Final = Decimal(0)
CENT: Final = Decimal("1E-8")
"""The venue keeps money at 8 decimals."""
LARGEST: Final = Decimal(10**15)
FINEST: Final = -12
"""Numbers of settings are at most 10^15 and have at most 12 decimals, so that arithmetic with them stays exact."""
SHOWN: Final = 40
"""Characters of a wrong value that an error repeats."""


class TableError(ValueError):
    """Settings hold no sound table. The text names whose it is, the row (from 1), and what to do."""


def money(value: Decimal) -> Decimal:
    """Rounded to 8 decimals, half up (away from zero)."""
    return value.quantize(CENT, ROUND_HALF_UP)


def table(
    where: str, rows: object, required: Collection[str], optional: Collection[str] = ()
) -> list[dict[str, Decimal]]:
    """A table out of settings: a list of rows that map column names to numbers.

    Args:
        where: whose table it is, for errors.
        rows: the list.
        required: columns that every row has.
        optional: columns that a row may have.

    Raises:
        TableError: it is no such table.
    """
    columns = ", ".join(required)
    if not isinstance(rows, list | tuple):
        raise TableError(f"{where}: was {_shown(rows)}; give a list of rows with {columns}")
    if not rows:
        raise TableError(f"{where}: the list is empty; give at least one row with {columns}")
    return [_row(f"{where}, row {number}", row, required, optional) for number, row in enumerate(rows, 1)]


def _row(where: str, row: object, required: Collection[str], optional: Collection[str]) -> dict[str, Decimal]:
    names = [*required, *optional]
    columns = ", ".join(names)
    if not isinstance(row, Mapping):
        raise TableError(f"{where}: was {_shown(row)}; give columns by name: {columns}")
    unknown = [name for name in row if name not in names]
    if unknown:
        raise TableError(f"{where}: {_shown(unknown[0])} is no column; the columns are {columns}")
    missing = [name for name in required if name not in row]
    if missing:
        raise TableError(f"{where}: {missing[0]} is missing; the columns are {columns}")
    return {name: _number(f"{where}: {name}", row[name]) for name in names if name in row}


def _number(where: str, value: object) -> Decimal:
    """A number as it was written; a float stands for its shortest text."""
    wrong = TableError(f"{where} was {_shown(value)}; give a number of at most 10^15 with at most 12 decimals")
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise wrong
    try:
        number = Decimal(str(value))
    except (InvalidOperation, ValueError):
        raise wrong from None
    exponent = number.as_tuple().exponent
    if isinstance(exponent, str) or exponent < FINEST or not -LARGEST <= number <= LARGEST:
        raise wrong
    return number


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python does not print integers of some thousand digits
        return "a number that is far too long"
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."
