"""Cases about what a gate answers to generated orders, markets, accounts and settings."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from statistics import median, quantiles
from typing import Any, Final

from grinder.clock import measure_ns
from grinder.decisions import Abstain, Allow, Block, Fault, Shrink, Warn
from grinder.errors import PluginError
from grinder.gates.answers import UnsoundError, describe, sound
from grinder.gates.chain import adapt
from grinder.host.foreign import CrashError, attempt
from grinder.host.judging import Judge, check_judge
from grinder.settings.plugin import GateSettings, PluginSettings
from grinder.testing.results import Failed, Skipped
from grinder.testing.subject import Subject
from grinder.testing.trials import Trial, asked, fingerprint, look, trials

VERDICTS: Final = (Allow, Warn, Shrink, Block, Abstain)
PATIENCE: Final = 5
"""A gate fails the budget case when its median call takes longer than this many budgets: machines differ."""
TIMED: Final = 300
TIMED_NS: Final = 500_000_000
FAULTS: Final = (
    ("INPUT_MISSING", {"bids": None, "asks": None}),
    ("INPUT_NONFINITE", {"mark": "nan"}),
    ("MARKET_GAP", {"gap": True}),
    ("MARKET_STALE", {"age_ms": 60_000}),
)
"""What may be wrong with market data, as a scene, with the reason that stands in for the gate's answer."""


def verdicts(subject: Subject) -> str:
    """It answers with exactly Allow, Warn, Shrink, Block or Abstain: no subclass, no Fault, no None.

    Mend: return one of the five on every path; a branch that ends without return answers None.
    """

    def wrong(trial: Trial) -> str:
        return "" if trial.raised or type(trial.answer) in VERDICTS else f"it answered {_shown(trial.answer)}"

    return f"{_answers(subject, wrong)} answers"


def raises(subject: Subject) -> str:
    """It never raises, whatever it is given.

    Empty and crossed books, huge and tiny numbers, NaN and infinity, no position, no price, no health are tried.
    Markets that the host keeps from gates (missing, stale, not finite) are tried as well: a second line of defence.

    Mend: check presence and finiteness before you divide or compare, and answer ``Block("INPUT_MISSING")``.
    """
    count = look(_gate(subject), lambda trial: f"it raised {trial.raised}" if trial.raised else "", raw=True)
    return f"{count} calls"


def reasons(subject: Subject) -> str:
    """Each answer that needs a reason carries a code of its own ``REASONS`` or one of core's.

    Mend: add the code with a sentence to REASONS.
    """

    def wrong(trial: Trial) -> str:
        code = getattr(trial.answer, "reason", None)
        if type(trial.answer) not in VERDICTS or isinstance(trial.answer, Allow):
            return ""
        return _unsound(Block(code), subject.reasons)  # type: ignore[arg-type]

    return f"{_answers(subject, wrong)} answers"


def inputs(subject: Subject) -> str:
    """The inputs of its answers can be recorded: finite numbers, text, bool or None under text names.

    They are few and short: at most 64 of them, 4,096 characters in all.

    Mend: look before you record: ``isfinite(x)``, and ``Block("INPUT_NONFINITE")`` without the number when it is not.
    """

    def wrong(trial: Trial) -> str:
        return _unsound(Allow(trial.answer.inputs), frozenset()) if type(trial.answer) in VERDICTS else ""

    return f"{_answers(subject, wrong)} answers"


def shrinks(subject: Subject) -> str:
    """A Shrink leaves more than nothing and less than the order's quantity.

    Mend: answer Block when nothing may be sent, and Allow when the quantity may stay.
    """
    seen = 0

    def wrong(trial: Trial) -> str:
        nonlocal seen
        if type(trial.answer) is not Shrink:
            return ""
        seen += 1
        return _unsound(Shrink(trial.answer.qty, "OK"), frozenset(("OK",)), trial.scene.build().order.qty)

    _answers(subject, wrong)
    return f"{seen} shrinks" if seen else "it shrank no order"


def untouched(subject: Subject) -> str:
    """It changes nothing that it is given: order, market, account, runtime, settings, decimal arithmetic.

    Mend: compute new values; use ``decimal.localcontext()`` where another precision is needed.
    """
    return f"{look(_gate(subject), lambda trial: trial.changed and f'it changed the {trial.changed}')} calls"


def memory(subject: Subject) -> str:
    """The same arguments get the same answer, whatever it was asked before.

    Mend: keep nothing between calls; what has to be remembered is in account and runtime.
    """
    first = trials(_gate(subject))
    if not first:
        raise Skipped("it was not called")
    for trial in reversed(first):
        again = asked(subject, trial.scene, trial.values)
        if again is not None and fingerprint(again) != fingerprint(trial):
            raise Failed(f"it answered {fingerprint(trial)}, then {fingerprint(again)} in {trial}")
    return f"{len(first)} questions, asked again in reverse"


