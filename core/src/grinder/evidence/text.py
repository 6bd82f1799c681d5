"""Plain text for people: numbers, tables, and foreign words that cannot steer a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from math import isfinite
from typing import Final

_WIDEST: Final = 24


def printable(text: object) -> str:
    """Text with control characters made visible: what comes from outside must not steer a terminal."""
    plain = str(text)
    if plain.isprintable():
        return plain
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in plain)


def number(value: Decimal | float | None, digits: int = 4) -> str:
    """A number for people: thousands apart, at most ``digits`` decimals, no trailing zeros; ``-`` for None."""
    if value is None:
        return "-"
    if isinstance(value, Decimal):
        if not value.is_finite() or value.adjusted() > _WIDEST:
            return str(value)
    elif not isfinite(value):
        return str(value)
    text = f"{value:,.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def percent(part: int, whole: int) -> str:
    """A share in per cent; a dash of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else "\N{EN DASH}"


def many(count: int, noun: str) -> str:
    """A count and what is counted, a plural unless it is one."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def signed(text: str) -> str:
    """A number's text with true minus signs."""
    return text.replace("-", "\N{MINUS SIGN}")


def cash(value: Decimal | float) -> str:
    """An amount of money for people: two decimals, a true minus."""
    text = number(value, 2)
    if not text.lstrip("-").replace(",", "").replace(".", "").isdigit():
        return text
    text = f"{value:,.2f}"
    return "0.00" if text == "-0.00" else signed(text)


def table(header: Sequence[str], rows: Sequence[Sequence[object]], numbers: int) -> Iterator[str]:
    """Rows in aligned columns; the columns from index 1 to ``numbers`` are set flush right."""
    cells = [header, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    for row in cells:
        line = (
            c.rjust(w) if 1 <= i <= numbers else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(line).rstrip()
