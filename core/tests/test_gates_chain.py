"""The gate chain: what binds, what is recorded, and that no fault of a gate gets past it."""

from __future__ import annotations

import asyncio
import enum
import inspect
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grinder.decisions import (
    Abstain,
    Allow,
    Block,
    Decision,
    Fault,
    GateInfo,
    Mode,
    Outcome,
    Shrink,
    Warn,
    decision_record,
)
from grinder.evidence.recorder import canonical
from grinder.gates.answers import is_plain, sound
from grinder.gates.breaker import BreakerState
from grinder.gates.chain import BoundGate, Chain, Evaluation, adapt
from grinder.gates.stats import COUNT_NAMES, GateStats
from grinder.settings.plugin import BreakerSettings, GateSettings
from grinder.types import OrderIntent, Risk, Side, TradingState

NOW = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
REASONS = frozenset(("LOW", "HIGH", "INPUT_MISSING"))
PATIENT_US = 60_000_000


class Economic(GateSettings):
    """Settings of a gate that offers the verdict breaker."""

    VERDICT_BREAKER = True


def order(qty: str = "1") -> OrderIntent:
    return OrderIntent(symbol="BTCUSDT", side=Side.BUY, qty=Decimal(qty), price=Decimal(100), intent_id="test-1")


def bound(function: Callable[..., Any], name: str = "gate", **settings: Any) -> BoundGate:
    model = Economic(**{"mode": Mode.ENFORCE, "budget_us": PATIENT_US, **settings})
    return BoundGate(
        info=GateInfo(name, model.mode, model.on_error),
        function=function,
        argnames=tuple(inspect.signature(function).parameters),
        settings=model,
        reasons=REASONS,
        stats=GateStats(name, model.breaker),
    )


def answering(answer: Any) -> Callable[[], Any]:
    return lambda: answer


def raising(error: BaseException) -> Callable[[], Any]:
    def gate() -> None:
        raise error

    return gate


def ask(chain: Chain, now: int = NOW, market_fault: str = "", qty: str = "1") -> Evaluation:
    runtime = SimpleNamespace(signals=MappingProxyType({"depth": 1.0}))
    return chain.evaluate(order(qty), SimpleNamespace(bid=99.0), SimpleNamespace(), runtime, now, market_fault)


def only(gate: BoundGate, **chain: Any) -> Any:
    return ask(Chain([gate], **chain)).answers[0]


def record(result: Evaluation) -> bytes:
    """The record of a decision with these answers, as it is written."""
    decision = Decision(
        intent=order(),
        now_ns=NOW,
        risk=Risk.INCREASE,
        outcome=Outcome.BLOCKED,
        reason="",
        by="",
        qty=Decimal(1),
        price=Decimal(100),
        route=None,
        trading_state=TradingState.ACTIVE,
        mid=100.0,
        gates=result.gates,
        answers=result.answers,
    )
    return canonical(decision_record(decision))


# What binds.


def test_answers_are_recorded_in_the_order_of_the_gates_and_the_first_block_binds():
    given = [Allow({"x": 1.5}), Warn("LOW"), Block("HIGH", {"y": 2}), Abstain("LOW"), Block("LOW")]
    result = ask(Chain([bound(answering(answer), f"g{number}") for number, answer in enumerate(given)]))
    assert list(result.answers) == given
    assert [info.name for info in result.gates] == ["g0", "g1", "g2", "g3", "g4"]
    assert result.blocker == 2
    assert result.shrink is None


def test_the_smallest_shrink_of_enforced_gates_holds():
    gates = [
        bound(answering(Shrink(Decimal("0.5"), "LOW"))),
        bound(answering(Shrink(Decimal("0.1"), "LOW")), mode=Mode.SHADOW),
        bound(answering(Shrink(Decimal("0.3"), "LOW"))),
        bound(answering(Shrink(Decimal("0.4"), "LOW"))),
    ]
    result = ask(Chain(gates))
    assert (result.blocker, result.shrink) == (-1, Decimal("0.3"))


def test_no_gates_allow():
    result = ask(Chain([]))
    assert (result.gates, result.answers, result.blocker, result.shrink) == ((), (), -1, None)


@pytest.mark.parametrize(
    "function",
    [answering(Block("LOW")), answering(Shrink(Decimal("0.1"), "LOW")), answering(None), raising(ValueError("no"))],
)
def test_shadow_is_recorded_and_never_binds(function):
    gate = bound(function, mode=Mode.SHADOW)
    result = ask(Chain([gate]))
    assert (result.blocker, result.shrink) == (-1, None)
    assert not isinstance(result.answers[0], Allow)
    assert gate.stats.calls == 1


