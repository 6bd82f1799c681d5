"""The gate chain of one symbol: compiled once into an ordered tuple, each gate isolated, counted and timed.

A gate that raises, answers with a wrong type, an undeclared reason or a non-finite number, is given missing or
stale data, or (live) overruns its budget becomes a ``Fault``, which blocks or allows as its ``on_error`` says.
The other gates are asked all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from math import isfinite
from typing import Any, Final, TypeAlias

import msgspec

from grinder.clock import measure_ns
from grinder.decisions import Abstain, Allow, Answer, Block, Fault, GateInfo, Inputs, Mode, Shrink, Warn
from grinder.gates.breaker import Breaker, BreakerState
from grinder.gates.stats import ALLOW, GateStats
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


def traced(call: Call, name: str, trace: Trace) -> Call:
    """The same call, printed with its order and its result."""

    def shown(order: OrderIntent, market: MarketView, account: AccountView, runtime: RuntimeView, now: int) -> Any:
        result = call(order, market, account, runtime, now)
        trace(f"pre_order_gate {name} order={order.intent_id or order.symbol} now={now} -> {result!r}")
        return result

    return shown


class Chain:
    """Evaluates one order through every gate.

    Args:
        gates: in the order in which they are asked.
        live: whether an overrun of ``budget_us`` is a verdict; in replay it is only counted.
        first_block: stop at the first gate that blocks instead of asking all.
        trace: where each call is printed, if anywhere.
    """

    def __init__(
        self,
        gates: Sequence[BoundGate],
        *,
        live: bool = False,
        first_block: bool = False,
        trace: Trace | None = None,
    ) -> None:
        active = [gate for gate in gates if gate.info.mode is not Mode.OFF]
        self.infos = tuple(gate.info for gate in active)
        self.gates = tuple(active)
        self._live = live
        self._first_block = first_block
        self._plan = tuple(self._compile(index, gate, trace) for index, gate in enumerate(active))
        self._roll_at = 0

    @staticmethod
    def _compile(index: int, gate: BoundGate, trace: Trace | None) -> tuple[Any, ...]:
        call = adapt(gate.function, gate.argnames, gate.settings)
        if trace is not None:
            call = traced(call, gate.info.name, trace)
        return (
            index,
            call,
            gate.stats,
            gate.stats.counts,
            gate.stats.histogram.buckets,
            gate.info.mode is Mode.ENFORCE,
            gate.settings.budget_us * 1000,
            "market" in gate.argnames,
            gate,
        )

    def evaluate(
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
        blocker = -1
        shrink: Decimal | None = None
        begin = measure_ns()
        for index, call, stats, counts, buckets, enforced, budget, needs_market, gate in self._plan:
            guarded = stats.guarded
            answer: Any
            if guarded and stats.fault_breaker.allows(now) is BreakerState.OPEN:
                answer = Fault("GATE_BREAKER_OPEN", "", gate.settings.on_error == "block")
            elif market_fault and needs_market:
                answer = Fault(market_fault, "", gate.settings.on_error == "block")
            else:
                try:
                    answer = call(order, market, account, runtime, now)
                    if answer.__class__ is not Allow or answer.inputs:
                        answer = checked(gate, order, answer)
                except Exception as error:  # noqa: BLE001 - isolating whatever a plugin raises is what a host is for
                    answer = failed(gate, f"{type(error).__name__}: {error}")
            end = measure_ns()
            spent = end - begin
            begin = end
            buckets[spent.bit_length()] += 1
            stats.histogram.total_ns += spent
            if spent > budget:
                stats.overruns += 1
                if self._live:
                    answer = overrun(gate, answer, spent)
            if answer.__class__ is Allow and not guarded:
                counts[ALLOW] += 1
            else:
                if guarded or answer.__class__ is Fault:
                    answer = settle(gate, answer, now)
                stats.count(answer, enforced)
                if enforced:
                    if answer.__class__ is Block or (answer.__class__ is Fault and answer.blocks):
                        if blocker < 0:
                            blocker = index
                    elif answer.__class__ is Shrink and (shrink is None or answer.qty < shrink):
                        shrink = answer.qty
            answers.append(answer)
            if blocker >= 0 and self._first_block:
                break
        infos = self.infos if len(answers) == len(self.infos) else self.infos[: len(answers)]
        return Evaluation(infos, tuple(answers), blocker, shrink)

    def learn(self, result: Evaluation, now: int) -> None:
        """Feed the verdict breakers once the order is decided; blocks by other gates do not count."""
        for gate, answer in zip(self.gates, result.answers, strict=False):
            breaker = gate.stats.verdict_breaker
            if breaker is None or gate.info.mode is not Mode.ENFORCE or breaker.state is not BreakerState.CLOSED:
                continue
            blocked = isinstance(answer, Block)
            if result.blocker >= 0 and not blocked:
                continue
            gate.stats.judged += 1
            gate.stats.judged_blocks += blocked
            if blocked and breaker.bad(now, gate.stats.judged, gate.stats.judged_blocks):
                gate.stats.changed()

    def _roll(self, now: int) -> None:
        for gate in self.gates:
            gate.stats.roll(now)
        self._roll_at = min((gate.stats.roll_at for gate in self.gates), default=NEVER)


def failed(gate: BoundGate, error: str, reason: str = "GATE_ERROR") -> Fault:
    """The fault that stands in for a gate's answer."""
    return Fault(reason, error[:300], gate.settings.on_error == "block")


