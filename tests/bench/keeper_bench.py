"""How long ``Gatekeeper.check`` takes with six enforced gates, beside the engine's own path for one order.

Run it: ``python tests/bench/keeper_bench.py``. It prints microseconds and judges nothing. Both decide, write and
commit one order; the engine then hands it to an exchange that does nothing, the gatekeeper to its program.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path

from ours import GATE, NAMES, SIX_GATES

from grinder import Gatekeeper, OrderIntent, Rejected, Side
from grinder.engine.outside import Outside

ORDERS = 3000
BUY = OrderIntent(symbol="BTCUSDT", side=Side.BUY, qty=Decimal("0.01"), price=Decimal(59990), origin="bench")


class Sink(Outside):
    """Takes orders and does nothing with them."""

    def submit(self, order: object) -> None:
        """Nothing."""


def keeper(folder: Path, sync: str) -> Gatekeeper:
    """One that is ready to trade."""
    gates = folder / "gates"
    gates.mkdir(mode=0o700, parents=True)
    for name in NAMES:
        copy = gates / f"{name}.py"
        copy.write_text(GATE.read_text().replace("BENCH_WIDE", f"{name.upper()}_WIDE"))
        copy.chmod(0o600)
    overrides = [*SIX_GATES, f"host.plugins_dir={gates}", f"journal.sync={sync}", "plugins.warm_up.seconds=0"]
    opened = Gatekeeper.from_settings(data_dir=folder / "state", overrides=overrides)
    opened.sync(balance=10_000, positions=[])
    return opened


def check(opened: Gatekeeper) -> float:
    """Seconds of one check."""
    opened.quote("BTCUSDT", 60000, 5, 60000.1, 5)
    begin = time.perf_counter()
    decision = opened.check(BUY)
    spent = time.perf_counter() - begin
    if decision.allowed:
        opened.rejected(decision.client_id, "bench")
    return spent


async def propose(opened: Gatekeeper, loops: int) -> list[float]:
    """Seconds of each proposal to the engine's own path."""
    post = opened._post
    executor, venue = post.executor, post.venue
    venue.exchange = Sink("paper", "main")
    times = []
    for _ in range(loops):
        opened.quote("BTCUSDT", 60000, 5, 60000.1, 5)
        now = post.tick()
        begin = time.perf_counter()
        await executor.propose((BUY,), now)
        times.append(time.perf_counter() - begin)
        for order in opened.open_orders():
            executor.settle(venue, (Rejected(order.client_id, "bench", "", now),))
    return times


def quantiles(times: list[float]) -> tuple[float, float]:
    """Median and 99th percentile in microseconds."""
    ordered = sorted(times)
    return ordered[len(ordered) // 2] * 1e6, ordered[len(ordered) * 99 // 100] * 1e6


def measure(orders: int = ORDERS) -> dict[str, float]:
    """Median and p99 of both with a journal that survives the process, and of a check that survives a power cut."""
    logging.disable(logging.WARNING)
    checks: list[float] = []
    proposals: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        with keeper(Path(folder) / "a", "process") as ours, keeper(Path(folder) / "b", "process") as engine:
            for _ in range(10):
                checks += [check(ours) for _ in range(orders // 10)]
                proposals += asyncio.run(propose(engine, orders // 10))
            if ours.status().blocked > orders // 20:
                raise RuntimeError("too many orders were blocked for this to measure anything")
        with keeper(Path(folder) / "c", "power") as durable:
            power = [check(durable) for _ in range(orders // 10)]
    return {
        "check_us": quantiles(checks)[0], "check_p99_us": quantiles(checks)[1],
        "engine_us": quantiles(proposals)[0], "engine_p99_us": quantiles(proposals)[1],
        "power_us": quantiles(power)[0], "power_p99_us": quantiles(power)[1],
    }  # fmt: skip


if __name__ == "__main__":
    figures = {name: round(value, 1) for name, value in measure().items()}
    sys.stdout.write(json.dumps(figures) + "\n")
