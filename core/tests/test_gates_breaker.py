"""The breaker: its moving window against one that keeps all events, its states, and what it saves."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder.errors import StateError
from grinder.gates.breaker import SLICES, Breaker, BreakerState
from grinder.gates.stats import GateStats
from grinder.settings.plugin import BreakerSettings, FaultBreakerSettings, VerdictBreakerSettings

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


class Driver:
    """Drives a breaker as the chain does: the window is moved when it is due, counts only grow."""

    def __init__(self, breaker: Breaker) -> None:
        self.breaker = breaker
        self.calls = 0
        self.faults = 0

    def call(self, now: int, *, good: bool) -> BreakerState:
        if now >= self.breaker.roll_at:
            self.breaker.roll(now, self.calls, self.faults)
        state = self.breaker.state_at(now)
        if state is BreakerState.OPEN:
            return state
        self.calls += 1
        self.faults += not good
        if state is BreakerState.HALF_OPEN:
            self.breaker.probed(now, self.calls, self.faults, good=good)
        elif not good:
            self.breaker.bad(now, self.calls, self.faults)
        return self.breaker.state


def breaker(
    *, window_s: float = 10, minimum_calls: int = 4, max_pct: int = 50, open_s: float = 30, probes: int = 2
) -> Breaker:
    return Breaker(window_s=window_s, minimum_calls=minimum_calls, max_pct=max_pct, open_s=open_s, probes=probes)


class Reference:
    """Keeps every event, and answers for every place where the window may begin: its length, or a slice less."""

    def __init__(self, *, window: int, minimum: int, max_pct: int, open_ns: int, probes: int) -> None:
        self.window = window
        self.minimum = minimum
        self.max_pct = max_pct
        self.open_ns = open_ns
        self.probes = probes
        self.events: list[tuple[int, bool]] = []
        self.state = BreakerState.CLOSED
        self.until = 0
        self.passed = 0

    def call(self, now: int, *, good: bool) -> set[BreakerState]:
        """States that are right after this call; the caller tells with ``follow`` which one it was."""
        if self.state is BreakerState.OPEN and now >= self.until:
            self.state, self.passed = BreakerState.HALF_OPEN, 0
        if self.state is BreakerState.OPEN:
            return {BreakerState.OPEN}
        if self.state is BreakerState.HALF_OPEN:
            self.passed += good
            if not good:
                return {BreakerState.OPEN}
            return {BreakerState.CLOSED if self.passed >= self.probes else BreakerState.HALF_OPEN}
        self.events.append((now, good))
        if good:
            return {BreakerState.CLOSED}
        earliest, latest = now - self.window, now - self.window + self.window // SLICES
        begins = {earliest, latest, *(at + 1 for at, _ in self.events if earliest <= at < latest)}
        return {BreakerState.OPEN if self.trips(begin) else BreakerState.CLOSED for begin in begins}

    def trips(self, begin: int) -> bool:
        seen = [good for at, good in self.events if at >= begin]
        bad = seen.count(False)
        return len(seen) >= self.minimum and bad >= 2 and Fraction(bad, len(seen)) > Fraction(self.max_pct, 100)

    def follow(self, now: int, state: BreakerState) -> None:
        if state is BreakerState.OPEN and self.state is not BreakerState.OPEN:
            self.until = now + self.open_ns
        if state is not self.state:
            self.events.clear()
        self.state = state


@given(
    steps=st.lists(
        st.tuples(
            st.one_of(st.integers(0, 3 * SECOND), st.sampled_from((0, SECOND, 10 * SECOND, 30 * SECOND, 300 * SECOND))),
            st.sampled_from((True, True, True, False)),
        ),
        min_size=10,
        max_size=120,
    ),
    minimum=st.integers(1, 6),
    max_pct=st.sampled_from((1, 25, 50, 67, 100)),
    probes=st.integers(1, 3),
)
@settings(deadline=None, max_examples=300)
def test_the_breaker_agrees_with_one_that_keeps_every_event(steps, minimum, max_pct, probes):
    driver = Driver(breaker(minimum_calls=minimum, max_pct=max_pct, probes=probes))
    reference = Reference(window=10 * SECOND, minimum=minimum, max_pct=max_pct, open_ns=30 * SECOND, probes=probes)
    now = START
    for wait, good in steps:
        now += wait
        right = reference.call(now, good=good)
        state = driver.call(now, good=good)
        assert state in right
        reference.follow(now, state)


@given(
    waits=st.lists(st.integers(0, 300 * SECOND), max_size=60),
    minimum=st.integers(1, 3),
    max_pct=st.integers(1, 100),
)
@settings(deadline=None, max_examples=100)
def test_one_bad_call_never_trips_it(waits, minimum, max_pct):
    """Whatever the settings: a first block of a quiet symbol, or one among good calls, is no evidence."""
    for position in range(len(waits) + 1):
        driver = Driver(breaker(minimum_calls=minimum, max_pct=max_pct))
        now = START
        for index, wait in enumerate([*waits, 0]):
            now += wait
            assert driver.call(now, good=index != position) is BreakerState.CLOSED


def test_it_opens_above_the_limit_and_not_at_it():
    driver = Driver(breaker(minimum_calls=4, max_pct=50))
    for good in (True, True, False, False):
        assert driver.call(START, good=good) is BreakerState.CLOSED
    assert driver.call(START, good=False) is BreakerState.OPEN


def test_it_waits_for_the_minimum_of_calls():
    driver = Driver(breaker(minimum_calls=5))
    states = [driver.call(START, good=False) for _ in range(5)]
    assert states == [BreakerState.CLOSED] * 4 + [BreakerState.OPEN]


def test_a_limit_of_100_percent_never_opens():
    driver = Driver(breaker(minimum_calls=1, max_pct=100))
    assert {driver.call(START + number, good=False) for number in range(100)} == {BreakerState.CLOSED}


@pytest.mark.parametrize(("age_s", "state"), [(8.9, BreakerState.OPEN), (10.0, BreakerState.CLOSED)])
@pytest.mark.parametrize("begin_s", [0.0, 0.05, 0.5, 0.95])
@pytest.mark.parametrize("pace_s", [0.1, 0.3, 1.0, 1.9, 4.0, 100.0])
@pytest.mark.parametrize("was_open", [False, True])
def test_calls_older_than_the_window_are_forgotten(age_s, state, begin_s, pace_s, was_open):
    """Wherever the slices lie, however many calls come between, and when the breaker has just closed, too."""
    driver = Driver(breaker(minimum_calls=4, max_pct=1))
    if was_open:
        for _ in range(4):
            driver.call(START - 30 * SECOND, good=False)
        for _ in range(2):
            driver.call(START, good=True)
    assert driver.breaker.state is BreakerState.CLOSED
    begin = START + int(begin_s * SECOND)
    for number in range(3):
        driver.call(begin + number, good=number == 0)
    end = begin + 2 + int(age_s * SECOND)
    for at in range(begin + 3, end, int(pace_s * SECOND)):
        driver.call(at, good=True)
    assert driver.call(end, good=False) is state


def test_a_long_silence_forgets_everything_at_once():
    driver = Driver(breaker(minimum_calls=4))
    for _ in range(3):
        driver.call(START, good=False)
    year = 365 * 86_400 * SECOND
    for number in range(3):
        assert driver.call(START + year + number, good=False) is BreakerState.CLOSED
    assert driver.call(START + year + 3, good=False) is BreakerState.OPEN


def test_what_it_keeps_does_not_grow():
    driver = Driver(breaker(minimum_calls=10**9))
    for number in range(20_000):
        driver.call(START + number * SECOND // 50, good=bool(number % 2))
    kept = [value for name in Breaker.__slots__ if isinstance(value := getattr(driver.breaker, name), list)]
    assert [len(value) for value in kept] == [SLICES]


def test_open_it_waits_probes_and_closes_with_an_empty_window():
    driver = Driver(breaker(minimum_calls=2, open_s=30, probes=2))
    driver.call(START, good=False)
    assert driver.call(START, good=False) is BreakerState.OPEN
    assert driver.call(START + 30 * SECOND - 1, good=True) is BreakerState.OPEN
    assert driver.call(START + 30 * SECOND, good=True) is BreakerState.HALF_OPEN
    assert driver.call(START + 30 * SECOND, good=True) is BreakerState.CLOSED
    assert driver.call(START + 30 * SECOND, good=False) is BreakerState.CLOSED
    assert driver.call(START + 30 * SECOND, good=False) is BreakerState.OPEN
    assert driver.breaker.trips == 2


def test_a_bad_probe_reopens_for_the_whole_time():
    driver = Driver(breaker(minimum_calls=2, open_s=30, probes=2))
    for _ in range(2):
        driver.call(START, good=False)
    driver.call(START + 30 * SECOND, good=True)
    assert driver.call(START + 31 * SECOND, good=False) is BreakerState.OPEN
    assert driver.call(START + 61 * SECOND - 1, good=True) is BreakerState.OPEN
    assert driver.call(START + 61 * SECOND, good=True) is BreakerState.HALF_OPEN
    assert driver.breaker.trips == 2


@pytest.mark.parametrize("probing", [False, True])
def test_it_comes_back_as_it_was_saved(probing):
    driver = Driver(breaker(minimum_calls=2))
    for _ in range(2):
        driver.call(START, good=False)
    if probing:
        driver.call(START + 30 * SECOND, good=True)
    again = breaker(minimum_calls=2)
    again.restore(driver.breaker.save())
    assert again.save() == driver.breaker.save()
    assert again.state is (BreakerState.HALF_OPEN if probing else BreakerState.OPEN)
    assert again.state_at(START + 30 * SECOND) is BreakerState.HALF_OPEN
    second = Driver(again)
    second.call(START + 31 * SECOND, good=True)
    assert again.state is BreakerState.HALF_OPEN, "probes are counted anew"


GOOD = {"state": "open", "until": 1, "trips": 1}


@pytest.mark.parametrize(
    "saved",
    [
        None,
        [],
        [1, 2],
        "open",
        {},
        {"state": "open"},
        GOOD | {"state": "ajar"},
        GOOD | {"state": None},
        GOOD | {"until": "soon"},
        GOOD | {"until": 1.5},
        GOOD | {"until": -1},
        GOOD | {"trips": None},
    ],
    ids=repr,
)
def test_a_damaged_state_is_refused_and_changes_nothing(saved):
    damaged = breaker()
    with pytest.raises(StateError, match="journal is damaged"):
        damaged.restore(saved)
    assert damaged.state is BreakerState.CLOSED
    stats = GateStats("gate", BreakerSettings())
    with pytest.raises(StateError):
        stats.restore({"fault": saved})
    with pytest.raises(StateError, match="gate 'gate'"):
        stats.restore(saved)


def test_a_gate_saves_both_breakers_and_takes_back_what_it_still_has():
    both = GateStats("gate", BreakerSettings(verdict=VerdictBreakerSettings(enabled=True)))
    saved = both.save() | {"verdict": GOOD}
    assert set(saved) == {"fault", "verdict"}
    both.restore(saved)
    assert (both.guarded, both.dirty, both.bypassing) == (True, False, True)
    one = GateStats("gate", BreakerSettings())
    one.restore(saved)
    assert (one.guarded, one.dirty, one.bypassing) == (False, False, False)


def test_settings_reach_the_breaker():
    fault = FaultBreakerSettings(window_s=20, minimum_calls=3, max_fault_pct=10, open_s=5, probes=1)
    verdict = VerdictBreakerSettings(window_s=20, minimum_calls=3, max_block_pct=10, open_s=5, probes=1)
    for made in (Breaker.fault(fault), Breaker.verdict(verdict)):
        driver = Driver(made)
        driver.call(START, good=False)
        driver.call(START + 17 * SECOND, good=True)
        assert driver.call(START + 17 * SECOND, good=False) is BreakerState.OPEN
        assert driver.call(START + 22 * SECOND, good=True) is BreakerState.CLOSED
