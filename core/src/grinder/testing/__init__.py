"""The kit for tests of gates and other plugins: builders, a fake exchange, one gate through the real host, conformance.

For tests only: what is shipped never imports it. Names are loaded when they are first used, so that ``import
grinder.testing`` costs nothing. Generated input needs hypothesis: ``pip install 'grinder-core[testing]'``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grinder.clock import ManualClock
    from grinder.testing.accounts import account, fill, open_order, position
    from grinder.testing.cases import CASES, Case, Result, Status
    from grinder.testing.conformance import GateConformance, conform
    from grinder.testing.decisions import DecisionRecorder
    from grinder.testing.engine import EngineRun, run_engine
    from grinder.testing.events import (
        NOW,
        book_delta,
        book_snapshot,
        feed_status,
        mark_price,
        top_of_book,
        trade,
    )
    from grinder.testing.exchange import (
        FakeExchange,
        accept,
        duplicate_fill,
        fill_before_ack,
        fill_order,
        never_answer,
        reject,
        unknown,
    )
    from grinder.testing.gate import GateRun, run_gate
    from grinder.testing.markets import FakeMarket, market
    from grinder.testing.orders import admitted, instrument, order
    from grinder.testing.runtimes import FakeRuntime, runtime
    from grinder.testing.scene import Scene
    from grinder.testing.strategies import scenes

_HOME = {
    "clock": "ManualClock",
    "testing.accounts": "account fill open_order position",
    "testing.cases": "CASES Case Result Status",
    "testing.conformance": "GateConformance conform",
    "testing.decisions": "DecisionRecorder",
    "testing.engine": "EngineRun run_engine",
    "testing.events": "NOW book_delta book_snapshot feed_status mark_price top_of_book trade",
    "testing.exchange": ("FakeExchange accept duplicate_fill fill_before_ack fill_order never_answer reject unknown"),
    "testing.gate": "GateRun run_gate",
    "testing.markets": "FakeMarket market",
    "testing.orders": "admitted instrument order",
    "testing.runtimes": "FakeRuntime runtime",
    "testing.scene": "Scene",
    "testing.strategies": "scenes",
}
_MODULE = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = [
    "CASES",
    "NOW",
    "Case",
    "DecisionRecorder",
    "EngineRun",
    "FakeExchange",
    "FakeMarket",
    "FakeRuntime",
    "GateConformance",
    "GateRun",
    "ManualClock",
    "Result",
    "Scene",
    "Status",
    "accept",
    "account",
    "admitted",
    "book_delta",
    "book_snapshot",
    "conform",
    "duplicate_fill",
    "feed_status",
    "fill",
    "fill_before_ack",
    "fill_order",
    "instrument",
    "mark_price",
    "market",
    "never_answer",
    "open_order",
    "order",
    "position",
    "reject",
    "run_engine",
    "run_gate",
    "runtime",
    "scenes",
    "top_of_book",
    "trade",
    "unknown",
]


def __getattr__(name: str) -> Any:
    module = _MODULE.get(name)
    if module is None:
        raise AttributeError(f"module 'grinder.testing' has no public name {name!r}")
    value = getattr(import_module(f"grinder.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
