"""A plugin under test: what it declares, taken apart without the host's checks, so that each fault is seen alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import pluggy
from pydantic import BaseModel, ValidationError

from grinder.clock import ManualClock
from grinder.errors import PluginError
from grinder.gates.chain import GATE_ARGUMENTS
from grinder.host.discovery import PLUGINS, STRATEGIES, PluginRecord
from grinder.host.foreign import CrashError, attempt
from grinder.host.hookspecs import PluginContext
from grinder.host.judging import NAME as JUDGE
from grinder.host.loading import declaration
from grinder.host.manager import Host
from grinder.host.signatures import GATE, SETTINGS, offered
from grinder.reasons import CORE_REASONS, ReasonRegistry
from grinder.settings.plugin import GateSettings
from grinder.testing.events import NOW
from grinder.testing.results import Failed, Skipped
from grinder.testing.target import Target
from grinder.testing.variants import variants


class Subject:
    """One plugin and how it can be imported again.

    Args:
        plugin: its module or object.
        target: where it comes from.
        settings: values for fields of its settings, over the defaults, for every case that calls it.

    Attributes:
        findings: what fresh processes found out about its gate, once they were asked; or why they could not say.
        trials: what its gate answered to every scene, once it was asked.
    """

    def __init__(self, plugin: Any, target: Target, settings: Mapping[str, Any] | None = None) -> None:
        self.plugin = plugin
        self.target = target
        self.overrides = dict(settings or {})
        self.manager = pluggy.PluginManager("grinder")
        self.findings: list[Any] | Exception | None = None
        self.trials: tuple[Any, ...] | None = None
        self._folder: TemporaryDirectory[str] | None = None

    @property
    def name(self) -> str:
        """The plugin's name."""
        return self.target.name

    @property
    def strategy(self) -> bool:
        """Whether it is announced as a strategy."""
        return self.target.group == STRATEGIES

    def has(self, part: str) -> bool:
        """Whether it implements a hook, has a ``judge``, or is a strategy."""
        if part == "strategy":
            return self.strategy
        return self.judge is not None if part == "judge" else part in self.marked

    @cached_property
    def judge(self) -> object:
        """What a gate declares as its ``judge``, checked by nobody; None when it declares none."""
        model = GateSettings if self.model is None and GATE in self.marked else self.model
        gate = model is not None and issubclass(model, GateSettings)
        return declaration(self.plugin, JUDGE) if gate else None

    @cached_property
    def marked(self) -> dict[str, Callable[..., Any]]:
        """What is marked as an implementation, by the name of its hook, checked by nobody."""
        found = {}
        for attribute in dir(self.plugin):
            options = self.manager.parse_hookimpl_opts(self.plugin, attribute)
            if options is not None:
                found[options.get("specname") or attribute] = getattr(self.plugin, attribute)
        return found

    @cached_property
    def model(self) -> type[BaseModel] | None:
        """The settings class; None when it declares none that can be used."""
        try:
            declared = attempt(lambda: self.plugin.Settings if self.strategy else self.marked[SETTINGS]())
        except CrashError:
            return None
        return declared if inspect.isclass(declared) and issubclass(declared, BaseModel) else None

    @cached_property
    def reasons(self) -> frozenset[str]:
        """Codes that its answers may carry: its own and core's."""
        declared = declaration(self.plugin, "REASONS")
        own = declared if isinstance(declared, Mapping) else {}
        return frozenset(own) | CORE_REASONS.keys()

    @cached_property
    def gate(self) -> Callable[..., Any]:
        """Its gate.

        Raises:
            Skipped: it has none, or one that cannot be called.
        """
        function = self.marked.get(GATE)
        if function is None:
            raise Skipped("it has no gate")
        kinds = {each.kind for each in inspect.signature(function).parameters.values()}
        odd = inspect.iscoroutinefunction(function) or kinds - {inspect.Parameter.POSITIONAL_OR_KEYWORD}
        if odd or set(self.argnames) - set(GATE_ARGUMENTS):
            raise Skipped("its gate cannot be called: see GC01")
        self.settings_with({})
        self.start()
        return function

    @cached_property
    def argnames(self) -> tuple[str, ...]:
        """The arguments that its gate asks for."""
        return tuple(inspect.signature(self.marked[GATE]).parameters)

    @cached_property
    def variants(self) -> tuple[Mapping[str, Any], ...]:
        """Values for its own settings that it accepts, the defaults first."""
        return ({}, *(row for row in variants(self.model) if self._accepts(row))) if self.model is not None else ({},)

    def settings_with(self, values: Mapping[str, Any]) -> Any:
        """Fresh settings.

        Raises:
            Skipped: its defaults make no settings.
        """
        try:
            return (self.model or GateSettings).model_validate({**self.overrides, **values})
        except ValidationError as error:
            what = error.errors()[0]
            where = ".".join(map(str, what["loc"])) or "settings"
            raise Skipped(f"its settings cannot be made ({where}: {what['msg']}): see GC06") from None

    def start(self) -> None:
        """Call ``on_start`` as a run does before the first event; a second call does nothing.

        Raises:
            Skipped: it raised.
        """
        if self._folder is not None or "on_start" not in self.marked:
            return
        function = self.hook("on_start")
        self.settings_with({})
        folder = TemporaryDirectory(prefix="grinder-testing-")
        try:
            attempt(call_hook, function, {"context": self.context(Path(folder.name))})
        except CrashError as error:
            folder.cleanup()
            raise Skipped(f"on_start raised {error}: see GC26") from None
        self._folder = folder

    def context(self, folder: Path) -> PluginContext:
        """What it is given when it starts."""
        return PluginContext(self.settings_with({}), ManualClock(NOW), folder)

    def stop(self) -> None:
        """Call ``on_stop`` if it was started, and remove its folder."""
        if self._folder is not None:
            with suppress(CrashError):
                attempt(call_hook, self.marked.get("on_stop", lambda: None), {})
            self._folder.cleanup()
            self._folder = None

    def host(self) -> Host:
        """The real host with this plugin alone in it, not yet bound to settings.

        Raises:
            Skipped: the host refuses it.
        """
        record = PluginRecord(group=PLUGINS, name=self.name, target=self.target.module, distribution=self.name)
        try:
            return Host.of(record, self.plugin, reasons=ReasonRegistry())
        except PluginError as error:
            raise Skipped(f"the host refuses it ({error}): see the cases above") from None

    def hook(self, name: str) -> Callable[..., Any]:
        """Its implementation of a hook.

        Raises:
            Skipped: it has none.
        """
        if name not in self.marked:
            raise Skipped(f"it does not implement {name}")
        function = self.marked[name]
        if set(inspect.signature(function).parameters) - set(offered(name)):
            raise Skipped(f"its {name} cannot be called: see GC01")
        return function

    def sources(self) -> Iterator[tuple[str, str]]:
        """Path and text of each of its own source files.

        Raises:
            Skipped: none can be read.
        """
        module = self.plugin if isinstance(self.plugin, ModuleType) else inspect.getmodule(type(self.plugin))
        file = getattr(module, "__file__", None)
        if module is None or file is None or not file.endswith(".py"):
            raise Skipped("its source cannot be read")
        folders = [Path(each) for each in getattr(module, "__path__", ())]
        for path in sorted(p for folder in folders for p in folder.rglob("*.py")) if folders else [Path(file)]:
            try:
                yield str(path), path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise Failed(f"{path} cannot be read: {error}") from None

    def _accepts(self, row: Mapping[str, Any]) -> bool:
        try:
            self.settings_with(row)
        except Skipped:
            return False
        return True


def call_hook(function: Callable[..., Any], offered: Mapping[str, Any]) -> Any:
    """Call an implementation with those of the offered arguments that it asks for."""
    return function(*(offered[name] for name in inspect.signature(function).parameters))
