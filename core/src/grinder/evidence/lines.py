"""Files of JSON lines."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from grinder.files import CREATE, advice, create, rename, temporary_of

MAX_LINE: Final = 1 << 24
"""Longest line that readers take, in bytes; anything longer is not one of ours."""

_FLUSH_BYTES: Final = 1 << 16
_MAX_WAITING: Final = 1 << 22
_REBUILD: Final = "restart with --resume to rebuild it from the journal"


def read_lines(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Stream a file of records: 1-based number, line, and whether its end was written (False: cut off).

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE):
            number += 1
            yield number, line.rstrip(b"\n"), line.endswith(b"\n") or len(line) == MAX_LINE


def _cut_partial_line(fd: int) -> None:
    end = os.fstat(fd).st_size
    while end > 0:
        start = max(0, end - _FLUSH_BYTES)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            os.ftruncate(fd, start + newline + 1)
            return
        end = start
    os.ftruncate(fd, 0)


class LineFile:
    """A file of lines that is buffered, hashed, and never raises while it is written.

    What cannot be written waits in memory (up to 4 MiB) and is tried again at each flush; beyond that, lines are
    lost and counted. A file that stood there is replaced with the first flush, or continued if ``keep``.

    Attributes:
        lost: lines that are not in the file and will not be until it is rebuilt.
        error: why lines wait or are lost, and what to do; empty when all is well.
    """

    __slots__ = ("_begun", "_dead", "_fd", "_hash", "_lines", "_size", "_taken", "_waiting",
                 "error", "lost", "path")  # fmt: skip

    def __init__(self, path: Path, *, keep: bool = False) -> None:
        self.path = path
        self.lost = 0
        self.error = ""
        self._begun = keep
        self._taken = 0
        self._dead = False
        self._fd = -1
        self._hash = sha256()
        self._lines: list[bytes] = []
        self._size = 0
        self._waiting = bytearray()
        try:
            self._open()
        except OSError as error:
            self._failed(error)

    @property
    def count(self) -> int:
        """Lines taken, written or not; those that were restored included."""
        return self._taken + len(self._lines)

    def append(self, line: bytes) -> None:
        """Take one line (without its newline)."""
        self._lines.append(line)
        self._size += len(line) + 1
        if self._size >= _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the operating system, as far as it takes it."""
        self._absorb()
        if self._dead:
            return
        try:
            self._write()
        except OSError as error:
            self._failed(error)

    def hexdigest(self) -> str:
        """SHA-256 over every line taken, each with its newline, written or not."""
        self._absorb()
        return self._hash.hexdigest()

    def restore(self, lines: Iterable[bytes]) -> None:
        """Replace the file by these lines, atomically, and continue after them. Failure is in ``error``."""
        temporary = temporary_of(self.path)
        fd = -1
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fd = create(temporary)
            count, digest = _write_all(fd, lines)
            os.fsync(fd)
            rename(temporary, self.path)
            self._take_over(fd, count, digest)
            fd = -1
        except OSError as error:
            self._dead = True
            self._failed(error)
        finally:
            if fd >= 0:
                os.close(fd)
                with contextlib.suppress(OSError):
                    temporary.unlink()

    def close(self) -> None:
        """Flush and close. What could not be written is lost."""
        self.flush()
        self.lost += self._waiting.count(b"\n")
        self._waiting.clear()
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            try:
                os.close(fd)
            except OSError as error:
                self._failed(error)
        self._dead = True

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | CREATE, 0o600)
        os.fchmod(self._fd, 0o600)
        if self._begun:
            _cut_partial_line(self._fd)

    def _absorb(self) -> None:
        if not self._lines:
            return
        self._lines.append(b"")
        chunk = b"\n".join(self._lines)
        number = len(self._lines) - 1
        self._lines.clear()
        self._size = 0
        self._taken += number
        self._hash.update(chunk)
        if self._dead or len(self._waiting) + len(chunk) > _MAX_WAITING:
            self.lost += number
        else:
            self._waiting += chunk

    def _write(self) -> None:
        if self._fd < 0:
            self._open()
        if os.fstat(self._fd).st_nlink == 0:
            self._dead = True
            self.lost = self._taken
            self._waiting.clear()
            raise FileNotFoundError(0, "deleted while in use")
        if not self._begun:
            os.ftruncate(self._fd, 0)
            self._begun = True
        while self._waiting:
            del self._waiting[: os.write(self._fd, self._waiting)]
        self.error = f"{self.path}: {self.lost} lines are missing; {_REBUILD}" if self.lost else ""

    def _failed(self, error: OSError) -> None:
        todo = _REBUILD if self._dead else advice(error)
        self.error = f"{self.path} cannot be written: {error.strerror}; {todo}"

    def _take_over(self, fd: int, count: int, digest: Any) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._taken, self._hash = fd, count, digest
        self._begun, self._dead, self.lost, self.error = True, False, 0, ""
        self._waiting.clear()
        self._lines.clear()
        self._size = 0


def _write_all(fd: int, lines: Iterable[bytes]) -> tuple[int, Any]:
    count, digest, chunk = 0, sha256(), bytearray()
    for line in lines:
        chunk += line
        chunk += b"\n"
        count += 1
        if len(chunk) >= _FLUSH_BYTES:
            digest.update(chunk)
            _write_whole(fd, chunk)
    digest.update(chunk)
    _write_whole(fd, chunk)
    return count, digest


def _write_whole(fd: int, chunk: bytearray) -> None:
    while chunk:
        del chunk[: os.write(fd, chunk)]
