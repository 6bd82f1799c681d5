"""A recorded market, quoted on both sides: fills agree with an independent simulator's."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from grinder import BookDelta, BookSnapshot, Side, TimeInForce, TopOfBook
from grinder.feeds import open_recordings
from grinder.market.state import MarketState

NAME = "shared/data/binance-usdm/btcusdt_20240808.gz"
CAPTURE = next((found for folder in Path(__file__).resolve().parents if (found := folder / NAME).exists()), Path(NAME))
EVERY_NS = 500_000_000
PEER_TRADES = 272
"""hftbacktest 2.4.4 (risk-averse queue, 10 ms each way, fills whole orders) with the same quotes on this capture."""


def quote_both_sides(rig, events, market, symbol):
    """Every 500 ms cancel what rests and join the best price of each side with 0.01."""
    wake = 0
    for event in events:
        wake = wake or event.local_ns
        while wake <= event.local_ns:
            rig.wait((wake - rig.now) / 1_000_000)
            view = market.view(symbol)
            if view.bid and view.ask:
                for client_id in tuple(rig.exchange.state.orders.open):
                    rig.cancel(client_id)
                rig.buy("0.01", repr(view.bid), TimeInForce.GTX)
                rig.sell("0.01", repr(view.ask), TimeInForce.GTX)
            wake += EVERY_NS
        rig.wait((event.local_ns - rig.now) / 1_000_000)
        rig.clock.set(event.local_ns)
        market.apply(event)
        rig.exchange.on_market(event)
    rig.settle()


@pytest.mark.skipif(not CAPTURE.exists(), reason=f"{CAPTURE} is not there")
@pytest.mark.parametrize("kind", ["whole", "without top of book", "without book"])
def test_fills_of_two_quotes_agree_with_a_peer(make_rig, kind):
    feed = open_recordings([CAPTURE])
    (symbol,) = feed.symbols
    left_out = {"whole": (), "without top of book": TopOfBook, "without book": (BookDelta, BookSnapshot)}[kind]
    events = (event for event in feed if not isinstance(event, left_out))
    market = MarketState(10**10)
    instruments = tuple(feed.instruments.values())
    rig = make_rig(instruments=instruments, begin=feed.first_ns, market=market, balance=1_000_000)
    quote_both_sides(rig, events, market, symbol)
    whole = sum(order == Decimal("0.01") for order in filled(rig).values())
    assert abs(whole - PEER_TRADES) <= PEER_TRADES * 0.1
    assert all(fill.maker for fill in rig.fills)
    assert rig.position() == sum(fill.qty * fill.side.sign for fill in rig.fills)
    assert {fill.side for fill in rig.fills} == {Side.BUY, Side.SELL}
    feed.close()


def filled(rig):
    """Filled quantity by order."""
    totals = {}
    for fill in rig.fills:
        totals[fill.client_id] = totals.get(fill.client_id, 0) + fill.qty
    return totals
