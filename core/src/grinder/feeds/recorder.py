"""Records a feed: Parquet partitions by hour, each whole or not there, with the venue's rules beside them."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import file_digest
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from grinder.errors import InputError
from grinder.feeds.columns import FIELDS, PLAIN_TEXT, SCHEMA_VERSION, STEPPED, Row, arrow, row_of, schema
from grinder.feeds.feed import Feed
from grinder.feeds.partition import (
    FeatureSchema,
    Manifest,
    Sidecar,
    folder_of,
    name_of,
    new_folder,
    replace_file,
    unwritable,
)
from grinder.feeds.source import MANIFEST
from grinder.files import whole_file

ROWS: Final = 50_000
"""Most rows of a partition."""
_BYTES: Final = 32 << 20
"""A partition ends when its levels take this many bytes of text."""
_HOUR_NS: Final = 3600 * 10**9
_ORDER: Final = tuple(name for name, _ in FIELDS)
_AT: Final = {name: at for at, name in enumerate(_ORDER)}
_BIDS, _ASKS, _SYMBOL, _EVENT, _LOCAL = (_AT[name] for name in ("bids", "asks", "symbol", "event", "local_ns"))
_TELLS: Final = {"top": "bookTicker", "trade": "trade", "delta": "depth", "snapshot": "depth", "mark": "markPrice"}


class Recorded(msgspec.Struct, frozen=True):
    """What a recording came to.

    Attributes:
        path: its folder.
        complete: whether the feed was recorded to its end.
        rows: events.
        partitions: files.
        bytes: of all partitions and sidecars.
        first_ns: local time of the first event; 0 when there is none.
        last_ns: of the last event.
        symbols: that the feed has.
        skipped: damaged input that was left out, by kind.
    """

    path: str
    complete: bool
    rows: int
    partitions: int
    bytes: int
    first_ns: int
    last_ns: int
    symbols: tuple[str, ...]
    skipped: dict[str, int]


class Recorder:
    """Writes one recording.

    Args:
        root: an empty folder, or one that does not exist.
        feed: what to record.
        rows: most rows of a partition.
        duration_ns: event time after which to end; 0 for the end of the feed.

    Raises:
        ConfigError: pyarrow is not installed, or the folder is not empty or cannot be made.
        StateError: the disk does not take it.
    """

    def __init__(self, root: Path, feed: Feed, *, rows: int = ROWS, duration_ns: int = 0) -> None:
        arrow()
        self._root = root
        self._feed = feed
        self._most = rows
        self._duration = duration_ns
        self._manifest = Manifest(
            schema_ver=SCHEMA_VERSION,
            complete=False,
            markets=dict(feed.markets),
            instruments=dict(feed.instruments),
            inputs=feed.inputs,
        )
        self._schema = schema()
        self._rows: list[Row] = []
        self._bytes = 0
        self._hour_end = 0
        self.stopping = False
        self.rows = self.partitions = self.size = self.first_ns = self.last_ns = 0
        new_folder(root)
        self._write_manifest()

    def stop(self) -> None:
        """End at the next event, with everything that has come written; the recording is not complete then."""
        self.stopping = True

    def run(self, progress: Callable[[int, int], None] | None = None) -> Recorded:
        """Record to the end of the feed, or of the duration, or until it is stopped.

        When damaged input ends it early, what has come until then is kept and can be replayed.

        Args:
            progress: called with (event time, events) after every partition.

        Raises:
            InputError: the feed is damaged, or has no events.
            StateError: the disk does not take it.
        """
        try:
            self._take_all(progress)
        finally:
            self._flush()
        if not self.rows:
            raise InputError(str(self._root), 0, "the feed has no events; nothing was recorded, name other recordings")
        if not self.stopping:
            self._manifest = msgspec.structs.replace(
                self._manifest,
                complete=True,
                rows=self.rows,
                partitions=self.partitions,
                skipped=dict(self._feed.skipped),
            )
            self._write_manifest()
        return self.recorded()

    def recorded(self) -> Recorded:
        """What it has come to."""
        return Recorded(
            path=str(self._root),
            complete=self._manifest.complete,
            rows=self.rows,
            partitions=self.partitions,
            bytes=self.size,
            first_ns=self.first_ns,
            last_ns=self.last_ns,
            symbols=tuple(self._feed.symbols),
            skipped=dict(self._feed.skipped),
        )

    def _take_all(self, progress: Callable[[int, int], None] | None) -> None:
        markets, most = self._feed.markets, self._most
        until = 0
        for seq, event in enumerate(self._feed):
            local = event.local_ns
            if not until:
                self.first_ns = local
                until = local + self._duration if self._duration else 1 << 63
            if local >= until or self.stopping:
                return
            if local >= self._hour_end or len(self._rows) >= most or self._bytes >= _BYTES:
                self._flush()
                self._hour_end = (local // _HOUR_NS + 1) * _HOUR_NS
                if progress is not None:
                    progress(local, seq)
            row = row_of(event, markets[event.symbol], seq)
            self._rows.append(row)
            if row[_BIDS] is not None:
                self._bytes += len(row[_BIDS]) + len(row[_ASKS])

    def _flush(self) -> None:
        """Write the rows that are held, as one partition."""
        rows, self._rows, self._bytes = self._rows, [], 0
        if not rows:
            return
        sidecar = self._sidecar(rows)
        folder = folder_of(self._root, sidecar.first_ns)
        # Names are taken only where a partition does not reach from one millisecond to the next.
        names = (name_of(sidecar, ordinal) for ordinal in count(1))
        self._write(next(path for name in names if not (path := folder / name).exists()), rows, sidecar)

    def _sidecar(self, rows: list[Row]) -> Sidecar:
        markets = self._manifest.markets
        symbols = tuple(sorted({row[_SYMBOL] for row in rows}))
        told = {(row[_SYMBOL], _TELLS[row[_EVENT]]) for row in rows if row[_EVENT] in _TELLS}
        return Sidecar(
            min_ts=rows[0][0],
            max_ts=rows[-1][0],
            row_count=len(rows),
            schema_ver=SCHEMA_VERSION,
            src="+".join(sorted({markets[symbol] for symbol in symbols})),
            symbols=symbols,
            feature_schema=FeatureSchema(config_hash=self._manifest.config_hash),
            first_ns=rows[0][_LOCAL],
            last_ns=rows[-1][_LOCAL],
            first_seq=rows[0][_AT["seq"]],
            tells=tuple(sorted(f"{symbol.lower()}@{kind}" for symbol, kind in told)),
            sha256="",
        )

    def _write(self, path: Path, rows: list[Row], sidecar: Sidecar) -> None:
        """Write the sidecar, then the partition: where there is a partition, there is its sidecar."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path, private=False) as file:
                write_rows(file, self._schema, rows)
                file.seek(0)
                digest = file_digest(file, "sha256").hexdigest()
                text = msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(sidecar, sha256=digest)))
                replace_file(path.with_suffix(".json"), text + b"\n")
        except (OverflowError, arrow().ArrowInvalid) as error:
            message = f"an event between {sidecar.min_ts} and {sidecar.max_ts} ms has a number of more than 64 bits"
            raise InputError(str(path), 0, f"{message}; it cannot be recorded") from error
        except OSError as error:
            raise unwritable(path, error) from error
        self.rows += len(rows)
        self.partitions += 1
        self.size += path.stat().st_size + len(text) + 1
        self.last_ns = sidecar.last_ns

    def _write_manifest(self) -> None:
        replace_file(self._root / MANIFEST, msgspec.json.format(msgspec.json.encode(self._manifest)) + b"\n")


def write_rows(file: BinaryIO, columns: Any, rows: list[Row]) -> None:
    """Write rows as one Parquet file."""
    from pyarrow import parquet

    pa = arrow()
    arrays = [pa.array(values, field.type) for values, field in zip(zip(*rows, strict=True), columns, strict=True)]
    table = pa.Table.from_arrays(arrays, schema=columns)
    parquet.write_table(
        table,
        file,
        compression="zstd",
        compression_level=9,
        use_dictionary=[name for name in _ORDER if name not in (*PLAIN_TEXT, *STEPPED)],
        column_encoding=dict.fromkeys(STEPPED, "DELTA_BINARY_PACKED") | {"trade_id": "DELTA_BYTE_ARRAY"},
    )
