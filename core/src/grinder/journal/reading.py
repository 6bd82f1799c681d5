"""Reads a journal: to recover from it, to explain from it, also beside the process that writes it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from heapq import merge
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from grinder.journal import archive
from grinder.journal.files import NAME, connect_reader, damaged, reading
from grinder.journal.ledger import FillKey, Ledger, PaymentKey, PositionMode
from grinder.journal.records import Cursor, CursorKey, LoggedEvent, OrderRecord, Recovered
from grinder.journal.rows import Row, event_of, fill_of, intact, intent_intact, payment_of
from grinder.journal.schema import EVERYTHING
from grinder.journal.working import Working, order_after_all
from grinder.types import Fill, IntentKind, Payment

_BY_INTENT: Final = "SELECT * FROM intents WHERE intent_id = ?"
_EVENTS: Final = "SELECT * FROM order_events WHERE client_id = ? ORDER BY seq"
_BY_CLIENT: Final = "SELECT * FROM intents WHERE client_id = ? AND client_id <> ''"


class Reader:
    """A journal that is only read. Every row is held against its checksum.

    All methods raise ``StateError`` when the journal cannot be read or is damaged.
    """

    def __init__(self, directory: Path, db: sqlite3.Connection) -> None:
        self.directory = directory
        self.path = directory / NAME
        self._db = db

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Read the journal in a data directory, whether or not another process writes it."""
        return cls(directory, connect_reader(directory / NAME))

    def close(self) -> None:
        """Stop reading."""
        self._db.close()

    def __enter__(self) -> Self:
        """The reader itself; it is closed at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    @property
    def tag(self) -> str:
        """The instance that writes the journal."""
        return self._meta("tag")

    @property
    def generation(self) -> int:
        """How many runs have written here."""
        return int(self._meta("generation") or 0)

    @property
    def finished(self) -> bool:
        """Whether the last run came to its end, so that nothing is left to recover or go on with."""
        return self._meta("finished") == str(self.generation)

    def _meta(self, key: str) -> str:
        row = self._first("SELECT * FROM meta WHERE key = ?", key)
        return "" if row is None else str(row[1])

    def _rows(self, sql: str, *parameters: object) -> Iterator[Row]:
        with reading(self.path):
            for row in self._db.execute(sql, parameters):
                if not (intent_intact if isinstance(row[-2], bytes) else intact)(row):
                    raise damaged(self.path, f"a row does not match its checksum ({sql}, first column {row[0]!r})")
                yield row

    def verify(self) -> None:
        """Read every row, and hold it against its checksum."""
        for sql in EVERYTHING:
            for _ in self._rows(sql):
                pass

    def decisions(self) -> Iterator[bytes]:
        """Every decision record that is not archived, in the order in which they were made."""
        for row in self._rows("SELECT * FROM intents ORDER BY seq"):
            yield row[-2]

    def decision(self, key: str) -> bytes | None:
        """The decision about an intent, by intent id or client order id; archived ones too. None if there is none."""
        row = self._first(_BY_INTENT, key) or self._first(_BY_CLIENT, key)
        return archive.decision(self.directory, key) if row is None else bytes(row[-2])

    def order(self, client_id: str) -> OrderRecord | None:
        """An order as it is now, final or not; None when it is not here, or archived.

        A reader searches the whole journal; the writer, once ``index`` was called, only what came after.
        """
        history = self._history(client_id)
        return order_after_all(history) if history else None

    def _history(self, client_id: str) -> list[Row]:
        """The intent's row and those of its order's events; empty when there is no such order."""
        intent = self._first(_BY_CLIENT, client_id)
        if intent is None or intent[4] != IntentKind.PLACE:
            return []
        return [intent, *self._rows(_EVENTS, client_id)]

    def _first(self, sql: str, key: str) -> Row | None:
        return next(self._rows(sql, key), None)

    def events(self, client_id: str) -> Iterator[LoggedEvent]:
        """What became known of an order, in that order."""
        for row in self._rows(_EVENTS, client_id):
            yield event_of(row)

    def fills(self) -> Iterator[Fill]:
        """Every fill, in the order in which they were booked."""
        for row in self._rows("SELECT * FROM fills ORDER BY seq"):
            yield fill_of(row)

    def payments(self) -> Iterator[Payment]:
        """Every payment, in the order in which they were booked."""
        for row in self._rows("SELECT * FROM payments ORDER BY seq"):
            yield payment_of(row)

    def has_payment(self, key: PaymentKey) -> bool:
        """Whether a payment is on record."""
        sql = "SELECT 1 FROM payments WHERE (venue, account, kind, payment_id) = (?, ?, ?, ?)"
        with reading(self.path):
            return self._db.execute(sql, key).fetchone() is not None

    def has_fill(self, key: FillKey) -> bool:
        """Whether a fill is on record."""
        sql = "SELECT 1 FROM fills WHERE (venue, account, symbol, trade_id) = (?, ?, ?, ?)"
        with reading(self.path):
            return self._db.execute(sql, key).fetchone() is not None

    def cursors(self) -> dict[CursorKey, Cursor]:
        """How far each symbol's trades were read, by (venue, account, symbol)."""
        rows = self._rows("SELECT * FROM cursors")
        return {(venue, account, symbol): Cursor(*rest) for venue, account, symbol, *rest, _ in rows}

    def state(self) -> dict[str, Any]:
        """What ``put_state`` kept, decoded."""
        return {key: msgspec.json.decode(value) for key, value, _ in self._rows("SELECT * FROM state")}

    def working(self) -> Working:
        """Orders that are not final, and amendments in flight. Reads and verifies every decision and event."""
        working = Working(self._history)
        intents = self._rows("SELECT * FROM intents ORDER BY seq")
        events = self._rows("SELECT * FROM order_events ORDER BY seq")
        working.fold(merge(intents, events, key=itemgetter(0)))
        return working

    def open_orders(self) -> dict[str, OrderRecord]:
        """Orders that are not final, by client id. Reads and verifies every decision and event."""
        return self.working().orders()

    def recover(self, position_mode: PositionMode = PositionMode.ONE_WAY) -> Recovered:
        """Everything that a start needs. Reads and verifies the whole journal."""
        ledger = Ledger(position_mode, is_known=self.has_fill, is_paid=self.has_payment)
        for fill in self.fills():
            ledger.restore(fill)
        for payment in self.payments():
            ledger.restore_payment(payment)
        working = self.working()
        return Recovered(
            tag=self.tag,
            generation=self.generation,
            next_intent_number=self._decisions_made() + 1,
            orders=tuple(working.orders().values()),
            amendments=tuple(working.amendments().values()),
            ledger=ledger,
            cursors=self.cursors(),
            state=self.state(),
            last_event_ns=self._last_event_ns(),
        )

    def _decisions_made(self) -> int:
        with reading(self.path):
            (here,) = self._db.execute("SELECT count(*) FROM intents").fetchone()
        return int(here) + int(self._meta("archived") or 0)

    def _last_event_ns(self) -> int:
        last = "SELECT {} FROM {} ORDER BY seq DESC LIMIT 1"
        sources = (("ts_ns", "intents"), ("ts_ns", "order_events"), ("local_ns", "fills"), ("local_ns", "payments"))
        with reading(self.path):
            rows = [self._db.execute(last.format(*source)).fetchone() for source in sources]
        return max((row[0] for row in rows if row is not None), default=0)
