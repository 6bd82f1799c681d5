"""Moves what is over out of the journal, into one file for each day (UTC): ``archive/YYYY-MM-DD.sqlite``.

Decisions move, with their orders and the orders' events; fills stay, since their keys are what makes each count once.
A row is in the day's file, durably, before it leaves the journal: after a crash between the two it is in both, and
moving it again changes nothing.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Container, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from threading import Lock
from typing import Final

from grinder.errors import StateError
from grinder.files import sync_directory
from grinder.journal.rows import Row, intent_intact, signed
from grinder.journal.schema import ARCHIVED_TABLES, PUT_META

FOLDER: Final = "archive"
# Few enough that whoever writes to the journal waits no more than milliseconds for its turn.
_BATCH: Final = 200


def _day(ts_ns: int) -> str:
    return datetime.fromtimestamp(ts_ns // 10**9, UTC).date().isoformat()


def move(db: sqlite3.Connection, directory: Path, before_ns: int, keep: Container[str], turn: Lock) -> int:
    """Move decisions made before a time, other than those of the orders to ``keep``.

    Args:
        db: a connection to the journal of its own, in no transaction.
        directory: the data directory.
        before_ns: decisions at or after this time stay.
        keep: client order ids that stay, because their orders are not final, or their amendments in flight.
        turn: held by whoever writes to the journal.

    Returns:
        How many decisions were moved.
    """
    # Whoever writes must not wait for the disk: a removal that a power cut undoes is made again.
    db.execute("PRAGMA main.synchronous = NORMAL")
    db.execute("PRAGMA wal_autocheckpoint = 0")
    rows: list[tuple[int, int, str]] = db.execute(
        "SELECT seq, ts_ns, client_id FROM intents WHERE ts_ns < ? ORDER BY seq", (before_ns,)
    ).fetchall()
    old = [row for row in rows if row[2] not in keep]
    for day, group in groupby(old, key=lambda row: _day(row[1])):
        _attach(db, directory / FOLDER / f"{day}.sqlite")
        try:
            _move_day(db, [(seq, client_id) for seq, _, client_id in group], turn)
        finally:
            db.execute("DETACH day")
    return len(old)


def _move_day(db: sqlite3.Connection, intents: Sequence[tuple[int, str]], turn: Lock) -> None:
    events: dict[str, list[int]] = {client_id: [] for _, client_id in intents if client_id}
    for seq, client_id in db.execute("SELECT seq, client_id FROM main.order_events"):
        if client_id in events:
            events[client_id].append(seq)
    for start in range(0, len(intents), _BATCH):
        batch = intents[start : start + _BATCH]
        _move_batch(db, [seq for seq, _ in batch], [seq for _, key in batch for seq in events.get(key, ())], turn)


def _attach(db: sqlite3.Connection, path: Path) -> None:
    if not path.parent.exists():
        path.parent.mkdir(mode=0o700)
        sync_directory(path.parent.parent)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    db.execute("ATTACH ? AS day", (str(path),))
    for sql in ARCHIVED_TABLES.values():
        db.execute(sql.format(schema="IF NOT EXISTS day."))


def _move_batch(db: sqlite3.Connection, intents: Sequence[int], events: Sequence[int], turn: Lock) -> None:
    moves = (("intents", _within(intents)), ("order_events", _within(events)))
    with _transaction(db, "BEGIN"):
        for table, rows in moves:
            db.execute(f"INSERT OR IGNORE INTO day.{table} SELECT * FROM main.{table} {rows}")  # noqa: S608 - our own
    with turn, _transaction(db, "BEGIN IMMEDIATE"):
        for table, rows in moves:
            db.execute(f"DELETE FROM main.{table} {rows}")  # noqa: S608 - our own names and numbers
        count, last = (_number(db, key) for key in ("archived", "archived_seq"))
        db.execute(PUT_META, signed("archived", str(count + len(intents))))
        db.execute(PUT_META, signed("archived_seq", str(max(last, *intents, *events))))


def _within(seqs: Sequence[int]) -> str:
    return f"WHERE seq IN ({', '.join(map(str, seqs))})"


def _number(db: sqlite3.Connection, key: str) -> int:
    row = db.execute("SELECT value FROM main.meta WHERE key = ?", (key,)).fetchone()
    return 0 if row is None else int(row[0])


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection, begin: str) -> Iterator[None]:
    db.execute(begin)
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def decision(directory: Path, key: str) -> bytes | None:
    """The archived decision about an intent, by intent id or client order id; None if there is none.

    Raises:
        StateError: a day's file is damaged.
    """
    sql = "SELECT * FROM intents WHERE intent_id = ?1 OR (client_id = ?1 AND client_id <> '')"
    for path in sorted((directory / FOLDER).glob("*.sqlite"), reverse=True):
        fault: object = "a decision does not match its checksum"
        try:
            with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
                row: Row | None = db.execute(sql, (key,)).fetchone()
            if row is None:
                continue
            if intent_intact(row):
                return bytes(row[-2])
        except sqlite3.Error as error:
            fault = error
        raise StateError(
            f"{path} is damaged: {fault}; put a backup in its place, or move it aside: only the past is in it"
        )
    return None
