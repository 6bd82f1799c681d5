"""What is counted of each gate. Plain integers, read by metrics and the summary when they are asked for."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from grinder.decisions import Abstain, Allow, Answer, Block, Fault, Shrink, Warn
from grinder.gates.breaker import Breaker, BreakerState
from grinder.metrics import Pow2Histogram
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
        guarded: True while a breaker is not closed, so that the fast path asks nothing.
    """

    def __init__(self, name: str, settings: BreakerSettings) -> None:
        self.name = name
        self.counts = [0] * len(COUNT_NAMES)
        self.reasons: Counter[tuple[str, bool]] = Counter()
        self.histogram = Pow2Histogram()
        self.overruns = 0
        self.faults = 0
        self.guarded = False
        self.fault_breaker = Breaker.fault(settings.fault)
        self.verdict_breaker = Breaker.verdict(settings.verdict) if settings.verdict.enabled else None
        self.judged = 0
        self.judged_blocks = 0
        self.bypassed = 0
        self.dirty = False

    @property
    def calls(self) -> int:
        """Answers given so far."""
        return sum(self.counts)

    @property
    def roll_at(self) -> int:
        """When the next window must move."""
        times = [self.fault_breaker.roll_at]
        if self.verdict_breaker is not None:
            times.append(self.verdict_breaker.roll_at)
        return min(times)

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

    def changed(self) -> None:
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

    def restore(self, saved: dict[str, Any]) -> None:
        """Take the breakers' states back from the journal."""
        if "fault" in saved:
            self.fault_breaker.restore(saved["fault"])
        if "verdict" in saved and self.verdict_breaker is not None:
            self.verdict_breaker.restore(saved["verdict"])
        self.changed()
        self.dirty = False
