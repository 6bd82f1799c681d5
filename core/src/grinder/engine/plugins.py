"""From settings sources to everything that settings name: the host with its plugins, exchanges, strategy, policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import ModuleType
from typing import Any

import msgspec

from grinder.decisions import Answer, GateInfo
from grinder.errors import ConfigError
from grinder.gates.chain import Trace
from grinder.host.discovery import EXCHANGES, PLUGINS, POLICIES, STRATEGIES, PluginRecord, discover
from grinder.host.loading import load_extension
from grinder.host.manager import Host
from grinder.instruments import Instrument
from grinder.reasons import ReasonRegistry
from grinder.settings.model import HostSettings, PoliciesSettings, Settings, compose
from grinder.settings.sources import Sources
from grinder.types import OrderIntent, Route


class Loaded(msgspec.Struct, frozen=True):
    """What settings switched on, imported, checked and bound to its settings."""

    settings: Settings
    host: Host
    reasons: ReasonRegistry
    strategy: ModuleType
    exchanges: Mapping[str, ModuleType]
    policies: PolicySet
    extensions: tuple[PluginRecord, ...]


class PolicySet:
    """The three policies, each with the settings that it reads."""

    def __init__(self, admission: ModuleType, sizing: ModuleType, routing: ModuleType, settings: Settings) -> None:
        self._admission = admission.admission
        self._sizing = sizing.size
        self._routing = routing.route
        self._settings = settings
        self.min_free_balance = settings.sizing.min_free_balance_usd

    def admission(self, order: OrderIntent, gates: Sequence[GateInfo], answers: Sequence[Answer]) -> str:
        """Empty to accept, else why not."""
        return self._admission(order, gates, answers)  # type: ignore[no-any-return]

    def size(self, notional: Decimal, price: Decimal, instrument: Instrument, free_balance: Decimal) -> Decimal:
        """Quantity for a wanted notional; zero drops the order."""
        return self._sizing(notional, price, instrument, free_balance, self._settings.sizing)  # type: ignore[no-any-return]

    def route(self, intent_id: str) -> Route:
        """Where an order that adds risk goes. Without a real venue everything is paper."""
        if not self._settings.live:
            return Route.PAPER
        return self._routing(self._settings.rollout, intent_id)  # type: ignore[no-any-return]


def load(sources: Sources, *, trace: Trace | None = None, on_fault: Any = None) -> Loaded:
    """Import what the sources enable and validate all settings.

    Raises:
        ConfigError: settings are wrong, or something that they name is missing.
        PluginError: something that they enable is refused.
    """
    first = sources.part("host", HostSettings)
    policy_names = sources.part("policies", PoliciesSettings)
    lists: dict[str, Any] = {"allow": first.allow, "deny": first.deny}
    plugin_records = discover(PLUGINS, plugins_dir=first.plugins_dir)
    strategy_names = {record.name for record in discover(STRATEGIES)}
    installed = {record.name for record in (*plugin_records, *discover(EXCHANGES))} | strategy_names
    core = sources.settings(compose({}, {}, installed=installed))
    enabled = [name for name in sources.enabled_plugins() if name not in strategy_names]
    reasons = ReasonRegistry()
    host = Host.load(
        plugin_records,
        enabled,
        reasons=reasons,
        essential=first.essential,
        trace=trace,
        on_fault=on_fault,
        **lists,
    )
    strategy = load_extension(STRATEGIES, core.strategy, **lists)
    names = ["paper", core.exchange.venue] if core.live else ["paper"]
    exchanges = {name: load_extension(EXCHANGES, name, **lists) for name in names}
    policies = {name: load_extension(POLICIES, name, **lists) for name in set(policy_names.model_dump().values())}
    model = compose(
        {**host.models(), core.strategy: strategy.Settings},
        {name: module.Settings for name, module in exchanges.items()},
        installed=installed,
    )
    settings = sources.settings(model)
    if not settings.plugins.get(core.strategy).enabled:
        raise ConfigError(f"strategy {core.strategy!r} is not enabled; set plugins.{core.strategy}.enabled: true")
    host.bind({name: settings.plugins.get(name) for name in host.models()})
    chosen = (policies[policy_names.admission], policies[policy_names.sizing], policies[policy_names.routing])
    used = {(STRATEGIES, core.strategy), *((EXCHANGES, n) for n in exchanges), *((POLICIES, n) for n in policies)}
    extensions = tuple(
        record
        for group in (STRATEGIES, EXCHANGES, POLICIES)
        for record in discover(group)
        if (group, record.name) in used
    )
    return Loaded(settings, host, reasons, strategy, exchanges, PolicySet(*chosen, settings), extensions)
