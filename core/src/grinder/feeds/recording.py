"""One recording file: opened, told by content, hashed and surveyed; then a source of events."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

from grinder.errors import InputError
from grinder.feeds.archive import ARCHIVE
from grinder.feeds.capture import CAPTURE
from grinder.feeds.damage import explain
from grinder.feeds.feed import InputInfo
from grinder.feeds.layout import Blocks, Head, Layout, Reject, Wanted
from grinder.feeds.reading import line_blocks, names_of, open_file
from grinder.feeds.rules import RULES
from grinder.feeds.session import SESSION
from grinder.feeds.tardis import TARDIS
from grinder.instruments import Instrument
from grinder.types import MarketEvent

LAYOUTS: tuple[Layout, ...] = (CAPTURE, SESSION, TARDIS, ARCHIVE, RULES)
KEEP_BYTES = 256 << 20
"""Lines are kept after the first pass while they take no more memory than this, to spare reading them again."""
_HEAD_LINES = 10_000
"""Lines that are looked at to recognise a file."""
_LINE_OVERHEAD = 48
"""Bytes that a line takes in memory beside its text."""


class UnknownFormatError(InputError):
    """A file is no recording of a kind that can be read."""


class Recording:
    """A file of market data; a ``Source``.

    Args:
        path: the file.
        tolerant: leave out what is damaged and count it, instead of raising.

    Attributes:
        info: what a run reports of it.
        damage: what the first pass could not use, by kind.

    Raises:
        ConfigError: the file cannot be opened, or its name does not tell what its content leaves open.
        InputError: it is empty, of an unknown format, or damaged.
    """

    def __init__(self, path: Path, *, tolerant: bool) -> None:
        self._path = path
        self._tolerant = tolerant
        self._kept: list[list[bytes]] | None = []
        self._size = 0
        self._lines = 0
        self.damage: Counter[str] = Counter()
        with open_file(path) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        blocks = self._first_pass()
        first = next(blocks, [])
        if not any(first):
            raise InputError(str(path), 0, "the file is empty; record it again")
        self._head = Head(str(path), names_of(path), first[:_HEAD_LINES])
        self._layout = self._recognise()
        self._survey = survey = self._layout.survey(self._head, _chain(first, blocks), self._rejecter(self.damage))
        if not (survey.symbols and survey.first_ns) and not survey.instruments:
            raise InputError(str(path), 0, "no market data that can be used is in the file")
        self.info = InputInfo(
            path=str(path),
            format=f"{survey.market} {self._layout.name}",
            sha256=digest,
            first_ns=survey.first_ns + survey.behind_ns,
            last_ns=survey.last_ns + survey.behind_ns,
            clock_shift_ns=survey.behind_ns,
            lines=self._lines,
        )

    @property
    def markets(self) -> Mapping[str, str]:
        """The market, for each symbol."""
        return dict.fromkeys(self._survey.symbols, self._survey.market)

    @property
    def tells(self) -> AbstractSet[str]:
        """What it tells of which symbol."""
        return self._survey.tells

    @property
    def rules(self) -> Mapping[str, Mapping[str, Instrument]]:
        """Recorded venue rules."""
        return {self._survey.market: self._survey.instruments}

    def events(self, symbols: Collection[str], skipped: Counter[str], ignored: Counter[str]) -> Iterator[MarketEvent]:
        """Events of the symbols in local time order; what is left out is counted.

        Raises:
            InputError: a line is damaged and the recording is not read tolerantly.
        """
        wanted = Wanted(symbols, self._survey.behind_ns, ignored)
        on_damage = _known_damage if self._tolerant else None
        blocks: Blocks = self._kept if self._kept is not None else line_blocks(self._path, on_damage)
        return self._layout.events(self._head, blocks, self._survey, wanted, self._rejecter(skipped))

    def forget(self, symbols: Collection[str]) -> None:
        """Treat symbols as damage: a spoilt stream name looks like one."""
        spoilt = self._survey.symbols.intersection(symbols)
        self._survey.symbols -= spoilt
        self.damage["symbol"] += len(spoilt)

    def release(self) -> None:
        """Give the memory of kept lines back."""
        self._kept = None

    def _first_pass(self) -> Iterator[list[bytes]]:
        """Lines of the file, counted, and kept while they are few."""
        for lines in line_blocks(self._path, self._note_damage if self._tolerant else None):
            self._lines += len(lines)
            if self._kept is not None:
                self._kept.append(lines)
                self._size += sum(map(len, lines)) + _LINE_OVERHEAD * len(lines)
                if self._size > KEEP_BYTES:
                    self._kept = None
            yield lines

    def _note_damage(self, kind: str) -> None:
        self.damage[kind] += 1

    def _recognise(self) -> Layout:
        for layout in LAYOUTS:
            if layout.knows(self._head):
                return layout
        known = "; ".join(layout.about for layout in LAYOUTS)
        raise UnknownFormatError(str(self._path), 1, f"unknown format; known are: {known}")

    def _rejecter(self, counts: Counter[str]) -> Reject:
        path, tolerant = str(self._path), self._tolerant

        def reject(line: int, error: Exception) -> None:
            kind, text = explain(error)
            if not tolerant:
                hint = "record the file again, or run with --tolerant to leave such lines out"
                raise InputError(path, line, f"{text}; {hint}") from error
            counts[kind] += 1

        return reject


def _known_damage(_kind: str) -> None:
    """The first pass has reported it."""


def _chain(head: list[bytes], blocks: Iterator[list[bytes]]) -> Iterator[list[bytes]]:
    yield head
    yield from blocks
