"""The gate chain of one symbol: compiled once into an ordered tuple, each gate isolated, counted and timed.

A gate that raises, answers with a wrong type, an undeclared reason or a non-finite number, is given missing or
stale data, or (live) overruns its budget becomes a ``Fault``, which blocks or allows as its ``on_error`` says.
A block stays a block, however malformed or late. The other gates are asked all the same. Only KeyboardInterrupt
passes through, since that is the operator's: the order it came in is not decided, and so not sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias

import msgspec

from grinder.clock import measure_ns
from grinder.decisions import Abstain, Allow, Answer, Block, Fault, GateInfo, Mode, Shrink, Warn
from grinder.gates.answers import UnsoundError, describe, is_plain, sound
from grinder.gates.breaker import BreakerState
from grinder.gates.stats import ALLOW, GateStats
from grinder.host.calls import interrupted
from grinder.settings.plugin import GateSettings
from grinder.types import AccountView, MarketView, OrderIntent, RuntimeView

GATE_ARGUMENTS: Final = ("order", "market", "account", "runtime", "now", "settings")
NEVER: Final = 1 << 62

Call: TypeAlias = Callable[[OrderIntent, MarketView, AccountView, RuntimeView, int], Any]
Trace: TypeAlias = Callable[[str], None]


class BoundGate(msgspec.Struct, frozen=True, kw_only=True):
    """One gate with its settings for one symbol, ready to be compiled."""

    info: GateInfo
    function: Callable[..., Any]
    argnames: tuple[str, ...]
    settings: GateSettings
    reasons: frozenset[str]
    stats: GateStats

    @property
    def enforced(self) -> bool:
        """Whether its answers bind."""
        return self.info.mode is Mode.ENFORCE

    @property
    def fails_closed(self) -> bool:
        """Whether a fault of it blocks."""
        return self.settings.on_error != "allow"

    @property
    def bypassable(self) -> bool:
        """Whether it offers a verdict breaker, has it switched on, and its answers bind."""
        return self.enforced and self.settings.VERDICT_BREAKER and self.stats.verdict_breaker is not None


class Evaluation(msgspec.Struct, frozen=True, gc=False):
    """All answers, and what they amount to: the index of the first that blocks (-1 none), the smallest shrink."""

    gates: tuple[GateInfo, ...]
    answers: tuple[Answer, ...]
    blocker: int
    shrink: Decimal | None


def adapt(function: Callable[..., Any], argnames: Sequence[str], settings: GateSettings) -> Call:
    """A callable of fixed shape that passes on only the arguments that the gate asked for."""
    unknown = set(argnames) - set(GATE_ARGUMENTS)
    if unknown:
        raise ValueError(f"a gate cannot ask for {sorted(unknown)}")
    # The names come from the fixed tuple above; generated code costs one call frame and no packing.
    source = f"lambda order, market, account, runtime, now: function({', '.join(argnames)})"
    call: Call = eval(source, {"function": function, "settings": settings})  # noqa: S307
    return call


class Chain:
    """Evaluates one order through every gate.

    Args:
        gates: in the order in which they are asked.
        live: whether an overrun of ``budget_us`` is a verdict; in replay it is only counted.
        first_block: stop at the first gate that blocks instead of asking all.
        trace: where each answer is printed, if anywhere.
    """

    def __init__(
        self,
        gates: Sequence[BoundGate],
        *,
        live: bool = False,
        first_block: bool = False,
        trace: Trace | None = None,
    ) -> None:
        self.gates = tuple(gate for gate in gates if gate.info.mode is not Mode.OFF)
        self.infos = tuple(gate.info for gate in self.gates)
        self._live = live
        self._first_block = first_block
        self._trace = trace
        self._plan = tuple(
            (
                gate,
                adapt(gate.function, gate.argnames, gate.settings),
                gate.settings.budget_us * 1000,
                gate.stats,
                gate.stats.counts,
                gate.stats.histogram,
            )
            for gate in self.gates
        )
        self._learners = tuple((index, gate) for index, gate in enumerate(self.gates) if gate.bypassable)
        self._roll_at = 0

    def evaluate(  # noqa: C901, PLR0917 - the hot loop: one more call per gate would cost as much as the gate
        self,
        order: OrderIntent,
        market: MarketView,
        account: AccountView,
        runtime: RuntimeView,
        now: int,
        market_fault: str = "",
    ) -> Evaluation:
        """Ask every gate. ``market_fault`` is a reason code when the symbol's data is missing, stale or broken."""
        if now >= self._roll_at:
            self._roll(now)
        answers: list[Answer] = []
        unanimous = True
        begin = measure_ns()
        for gate, call, budget, stats, counts, histogram in self._plan:
            guarded = stats.guarded
            answer: Any = unasked(gate, market_fault, now) if guarded or market_fault else None
            if answer is None:
                try:
                    answer = call(order, market, account, runtime, now)
                    if type(answer) is not Allow or not is_plain(answer.inputs):
                        answer = checked(gate, order, answer)
                except KeyboardInterrupt as stop:
                    interrupted(stop, gate.info.name, "pre_order_gate")
                    raise
                except BaseException as error:  # noqa: BLE001 - isolating whatever a plugin raises is what a host is for
                    answer = failed(gate, error)
                end = measure_ns()
                spent = end - begin
                begin = end
                histogram.buckets[spent.bit_length()] += 1
                histogram.total_ns += spent
                if spent > budget:
                    stats.overruns += 1
                    if self._live:
                        answer = late(gate, answer)
                if type(answer) is Allow and not guarded:
                    counts[ALLOW] += 1
                    answers.append(answer)
                    continue
                answer = settle(gate, answer, now)
            unanimous = False
            stats.count(answer, gate.enforced)
            answers.append(answer)
            if self._first_block and gate.enforced and blocks(answer):
                break
            begin = measure_ns()
        evaluation = Evaluation(self.infos, tuple(answers), -1, None) if unanimous else combine(self.infos, answers)
        if self._trace is not None:
            show(self._trace, order, now, evaluation)
        return evaluation

    def learn(self, result: Evaluation, now: int) -> None:
        """Feed the verdict breakers once an order is decided.

        Orders that another gate blocks, faults and abstentions say nothing about whether this gate blocks too much.
        """
        for index, gate in self._learners:
            if self._blocked_by_other(index, result.answers):
                continue
            answer = result.answers[index]
            if type(answer) is Fault or type(answer) is Abstain:
                continue
            bypassed = type(answer) is Warn and answer.reason == "GATE_BYPASSED"
            gate.stats.judge(now, blocked=bypassed or type(answer) is Block)

    def _blocked_by_other(self, index: int, answers: Sequence[Answer]) -> bool:
        """Whether another gate blocks; always so for a gate that was not asked after the first block."""
        return any(
            other != index and self.gates[other].enforced and blocks(answer) for other, answer in enumerate(answers)
        )

    def _roll(self, now: int) -> None:
        for gate in self.gates:
            gate.stats.roll(now)
        self._roll_at = min((gate.stats.roll_at for gate in self.gates), default=NEVER)


