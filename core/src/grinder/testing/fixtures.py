"""Fixtures for pytest, announced in the group ``pytest11``. Nothing of grinder is imported before one is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from grinder.clock import ManualClock
    from grinder.engine.faces import AccountFace
    from grinder.testing.engine import EngineRun
    from grinder.testing.exchange import FakeExchange
    from grinder.testing.gate import GateRun
    from grinder.testing.markets import FakeMarket
    from grinder.testing.runtimes import FakeRuntime
    from grinder.types import OrderIntent


@pytest.fixture
def grinder_clock() -> ManualClock:
    """A ``ManualClock`` that stands at ``grinder.testing.NOW``."""
    from grinder import testing

    return testing.ManualClock(testing.NOW)


@pytest.fixture
def grinder_order() -> Callable[..., OrderIntent]:
    """The builder ``grinder.testing.order``."""
    from grinder import testing

    return testing.order


@pytest.fixture
def grinder_market() -> Callable[..., FakeMarket]:
    """The builder ``grinder.testing.market``."""
    from grinder import testing

    return testing.market


@pytest.fixture
def grinder_account() -> Callable[..., AccountFace]:
    """The builder ``grinder.testing.account``."""
    from grinder import testing

    return testing.account


@pytest.fixture
def grinder_runtime() -> Callable[..., FakeRuntime]:
    """The builder ``grinder.testing.runtime``."""
    from grinder import testing

    return testing.runtime


@pytest.fixture
def grinder_exchange(grinder_clock: ManualClock) -> FakeExchange:
    """A ``FakeExchange`` that accepts everything, on ``grinder_clock``."""
    from grinder import testing

    return testing.FakeExchange(clock=grinder_clock)


@pytest.fixture
def gate_runner(grinder_clock: ManualClock) -> Callable[..., GateRun]:
    """``grinder.testing.run_gate`` at the time of ``grinder_clock``."""
    from grinder import testing

    def run(plugin: object, *args: Any, **options: Any) -> GateRun:
        return testing.run_gate(plugin, *args, **{"now": grinder_clock.now_ns(), **options})

    return run


@pytest.fixture
def engine_runner(tmp_path: Any) -> Callable[..., EngineRun]:
    """``grinder.testing.run_engine`` with its evidence in ``tmp_path / "run"``."""
    from grinder import testing

    def run(step: Any, **options: Any) -> EngineRun:
        return testing.run_engine(step, **{"out": tmp_path / "run", **options})

    return run
