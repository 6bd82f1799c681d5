"""A circuit breaker over a time window, O(1) in the number of events, on the injected clock."""

from __future__ import annotations

import enum
from typing import Any, Final

from grinder.errors import StateError
from grinder.settings.plugin import FaultBreakerSettings, VerdictBreakerSettings

SLICES: Final = 10
"""The window moves in tenths of its length."""


class BreakerState(enum.StrEnum):
    """CLOSED works; OPEN is tripped; HALF_OPEN probes."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Opens when the share of bad calls in the window exceeds a limit, after a minimum of calls; never on one bad call.

    The caller keeps two ever-growing counts, calls and bad calls, and passes them in: nothing has to be done
    for a good call. ``roll`` must be called when ``roll_at`` has come, so that the window moves.

    Attributes:
        state: as of the last call of ``state_at``.
        until: while OPEN, when probing begins, ns.
        trips: how often it opened, by a probe too.
        roll_at: when the window must move next, ns.
    """

    __slots__ = (
        "_limit",
        "_marks",
        "_minimum",
        "_open_ns",
        "_passed",
        "_probes",
        "_slice",
        "roll_at",
        "state",
        "trips",
        "until",
    )

    def __init__(self, *, window_s: float, minimum_calls: int, max_pct: int, open_s: float, probes: int) -> None:
        self._slice = max(int(window_s * 1e9) // SLICES, 1)
        self._minimum = minimum_calls
        self._limit = max_pct
        self._open_ns = int(open_s * 1e9)
        self._probes = probes
        self._marks: list[tuple[int, int]] = [(0, 0)]
        self._passed = 0
        self.roll_at = 0
        self.state = BreakerState.CLOSED
        self.until = 0
        self.trips = 0

    @classmethod
    def fault(cls, settings: FaultBreakerSettings) -> Breaker:
        """The breaker of a gate that fails."""
        return cls(
            window_s=settings.window_s,
            minimum_calls=settings.minimum_calls,
            max_pct=settings.max_fault_pct,
            open_s=settings.open_s,
            probes=settings.probes,
        )

    @classmethod
    def verdict(cls, settings: VerdictBreakerSettings) -> Breaker:
        """The breaker of a gate that blocks too much."""
        return cls(
            window_s=settings.window_s,
            minimum_calls=settings.minimum_calls,
            max_pct=settings.max_block_pct,
            open_s=settings.open_s,
            probes=settings.probes,
        )

    def roll(self, now: int, calls: int, bad: int) -> None:
        """Move the window to ``now``, at or after ``roll_at``; what is older than its oldest mark is forgotten."""
        slices = (now - self.roll_at) // self._slice + 1
        self._marks += [(calls, bad)] * min(slices, SLICES)
        del self._marks[:-SLICES]
        self.roll_at += slices * self._slice

    def bad(self, now: int, calls: int, bad: int) -> bool:
        """One more bad call, already in the counts. True when this opened the breaker."""
        old_calls, old_bad = self._marks[0]
        seen, wrong = calls - old_calls, bad - old_bad
        if self.state is not BreakerState.CLOSED or seen < self._minimum or wrong < 2:
            return False
        if wrong * 100 <= seen * self._limit:
            return False
        self._open(now)
        return True

    def state_at(self, now: int) -> BreakerState:
        """The state at ``now``; an OPEN breaker becomes HALF_OPEN when its time has come."""
        if self.state is BreakerState.OPEN and now >= self.until:
            self.state = BreakerState.HALF_OPEN
            self._passed = 0
        return self.state

    def probed(self, now: int, calls: int, bad: int, *, good: bool) -> bool:
        """The result of a probe, already in the counts; a bad one reopens, enough good ones close.

        Returns:
            Whether the state changed. Once closed, the window starts anew: what opened it is forgotten.
        """
        if not good:
            self._open(now)
            return True
        self._passed += 1
        if self._passed < self._probes:
            return False
        self.state = BreakerState.CLOSED
        self._restart(now, calls, bad)
        return True

    def _restart(self, now: int, calls: int, bad: int) -> None:
        self._marks = [(calls, bad)]
        self.roll_at = now + self._slice

    def _open(self, now: int) -> None:
        self.state = BreakerState.OPEN
        self.until = now + self._open_ns
        self.trips += 1

    def save(self) -> dict[str, Any]:
        """What must survive a restart."""
        return {"state": self.state.value, "until": self.until, "trips": self.trips}

    def restore(self, saved: object) -> None:
        """Come back as saved: an OPEN breaker comes back OPEN, a probing one probes again from the start.

        Raises:
            StateError: this is not what ``save`` returns.
        """
        match saved:
            case {"state": "closed" | "open" | "half_open" as state, "until": int(until), "trips": int(trips)} if (
                until >= 0 and trips >= 0
            ):
                self.state, self.until, self.trips = BreakerState(state), until, trips
            case _:
                raise StateError(
                    f"saved breaker {saved!r:.200} is not a state, until and trips; the journal is damaged"
                )
