"""The property of the product: no fault of a gate lets new risk through, and none holds an order that reduces."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder.decisions import Abstain, Allow, Block, Fault, GateInfo, Mode, Outcome, Shrink, Warn, decision_record
from grinder.engine.account import Account
from grinder.engine.draft import Desk
from grinder.engine.faces import AccountFace
from grinder.engine.path import OrderPath
from grinder.engine.runtime import Runtime
from grinder.evidence.recorder import canonical
from grinder.gates.chain import BoundGate, Chain, Evaluation
from grinder.gates.stats import GateStats
from grinder.instruments import TABLE
from grinder.market.state import MarketState
from grinder.settings.plugin import BreakerSettings, GateSettings
from grinder.types import (
    BookSnapshot,
    IntentKind,
    OpenOrder,
    OrderIntent,
    OrderState,
    Position,
    PositionSide,
    Risk,
    Route,
    Side,
)

SYMBOL = "BTCUSDT"
SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
NAN = float("nan")
REASONS = frozenset(("LOW", "HIGH"))
ORDER = OrderIntent(symbol=SYMBOL, side=Side.BUY, qty=Decimal("0.100"), price=Decimal(50_000), intent_id="i")


class Raising(Mapping[str, float]):
    """Inputs that raise when they are read."""

    def __getitem__(self, key: str) -> float:
        raise SystemExit(key)

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no")

    def __len__(self) -> int:
        return 1


class MutedError(Exception):
    """An exception that raises when it is printed."""

    def __str__(self) -> str:
        raise RecursionError


class OwnBlock(Block):
    """A block of the plugin's own making."""


def recurse(*arguments: Any) -> Any:
    return recurse(*arguments)


def spend(_order: OrderIntent) -> Allow:
    """Far more than a microsecond."""
    for _ in range(5_000):
        pass
    return Allow()


def change(order: OrderIntent) -> Allow:
    order.qty = Decimal(1)
    return Allow()


class Later:
    """What a coroutine is to the chain, without the warning that nobody awaited it."""

    def __await__(self) -> Iterator[None]:
        yield


GOOD = (
    Allow(),
    Allow({"x": 1.5, "n": 3, "text": "y", "price": Decimal("0.1"), "flag": True, "none": None}),
    Warn("LOW"),
    Abstain("HIGH", {"x": 0.0}),
    Shrink(Decimal("0.050"), "LOW"),
    Shrink(Decimal("0.001"), "HIGH", {"x": 2.0}),
    Block("LOW"),
    Block("HIGH", {"x": 1.0}),
)

EVIL = (
    None,
    0,
    "allow",
    Allow,
    Later(),
    Fault("GATE_ERROR", "", False),
    Allow({"x": NAN}),
    Allow({"x": float("inf")}),
    Allow({"x": Decimal("sNaN")}),
    Allow({"x": [1.0]}),
    Allow({"x": object()}),
    Allow({2: 1.0}),
    Allow(None),
    Allow(Raising()),
    Warn("NOT_DECLARED"),
    Warn(["LOW"]),
    Abstain(None),
    Shrink(Decimal("NaN"), "LOW"),
    Shrink(Decimal("-0.050"), "LOW"),
    Shrink(Decimal(0), "LOW"),
    Shrink(Decimal("0.100"), "LOW"),
    Shrink(Decimal(7), "LOW"),
    Shrink(0.05, "LOW"),
    Shrink(Decimal("0.050"), "NOT_DECLARED"),
    ValueError("no"),
    MutedError(),
    MemoryError(),
    RecursionError("by hand"),
    StopIteration(),
    SystemExit(0),
    GeneratorExit(),
    asyncio.CancelledError(),
    recurse,
    change,
)

EVIL_BLOCKS = (Block("NOT_DECLARED"), Block("LOW", {"x": NAN}), Block("LOW", Raising()), Block([]), OwnBlock("LOW"))


class Gate(NamedTuple):
    """A gate to be made: what it does, and how it is set up."""

    does: Any
    mode: Mode
    on_error: str
    asks_market: bool

    def asked(self, market_fault: str) -> bool:
        """Whether it is called, were its breakers closed."""
        return not (market_fault and self.asks_market)

    def expected_to_block(self, market_fault: str, live: bool) -> bool:
        """Whether its answer blocks, were it enforced and its breakers closed."""
        if not self.asked(market_fault):
            return self.on_error == "block"
        if any(self.does is block for block in EVIL_BLOCKS):
            return True
        if self.faulty(live):
            return self.on_error == "block"
        return isinstance(self.does, Block)

    def faulty(self, live: bool) -> bool:
        return not any(self.does is good for good in GOOD) and not (self.does is spend and not live)


