"""Where the records of two runs part: one kind of record at a time, streamed in pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from grinder.evidence.explain import decode_decision
from grinder.evidence.reading import readable
from grinder.evidence.recorder import DECISIONS, FILLS, PAYMENTS

_OF_THIS_RUN: Final = frozenset(("id", "client_id", "target"))
"""Keys of decisions that name things after the seed and the process."""

_SUBSTANCE: Final = frozenset(
    ("ts_ns", "origin", "order", "risk", "outcome", "reason", "by", "qty", "route", "trading_state")
)
"""Keys of decisions in which runs part; what gates looked at is told beside that."""

_ALL: Final[frozenset[str]] = frozenset()
"""Instead of keys in which runs part: every one."""

_Tell: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
_decode_record = msgspec.json.Decoder(dict[str, Any]).decode


class Parting(msgspec.Struct, frozen=True, kw_only=True):
    """A record that is not the same in both runs.

    Attributes:
        number: of the record among those of its kind, from 1.
        same_order: whether both decided about the same order at the same time; False for other kinds.
        keys: of the record, that differ.
        a: the record; None when that run has fewer.
    """

    number: int
    same_order: bool
    keys: tuple[str, ...]
    a: dict[str, Any] | None
    b: dict[str, Any] | None


class Pairs:
    """The records of one kind of two runs, compared until they part.

    Attributes:
        kind: what a record is called.
        name: of the file.
        absent: letters of the runs, ``A`` and ``B``, whose file is missing or cannot be read.
        compared: pairs that were looked at.
        noticed: the first that differs in anything, such as a threshold that changed nothing.
        parting: the first that differs in what counts; None when all are the same.
    """

    def __init__(self, kind: str, a: Path, b: Path) -> None:
        self.kind = kind
        self.name, decode, self._tell, self._counts = _KINDS[kind]
        self.absent = ""
        self.compared = 0
        self.noticed: Parting | None = None
        self.parting = self._part(self._lines("A", a / self.name, decode), self._lines("B", b / self.name, decode))

    @property
    def same(self) -> bool:
        """Whether both have the records, and the same."""
        return self.parting is None and not self.absent

    def _lines(self, letter: str, path: Path, decode: Callable[[bytes], Any]) -> Iterator[bytes]:
        """The readable records; those that are not have been reported when the run was gathered."""
        try:
            for _, line in readable(path, decode, lambda *_: None):
                yield line
        except OSError:
            self.absent += letter

    def _part(self, a: Iterator[bytes], b: Iterator[bytes]) -> Parting | None:
        for one, other in zip_longest(a, b):
            self.compared += 1
            parting = self._parting(one, other) if one != other else None
            if parting is not None:
                self.noticed = self.noticed or parting
                if not parting.keys or not self._counts or self._counts & set(parting.keys):
                    return parting
        return None

    def _parting(self, one: bytes | None, other: bytes | None) -> Parting | None:
        a, b = (msgspec.json.decode(line) if line is not None else None for line in (one, other))
        if a is None or b is None:
            return Parting(number=self.compared, same_order=False, keys=(), a=a, b=b)
        mine, theirs = self._tell(a), self._tell(b)
        keys = tuple(sorted(key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key)))
        if not keys:
            return None
        same = "order" in mine and all(mine.get(key) == theirs.get(key) for key in ("ts_ns", "order"))
        return Parting(number=self.compared, same_order=same, keys=keys, a=a, b=b)


def _decision(record: dict[str, Any]) -> dict[str, Any]:
    """The decision without what names things after the run."""
    told = {key: value for key, value in record.items() if key not in _OF_THIS_RUN}
    order = told.get("order")
    if isinstance(order, dict):
        told["order"] = {key: value for key, value in order.items() if key not in _OF_THIS_RUN}
    return told


def _fill(record: dict[str, Any]) -> dict[str, Any]:
    """The fill without what names things after the run; of the intent's id its number, which says whose fill it is."""
    told = {key: value for key, value in record.items() if key not in {"client_id", "trade_id"}}
    if isinstance(record.get("intent_id"), str):
        told["intent_id"] = record["intent_id"].rpartition("-")[2]
    return told


def _payment(record: dict[str, Any]) -> dict[str, Any]:
    """The payment without the name that the venue gave it."""
    return {key: value for key, value in record.items() if key != "payment_id"}


_KINDS: Final[dict[str, tuple[str, Callable[[bytes], Any], _Tell, frozenset[str]]]] = {
    "decision": (DECISIONS, decode_decision, _decision, _SUBSTANCE),
    "fill": (FILLS, _decode_record, _fill, _ALL),
    "payment": (PAYMENTS, _decode_record, _payment, _ALL),
}
