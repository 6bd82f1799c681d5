"""Compiles a chain for each symbol from the gates, their settings, modes and resolved thresholds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ValidationError

from grinder.decisions import GateInfo, Mode, Threshold
from grinder.errors import ConfigError, StateError
from grinder.gates.chain import BoundGate, Chain, Trace
from grinder.gates.stats import GateStats
from grinder.host.gate_plugin import GatePlugin
from grinder.host.manager import Host
from grinder.settings.plugin import GateSettings


class Gating:
    """The gates of a run: one chain per symbol, one set of statistics per gate.

    Args:
        order: names that go first (settings ``gates.order``).
        log: called with an event name and fields.
    """

    def __init__(
        self,
        host: Host,
        order: Sequence[str],
        *,
        live: bool,
        first_block: bool,
        trace: Trace | None,
        log: Callable[..., None],
    ) -> None:
        self._host = host
        self._live = live
        self._first_block = first_block
        self._trace = trace
        self._log = log
        self.gates: tuple[GatePlugin, ...] = host.gates(order)
        for gate in self.gates:
            if gate.settings.breaker.verdict.enabled and not gate.settings.VERDICT_BREAKER:
                raise ConfigError(
                    f"plugins.{gate.name}.breaker.verdict.enabled: the gate does not offer to be bypassed; leave it off"
                )
        self.stats = {gate.name: GateStats(gate.name, gate.settings.breaker) for gate in self.gates}
        self._chains: dict[str, Chain] = {}

    def chain(self, symbol: str) -> Chain:
        """The compiled chain of a symbol."""
        found = self._chains.get(symbol)
        if found is None:
            bound = [self._bind(gate, symbol) for gate in self.gates]
            found = Chain(bound, live=self._live, first_block=self._first_block, trace=self._trace)
            self._chains[symbol] = found
        return found

    def _bind(self, gate: GatePlugin, symbol: str) -> BoundGate:
        settings, threshold = self._resolved(gate, symbol)
        return BoundGate(
            info=GateInfo(gate.name, mode_for(settings, symbol), settings.on_error, threshold),
            function=gate.function,
            argnames=gate.argnames,
            settings=settings,
            reasons=gate.reasons,
            stats=self.stats[gate.name],
        )

    def _resolved(self, gate: GatePlugin, symbol: str) -> tuple[GateSettings, Threshold | None]:
        settings = gate.settings
        field = settings.THRESHOLD
        if not field:
            return settings, None
        configured = float(getattr(settings, field))
        threshold = self._host.resolve_threshold(
            gate.name, symbol, configured, lambda value: with_threshold(settings, value) is not None
        )
        if threshold.value == configured:
            return settings, threshold
        self._log("THRESHOLD_RESOLVED", gate=gate.name, symbol=symbol, configured=configured, effective=threshold.value)
        return with_threshold(settings, threshold.value) or settings, threshold

    def save(self) -> dict[str, Any]:
        """State of every breaker, for the journal."""
        return {name: stats.save() for name, stats in self.stats.items()}

    @property
    def dirty(self) -> bool:
        """Whether a breaker changed since the last save."""
        return any(stats.dirty for stats in self.stats.values())

    def restore(self, saved: object) -> None:
        """Take breakers back as they were.

        Raises:
            StateError: the saved state is not readable.
        """
        if not isinstance(saved, dict):
            raise StateError(f"saved breakers are {type(saved).__name__}, not an object; the journal is damaged")
        for name, stats in self.stats.items():
            if name in saved:
                stats.restore(saved[name])


def mode_for(settings: GateSettings, symbol: str) -> Mode:
    """The mode of a gate for one symbol: shadow where ``symbols`` does not list it."""
    if settings.mode is Mode.ENFORCE and settings.symbols and symbol not in settings.symbols:
        return Mode.SHADOW
    return settings.mode


def with_threshold(settings: GateSettings, value: float) -> GateSettings | None:
    """The settings with another threshold, validated like any setting; None when it does not fit."""
    try:
        return type(settings).model_validate({**settings.model_dump(), settings.THRESHOLD: value})
    except ValidationError:
        return None
