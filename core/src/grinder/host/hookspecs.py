"""The hooks. A plugin is a module (or object) that implements some of them with ``@hookimpl``.

Implementations may ask for fewer arguments than a hook offers. They are plain functions: coroutines, hook
wrappers, unknown names, unknown or keyword-only arguments, and type hints that contradict the ones here are
refused at registration.
"""

# mypy: disable-error-code="empty-body"
from __future__ import annotations

from pathlib import Path

import msgspec
import pluggy

from grinder.clock import Clock
from grinder.decisions import Threshold, Verdict
from grinder.reconcile.report import ReconcileReport, RemediationPlan
from grinder.settings.plugin import GateSettings, PluginSettings
from grinder.types import AccountView, Fill, MarketView, OrderIntent, RuntimeView

HOOK_API = "1.0"
"""Version of this contract. A plugin may declare ``GRINDER_API = ">=1.0,<2"``; a mismatch is refused."""

hookspec = pluggy.HookspecMarker("grinder")
hookimpl = pluggy.HookimplMarker("grinder")


class PluginContext(msgspec.Struct, frozen=True):
    """What a plugin is given when it starts: its settings, the clock, and a folder of its own."""

    settings: PluginSettings
    clock: Clock
    data_dir: Path


@hookspec
def pre_order_gate(  # noqa: PLR0917 - implementations ask only for what they need
    order: OrderIntent,
    market: MarketView,
    account: AccountView,
    runtime: RuntimeView,
    now: int,
    settings: GateSettings,
) -> Verdict:
    """Judge one order before it is sent.

    Effect: the answer is recorded; in mode ``enforce`` the admission policy acts on it.
    When: for every order that adds risk, once, in the order of ``gates.order``; again if a gate shrank it.
        Cancels and reducing orders never come here. A gate that asks for ``market`` is not called while the
        symbol's data is missing, stale, not finite or has a gap: its ``on_error`` answers.
    Arguments: ``order`` the intent with its final quantity and price; ``market`` the symbol's market;
        ``account`` positions and open orders; ``runtime`` what the host remembers; ``now`` event time in ns;
        ``settings`` this plugin's settings for the symbol, threshold resolved.
    Return: ``Allow``, ``Warn``, ``Shrink``, ``Block`` or ``Abstain``; ``None`` is a fault.
    Isolation: an exception, a wrong type, an undeclared reason or an overrun is recorded and follows
        ``on_error``; other gates are asked all the same. Must be pure: no I/O, no clock, no memory.
    Version: since 1.0.
    """


@hookspec
def on_fill(fill: Fill, account: AccountView) -> None:
    """Learn of one execution.

    Effect: none on trading; for bookkeeping of the plugin's own.
    When: after the fill is in the ledger and durable, exactly once per process and fill.
    Arguments: ``fill`` the execution; ``account`` the account after it.
    Return: nothing.
    Isolation: an exception is counted and logged; others are called all the same.
    Version: since 1.0.
    """


@hookspec
def on_reconcile(report: ReconcileReport, account: AccountView) -> RemediationPlan | None:
    """Propose what to do about differences between our books and the venue.

    Effect: none by itself; gates, budgets and arming decide what of a plan is executed.
    When: after each comparison.
    Arguments: ``report`` the differences; ``account`` what we believe.
    Return: a plan, or None.
    Isolation: an exception is counted and logged, and counts as no plan. Must be pure.
    Version: since 1.0.
    """


@hookspec
def resolve_threshold(gate: str, symbol: str, configured: float) -> Threshold | None:
    """Answer with the threshold that a gate should use instead of its configured one.

    Effect: the first answer, in the order of ``gates.order``, replaces the gate's threshold for the symbol.
    When: once per gate and symbol, before the symbol's first order; never per order.
    Arguments: ``gate`` the gate's name; ``symbol``; ``configured`` the value in settings.
    Return: a ``Threshold`` within the range of the setting, or None for no opinion.
    Isolation: an exception or a value out of range is logged; the configured value stays.
    Version: since 1.0.
    """


@hookspec
def register_settings() -> type[PluginSettings]:
    """Declare the plugin's settings.

    Effect: the model is mounted at ``plugins.<name>`` and in the JSON schema.
    When: once, after the plugin is imported and before anything of it is used.
    Arguments: none.
    Return: a subclass of ``GateSettings`` for a gate, else of ``PluginSettings``.
    Isolation: an exception refuses the plugin.
    Version: since 1.0.
    """


@hookspec
def on_start(context: PluginContext) -> None:
    """Prepare: load files, start background work.

    Effect: whatever the plugin needs before the first order.
    When: once, before the first market event.
    Arguments: ``context`` settings, clock and a folder for the plugin's files.
    Return: nothing.
    Isolation: an exception stops the start with the plugin's name.
    Version: since 1.0.
    """


@hookspec
def on_stop() -> None:
    """Clean up what ``on_start`` began.

    Effect: none on trading.
    When: once, after the last event, also when the run failed.
    Arguments: none.
    Return: nothing.
    Isolation: an exception is logged; others are stopped all the same.
    Version: since 1.0.
    """


@hookspec
def health() -> str:
    """Say whether the plugin works.

    Effect: a text that is not empty makes ``/readyz`` answer 503 and name the plugin.
    When: whenever ``/readyz`` is asked.
    Arguments: none.
    Return: empty when well, else one sentence.
    Isolation: an exception counts as not well.
    Version: since 1.0.
    """
