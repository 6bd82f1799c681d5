"""Our sides of the benchmarks that need a process of their own. Prints one JSON line.

Usage: python ours.py {decode|capture|engine|whatif|day|first-decision} CAPTURE.gz
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import tempfile
import time
import zlib
from pathlib import Path
from types import MappingProxyType

import msgspec

GATE = Path(__file__).with_name("number_gate.py")
NAMES = ("bench_one", "bench_two", "bench_three", "bench_four")
SIX_GATES = tuple(f"plugins.{name}.{key}" for name in NAMES for key in ("enabled=true", "mode=enforce"))
"""Beside the two that ship, four copies of a gate that checks one number."""
TWO_QUOTES = (
    "plugins.grid.notional=null",
    "plugins.grid.qty=0.01",
    "plugins.grid.interval_ms=500",
    "plugins.warm_up.seconds=0",
)


class _Data(msgspec.Struct, gc=False):
    e: str = ""
    E: int = 0
    T: int = 0
    s: str = ""
    U: int = 0
    u: int = 0
    pu: int = 0
    b: list[tuple[str, str]] | str = ""
    a: list[tuple[str, str]] | str = ""
    B: str = ""
    A: str = ""
    p: str = ""
    q: str = ""
    t: int = 0
    m: bool = False


class _Frame(msgspec.Struct, gc=False):
    stream: str = ""
    data: _Data | None = None
    lastUpdateId: int = 0  # noqa: N815 - the venue names it so


def decode(path: Path) -> dict:
    """Gunzip and JSON decoding alone: the floor."""
    start = time.perf_counter()
    decoder = msgspec.json.Decoder(_Frame)
    count = 0
    for line in zlib.decompress(path.read_bytes(), 31).split(b"\n"):
        if line:
            decoder.decode(line[line.index(b" ") + 1 :])
            count += 1
    return {"frames": count, "seconds": time.perf_counter() - start}


def _options(out: str, *overrides: str, replay: tuple[Path, ...] = ()):
    from grinder.engine.options import RunOptions

    folder = Path(out) / "gates"
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in NAMES:
        copy = folder / f"{name}.py"
        copy.write_text(GATE.read_text().replace("BENCH_WIDE", f"{name.upper()}_WIDE"))
        copy.chmod(0o600)
    return RunOptions(replay=replay, out=Path(out), plugins_dir=folder, overrides=(*SIX_GATES, *overrides))


def capture(path: Path) -> dict:
    """Raw capture file to fills, records and report, with six enforced gates and two quotes each 500 ms."""
    from grinder.engine.plugins import load
    from grinder.engine.session import Session
    from grinder.engine.surroundings import open_feed

    with tempfile.TemporaryDirectory() as out:
        options = _options(out, *TWO_QUOTES, replay=(path,))
        loaded = load(options.sources())  # the peer, too, imports and compiles before its clock starts
        start = time.perf_counter()
        summary = Session(options, loaded, open_feed(options, ())).run()
        seconds = time.perf_counter() - start
    gates = len(summary.decisions.by_gate)
    return {"events": summary.events, "seconds": seconds, "gates": gates, "orders": summary.orders.accepted,
            "filled_orders": summary.filled_orders, "fills": summary.fills}  # fmt: skip


class ListFeed:
    """Events decoded beforehand."""

    inputs = ()
    skipped = MappingProxyType({})
    ignored = MappingProxyType({})

    def __init__(self, events: list) -> None:
        from grinder.instruments import TABLE

        self._events = events
        self.symbols = ("BTCUSDT",)
        self.instruments = {"BTCUSDT": TABLE["BTCUSDT"]}
        self.markets = {"BTCUSDT": "binance-usdm"}
        self.first_ns, self.last_ns = events[0].local_ns, events[-1].local_ns

    def __iter__(self):
        return iter(self._events)

    def close(self) -> None:
        """Nothing is open."""


class TwoSided:
    """Cancels and replaces one post-only order a side after every ``every`` quotes, one tick off the touch."""

    wake_ns = 0

    def __init__(self, every: int) -> None:
        self.every, self.seen, self.last = every, 0, None

    def on_market(self, market, account, runtime, now):
        top = (market.bid, market.bid_qty, market.ask, market.ask_qty)
        if top == self.last:  # a print, not a quote
            return ()
        self.last = top
        self.seen += 1
        if not self.every or self.seen % self.every:
            return ()
        from decimal import Decimal

        from grinder import IntentKind, OrderIntent, Side, TimeInForce

        symbol, size, tick = market.symbol, Decimal("0.01"), Decimal("0.1")
        cancels = [
            OrderIntent(kind=IntentKind.CANCEL, symbol=symbol, side=o.side, target=o.intent_id, origin="bench")
            for o in account.open_orders(symbol)
        ]
        quotes = ((Side.BUY, Decimal(str(top[0])) - tick), (Side.SELL, Decimal(str(top[2])) + tick))
        return [
            *cancels,
            *(
                OrderIntent(symbol=symbol, side=side, qty=size, price=price, tif=TimeInForce.GTX, origin="bench")
                for side, price in quotes
            ),
        ]


def engine(path: Path, every: int = 100) -> dict:
    """The engine alone on top of book and trades decoded beforehand, two orders per ``every`` quotes."""
    from grinder.engine.plugins import load
    from grinder.engine.session import Session
    from grinder.feeds import open_recordings
    from grinder.types import TopOfBook, Trade

    with contextlib.closing(open_recordings([path])) as recording:
        events = [event for event in recording if isinstance(event, TopOfBook | Trade)]
    rates = {}
    for orders in (0, every):
        with tempfile.TemporaryDirectory() as out:
            loaded = load(_options(out, *TWO_QUOTES).sources())

            class Strategy:
                @staticmethod
                def create(*_: object) -> TwoSided:
                    return TwoSided(orders)  # noqa: B023 - used at once

            from grinder.engine.options import RunOptions

            loaded = msgspec.structs.replace(loaded, strategy=Strategy)
            session = Session(RunOptions(out=Path(out)), loaded, ListFeed(events))
            start = time.perf_counter()
            summary = session.run()
            rates[orders] = time.perf_counter() - start
    return {"events": len(events), "seconds": rates[every], "idle_seconds": rates[0], "orders": summary.orders.accepted,
            "events_per_s": round(len(events) / rates[every]), "fills": summary.fills}  # fmt: skip


COPIES = 40
"""So often the records of one paper run are put one after the other, each time with ids of their own."""


def whatif(_path: Path) -> dict:
    """The decisions of paper runs judged again with both gates changed, what they led to included."""
    from grinder.engine.plugins import load
    from grinder.engine.session import Session
    from grinder.evidence.reading import RecordReader
    from grinder.evidence.recorder import DECISIONS
    from grinder.settings.saved import SETTINGS, read_saved
    from grinder.settings.sources import Sources
    from grinder.whatif.study import Study

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        from grinder.engine.options import RunOptions

        Session.open(RunOptions(out=out)).run()
        lines = (out / DECISIONS).read_bytes()
        with (out / DECISIONS).open("wb") as file:
            for copy in range(1, COPIES + 1):
                file.write(re.sub(rb'"id":"(\w+)-1-', rb'"id":"\1-%d-' % copy, lines))
        base = read_saved(out / SETTINGS).layer(SETTINGS)
        changed = ("plugins.liquidity_by_side.alpha=3", "plugins.warm_up.seconds=60")
        loaded = load(Sources.over(base)), load(Sources.over(base, overrides=changed))
        study = Study(out, *loaded, reader=RecordReader(print))
        start = time.perf_counter()
        answer = study.conduct()
        seconds = time.perf_counter() - start
    rates = {"decisions_per_s": round(answer.decisions / seconds), "gated_per_s": round(answer.gated / seconds)}
    counts = {"decisions": answer.decisions, "gated": answer.gated, "changed": answer.sent_changes}
    return {"seconds": seconds, **counts, **rates}


def resident_mb() -> float:
    """Memory that this process holds now, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def day(_path: Path, hours: float = 24) -> dict:
    """A simulated day of two synthetic symbols: memory at each full hour of it."""
    from grinder.engine.options import RunOptions
    from grinder.engine.session import Session

    hour_ns = 3600 * 10**9
    with tempfile.TemporaryDirectory() as out:
        session = Session.open(RunOptions(out=Path(out), duration=int(hours * hour_ns)))
        begin: list[int] = []
        at: dict[int, float] = {}

        def progress(now: int, _events: int) -> None:
            begin.append(now)
            hour = (now - begin[0]) // hour_ns
            del begin[1:]
            at[hour] = max(at.get(hour, 0.0), resident_mb())

        session.progress = progress
        start = time.perf_counter()
        summary = session.run()
        seconds = time.perf_counter() - start
    later = [mb for hour, mb in at.items() if hour >= 1]
    return {"hours": hours, "seconds": round(seconds, 1), "events": summary.events, "intents": summary.intents,
            "first_hour_mb": round(at[0], 1), "most_later_mb": round(max(later, default=at[0]), 1),
            "by_hour_mb": {hour: round(mb, 1) for hour, mb in at.items()}}  # fmt: skip


def first_decision(path: Path) -> dict:
    """``grinder run`` from process start to its first decision: exits there."""
    from grinder.engine.executor import Executor

    original = Executor._decide

    def decide(self, intent, now):
        original(self, intent, now)
        os._exit(0)

    Executor._decide = decide  # type: ignore[method-assign]
    from grinder.cli.main import invoke

    with tempfile.TemporaryDirectory() as out:
        invoke(["run", "--out", out, *(["--replay", str(path)] if path.name else [])])
    return {}


if __name__ == "__main__":
    os.environ.pop("GRINDER_TRACE", None)
    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - the log is not what is measured
    jobs = {"decode": decode, "capture": capture, "engine": engine, "whatif": whatif, "day": day,
            "first-decision": first_decision}  # fmt: skip
    result = jobs[sys.argv[1]](Path(sys.argv[2]) if len(sys.argv) > 2 else Path(), *map(float, sys.argv[3:]))
    print(json.dumps(result))