def test_off_is_not_called():
    calls = []
    gate = bound(lambda: calls.append(1), mode=Mode.OFF)
    result = ask(Chain([gate, bound(answering(Allow()), "other")]))
    assert calls == []
    assert [info.name for info in result.gates] == ["other"]


def test_a_gate_gets_what_it_asked_for_and_nothing_else():
    seen = {}

    def gate(now: int, settings: GateSettings, order: OrderIntent) -> Allow:
        seen.update(now=now, settings=settings, order=order)
        return Allow()

    asked = bound(gate)
    ask(Chain([asked]))
    assert seen == {"now": NOW, "settings": asked.settings, "order": order()}
    with pytest.raises(ValueError, match=r"cannot ask for \['journal'\]"):
        adapt(gate, ("order", "journal"), GateSettings())


# Faults.


class Nested:
    """A mapping that raises when it is read."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __bool__(self) -> bool:
        raise self.error


class EvilMapping(Mapping):
    def __getitem__(self, key: str) -> float:
        raise ValueError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(("x",))

    def __len__(self) -> int:
        return 1


class LyingDict(dict):
    """Shows one thing to Python and another to an encoder."""

    def items(self) -> Any:
        return {"x": float("nan")}.items()


class OwnAllow(Allow):
    pass


class OwnBlock(Block):
    pass


class Pretender:
    """Says that it is an Allow."""

    def __init__(self) -> None:
        self.inputs: dict[str, float] = {}

    @property
    def __class__(self) -> type:
        return Allow


class UnreadableError(Exception):
    def __str__(self) -> str:
        raise SystemExit(1)


class Huge(int):
    def bit_length(self) -> int:
        return 1


class OwnText(str):
    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        raise ValueError("no")


NAN, INF = float("nan"), float("inf")

MALFORMED = {
    "none": None,
    "true": True,
    "text": "allow",
    "class": Allow,
    "dict": {"verdict": "allow"},
    "own fault": Fault("GATE_ERROR", "", False),
    "subclass of allow": OwnAllow(),
    "pretended allow": Pretender(),
    "undeclared warning": Warn("NOT_DECLARED"),
    "undeclared abstention": Abstain(""),
    "reason not text": Warn(7),
    "unhashable reason": Abstain(["LOW"]),
    "allow with NaN": Allow({"x": NAN}),
    "allow with infinity": Allow({"x": -INF}),
    "allow with decimal NaN": Allow({"x": Decimal("NaN")}),
    "allow with signalling NaN": Allow({"x": Decimal("sNaN")}),
    "allow with decimal infinity": Allow({"x": Decimal("Infinity")}),
    "NaN after good inputs": Allow({"a": 1.0, "b": "text", "x": NAN}),
    "list input": Allow({"x": [1.0]}),
    "object input": Allow({"x": object()}),
    "input that pretends to be short": Allow({"x": Huge(10**5000)}),
    "very long integer": Allow({"x": 10**5000}),
    "too many": Allow({str(number): number for number in range(65)}),
    "too long a text": Allow({"x": "y" * 5_000_000}),
    "too long a name": Allow({"x" * 4096: "y"}),
    "too many digits": Allow({"x": Decimal("1." + "3" * 5000)}),
    "too long a text of its own type": Allow({OwnText("x"): OwnText("y" * 4096)}),
    "key not text": Allow({1: 2.0}),
    "inputs none": Allow(None),
    "inputs a list": Allow([1.0]),
    "inputs that raise": Allow(Nested(ValueError("no"))),
    "mapping that raises": Allow(EvilMapping()),
    "dict that lies": Allow(LyingDict(x=1.0)),
    "warning with NaN": Warn("LOW", {"x": NAN}),
    "shrink to NaN": Shrink(Decimal("NaN"), "LOW"),
    "shrink to signalling NaN": Shrink(Decimal("sNaN"), "LOW"),
    "shrink to infinity": Shrink(Decimal("Infinity"), "LOW"),
    "shrink to less than nothing": Shrink(Decimal(-1), "LOW"),
    "shrink to zero": Shrink(Decimal(0), "LOW"),
    "shrink to the whole": Shrink(Decimal(1), "LOW"),
    "grow": Shrink(Decimal(2), "LOW"),
    "shrink to a float": Shrink(0.5, "LOW"),
    "shrink to text": Shrink("0.5", "LOW"),
    "shrink undeclared": Shrink(Decimal("0.5"), "NOT_DECLARED"),
}

MALFORMED_BLOCKS = {
    "undeclared": Block("NOT_DECLARED"),
    "unhashable reason": Block(["LOW"]),
    "NaN": Block("LOW", {"x": NAN}),
    "object": Block("LOW", {"x": object()}),
    "mapping that raises": Block("LOW", EvilMapping()),
    "inputs none": Block("LOW", None),
    "dict that lies": Block("LOW", LyingDict(x=1.0)),
    "subclass": OwnBlock("LOW"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_answer_follows_on_error_and_the_others_are_asked(name):
    for on_error, blocker in (("block", 1), ("allow", -1)):
        gate = bound(answering(MALFORMED[name]), on_error=on_error)
        result = ask(Chain([bound(answering(Allow())), gate, bound(answering(Warn("LOW")))]))
        fault = result.answers[1]
        assert type(fault) is Fault
        assert fault.reason in {"GATE_ERROR", "INPUT_NONFINITE", "INPUT_OVERSIZE"}
        assert fault.error.isprintable()
        assert 0 < len(fault.error) <= 300
        assert fault.blocks is (on_error == "block")
        assert (result.blocker, result.shrink) == (blocker, None)
        assert (result.answers[0], result.answers[2]) == (Allow(), Warn("LOW"))
        assert gate.stats.faults == gate.stats.counts[COUNT_NAMES.index("error")] == 1
        record(result)


@pytest.mark.parametrize("name", MALFORMED_BLOCKS)
def test_a_malformed_block_blocks_whatever_on_error_says(name):
    result = ask(Chain([bound(answering(MALFORMED_BLOCKS[name]), on_error="allow")]))
    assert type(result.answers[0]) is Fault
    assert result.blocker == 0
    record(result)


@pytest.mark.parametrize("value", [NAN, INF, -INF, Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity")])
def test_a_non_finite_input_says_so(value):
    fault = only(bound(answering(Allow({"spread": value}))))
    assert fault.reason == "INPUT_NONFINITE"
    assert "spread" in fault.error


FITTING = [
    {str(number): number for number in range(64)},
    {"x": "y" * 4095},
    {"x" * 4095: "y"},
    {"x": "y" * 2000, "z": Decimal("1." + "3" * 1900)},
    {"x": Decimal("1e999999")},
    {OwnText("x"): "y" * 4095},
]


@pytest.mark.parametrize("inputs", FITTING, ids=range(len(FITTING)))
def test_inputs_that_just_fit_are_recorded_and_one_character_or_input_more_is_a_fault(inputs):
    result = ask(Chain([bound(answering(Allow(inputs)))]))
    assert result.answers[0] == Allow(inputs)
    record(result)
    fault = only(bound(answering(Allow({**inputs, "m": "n" * (4095 if len(inputs) < 64 else 1)})), on_error="allow"))
    assert (type(fault), fault.reason, fault.blocks) == (Fault, "INPUT_OVERSIZE", False)


PARTS = st.one_of(
    st.text(st.characters(), max_size=5000), st.floats(), st.integers(), st.decimals(), st.booleans(), st.none()
)


@given(st.dictionaries(st.text(st.characters(max_codepoint=0x100), max_size=100), PARTS, max_size=80))
def test_what_passes_without_being_added_up_is_what_would_pass_if_it_were(inputs):
    if is_plain(inputs):
        assert sound(Allow(MappingProxyType(inputs)), frozenset(), None).inputs == inputs


def recurse() -> Any:
    return recurse()


RAISED = [
    ValueError("no"),
    MemoryError(),
    StopIteration(),
    AssertionError("x"),
    SystemExit(0),
    GeneratorExit(),
    asyncio.CancelledError(),
    UnreadableError(),
    ValueError("\ud800 is no text"),
    ValueError("x" * 100_000),
    BaseExceptionGroup("several", [KeyboardInterrupt()]),
]


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_whatever_a_gate_raises_follows_on_error_and_the_others_are_asked(error):
    for on_error, blocker in (("block", 0), ("allow", -1)):
        result = ask(Chain([bound(raising(error), on_error=on_error), bound(answering(Warn("LOW")))]))
        fault = result.answers[0]
        assert type(fault) is Fault
        assert fault.reason == "GATE_ERROR"
        assert fault.error.startswith(type(error).__name__)
        assert len(fault.error) < 400
        assert result.blocker == blocker
        assert result.answers[1] == Warn("LOW")
        record(result)


def test_endless_recursion_is_a_fault():
    fault = only(bound(recurse))
    assert fault.reason == "GATE_ERROR"
    assert fault.error.startswith("RecursionError")


def test_keyboard_interrupt_ends_the_evaluation():
    gate = bound(raising(KeyboardInterrupt()), on_error="allow")
    with pytest.raises(KeyboardInterrupt) as caught:
        ask(Chain([gate]))
    assert caught.value.__notes__ == [f"interrupted in pre_order_gate of plugin {gate.info.name!r}"]


def test_a_coroutine_is_a_fault():
    async def later() -> Allow:
        return Allow()

    coroutine = later()
    fault = only(bound(answering(coroutine)))
    coroutine.close()
    assert fault.error == "returned coroutine instead of a verdict"


def test_the_text_of_a_fault_is_the_same_in_every_run():
    fault = only(bound(raising(ValueError(f"cannot use {object()!r}"))))
    assert fault.error == "ValueError: cannot use <object object>"
    assert only(bound(answering(Shrink(object(), "LOW")))).error.startswith("shrinks to object,")


class Reason(enum.StrEnum):
    LOW = "LOW"


class Level(enum.IntEnum):
    TWO = 2


class OwnFloat(float):
    pass


def test_inputs_that_merely_are_of_a_richer_type_are_recorded_plain():
    inputs = MappingProxyType(
        {"side": Side.BUY, "level": Level.TWO, "x": OwnFloat(1.5), OwnText("k"): OwnText("v"), "place": "Zürich"}
    )
    result = ask(Chain([bound(answering(Block(Reason.LOW, inputs)))]))
    answer = result.answers[0]
    assert answer == Block("LOW", {"side": "BUY", "level": 2, "x": 1.5, "k": "v", "place": "Zürich"})
    assert isinstance(answer, Block)
    assert {type(part) for part in (answer.reason, *answer.inputs, *answer.inputs.values())} == {str, int, float}
    assert b'"inputs":{"k":"v","level":2,"place":"Z\xc3\xbcrich","side":"BUY","x":1.5}' in record(result)


@pytest.mark.parametrize(
    ("inputs", "recorded"),
    [
        ({"\ud800": 1.0, "x": None}, {"\\ud800": 1.0, "x": None}),
        ({"x": "\udfff"}, {"x": "\\udfff"}),
        ({OwnText("x"): 1.0}, {"x": 1.0}),
        ({"x": OwnText("y")}, {"x": "y"}),
    ],
)
@pytest.mark.parametrize("verdict", [Allow, lambda inputs: Block("LOW", inputs)], ids=["allow", "block"])
def test_text_that_cannot_be_encoded_as_it_is_is_made_plain_and_the_verdict_stays(verdict, inputs, recorded):
    result = ask(Chain([bound(answering(verdict(inputs)))]))
    assert result.answers[0] == verdict(recorded)
    made = result.answers[0].inputs
    assert {type(part) for part in (*made, *made.values())} <= {str, float, type(None)}
    record(result)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (None, "returned NoneType instead of a verdict"),
        (Warn("NOT_DECLARED"), "reason 'NOT_DECLARED' is not declared in the plugin's REASONS"),
        (Shrink(Decimal("NaN"), "LOW"), "shrinks to Decimal('NaN'), not between zero and the order's 1"),
        (Allow(None), "inputs are NoneType, must be a dict"),
        (Allow({"x": [1.0]}), "input 'x' is list, must be a 64-bit number, text, bool or None"),
        (Allow({"x": Decimal("sNaN")}), "input x is sNaN"),
    ],
    ids=str,
)
def test_a_fault_says_what_was_wrong(answer, error):
    assert only(bound(answering(answer))).error == error


def test_a_gate_cannot_change_what_it_is_given():
    def own_order(order: OrderIntent) -> Allow:
        order.qty = Decimal("0.001")
        return Allow()

    def own_settings(settings: GateSettings) -> Allow:
        settings.mode = Mode.OFF
        return Allow()

    def own_signals(runtime: Any) -> Allow:
        runtime.signals["depth"] = 0.0
        return Allow()

    seen = []

    def witness(order: OrderIntent, runtime: Any) -> Allow:
        seen.append((order, dict(runtime.signals)))
        return Allow()

    gates = [bound(own_order), bound(own_settings), bound(own_signals), bound(witness)]
    result = ask(Chain(gates))
    assert [type(answer) for answer in result.answers] == [Fault, Fault, Fault, Allow]
    assert seen == [(order(), {"depth": 1.0})]
    assert gates[1].settings.mode is Mode.ENFORCE


# Ways of asking.


def test_first_block_stops_at_the_first_enforced_block():
    calls = []

    def counted(answer: Any) -> Callable[[], Any]:
        def gate() -> Any:
            calls.append(answer)
            return answer

        return gate

    gates = [
        bound(counted(Block("LOW")), "shadow", mode=Mode.SHADOW),
        bound(counted(None), "open", on_error="allow"),
        bound(counted(Block("HIGH")), "blocks"),
        bound(counted(Allow()), "after"),
    ]
    result = ask(Chain(gates, first_block=True))
    assert [info.name for info in result.gates] == ["shadow", "open", "blocks"]
    assert len(result.answers) == len(calls) == 3
    assert result.blocker == 2
    assert gates[3].stats.calls == 0


def test_first_block_stops_at_a_fault_that_blocks():
    result = ask(Chain([bound(answering(None)), bound(answering(Allow()))], first_block=True))
    assert (len(result.answers), result.blocker) == (1, 0)


@pytest.mark.parametrize("market_fault", ["INPUT_MISSING", "MARKET_STALE", "MARKET_GAP", "INPUT_NONFINITE"])
def test_bad_market_data_is_a_fault_of_the_gates_that_ask_for_it_only(market_fault):
    calls = []

    def needs(market: Any) -> Allow:
        calls.append(market)
        return Allow()

    closed, opened, other = bound(needs), bound(needs, on_error="allow"), bound(lambda order: Warn("LOW"))
    for number in range(100):
        result = ask(Chain([opened, other]), NOW + number, market_fault)
        assert result.answers == (Fault(market_fault, "", False), Warn("LOW"))
        assert result.blocker == -1
        result = ask(Chain([other, closed]), NOW + number, market_fault)
        assert result.answers == (Warn("LOW"), Fault(market_fault, "", True))
        assert result.blocker == 1
    assert calls == []
    assert closed.stats.fault_breaker.state is BreakerState.CLOSED
    assert (closed.stats.faults, closed.stats.calls, sum(closed.stats.histogram.buckets)) == (0, 0, 0)
    assert closed.stats.counts[COUNT_NAMES.index("error")] == 100


def slow(answer: Any, turns: int = 20_000) -> Callable[[], Any]:
    """A gate that takes far more than a microsecond, far less than a second."""

    def gate() -> Any:
        for _ in range(turns):
            pass
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return gate


@pytest.mark.parametrize("answer", [Allow(), Block("LOW"), Shrink(Decimal("0.5"), "LOW")], ids=str)
def test_in_replay_an_overrun_is_counted_and_no_verdict(answer):
    gate = bound(slow(answer), budget_us=1)
    assert only(gate) == answer
    assert (gate.stats.overruns, gate.stats.faults) == (1, 0)


@pytest.mark.parametrize("on_error", ["block", "allow"])
def test_live_an_overrun_is_a_verdict_and_a_block_stays_one(on_error):
    for answer, blocks in ((Allow(), False), (Shrink(Decimal("0.5"), "LOW"), False), (Block("LOW"), True)):
        gate = bound(slow(answer), budget_us=1, on_error=on_error)
        fault = only(gate, live=True)
        assert (fault.reason, fault.blocks) == ("GATE_TIMEOUT", blocks or on_error == "block")
        assert fault.error.endswith("after its budget of 1 us")
        assert (gate.stats.overruns, gate.stats.faults) == (1, 1)


@pytest.mark.parametrize("on_error", ["block", "allow"])
def test_a_fault_that_is_late_too_stays_the_same_fault(on_error):
    raised = only(bound(slow(ValueError("no")), budget_us=1, on_error=on_error), live=True)
    assert (raised.reason, raised.blocks) == ("GATE_ERROR", on_error == "block")
    malformed = only(bound(slow(Block("LOW", {"x": NAN})), budget_us=1, on_error=on_error), live=True)
    assert (malformed.reason, malformed.blocks) == ("INPUT_NONFINITE", True)


def test_within_its_budget_a_gate_is_no_overrun_live():
    gate = bound(slow(Allow(), 200_000), budget_us=2_000_000)
    assert only(gate, live=True) == Allow()
    assert gate.stats.overruns == 0


def test_every_answer_is_traced_as_it_is_recorded():
    lines: list[str] = []
    gates = [bound(answering(Allow({"x": 1.0})), "one"), bound(raising(ValueError("no")), "two")]
    result = ask(Chain(gates, trace=lines.append))
    assert lines == [
        f"pre_order_gate one order=test-1 now={NOW} -> {Allow({'x': 1.0})!r}",
        f"pre_order_gate two order=test-1 now={NOW} -> {result.answers[1]!r}",
    ]
    assert "ValueError: no" in lines[1]


def test_everything_is_counted_once():
    given = [Allow(), Allow({"x": 1}), Warn("LOW"), Shrink(Decimal("0.5"), "LOW"), Block("LOW"), Abstain("LOW"), None]
    current: list[Any] = []
    enforced = bound(lambda: current[0])
    shadow = bound(lambda: current[0], mode=Mode.SHADOW)
    chain = Chain([enforced, shadow])
    for answer in given:
        current[:] = [answer]
        ask(chain)
    assert dict(zip(COUNT_NAMES, enforced.stats.counts, strict=True)) == {
        "allow": 2,
        "warn": 1,
        "shrink": 1,
        "block": 1,
        "abstain": 1,
        "shadow_block": 0,
        "error": 1,
    }
    assert shadow.stats.counts[COUNT_NAMES.index("block")] == 0
    assert shadow.stats.counts[COUNT_NAMES.index("shadow_block")] == 1
    assert enforced.stats.reasons == {("LOW", True): 4, ("GATE_ERROR", True): 1}
    assert shadow.stats.reasons == {("LOW", False): 4, ("GATE_ERROR", False): 1}
    for gate in (enforced, shadow):
        assert gate.stats.calls == sum(gate.stats.histogram.buckets) == len(given)
        assert gate.stats.histogram.total_ns > 0


# The fault breaker.

QUICK = BreakerSettings.model_validate(
    {
        "fault": {"window_s": 10, "minimum_calls": 4, "max_fault_pct": 50, "open_s": 30, "probes": 2},
        "verdict": {
            "enabled": True,
            "window_s": 10,
            "minimum_calls": 4,
            "max_block_pct": 50,
            "open_s": 30,
            "probes": 2,
        },
    }
)


class Switched:
    """A gate whose answer the test sets; counts its calls."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.calls = 0

    def __call__(self) -> Any:
        self.calls += 1
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def opened(on_error: str) -> tuple[Switched, BoundGate, Chain]:
    """A chain whose only gate has failed until its breaker opened, at NOW."""
    gate = Switched(ValueError("no"))
    asked = bound(gate, breaker=QUICK, on_error=on_error)
    chain = Chain([asked])
    for _ in range(4):
        assert asked.stats.fault_breaker.state is BreakerState.CLOSED
        ask(chain)
    assert asked.stats.fault_breaker.state is BreakerState.OPEN
    return gate, asked, chain


