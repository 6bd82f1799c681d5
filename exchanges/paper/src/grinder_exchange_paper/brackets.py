"""Brackets: how much margin a position needs, by its notional, and how much leverage it may have."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple

from grinder_exchange_paper.amounts import ZERO, TableError, table

REQUIRED: Final = ("cap", "mmr", "max_leverage")


class Bracket(NamedTuple):
    """Positions whose notional is above that of the bracket before and at most ``cap``.

    Attributes:
        cap: largest notional, in quote units.
        mmr: maintenance margin rate, a fraction of the notional.
        max_leverage: highest leverage.
        cum: what is deducted, in quote units, so that maintenance margin does not jump between brackets.
    """

    cap: Decimal
    mmr: Decimal
    max_leverage: Decimal
    cum: Decimal


class Brackets:
    """The brackets of one symbol, lowest first.

    Args:
        rows: the brackets; ``parse`` and ``build`` make sound ones.
        closing_rate: estimated fee to close, a fraction of the notional, that the venue adds to initial and
            maintenance margin (Bybit does, Binance does not).
    """

    __slots__ = ("_caps", "closing_rate", "rows")

    def __init__(self, rows: Iterable[Bracket], closing_rate: Decimal = ZERO) -> None:
        self.rows = tuple(rows)
        self.closing_rate = closing_rate
        self._caps = [row.cap for row in self.rows]

    def at(self, notional: Decimal) -> Bracket:
        """The bracket of a notional at mark price; the last one when it is beyond all."""
        return self.rows[min(bisect_left(self._caps, notional), len(self.rows) - 1)]

    def maintenance(self, notional: Decimal) -> Decimal:
        """Maintenance margin of a position, in quote units."""
        row = self.at(notional)
        return notional * (row.mmr + self.closing_rate) - row.cum

    def max_notional(self, leverage: int) -> Decimal:
        """Largest notional that may be held at a leverage; 0 when no bracket allows that leverage."""
        return max((row.cap for row in self.rows if row.max_leverage >= leverage), default=ZERO)

    def max_leverage(self, notional: Decimal) -> Decimal:
        """Highest leverage that a position of that notional may have; 0 beyond the last bracket."""
        return self.at(notional).max_leverage if notional <= self._caps[-1] else ZERO


def parse(symbol: str, rows: object, closing_rate: Decimal = ZERO) -> Brackets:
    """Brackets out of settings: a list of rows with ``cap``, ``mmr``, ``max_leverage`` and, optionally, ``cum``.

    Raises:
        TableError: the rows are no sound table; the text names the symbol and the row.
    """
    where = f"brackets of {symbol}"
    parsed = table(where, rows, REQUIRED, ("cum",))
    brackets = build((row["cap"], row["mmr"], row["max_leverage"]) for row in parsed)
    for number, (given, row) in enumerate(zip(parsed, brackets.rows, strict=True), 1):
        _check(f"{where}, row {number}", row, brackets.rows[number - 2] if number > 1 else None)
        if given.get("cum", row.cum) != row.cum:
            raise TableError(
                f"{where}, row {number}: cum was {given['cum']}, but maintenance margin is continuous only with "
                f"{row.cum.normalize():f}; correct it, or leave it out to have it computed"
            )
    brackets.closing_rate = closing_rate
    return brackets


def build(rows: Iterable[tuple[Decimal, Decimal, Decimal]]) -> Brackets:
    """Brackets of (cap, mmr, max leverage), with the ``cum`` that makes maintenance margin continuous.

    At the floor of each bracket both rates give the same: cum = floor x (mmr - mmr before) + cum before.
    """
    built: list[Bracket] = []
    floor = mmr_before = cum = ZERO
    for cap, mmr, max_leverage in rows:
        cum += floor * (mmr - mmr_before)
        built.append(Bracket(cap, mmr, max_leverage, cum))
        floor, mmr_before = cap, mmr
    return Brackets(built)


def _check(where: str, row: Bracket, before: Bracket | None) -> None:
    """Caps and rates rise, leverage falls; a position at the highest leverage is not liquidated at once."""
    floor, least, most = (before.cap, before.mmr, before.max_leverage) if before else (ZERO, ZERO, Decimal(1000))
    if row.cap <= floor:
        raise TableError(f"{where}: cap was {row.cap}; it has to be above {floor}, where the row begins")
    if not (least <= row.mmr < 1 and row.mmr):
        raise TableError(f"{where}: mmr was {row.mmr}; it has to be a fraction above 0, below 1, not below {least}")
    if not 1 <= row.max_leverage <= most or row.max_leverage != int(row.max_leverage):
        raise TableError(f"{where}: max_leverage was {row.max_leverage}; it has to be a whole number from 1 to {most}")
    if row.mmr * row.max_leverage >= 1:
        raise TableError(
            f"{where}: with mmr {row.mmr}, a position at max_leverage {row.max_leverage} is liquidated at once; "
            "lower one of them"
        )


def _shipped(text: str) -> Brackets:
    """Brackets out of lines with cap (thousands), mmr and max leverage."""
    return build(
        (Decimal(cap) * 1000, Decimal(mmr), Decimal(leverage))
        for cap, mmr, leverage in (line.split() for line in text.strip().splitlines())
    )


BINANCE: Final[Mapping[str, Brackets]] = MappingProxyType(
    {
        "BTCUSDT": _shipped("""
                300  0.004   150
                800  0.005   100
              3_000  0.0065   75
             12_000  0.01     50
             70_000  0.02     25
            100_000  0.025    20
            230_000  0.05     10
            480_000  0.1       5
            600_000  0.125     4
            800_000  0.15      3
          1_200_000  0.25      2
          1_800_000  0.5       1
        """),
        "ETHUSDT": _shipped("""
                300  0.004   150
                800  0.005   100
              3_000  0.0065   75
             12_000  0.01     50
             50_000  0.02     25
             65_000  0.025    20
            150_000  0.05     10
            320_000  0.1       5
            400_000  0.125     4
            530_000  0.15      3
            800_000  0.25      2
          1_200_000  0.5       1
        """),
    }
)
"""Binance USD-M as of 2026-09-29."""

BYBIT: Final = _shipped("""
    2_000  0.005   100
    2_600  0.0056   90
    3_200  0.0063   80
    3_800  0.0067   75
    4_400  0.0071   70
    5_000  0.0077   65
""")
"""Bybit BTCUSDT as of 2023, the lowest six brackets: its present table is not public in full. No larger position."""

DEFAULT: Final = _shipped("""
       50  0.02   25
      250  0.05   10
    1_000  0.1     5
    2_000  0.125   4
    4_000  0.25    2
    5_000  0.5     1
""")
"""For symbols without a table: maintenance margin is half of the initial margin at the highest leverage, and small
positions need what only large ones need elsewhere. Made up, to be on the safe side; give the venue's own rows."""


def of(symbol: str, given: Mapping[str, Brackets] = BINANCE) -> Brackets:
    """The brackets of a symbol: from ``given``, else those shipped for Binance, else ``DEFAULT``."""
    return given.get(symbol) or BINANCE.get(symbol, DEFAULT)
