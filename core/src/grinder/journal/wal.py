"""Checks the write-ahead log before SQLite reads it.

SQLite ends its reading of the log at the first frame that does not add up and takes everything after it as never
written. After a kill that is right: only the tail can be torn, and only of a transaction that was not reported. But a
log that was damaged, cut or taken away loses transactions that were reported, without a word. So what is left of the
log is held against the wal-index beside it, which says how far the log had been committed; where that is lost too,
a frame that does not add up must at least be the last of its generation.

The formats are those of https://sqlite.org/walformat.html. Nothing is written here.
"""

from __future__ import annotations

import struct
import sys
from array import array
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

_MAGIC: Final = (0x377F0682, 0x377F0683)
_HEADER: Final = struct.Struct(">8I")
_FRAME: Final = struct.Struct(">6I")
_INDEX: Final = struct.Struct("=3I2BH2I2I8s2I")
_MASK: Final = 0xFFFFFFFF


class _Index(NamedTuple):
    """What the wal-index says: frames committed, frames already copied to the database, salt of the generation."""

    committed: int
    copied: int
    salt: bytes


class _Log(NamedTuple):
    """What the log holds: salt, frames up to the last good commit, the first bad frame, the last of its generation."""

    salt: bytes
    committed: int
    bad: int
    last: int


def check(database: Path) -> str:
    """Look for committed transactions that reading the log would lose.

    Args:
        database: the database file, open in no process that writes.

    Returns:
        What is wrong, or nothing when all is well.
    """
    index = _read_index(database.with_name(database.name + "-shm"))
    path = database.with_name(database.name + "-wal")
    log = None
    if path.exists() and path.stat().st_size > _HEADER.size:
        with path.open("rb") as file:
            log = _read_log(file)
        if log is None and index is None:
            return f"the header of {path.name} is unreadable"
    if index is None:
        if log is not None and log.bad and log.bad < log.last:
            return f"frame {log.bad} of {path.name} is damaged and {log.last - log.bad} more follow it"
    elif index.copied < index.committed:
        if log is None or log.salt != index.salt:
            return f"{path.name} is missing or unreadable, with {index.committed} frames that were not copied yet"
        if log.committed < index.committed:
            return f"{path.name} is good up to frame {log.committed}, but {index.committed} were committed"
    return ""


def _read_index(path: Path) -> _Index | None:
    """The wal-index header that adds up (there are two copies), or None when neither does."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        head = file.read(100)
    for offset in (48, 0):
        copy = head[offset : offset + 48]
        if len(head) < 100 or _checksum(array("I", copy[:40]), 0, 0) != struct.unpack("=2I", copy[40:]):
            continue
        fields = _INDEX.unpack(copy)
        return _Index(committed=fields[6], copied=struct.unpack_from("=I", head, 96)[0], salt=fields[10])
    return None


def _read_log(file: BinaryIO) -> _Log | None:
    head = file.read(_HEADER.size)
    magic, _, page_size, _, salt1, salt2, sum1, sum2 = _HEADER.unpack(head)
    swap = (magic == _MAGIC[1]) != (sys.byteorder == "big")
    if magic not in _MAGIC or _checksum(_words(head[:24], swap=swap), 0, 0) != (sum1, sum2):
        return None
    sums, committed, bad, last, number = (sum1, sum2), 0, 0, 0, 0
    while len(header := file.read(_FRAME.size)) == _FRAME.size:
        number += 1
        page = file.read(page_size)
        _, size, frame_salt1, frame_salt2, sum1, sum2 = _FRAME.unpack(header)
        if (frame_salt1, frame_salt2) != (salt1, salt2):
            bad = bad or number
            continue
        last = number
        if bad:
            continue
        if len(page) == page_size:
            sums = _checksum(_words(header[:8] + page, swap=swap), *sums)
        if len(page) < page_size or sums != (sum1, sum2):
            bad = number
        elif size:
            committed = number
    return _Log(head[16:24], committed, bad, last)


def _words(data: bytes, *, swap: bool) -> array[int]:
    words = array("I", data)
    if swap:
        words.byteswap()
    return words


def _checksum(words: array[int], s0: int, s1: int) -> tuple[int, int]:
    pairs = iter(words)
    for first, second in zip(pairs, pairs, strict=True):
        s0 = (s0 + first + s1) & _MASK
        s1 = (s1 + second + s0) & _MASK
    return s0, s1