@pytest.mark.parametrize(("on_error", "blocker"), [("block", 0), ("allow", -1)])
def test_an_open_fault_breaker_answers_without_calling(on_error, blocker):
    gate, asked, chain = opened(on_error)
    gate.answer = Allow()
    for second in range(30):
        result = ask(chain, NOW + second * SECOND)
        assert result.answers == (Fault("GATE_BREAKER_OPEN", "", on_error == "block"),)
        assert result.blocker == blocker
    assert gate.calls == 4
    assert asked.stats.calls == 4
    assert asked.stats.dirty


@pytest.mark.parametrize("on_error", ["block", "allow"])
def test_probes_do_not_bind_and_enough_good_ones_close(on_error):
    gate, asked, chain = opened(on_error)
    gate.answer = Block("LOW")
    for number in range(2):
        result = ask(chain, NOW + 30 * SECOND + number)
        assert result.answers == (Fault("GATE_BREAKER_OPEN", "probe answered Block", on_error == "block"),)
    assert gate.calls == 6
    assert ask(chain, NOW + 31 * SECOND).answers == (Block("LOW"),)
    assert asked.stats.fault_breaker.trips == 1


def test_a_bad_probe_reopens():
    gate, asked, chain = opened("block")
    asked.stats.save()
    assert not asked.stats.dirty
    result = ask(chain, NOW + 30 * SECOND)
    assert result.answers == (Fault("GATE_BREAKER_OPEN", "ValueError: no", True),)
    assert asked.stats.dirty
    ask(chain, NOW + 59 * SECOND)
    assert gate.calls == asked.stats.faults == 5
    assert asked.stats.fault_breaker.trips == 2


