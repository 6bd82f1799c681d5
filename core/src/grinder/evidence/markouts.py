"""What the market did after each decision: the mid price some seconds later, in a side file.

``whatif`` and reports price with it what a decision cost or saved. Records of decisions hold only what was known
when they were made, so this is kept beside them, keyed by decision id.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator
from math import isfinite
from pathlib import Path
from typing import Final

import msgspec

from grinder.evidence.lines import LineFile
from grinder.evidence.reading import readable
from grinder.evidence.recorder import canonical
from grinder.types import IntentKind, Side

MARKOUTS: Final = "markouts.jsonl"
SECOND_NS: Final = 1_000_000_000
HORIZONS_NS: Final = (SECOND_NS, 5 * SECOND_NS, 30 * SECOND_NS)

_MAX_OPEN: Final = 20_000
_NEVER: Final = 1 << 63


class MarkoutHead(msgspec.Struct):
    """A line, as far as it says which decision it is about."""

    id: str


class _Order(msgspec.Struct, gc=False):
    kind: IntentKind
    symbol: str
    side: Side


class _Decided(msgspec.Struct):
    """The record of a decision, as far as markouts need it."""

    id: str
    ts_ns: int
    mid: float | None
    order: _Order


class _Open:
    """A decision whose later mids are not all known."""

    __slots__ = ("at_ns", "decision_id", "mid", "mids", "side")

    def __init__(self, decision_id: str, side: Side, at_ns: int, mid: float, horizons: int) -> None:
        self.decision_id = decision_id
        self.side = side
        self.at_ns = at_ns
        self.mid = mid
        self.mids: list[float | None] = [None] * horizons


class _Symbol:
    """The open decisions of one symbol: a queue for each horizon, in order of time."""

    __slots__ = ("due_ns", "queues")

    def __init__(self, horizons: int) -> None:
        self.due_ns = _NEVER
        self.queues: tuple[deque[_Open], ...] = tuple(deque() for _ in range(horizons))


class Markouts:
    """Collects mids at fixed horizons after decisions and writes ``markouts.jsonl``.

    The mid of a horizon is the first one known when it has passed. One that comes later than twice the horizon
    (a gap in the data) says nothing of it and is written as null, and so is what is unknown at the end.

    Args:
        out: the run's directory.
        horizons_ns: rising, in ns.
        keep: continue the file of a run that is resumed instead of replacing it.
    """

    def __init__(self, out: Path, horizons_ns: tuple[int, ...] = HORIZONS_NS, *, keep: bool = False) -> None:
        self._file = LineFile(out / MARKOUTS, keep=keep)
        self._horizons = horizons_ns
        self._names = tuple(f"mid_{ns / SECOND_NS:g}s" for ns in horizons_ns)
        self._symbols: dict[str, _Symbol] = {}
        self._earlier: Iterator[_Decided] = iter(())
        self._recalled: _Decided | None = None

    def restore(self, decisions: Iterable[bytes], numbers: int) -> None:
        """Go on after an earlier process: its decisions that have no line yet wait for :meth:`recall`.

        Args:
            decisions: their records, in the order in which they were made; they are read as they are recalled.
            numbers: the numbers at the end of their ids are below this.
        """
        self._earlier = _without_line(decisions, _have_line(self._file.path, numbers))
        self._recalled = next(self._earlier, None)

    def recall(self, until_ns: int) -> None:
        """Follow, as when they were made, the decisions of an earlier process made up to ``until_ns``."""
        while (made := self._recalled) is not None and made.ts_ns <= until_ns:
            self.track(made.id, made.order.symbol, made.order.side, made.ts_ns, made.mid or 0.0)
            self._recalled = next(self._earlier, None)

    def track(self, decision_id: str, symbol: str, side: Side, now_ns: int, mid: float) -> None:
        """Follow the market of ``symbol`` after a decision made at ``now_ns`` and ``mid`` (0.0: unknown)."""
        state = self._symbols.get(symbol)
        if state is None:
            state = self._symbols[symbol] = _Symbol(len(self._horizons))
        opened = _Open(decision_id, side, now_ns, mid, len(self._horizons))
        for queue in state.queues:
            queue.append(opened)
        state.due_ns = min(state.due_ns, now_ns + self._horizons[0])
        if len(state.queues[-1]) > _MAX_OPEN:
            self._give_up(symbol, state)

    def advance(self, now_ns: int, symbol: str, mid: float) -> None:
        """The market of ``symbol`` stands at ``mid`` now. Costs next to nothing until a horizon has passed."""
        state = self._symbols.get(symbol)
        if state is None or now_ns < state.due_ns or not (isfinite(mid) and mid > 0):
            return
        state.due_ns = _NEVER
        last = len(self._horizons) - 1
        for index, (horizon, queue) in enumerate(zip(self._horizons, state.queues, strict=True)):
            while queue and queue[0].at_ns + horizon <= now_ns:
                done = queue.popleft()
                if now_ns <= done.at_ns + 2 * horizon:
                    done.mids[index] = mid
                if index == last:
                    self._write(symbol, done)
            if queue:
                state.due_ns = min(state.due_ns, queue[0].at_ns + horizon)

    def flush(self) -> None:
        """Hand what is complete to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Write what is still open, with nulls, and close the file."""
        for symbol, state in sorted(self._symbols.items()):
            for opened in state.queues[-1]:
                self._write(symbol, opened)
        self._symbols.clear()
        self._file.close()

    @property
    def error(self) -> str:
        """Why lines wait or are lost; empty when all is well."""
        return self._file.error

    @property
    def lost(self) -> int:
        """Lines that are not in the file."""
        return self._file.lost

    def _give_up(self, symbol: str, state: _Symbol) -> None:
        oldest = state.queues[-1].popleft()
        for queue in state.queues[:-1]:
            if queue and queue[0] is oldest:
                queue.popleft()
        self._write(symbol, oldest)

    def _write(self, symbol: str, opened: _Open) -> None:
        row = {
            "id": opened.decision_id,
            "symbol": symbol,
            "side": opened.side.value,
            "ts_ns": opened.at_ns,
            "mid": opened.mid or None,
        }
        self._file.append(canonical(row | dict(zip(self._names, opened.mids, strict=True))))


def _have_line(path: Path, numbers: int) -> bytearray:
    """By the number of a decision, whether it has a line: a byte each, since a long run has very many."""
    written = bytearray(numbers)
    with contextlib.suppress(OSError):  # what cannot be read cannot be continued either, and the file says so
        for head, _ in readable(path, msgspec.json.Decoder(MarkoutHead).decode, lambda *_: None):
            with contextlib.suppress(ValueError, IndexError):
                written[_number(head.id)] = True
    return written


def _without_line(decisions: Iterable[bytes], written: bytearray) -> Iterator[_Decided]:
    decode = msgspec.json.Decoder(_Decided).decode
    for record in decisions:
        made = decode(record)
        if made.order.kind is not IntentKind.CANCEL and not written[_number(made.id)]:
            yield made


def _number(decision_id: str) -> int:
    return int(decision_id.rpartition("-")[2])
