"""A whole engine on a scripted market and a scripted venue, for what a real venue does only on bad days."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import msgspec
import pytest

from grinder import (
    Accepted,
    Admitted,
    BookSnapshot,
    Cancelled,
    ExchangeSnapshot,
    Fill,
    Filled,
    Gatekeeper,
    IntentKind,
    ManualClock,
    MarkPrice,
    NotFound,
    OrderIntent,
    PositionSide,
    Route,
    Section,
    Side,
    Unknown,
)
from grinder.engine.options import RunOptions
from grinder.engine.plugins import load
from grinder.engine.session import Session
from grinder.instruments import TABLE

SECOND = 1_000_000_000
T0 = 1_700_000_000 * SECOND
SYMBOL = "BTCUSDT"


class Ticks:
    """A feed: one book, then a mark price every 100 ms."""

    inputs = ()
    symbols = (SYMBOL,)
    skipped = MappingProxyType({})
    ignored = MappingProxyType({})

    def __init__(self, seconds: float) -> None:
        self.instruments = {SYMBOL: TABLE[SYMBOL]}
        self.first_ns, self.last_ns = T0, T0 + int(seconds * SECOND)

    def __iter__(self):
        yield BookSnapshot(
            SYMBOL, T0, T0, 1, [("60000.0", "5"), ("59999.9", "5")], [("60000.1", "5"), ("60000.2", "5")]
        )
        for now in range(T0, self.last_ns, SECOND // 10):
            yield MarkPrice(SYMBOL, now, now, "60000", "60000", "0.0001", T0 + 3600 * SECOND)

    def close(self):
        """Nothing is open."""


class Venue:
    """An exchange whose answers the test gives. Accepts and cancels by itself unless told otherwise."""

    venue = account = "paper"

    def __init__(self) -> None:
        self.sent: list[Admitted] = []
        self.queries: list[str] = []
        self.updates: deque = deque()
        self.silent = False
        self.on_submit = None
        self.on_query = None

    def start(self, context) -> None:
        self.clock = context.clock

    def submit(self, order: Admitted) -> None:
        self.sent.append(order)
        if self.on_submit is not None:
            self.on_submit(order)
        elif order.intent.kind is IntentKind.CANCEL:
            self.updates.append(Cancelled(order.target_client_id, "user", self.clock.now_ns()))
        else:
            self.updates.append(Accepted(order.client_id, f"v{len(self.sent)}", self.clock.now_ns()))

    def unknown(self, order: Admitted) -> None:
        self.updates.append(Unknown(order.client_id, "timeout", self.clock.now_ns()))

    def fill(self, order: Admitted, trade_id: str, qty: str | None = None) -> Filled:
        now = self.clock.now_ns()
        return Filled(
            Fill(
                route=Route.PAPER, venue="paper", account="paper", symbol=SYMBOL, position_side=PositionSide.BOTH,
                trade_id=trade_id, client_id=order.client_id, intent_id=order.intent.intent_id, side=order.intent.side,
                price=order.price or Decimal(60000), qty=Decimal(qty) if qty else order.qty, fee=Decimal("0.01"),
                fee_asset="USDT", maker=True, exchange_ns=now, local_ns=now,
            )
        )  # fmt: skip

    def query(self, symbol: str, client_id: str) -> None:
        self.queries.append(client_id)
        answer = self.on_query(client_id) if self.on_query else NotFound(client_id)
        if answer is not None:
            self.updates.append(answer)

    def request_snapshot(self) -> None:
        self.updates.append(ExchangeSnapshot(self.clock.now_ns(), (), (), Decimal(10_000)))

    def poll(self):
        updates, self.updates = list(self.updates), deque()
        return updates

    def stop(self) -> None:
        """Nothing is open."""

    # A simulated venue is polled when something is due.
    @property
    def due_ns(self) -> int:
        return self.clock.now_ns() if self.updates else 1 << 62

    def advance(self, now: int) -> None:
        """Answers are there at once."""

    def on_market(self, event) -> None:
        """The market does not move this venue."""


class VenueSettings(Section):
    """No settings."""


class Script:
    """A strategy that calls ``step(second, account)`` once a second and proposes what it returns."""

    wake_ns = SECOND

    def __init__(self, step) -> None:
        self._step = step
        self._second = 0

    def on_market(self, market, account, runtime, now):
        self._second += 1
        return self._step(self._second, account) or ()


class Bench:
    """One run of the scripted engine; afterwards ``session`` and ``venue`` can be looked at."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.venue = Venue()

    def run(self, step, seconds: float = 10, *, resume: bool = False, before=None, overrides: tuple[str, ...] = ()):
        options = RunOptions(
            out=self.out,
            resume=resume,
            overrides=("plugins.warm_up.seconds=0", "engine.visibility_lag_ms=2000", *overrides),
        )
        loaded = load(options.sources())
        strategy = SimpleNamespace(create=lambda *_: Script(step))
        paper = SimpleNamespace(create=lambda _: self.venue)
        loaded = msgspec.structs.replace(loaded, strategy=strategy, exchanges={"paper": paper})
        self.session = Session(options, loaded, Ticks(seconds))
        if before is not None:
            before(self.session)
        self.summary = self.session.run()
        return self.summary

    @property
    def records(self) -> list[dict]:
        return [msgspec.json.decode(line) for line in (self.out / "decisions.jsonl").read_bytes().splitlines()]


def buy(qty: str = "0.01", price: str = "59990.0", **more) -> OrderIntent:
    return OrderIntent(symbol=SYMBOL, side=Side.BUY, qty=Decimal(qty), price=Decimal(price), origin="script", **more)


def sell(qty: str = "0.01", price: str = "60010.0", **more) -> OrderIntent:
    return OrderIntent(symbol=SYMBOL, side=Side.SELL, qty=Decimal(qty), price=Decimal(price), origin="script", **more)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path / "out")


@pytest.fixture
def place():
    return SimpleNamespace(buy=buy, sell=sell)


class Desk:
    """A gatekeeper on a clock that the test moves, with a program around it: ``keeper`` is open and ready to trade."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock(T0)
        self.keeper: Gatekeeper | None = None

    def open(self, *, ready: bool = True, **more) -> Gatekeeper:
        settings = more.pop("overrides", {})
        if isinstance(settings, dict):
            settings = {"plugins.warm_up.seconds": 0, "engine.visibility_lag_ms": 2000, **settings}
        given = {"data_dir": self.folder, "clock": self.clock, "overrides": settings, **more}
        self.keeper = keeper = Gatekeeper.from_settings(**given)
        if ready:
            keeper.sync(balance="10000", positions=[])
            self.tick()
        return keeper

    def tick(self, seconds: float = 0) -> None:
        """Let time pass; the market speaks again."""
        self.clock.advance(int(seconds * SECOND))
        self.keeper.book(SYMBOL, [("60000.0", "5"), ("59999.9", "5")], [("60000.1", "5"), ("60000.2", "5")])

    @property
    def records(self) -> list[dict]:
        lines = (self.folder / "decisions.jsonl").read_bytes().splitlines()
        return [msgspec.json.decode(line) for line in lines]

    def close(self) -> None:
        if self.keeper is not None:
            self.keeper.close()


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """One for tests that change nothing."""
    made = Desk(tmp_path_factory.mktemp("standing") / "state")
    made.open()
    yield made
    made.close()


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path / "state")
    yield made
    made.close()