def test_what_opened_a_breaker_is_forgotten_once_it_closed():
    gate, asked, chain = opened("block")
    gate.answer = Allow()
    for number in range(2):
        ask(chain, NOW + 30 * SECOND + number)
    gate.answer = ValueError("once")
    ask(chain, NOW + 30 * SECOND + 2)
    assert asked.stats.fault_breaker.state is BreakerState.CLOSED


def test_bad_market_data_is_no_probe():
    calls = []

    def needs(market: Any) -> Any:
        calls.append(1)

    asked = bound(needs, breaker=QUICK)
    chain = Chain([asked])
    for _ in range(4):
        ask(chain)
    for number in range(10):
        assert ask(chain, NOW + 30 * SECOND + number, "MARKET_GAP").answers == (Fault("MARKET_GAP", "", True),)
    assert len(calls) == 4
    assert asked.stats.fault_breaker.state is BreakerState.HALF_OPEN


def test_answers_without_a_call_do_not_dilute_the_share_of_faults():
    failing = [True]

    def needs(market: Any) -> Any:
        return None if failing[0] else Allow()

    asked = bound(needs, breaker=QUICK)
    chain = Chain([asked])
    for _ in range(100):
        ask(chain, NOW, "MARKET_GAP")
    for _ in range(4):
        ask(chain)
    assert asked.stats.fault_breaker.state is BreakerState.OPEN