class Settings(GateSettings):
    """Settings of a gate that offers the verdict breaker."""

    VERDICT_BREAKER = True


def function(does: Any, asks_market: bool, calls: list[Any]) -> Callable[..., Any]:
    """A gate's function that records each call."""

    def act(order: OrderIntent) -> Any:
        calls.append(does)
        if isinstance(does, BaseException):
            raise does
        return does(order) if inspect.isfunction(does) else does

    def with_market(order: OrderIntent, market: Any) -> Any:
        return act(order)

    return with_market if asks_market else act


def bound(gate: Gate, name: str, calls: list[Any], breaker: BreakerSettings) -> BoundGate:
    budget = 1 if gate.does is spend else 60_000_000
    model = Settings(mode=gate.mode, on_error=gate.on_error, budget_us=budget, breaker=breaker)
    act = function(gate.does, gate.asks_market, calls)
    return BoundGate(
        info=GateInfo(name, gate.mode, gate.on_error),
        function=act,
        argnames=tuple(inspect.signature(act).parameters),
        settings=model,
        reasons=REASONS,
        stats=GateStats(name, breaker),
    )


GATES = st.builds(
    Gate,
    does=st.one_of(st.sampled_from(GOOD), st.sampled_from(EVIL), st.sampled_from(EVIL_BLOCKS), st.just(spend)),
    mode=st.sampled_from(Mode),
    on_error=st.sampled_from(("block", "allow")),
    asks_market=st.booleans(),
)


def order_path(chain: Chain) -> OrderPath:
    """An order path over a healthy market and a long position of 1, with a working order to cancel."""
    market = MarketState(stale_ns=1 << 62)
    market.now_ns = NOW
    market.apply(BookSnapshot(SYMBOL, NOW, NOW, 1, [("49999.9", "1")], [("50000.1", "1")]))
    account = Account("paper", balance=Decimal(1_000_000))
    account.set_position(Position(SYMBOL, PositionSide.BOTH, Decimal(1), Decimal(50_000), Decimal(0)))
    account.put(
        OpenOrder(
            intent_id="resting",
            client_id="c",
            symbol=SYMBOL,
            side=Side.BUY,
            position_side=PositionSide.BOTH,
            price=Decimal(49_000),
            qty=Decimal(1),
            remaining=Decimal(1),
            reduce_only=False,
            state=OrderState.OPEN,
            route=Route.PAPER,
            origin="",
            created_ns=NOW,
        )
    )

    class Policies:
        """Accept, and send to paper."""

        min_free_balance = Decimal(0)

        def admission(self, *_: Any) -> str:
            return ""

        def size(self, *_: Any) -> Decimal:
            return Decimal(0)

        def route(self, _intent_id: str) -> Route:
            return Route.PAPER

    return OrderPath(
        tag="abcdef",
        market=market,
        instruments=TABLE,
        desks={Route.PAPER: Desk(account, AccountFace(account), real=False)},
        chain_for=lambda _symbol: chain,
        policies=Policies(),
        runtime=Runtime(market),
        max_in_flight=100,
    )


def evaluate(chain: Chain, market_fault: str) -> Evaluation:
    return chain.evaluate(ORDER, object(), object(), object(), NOW, market_fault)  # type: ignore[arg-type]


@given(
    gates=st.lists(GATES, max_size=6),
    market_fault=st.sampled_from(("", "", "MARKET_STALE", "INPUT_NONFINITE")),
    live=st.booleans(),
)
@settings(deadline=None, max_examples=300)
def test_every_gate_is_asked_recorded_and_binds_exactly_as_set_up(gates, market_fault, live):
    calls: list[Any] = []
    made = [bound(gate, f"g{number}", calls, BreakerSettings()) for number, gate in enumerate(gates)]
    result = evaluate(Chain(made, live=live), market_fault)
    active = [gate for gate in gates if gate.mode is not Mode.OFF]
    asked = [gate for gate in active if gate.asked(market_fault)]
    assert [id(does) for does in calls] == [id(gate.does) for gate in asked]
    assert [info.mode for info in result.gates] == [gate.mode for gate in active]
    blocking = [
        index
        for index, gate in enumerate(active)
        if gate.mode is Mode.ENFORCE and gate.expected_to_block(market_fault, live)
    ]
    assert result.blocker == (blocking[0] if blocking else -1)
    shrinks = []
    for gate, answer in zip(active, result.answers, strict=True):
        if not gate.asked(market_fault) or gate.faulty(live):
            assert type(answer) is Fault
            assert answer.blocks is gate.expected_to_block(market_fault, live)
            continue
        assert answer == (Allow() if gate.does is spend else gate.does)
        if isinstance(answer, Shrink) and gate.mode is Mode.ENFORCE:
            shrinks.append(answer.qty)
    assert result.shrink == (min(shrinks) if shrinks else None)
    assert ORDER.qty == Decimal("0.100")


