"""One situation in which a gate is asked, as plain data: it can be generated, shrunk, printed and sent to a process."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from grinder.engine.faces import AccountFace
from grinder.testing.accounts import account, open_order, position
from grinder.testing.events import NOW, SYMBOL
from grinder.testing.markets import FakeMarket, market
from grinder.testing.runtimes import FakeRuntime, runtime
from grinder.types import MarketView, OrderIntent, OrderState, Side, TimeInForce

PlainLevels = tuple[tuple[str, str], ...]
NS_PER_S = 1_000_000_000


class Working(msgspec.Struct, frozen=True):
    """An open order of the scene's symbol."""

    side: Side
    price: str | None
    qty: str
    state: OrderState = OrderState.OPEN


class RawMarket(msgspec.Struct, frozen=True):
    """A ``MarketView`` with any numbers, those that the engine keeps from gates included."""

    symbol: str
    bid: float
    bid_qty: float
    ask: float
    ask_qty: float
    mark: float
    last: float
    age_ns: int = 0
    gap: bool = False

    @property
    def mid(self) -> float:
        """Half way between bid and ask; 0.0 if one is missing."""
        return (self.bid + self.ask) / 2 if self.bid and self.ask else 0.0

    @property
    def ready(self) -> bool:
        """As if all were well."""
        return True

    def levels(self, side: Side, count: int) -> tuple[tuple[float, float], ...]:
        """The best level, if there is one."""
        level = (self.bid, self.bid_qty) if side is Side.BUY else (self.ask, self.ask_qty)
        return (level,)[:count] if level[0] else ()


class Built(msgspec.Struct, frozen=True):
    """The arguments of a scene, in the order in which chains pass them; ``fault`` says why a gate is not called."""

    order: OrderIntent
    market: MarketView
    account: AccountFace
    runtime: FakeRuntime
    now: int
    fault: str


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """The default is an ordinary moment: a small order in a healthy market, a flat account, an hour after the start.

    Numbers are text, as a venue writes them. ``healthy_s`` and ``started_s`` count back from ``now``; a
    ``healthy_s`` of None is a symbol that is not healthy. ``raw`` gives the market's numbers as they are (bid, its
    quantity, ask, its quantity, mark, last) instead of what the engine would have made of them.
    """

    side: Side = Side.BUY
    qty: str = "0.01"
    price: str | None = "60000.0"
    tif: TimeInForce = TimeInForce.GTC
    bids: PlainLevels | None = (("60000.0", "5"), ("59999.9", "5"), ("59999.8", "5"))
    asks: PlainLevels | None = (("60000.1", "5"), ("60000.2", "5"), ("60000.3", "5"))
    mark: str | None = None
    last: str | None = None
    age_ms: int = 0
    gap: bool = False
    raw: tuple[str, ...] | None = None
    held: str = "0"
    entry_price: str = "60000"
    balance: str = "10000"
    working: tuple[Working, ...] = ()
    signals: Mapping[str, str] = {}
    healthy_s: float | None = 3600.0
    started_s: float = 3600.0
    now_ns: int = NOW

    def build(self) -> Built:
        """Fresh arguments, made of the engine's own parts."""
        seen = self._market()
        return Built(
            order=self._order(),
            market=seen,
            account=self._account(),
            runtime=self._runtime(),
            now=self.now_ns,
            fault=seen.fault if isinstance(seen, FakeMarket) else "",
        )

    def __str__(self) -> str:
        """What differs from the ordinary moment, as it would be written in a test."""
        plain = type(self)()
        names = self.__struct_fields__
        rows = [f"{n}={_shown(getattr(self, n))}" for n in names if getattr(self, n) != getattr(plain, n)]
        return f"Scene({', '.join(rows)})"

    def _order(self) -> OrderIntent:
        return OrderIntent(
            symbol=SYMBOL,
            side=self.side,
            qty=Decimal(self.qty),
            price=None if self.price is None else Decimal(self.price),
            tif=self.tif,
            origin="conformance",
            intent_id="test-1",
            created_ns=self.now_ns,
        )

    def _market(self) -> MarketView:
        if self.raw is not None:
            bid, bid_qty, ask, ask_qty, mark, last = map(float, self.raw)
            return RawMarket(SYMBOL, bid, bid_qty, ask, ask_qty, mark, last)
        return market(
            bids=self.bids,
            asks=self.asks,
            mark=self.mark,
            last=self.last,
            age_ms=self.age_ms,
            gap=self.gap,
            now_ns=self.now_ns,
        )

    def _account(self) -> AccountFace:
        orders = [
            open_order(side=each.side, qty=each.qty, price=each.price, state=each.state, intent_id=f"test-open-{n}")
            for n, each in enumerate(self.working, 1)
        ]
        held = [position(self.held, entry_price=self.entry_price)] if Decimal(self.held) else []
        return account(balance=self.balance, positions=held, orders=orders)

    def _runtime(self) -> FakeRuntime:
        return runtime(
            healthy_since=0 if self.healthy_s is None else self._ago(self.healthy_s),
            started_ns=self._ago(self.started_s),
            signals={name: float(value) for name, value in self.signals.items()},
        )

    def _ago(self, seconds: float) -> int:
        return max(self.now_ns - int(seconds * NS_PER_S), 1)


def _shown(value: object) -> str:
    return repr(value.value) if isinstance(value, Side | TimeInForce) else repr(value)