def test_one_gate_has_one_breaker_over_all_symbols():
    gate = Switched(ValueError("no"))
    bitcoin = bound(gate, breaker=QUICK)
    ether = BoundGate(
        info=bitcoin.info,
        function=gate,
        argnames=(),
        settings=bitcoin.settings,
        reasons=REASONS,
        stats=bitcoin.stats,
    )
    chains = (Chain([bitcoin]), Chain([ether]))
    for number in range(4):
        ask(chains[number % 2], NOW + number * SECOND)
    assert [ask(chain, NOW + 5 * SECOND).answers[0].reason for chain in chains] == ["GATE_BREAKER_OPEN"] * 2
    assert gate.calls == 4


@pytest.mark.parametrize("answer", [None, Block("LOW")], ids=["fault", "verdict"])
def test_what_is_older_than_the_window_does_not_count(answer):
    gate = Switched(answer)
    asked = bound(gate, breaker=QUICK)
    chain = Chain([asked])
    for wait in (0, 0, 0, 11, 11, 11):
        decide(chain, NOW + wait * SECOND)
    assert not asked.stats.guarded
    decide(chain, NOW + 11 * SECOND)
    assert asked.stats.guarded


def test_a_saved_open_breaker_comes_back_open():
    gate, asked, _ = opened("block")
    again = bound(gate, breaker=QUICK)
    again.stats.restore(asked.stats.save())
    chain = Chain([again])
    assert ask(chain, NOW + 29 * SECOND).answers == (Fault("GATE_BREAKER_OPEN", "", True),)
    assert gate.calls == 4
    ask(chain, NOW + 30 * SECOND)
    assert gate.calls == 5


