"""How many orders the paper exchange fills when both touches are joined at an interval, as the peer's script does it.

Usage: python fidelity.py CAPTURE.gz EVERY_MS {risk_averse|power}. Prints one JSON line.
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
from collections import Counter
from decimal import Decimal
from pathlib import Path

from grinder import (
    Admitted,
    ExchangeContext,
    Filled,
    IntentKind,
    ManualClock,
    OrderIntent,
    Rejected,
    Route,
    Side,
    TimeInForce,
)
from grinder.decisions import _SEAL
from grinder.feeds import open_recordings
from grinder.market.state import MarketState
from grinder_exchange_paper import Settings, create

MS = 1_000_000
QTY = Decimal("0.01")


class Quoter:
    """Every ``every_ns`` of market time, cancel what rests and join the best price of each side with one order."""

    def __init__(self, capture: Path, data_dir: Path, every_ns: int, **settings: object) -> None:
        self.feed = open_recordings([capture])
        (self.symbol,) = self.feed.symbols
        self.every_ns = every_ns
        self.market = MarketState(10**10)
        self.clock = ManualClock(self.feed.first_ns)
        self.exchange = create(Settings(balance=Decimal(10**7), **settings))
        self.exchange.start(
            ExchangeContext(
                clock=self.clock,
                instruments=self.feed.instruments,
                market=self.market,
                data_dir=data_dir,
                seed=1,
                resume=False,
                settings=None,
            )
        )
        self.numbers = itertools.count(1)
        self.filled: Counter[str] = Counter()
        self.rejected = 0

    def reach(self, now: int) -> None:
        """Let messages and answers travel up to a time."""
        while self.exchange.due_ns <= now:
            self.clock.set(max(self.exchange.due_ns, self.clock.now_ns()))
            self.exchange.advance(self.clock.now_ns())
            for update in self.exchange.poll():
                if isinstance(update, Filled):
                    self.filled[update.fill.client_id] += int(update.fill.qty / QTY * 1000)
                self.rejected += isinstance(update, Rejected)
        self.clock.set(now)

    def send(self, kind: IntentKind, side: Side, price: Decimal | None, target: str = "") -> None:
        """Hand one message over."""
        client_id = f"c{next(self.numbers)}"
        intent = OrderIntent(symbol=self.symbol, side=side, kind=kind, tif=TimeInForce.GTX, intent_id=client_id)
        qty = QTY if kind is IntentKind.PLACE else Decimal(0)
        now = self.clock.now_ns()
        self.exchange.submit(Admitted(_SEAL, intent, client_id, qty, price, False, Route.PAPER, target, now))

    def quote(self) -> None:
        """Cancel everything, then join both touches."""
        view = self.market.view(self.symbol)
        if not (view.bid and view.ask):
            return
        for client_id in tuple(self.exchange.state.orders.open):
            self.send(IntentKind.CANCEL, Side.BUY, None, client_id)
        for side, price in ((Side.BUY, view.bid), (Side.SELL, view.ask)):
            self.send(IntentKind.PLACE, side, Decimal(repr(price)))

    def run(self) -> dict:
        """Play the whole capture."""
        wake = self.feed.first_ns + self.every_ns
        for event in self.feed:
            while wake <= event.local_ns:
                self.reach(wake)
                self.quote()
                wake += self.every_ns
            self.reach(event.local_ns)
            self.market.apply(event)
            self.exchange.on_market(event)
        self.reach(self.clock.now_ns() + 100 * MS)
        self.exchange.stop()
        self.feed.close()
        placed = self.exchange.state.orders.last_id + self.rejected
        return {"orders": placed, "filled_orders": sum(lots == 1000 for lots in self.filled.values()),
                "touched_orders": len(self.filled), "rejected": self.rejected}  # fmt: skip


def main() -> None:
    """One run as the command line says."""
    capture, every_ms, queue = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    with tempfile.TemporaryDirectory() as folder:
        quoter = Quoter(capture, Path(folder), every_ms * MS, **({"queue": queue} if queue != "old" else {}))
        print(json.dumps(quoter.run()))


if __name__ == "__main__":
    main()