def missing(subject: Subject) -> str:
    """While market data is missing, stale, broken or not finite, its ``on_error`` decides, whichever way it is set.

    Mend: leave on_error as GateSettings has it; do not narrow it.
    """
    from grinder.testing.gate import run_gate
    from grinder.testing.scene import Scene

    subject.gate  # noqa: B018 - there must be one
    subject.host()
    for reason, fields in FAULTS:
        built = Scene(**fields).build()
        for on_error in ("block", "allow"):
            values = {**subject.overrides, "on_error": on_error}
            try:
                run = run_gate(subject.plugin, built.order, built.market, settings=values, name=subject.name)
            except ValueError as error:
                raise Failed(f"on_error: {on_error} is refused: {error}") from None
            if "market" in subject.argnames:
                expected = Fault(reason, "", on_error == "block")
                if run.answer != expected:
                    raise Failed(f"with {reason} and on_error: {on_error} the answer was {run.answer!r}")
    return "missing, stale, broken and not finite, with on_error block and allow"


def budget(subject: Subject) -> str:
    """Its median call is within ``budget_us``, generously measured: more than five budgets fail.

    The figure is of this machine; in a live run each call that is over budget counts as a fault of the gate.

    Mend: prepare in on_start, look at fewer levels, or raise budget_us and say why in the README.
    """
    called = trials(_gate(subject))
    if not called:
        raise Skipped("it was not called")
    spent: list[int] = []
    for trial in (called * (TIMED // len(called) + 1))[:TIMED]:
        built = trial.scene.build()
        call = adapt(subject.gate, subject.argnames, subject.settings_with(trial.values))
        spent.append(_timed(lambda: call(built.order, built.market, built.account, built.runtime, built.now)))  # noqa: B023
        if sum(spent) > TIMED_NS:
            break
    allowed = subject.settings_with({}).budget_us
    middle, worst = median(spent) / 1000, (quantiles(spent, n=100)[98] if len(spent) > 1 else spent[0]) / 1000
    text = f"median {middle:.1f} us, 99 of 100 within {worst:.1f} us, budget_us {allowed}"
    if middle > allowed * PATIENCE:
        raise Failed(text)
    return text


def judged(subject: Subject) -> str:
    """Where it has a ``judge(inputs, settings)``, that answers like the gate, from the recorded inputs alone.

    It is a plain function of exactly these two, and answers the same whenever it is asked the same: the host refuses
    a gate with another.

    Mend: record every number that the answer depends on, and let the gate end with ``return judge(inputs, settings)``.
    """
    judge = _judge(subject)
    if judge is None:
        raise Skipped("it has no judge(inputs, settings)")

    def wrong(trial: Trial) -> str:
        wanted = trial.scene.build().order.qty
        if type(trial.answer) not in VERDICTS or trial.changed or _unsound(trial.answer, subject.reasons, wanted):
            return ""
        return _disagrees(judge, trial, subject.settings_with(trial.values))

    return f"{_answers(subject, wrong)} answers"


def _judge(subject: Subject) -> Judge | None:
    """Its judge, as the host takes it."""
    model = subject.model
    known = model if model is not None and issubclass(model, PluginSettings) else GateSettings
    try:
        return check_judge(subject.name, subject.judge, known)
    except PluginError as error:
        raise Failed(str(error)) from None


def _disagrees(judge: Judge, trial: Trial, settings: Any) -> str:
    answer = trial.answer
    try:
        first, again = (attempt(judge, answer.inputs, settings) for _ in range(2))
    except CrashError as error:
        return f"judge raised {error} where the gate answered {_brief(answer)}"
    if _brief(first) != _brief(again):
        return f"judge answers differently for the same inputs: {_brief(first)}, then {_brief(again)}"
    return "" if _brief(first) == _brief(answer) else f"judge answered {_brief(first)}, the gate {_brief(answer)}"


def _brief(answer: Any) -> str:
    parts = [type(answer).__name__, getattr(answer, "reason", ""), str(getattr(answer, "qty", ""))]
    return " ".join(part for part in parts if part)


def _gate(subject: Subject) -> Subject:
    subject.gate  # noqa: B018 - raises where there is none
    return subject


def _answers(subject: Subject, wrong: Callable[[Trial], str]) -> int:
    """Look at all answers; a call that raised is GC12's affair."""
    count = look(_gate(subject), lambda trial: "" if trial.raised else wrong(trial))
    if all(trial.raised for trial in trials(subject)):
        raise Skipped("it answered nothing: see GC12" if count else "it was not called")
    return count


def _unsound(answer: Any, known: frozenset[str], wanted: Any = None) -> str:
    """What the host has against a part of an answer; empty when nothing."""
    try:
        sound(answer, known, wanted)
    except UnsoundError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - the answer's own objects are the plugin's
        return f"looking at it raised {describe(error)}"
    return ""


def _shown(answer: object) -> str:
    return "None" if answer is None else type(answer).__name__


def _timed(call: Callable[[], object]) -> int:
    begin = measure_ns()
    with suppress(Exception):  # GC12 tells; here only time counts
        call()
    return measure_ns() - begin
