"""Client sessions of Binance: combined-stream frames, REST depth and exchangeInfo answers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from grinder.errors import InputError
from grinder.feeds.binance import SPOT, USDM, Frames, subject
from grinder.feeds.binance_wire import decode_outline
from grinder.feeds.damage import FUTURE_NS, NS_PER_MS, FrameError
from grinder.feeds.dialect import Dialect, Fold
from grinder.feeds.layout import Survey, Wanted
from grinder.feeds.records import Record
from grinder.instruments import Instrument, instruments_from_exchange_info
from grinder.types import MarketEvent

_EVENT_TIME = re.compile(r'"E"\s*:\s*(\d{13})\b')
_DEPTH = "depth"


def _instruments(record: Record) -> Mapping[str, Instrument]:
    try:
        info: Any = msgspec.json.decode(record.data)
        return instruments_from_exchange_info(info)
    except (AttributeError, KeyError, TypeError) as error:
        raise FrameError("invalid", f"exchangeInfo lacks or spoils {error}") from error
    except InputError as error:
        raise FrameError("invalid", str(error)) from error


def _survey(record: Record, survey: Survey) -> None:
    if record.endpoint() == _DEPTH:
        survey.meet_time(record.local_ns)
        survey.symbols.add(record.query("symbol").upper())
    elif record.t == "recv":
        stream = decode_outline(record.data).stream
        if stream:
            local = record.local_ns
            survey.meet_time(local)
            survey.meet(stream, *subject(stream))
            found = _EVENT_TIME.search(record.data)
            ahead = int(found[1]) * NS_PER_MS - local if found else 0
            if survey.behind_ns < ahead < FUTURE_NS:
                survey.behind_ns = ahead


def _fold(survey: Survey, wanted: Wanted) -> Fold:
    frames = Frames(survey.streams, wanted.symbols, spot=survey.market == SPOT, ignored=wanted.ignored)

    def fold(record: Record) -> tuple[int, Sequence[MarketEvent]]:
        payload = record.data.encode()
        local = 0
        if record.t == "recv":
            local = record.local_ns + wanted.shift_ns
            event = frames.meet(payload, "")(payload, local)
        elif (endpoint := record.endpoint()) == _DEPTH:
            local = record.local_ns + wanted.shift_ns
            event = frames.snapshot(record.query("symbol").upper())(payload, local)
        else:
            event = frames.ignore(endpoint or record.t)(payload, 0)
        return local, () if event is None else (event,)

    return fold


FUTURES_DIALECT = Dialect(USDM, "exchangeInfo", _instruments, _survey, _fold)
SPOT_DIALECT = Dialect(SPOT, "exchangeInfo", _instruments, _survey, _fold)
