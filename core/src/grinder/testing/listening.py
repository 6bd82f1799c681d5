"""Cases for what is no gate: fill listeners, planners, threshold resolvers, strategies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from grinder.decisions import Threshold
from grinder.engine.faces import AccountFace
from grinder.host.foreign import CrashError, attempt
from grinder.host.thresholds import acceptable
from grinder.instruments import TABLE
from grinder.reconcile.report import Mismatch, MismatchKind, ReconcileReport, RemediationPlan
from grinder.testing.accounts import account, fill, position
from grinder.testing.events import NOW, SYMBOL
from grinder.testing.results import Failed, Skipped
from grinder.testing.subject import Subject, call_hook
from grinder.types import Fill, IntentKind, OrderIntent, Side

TINY, HUGE = "0.000000000000000001", "1000000000000000000"
FILLS: Final[Sequence[Fill]] = (
    fill(),
    fill(side=Side.SELL, trade_id="2"),
    fill(qty=TINY, price=TINY, fee=0, trade_id="3"),
    fill(qty=HUGE, price=HUGE, fee="-0.5", trade_id="4"),
    fill(symbol="NEWUSDT", fee_asset="BNB", trade_id="a-b:c", maker=False),
    fill(),
)
"""The last one repeats the first: a restart may deliver a fill again."""
CONFIGURED: Final = (0.0, 1.5, 90.0, 1e12)


def fills(subject: Subject) -> str:
    """``on_fill`` takes every fill without raising, and changes neither it nor the account.

    Mend: the hook is for bookkeeping of your own; catch what your own code may raise.
    """
    function = subject.hook("on_fill")
    subject.start()
    for each, held in ((each, held) for each in FILLS for held in ("0", "1.5", "-1.5")):
        seen = account(positions=[position(held, symbol=each.symbol)] if held != "0" else ())
        before = _text(each, seen)
        try:
            attempt(call_hook, function, {"fill": each, "account": seen})
        except CrashError as error:
            raise Failed(f"it raised {error} for {each}") from None
        if _text(each, seen) != before:
            raise Failed(f"it changed what it was given with {each}")
    return f"{3 * len(FILLS)} fills"


def plans(subject: Subject) -> str:
    """``on_reconcile`` answers every report with None or a plan, the same one each time.

    The plan's steps are for mismatches of that report.

    Mend: build the plan from report.mismatches alone; remember nothing.
    """
    function = subject.hook("on_reconcile")
    subject.start()
    for report in _reports():
        try:
            first, again = (attempt(call_hook, function, {"report": report, "account": account()}) for _ in range(2))
        except CrashError as error:
            raise Failed(f"it raised {error} for {report}") from None
        if first is not None and not isinstance(first, RemediationPlan):
            raise Failed(f"it answered {type(first).__name__}, must be RemediationPlan or None")
        if first != again:
            raise Failed(f"it answered {first}, then {again} for {report}")
        if first is not None and (others := [s for s in first.steps if s.mismatch not in report.mismatches]):
            raise Failed(f"it plans {others[0]}, which is no mismatch of the report")
    return f"{len(list(_reports()))} reports"


def thresholds(subject: Subject) -> str:
    """``resolve_threshold`` answers None or a Threshold with a finite number, the same one each time.

    Mend: answer None when there is nothing to say; load what you answer from in on_start.
    """
    function = subject.hook("resolve_threshold")
    subject.start()
    rows = [(gate, symbol, value) for gate in (subject.name, "liquidity_by_side", "nobody")
            for symbol in (SYMBOL, "NEWUSDT") for value in CONFIGURED]  # fmt: skip
    answered = 0
    for gate, symbol, value in rows:
        offered = {"gate": gate, "symbol": symbol, "configured": value}
        try:
            first, again = (attempt(call_hook, function, offered) for _ in range(2))
        except CrashError as error:
            raise Failed(f"it raised {error} for {offered}") from None
        if first is not None and not isinstance(first, Threshold):
            raise Failed(f"it answered {type(first).__name__}, must be Threshold or None, for {offered}")
        if first is not None and not acceptable(first.value, lambda _: True):
            raise Failed(f"it answered the value {first.value!r}, must be a finite number, for {offered}")
        if repr(first) != repr(again):
            raise Failed(f"it answered {first}, then {again} for {offered}")
        answered += first is not None
    return f"{answered} thresholds for {len(rows)} questions"


def strategy(subject: Subject) -> str:
    """A strategy proposes sound intents for its symbols without raising, whatever the market.

    Two that were made with the same settings propose the same.

    Mend: look at market.ready before prices; keep state in the object that create returns; compute in Decimal.
    """
    if not subject.strategy:
        raise Skipped("it is no strategy")
    from grinder.testing.strategies import corpus

    scenes = [scene for scene in corpus() if scene.raw is None]
    one, other = _made(subject), _made(subject)
    if not isinstance(one.wake_ns, int) or one.wake_ns < 0:
        raise Failed(f"wake_ns is {one.wake_ns!r}, must be a number of ns, 0 for every event")
    count = 0
    for scene in sorted(scenes, key=lambda each: each.now_ns):
        first, again = (_proposed(made, scene) for made in (one, other))
        if first != again:
            raise Failed(f"one proposed {first}, the other {again}, in {scene}")
        for intent in first:
            if problem := _unfit(intent):
                raise Failed(f"{problem} in {scene}")
        count += len(first)
    return f"{count} intents in {len(scenes)} moments"


def _made(subject: Subject) -> Any:
    if subject.model is None:
        raise Skipped("it declares no settings that can be used: see GC05")
    settings = subject.settings_with({})
    try:
        return attempt(subject.plugin.create, settings, (SYMBOL,), {SYMBOL: TABLE[SYMBOL]})
    except CrashError as error:
        raise Skipped(f"create raised {error}; give it settings with --set or in the test class") from None


def _proposed(strategy: Any, scene: Any) -> Sequence[Any]:
    built = scene.build()
    try:
        proposed = attempt(strategy.on_market, built.market, built.account, built.runtime, built.now)
    except CrashError as error:
        raise Failed(f"it raised {error} in {scene}") from None
    if not isinstance(proposed, list | tuple):
        raise Failed(f"it proposed {type(proposed).__name__}, must be a sequence of OrderIntent, in {scene}")
    return list(proposed)


def _unfit(intent: object) -> str:
    """What is wrong with an intent; empty when nothing is."""
    if not isinstance(intent, OrderIntent):
        return f"it proposed {type(intent).__name__}, must be OrderIntent"
    if intent.symbol != SYMBOL:
        return f"it proposed an order for {intent.symbol!r}, which is none of its symbols"
    if intent.kind is not IntentKind.PLACE:
        return "" if intent.target else f"{intent.kind} without a target"
    size = intent.qty if intent.qty is not None else intent.notional
    for label, number in (("size", size), ("price", intent.price)):
        if number is None and label == "price":
            continue
        if not isinstance(number, Decimal) or not number.is_finite() or number <= 0:
            return f"{label} is {number!r}, must be a Decimal above zero"
    return ""


def _reports() -> Iterator[ReconcileReport]:
    every = tuple(Mismatch(kind, SYMBOL, f"key-{kind}", "0", "1") for kind in MismatchKind)
    for complete in (True, False):
        yield ReconcileReport(NOW, complete)
        yield from (ReconcileReport(NOW, complete, (each,)) for each in every)
        yield ReconcileReport(NOW, complete, every)


def _text(each: Fill, seen: AccountFace) -> str:
    return repr((each, seen.balance, seen.position(each.symbol), seen.open_orders(each.symbol)))
