"""A rig around one paper exchange: a small market, a clock, and short names for what tests do."""

from __future__ import annotations

import itertools
import json
from decimal import Decimal

import pytest

from grinder import (
    Admitted,
    BookDelta,
    BookSnapshot,
    ExchangeContext,
    Filled,
    Instrument,
    IntentKind,
    ManualClock,
    MarkPrice,
    OrderIntent,
    Paid,
    PositionSide,
    Route,
    Side,
    TimeInForce,
    TopOfBook,
    Trade,
)
from grinder.decisions import _SEAL
from grinder_exchange_paper import Settings, create

MS = 1_000_000
BEGIN = 1_700_000_000_000 * MS
SYMBOL = "BTCUSDT"
BTC = Instrument(
    symbol=SYMBOL,
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
    min_qty=Decimal("0.001"),
    max_qty=Decimal(1000),
    min_notional=Decimal(5),
    maker_fee=Decimal("0.0002"),
    taker_fee=Decimal("0.0005"),
)


class Book:
    """Levels of one symbol; a BookReader."""

    def __init__(self):
        self.sides = {Side.BUY: {}, Side.SELL: {}}

    def apply(self, side, levels):
        for price, qty in levels:
            self.sides[side][price] = float(qty)
            if not float(qty):
                del self.sides[side][price]

    def key(self, price):
        return f"{price:.1f}"

    def qty_at(self, side, key):
        return self.sides[side].get(key, 0.0)

    def top(self, side, count):
        levels = sorted(((float(p), q) for p, q in self.sides[side].items()), reverse=side is Side.BUY)
        return tuple(levels[:count])


class Market:
    """Books by symbol; a MarketReader."""

    def __init__(self):
        self.books = {}

    def book(self, symbol):
        return self.books[symbol]


