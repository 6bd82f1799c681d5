"""One recording file: opened, told by content, hashed and surveyed; then a source of events."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from grinder.errors import InputError
from grinder.feeds.binance import Frames, explain
from grinder.feeds.capture import CAPTURE
from grinder.feeds.feed import InputInfo
from grinder.feeds.layout import Blocks, Layout, Reject
from grinder.feeds.reading import line_blocks, open_file
from grinder.feeds.session import SESSION
from grinder.types import MarketEvent

LAYOUTS: tuple[Layout, ...] = (CAPTURE, SESSION)
KEEP_BYTES = 256 << 20
"""Lines are kept after the first pass while they take no more memory than this, to spare reading them again."""
_LINE_OVERHEAD = 48
"""Bytes that a line takes in memory beside its text."""


class Recording:
    """A file of market data.

    Args:
        path: the file.
        tolerant: leave out what is damaged and count it, instead of raising.

    Attributes:
        info: what a run reports of it.
        survey: what the first pass found.
        market: ``binance-usdm`` or ``binance-spot``.
        damage: what the first pass could not use, by kind.

    Raises:
        ConfigError: the file cannot be opened.
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
        head = next(blocks, [])
        if not any(head):
            raise InputError(str(path), 0, "the file is empty; record it again")
        self._layout = self._recognise(head)
        self.survey = self._layout.survey(_chain(head, blocks), self._rejecter(self.damage))
        survey = self.survey
        if not survey.symbols:
            raise InputError(str(path), 0, "no market data of a Binance combined stream is in the file")
        self.market = "binance-spot" if survey.spot else "binance-usdm"
        self.info = InputInfo(
            path=str(path),
            format=f"{self.market} {self._layout.name}",
            sha256=digest,
            first_ns=survey.first_ns + survey.behind_ns,
            last_ns=survey.last_ns + survey.behind_ns,
            clock_shift_ns=survey.behind_ns,
            lines=self._lines,
        )

    def events(self, symbols: Collection[str], skipped: Counter[str], ignored: Counter[str]) -> Iterator[MarketEvent]:
        """Events of the symbols in local time order; what is left out is counted.

        Raises:
            InputError: a line is damaged and the recording is not read tolerantly.
        """
        survey = self.survey
        frames = Frames(survey.streams, symbols, spot=survey.spot, ignored=ignored)
        on_damage = _known_damage if self._tolerant else None
        blocks: Blocks = self._kept if self._kept is not None else line_blocks(self._path, on_damage)
        return self._layout.events(blocks, frames, survey, survey.behind_ns, self._rejecter(skipped))

    def forget(self, symbols: Collection[str]) -> None:
        """Treat symbols as damage: a spoilt stream name looks like one."""
        spoilt = self.survey.symbols.intersection(symbols)
        self.survey.symbols -= spoilt
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

    def _recognise(self, head: list[bytes]) -> Layout:
        for layout in LAYOUTS:
            if layout.knows(str(self._path), head):
                return layout
        known = "; ".join(layout.about for layout in LAYOUTS)
        raise InputError(str(self._path), 1, f"unknown format; known are: {known}")

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