QUICK = BreakerSettings.model_validate(
    {
        "fault": {"window_s": 10, "minimum_calls": 2, "max_fault_pct": 10, "open_s": 20, "probes": 2},
        "verdict": {
            "enabled": True,
            "window_s": 10,
            "minimum_calls": 2,
            "max_block_pct": 10,
            "open_s": 20,
            "probes": 2,
        },
    }
)


@given(
    evil=st.sampled_from((*EVIL, *EVIL_BLOCKS)),
    asks_market=st.booleans(),
    others=st.lists(GATES, max_size=4),
    place=st.integers(0, 4),
    first_block=st.booleans(),
    live=st.booleans(),
    waits=st.lists(st.sampled_from((0, 1, SECOND, 7 * SECOND, 21 * SECOND, 3600 * SECOND)), max_size=25),
)
@settings(deadline=None, max_examples=200)
def test_a_gate_that_only_fails_never_lets_new_risk_through_and_never_holds_what_reduces(  # noqa: PLR0917
    evil, asks_market, others, place, first_block, live, waits
):
    """Through every state of the breakers, verdict breakers switched on, whatever the other gates do."""
    calls: list[Any] = []
    gates = [*others]
    gates.insert(place, Gate(evil, Mode.ENFORCE, "block", asks_market))
    made = [bound(gate, f"g{number}", calls, QUICK) for number, gate in enumerate(gates)]
    path = order_path(Chain(made, live=live, first_block=first_block))
    sell = msgspec.structs.replace(ORDER, side=Side.SELL)
    cancel = OrderIntent(symbol=SYMBOL, side=Side.BUY, kind=IntentKind.CANCEL, target="resting", intent_id="i")
    now = NOW
    for wait in (0, *waits):
        now += wait
        ruling = path.decide(ORDER, now)
        assert ruling.decision.risk is Risk.INCREASE
        assert ruling.decision.outcome is not Outcome.ALLOWED
        assert ruling.admitted is None
        canonical(decision_record(ruling.decision))
        before = len(calls)
        for intent, risk in ((sell, Risk.REDUCE), (cancel, Risk.CANCEL)):
            ruling = path.decide(intent, now)
            assert ruling.decision.risk is risk
            assert ruling.admitted is not None
            assert ruling.decision.answers == ()
        assert len(calls) == before


@pytest.mark.parametrize(
    "gates",
    [
        [],
        [Gate(Allow(), Mode.ENFORCE, "block", True)],
        [Gate(evil, Mode.SHADOW, "block", True) for evil in (*EVIL, *EVIL_BLOCKS)],
        [Gate(evil, Mode.ENFORCE, "allow", True) for evil in EVIL],
        [Gate(evil, Mode.OFF, "block", True) for evil in EVIL],
    ],
    ids=["none", "good", "shadow", "allowed to fail", "off"],
)
def test_the_same_order_passes_where_no_fault_blocks(gates):
    made = [bound(gate, f"g{number}", [], BreakerSettings()) for number, gate in enumerate(gates)]
    assert order_path(Chain(made)).decide(ORDER, NOW).admitted is not None


def own_price(market: Any) -> Allow:
    market.bid = 1.0
    return Allow()


def own_balance(account: Any) -> Allow:
    account.balance = Decimal(10**9)
    return Allow()


def own_orders(account: Any) -> Allow:
    account.open_orders(SYMBOL).clear()
    return Allow()


def own_time(runtime: Any) -> Allow:
    runtime.started_ns = 0
    return Allow()


def own_signals(runtime: Any) -> Allow:
    runtime.signals["depth"] = 0.0
    return Allow()


@pytest.mark.parametrize("act", [own_price, own_balance, own_orders, own_time, own_signals])
def test_a_gate_that_tries_to_change_what_it_is_shown_blocks(act):
    model = GateSettings(mode=Mode.ENFORCE)
    gate = BoundGate(
        info=GateInfo("g", Mode.ENFORCE, "block"),
        function=act,
        argnames=tuple(inspect.signature(act).parameters),
        settings=model,
        reasons=REASONS,
        stats=GateStats("g", model.breaker),
    )
    ruling = order_path(Chain([gate])).decide(ORDER, NOW)
    assert (ruling.decision.reason, ruling.admitted) == ("GATE_ERROR", None)


def test_the_operator_can_interrupt_a_gate_and_nothing_is_admitted():
    made = bound(Gate(KeyboardInterrupt(), Mode.ENFORCE, "allow", False), "g", [], BreakerSettings())
    path = order_path(Chain([made]))
    with pytest.raises(KeyboardInterrupt):
        path.decide(ORDER, NOW)
