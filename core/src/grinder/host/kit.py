"""Everything that settings ask for, loaded: plugins, strategies and exchanges with their settings classes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import msgspec

from grinder.host.calls import OnFault, Trace
from grinder.host.discovery import EXCHANGES, PLUGINS, STRATEGIES, discover
from grinder.host.loading import load_extension
from grinder.host.manager import Host
from grinder.reasons import ReasonRegistry
from grinder.settings.plugin import PluginSettings, Section


class Kit(msgspec.Struct, frozen=True):
    """What has been loaded. Modules by their names."""

    host: Host
    strategies: Mapping[str, ModuleType]
    exchanges: Mapping[str, ModuleType]

    def plugin_models(self) -> dict[str, type[PluginSettings]]:
        """Settings classes to be mounted at ``plugins.<name>``: plugins and strategies."""
        strategies = {name: module.Settings for name, module in self.strategies.items()}
        return dict(sorted((self.host.models() | strategies).items()))

    def exchange_models(self) -> dict[str, type[Section]]:
        """Settings classes of the exchanges."""
        return {name: module.Settings for name, module in self.exchanges.items()}


def load_kit(
    enabled: Collection[str],
    exchanges: Iterable[str] = (),
    *,
    reasons: ReasonRegistry,
    allow: Sequence[str] = (),
    deny: Sequence[str] = (),
    essential: Collection[str] = (),
    plugins_dir: Path | None = None,
    trace: Trace | None = None,
    on_fault: OnFault | None = None,
) -> Kit:
    """Import what settings enable: plugins and strategies by their common names, exchanges by theirs.

    Arguments are those of ``Host.load`` and ``discover``.

    Raises:
        ConfigError: something is missing, denied or refused; the message names it.
    """
    strategies = discover(STRATEGIES)
    wanted = sorted({record.name for record in strategies} & set(enabled))
    records = discover(PLUGINS, plugins_dir)
    host = Host.load(
        records,
        set(enabled) - set(wanted),
        reasons=reasons,
        allow=allow,
        deny=deny,
        essential=set(essential) - set(wanted),
        trace=trace,
        on_fault=on_fault,
    )
    return Kit(
        host,
        {name: load_extension(STRATEGIES, name, allow=allow, deny=deny, records=strategies) for name in wanted},
        {name: load_extension(EXCHANGES, name, allow=allow, deny=deny) for name in sorted(set(exchanges))},
    )


def load_models(
    enabled: Collection[str],
    exchanges: Iterable[str] = (),
    *,
    allow: Sequence[str] = (),
    deny: Sequence[str] = (),
    plugins_dir: Path | None = None,
) -> tuple[dict[str, type[PluginSettings]], dict[str, type[Section]]]:
    """Settings classes of what is enabled, by name: plugins and strategies; exchanges.

    Raises:
        ConfigError: something is missing, denied or refused; the message names it.
    """
    kit = load_kit(enabled, exchanges, reasons=ReasonRegistry(), allow=allow, deny=deny, plugins_dir=plugins_dir)
    return kit.plugin_models(), kit.exchange_models()