def checked(gate: BoundGate, order: OrderIntent, answer: object) -> Answer:
    """The answer if it is well formed, else a fault. A malformed block still blocks."""
    if not isinstance(answer, Allow | Warn | Shrink | Block | Abstain):
        return failed(gate, f"returned {type(answer).__name__} instead of a verdict")
    problem, reason = "", "GATE_ERROR"
    if not isinstance(answer, Allow) and answer.reason not in gate.reasons:
        problem = f"reason {answer.reason!r} is not declared in the plugin's REASONS"
    elif isinstance(answer, Shrink) and not _shrinks(answer.qty, order.qty):
        problem = f"shrink to {answer.qty!r} is not between zero and the order's {order.qty}"
    elif bad := unfit_input(answer.inputs):
        problem, reason = bad, "INPUT_NONFINITE"
    if not problem:
        return answer
    fault = failed(gate, problem, reason)
    return Fault(fault.reason, fault.error, True) if isinstance(answer, Block) else fault


def _shrinks(qty: object, wanted: Decimal | None) -> bool:
    return isinstance(qty, Decimal) and qty.is_finite() and wanted is not None and 0 < qty < wanted


def unfit_input(inputs: Inputs) -> str:
    """Why the inputs cannot be recorded: a value that is not finite, or not a plain scalar; empty when fit."""
    for key, value in inputs.items():
        kind = value.__class__
        if kind is float:
            fit = isfinite(value)  # type: ignore[arg-type]
        elif kind is Decimal:
            fit = value.is_finite()  # type: ignore[union-attr]
        else:
            fit = kind is int or kind is str or kind is bool or value is None
        if not fit or key.__class__ is not str:
            return f"input {key}={value!r} is not a finite number or plain text"
    return ""


def overrun(gate: BoundGate, answer: Answer, spent: int) -> Fault:
    """The verdict on a gate that took too long (live only). A block stays one."""
    fault = failed(gate, f"took {spent // 1000} us, budget {gate.settings.budget_us} us", "GATE_TIMEOUT")
    return Fault(fault.reason, fault.error, True) if isinstance(answer, Block) else fault


def settle(gate: BoundGate, answer: Answer, now: int) -> Answer:
    """Feed the fault breaker, and answer for a gate that is only being probed."""
    stats = gate.stats
    faulty = isinstance(answer, Fault) and answer.reason in OWN_FAULTS
    breaker = stats.fault_breaker
    if breaker.state is BreakerState.HALF_OPEN:
        if breaker.probed(now, not faulty):
            stats.changed()
        return Fault("GATE_BREAKER_OPEN", "probe", gate.settings.on_error == "block")
    if faulty:
        stats.faults += 1
        if breaker.bad(now, stats.calls + 1, stats.faults):
            stats.changed()
    elif gate.info.mode is Mode.ENFORCE and stats.verdict_breaker is not None:
        return _bypassed(stats, stats.verdict_breaker, answer, now)
    return answer


def _bypassed(stats: GateStats, breaker: Breaker, answer: Answer, now: int) -> Answer:
    state = breaker.allows(now)
    if state is BreakerState.CLOSED:
        return answer
    if state is BreakerState.HALF_OPEN and breaker.probed(now, not isinstance(answer, Block)):
        stats.changed()
    if not isinstance(answer, Block):
        return answer
    stats.bypassed += 1
    return Warn("GATE_BYPASSED", {**answer.inputs, "would_block": answer.reason})


OWN_FAULTS: Final = frozenset(("GATE_ERROR", "GATE_TIMEOUT", "INPUT_NONFINITE"))
"""Faults of the gate itself; missing or stale data is not the gate's fault and does not feed its breaker."""
