"""The journal that a run writes: decisions, orders, fills and state, durable before anything is sent.

Everything is appended to a batch in memory, and ``commit`` writes the batch in one transaction: after a crash all of
it is there or nothing. A commit that fails loses nothing: the batch stays, and the next commit tries again.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from decimal import Decimal
from io import FileIO
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from grinder.clock import measure_ns
from grinder.errors import StateError
from grinder.journal import archive, files
from grinder.journal.files import NAME, Sync, damaged
from grinder.journal.identity import random_tag
from grinder.journal.ledger import FillKey, PaymentKey
from grinder.journal.lookup import Lookup
from grinder.journal.reading import Reader
from grinder.journal.records import OrderRecord
from grinder.journal.rows import Row, fill_row, intent_row, payment_row, signed
from grinder.journal.schema import (
    ADVANCE_CURSOR,
    INSERT_EVENT,
    INSERT_FILL,
    INSERT_INTENT,
    INSERT_PAYMENT,
    LAST_SEQ,
    PUT_META,
    PUT_STATE,
)
from grinder.types import Fill, IntentKind, OrderState, Payment

_BY_SEQ: Final = ("SELECT * FROM intents WHERE seq = ?", "SELECT * FROM order_events WHERE seq = ?")

LOOK_NS: Final = 10_000_000
"""Least time between two looks at whether the journal's file is still where it was."""


class JournalUnavailable(StateError):  # noqa: N818 - named like its reason code, JOURNAL_UNAVAILABLE
    """The journal cannot be written now (disk full, read-only, locked). Nothing is lost: commit again later."""


