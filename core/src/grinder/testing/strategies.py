"""Generated scenes, for hypothesis: the same in every run on the same code, and nothing is kept between runs.

Hypothesis also tries the numbers that it finds in the source of modules outside of site-packages.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any, Final

from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException

from grinder.testing.events import NOW
from grinder.testing.scene import Scene, Working
from grinder.types import OrderState, Side, TimeInForce

SCENES: Final = 200
"""Generated scenes that every case looks at, beside those of ``EDGES``."""

QUIET: Final[Any] = {"database": None, "deadline": None, "suppress_health_check": list(HealthCheck)}
"""No files, no time limits, no advice: plugins are judged, not the tests."""

TINY, HUGE = "0.000000000000000001", "1000000000000000000"
UNFIT: Final = ("nan", "inf", "-inf", "0", "-1", "1e308", "5e-324")
EDGES: Final = (
    Scene(),
    Scene(side=Side.SELL),
    Scene(price=None),
    Scene(tif=TimeInForce.IOC, price="60000.1"),
    Scene(qty=TINY),
    Scene(qty=HUGE),
    Scene(price=TINY),
    Scene(price=HUGE),
    Scene(bids=None, asks=None),
    Scene(bids=(), asks=()),
    Scene(bids=()),
    Scene(asks=(), side=Side.SELL),
    Scene(bids=(("60000.2", "5"),), asks=(("60000.1", "5"),)),
    Scene(bids=((TINY, TINY),), asks=((HUGE, HUGE),)),
    Scene(bids=(("nan", "5"),)),
    Scene(asks=(("60000.1", "inf"),)),
    Scene(bids=(("60000.0", "5"), ("59999.9", "nan"))),
    Scene(age_ms=3_600_000),
    Scene(gap=True),
    Scene(mark="nan"),
    Scene(mark="60000.05", last="60000.1"),
    Scene(held="1.5"),
    Scene(held="-1.5", side=Side.SELL),
    Scene(held=HUGE, balance="-1"),
    Scene(balance="0"),
    Scene(working=(Working(Side.BUY, "60000.0", "5"), Working(Side.SELL, None, HUGE, OrderState.UNKNOWN))),
    Scene(healthy_s=None),
    Scene(healthy_s=0.0, started_s=0.0),
    Scene(healthy_s=7200.0, started_s=1.0),
    Scene(healthy_s=-60.0, started_s=-60.0),
    Scene(now_ns=1, healthy_s=0.0, started_s=0.0),
    Scene(now_ns=1 << 62),
    Scene(signals={"queue_depth": "nan", "loop_lag_ms": "inf"}),
    *(Scene(raw=(bad,) * 6) for bad in UNFIT),
    *(Scene(raw=("60000", "5", bad, bad, "0", "0")) for bad in UNFIT),
)
"""Situations that are looked at in any case, the ordinary ones first."""


def _decimals(*likely: str) -> st.SearchStrategy[str]:
    wide = st.tuples(st.integers(1, 999_999), st.integers(-12, 12)).map(lambda pair: f"{pair[0]}e{pair[1]}")
    return st.sampled_from(likely) | wide


def _levels(side: Side) -> st.SearchStrategy[tuple[tuple[str, str], ...]]:
    """Levels at and behind 60,000, best first, some of them far away or removed again."""
    step = st.integers(1, 20).map(lambda ticks: 600_000 - ticks if side is Side.BUY else 600_000 + ticks)
    price = step.map(lambda ticks: f"{ticks / 10:.1f}")
    qty = st.sampled_from(("0", "0.001", "0.5", "1", "5", "1000")) | st.integers(1, 10_000).map(lambda n: f"{n / 1000}")
    return st.lists(st.tuples(price, qty), max_size=8, unique_by=lambda level: level[0]).map(tuple)


def _working() -> st.SearchStrategy[Working]:
    open_states = [state for state in OrderState if not state.final]
    price = st.none() | _decimals("60000.0", "60000.1", "59999.9")
    return st.builds(Working, st.sampled_from(Side), price, _decimals("0.01", "5"), st.sampled_from(open_states))


def scenes() -> st.SearchStrategy[Scene]:
    """Scenes of all kinds: healthy markets mostly, thin and empty books, held positions, open orders, odd times."""
    ages = st.sampled_from((0, 0, 0, 0, 1, 4_999, 5_001)) | st.integers(0, 10_000)
    seconds = st.sampled_from((0.0, 1.0, 60.0, 90.0, 3600.0)) | st.floats(-10, 10_000)
    numbers = st.floats(allow_nan=True, allow_infinity=True).map(repr)
    return st.builds(
        Scene,
        side=st.sampled_from(Side),
        qty=_decimals("0.001", "0.01", "0.5", "1", "10"),
        price=st.none() | _decimals("59999.9", "60000.0", "60000.1"),
        tif=st.sampled_from(TimeInForce),
        bids=_levels(Side.BUY),
        asks=_levels(Side.SELL),
        mark=st.none() | _decimals("60000.05"),
        last=st.none() | _decimals("60000.0"),
        age_ms=ages,
        gap=st.sampled_from((False,) * 7 + (True,)),
        raw=st.none() | st.none() | st.none() | st.tuples(*(numbers for _ in range(6))),
        held=_decimals("0", "0.01", "-0.01", "1", "-1"),
        balance=_decimals("0", "10000", "-5"),
        working=st.lists(_working(), max_size=4).map(tuple),
        signals=st.dictionaries(st.sampled_from(("queue_depth", "loop_lag_ms", "feed_age_ms")), numbers, max_size=3),
        healthy_s=st.none() | seconds,
        started_s=seconds,
        now_ns=st.just(NOW) | st.integers(1, 1 << 62),
    )


@cache
def corpus(count: int = SCENES) -> tuple[Scene, ...]:
    """The scenes that every case looks at: ``EDGES``, then generated ones; made once in a process."""
    found: list[Scene] = list(EDGES)

    @settings(**QUIET, derandomize=True, max_examples=count, phases=[Phase.generate])
    @given(scenes())
    def collect(scene: Scene) -> None:
        found.append(scene)

    collect()
    return tuple(found)


def minimal(fails: Callable[[Scene], bool], seen: Scene) -> Scene:
    """A scene that is as plain as can be found and still fails; ``seen`` itself when none is found."""
    if seen in EDGES:
        return seen
    options = settings(**QUIET, max_examples=500)
    try:
        return find(scenes(), fails, settings=options, random=Random(0))  # noqa: S311 - so that it finds the same again
    except (HypothesisException, RecursionError):
        return seen
