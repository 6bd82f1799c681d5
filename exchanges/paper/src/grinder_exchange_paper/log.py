"""The venue's log: what makes the venue survive our crash.

An append-only file of JSON lines. A line is one transaction, a list of records: all that one message or one market
event did. It is written before anything of it becomes visible, so a line that a crash has torn never happened.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from grinder import Fill, FillCause, OrderState, PositionSide, Route, Side, StateError, TimeInForce, Trigger
from grinder_exchange_paper.entries import Entry

VERSION: Final = 2
CHUNK: Final = 1 << 16


class Began(msgspec.Struct, frozen=True, tag_field="op", tag="began"):
    """First record of a log: what the venue was set up with."""

    version: int
    balance: Decimal
    position_mode: Literal["one_way", "hedge"]


class Sent(msgspec.Struct, frozen=True, tag_field="op", tag="sent"):
    """A placement was handed over. It is on its way; a crash before it arrives loses it."""

    at_ns: int
    client_id: str


class Repeated(msgspec.Struct, frozen=True, tag_field="op", tag="duplicate"):
    """A placement was handed over under a client id that had been sent before."""

    at_ns: int
    client_id: str


class Opened(msgspec.Struct, frozen=True, tag_field="op", tag="order"):
    """The venue accepted an order.

    ``price`` None is a market order. One with a ``trigger`` waits for it. The venue opens orders itself to liquidate
    (``cause``).
    """

    at_ns: int
    client_id: str
    venue_order_id: int
    intent_id: str
    route: Route
    symbol: str
    side: Side
    position_side: PositionSide
    price: Decimal | None
    qty: Decimal
    tif: TimeInForce
    reduce_only: bool
    trigger: Trigger | None = None
    cause: FillCause = FillCause.TRADE


class Fired(msgspec.Struct, frozen=True, tag_field="op", tag="fire"):
    """A conditional order fired: it is a plain order from now on."""

    at_ns: int
    client_id: str
    venue_order_id: int


class Executed(msgspec.Struct, frozen=True, tag_field="op", tag="fill"):
    """An order was filled, wholly or in part."""

    fill: Fill


class Changed(msgspec.Struct, frozen=True, tag_field="op", tag="amend"):
    """Price or quantity of a resting order were changed."""

    at_ns: int
    client_id: str
    price: Decimal
    qty: Decimal


class Ended(msgspec.Struct, frozen=True, tag_field="op", tag="end"):
    """An order rests no longer, for another reason than being filled."""

    at_ns: int
    client_id: str
    state: OrderState
    reason: str


Record: TypeAlias = Began | Sent | Repeated | Opened | Fired | Executed | Changed | Ended | Entry

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Record]).decode


class VenueLog:
    """One open log file.

    Args:
        path: the file.
        resume: continue an existing file, or begin a new one if there is none.

    Attributes:
        torn_bytes: what a crash had left of a last line; cut off when the log was opened.

    Raises:
        StateError: the file exists and ``resume`` is False, or it cannot be opened.
    """

    __slots__ = ("_buffer", "_failure", "_fd", "path", "torn_bytes")

    def __init__(self, path: Path, *, resume: bool) -> None:
        self.path = path
        self.torn_bytes = 0
        self._buffer = bytearray()
        self._failure: str | None = "it is closed"
        if not resume and path.exists():
            raise StateError(
                f"{path} exists: it holds the paper venue's orders and positions of an earlier run; "
                "continue it with --resume, or choose a fresh directory"
            )
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            self._cut_torn_line()
        except OSError as error:
            raise StateError(
                f"{path} cannot be opened: {error.strerror}; check the directory and its rights"
            ) from error

    def _cut_torn_line(self) -> None:
        size = os.fstat(self._fd).st_size
        keep = 0
        end = size
        while end and not keep:
            begin = max(0, end - CHUNK)
            newline = os.pread(self._fd, end - begin, begin).rfind(b"\n")
            keep = begin + newline + 1 if newline >= 0 else 0
            end = begin
        if keep < size:
            self.torn_bytes = size - keep
            os.ftruncate(self._fd, keep)

    def add(self, records: Sequence[Record]) -> None:
        """Put one transaction into the next write."""
        self._buffer += _encode(records)
        self._buffer += b"\n"

    def flush(self) -> None:
        """Write everything added, in one write; it then survives the end of this process.

        Raises:
            StateError: it could not be written; nothing more is written to this log.
        """
        buffer = self._buffer
        if not buffer:
            return
        if self._fd < 0:
            self._refuse(self._failure)
        try:
            written = os.write(self._fd, buffer)
        except OSError as error:
            self._refuse(error.strerror)
        else:
            if written != len(buffer):
                self._refuse("no space for a whole line")
        buffer.clear()

    def _refuse(self, why: str | None) -> None:
        self._failure = why
        self.close()
        raise StateError(f"{self.path} cannot be written: {why}; free space, then start again with --resume")

    def close(self) -> None:
        """Close the file; later writes are refused."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def read(self, name: str = "") -> Iterator[tuple[int, list[Record]]]:
        """Line numbers and records, of all lines or of those in which a client id occurs, in order.

        Raises:
            StateError: a line is corrupt.
        """
        needle = _encode(name) if name else b""
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if needle in line:
                    try:
                        yield number, _decode(line)
                    except msgspec.MsgspecError as error:
                        raise self.corrupt(number, str(error)) from error

    def corrupt(self, number: int, why: str) -> StateError:
        """The error for a line that cannot be true."""
        return StateError(
            f"{self.path}, line {number}: {why}; restore the file from a backup, or move it away and start "
            "afresh (the paper venue's orders and positions are then gone)"
        )