class Rig:
    """One exchange on a small market. Each market event comes ``pause`` ms after what was before it.

    Latencies are 10 ms each way unless settings say otherwise.
    """

    def __init__(
        self,
        data_dir,
        *,
        resume=False,
        instruments=(BTC,),
        begin=BEGIN,
        market=None,
        seed=1,
        hedge=None,
        **settings,
    ):
        self.data_dir = data_dir
        self.clock = ManualClock(begin)
        self.market = market or Market()
        self.instruments = instruments
        self.settings = Settings(**settings)
        self.exchange = create(self.settings)
        self.updates = []
        self.pause = 1
        self.ids = itertools.count(1)
        self.numbers = itertools.count(1)
        context = ExchangeContext(
            clock=self.clock,
            instruments={instrument.symbol: instrument for instrument in instruments},
            market=self.market,
            data_dir=data_dir,
            seed=seed,
            resume=resume,
            settings=self.settings,
            hedge=hedge,
        )
        self.exchange.start(context)

    @property
    def now(self):
        return self.clock.now_ns()

    @property
    def log_path(self):
        return self.data_dir / "paper.jsonl"

    def log(self):
        return [record for line in self.log_path.read_text().splitlines() for record in json.loads(line)]

    def wait(self, ms):
        """Let time pass; whatever is due happens at its own time."""
        until = self.now + round(ms * MS)
        exchange = self.exchange
        while exchange.due_ns <= until:
            self.clock.set(exchange.due_ns)
            exchange.advance(self.now)
            self.updates += exchange.poll()
        self.clock.set(until)

    def settle(self):
        """Long enough for a message to arrive and its answer to come back."""
        self.wait(25)

    def _event(self, event, side_levels=()):
        book = self.market.books.setdefault(event.symbol, Book())
        for side, levels in side_levels:
            book.apply(side, levels)
        self.exchange.on_market(event)
        self.updates += self.exchange.poll()

    def book(self, bids, asks, symbol=SYMBOL):
        """A whole book, levels as ``"100.0 x 5"`` pairs of strings."""
        self.wait(self.pause)
        self.market.books[symbol] = Book()
        event = BookSnapshot(symbol, self.now, self.now, next(self.numbers), bids, asks)
        self._event(event, ((Side.BUY, bids), (Side.SELL, asks)))

    def delta(self, bids=(), asks=(), symbol=SYMBOL):
        self.wait(self.pause)
        number = next(self.numbers)
        event = BookDelta(symbol, self.now, self.now, number, number, number - 1, bids, asks)
        self._event(event, ((Side.BUY, bids), (Side.SELL, asks)))

    def top(self, bid, bid_qty, ask, ask_qty, *, exchange_ns=None):
        self.wait(self.pause)
        at = self.now if exchange_ns is None else exchange_ns
        self._event(TopOfBook(SYMBOL, at, self.now, next(self.numbers), bid, bid_qty, ask, ask_qty))

    def trade(self, price, qty, taker, *, symbol=SYMBOL, exchange_ns=None):
        self.wait(self.pause)
        at = self.now if exchange_ns is None else exchange_ns
        self._event(Trade(symbol, at, self.now, next(self.numbers), price, qty, taker))

    def mark(self, price, rate="0", next_ns=0, *, symbol=SYMBOL):
        """A mark price, the rate of the next funding and its instant."""
        self.wait(self.pause)
        self._event(MarkPrice(symbol, self.now, self.now, price, price, rate, next_ns))

    def submit(self, kind, *, side=Side.BUY, qty="0", price=None, tif=TimeInForce.GTC, reduce_only=False, **more):
        """Send a message; the client id."""
        client_id = more.get("client_id") or f"c{next(self.ids)}"
        intent = OrderIntent(
            symbol=more.get("symbol", SYMBOL),
            side=side,
            kind=kind,
            tif=tif,
            reduce_only=reduce_only,
            position_side=more.get("position_side", PositionSide.BOTH),
            trigger=more.get("trigger"),
            intent_id=f"i-{client_id}",
        )
        limit = Decimal(price) if price is not None else None
        order = Admitted(
            _SEAL,
            intent,
            client_id,
            Decimal(qty),
            limit,
            reduce_only,
            Route.PAPER,
            more.get("target", ""),
            self.now,
        )
        self.exchange.submit(order)
        return client_id

    def buy(self, qty, price=None, tif=TimeInForce.GTC, **more):
        return self.submit(IntentKind.PLACE, side=Side.BUY, qty=qty, price=price, tif=tif, **more)

    def sell(self, qty, price=None, tif=TimeInForce.GTC, **more):
        return self.submit(IntentKind.PLACE, side=Side.SELL, qty=qty, price=price, tif=tif, **more)

    def submit_place(self, side, qty, price, tif, **more):
        return self.submit(IntentKind.PLACE, side=side, qty=qty, price=price, tif=tif, **more)

    def cancel(self, target, **more):
        return self.submit(IntentKind.CANCEL, target=target, **more)

    def amend(self, target, qty, price, **more):
        return self.submit(IntentKind.AMEND, target=target, qty=qty, price=price, **more)

    def said(self, *types):
        """Updates of some types, or all."""
        return [update for update in self.updates if not types or isinstance(update, types)]

    @property
    def fills(self):
        return [update.fill for update in self.said(Filled)]

    @property
    def payments(self):
        return [update.payment for update in self.said(Paid)]

    @property
    def account(self):
        return self.exchange.state.account

    def traded(self):
        """Fills so far, waiting for those under way: (client id, price, quantity, maker)."""
        self.settle()
        return [(fill.client_id, str(fill.price), str(fill.qty), fill.maker) for fill in self.fills]

    def position(self, position_side=PositionSide.BOTH, symbol=SYMBOL):
        return self.exchange.state.account.qty(symbol, position_side)

    def answer(self):
        """The last update, once it has come."""
        self.settle()
        return self.updates[-1]

    def query(self, client_id, symbol=SYMBOL):
        self.exchange.query(symbol, client_id)
        return self.answer()

    def snapshot(self):
        self.exchange.request_snapshot()
        return self.answer()


@pytest.fixture(scope="session")
def make_rig(tmp_path_factory):
    """Makes rigs; without ``data_dir`` each has a fresh one."""

    def make(data_dir=None, **settings):
        return Rig(data_dir or tmp_path_factory.mktemp("paper"), **settings)

    return make


@pytest.fixture
def instrument():
    """The rules of the symbol that rigs trade."""
    return BTC


@pytest.fixture
def rig(make_rig):
    """A rig with 5 displayed at 100.0 and at 100.1, and two levels behind each."""
    rig = make_rig()
    rig.book(
        [("100.0", "5"), ("99.9", "7"), ("99.8", "9")],
        [("100.1", "5"), ("100.2", "7"), ("100.3", "9")],
    )
    return rig
