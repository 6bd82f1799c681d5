"""Parquet recordings, read: every partition checked against its sidecar, then replayed exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, Final

import msgspec

from grinder.errors import InputError
from grinder.feeds.columns import FIELD_ORDER_HASH, SCHEMA_VERSION, arrow, events_of, schema
from grinder.feeds.damage import FrameError
from grinder.feeds.feed import InputInfo
from grinder.feeds.partition import NOTHING_WHOLE, Manifest, Sidecar, name_of, ordinal_of, partition_files, read_json
from grinder.feeds.source import MANIFEST
from grinder.instruments import Instrument
from grinder.types import MarketEvent

MAX_ROWS: Final = 5_000_000
"""Most rows of a partition that is read."""
MAX_BYTES: Final = 2 << 30
"""Most bytes that a partition may unpack to."""
BATCH: Final = 2_048
"""Rows that are in memory at once as Python values."""
_HINT: Final = "record it again, or run with --tolerant to leave the partition out"


class Part(msgspec.Struct, frozen=True):
    """A partition that has been checked."""

    path: Path
    sidecar: Sidecar


class Partitions:
    """A directory that ``grinder record`` has made; a ``Source``.

    Args:
        path: the directory.
        tolerant: leave out what is damaged and count it, instead of raising.

    Attributes:
        info: what a run reports of it.
        parts: the sound partitions, in the order of their rows.
        damage: what could not be used, by kind.

    Raises:
        ConfigError: pyarrow is not installed.
        InputError: the manifest is spoilt, a partition differs from its sidecar, or there is none.
    """

    def __init__(self, path: Path, *, tolerant: bool) -> None:
        arrow()
        self._path = path
        self._tolerant = tolerant
        self.damage: Counter[str] = Counter()
        self.manifest = read_json(path / MANIFEST, Manifest)
        if self.manifest.schema_ver != SCHEMA_VERSION:
            message = f"is of version {self.manifest.schema_ver}; readable is {SCHEMA_VERSION}; record it again"
            raise InputError(str(path / MANIFEST), 0, message)
        self.parts = sorted(self._sound_parts(), key=lambda part: part.sidecar.first_seq)
        if not self.parts:
            raise InputError(str(path), 0, NOTHING_WHOLE)
        self._known = frozenset(symbol for part in self.parts for symbol in part.sidecar.symbols)
        self._symbols = set(self._known)
        self._check_whole()
        sidecars = [part.sidecar for part in self.parts]
        digests = [self.manifest.config_hash, *(each.sha256 for each in sidecars)]
        self.info = InputInfo(
            path=str(path),
            format="+".join(sorted(set(self.markets.values())))
            + (" recording" if self.manifest.complete else " recording, interrupted"),
            sha256=sha256("".join(digests).encode()).hexdigest(),
            first_ns=sidecars[0].first_ns,
            last_ns=sidecars[-1].last_ns,
            clock_shift_ns=0,
            lines=sum(each.row_count for each in sidecars),
        )

    @property
    def markets(self) -> Mapping[str, str]:
        """The market, for each symbol that has rows."""
        return {symbol: market for symbol, market in self.manifest.markets.items() if symbol in self._symbols}

    @property
    def tells(self) -> AbstractSet[str]:
        """What it tells of which symbol."""
        return {told for part in self.parts for told in part.sidecar.tells}

    @property
    def rules(self) -> Mapping[str, Mapping[str, Instrument]]:
        """Recorded venue rules."""
        rules: dict[str, dict[str, Instrument]] = {}
        for symbol, market in self.manifest.markets.items():
            if symbol in self.manifest.instruments:
                rules.setdefault(market, {})[symbol] = self.manifest.instruments[symbol]
        return rules

    def events(self, symbols: Collection[str], skipped: Counter[str], ignored: Counter[str]) -> Iterator[MarketEvent]:
        """Events of the symbols in local time order; what is left out is counted.

        Raises:
            InputError: a row is damaged and the recording is not read tolerantly.
        """
        previous = 0
        for part in self.parts:
            reject = self._rejecter(part, skipped)
            for number, event in self._rows(part, reject, skipped):
                if event.symbol not in self._known or event.local_ns < previous:
                    reject(number, FrameError("invalid", "its symbol is not of the recording, or its time goes back"))
                    continue
                previous = event.local_ns
                if event.symbol in symbols:
                    yield event
                else:
                    ignored["symbol not asked for"] += 1

    def forget(self, symbols: Collection[str]) -> None:
        """Treat symbols as damage."""
        self.damage["symbol"] += len(self._symbols.intersection(symbols))
        self._symbols -= set(symbols)

    def release(self) -> None:
        """Nothing is held."""

    def _rejecter(self, part: Part, counts: Counter[str]) -> Callable[[int, FrameError], None]:
        def reject(number: int, error: FrameError) -> None:
            if not self._tolerant:
                raise InputError(str(part.path), 0, f"row {number}: {error}; {_HINT}") from error
            counts[error.kind] += 1

        return reject

    def _rows(
        self, part: Part, reject: Callable[[int, FrameError], None], skipped: Counter[str]
    ) -> Iterator[tuple[int, MarketEvent]]:
        """Number (from 1) and event of every row of a partition."""
        begin = 1
        try:
            for batch in _batches(part.path):
                for at, event in events_of(batch, partial(_shifted, reject, begin)):
                    yield begin + at, event
                begin += batch.num_rows
        except InputError:
            if not self._tolerant:
                raise
            skipped["partition"] += 1

    def _sound_parts(self) -> Iterator[Part]:
        config_hash = self.manifest.config_hash
        for path in partition_files(self._path):
            try:
                yield check_part(path, config_hash)
            except InputError:
                if not self._tolerant:
                    raise
                self.damage["partition"] += 1

    def _check_whole(self) -> None:
        """Refuse a recording with a hole in it."""
        found = holes(self.manifest, self.parts)
        if found and not self._tolerant:
            raise InputError(str(self._path), 0, f"{found[0]}; put the partition back, or run with --tolerant")
        if found:
            self.damage["missing"] += len(found)


def holes(manifest: Manifest, parts: Sequence[Part]) -> list[str]:
    """Where rows of a recording are missing or doubled: a partition was moved, removed or copied."""
    found = []
    due = 0
    for part in parts:
        first = part.sidecar.first_seq
        if first != due:
            found.append(f"{part.path.name} begins with row {first}, where row {due} was due")
        due = first + part.sidecar.row_count
    if manifest.complete and due != manifest.rows:
        found.append(f"the partitions end with row {due - 1}, where {manifest.rows} rows were recorded")
    return found


def check_part(path: Path, config_hash: str) -> Part:
    """A partition, checked against its sidecar.

    Raises:
        InputError: they differ, or one cannot be read.
    """
    sidecar = read_json(path.with_suffix(".json"), Sidecar)
    try:
        problem = _difference(path, sidecar, config_hash) or _content(path, sidecar)
    except (arrow().ArrowException, OSError, ValueError) as error:
        problem = f"it cannot be read: {str(error)[:200]!r}"
    if problem:
        raise InputError(str(path), 0, f"{problem}; {_HINT}")
    return Part(path, sidecar)


def _difference(path: Path, sidecar: Sidecar, config_hash: str) -> str:
    """What of the file, unread, contradicts its sidecar; empty when nothing does."""
    features = sidecar.feature_schema
    if sidecar.schema_ver != SCHEMA_VERSION or features.field_order_hash != FIELD_ORDER_HASH:
        return f"its columns are of another version ({sidecar.schema_ver}, readable is {SCHEMA_VERSION})"
    if features.config_hash != config_hash:
        return "it belongs to another recording: its sidecar names other venue rules than the manifest"
    if path.name != name_of(sidecar, ordinal_of(path)):
        return f"its sidecar is of {name_of(sidecar)}"
    with path.open("rb") as file:
        if file_digest(file, "sha256").hexdigest() != sidecar.sha256:
            return "its bytes are not those that the sidecar was written for"
    return ""


def _content(path: Path, sidecar: Sidecar) -> str:
    """What of the file's own description contradicts the sidecar; empty when nothing does."""
    from pyarrow import parquet

    metadata = parquet.read_metadata(path)
    groups = [metadata.row_group(at) for at in range(metadata.num_row_groups)]
    if metadata.num_rows != sidecar.row_count or not 0 < metadata.num_rows <= MAX_ROWS:
        return f"it has {metadata.num_rows} rows, its sidecar says {sidecar.row_count}"
    if sum(group.total_byte_size for group in groups) > MAX_BYTES:
        return f"it unpacks to more than {MAX_BYTES >> 30} GiB"
    if not metadata.schema.to_arrow_schema().equals(schema()):
        return "its columns are not those of a recording"
    times = [group.column(0).statistics for group in groups]
    if not all(each is not None and each.has_min_max for each in times):
        return "it does not say from when to when it is"
    first, last = min(each.min for each in times), max(each.max for each in times)
    if (first, last) != (sidecar.min_ts, sidecar.max_ts):
        return f"its times are {first} to {last} ms, its sidecar says {sidecar.min_ts} to {sidecar.max_ts}"
    return ""


def part_times(path: Path) -> Iterator[tuple[str, int]]:
    """Symbol and local time in ns of every row of a partition.

    Raises:
        InputError: it cannot be read.
    """
    for batch in _batches(path, ["symbol", "local_ns"]):
        if batch.column("symbol").null_count or batch.column("local_ns").null_count:
            raise InputError(str(path), 0, f"a row has no symbol or no local time; {_HINT}")
        yield from zip(batch.column("symbol").to_pylist(), batch.column("local_ns").to_pylist(), strict=True)


def _shifted(reject: Callable[[int, FrameError], None], begin: int, at: int, error: FrameError) -> None:
    reject(begin + at, error)


def _batches(path: Path, columns: list[str] | None = None) -> Iterator[Any]:
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH, columns=columns, use_threads=False):
                batch.validate(full=True)
                yield batch
    except (arrow().ArrowException, OSError) as error:
        raise InputError(str(path), 0, f"cannot be read: {str(error)[:200]!r}; {_HINT}") from error
