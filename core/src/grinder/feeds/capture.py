"""Captures: lines of ``LOCAL_TS JSON``, local time in ns and a Binance frame or REST depth answer as received."""

from __future__ import annotations

import re
from collections.abc import Iterator

from grinder.feeds.binance import FUTURE_NS, NS_PER_MS, FrameError, Frames
from grinder.feeds.binance_wire import decode_outline
from grinder.feeds.layout import Blocks, Layout, Reject, Survey
from grinder.types import MarketEvent

_LINE = re.compile(rb"\d{1,19} \{")
_EVENT_TIME = re.compile(rb'"E"\s*:\s*(\d{13})\b')
# Where a line begins as nearly all do, names and times are at known places: 19 digits, then the head of a frame.
_HEAD = b' {"stream":"'
_NAME = 19 + len(_HEAD)
_EVIDENCE = 1000
"""Lines that are looked at to tell the market."""


def _knows(_path: str, lines: list[bytes]) -> bool:
    return any(_LINE.match(line) for line in lines[:10])


def _parts(line: bytes) -> tuple[int, bytes]:
    """Local time and payload of a line.

    Raises:
        FrameError: the line has another form.
    """
    head, _, payload = line.partition(b" ")
    if not (head.isdigit() and len(head) <= 19 and payload):
        raise FrameError("line_format", "the line is not of the form LOCAL_TS JSON, with the local time in ns")
    return int(head), payload


def _is_spot(lines: list[bytes]) -> bool:
    """Spot diffs do not name the update before them, its tickers have no type, and its trades have a key "M"."""
    for line in lines:
        if b'"pu":' in line or b'"e":"bookTicker"' in line:
            return False
        if b'"e":"depthUpdate"' in line or b'@bookTicker"' in line or b'"M":' in line:
            return True
    return False


def _times(lines: list[bytes]) -> Iterator[int]:
    for line in lines:
        try:
            yield _parts(line)[0]
        except FrameError:
            continue


def _survey(blocks: Blocks, _reject: Reject) -> Survey:
    survey = Survey()
    names: set[bytes] = set()
    started = False
    for lines in blocks:
        if not started:
            started = True
            survey.spot = _is_spot(lines[:_EVIDENCE])
        survey.first_ns = survey.first_ns or next(_times(lines), 0)
        survey.last_ns = next(_times(lines[::-1]), survey.last_ns)
        _survey_block(lines, survey, names)
    for name in names:
        survey.meet_stream(name.decode(errors="replace"))
    return survey


def _survey_block(lines: list[bytes], survey: Survey, names: set[bytes]) -> None:
    behind = survey.behind_ns
    previous = b""
    for line in lines:
        if line[19:_NAME] != _HEAD:
            behind = max(behind, _survey_odd(line, names))
            continue
        names.add(line[_NAME : line.find(b'"', _NAME)])
        at = line.find(b'"E":', _NAME)
        if at < 0:
            continue
        event_ms = line[at + 4 : at + 17]
        # Of the frames of one event time the first has the smallest latency.
        if event_ms != previous:
            previous = event_ms
            try:
                ahead = int(event_ms) * NS_PER_MS - int(line[:19])
            except ValueError:
                continue
            if behind < ahead < FUTURE_NS:
                behind = ahead
    survey.behind_ns = behind


def _survey_odd(line: bytes, names: set[bytes]) -> int:
    """The same for a line in an uncommon form."""
    try:
        local, payload = _parts(line)
        stream = decode_outline(payload).stream
    except (ValueError, RecursionError):
        return 0
    if not stream:
        return 0
    names.add(stream.encode())
    found = _EVENT_TIME.search(payload)
    ahead = int(found[1]) * NS_PER_MS - local if found else 0
    return ahead if ahead < FUTURE_NS else 0


def _events(blocks: Blocks, frames: Frames, survey: Survey, shift_ns: int, reject: Reject) -> Iterator[MarketEvent]:
    owner = next(iter(survey.symbols)) if len(survey.symbols) == 1 else ""
    handlers = frames.handlers
    number = 0
    previous = 0
    for lines in blocks:
        for number, line in enumerate(lines, number + 1):  # noqa: B020 - lines are counted across blocks
            try:
                if line[19:_NAME] == _HEAD:
                    local = int(line[:19]) + shift_ns
                    payload = line[20:]
                    handle = handlers.get(line[_NAME : line.find(b'"', _NAME)])
                elif line.strip():
                    local, payload = _parts(line)
                    local += shift_ns
                    handle = None
                else:
                    continue
                if local < previous:
                    raise FrameError("local_time", f"local time goes back by {previous - local} ns")
                event = (handle or frames.meet(payload, owner))(payload, local)
            except (ValueError, RecursionError) as error:
                reject(number, error)
                continue
            previous = local
            if event is not None:
                yield event


CAPTURE = Layout("capture", "lines of 'LOCAL_TS JSON' with Binance combined-stream frames", _knows, _survey, _events)
