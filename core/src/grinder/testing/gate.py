"""One gate, evaluated as in a run: checked and bound by the real host, asked through a real chain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from pydantic import ValidationError

from grinder.decisions import Answer, GateInfo, Mode, Threshold
from grinder.gates.chain import BoundGate, Chain, Evaluation, blocks
from grinder.gates.stats import GateStats
from grinder.host.discovery import PLUGINS, PluginRecord
from grinder.host.manager import Host
from grinder.reasons import ReasonRegistry
from grinder.settings.plugin import GateSettings
from grinder.testing.accounts import account as flat
from grinder.testing.events import NOW
from grinder.testing.markets import FakeMarket
from grinder.testing.markets import market as healthy
from grinder.testing.orders import order as small
from grinder.testing.runtimes import runtime as started
from grinder.testing.target import imported
from grinder.types import AccountView, MarketView, OrderIntent, RuntimeView


class GateRun(msgspec.Struct, frozen=True):
    """What came of one evaluation.

    Attributes:
        answer: the gate's verdict as it would be recorded, or the ``Fault`` that the host put in its place.
        blocked: whether the order was blocked by it (never in shadow).
        gate: name, mode, ``on_error`` and threshold, as a decision states them.
        settings: those that the gate was given.
        overran: whether the call took longer than ``budget_us``.
    """

    answer: Answer
    blocked: bool
    gate: GateInfo
    settings: GateSettings
    overran: bool


def run_gate(
    plugin: object,
    order: OrderIntent | None = None,
    market: MarketView | None = None,
    account: AccountView | None = None,
    runtime: RuntimeView | None = None,
    *,
    now: int = NOW,
    settings: Mapping[str, Any] | None = None,
    mode: Mode | str = Mode.ENFORCE,
    live: bool = False,
    market_fault: str | None = None,
    name: str = "",
) -> GateRun:
    """Evaluate one gate on one order. What is left out is what the builders of that name make.

    Args:
        plugin: the plugin's module or object.
        order: the order.
        market: its symbol's market; a ``FakeMarket`` that is missing, stale or broken keeps the gate from being
            called, as in a run.
        account: the account.
        runtime: what the host remembers.
        now: event time, ns.
        settings: fields of the plugin's settings over the defaults.
        mode: ``enforce`` or ``shadow``.
        live: whether an overrun of ``budget_us`` is a verdict.
        market_fault: reason code of what is wrong with the market, instead of what ``market`` says.
        name: of the plugin, when no distribution announces it and its module is not called so.

    Raises:
        PluginError: the host refuses the plugin.
        ValueError: it has no gate, the settings are not valid, or ``mode`` is off.
    """
    if Mode(mode) is Mode.OFF:
        raise ValueError("mode is off: such a gate is not asked; use enforce or shadow")
    target = imported(plugin, name)
    record = PluginRecord(group=PLUGINS, name=target.name, target=target.module, distribution=target.name)
    host = Host.of(record, plugin, reasons=ReasonRegistry())
    bound = _bound(host, target.name, settings or {}, Mode(mode))
    seen = healthy(now_ns=now) if market is None else market
    if market_fault is None:
        market_fault = seen.fault if isinstance(seen, FakeMarket) else ""
    evaluation: Evaluation = Chain([bound], live=live).evaluate(
        small() if order is None else order,
        seen,
        flat() if account is None else account,
        started() if runtime is None else runtime,
        now,
        market_fault,
    )
    answer = evaluation.answers[0]
    return GateRun(answer, bound.enforced and blocks(answer), bound.info, bound.settings, bound.stats.overruns > 0)


def _bound(host: Host, name: str, values: Mapping[str, Any], mode: Mode) -> BoundGate:
    model = host.models()[name]
    try:
        settings = model.model_validate({"enabled": True, "mode": mode, **values})
    except ValidationError as error:
        what = error.errors()[0]
        raise ValueError(f"settings of {name!r}: {'.'.join(map(str, what['loc']))}: {what['msg']}") from None
    host.bind({name: settings})
    gates = host.gates()
    if not gates or not isinstance(settings, GateSettings):
        raise ValueError(f"plugin {name!r} has no gate; it implements {', '.join(host.hooks(name))}")
    field = settings.THRESHOLD
    threshold = Threshold(float(getattr(settings, field)), settings.THRESHOLD_UNIT) if field else None
    return BoundGate(
        info=GateInfo(name, settings.mode, settings.on_error, threshold),
        function=gates[0].function,
        argnames=gates[0].argnames,
        settings=settings,
        reasons=gates[0].reasons,
        stats=GateStats(name, settings.breaker),
    )
