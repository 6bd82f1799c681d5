"""What may still trade at the end of a journal: orders that are not final, and amendments of them in flight."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from grinder.journal.records import AMENDED, AMENDMENT_OVER, OrderRecord, order_after
from grinder.journal.rows import Row, event_of, order_of
from grinder.types import FINAL_STATES, IntentKind

_CLIENT, _KIND, _TARGET = 3, 4, 16
"""Columns of ``intents``."""
_ORDER, _WHAT, _STATE, _DETAIL = 1, 3, 4, 9
"""Columns of ``order_events``."""


class Working:
    """A fold over decisions and events in the order of ``seq``; of what is over, nothing is kept.

    Args:
        history: the rows of one order, for the rare one that was final and then turned out not to be.
    """

    def __init__(self, history: Callable[[str], list[Row]]) -> None:
        self._history = history
        self._histories: dict[str, list[Row]] = {}
        self._asked: dict[str, dict[str, Row]] = {}

    def fold(self, rows: Iterable[Row]) -> None:
        """Take in rows of both tables."""
        for row in rows:
            if isinstance(row[-2], bytes):
                self._decided(row)
            else:
                self._happened(row)

    def orders(self) -> dict[str, OrderRecord]:
        """Orders that are not final, by client id, oldest first."""
        return {client_id: order_after_all(history) for client_id, history in self._histories.items() if history}

    def amendments(self) -> dict[str, OrderRecord]:
        """Amendments of these orders that may still be carried out, by their own client id, oldest first."""
        rows = sorted(row for asked in self._asked.values() for row in asked.values())
        return {row[_CLIENT]: order_of(row) for row in rows}

    def _decided(self, row: Row) -> None:
        if not row[_CLIENT]:
            return
        if row[_KIND] == IntentKind.PLACE:
            self._histories[row[_CLIENT]] = [row]
        elif self._histories.get(row[_TARGET]):
            self._asked.setdefault(row[_TARGET], {})[row[_CLIENT]] = row

    def _happened(self, row: Row) -> None:
        client_id = row[_ORDER]
        if row[_STATE] in FINAL_STATES:
            self._histories.pop(client_id, None)
            self._asked.pop(client_id, None)
            return
        if row[_WHAT] in {AMENDED, AMENDMENT_OVER} and client_id in self._asked:
            self._asked[client_id].pop(row[_DETAIL].split(" ", 1)[0], None)
        history = self._histories.get(client_id)
        if history is None:
            # It was final, until a fill proved that it was not; or it is no order of this journal. Events that follow
            # are in its history already, and change nothing when they are read again.
            self._histories[client_id] = self._history(client_id)
        elif history:
            history.append(row)


def order_after_all(history: list[Row]) -> OrderRecord:
    """The order at the end of its history: its intent's row, then those of its events."""
    order = order_of(history[0])
    for row in history[1:]:
        order = order_after(order, event_of(row))
    return order