class Journal(Reader):
    """The journal of the one process that has the data directory.

    One thread appends and reads; another may ``commit``, ``checkpoint`` or ``archive`` meanwhile. What is appended
    while a commit runs waits for the next one.
    """

    def __init__(self, directory: Path, db: sqlite3.Connection, lock: FileIO) -> None:
        super().__init__(directory, db)
        self._lock = lock
        self._committing = threading.Lock()
        self._batch: list[tuple[str, Row]] = []
        self._ended = False
        self._lookup: Lookup | None = None
        self._generation = super().generation
        self._file = self.path.absolute()
        self._look_at = 0
        with files.reading(self.path):
            (self._seq,) = db.execute(LAST_SEQ).fetchone()
            self._inode = self._file.stat().st_ino

    @classmethod
    def open(cls, directory: Path, *, sync: Sync = "power", tag: str | None = None) -> Self:
        """Take a data directory and its journal, made if there is none; start-up and recovery are the same.

        A journal that a finished run left is opened as it is; ``resume`` lets another run write to it.

        Args:
            directory: the data directory.
            sync: ``power`` makes each commit survive a power cut, ``process`` only the end of the process.
            tag: the instance tag that the journal must have, or gets when it is new; None for the one it has, or a
                random one.

        Raises:
            StateError: the directory is in use or cannot be written; the journal is damaged, or another instance's.
        """
        lock = files.lock(directory)
        try:
            path = directory / NAME
            if not os.path.lexists(path):
                files.create(path, tag or random_tag())
            files.check(path)
            with Reader.open(directory) as reader:
                reader.verify()
            journal = cls(directory, files.connect_writer(path, sync), lock)
        except BaseException:
            lock.close()
            raise
        try:
            journal._begin(tag)
        except BaseException:
            journal._release()
            raise
        return journal

    def _begin(self, tag: str | None) -> None:
        if tag is not None and tag != self.tag:
            raise StateError(
                f"{self.path} belongs to instance {self.tag}, not {tag}: choose another data directory, or use the "
                "seed that it was made with"
            )
        self._ended = self.finished
        if not self._ended:
            self._next_generation()

    def _next_generation(self) -> None:
        self._generation += 1
        self._ended = False
        self._batch.append((PUT_META, signed("generation", str(self._generation))))
        self.commit()

    @property
    def generation(self) -> int:
        """How many runs have written here, this one included."""
        return self._generation

    def resume(self) -> None:
        """Let another run write to a journal that a finished run left."""
        if self._ended:
            self._next_generation()

    def mark_finished(self) -> None:
        """Commit, and say that the run came to its end; nothing is written after it."""
        self._batch.append((PUT_META, signed("finished", str(self._generation))))
        self.commit()
        self._ended = True

    @property
    def pending(self) -> int:
        """How many rows are not durable yet."""
        return len(self._batch)

    def rewind(self, pending: int) -> None:
        """Take back the decisions appended since ``pending`` had this value, which no commit has written.

        Fills, events and state appended meanwhile stay: they have happened.
        """
        with self._committing:
            self._batch[pending:] = [entry for entry in self._batch[pending:] if entry[0] is not INSERT_INTENT]

    def record_decision(self, intent_id: str, ts_ns: int, record: bytes, order: OrderRecord | None = None) -> None:
        """Append a decision and, when it lets an order through, the order: both become durable, or neither.

        Args:
            intent_id: the intent; each is decided once.
            ts_ns: when it was decided.
            record: the decision as JSON.
            order: None for a decision that is not to be sent.
        """
        self._seq = seq = self._seq + 1
        self._batch.append((INSERT_INTENT, intent_row(seq, intent_id, ts_ns, record, order)))

    def order_event(
        self,
        client_id: str,
        kind: str,
        ts_ns: int,
        state: OrderState,
        filled_qty: Decimal,
        *,
        qty: Decimal | None = None,
        price: Decimal | None = None,
        venue_order_id: str = "",
        detail: str = "",
    ) -> None:
        """Append what became known of an order.

        Args:
            client_id: the order.
            kind: what happened, as an ``OrderEvent`` or another word.
            ts_ns: when it became known.
            state: state of the order after it.
            filled_qty: quantity filled so far (base units).
            qty: the new quantity, when it was amended.
            price: the new price, when it was amended.
            venue_order_id: the venue's id, when it became known.
            detail: the venue's words.
        """
        self._seq = seq = self._seq + 1
        row = signed(
            seq,
            client_id,
            ts_ns,
            str(kind),
            state.value,
            str(filled_qty),
            None if qty is None else str(qty),
            None if price is None else str(price),
            venue_order_id,
            detail,
        )
        self._batch.append((INSERT_EVENT, row))

    def fill(
        self,
        fill: Fill,
        *,
        state: OrderState | None = None,
        filled_qty: Decimal = Decimal(0),
        advance: bool = True,
    ) -> None:
        """Append a fill that the ledger has just booked, what it does to its order, and the symbol's cursor.

        Args:
            fill: the fill.
            state: state of its order after it; None when no order of ours is known.
            filled_qty: quantity of the order filled so far, this fill included.
            advance: whether every earlier trade of the symbol is known, so that the cursor may pass this one. A
                stream that can lose messages must not advance it; the poll that reads trades in order does.
        """
        seq = self._seq + 1
        rows = [(INSERT_FILL, fill_row(seq, fill))]
        if state is not None:
            seq += 1
            event = (seq, fill.client_id, fill.local_ns, "FILL", state.value, str(filled_qty), None, None, "", "")
            rows.append((INSERT_EVENT, signed(*event)))
        if advance:
            cursor = (fill.venue, fill.account, fill.symbol, fill.exchange_ns, fill.trade_id, fill.local_ns)
            rows.append((ADVANCE_CURSOR, signed(*cursor)))
        self._seq = seq
        self._batch.extend(rows)

    def payment(self, payment: Payment) -> None:
        """Append a payment that the ledger has just booked."""
        self._seq = seq = self._seq + 1
        self._batch.append((INSERT_PAYMENT, payment_row(seq, payment)))

    def advance_cursor(
        self, venue: str, account: str, symbol: str, *, exchange_ns: int, trade_id: str, updated_ns: int
    ) -> None:
        """Move a symbol's cursor over trades that were all known before. It never moves back."""
        row = signed(venue, account, symbol, exchange_ns, trade_id, updated_ns)
        self._batch.append((ADVANCE_CURSOR, row))

    def put_state(self, key: str, value: Any) -> None:
        """Keep a value (anything JSON can hold) under a key, in place of what was there."""
        self._batch.append((PUT_STATE, signed(key, msgspec.json.encode(value).decode())))

    def commit(self) -> None:
        """Make everything appended so far durable, in one transaction.

        Raises:
            JournalUnavailable: it could not be written; nothing is lost, and the next commit tries again.
            StateError: the journal is damaged, or an intent was recorded twice. The batch is kept.
        """
        with self._committing:
            # Appending never touches the rows counted here, so another thread may go on appending.
            count = len(self._batch)
            if not count:
                return
            if self._ended:
                raise StateError(f"{self.directory} holds a finished run: resume it, or choose another data directory")
            self._look()
            execute = self._db.execute
            try:
                execute("BEGIN IMMEDIATE")
                for sql, row in self._batch[:count]:
                    execute(sql, row)
                execute("COMMIT")
            except BaseException as error:
                self._roll_back()
                if isinstance(error, sqlite3.Error):
                    raise self._unwritten(error) from error
                raise
            del self._batch[:count]

    def _look(self) -> None:
        """Refuse to write to a file that was deleted, moved or replaced: SQLite would, and nobody would find it."""
        now = measure_ns()
        if now < self._look_at:
            return
        try:
            here = self._file.stat().st_ino == self._inode
        except (FileNotFoundError, NotADirectoryError):
            here = False
        if not here:
            raise JournalUnavailable(
                f"{self._file} was deleted, moved or replaced while it was open; {self.pending} rows are kept in "
                "memory. Put the same file back, or stop, reconcile with the venue, and start in another directory"
            )
        self._look_at = now + LOOK_NS

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")

    def _unwritten(self, error: sqlite3.Error) -> StateError:
        if isinstance(error, sqlite3.IntegrityError):
            return StateError(f"{self.path} refused a batch of {self.pending} rows: {error}; an intent is decided once")
        if isinstance(error, sqlite3.OperationalError):
            return JournalUnavailable(
                f"{self.path} cannot be written: {error}; {self.pending} rows are kept in memory until it can. "
                f"Check space and permissions of {self.directory}"
            )
        return damaged(self.path, error)

    def has_fill(self, key: FillKey) -> bool:
        """Whether a fill is on record or appended."""
        appended = any(sql is INSERT_FILL and row[1:5] == key for sql, row in tuple(self._batch))
        return appended or super().has_fill(key)

    def has_payment(self, key: PaymentKey) -> bool:
        """Whether a payment is on record or appended."""
        appended = any(sql is INSERT_PAYMENT and row[1:5] == key for sql, row in tuple(self._batch))
        return appended or super().has_payment(key)

    def index(self) -> None:
        """Index the committed rows by client id, so that ``order`` finds one without reading everything.

        What this costs grows with what was committed since the last call. A disk without room for it changes nothing
        but the time that ``order`` takes.
        """
        with self._committing, contextlib.suppress(sqlite3.Error):
            if self._lookup is None:
                self._lookup = Lookup(self._db)
            self._lookup.catch_up()

    def _history(self, client_id: str) -> list[Row]:
        if self._lookup is None:
            return super()._history(client_id)
        try:
            with self._committing:
                seqs = self._lookup.seqs(client_id)
        except sqlite3.Error:
            return super()._history(client_id)
        rows = [row for seq in seqs for sql in _BY_SEQ for row in self._rows(sql, seq)]
        return rows if rows and rows[0][4] == IntentKind.PLACE else []

    def checkpoint(self) -> None:
        """Copy what is committed into the main file, so that no commit has to; a commit may run meanwhile."""
        with files.reading(self.path), contextlib.closing(sqlite3.connect(self.path)) as db:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def archive(self, before_ns: int) -> int:
        """Move decisions made before a time, and their orders where final, into the files of their days.

        Commits go on meanwhile, slowed by the work on the disk: a quiet hour is the time for it.

        Returns:
            How many decisions were moved.
        """
        with Reader.open(self.directory) as reader:
            working = reader.working()
        keep = working.orders().keys() | working.amendments().keys()
        with files.reading(self.path), contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as db:
            return archive.move(db, self.directory, before_ns, keep, self._committing)

    def close(self) -> None:
        """Commit what is left, and give the data directory back. A second call does nothing.

        Raises:
            JournalUnavailable: what is left could not be written, and is lost; the directory is given back all the
                same.
        """
        if self._lock.closed:
            return
        try:
            self.commit()
        finally:
            self._release()

    def _release(self) -> None:
        try:
            super().close()
        finally:
            self._lock.close()
