"""Silences in recordings: found symbol by symbol, across the borders of partitions and of files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from grinder.errors import ConfigError, InputError
from grinder.feeds.partition import NOTHING_WHOLE, Manifest, partition_files, read_json
from grinder.feeds.recording import Recording, UnknownFormatError
from grinder.feeds.source import MANIFEST, is_recording

NS_PER_MS: Final = 1_000_000


class Gap(msgspec.Struct, frozen=True):
    """A silence of one symbol; times are local, in ms.

    Attributes:
        file: where it ends.
        symbol: whose.
        gap_ms: how long.
        ts_start: the last event before it.
        ts_end: the first event after it.
    """

    file: str
    symbol: str
    gap_ms: int
    ts_start: int
    ts_end: int


class Problem(msgspec.Struct, frozen=True):
    """A recording that cannot be read, or not to its end."""

    file: str
    line: int
    message: str


class Report(msgspec.Struct, frozen=True):
    """What a scan came to.

    Attributes:
        root: what was scanned.
        threshold_ms: silences longer than this are gaps.
        gaps: in the order of files and times.
        errors: what could not be read.
        scanned: recordings that were read.
        passed_over: files that are no recordings.
    """

    root: str
    threshold_ms: int
    gaps: list[Gap] = []
    errors: list[Problem] = []
    scanned: list[str] = []
    passed_over: list[str] = []


class _Span(msgspec.Struct):
    """When a file has data of a symbol."""

    file: str
    first_ns: int
    last_ns: int


def scan(root: Path, threshold_ms: int) -> Report:
    """Scan a recording, or all recordings in a folder and the folders in it.

    Raises:
        ConfigError: ``root`` does not exist or has no recording below it, or a Parquet recording is there and pyarrow
            is not installed.
    """
    if not root.exists():
        raise ConfigError(f"{root} does not exist; name a recording, or a folder of recordings")
    report = Report(str(root), threshold_ms)
    spans: dict[tuple[str, str], list[_Span]] = {}
    for path in _candidates(root):
        try:
            if path.is_dir():
                _scan_partitions(path, report, spans)
            else:
                _scan_file(path, report, spans)
        except UnknownFormatError:
            report.passed_over.append(str(path))
        except InputError as error:
            report.errors.append(Problem(error.path, error.line, str(error)))
        except ConfigError as error:
            if path.is_dir():
                raise
            report.errors.append(Problem(str(path), 0, str(error)))
    if not (report.scanned or report.errors):  # a check of nothing must not pass
        others = f", but {len(report.passed_over)} other files" if report.passed_over else ""
        raise ConfigError(f"no recording below {root}{others}; name a recording, or a folder of recordings")
    for (_, symbol), found in sorted(spans.items()):
        _between(symbol, found, report)
    return report


def _candidates(root: Path) -> Iterator[Path]:
    """Recordings: directories that are one, and all other files. Links to folders are not followed."""
    if root.is_file() or is_recording(root):
        yield root
        return
    for folder, names, files in os.walk(root):
        inside = [Path(folder, name) for name in sorted(names)]
        names[:] = [path.name for path in inside if not is_recording(path)]
        yield from (path for path in inside if is_recording(path))
        yield from (path for path in (Path(folder, name) for name in sorted(files)) if path.is_file())


def _scan_partitions(path: Path, report: Report, spans: dict[tuple[str, str], list[_Span]]) -> None:
    from grinder.feeds.partitions import check_part, holes, part_times

    manifest = read_json(path / MANIFEST, Manifest)
    report.scanned.append(str(path))
    before = len(report.errors)
    parts = []
    files = list(partition_files(path))
    if not files:
        raise InputError(str(path), 0, NOTHING_WHOLE)
    for file in files:
        try:
            parts.append(check_part(file, manifest.config_hash))
        except InputError as error:
            report.errors.append(Problem(error.path, error.line, str(error)))
    parts.sort(key=lambda part: part.sidecar.first_seq)
    if len(report.errors) == before:  # else what is spoilt is missing, too
        report.errors.extend(Problem(str(path), 0, f"{path}: {hole}; put it back") for hole in holes(manifest, parts))
    known: dict[str, _Span] = {}
    for part in parts:
        _follow(part_times(part.path), str(part.path), report, known)
    for symbol, span in known.items():
        spans.setdefault((manifest.markets.get(symbol, ""), symbol), []).append(span)


def _scan_file(path: Path, report: Report, spans: dict[tuple[str, str], list[_Span]]) -> None:
    recording = Recording(path, tolerant=False)
    report.scanned.append(str(path))
    known: dict[str, _Span] = {}
    try:
        events = recording.events(recording.markets, Counter(), Counter())
        _follow(((event.symbol, event.local_ns) for event in events), str(path), report, known)
    finally:
        for symbol, span in known.items():
            spans.setdefault((recording.markets[symbol], symbol), []).append(span)
        recording.release()


def _follow(times: Iterable[tuple[str, int]], file: str, report: Report, known: dict[str, _Span]) -> None:
    """Note the silences in a run of times, and where each symbol's data begins and ends."""
    silent_ns = report.threshold_ms * NS_PER_MS
    for symbol, local in times:
        span = known.get(symbol)
        if span is None:
            known[symbol] = _Span(file, local, local)
            continue
        if local - span.last_ns > silent_ns:
            _note(report, file, symbol, span.last_ns, local)
        span.last_ns = local


def _between(symbol: str, found: list[_Span], report: Report) -> None:
    """Note the silences between files, in which no file has data of the symbol."""
    found.sort(key=lambda span: span.first_ns)
    last = found[0].last_ns
    for span in found[1:]:
        _note(report, span.file, symbol, last, span.first_ns)
        last = max(last, span.last_ns)


def _note(report: Report, file: str, symbol: str, start: int, end: int) -> None:
    """Note a silence if it is a gap; in ms, as the report has it."""
    start, end = start // NS_PER_MS, end // NS_PER_MS
    if end - start > report.threshold_ms:
        report.gaps.append(Gap(file, symbol, end - start, start, end))
