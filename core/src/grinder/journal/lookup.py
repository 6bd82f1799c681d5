"""Finds the rows of one order without reading the whole journal, and without an index that every commit would pay for.

Client ids are hashes: an index on them in the journal itself costs each commit pages of its own. So they are indexed
beside it, in a temporary table of SQLite (on disk, gone with the connection), a stretch at a time when nobody waits.
"""

from __future__ import annotations

import sqlite3
from typing import Final

_TABLE: Final = """CREATE TEMP TABLE IF NOT EXISTS names (
    client_id TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (client_id, seq)) WITHOUT ROWID"""
_CATCH_UP: Final = """INSERT OR IGNORE INTO temp.names
    SELECT client_id, seq FROM main.intents WHERE seq > ?1 AND seq <= ?2 AND client_id <> ''
    UNION ALL SELECT client_id, seq FROM main.order_events WHERE seq > ?1 AND seq <= ?2"""
_LAST: Final = """SELECT max(coalesce((SELECT max(seq) FROM main.intents), 0),
    coalesce((SELECT max(seq) FROM main.order_events), 0))"""


class Lookup:
    """Which rows of ``intents`` and ``order_events`` are about an order."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._upto = 0
        db.execute(_TABLE)

    def catch_up(self) -> None:
        """Take in what was committed since the last call."""
        (last,) = self._db.execute(_LAST).fetchone()
        if last > self._upto:
            self._db.execute(_CATCH_UP, (self._upto, last))
            self._upto = last

    def seqs(self, client_id: str) -> list[int]:
        """``seq`` of every row about an order, in order."""
        self.catch_up()
        sql = "SELECT seq FROM temp.names WHERE client_id = ? ORDER BY seq"
        return [seq for (seq,) in self._db.execute(sql, (client_id,))]
