"""What Bybit v5 writes on its public linear stream, and decoders for it.

Every frame with prices has two decoders: one keeps its strings as they are, the other reads the same strings as
numbers and so checks them: finite, not negative, written as JSON writes numbers.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct

_Id: TypeAlias = Annotated[int, Meta(ge=0)]
_Millis: TypeAlias = Annotated[int, Meta(gt=0, lt=10**14)]
_Number: TypeAlias = Annotated[float, Meta(ge=0, le=1e18)]
_Rate: TypeAlias = Annotated[float, Meta(ge=-1e3, le=1e3)]
_Levels: TypeAlias = list[tuple[str, str]]
_NumberLevels: TypeAlias = list[tuple[_Number, _Number]]


class Outline(Struct, gc=False):
    """What tells frames of topics and replies to requests apart."""

    topic: str = ""
    ts: int = 0
    op: str = ""
    success: Raw = Raw()


class BookData(Struct, gc=False):
    """Levels. ``u`` counts the messages of the topic, ``seq`` orders across topics."""

    s: str
    b: _Levels
    a: _Levels
    u: _Id


class BookFrame(Struct, gc=False):
    """``orderbook``. ``cts`` is when the matching engine made it."""

    type: Literal["snapshot", "delta"]
    ts: _Millis
    data: BookData
    cts: _Id = 0


class _BookNumbers(Struct, gc=False):
    b: _NumberLevels
    a: _NumberLevels


class _BookCheck(Struct, gc=False):
    data: _BookNumbers


class PublicTrade(Struct, gc=False):
    """One print: matching time, symbol, side of the taker, quantity, price, id."""

    T: _Millis
    s: str
    S: Literal["Buy", "Sell"]
    v: str
    p: str
    i: str
    seq: _Id = 0


class TradeFrame(Struct, gc=False):
    """``publicTrade``."""

    ts: _Millis
    data: list[PublicTrade]


class _TradeNumbers(Struct, gc=False):
    v: _Number
    p: _Number


class _TradeCheck(Struct, gc=False):
    data: list[_TradeNumbers]


class TickerData(Struct, gc=False):
    """What of ``tickers`` makes a mark price; a delta has only the keys that changed."""

    symbol: str
    markPrice: str = ""  # noqa: N815 - the venue names it so
    indexPrice: str = ""  # noqa: N815
    fundingRate: str = ""  # noqa: N815
    nextFundingTime: str = ""  # noqa: N815


class TickerFrame(Struct, gc=False):
    """``tickers``. ``cs`` orders the frames of a symbol."""

    type: Literal["snapshot", "delta"]
    ts: _Millis
    data: TickerData
    cs: _Id = 0


decode_outline = msgspec.json.Decoder(Outline).decode
decode_book = msgspec.json.Decoder(BookFrame).decode
check_book = msgspec.json.Decoder(_BookCheck, strict=False).decode
decode_trades = msgspec.json.Decoder(TradeFrame).decode
check_trades = msgspec.json.Decoder(_TradeCheck, strict=False).decode
decode_ticker = msgspec.json.Decoder(TickerFrame).decode


def check_ticker(data: TickerData) -> None:
    """Check the numbers that a ticker has; an empty string is a key that it does not have.

    Raises:
        msgspec.ValidationError: one is no number, or out of range.
    """
    for text, kind in (
        (data.markPrice, _Number),
        (data.indexPrice, _Number),
        (data.fundingRate, _Rate),
        (data.nextFundingTime, _Id),
    ):
        if text:
            msgspec.convert(text, kind, strict=False)
