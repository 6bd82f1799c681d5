"""Partitions of a Parquet recording: where they are, what is written beside them, and the manifest of it all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from grinder.errors import ConfigError, InputError, StateError
from grinder.feeds.columns import FIELD_ORDER, FIELD_ORDER_HASH, SCHEMA_VERSION
from grinder.feeds.feed import InputInfo
from grinder.files import whole_file
from grinder.instruments import Instrument

_NAME: Final = re.compile(r"(\d{1,16})-(\d{1,16})_(\d{1,9})(?:-(\d{1,9}))?\.parquet")
_FOLDERS: Final = re.compile(r"date=\d{4}-\d{2}-\d{2}/hour=\d{2}")
MAX_JSON: Final = 64 << 20
"""Largest sidecar or manifest that is read, in bytes."""

T = TypeVar("T")


class FeatureSchema(msgspec.Struct, frozen=True, kw_only=True):
    """The columns after the twelve named ones.

    Attributes:
        version: of the columns.
        field_order: their names.
        field_order_hash: SHA-256 of the names joined by commas.
        config_hash: SHA-256 of the venue rules in the manifest: partitions of other recordings differ.
    """

    version: int = SCHEMA_VERSION
    field_order: tuple[str, ...] = FIELD_ORDER
    field_order_hash: str = FIELD_ORDER_HASH
    config_hash: str = ""


class Sidecar(msgspec.Struct, frozen=True, kw_only=True):
    """What is written beside a partition.

    Attributes:
        min_ts: local time of the first row in ms.
        max_ts: of the last row.
        row_count: rows.
        schema_ver: version of the columns.
        src: market, for instance ``binance-usdm``; several are joined by ``+``.
        symbols: that have rows, sorted.
        feature_schema: the columns after the named ones.
        first_ns: local time of the first row in ns.
        last_ns: of the last row.
        first_seq: ``seq`` of the first row.
        tells: what it tells of which symbol, as ``btcusdt@trade``.
        sha256: of the partition's bytes.
    """

    min_ts: int
    max_ts: int
    row_count: int
    schema_ver: int
    src: str
    symbols: tuple[str, ...]
    feature_schema: FeatureSchema
    first_ns: int
    last_ns: int
    first_seq: int
    tells: tuple[str, ...]
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for a whole recording; written first, and once more when the recording is complete.

    Attributes:
        schema_ver: version of the recording's form.
        complete: whether it was recorded to its end.
        markets: where each symbol is traded.
        instruments: venue rules by symbol.
        inputs: the files that were recorded; empty for the synthetic market.
        rows: rows of all partitions; 0 until complete.
        partitions: how many there are; 0 until complete.
        skipped: damaged input that was left out, by kind.
    """

    schema_ver: int
    complete: bool
    markets: dict[str, str]
    instruments: dict[str, Instrument]
    inputs: tuple[InputInfo, ...] = ()
    rows: int = 0
    partitions: int = 0
    skipped: dict[str, int] = {}

    @property
    def config_hash(self) -> str:
        """SHA-256 of the markets and venue rules."""
        return sha256(msgspec.json.encode((self.markets, self.instruments), order="sorted")).hexdigest()


def folder_of(root: Path, local_ns: int) -> Path:
    """The folder of the hour of a local time."""
    from datetime import UTC, datetime

    hour = datetime.fromtimestamp(local_ns // 10**9, UTC)
    return root / f"date={hour:%Y-%m-%d}" / f"hour={hour:%H}"


def name_of(sidecar: Sidecar, ordinal: int = 1) -> str:
    """The name of a partition's file; an ordinal from 2 on tells those apart that are alike in times and rows."""
    more = f"-{ordinal}" if ordinal > 1 else ""
    return f"{sidecar.min_ts}-{sidecar.max_ts}_{sidecar.row_count}{more}.parquet"


def ordinal_of(path: Path) -> int:
    """The ordinal in the name of a partition's file."""
    match = _NAME.fullmatch(path.name)
    return int(match[4] or 1) if match else 0


def partition_files(root: Path) -> Iterator[Path]:
    """Every partition, in no order that matters; what has another name is none."""
    for path in sorted(root.glob("date=*/hour=*/*.parquet")):
        if _NAME.fullmatch(path.name) and _FOLDERS.fullmatch(path.parent.relative_to(root).as_posix()):
            yield path


def read_json(path: Path, kind: type[T]) -> T:
    """A sidecar or manifest.

    Raises:
        InputError: it is missing, spoilt, or too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_JSON + 1)
    except FileNotFoundError as error:
        raise InputError(
            str(path), 0, "is missing; record again, or remove the partition that it belongs to"
        ) from error
    except OSError as error:
        raise InputError(str(path), 0, f"cannot be read: {error.strerror}") from error
    if len(data) > MAX_JSON:
        raise InputError(str(path), 0, f"is larger than {MAX_JSON >> 20} MiB; no recording has such a file")
    try:
        return msgspec.json.decode(data, type=kind)
    except (ValueError, RecursionError) as error:
        raise InputError(str(path), 0, f"is spoilt: {error}; record again, or remove it and its partition") from error


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that it is whole or not there, also after a power cut.

    Raises:
        StateError: it cannot be written.
    """
    try:
        with whole_file(path, private=False) as file:
            file.write(data)
    except OSError as error:
        raise unwritable(path, error) from error


NOTHING_WHOLE: Final = "no whole partition is in the recording; record it again"


def unwritable(path: Path, error: OSError) -> StateError:
    """What to raise when a file cannot be written."""
    return StateError(f"{path} cannot be written: {error.strerror}; what is whole so far can be replayed")


def new_folder(root: Path) -> None:
    """Make the folder of a recording.

    Raises:
        ConfigError: it cannot be made, or something is in it.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        if any(root.iterdir()):
            raise ConfigError(f"{root} is not empty, and recordings are not mixed; name a new folder")
    except OSError as error:
        raise ConfigError(f"{root} cannot be used for a recording: {error.strerror}") from error
