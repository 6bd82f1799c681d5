"""The host: loads what is enabled, refuses what does not fit, and calls hooks one plugin at a time.

A typed face over pluggy: nobody else touches the plugin manager. pluggy stops at the first implementation that
raises and calls in the order of registration; both are wrong for gates, so the host makes every call itself, in
the operator's order, and isolates each.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import NoneType
from typing import Any, Final

import msgspec
import pluggy

from grinder.decisions import Threshold
from grinder.errors import ConfigError, PluginError
from grinder.host import hookspecs
from grinder.host.calls import Caller, Implementation, OnFault, Trace
from grinder.host.discovery import PLUGINS, SHIPPED, PluginRecord, PluginState, check_wanted, decide, missing
from grinder.host.foreign import describe, line, refusing
from grinder.host.gate_plugin import GatePlugin
from grinder.host.hookspecs import PluginContext
from grinder.host.judging import NAME as JUDGE
from grinder.host.judging import Judge, check_judge
from grinder.host.loading import PluginImportError, api_range, check_api, declaration, import_record
from grinder.host.models import check_reasons
from grinder.host.signatures import GATE, SPECS, check_plugin
from grinder.host.thresholds import acceptable, sourced
from grinder.reasons import CORE_REASONS, ReasonRegistry
from grinder.reconcile.report import ReconcileReport, RemediationPlan
from grinder.settings.plugin import GateSettings, PluginSettings
from grinder.types import AccountView, Fill

SWITCHED_OFF: Final = frozenset((PluginState.DISABLED, PluginState.DENIED))
"""States that an operator chose."""


class Host:
    """The loaded plugins. Made by ``load``; then ``bind``, ``gates``, ``start``, events, ``stop``.

    Attributes:
        records: everything that was discovered, each in its final state.
        trace: where calls are printed, if anywhere.
    """

    def __init__(self, reasons: ReasonRegistry, *, trace: Trace | None = None, on_fault: OnFault | None = None) -> None:
        self._manager = pluggy.PluginManager("grinder")
        self._manager.add_hookspecs(hookspecs)
        self._reasons = reasons
        self._caller = Caller(trace, on_fault)
        self._models: dict[str, type[PluginSettings]] = {}
        self._judges: dict[str, Judge] = {}
        self._settings: dict[str, PluginSettings] = {}
        self._order: tuple[str, ...] = ()
        self._by_hook: dict[str, tuple[Implementation, ...]] = dict.fromkeys(SPECS, ())
        self._running: list[str] = []
        self.records: tuple[PluginRecord, ...] = ()
        self.trace = trace

    @classmethod
    def load(
        cls,
        records: Iterable[PluginRecord],
        enabled: Collection[str],
        *,
        reasons: ReasonRegistry,
        allow: Sequence[str] = (),
        deny: Sequence[str] = (),
        essential: Collection[str] = (),
        strict: bool = True,
        trace: Trace | None = None,
        on_fault: OnFault | None = None,
    ) -> Host:
        """Import, check and register what is enabled, and nothing else.

        Args:
            records: what ``discover`` found.
            enabled: plugin names that settings enable.
            reasons: takes the plugins' reason codes.
            allow: ``host.allow``; an enabled plugin that a non-empty list leaves out is an error.
            deny: ``host.deny``; an enabled plugin on it is left out, and its record says so.
            essential: ``host.essential``: names that must end up loaded.
            strict: raise for what cannot be loaded; else its record says why.
            trace: prints every hook call.
            on_fault: told of every fault: plugin, hook, error.

        Raises:
            ConfigError: an enabled or essential plugin is missing or cannot be loaded.
        """
        host = cls(reasons, trace=trace, on_fault=on_fault)
        decided = decide(records, enabled, allow=allow, deny=deny)
        if strict:
            check_wanted(decided, enabled, deny, essential)
        loaded = {record: host._load_one(record, strict=strict) for record in sorted(decided, key=_standing)}
        host.records = tuple(loaded[record] for record in decided)
        host._manager.check_pending()
        host._arrange(sorted(host._models))
        return host

    @classmethod
    def of(cls, record: PluginRecord, plugin: object, *, reasons: ReasonRegistry) -> Host:
        """A host of one plugin that is imported already; it is checked and registered like any other.

        Raises:
            PluginError: it does not fit.
        """
        host = cls(reasons)
        check_api(record, plugin)
        host.records = (host._admit(record.moved(PluginState.ENABLED), plugin),)
        host._manager.check_pending()
        host._arrange(sorted(host._models))
        return host

    @property
    def faults(self) -> dict[tuple[str, str], int]:
        """How often each plugin's hook raised or answered with a wrong type, by (plugin, hook)."""
        return self._caller.faults

    def models(self) -> dict[str, type[PluginSettings]]:
        """The settings class of every loaded plugin."""
        return dict(sorted(self._models.items()))

    def hooks(self, name: str) -> dict[str, Callable[..., Any]]:
        """What a loaded plugin implements: hook to function, in the order of the specifications."""
        return {hook: each.function for hook in SPECS for each in self._by_hook[hook] if each.plugin == name}

    def judge(self, name: str) -> Judge | None:
        """The ``judge`` of a loaded gate; None when it offers none."""
        return self._judges.get(name)

    def bind(self, settings: Mapping[str, PluginSettings]) -> None:
        """Hand every loaded plugin its resolved settings.

        Raises:
            ConfigError: settings of a loaded plugin are missing, or not of the class that it declared.
        """
        for name, model in self._models.items():
            given = settings.get(name)
            if not isinstance(given, model):
                raise ConfigError(f"plugins.{name}: settings were {type(given).__name__}, must be {model.__name__}")
            self._settings[name] = given

    def gates(self, order: Sequence[str] = ()) -> tuple[GatePlugin, ...]:
        """Put the plugins in explicit order, for every hook, and return the gates among them.

        Args:
            order: names in the order in which they are asked; the rest follow by name. One that is switched off
                (disabled, denied) is passed over, so that switching a plugin off takes one setting.

        Raises:
            ConfigError: a name is unknown, stands there twice, or could not be loaded.
        """
        if len(set(order)) != len(order):
            raise ConfigError(f"gates.order names a plugin twice: {', '.join(order)}")
        off = {record.name for record in self.records if record.state in SWITCHED_OFF}
        for name in order:
            if name not in self._models and name not in off:
                why = next((record.reason for record in self.records if record.name == name), "")
                raise ConfigError(f"gates.order: {why or missing(PLUGINS, name, self.records)}, or take it out")
        first = [name for name in order if name in self._models]
        self._arrange((*first, *sorted(self._models.keys() - set(first))))
        return tuple(self._gate(each) for each in self._by_hook[GATE])

    def start(self, contexts: Mapping[str, PluginContext]) -> None:
        """Call ``on_start`` of each plugin; if one raises, those that were reached are stopped again.

        Raises:
            PluginError: a plugin raised, or has no context.
        """
        starters = {each.plugin: each for each in self._by_hook["on_start"]}
        for name in starters.keys() - contexts.keys():
            raise PluginError(name, "on_start: no context was given")
        for name in self._order:
            self._running.append(name)
            if name in starters:
                error = self._caller.call(starters[name], {"context": contexts[name]}).error
                if error is not None:
                    self.stop()
                    raise PluginError(name, f"on_start raised {describe(error)}") from error

    def stop(self) -> None:
        """Call ``on_stop`` of each plugin that ``start`` reached, last first. A second call does nothing."""
        stoppers = {each.plugin: each for each in self._by_hook["on_stop"]}
        while self._running:
            name = self._running.pop()
            if name in stoppers:
                self._caller.call(stoppers[name], {})

    def on_fill(self, fill: Fill, account: AccountView) -> None:
        """Tell every plugin of an execution."""
        for each in self._by_hook["on_fill"]:
            self._caller.call(each, {"fill": fill, "account": account})

    def on_reconcile(self, report: ReconcileReport, account: AccountView) -> tuple[tuple[str, RemediationPlan], ...]:
        """The plans that plugins propose, each with its plugin's name, in explicit order."""
        values = {"report": report, "account": account}
        called = [
            (each.plugin, self._caller.call(each, values, RemediationPlan, NoneType).value)
            for each in self._by_hook["on_reconcile"]
        ]
        return tuple((name, plan) for name, plan in called if plan is not None)

    def resolve_threshold(self, gate: str, symbol: str, configured: float, valid: Callable[[float], bool]) -> Threshold:
        """The threshold that a gate is to use for a symbol, and where it came from.

        The first plugin that answers wins. If it raises, or its value does not pass ``valid``, that is a fault
        and the configured value stays.

        Args:
            gate: the gate's name.
            symbol: the symbol.
            configured: the value in settings.
            valid: whether the setting would accept a value.
        """
        model = self._models.get(gate)
        unit = model.THRESHOLD_UNIT if model is not None and issubclass(model, GateSettings) else ""
        kept = Threshold(configured, unit)
        values = {"gate": gate, "symbol": symbol, "configured": configured}
        for each in self._by_hook["resolve_threshold"]:
            answer = self._caller.call(each, values, Threshold, NoneType)
            if answer.error is not None:
                return kept
            if answer.value is None:
                continue
            resolved = sourced(answer.value, each.plugin, unit)
            if not acceptable(resolved.value, valid):
                message = f"value {resolved.value!r} for {gate} {symbol} is outside the range of the setting"
                self._caller.fault(each, ValueError(message))
                return kept
            return resolved
        return kept

    def health(self) -> dict[str, str]:
        """What each plugin that has a ``health`` says of itself: empty when well."""
        report = {}
        for each in self._by_hook["health"]:
            answer = self._caller.call(each, {}, str)
            error = answer.error
            report[each.plugin] = line(answer.value) if error is None else f"health: {describe(error)}"
        return report

    def _load_one(self, record: PluginRecord, *, strict: bool) -> PluginRecord:
        """The record in its final state."""
        if record.state is not PluginState.ENABLED:
            return record
        try:
            return self._register(record)
        except PluginError as error:
            if strict:
                raise
            state = PluginState.FAILED if isinstance(error, PluginImportError) else PluginState.REFUSED
            return record.moved(state, str(error))

    def _register(self, record: PluginRecord) -> PluginRecord:
        return self._admit(record, import_record(record))

    def _admit(self, record: PluginRecord, plugin: object) -> PluginRecord:
        with refusing(record.name, f"looking at it ({record.source})"):
            return self._admitted(record, plugin)

    def _admitted(self, record: PluginRecord, plugin: object) -> PluginRecord:
        model = check_plugin(self._manager, record.name, plugin)
        reasons = check_reasons(record.name, declaration(plugin, "REASONS"))
        judge = check_judge(record.name, declaration(plugin, JUDGE), model) if issubclass(model, GateSettings) else None
        self._reasons.extend(record.name, reasons)
        try:
            self._manager.register(plugin, record.name)
        except (ValueError, pluggy.PluginValidationError) as error:
            raise PluginError(record.name, f"pluggy refused it: {error}") from error
        self._models[record.name] = model
        if judge is not None:
            self._judges[record.name] = judge
        return msgspec.structs.replace(record, api=api_range(plugin))

    def _arrange(self, order: Sequence[str]) -> None:
        """Fix the order in which plugins are called."""
        self._order = tuple(order)
        rank = {name: index for index, name in enumerate(order)}
        for hook in SPECS:
            implementations = getattr(self._manager.hook, hook).get_hookimpls()
            found = [Implementation(i.plugin_name, hook, i.function, tuple(i.argnames)) for i in implementations]
            self._by_hook[hook] = tuple(sorted(found, key=lambda each: rank[each.plugin]))

    def _gate(self, each: Implementation) -> GatePlugin:
        record = next(record for record in self.records if record.name == each.plugin)
        settings = self._settings.get(each.plugin)
        if not isinstance(settings, GateSettings):
            raise ConfigError(f"plugins.{each.plugin}: no settings were bound")
        return GatePlugin(
            name=each.plugin,
            distribution=record.distribution,
            version=record.version,
            function=each.function,
            argnames=each.argnames,
            settings=settings,
            reasons=self._reasons.owned_by(each.plugin) | CORE_REASONS.keys(),
            judge=self._judges.get(each.plugin),
        )


def _standing(record: PluginRecord) -> tuple[bool, bool]:
    """Who loads first: what grinder brings, then what is installed, then files.

    Of two that claim a reason code the later one is refused, and that must not be the one whose it is.
    """
    return record.name not in SHIPPED, not record.distribution
