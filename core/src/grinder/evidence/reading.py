"""Reads files of records line by line, and remembers damage so that what is readable is still shown."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias, TypeVar

import msgspec

from grinder.errors import ConfigError, InputError
from grinder.evidence.lines import read_lines

T = TypeVar("T")
Damage: TypeAlias = Callable[[int, Exception, bool], None]
"""Told of a line that is no record: its number, why, and whether its end was written."""


def readable(path: Path, decode: Callable[[bytes], T], damage: Damage) -> Iterator[tuple[T, bytes]]:
    """Every line that can be decoded, and its bytes; the others go to ``damage``.

    Raises:
        OSError: the file cannot be read.
    """
    for number, line, ended in read_lines(path):
        try:
            row = decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError) as error:
            damage(number, error, ended)
        else:
            yield row, line


class RecordReader:
    """Streams files of records.

    Args:
        warn: told of a last line that was cut off, which is passed over.

    Attributes:
        corrupt: the first corrupt line that was met.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self.corrupt: InputError | None = None
        self._warn = warn
        self._warned: set[Path] = set()

    def lines(self, path: Path) -> Iterator[tuple[int, bytes, bool]]:
        """Every line: its number, its bytes, and whether its end was written.

        Raises:
            ConfigError: the file is missing or cannot be read.
        """
        with self._missing_named(path):
            yield from read_lines(path)

    def rows(self, path: Path, kind: type[T], sound: Callable[[T], bool] = lambda _: True) -> Iterator[tuple[T, bytes]]:
        """Every readable line, decoded as far as ``kind`` asks, and its bytes.

        Args:
            path: the file.
            kind: what a line is decoded to.
            sound: whether a row holds what a run can have written; one that does not is damage.

        Raises:
            ConfigError: the file is missing or cannot be read.
        """
        decode = msgspec.json.Decoder(kind).decode

        def checked(line: bytes) -> T:
            row = decode(line)
            if not sound(row):
                raise msgspec.DecodeError("a value is out of all bounds")
            return row

        def damage(number: int, error: Exception, ended: bool) -> None:
            self.unreadable(path, number, error, ended=ended)

        with self._missing_named(path):
            yield from readable(path, checked, damage)

    def unreadable(self, path: Path, number: int, error: Exception, *, ended: bool) -> None:
        """A line is no record: damage, unless it is the last one and was not finished."""
        if ended:
            self.corrupt = self.corrupt or InputError(
                str(path), number, f"is corrupt ({error}); 'grinder run --resume' rebuilds it from the journal"
            )
        elif path not in self._warned:
            self._warned.add(path)
            self._warn(f"{path}, line {number}: cut off (is the run still writing?); passed over")

    @staticmethod
    @contextlib.contextmanager
    def _missing_named(path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConfigError(
                f"{path}: {error.strerror}; name the directory of a run, or make one with 'grinder run'"
            ) from error