# The verdict breaker.


def decide(chain: Chain, now: int) -> Evaluation:
    result = ask(chain, now)
    chain.learn(result, now)
    return result


def bypassed(**settings: Any) -> tuple[Switched, BoundGate, Chain]:
    """A chain whose only gate has blocked until it was bypassed, at NOW."""
    gate = Switched(Block("LOW", {"x": 1.0}))
    asked = bound(gate, breaker=QUICK, **settings)
    chain = Chain([asked])
    for _ in range(4):
        assert decide(chain, NOW).answers == (Block("LOW", {"x": 1.0}),)
    return gate, asked, chain


def test_a_gate_that_blocks_too_much_is_bypassed_by_name():
    _, asked, chain = bypassed()
    result = decide(chain, NOW + SECOND)
    assert result.answers == (Warn("GATE_BYPASSED", {"x": 1.0, "would_block": "LOW"}),)
    assert result.blocker == -1
    assert (asked.stats.bypassed, asked.stats.verdict_breaker.trips) == (1, 1)
    assert asked.stats.fault_breaker.state is BreakerState.CLOSED
    record(result)


@pytest.mark.parametrize("offered", [False, True])
def test_the_bypass_must_be_offered_and_switched_on(offered):
    class Plain(GateSettings):
        VERDICT_BREAKER = offered

    breaker = BreakerSettings() if offered else QUICK
    settings = Plain(mode=Mode.ENFORCE, breaker=breaker)
    gate = BoundGate(
        info=GateInfo("gate", Mode.ENFORCE, "block"),
        function=answering(Block("LOW")),
        argnames=(),
        settings=settings,
        reasons=REASONS,
        stats=GateStats("gate", breaker),
    )
    chain = Chain([gate])
    assert {decide(chain, NOW + number).blocker for number in range(100)} == {0}


