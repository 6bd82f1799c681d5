"""Sessions: JSON records, one a line, of everything a client sent and received; the first record is a header."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from heapq import heappop, heappush
from typing import Literal

import msgspec
from msgspec import Struct

from grinder.errors import InputError
from grinder.feeds.binance_session import FUTURES_DIALECT, SPOT_DIALECT
from grinder.feeds.bybit_session import BYBIT_DIALECT
from grinder.feeds.damage import in_order
from grinder.feeds.dialect import Dialect
from grinder.feeds.layout import Blocks, Head, Layout, Reject, Survey, Wanted
from grinder.feeds.records import decode_record
from grinder.types import MarketEvent

_DIALECTS: Mapping[str, Dialect] = {
    "BINANCE": SPOT_DIALECT,
    "BINANCE_FUTURES": FUTURES_DIALECT,
    "BYBIT": BYBIT_DIALECT,
}
"""By the exchange that the header names."""
_FORMAT = 2


class _Header(Struct):
    t: Literal["header"]
    exchange: str
    format: int = 0


_decode_header = msgspec.json.Decoder(_Header).decode


def _knows(head: Head) -> bool:
    try:
        header = _decode_header(head.lines[0])
    except (ValueError, RecursionError, IndexError):
        return False
    if header.exchange not in _DIALECTS or header.format != _FORMAT:
        *some, last = _DIALECTS
        message = (
            f"a session of {header.exchange!r} in format {header.format}; "
            f"readable are {', '.join(some)} and {last} in format {_FORMAT}"
        )
        raise InputError(head.path, 1, message)
    return True


def _dialect(head: Head) -> Dialect:
    return _DIALECTS[_decode_header(head.lines[0]).exchange]


def _survey(head: Head, blocks: Blocks, reject: Reject) -> Survey:
    dialect = _dialect(head)
    survey = Survey(dialect.market)
    number = 0
    for lines in blocks:
        for number, line in enumerate(lines, number + 1):  # noqa: B020 - lines are counted across blocks
            try:
                record = decode_record(line)
                if record.endpoint() != dialect.rules:
                    dialect.survey(record, survey)
                    continue
            except (ValueError, RecursionError):
                continue
            try:
                survey.instruments.update(dialect.instruments(record))
            except (ValueError, RecursionError) as error:
                reject(number, error)
    return survey


def _events(head: Head, blocks: Blocks, survey: Survey, wanted: Wanted, reject: Reject) -> Iterator[MarketEvent]:
    fold = _dialect(head).fold(survey, wanted)
    # REST answers may be written before the stream frames of their time: they wait for them.
    answers: list[tuple[int, int, Sequence[MarketEvent]]] = []
    number = 0
    previous = 0
    for lines in blocks:
        for number, line in enumerate(lines, number + 1):  # noqa: B020 - lines are counted across blocks
            try:
                record = decode_record(line)
                local, events = fold(record)
                if events:
                    in_order(local, previous)
            except (ValueError, RecursionError) as error:
                reject(number, error)
                continue
            if not events:
                continue
            if record.t == "http":
                heappush(answers, (local, number, events))
                continue
            while answers and answers[0][0] <= local:
                yield from heappop(answers)[2]
            previous = local
            yield from events
    while answers:
        yield from heappop(answers)[2]


SESSION = Layout("session", "JSON records of a client session, header first", _knows, _survey, _events)
