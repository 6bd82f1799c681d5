"""What a gate answers to every scene: asked once for all cases, on fresh arguments, with nothing between."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from decimal import getcontext
from typing import Any, Final

import msgspec

from grinder.decisions import VERDICT_NAMES
from grinder.engine.arithmetic import plain_arithmetic
from grinder.evidence.recorder import canonical
from grinder.gates.answers import describe
from grinder.gates.chain import adapt
from grinder.testing.results import Failed
from grinder.testing.scene import Built, Scene
from grinder.testing.subject import Subject
from grinder.types import MarketView, Side

LEVELS: Final = 32
_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a gate.

    Attributes:
        scene: the situation.
        values: of its own settings, over the defaults.
        answer: what it returned.
        raised: what it raised instead, as text.
        changed: what it changed of its arguments, as text.
    """

    scene: Scene
    values: Mapping[str, Any]
    answer: Any = None
    raised: str = ""
    changed: str = ""

    def __str__(self) -> str:
        """The situation, as a test would write it."""
        settings = ", ".join(f"{name}={value!r}" for name, value in self.values.items())
        return f"{self.scene}" + (f" with settings {settings}" if settings else "")


def plan(subject: Subject, scenes: tuple[Scene, ...]) -> tuple[tuple[Scene, Mapping[str, Any]], ...]:
    """Each scene with the defaults, and once more with one setting away from them, each in turn."""
    others = subject.variants[1:]
    rows: list[tuple[Scene, Mapping[str, Any]]] = [(scene, {}) for scene in scenes]
    if others:
        rows += [(scene, others[at % len(others)]) for at, scene in enumerate(scenes)]
    return tuple(rows)


def asked(subject: Subject, scene: Scene, values: Mapping[str, Any]) -> Trial | None:
    """Call the gate in a scene; None where the host would not, because the market's data is no good."""
    built = prepared(scene)
    if built.fault and "market" in subject.argnames:
        return None
    return call(subject, scene, values, built, nullcontext())


def prepared(scene: Scene) -> Built:
    """Fresh arguments, looked at once: a level of the book that is no number makes a gap when it is first read."""
    built = scene.build()
    _seen(built, None)
    return built


def call(
    subject: Subject, scene: Scene, values: Mapping[str, Any], built: Built, around: AbstractContextManager[Any]
) -> Trial:
    """Call the gate with what is built, in a context that surrounds nothing but the call."""
    settings = subject.settings_with(values)
    function = adapt(subject.gate, subject.argnames, settings)
    before = _seen(built, settings)
    answer, raised = None, ""
    try:
        with around:
            answer = function(built.order, built.market, built.account, built.runtime, built.now)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whether it raises is the question
        raised = describe(error)
    after = _seen(built, settings)
    plain_arithmetic()
    changed = next((f"{name}: {was} became {after[name]}" for name, was in before.items() if was != after[name]), "")
    return Trial(scene=scene, values=values, answer=answer, raised=raised, changed=changed)


def fingerprint(trial: Trial) -> str:
    """What a record would hold of the answer."""
    if trial.raised:
        return f"raised {trial.raised}"
    answer = trial.answer
    if type(answer) not in VERDICT_NAMES:
        return _ADDRESS.sub("", f"{type(answer).__name__} {answer!r}")
    row = {name: getattr(answer, name) for name in answer.__struct_fields__}
    try:
        return f"{type(answer).__name__} {canonical(row).decode()}"
    except (TypeError, ValueError, msgspec.MsgspecError):
        return _ADDRESS.sub("", repr(answer))


def trials(subject: Subject, *, raw: bool = False) -> tuple[Trial, ...]:
    """The gate's answers to every scene of the corpus that the host would let it see; ``raw`` ones only on demand."""
    from grinder.testing.strategies import corpus

    if subject.trials is None:
        found = (asked(subject, scene, values) for scene, values in plan(subject, corpus()))
        subject.trials = tuple(trial for trial in found if trial is not None)
    return subject.trials if raw else tuple(trial for trial in subject.trials if trial.scene.raw is None)


def look(subject: Subject, wrong: Callable[[Trial], str], *, raw: bool = False) -> int:
    """Look at every answer.

    Args:
        subject: whose gate.
        wrong: what is wrong with an answer; empty when nothing is.
        raw: also in markets that the host keeps from gates.

    Returns:
        How many were looked at.

    Raises:
        Failed: one is wrong; the text says what, in the plainest scene that shows it.
    """
    every = trials(subject, raw=raw)
    for trial in every:
        if said := wrong(trial):
            shown = plainest(subject, trial, wrong)
            raise Failed(f"{wrong(shown) or said} in {shown}")
    return len(every)


def plainest(subject: Subject, trial: Trial, wrong: Callable[[Trial], str]) -> Trial:
    """A trial of the same fault that is as plain as can be found."""
    from grinder.testing.strategies import minimal

    def fails(scene: Scene) -> bool:
        again = asked(subject, scene, trial.values)
        return again is not None and bool(wrong(again))

    scene = minimal(fails, trial.scene)
    again = asked(subject, scene, trial.values) if scene is not trial.scene else trial
    return again if again is not None and wrong(again) else trial


def _seen(built: Built, settings: Any) -> dict[str, str]:
    """Everything that a gate was given, as text."""
    context = getcontext()
    symbol = built.order.symbol
    return {
        "order": repr(built.order),
        "market": _market(built.market),
        "account": repr(
            (
                built.account.balance,
                built.account.position(symbol),
                built.account.open_orders(symbol),
                [built.account.worst_case(symbol, side) for side in Side],
            )
        ),
        "runtime": repr((built.runtime.started_ns, built.runtime.healthy_since(symbol), dict(built.runtime.signals))),
        "settings": repr(settings),
        "decimal context": f"precision {context.prec}, rounding {context.rounding}",
    }


def _market(market: MarketView) -> str:
    names = ("symbol", "bid", "bid_qty", "ask", "ask_qty", "mid", "mark", "last", "age_ns", "gap", "ready")
    return repr([*(getattr(market, name) for name in names), *(market.levels(side, LEVELS) for side in Side)])