def test_a_bypassed_gate_that_fails_still_blocks():
    gate, _, chain = bypassed()
    gate.answer = None
    result = decide(chain, NOW + SECOND)
    assert type(result.answers[0]) is Fault
    assert result.blocker == 0


def test_where_the_gate_is_in_shadow_nothing_is_bypassed():
    gate, asked, _ = bypassed()
    shadow = BoundGate(
        info=GateInfo("gate", Mode.SHADOW, "block"),
        function=gate,
        argnames=(),
        settings=asked.settings,
        reasons=REASONS,
        stats=asked.stats,
    )
    assert decide(Chain([shadow]), NOW + SECOND).answers == (Block("LOW", {"x": 1.0}),)
    assert asked.stats.bypassed == 0


def test_a_bypassed_gate_may_still_shrink():
    gate, _, chain = bypassed()
    gate.answer = Shrink(Decimal("0.5"), "LOW")
    assert decide(chain, NOW + SECOND).shrink == Decimal("0.5")


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("other", [answering(Block("HIGH")), answering(None)], ids=["block", "fault"])
def test_orders_that_another_gate_blocks_do_not_feed(first, other):
    asked, blocking = bound(answering(Block("LOW")), breaker=QUICK), bound(other, "other")
    chain = Chain([blocking, asked] if first else [asked, blocking])
    for number in range(100):
        decide(chain, NOW + number)
    assert asked.stats.judged == 0
    assert asked.stats.verdict_breaker.state is BreakerState.CLOSED


