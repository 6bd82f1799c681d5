"""Sessions: JSON records, one a line, of everything a client sent and received; the first record is a header."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from heapq import heappop, heappush
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Raw, Struct

from grinder.errors import InputError
from grinder.feeds.binance import FUTURE_NS, NS_PER_MS, FrameError, Frames
from grinder.feeds.binance_wire import decode_outline
from grinder.feeds.layout import Blocks, Layout, Reject, Survey
from grinder.instruments import Instrument, from_exchange_info
from grinder.types import MarketEvent

_MARKETS = {"BINANCE_FUTURES": False, "BINANCE": True}
"""Exchanges that can be read, and whether they are spot markets."""
_FORMAT = 2
_EVENT_TIME = re.compile(r'"E"\s*:\s*(\d{13})\b')
_EXCHANGE_INFO = "exchangeInfo"


class _Header(Struct, tag_field="t", tag="header"):
    exchange: str
    format: int = 0


class _Record(Struct):
    t: str
    ts: Raw = Raw()
    url: str = ""
    data: str = ""
    exchange: str = ""


_decode_header = msgspec.json.Decoder(_Header).decode
_decode_record = msgspec.json.Decoder(_Record).decode


def decimal_ns(text: bytes) -> int:
    """Nanoseconds of a decimal number of seconds, exactly.

    Raises:
        FrameError: it is no positive number of at most 11 digits before the point.
    """
    try:
        seconds = Decimal(text.decode())
    except (InvalidOperation, UnicodeDecodeError):
        seconds = Decimal(0)
    if not (seconds.is_finite() and 0 < seconds < 10**11):
        raise FrameError("line_format", f"the record's local time is {text[:40]!r}, not a number of seconds")
    return int(seconds * 10**9)


def _knows(path: str, lines: list[bytes]) -> bool:
    try:
        header = _decode_header(lines[0])
    except (ValueError, RecursionError, IndexError):
        return False
    if header.exchange not in _MARKETS or header.format != _FORMAT:
        known = " and ".join(_MARKETS)
        message = (
            f"a session of {header.exchange!r} in format {header.format}; readable are {known} in format {_FORMAT}"
        )
        raise InputError(path, 1, message)
    return True


def _endpoint(record: _Record) -> tuple[str, str]:
    """Last part of the path of an HTTP request, and its symbol."""
    address = urlsplit(record.url)
    return address.path.rpartition("/")[2], parse_qs(address.query).get("symbol", [""])[0].upper()


def _instruments(record: _Record) -> dict[str, Instrument]:
    try:
        info: Any = msgspec.json.decode(record.data)
        return from_exchange_info(info)
    except (AttributeError, KeyError, TypeError) as error:
        raise FrameError("invalid", f"exchangeInfo lacks or spoils {error}") from error
    except InputError as error:
        raise FrameError("invalid", str(error)) from error


def _survey(blocks: Blocks, reject: Reject) -> Survey:
    survey = Survey()
    number = 0
    for lines in blocks:
        for number, line in enumerate(lines, number + 1):  # noqa: B020 - lines are counted across blocks
            try:
                record = _decode_record(line)
                endpoint, symbol = _endpoint(record) if record.t == "http" else ("", "")
                if endpoint != _EXCHANGE_INFO:
                    _survey_record(record, endpoint, symbol, survey)
                    continue
            except (ValueError, RecursionError):
                continue
            try:
                survey.instruments.update(_instruments(record))
            except (ValueError, RecursionError) as error:
                reject(number, error)
    return survey


def _survey_record(record: _Record, endpoint: str, symbol: str, survey: Survey) -> None:
    if record.t == "header":
        survey.spot = _MARKETS[record.exchange]
    elif endpoint == "depth":
        _survey_time(decimal_ns(bytes(record.ts)), survey)
        survey.symbols.add(symbol)
    elif record.t == "recv":
        stream = decode_outline(record.data).stream
        if stream:
            local = decimal_ns(bytes(record.ts))
            _survey_time(local, survey)
            survey.meet_stream(stream)
            found = _EVENT_TIME.search(record.data)
            ahead = int(found[1]) * NS_PER_MS - local if found else 0
            if survey.behind_ns < ahead < FUTURE_NS:
                survey.behind_ns = ahead


def _survey_time(local: int, survey: Survey) -> None:
    survey.first_ns = min(survey.first_ns or local, local)
    survey.last_ns = max(survey.last_ns, local)


def _events(blocks: Blocks, frames: Frames, _survey: Survey, shift_ns: int, reject: Reject) -> Iterator[MarketEvent]:
    # REST answers may be written before the stream frames of their time: they wait for them.
    answers: list[tuple[int, int, MarketEvent]] = []
    number = 0
    previous = 0
    for lines in blocks:
        for number, line in enumerate(lines, number + 1):  # noqa: B020 - lines are counted across blocks
            try:
                record = _decode_record(line)
                local, event = _fold(record, frames, shift_ns)
                if event is not None and local < previous:
                    raise FrameError("local_time", f"local time goes back by {previous - local} ns")
            except (ValueError, RecursionError) as error:
                reject(number, error)
                continue
            if event is None:
                continue
            if record.t == "http":
                heappush(answers, (local, number, event))
                continue
            while answers and answers[0][0] <= local:
                yield heappop(answers)[2]
            previous = local
            yield event
    while answers:
        yield heappop(answers)[2]


def _fold(record: _Record, frames: Frames, shift_ns: int) -> tuple[int, MarketEvent | None]:
    """Local time and event of a record; no event where the record holds none that is wanted.

    Raises:
        ValueError: the record cannot be used.
    """
    payload = record.data.encode()
    if record.t == "recv":
        local = decimal_ns(bytes(record.ts)) + shift_ns
        return local, frames.meet(payload, "")(payload, local)
    if record.t == "http":
        endpoint, symbol = _endpoint(record)
        if endpoint == "depth":
            local = decimal_ns(bytes(record.ts)) + shift_ns
            return local, frames.snapshot(symbol)(payload, local)
        return 0, frames.ignore(endpoint)(payload, 0)
    return 0, frames.ignore(record.t)(payload, 0)


SESSION = Layout("session", "JSON records of a client session, header first", _knows, _survey, _events)
