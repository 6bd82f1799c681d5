"""A few bits for each decision of a run, by its id: a byte each, so that a run of any length fits into memory."""

from __future__ import annotations

from collections import Counter
from typing import Final

BLOCKED: Final = 1
"""Was sent and would not be."""
ALLOWED: Final = 2
"""Was not sent and would be."""
TURNED: Final = 4
"""Anything else that changes what is sent, or may."""
FILLED: Final = 8
"""Has at least one fill."""
FOLLOWED: Final = 16
"""Has a line in ``markouts.jsonl``."""

_STEP: Final = 1 << 16
"""Largest hole between two numbers that is filled up."""
_MOST_PREFIXES: Final = 64


class Marks:
    """Bits by decision id. Ids of a run are numbered one after the other; any other id is kept as it is."""

    def __init__(self) -> None:
        self._numbered: dict[str, bytearray] = {}
        self._others: dict[str, int] = {}

    def add(self, known: str, bits: int) -> None:
        """Set bits of one decision."""
        prefix, _, digits = known.rpartition("-")
        row = self._numbered.get(prefix)
        if row is None and len(self._numbered) < _MOST_PREFIXES:
            row = self._numbered[prefix] = bytearray()
        number = _number(digits)
        if row is None or not 0 <= number < len(row) + _STEP:
            self._others[known] = self._others.get(known, 0) | bits
            return
        if number >= len(row):
            row.extend(bytes(number + 1 - len(row)))
        row[number] |= bits

    def counts(self) -> Counter[int]:
        """How many decisions there are of each combination of bits."""
        return sum((Counter(row) for row in self._numbered.values()), Counter(self._others.values()))

    def get(self, known: str) -> int:
        """The bits of one decision."""
        if self._others and known in self._others:
            return self._others[known]
        prefix, _, digits = known.rpartition("-")
        row = self._numbered.get(prefix)
        if row is None:
            return 0
        number = _number(digits)
        return row[number] if 0 <= number < len(row) else 0


def _number(digits: str) -> int:
    """The number that ids of a run end with; -1 for anything that is not written as they are."""
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 12):
        return -1
    number = int(digits)
    return number if f"{number:06d}" == digits else -1
