"""Files of venue rules alone: a Binance exchangeInfo or a Bybit instruments-info answer, for recordings without."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from grinder.errors import InputError
from grinder.feeds.binance import SPOT, USDM
from grinder.feeds.bybit import LINEAR
from grinder.feeds.damage import FrameError
from grinder.feeds.layout import Blocks, Head, Layout, Reject, Survey, Wanted
from grinder.instruments import from_instruments_info, instruments_from_exchange_info
from grinder.types import MarketEvent

_BINANCE = re.compile(rb'\s*\{\s*"(?:timezone|serverTime|futuresType|rateLimits|exchangeFilters|assets|symbols)"')
_BYBIT = re.compile(rb'\s*\{\s*"(?:retCode|retMsg|result)"')
"""How the answers begin; both are of many kinds, which the keys of venue rules tell apart."""
MAX_SIZE = 64 << 20
"""Largest answer in bytes."""


def _knows(head: Head) -> bool:
    text = b"\n".join(head.lines)
    if _BINANCE.match(text):
        return b'"symbols"' in text
    return _BYBIT.match(text) is not None and b'"priceFilter"' in text


def _survey(_head: Head, blocks: Blocks, reject: Reject) -> Survey:
    survey = Survey(USDM)
    text = bytearray()
    for lines in blocks:
        text += b"\n".join(lines) + b"\n"
        if len(text) > MAX_SIZE:
            reject(1, FrameError("invalid", f"the answer is larger than {MAX_SIZE >> 20} MiB"))
            return survey
    try:
        _read(bytes(text), survey)
    except InputError as error:
        reject(1, FrameError("invalid", str(error)))
    except (AttributeError, KeyError, TypeError) as error:
        reject(1, FrameError("invalid", f"the answer lacks or spoils {error}"))
    except (ValueError, RecursionError) as error:
        reject(1, error)
    return survey


def _read(text: bytes, survey: Survey) -> None:
    answer: Any = msgspec.json.decode(text)
    if "retCode" in answer:
        survey.market = LINEAR
        survey.instruments = from_instruments_info(answer)
    else:
        futures = any("contractType" in entry for entry in answer["symbols"])
        survey.market = USDM if futures else SPOT
        survey.instruments = instruments_from_exchange_info(answer)


def _events(_head: Head, _blocks: Blocks, _survey: Survey, _wanted: Wanted, _reject: Reject) -> Iterator[MarketEvent]:
    return iter(())


RULES = Layout("rules", "a Binance exchangeInfo or Bybit instruments-info answer", _knows, _survey, _events)