def combine(infos: Sequence[GateInfo], answers: Sequence[Answer]) -> Evaluation:
    """What answers amount to. This is the rule of admission that no policy can loosen.

    Args:
        infos: the gates, in the order in which they are asked.
        answers: theirs, in the same order; fewer when the chain stopped at a block.
    """
    blocker = -1
    shrink: Decimal | None = None
    for index, answer in enumerate(answers):
        if infos[index].mode is not Mode.ENFORCE:
            continue
        if blocks(answer):
            blocker = index if blocker < 0 else blocker
        elif isinstance(answer, Shrink) and (shrink is None or answer.qty < shrink):
            shrink = answer.qty
    return Evaluation(tuple(infos[: len(answers)]), tuple(answers), blocker, shrink)


def show(trace: Trace, order: OrderIntent, now: int, result: Evaluation) -> None:
    """Print what each gate answered, as it is recorded."""
    for info, answer in zip(result.gates, result.answers, strict=True):
        trace(f"pre_order_gate {info.name} order={order.intent_id or order.symbol} now={now} -> {answer!r}")


def blocks(answer: Answer) -> bool:
    """Whether an enforced gate's answer blocks the order."""
    return type(answer) is Block or (type(answer) is Fault and answer.blocks)


def unasked(gate: BoundGate, market_fault: str, now: int) -> Fault | None:
    """The answer for a gate that must not be called: its fault breaker is open, or its market data is no good."""
    if gate.stats.fault_breaker.state_at(now) is BreakerState.OPEN:
        reason = "GATE_BREAKER_OPEN"
    elif market_fault and "market" in gate.argnames:
        reason = market_fault
    else:
        return None
    gate.stats.unasked += 1
    return Fault(reason, "", gate.fails_closed)


def checked(gate: BoundGate, order: OrderIntent, answer: object) -> Answer:
    """The answer if it is well formed, else a fault."""
    try:
        return sound(answer, gate.reasons, order.qty)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - the answer's own objects are the plugin's code
        return failed(gate, error, blocked=isinstance(answer, Block))


def failed(gate: BoundGate, error: BaseException, *, blocked: bool = False) -> Fault:
    """The fault that stands in for a gate's answer; ``blocked`` when that was a block."""
    reason = error.reason if type(error) is UnsoundError else "GATE_ERROR"
    return Fault(reason, describe(error), blocked or gate.fails_closed, held=blocked)


def late(gate: BoundGate, answer: Answer) -> Fault:
    """The verdict on a call that took too long (live only)."""
    if isinstance(answer, Fault):
        return answer
    said = type(answer).__name__ if isinstance(answer, Allow) else f"{type(answer).__name__} {answer.reason}"
    text = f"answered {said} after its budget of {gate.settings.budget_us} us"
    blocked = isinstance(answer, Block)
    return Fault("GATE_TIMEOUT", text, blocked or gate.fails_closed, held=blocked)


def settle(gate: BoundGate, answer: Answer, now: int) -> Answer:
    """Feed the fault breaker with a call, and answer for a gate that is being probed or bypassed."""
    stats = gate.stats
    probe = stats.fault_breaker.state is BreakerState.HALF_OPEN
    stats.called(now, faulty=isinstance(answer, Fault))
    if probe:
        said = answer.error if isinstance(answer, Fault) else f"probe answered {type(answer).__name__}"
        return Fault("GATE_BREAKER_OPEN", said, gate.fails_closed)
    if gate.bypassable and isinstance(answer, Block) and stats.bypassing:
        stats.bypassed += 1
        return Warn("GATE_BYPASSED", {**answer.inputs, "would_block": answer.reason})
    return answer
