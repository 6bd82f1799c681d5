"""How long one decision through six enforced gates takes, beside a bare pluggy call of six no-op implementations.

Run it: ``python tests/bench/chain_bench.py``. It prints both in microseconds and their ratio; it judges nothing.
"""

from __future__ import annotations

import sys
import timeit
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pluggy

from grinder.decisions import Allow, Block, Decision, GateInfo, Mode, Outcome, Verdict
from grinder.engine.tally import Tally
from grinder.gates.chain import BoundGate, Chain
from grinder.gates.stats import GateStats
from grinder.settings.plugin import GateSettings
from grinder.types import OrderIntent, Risk, Route, Side, TradingState

GATES = 6
NOW = 1_700_000_000_000_000_000
ROUNDS, CALLS = 100, 2_000

hookspec = pluggy.HookspecMarker("probe")
hookimpl = pluggy.HookimplMarker("probe")


class Spec:
    """The hook of the peer: the arguments of ``pre_order_gate``."""

    @hookspec
    def pre_order_gate(  # noqa: PLR0917 - as many as the gates' hook has
        self, order: Any, market: Any, account: Any, runtime: Any, now: int, settings: Any
    ) -> Any:
        """Judge one order."""


class Idle:
    """An implementation that does nothing."""

    @hookimpl
    def pre_order_gate(self, order: Any, market: Any) -> None:
        """Do nothing."""


class Limited(GateSettings):
    """Settings of the gates."""

    limit: float = 0.5


def gate(order: OrderIntent, market: Any, settings: Limited) -> Verdict:
    """Check one number."""
    value = market.bid
    if value < settings.limit:
        return Block("BID_LOW", {"x": value})
    return Allow({"x": value})


def peer() -> Callable[[], object]:
    """A bare pluggy call."""
    manager = pluggy.PluginManager("probe")
    manager.add_hookspecs(Spec)
    for _ in range(GATES):
        manager.register(Idle())
    call = manager.hook.pre_order_gate

    def run() -> object:
        return call(order=None, market=None, account=None, runtime=None, now=NOW, settings=None)

    return run


def chain(past: int = 0) -> tuple[Chain, Callable[[], object], Callable[[], object]]:
    """The compiled chain; evaluating alone, and with its ``Decision``, breakers and counts."""
    settings = Limited(mode=Mode.ENFORCE)
    bound = [
        BoundGate(
            info=GateInfo(f"gate_{number}", Mode.ENFORCE, "block"),
            function=gate,
            argnames=("order", "market", "settings"),
            settings=settings,
            reasons=frozenset(("BID_LOW",)),
            stats=GateStats(f"gate_{number}", settings.breaker),
        )
        for number in range(GATES)
    ]
    compiled = Chain(bound)
    order = OrderIntent(symbol="BTCUSDT", side=Side.BUY, qty=Decimal(1), price=Decimal(100), intent_id="probe-1")
    market, account, runtime = SimpleNamespace(bid=1.0), SimpleNamespace(), SimpleNamespace()
    tally = Tally()
    for number in range(past):
        compiled.evaluate(order, market, account, runtime, NOW + number)

    def evaluate() -> object:
        return compiled.evaluate(order, market, account, runtime, NOW)

    def decide() -> object:
        result = compiled.evaluate(order, market, account, runtime, NOW)
        compiled.learn(result, NOW)
        decision = Decision(
            intent=order,
            now_ns=NOW,
            risk=Risk.INCREASE,
            outcome=Outcome.ALLOWED,
            reason="OK",
            by="",
            qty=order.qty,
            price=order.price,
            route=Route.PAPER,
            trading_state=TradingState.ACTIVE,
            mid=100.0,
            gates=result.gates,
            answers=result.answers,
        )
        tally.decided(decision)
        return decision

    return compiled, evaluate, decide


def measure(*functions: Callable[[], object]) -> list[float]:
    """Best of interleaved rounds of the time of one call, in microseconds."""
    rounds = [[timeit.timeit(function, number=CALLS) / CALLS * 1e6 for function in functions] for _ in range(ROUNDS)]
    return [min(column) for column in zip(*rounds, strict=True)]


def main() -> None:
    """Print the figures."""
    _, evaluate, decide = chain()
    _, after, _ = chain(past=100_000)
    bare, alone, whole, later = measure(peer(), evaluate, decide, after)
    sys.stdout.write(
        f"pluggy, {GATES} no-op implementations:  {bare:.2f} us\n"
        f"Chain.evaluate, {GATES} enforced gates: {alone:.2f} us, ratio {alone / bare:.2f}\n"
        f"the same after 100 000 decisions: {later:.2f} us, ratio {later / bare:.2f}\n"
        f"with Decision, learn and Tally:   {whole:.2f} us, ratio {whole / bare:.2f}\n"
    )


if __name__ == "__main__":
    main()
