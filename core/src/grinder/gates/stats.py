"""What is counted of each gate. Plain integers, read by metrics and the summary when they are asked for."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from grinder.decisions import Abstain, Allow, Answer, Block, Fault, Shrink, Warn
from grinder.errors import StateError
from grinder.gates.breaker import Breaker, BreakerState
from grinder.metrics.histogram import Pow2Histogram
from grinder.settings.plugin import BreakerSettings

ALLOW, WARN, SHRINK, BLOCK, ABSTAIN, SHADOW_BLOCK, ERROR = range(7)
COUNT_NAMES: Final = ("allow", "warn", "shrink", "block", "abstain", "shadow_block", "error")
_INDEX: Final = {Allow: ALLOW, Warn: WARN, Shrink: SHRINK, Block: BLOCK, Abstain: ABSTAIN, Fault: ERROR}


class GateStats:
    """Counts, timings and breakers of one gate over all symbols.

    Attributes:
        counts: one integer per name in ``COUNT_NAMES``.
        reasons: how often each (reason, enforced) was answered.
        histogram: duration of each call.
        overruns: calls that took longer than the budget.
        unasked: answers given without calling the gate: its breaker was open, or market data was missing.
        faults: calls that raised, answered nonsense or (live) overran.
        judged: decisions that fed the verdict breaker, and of them ``judged_blocks``.
        bypassed: blocks that did not bind because the verdict breaker was open.
        guarded: True while a breaker is not closed, so that the fast path asks nothing.
        dirty: a breaker changed since the last ``save``.
    """

    __slots__ = (
        "bypassed",
        "counts",
        "dirty",
        "fault_breaker",
        "faults",
        "guarded",
        "histogram",
        "judged",
        "judged_blocks",
        "name",
        "overruns",
        "reasons",
        "unasked",
        "verdict_breaker",
    )

    def __init__(self, name: str, settings: BreakerSettings) -> None:
        self.name = name
        self.counts = [0] * len(COUNT_NAMES)
        self.reasons: Counter[tuple[str, bool]] = Counter()
        self.histogram = Pow2Histogram()
        self.overruns = 0
        self.unasked = 0
        self.faults = 0
        self.fault_breaker = Breaker.fault(settings.fault)
        self.verdict_breaker = Breaker.verdict(settings.verdict) if settings.verdict.enabled else None
        self.judged = 0
        self.judged_blocks = 0
        self.bypassed = 0
        self.guarded = False
        self.dirty = False

    @property
    def calls(self) -> int:
        """Calls of the gate that have been answered and counted."""
        return sum(self.counts) - self.unasked

    @property
    def bypassing(self) -> bool:
        """Whether the verdict breaker is not closed, so that blocks do not bind."""
        return self.verdict_breaker is not None and self.verdict_breaker.state is not BreakerState.CLOSED

    @property
    def roll_at(self) -> int:
        """When the next window must move."""
        if self.verdict_breaker is None:
            return self.fault_breaker.roll_at
        return min(self.fault_breaker.roll_at, self.verdict_breaker.roll_at)

    def roll(self, now: int) -> None:
        """Move the breakers' windows."""
        if now >= self.fault_breaker.roll_at:
            self.fault_breaker.roll(now, self.calls, self.faults)
        if self.verdict_breaker is not None and now >= self.verdict_breaker.roll_at:
            self.verdict_breaker.roll(now, self.judged, self.judged_blocks)

    def count(self, answer: Answer, enforced: bool) -> None:
        """Count one answer."""
        index = _INDEX[type(answer)]
        if index == BLOCK and not enforced:
            index = SHADOW_BLOCK
        self.counts[index] += 1
        if not isinstance(answer, Allow):
            self.reasons[answer.reason, enforced] += 1

    def called(self, now: int, *, faulty: bool) -> None:
        """Feed the fault breaker with a call that is not counted yet."""
        breaker = self.fault_breaker
        self.faults += faulty
        if breaker.state is BreakerState.HALF_OPEN:
            changed = breaker.probed(now, self.calls + 1, self.faults, good=not faulty)
        else:
            changed = faulty and breaker.bad(now, self.calls + 1, self.faults)
        if changed:
            self._changed()

    def judge(self, now: int, *, blocked: bool) -> None:
        """Feed the verdict breaker, where there is one, with the gate's part in a decision."""
        breaker = self.verdict_breaker
        if breaker is None:
            return
        self.judged += 1
        self.judged_blocks += blocked
        if breaker.state_at(now) is BreakerState.HALF_OPEN:
            changed = breaker.probed(now, self.judged, self.judged_blocks, good=not blocked)
        else:
            changed = blocked and breaker.bad(now, self.judged, self.judged_blocks)
        if changed:
            self._changed()

    def _changed(self) -> None:
        """A breaker changed its state: the engine saves it, and the fast path is on or off."""
        breakers = (self.fault_breaker, self.verdict_breaker)
        self.guarded = any(b is not None and b.state is not BreakerState.CLOSED for b in breakers)
        self.dirty = True

    def save(self) -> dict[str, Any]:
        """The breakers' states, for the journal."""
        self.dirty = False
        saved = {"fault": self.fault_breaker.save()}
        if self.verdict_breaker is not None:
            saved["verdict"] = self.verdict_breaker.save()
        return saved

    def restore(self, saved: object) -> None:
        """Take the breakers' states back from the journal.

        Raises:
            StateError: this is not what ``save`` returns.
        """
        if not isinstance(saved, dict) or "fault" not in saved:
            raise StateError(f"saved breakers of gate {self.name!r} are {saved!r:.200}; the journal is damaged")
        self.fault_breaker.restore(saved["fault"])
        if self.verdict_breaker is not None and "verdict" in saved:
            self.verdict_breaker.restore(saved["verdict"])
        self._changed()
        self.dirty = False
