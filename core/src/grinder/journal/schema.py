"""The journal's tables and statements.

Rows are appended and never changed, but for the small tables ``meta``, ``cursors`` and ``state``. What became of an
order is the last of its events. Every row ends with a checksum of the rest, since SQLite keeps none: a digit that
changed on the disk is noticed when the row is read.

``intents``, ``order_events``, ``fills`` and ``payments`` draw ``seq`` from one counter: it tells the order of
everything.
Client ids carry no index: they are hashes, and each would cost a page of its own on the order path (``lookup`` finds
them all the same); that no two intents share one follows from the unique intent id that they are made of.
"""

from __future__ import annotations

from typing import Final

APPLICATION_ID: Final = 0x67726E64
"""Marks the file as grinder's (``grnd``)."""

VERSION: Final = 2

ARCHIVED_TABLES: Final = {
    "intents": """CREATE TABLE {schema}intents (
    seq INTEGER PRIMARY KEY, intent_id TEXT NOT NULL UNIQUE, ts_ns INTEGER NOT NULL, client_id TEXT NOT NULL,
    kind TEXT, symbol TEXT, side TEXT, position_side TEXT, qty TEXT, price TEXT, reduce_only INTEGER, triggered TEXT,
    route TEXT, venue TEXT, account TEXT, origin TEXT, target_client_id TEXT, created_ns INTEGER,
    record BLOB NOT NULL, crc INTEGER NOT NULL)""",
    "order_events": """CREATE TABLE {schema}order_events (
    seq INTEGER PRIMARY KEY, client_id TEXT NOT NULL, ts_ns INTEGER NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
    filled_qty TEXT NOT NULL, qty TEXT, price TEXT, venue_order_id TEXT NOT NULL, detail TEXT NOT NULL,
    crc INTEGER NOT NULL)""",
}

TABLES: Final = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID",
    *(sql.format(schema="") for sql in ARCHIVED_TABLES.values()),
    """CREATE TABLE fills (
    seq INTEGER PRIMARY KEY, venue TEXT NOT NULL, account TEXT NOT NULL, symbol TEXT NOT NULL,
    trade_id TEXT NOT NULL, route TEXT NOT NULL, position_side TEXT NOT NULL, client_id TEXT NOT NULL,
    intent_id TEXT NOT NULL, side TEXT NOT NULL, price TEXT NOT NULL, qty TEXT NOT NULL, fee TEXT NOT NULL,
    fee_asset TEXT NOT NULL, maker INTEGER NOT NULL, exchange_ns INTEGER NOT NULL, local_ns INTEGER NOT NULL,
    cause TEXT NOT NULL, crc INTEGER NOT NULL, UNIQUE (venue, account, symbol, trade_id))""",
    """CREATE TABLE payments (
    seq INTEGER PRIMARY KEY, venue TEXT NOT NULL, account TEXT NOT NULL, kind TEXT NOT NULL,
    payment_id TEXT NOT NULL, route TEXT NOT NULL, symbol TEXT NOT NULL, position_side TEXT NOT NULL,
    amount TEXT NOT NULL, asset TEXT NOT NULL, at_ns INTEGER NOT NULL, local_ns INTEGER NOT NULL,
    rate TEXT, mark TEXT, qty TEXT, crc INTEGER NOT NULL, UNIQUE (venue, account, kind, payment_id))""",
    """CREATE TABLE cursors (
    venue TEXT, account TEXT, symbol TEXT, last_exchange_ns INTEGER NOT NULL, last_trade_id TEXT NOT NULL,
    updated_ns INTEGER NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (venue, account, symbol)) WITHOUT ROWID""",
    "CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID",
)

EVERYTHING: Final = (
    "SELECT * FROM meta",
    "SELECT * FROM intents",
    "SELECT * FROM order_events",
    "SELECT * FROM fills",
    "SELECT * FROM payments",
    "SELECT * FROM cursors",
    "SELECT * FROM state",
)

# Writing a row once more changes nothing, so that a commit whose outcome is in doubt can be repeated.
INSERT_INTENT: Final = """INSERT INTO intents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (seq) DO NOTHING"""
INSERT_EVENT: Final = """INSERT INTO order_events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (seq) DO NOTHING"""
INSERT_FILL: Final = """INSERT INTO fills VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING"""
INSERT_PAYMENT: Final = """INSERT INTO payments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING"""
PUT_META: Final = "INSERT OR REPLACE INTO meta VALUES (?, ?, ?)"
PUT_STATE: Final = "INSERT OR REPLACE INTO state VALUES (?, ?, ?)"
# Trade ids break ties only: where they are numbers they grow within a symbol, elsewhere any of them will do.
ADVANCE_CURSOR: Final = """INSERT INTO cursors VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET last_exchange_ns = excluded.last_exchange_ns, last_trade_id = excluded.last_trade_id,
    updated_ns = excluded.updated_ns, crc = excluded.crc
WHERE (excluded.last_exchange_ns, CAST(excluded.last_trade_id AS INTEGER))
    >= (cursors.last_exchange_ns, CAST(cursors.last_trade_id AS INTEGER))"""
LAST_SEQ: Final = """SELECT max(
    coalesce((SELECT max(seq) FROM intents), 0),
    coalesce((SELECT max(seq) FROM order_events), 0),
    coalesce((SELECT max(seq) FROM fills), 0),
    coalesce((SELECT max(seq) FROM payments), 0),
    coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'archived_seq'), 0))"""
