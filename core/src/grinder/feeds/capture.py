"""Captures: lines of ``LOCAL_TS JSON``, local time in ns and a Binance frame or REST depth answer as received."""

from __future__ import annotations

import re
from collections.abc import Iterator

from grinder.feeds.binance import SPOT, USDM, Frames, Handler, subject
from grinder.feeds.binance_wire import decode_outline
from grinder.feeds.damage import FUTURE_NS, NS_PER_MS, FrameError
from grinder.feeds.layout import Blocks, Head, Layout, Reject, Survey, Wanted
from grinder.types import MarketEvent

_LINE = re.compile(rb"\d{1,19} \{")
_EVENT_TIME = re.compile(rb'"E"\s*:\s*(\d{13})\b')
# Nearly all lines begin with 19 digits and the head of a frame. The bytes between these places then tell the stream,
# unless its name is too long for them.
_TIME, _STREAM, _PAYLOAD = slice(19), slice(19, 55), slice(20, None)
_HEAD = re.compile(rb' \{"stream":"([^"\\]+)"')
_HEADS = 10_000
"""Heads that are remembered."""
_EVIDENCE = 1000
"""Lines that are looked at to tell the market."""


def _knows(head: Head) -> bool:
    return any(_LINE.match(line) for line in head.lines[:10])


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


def _survey(_head: Head, blocks: Blocks, _reject: Reject) -> Survey:
    survey = Survey(USDM)
    names: set[bytes] = set()
    started = False
    for lines in blocks:
        if not started:
            started = True
            survey.market = SPOT if _is_spot(lines[:_EVIDENCE]) else USDM
        survey.first_ns = survey.first_ns or next(_times(lines), 0)
        survey.last_ns = max(survey.last_ns, next(_times(lines[::-1]), 0))
        heads = {line[_STREAM] for line in lines}
        found = {head: _HEAD.match(head) for head in heads}
        names.update(match[1] for match in found.values() if match)
        odd = {head for head, match in found.items() if not match}
        for line in lines if odd else ():
            if line[_STREAM] in odd:
                survey.behind_ns = max(survey.behind_ns, _survey_odd(line, names))
        _survey_clock([line for line in lines if line[_STREAM] not in odd] if odd else lines, survey)
    for name in names:
        try:
            stream = name.decode()
        except UnicodeDecodeError:
            continue
        survey.meet(stream, *subject(stream))
    return survey


def _survey_clock(lines: list[bytes], survey: Survey) -> None:
    """How far the clock is behind, of lines that all begin as expected."""
    behind = survey.behind_ns
    previous = b""
    for line in lines:
        at = line.find(b'"E":', 19)
        if at < 0:
            continue
        event_ms = line[at + 4 : at + 17]
        # Of the frames of one event time the first has the smallest latency.
        if event_ms != previous:
            previous = event_ms
            try:
                ahead = int(event_ms) * NS_PER_MS - int(line[_TIME])
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


def _events(_head: Head, blocks: Blocks, survey: Survey, wanted: Wanted, reject: Reject) -> Iterator[MarketEvent]:
    frames = Frames(survey.streams, wanted.symbols, spot=survey.market == SPOT, ignored=wanted.ignored)
    shift_ns = wanted.shift_ns
    owner = next(iter(survey.symbols)) if len(survey.symbols) == 1 else ""
    routes: dict[bytes, Handler] = {}
    number = 0
    previous = 0
    for lines in blocks:
        for number, line in enumerate(lines, number + 1):  # noqa: B020 - lines are counted across blocks
            try:
                head = line[_STREAM]
                handle = routes.get(head)
                if handle is not None:
                    local = int(line[_TIME]) + shift_ns
                    payload = line[_PAYLOAD]
                elif line.strip():
                    local, payload = _parts(line)
                    local += shift_ns
                    handle = frames.meet(payload, owner)
                    if _HEAD.match(head) and len(routes) < _HEADS:
                        routes[head] = handle
                else:
                    continue
                if local < previous:
                    raise FrameError("local_time", f"local time goes back by {previous - local} ns")
                if local - previous > FUTURE_NS and previous:
                    raise FrameError("local_time", f"local time jumps ahead by {(local - previous) / 1e9:,.0f} s")
                event = handle(payload, local)
            except (ValueError, RecursionError) as error:
                reject(number, error)
                continue
            previous = local
            if event is not None:
                yield event


CAPTURE = Layout("capture", "lines of 'LOCAL_TS JSON' with Binance combined-stream frames", _knows, _survey, _events)
