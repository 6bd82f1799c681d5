"""Client sessions of Bybit v5: frames of the public linear stream, and REST instruments-info answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from grinder.errors import InputError
from grinder.feeds.bybit import LINEAR, Topics, subject
from grinder.feeds.bybit_wire import decode_outline
from grinder.feeds.damage import FUTURE_NS, NS_PER_MS, FrameError
from grinder.feeds.dialect import Dialect, Fold
from grinder.feeds.layout import Survey, Wanted
from grinder.feeds.records import Record
from grinder.instruments import Instrument, from_instruments_info
from grinder.types import MarketEvent

_LINEAR_PATH = "/v5/public/linear"
_CONNECTION = "connection "
"""How a connection of the linear stream is noted among the streams of a survey: topics have no blanks."""


def _instruments(record: Record) -> Mapping[str, Instrument]:
    try:
        info: Any = msgspec.json.decode(record.data)
        return from_instruments_info(info)
    except (AttributeError, KeyError, TypeError) as error:
        raise FrameError("invalid", f"instruments-info lacks or spoils {error}") from error
    except InputError as error:
        raise FrameError("invalid", str(error)) from error


def _survey(record: Record, survey: Survey) -> None:
    if record.addr.partition("?")[0].endswith(_LINEAR_PATH):
        survey.streams.add(_CONNECTION + record.conn)
    elif record.t == "recv" and _CONNECTION + record.conn in survey.streams:
        outline = decode_outline(record.data)
        if outline.topic:
            local = record.local_ns
            survey.meet_time(local)
            survey.meet(outline.topic, *subject(outline.topic))
            ahead = outline.ts * NS_PER_MS - local
            if survey.behind_ns < ahead < FUTURE_NS:
                survey.behind_ns = ahead


def _fold(survey: Survey, wanted: Wanted) -> Fold:
    names = {stream for stream in survey.streams if not stream.startswith(_CONNECTION)}
    topics = Topics(names, wanted.symbols, wanted.ignored)

    def fold(record: Record) -> tuple[int, Sequence[MarketEvent]]:
        payload = record.data.encode()
        if record.t != "recv":
            return 0, topics.ignore(record.endpoint() or record.t)(payload, 0)
        if _CONNECTION + record.conn not in survey.streams:
            return 0, topics.ignore("connection that is not of the linear stream")(payload, 0)
        local = record.local_ns + wanted.shift_ns
        return local, topics.meet(payload)(payload, local)

    return fold


BYBIT_DIALECT = Dialect(LINEAR, "instruments-info", _instruments, _survey, _fold)
