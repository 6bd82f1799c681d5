"""From settings sources to everything that settings name: the host with its plugins, exchanges, strategy, policies."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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
from grinder.settings.plugin import PluginSettings, Section
from grinder.settings.sources import Sources
from grinder.types import OrderIntent, Route


class Hosted(msgspec.Struct, frozen=True):
    """The gates and policies that settings switched on, imported, checked and bound to their settings."""

    settings: Settings
    host: Host
    reasons: ReasonRegistry
    policies: PolicySet
    extensions: tuple[PluginRecord, ...]


class Loaded(Hosted, frozen=True):
    """What a run needs besides: a strategy, and the exchanges by name."""

    strategy: ModuleType
    exchanges: Mapping[str, ModuleType]


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
    found = _Found(sources)
    core, lists = found.core, found.lists
    host, reasons = found.host(trace, on_fault)
    strategy = load_extension(STRATEGIES, core.strategy, **lists)
    names = ["paper", core.exchange.venue] if core.live else ["paper"]
    exchanges = {name: load_extension(EXCHANGES, name, **lists) for name in names}
    models = {**host.models(), core.strategy: strategy.Settings}
    settings = found.settings(models, {name: module.Settings for name, module in exchanges.items()})
    if not settings.plugins.get(core.strategy).enabled:
        raise ConfigError(f"strategy {core.strategy!r} is not enabled; set plugins.{core.strategy}.enabled: true")
    host.bind({name: settings.plugins.get(name) for name in host.models()})
    used = {(STRATEGIES, core.strategy), *((EXCHANGES, name) for name in exchanges)}
    policies, extensions = found.policies(settings), found.extensions(used)
    return Loaded(settings, host, reasons, policies, extensions, strategy, exchanges)


def load_gates(sources: Sources, *, on_fault: Any = None) -> Hosted:
    """The same without strategy and exchanges, for a program that has its own.

    Raises:
        ConfigError: settings are wrong, or something that they name is missing.
        PluginError: something that they enable is refused.
    """
    found = _Found(sources, {sources.strategy})
    host, reasons = found.host(None, on_fault)
    settings = found.settings(host.models(), {})
    host.bind({name: settings.plugins.get(name) for name in host.models()})
    return Hosted(settings, host, reasons, found.policies(settings), found.extensions(set()))


class _Found:
    """What is installed, and what the sources want of it; ``unused`` strategies need not be installed."""

    def __init__(self, sources: Sources, unused: Collection[str] = ()) -> None:
        self._sources = sources
        self._first = sources.part("host", HostSettings)
        self._policies = sources.part("policies", PoliciesSettings)
        self.lists: dict[str, Any] = {"allow": self._first.allow, "deny": self._first.deny}
        self._plugins = discover(PLUGINS, plugins_dir=self._first.plugins_dir)
        self._strategies = {record.name for record in discover(STRATEGIES)} | set(unused)
        names = {record.name for record in (*self._plugins, *discover(EXCHANGES))}
        self._installed = names | self._strategies
        self.core = sources.settings(compose({}, {}, installed=self._installed))

    def host(self, trace: Trace | None, on_fault: Any) -> tuple[Host, ReasonRegistry]:
        """The host with its plugins imported, and the reason codes that they brought."""
        reasons = ReasonRegistry()
        enabled = [name for name in self._sources.enabled_plugins() if name not in self._strategies]
        essential = self._first.essential
        host = Host.load(
            self._plugins, enabled, reasons=reasons, essential=essential, trace=trace, on_fault=on_fault, **self.lists
        )
        return host, reasons

    def settings(self, plugins: Mapping[str, type[PluginSettings]], exchanges: Mapping[str, type[Section]]) -> Settings:
        """Everything validated, those of the plugins and exchanges given included."""
        return self._sources.settings(compose(plugins, exchanges, installed=self._installed))

    def policies(self, settings: Settings) -> PolicySet:
        """The policies that settings name."""
        chosen = self._policies
        names = set(chosen.model_dump().values())
        modules = {name: load_extension(POLICIES, name, **self.lists) for name in names}
        return PolicySet(modules[chosen.admission], modules[chosen.sizing], modules[chosen.routing], settings)

    def extensions(self, used: set[tuple[str, str]]) -> tuple[PluginRecord, ...]:
        """Records of the strategies and exchanges used, and of the policies."""
        wanted = used | {(POLICIES, name) for name in self._policies.model_dump().values()}
        groups = (STRATEGIES, EXCHANGES, POLICIES)
        return tuple(record for group in groups for record in discover(group) if (group, record.name) in wanted)