def test_another_gates_shadow_block_does_not_keep_an_order_from_feeding():
    asked = bound(answering(Block("LOW")), breaker=QUICK)
    chain = Chain([bound(answering(Block("HIGH")), mode=Mode.SHADOW), asked])
    decide(chain, NOW)
    assert (asked.stats.judged, asked.stats.judged_blocks) == (1, 1)


@pytest.mark.parametrize(
    ("answer", "mode"),
    [(Block("LOW"), Mode.SHADOW), (None, Mode.ENFORCE), (Abstain("LOW"), Mode.ENFORCE)],
    ids=["shadow", "fault", "abstention"],
)
def test_what_does_not_feed(answer, mode):
    asked = bound(answering(answer), breaker=QUICK, mode=mode, on_error="allow")
    chain = Chain([asked])
    for number in range(100):
        decide(chain, NOW + number)
    assert asked.stats.judged == 0


def test_an_order_that_the_first_block_kept_from_the_gate_does_not_feed():
    asked = bound(answering(Block("LOW")), breaker=QUICK)
    chain = Chain([bound(answering(Block("HIGH"))), asked], first_block=True)
    decide(chain, NOW)
    assert asked.stats.judged == 0


def test_half_open_is_still_bypassed_and_orders_that_it_would_pass_close_it():
    gate, asked, chain = bypassed()
    gate.answer = Allow()
    decide(chain, NOW + 30 * SECOND)
    assert asked.stats.verdict_breaker.state is BreakerState.HALF_OPEN
    decide(chain, NOW + 31 * SECOND)
    assert asked.stats.verdict_breaker.state is BreakerState.CLOSED
    assert not asked.stats.guarded
    gate.answer = Block("LOW")
    for number in range(3):  # below the minimum of calls again
        assert decide(chain, NOW + 32 * SECOND + number).blocker == 0


def test_a_probe_that_would_block_bypasses_again():
    gate, asked, chain = bypassed()
    result = decide(chain, NOW + 30 * SECOND)
    assert result.answers[0].reason == "GATE_BYPASSED"
    assert asked.stats.verdict_breaker.state is BreakerState.OPEN
    assert asked.stats.verdict_breaker.trips == 2
    gate.answer = Allow()
    decide(chain, NOW + 59 * SECOND)
    assert asked.stats.verdict_breaker.state is BreakerState.OPEN


def test_between_probes_a_block_is_bypassed_and_counts_as_a_bad_one():
    gate, asked, chain = bypassed()
    gate.answer = Allow()
    decide(chain, NOW + 30 * SECOND)
    gate.answer = Block("LOW")
    assert decide(chain, NOW + 31 * SECOND).answers == (Warn("GATE_BYPASSED", {"would_block": "LOW"}),)
    assert asked.stats.verdict_breaker.state is BreakerState.OPEN


def test_an_order_that_another_gate_blocks_is_no_probe():
    gate, asked, _ = bypassed()
    gate.answer = Allow()
    chain = Chain([asked, bound(answering(Block("HIGH")), "other")])
    for number in range(10):
        decide(chain, NOW + 30 * SECOND + number)
    assert asked.stats.verdict_breaker.state is not BreakerState.CLOSED


def test_a_saved_bypass_comes_back():
    _, asked, _ = bypassed()
    again = bound(answering(Block("LOW")), breaker=QUICK)
    again.stats.restore(asked.stats.save())
    assert decide(Chain([again]), NOW + SECOND).answers[0].reason == "GATE_BYPASSED"
