"""The public face of grinder: what plugins, exchanges, policies, strategies and programs may import, nothing else.

Names are loaded when they are first used, so that ``import grinder`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grinder import testing
    from grinder.clock import Clock, LiveClock, ManualClock
    from grinder.decisions import (
        Abstain,
        Admitted,
        Allow,
        Answer,
        Block,
        Decision,
        Fault,
        GateInfo,
        Input,
        Mode,
        Outcome,
        Shrink,
        Threshold,
        Verdict,
        Warn,
    )
    from grinder.engine.gatekeeper import Gatekeeper, GatekeeperStatus
    from grinder.errors import (
        CallError,
        ConfigError,
        GrinderError,
        InputError,
        PluginError,
        SafetyError,
        StateError,
        VenueError,
    )
    from grinder.exchange import (
        Accepted,
        Amended,
        BookReader,
        Cancelled,
        CancelRejected,
        Exchange,
        ExchangeContext,
        ExchangeSnapshot,
        Filled,
        Found,
        MarketReader,
        NotFound,
        Paid,
        QueryFailed,
        Rejected,
        Simulated,
        Triggered,
        Unknown,
        Update,
        VenueOrder,
        VenuePosition,
    )
    from grinder.host.hookspecs import HOOK_API, PluginContext, hookimpl
    from grinder.instruments import Instrument, instrument_from_ccxt, instruments_from_exchange_info
    from grinder.reconcile.report import (
        Mismatch,
        MismatchKind,
        PlannedAction,
        ReconcileReport,
        RemediationPlan,
        RemediationStep,
    )
    from grinder.settings.plugin import GateSettings, PluginSettings, Section
    from grinder.types import (
        AccountView,
        BookDelta,
        BookSnapshot,
        FeedStatus,
        Fill,
        FillCause,
        IntentKind,
        Level,
        MarketEvent,
        MarketView,
        MarkPrice,
        OpenOrder,
        OrderIntent,
        OrderState,
        Payment,
        PaymentKind,
        Position,
        PositionSide,
        Risk,
        Route,
        RuntimeView,
        Side,
        Strategy,
        TimeInForce,
        TopOfBook,
        Trade,
        TradingState,
        Trigger,
        TriggerKind,
        TriggerSource,
    )

__version__ = "0.1.0"

_HOME = {
    "clock": "Clock LiveClock ManualClock",
    "decisions": (
        "Abstain Admitted Allow Answer Block Decision Fault GateInfo Input Mode Outcome Shrink Threshold Verdict Warn"
    ),
    "engine.gatekeeper": "Gatekeeper GatekeeperStatus",
    "errors": "CallError ConfigError GrinderError InputError PluginError SafetyError StateError VenueError",
    "exchange": (
        "Accepted Amended BookReader CancelRejected Cancelled Exchange ExchangeContext ExchangeSnapshot "
        "Filled Found MarketReader NotFound Paid QueryFailed Rejected Simulated Triggered Unknown Update "
        "VenueOrder VenuePosition"
    ),
    "host.hookspecs": "HOOK_API PluginContext hookimpl",
    "instruments": "Instrument instrument_from_ccxt instruments_from_exchange_info",
    "reconcile.report": "Mismatch MismatchKind PlannedAction ReconcileReport RemediationPlan RemediationStep",
    "settings.plugin": "GateSettings PluginSettings Section",
    "types": (
        "AccountView BookDelta BookSnapshot FeedStatus Fill FillCause IntentKind Level MarkPrice "
        "MarketEvent MarketView OpenOrder OrderIntent OrderState Payment PaymentKind Position PositionSide "
        "Risk Route RuntimeView Side Strategy TimeInForce TopOfBook Trade TradingState Trigger TriggerKind "
        "TriggerSource"
    ),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names.split()}
_MODULES = ("testing",)
"""Public names that are modules: ``grinder.testing`` is for tests, never for what is shipped."""

__all__ = [
    "HOOK_API",
    "Abstain",
    "Accepted",
    "AccountView",
    "Admitted",
    "Allow",
    "Amended",
    "Answer",
    "Block",
    "BookDelta",
    "BookReader",
    "BookSnapshot",
    "CallError",
    "CancelRejected",
    "Cancelled",
    "Clock",
    "ConfigError",
    "Decision",
    "Exchange",
    "ExchangeContext",
    "ExchangeSnapshot",
    "Fault",
    "FeedStatus",
    "Fill",
    "FillCause",
    "Filled",
    "Found",
    "GateInfo",
    "GateSettings",
    "Gatekeeper",
    "GatekeeperStatus",
    "GrinderError",
    "Input",
    "InputError",
    "Instrument",
    "IntentKind",
    "Level",
    "LiveClock",
    "ManualClock",
    "MarkPrice",
    "MarketEvent",
    "MarketReader",
    "MarketView",
    "Mismatch",
    "MismatchKind",
    "Mode",
    "NotFound",
    "OpenOrder",
    "OrderIntent",
    "OrderState",
    "Outcome",
    "Paid",
    "Payment",
    "PaymentKind",
    "PlannedAction",
    "PluginContext",
    "PluginError",
    "PluginSettings",
    "Position",
    "PositionSide",
    "QueryFailed",
    "ReconcileReport",
    "Rejected",
    "RemediationPlan",
    "RemediationStep",
    "Risk",
    "Route",
    "RuntimeView",
    "SafetyError",
    "Section",
    "Shrink",
    "Side",
    "Simulated",
    "StateError",
    "Strategy",
    "Threshold",
    "TimeInForce",
    "TopOfBook",
    "Trade",
    "TradingState",
    "Trigger",
    "TriggerKind",
    "TriggerSource",
    "Triggered",
    "Unknown",
    "Update",
    "VenueError",
    "VenueOrder",
    "VenuePosition",
    "Verdict",
    "Warn",
    "hookimpl",
    "instrument_from_ccxt",
    "instruments_from_exchange_info",
    "testing",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"grinder.{name}")
    module = _MODULE.get(name)
    if module is None:
        raise AttributeError(f"module 'grinder' has no public name {name!r}")
    value = getattr(import_module(f"grinder.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
