"""What Binance writes (combined streams and REST, USD-M and spot), and decoders for it.

Every frame has two decoders: one keeps its strings as they are, the other reads the same strings as numbers, which
is the cheapest complete check of each price and quantity: finite, not negative, written as JSON writes numbers.
Spot frames lack keys that USD-M frames must have.
"""

from __future__ import annotations

from typing import Annotated, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct, field

_T = TypeVar("_T")
_Id: TypeAlias = Annotated[int, Meta(ge=0)]
_Millis: TypeAlias = Annotated[int, Meta(gt=0, lt=10**14)]
_Number: TypeAlias = Annotated[float, Meta(ge=0, le=1e18)]
_Rate: TypeAlias = Annotated[float, Meta(ge=-1e3, le=1e3)]
_Levels: TypeAlias = list[tuple[str, str]]
_NumberLevels: TypeAlias = list[tuple[_Number, _Number]]


class Frame(Struct, Generic[_T], gc=False):
    """The envelope of a combined stream."""

    data: _T


class Ticker(Struct, gc=False, kw_only=True):
    """``bookTicker``."""

    symbol: str = field(name="s")
    event_ms: _Millis = field(name="E")
    update_id: _Id = field(name="u")
    bid: str = field(name="b")
    bid_qty: str = field(name="B")
    ask: str = field(name="a")
    ask_qty: str = field(name="A")
    status: int = field(name="st", default=1)


class SpotTicker(Ticker, gc=False, kw_only=True):
    """``bookTicker`` of spot, which has no time."""

    event_ms: int = field(name="E", default=0)


class _TickerNumbers(Struct, gc=False):
    b: _Number
    B: _Number
    a: _Number
    A: _Number


class Depth(Struct, gc=False, kw_only=True):
    """``depthUpdate``."""

    symbol: str = field(name="s")
    event_ms: _Millis = field(name="E")
    first_id: _Id = field(name="U")
    last_id: _Id = field(name="u")
    prev_id: _Id = field(name="pu")
    bids: _Levels = field(name="b")
    asks: _Levels = field(name="a")
    status: int = field(name="st", default=1)


class SpotDepth(Depth, gc=False, kw_only=True):
    """``depthUpdate`` of spot, which does not name the update before it."""

    prev_id: int = field(name="pu", default=-1)


class _DepthNumbers(Struct, gc=False):
    b: _NumberLevels
    a: _NumberLevels


class PublicTrade(Struct, gc=False, kw_only=True):
    """``trade``."""

    symbol: str = field(name="s")
    event_ms: _Millis = field(name="E")
    trade_id: _Id = field(name="t")
    price: str = field(name="p")
    qty: str = field(name="q")
    buyer_is_maker: bool = field(name="m")
    status: int = field(name="st", default=1)


class AggTrade(PublicTrade, gc=False, kw_only=True):
    """``aggTrade``: prints of one order at one price."""

    trade_id: _Id = field(name="a")


class _TradeNumbers(Struct, gc=False):
    p: _Number
    q: _Number


class Mark(Struct, gc=False, kw_only=True):
    """``markPriceUpdate``."""

    symbol: str = field(name="s")
    event_ms: _Millis = field(name="E")
    mark: str = field(name="p")
    index: str = field(name="i")
    funding_rate: str = field(name="r")
    next_funding_ms: _Id = field(name="T")
    status: int = field(name="st", default=1)


class _MarkNumbers(Struct, gc=False):
    p: _Number
    i: _Number
    r: _Rate


class Snapshot(Struct, gc=False, kw_only=True):
    """Answer of REST ``depth``; spot's has no time."""

    last_id: _Id = field(name="lastUpdateId")
    event_ms: _Id = field(name="E", default=0)
    bids: _Levels
    asks: _Levels


class _SnapshotNumbers(Struct, gc=False):
    bids: _NumberLevels
    asks: _NumberLevels


class Outline(Struct, gc=False):
    """What tells frames, REST answers and replies to requests apart."""

    stream: str = ""
    snapshot: Raw = field(name="lastUpdateId", default=Raw())
    request: Raw = field(name="id", default=Raw())
    result: Raw = Raw()


decode_ticker = msgspec.json.Decoder(Frame[Ticker]).decode
decode_spot_ticker = msgspec.json.Decoder(Frame[SpotTicker]).decode
check_ticker = msgspec.json.Decoder(Frame[_TickerNumbers], strict=False).decode
decode_depth = msgspec.json.Decoder(Frame[Depth]).decode
decode_spot_depth = msgspec.json.Decoder(Frame[SpotDepth]).decode
check_depth = msgspec.json.Decoder(Frame[_DepthNumbers], strict=False).decode
decode_trade = msgspec.json.Decoder(Frame[PublicTrade]).decode
decode_agg_trade = msgspec.json.Decoder(Frame[AggTrade]).decode
check_trade = msgspec.json.Decoder(Frame[_TradeNumbers], strict=False).decode
decode_mark = msgspec.json.Decoder(Frame[Mark]).decode
check_mark = msgspec.json.Decoder(Frame[_MarkNumbers], strict=False).decode
decode_snapshot = msgspec.json.Decoder(Snapshot).decode
check_snapshot = msgspec.json.Decoder(_SnapshotNumbers, strict=False).decode
decode_outline = msgspec.json.Decoder(Outline).decode
