"""Counts of executions, for export."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from grinder.metrics.families import family
from grinder.types import Side

if TYPE_CHECKING:
    from prometheus_client.core import Metric


class FillCounts:
    """Counts executions by source, side and liquidity. A source.

    Args:
        sources: where fills may come from in this process (``sim``, ``reconcile``, ``manual``): their series start
            at zero. With none, the series that say ``none`` stand in their place, so that queries find something.
    """

    _NAMES: Final = (
        "grinder_fills_total",
        "grinder_fill_notional_total",
        "grinder_fill_fees_total",
        "grinder_fill_rebates_total",
    )

    def __init__(self, sources: Iterable[str] = ()) -> None:
        self._rows: dict[tuple[str, str, str], list[Decimal]] = {}
        self._unconverted: dict[str, int] = {}
        for source in sources:
            self._open(source)

    def add(self, source: str, side: Side, maker: bool, notional: Decimal, fee: Decimal | None) -> None:
        """Count one execution.

        Args:
            source: where it was learned from.
            side: of the fill.
            maker: whether it added liquidity.
            notional: price times quantity, in quote units.
            fee: in quote units, negative for a rebate; None when its asset cannot be converted.
        """
        if source not in self._unconverted:
            self._open(source)
        row = self._rows[source, side.value.lower(), "maker" if maker else "taker"]
        row[0] += 1
        row[1] += notional
        if fee is None:
            self._unconverted[source] += 1
        elif fee > 0:
            row[2] += fee
        else:
            row[3] -= fee

    def samples(self) -> Iterator[Metric]:
        """The four counters of fills, and the fees that could not be converted."""
        rows = self._rows or {("none", "none", "none"): [Decimal(0)] * 4}
        for index, name in enumerate(self._NAMES):
            yield family(name, ((labels, float(values[index])) for labels, values in rows.items()))
        unconverted = self._unconverted or {"none": 0}
        yield family("grinder_fill_fees_unconverted_total", (((source,), n) for source, n in unconverted.items()))

    def _open(self, source: str) -> None:
        self._unconverted[source] = 0
        for side in ("buy", "sell"):
            for liquidity in ("maker", "taker"):
                self._rows[source, side, liquidity] = [Decimal(0)] * 4
