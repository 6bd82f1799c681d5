"""Rows of comma-separated files, checked one by one: what archives of different makers have in common."""

from __future__ import annotations

import re
from collections.abc import Iterator

from grinder.feeds.damage import NS_PER_MS, NS_PER_US, FrameError
from grinder.feeds.layout import Blocks

_DECIMAL = re.compile(r"\d{1,18}(?:\.\d{1,18})?(?:[eE]-?\d{1,2})?")
_INTEGER = re.compile(r"\d{1,18}")
_US_FROM = 10**14
"""Times from here on are in microseconds: as milliseconds they would be thousands of years away."""


def numbered(blocks: Blocks) -> Iterator[tuple[int, bytes]]:
    """Number and text of every line that is not blank."""
    number = 0
    for lines in blocks:
        for number, line in enumerate(lines, number + 1):  # noqa: B020 - lines are counted across blocks
            if line.strip():
                yield number, line


def split_row(line: bytes, count: int) -> list[str]:
    """The fields of a row.

    Raises:
        FrameError: it has another number of fields, or is no text.
    """
    try:
        fields = line.decode("ascii").rstrip("\r").split(",")
    except UnicodeDecodeError as error:
        raise FrameError("line_format", "the row is no plain text") from error
    if len(fields) != count:
        raise FrameError("line_format", f"the row has {len(fields)} fields where {count} belong")
    return fields


def decimal(text: str) -> str:
    """The text of a price or quantity, as it is.

    Raises:
        FrameError: it is no number from 0 to 1e18.
    """
    if not _DECIMAL.fullmatch(text) or not float(text) <= 1e18:
        raise FrameError("number", f"a price or quantity is {text[:40]!r}, not a number from 0 to 1e18")
    return text


def whole(text: str) -> int:
    """An id.

    Raises:
        FrameError: it is no whole number of up to 18 digits.
    """
    if not _INTEGER.fullmatch(text):
        raise FrameError("invalid", f"an id or time is {text[:40]!r}, not a whole number")
    return int(text)


def time_ns(text: str) -> int:
    """A time in ms or us, told apart by its size, in ns.

    Raises:
        FrameError: it is neither.
    """
    value = whole(text)
    ns = value * (NS_PER_US if value >= _US_FROM else NS_PER_MS)
    if not 0 < ns < 10**20:
        raise FrameError("invalid", f"a time is {text[:40]!r}, which is neither milliseconds nor microseconds")
    return ns


def flag(text: str) -> bool:
    """A truth value.

    Raises:
        FrameError: it is neither true nor false.
    """
    value = text.lower()
    if value not in ("true", "false"):
        raise FrameError("invalid", f"a field is {text[:40]!r}, neither true nor false")
    return value == "true"


def in_sequence(what: str, at: int, last: int, part: str = "row") -> None:
    """Check an id against the one before it; ``part`` is what carries it.

    Raises:
        FrameError: it is not larger.
    """
    if at <= last:
        again = "repeats" if at == last else "goes back to"
        raise FrameError("sequence", f"{what} {again} id {at} after {last}; a {part} is doubled or moved")
