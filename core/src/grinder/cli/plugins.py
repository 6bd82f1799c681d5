"""``grinder plugins``: what is installed, what of it loads and why (not), what it offers; install, make and check."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from grinder.cli.config import read_sources, settings_options
from grinder.cli.output import say, say_json
from grinder.cli.plugin_check import check
from grinder.cli.plugin_details import GROUPS, as_text, cell, details_of
from grinder.cli.plugin_new import new
from grinder.errors import ConfigError, PluginError, SafetyError
from grinder.evidence.text import table
from grinder.host.discovery import (
    EXCHANGES,
    PLUGINS,
    POLICIES,
    STRATEGIES,
    PluginRecord,
    PluginState,
    decide,
    discover,
    missing,
)
from grinder.host.loading import EXTENSION_PARTS, PluginImportError, api_range, load_extension
from grinder.host.manager import Host
from grinder.reasons import ReasonRegistry
from grinder.settings.model import Settings, compose
from grinder.settings.plugin import GateSettings
from grinder.settings.sources import Sources

COLUMNS: Final = ("name", "state", "mode", "order", "distribution", "version", "api", "hooks", "reason")
NOT_INSTALLED: Final = "missing"
INSTALL_FAILED: Final = 3


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the listing. ``order`` counts gates from 1; 0 is no gate."""

    name: str
    group: str
    state: str
    reason: str
    distribution: str
    version: str
    api: str = ""
    hooks: tuple[str, ...] = ()
    order: int = 0
    mode: str = ""


@click.group()
def plugins() -> None:
    """List, show, install and uninstall plugins; make new ones and check them."""


plugins.add_command(check)
plugins.add_command(new)


@plugins.command("list")
@settings_options
@click.option(
    "--all", "everything", is_flag=True, help="Also what is not enabled, and strategies, exchanges, policies."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_plugins(everything: bool, as_json: bool, **options: Any) -> None:
    """Show the enabled plugins, whether each loads, and why not."""
    sources = read_sources(**options)
    settings = _core_settings(sources)
    rows = _plugin_rows(sources, settings)
    if everything:
        rows += [row for group in GROUPS[1:] for row in _extension_rows(group, sources, settings)]
    else:
        wanted = {*sources.enabled_plugins(), *settings.host.essential}
        rows = [row for row in rows if row.name in wanted]
    if as_json:
        say_json(json.dumps([msgspec.to_builtins(row) for row in rows], indent=2, ensure_ascii=False))
    elif rows:
        columns = ("group", *COLUMNS) if everything else COLUMNS
        cells = [[cell(getattr(row, column)) for column in columns] for row in rows]
        say("\n".join(table(columns, cells, 0)))
    else:
        say(f"no plugin is enabled in profile {settings.profile}; --all shows what is installed")


@plugins.command()
@click.argument("name")
@settings_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, as_json: bool, **options: Any) -> None:
    """Show what NAME offers: settings with defaults, reason codes, hooks with signatures.

    NAME is imported for that, also when it is not enabled.
    """
    settings = _core_settings(read_sources(**options))
    details = details_of(name, settings)
    if as_json:
        say_json(json.dumps(details, indent=2, ensure_ascii=False))
    else:
        say(as_text(details))


@plugins.command(context_settings={"ignore_unknown_options": True})
@click.argument("args", nargs=-1, required=True, type=click.UNPROCESSED)
@settings_options
def install(args: tuple[str, ...], **options: Any) -> int:
    """Install with pip (or uv) into the environment that grinder runs in; ARGS as pip takes them."""
    return _run_installer("install", args, options)


@plugins.command(context_settings={"ignore_unknown_options": True})
@click.argument("args", nargs=-1, required=True, type=click.UNPROCESSED)
@settings_options
def uninstall(args: tuple[str, ...], **options: Any) -> int:
    """Uninstall with pip (or uv) from the environment that grinder runs in; ARGS as pip takes them."""
    return _run_installer("uninstall", args, options)


# Listing.


def _core_settings(sources: Sources) -> Settings:
    """Settings of core alone, so that nothing is imported before the rules about importing are known."""
    installed = {record.name for group in GROUPS for record in discover(group)}
    return sources.settings(compose({}, {}, installed | set(sources.enabled_plugins())))


def _plugin_rows(sources: Sources, core: Settings) -> list[Row]:
    records = discover(PLUGINS, core.host.plugins_dir)
    strategies = {record.name for record in discover(STRATEGIES)}
    wanted = {*sources.enabled_plugins(), *core.host.essential} - strategies
    host = Host.load(
        records,
        set(sources.enabled_plugins()) - strategies,
        reasons=ReasonRegistry(),
        allow=core.host.allow,
        deny=core.host.deny,
        strict=False,
    )
    models = host.models()
    settings = sources.settings(compose(models, {}, {record.name for record in records} | strategies | wanted))
    bound = {name: settings.plugins.get(name) for name in models}
    host.bind(bound)
    gates = host.gates([name for name in core.gates.order if name in models])
    order = {gate.name: number for number, gate in enumerate(gates, 1)}
    modes = {name: section.mode.value for name, section in bound.items() if isinstance(section, GateSettings)}
    rows = [
        _row(record, hooks=tuple(host.hooks(record.name)) if record.state is PluginState.ENABLED else (),
             order=order.get(record.name, 0), mode=modes.get(record.name, ""))
        for record in host.records
    ]  # fmt: skip
    absent = sorted(wanted - {record.name for record in records})
    return rows + [_absent(name, records) for name in absent]


def _extension_rows(group: str, sources: Sources, core: Settings) -> Iterable[Row]:
    venues = {"paper", core.exchange.venue} if core.live else {"paper"}
    policies = {core.policies.admission, core.policies.sizing, core.policies.routing}
    used = {STRATEGIES: set(sources.enabled_plugins()), EXCHANGES: venues, POLICIES: policies}[group]
    records = discover(group)
    for record in decide(records, used, allow=core.host.allow, deny=core.host.deny):
        yield _row(_tried(record), hooks=EXTENSION_PARTS[group])
    if group != STRATEGIES:
        yield from (_absent(name, records, group) for name in sorted(used - {record.name for record in records}))


def _tried(record: PluginRecord) -> PluginRecord:
    """The record after its module has been imported, if it may be."""
    if record.state is not PluginState.ENABLED:
        return record
    try:
        module = load_extension(record.group, record.name)
    except PluginImportError as error:
        return record.moved(PluginState.FAILED, str(error))
    except PluginError as error:
        return record.moved(PluginState.REFUSED, str(error))
    return msgspec.structs.replace(record, api=api_range(module))


def _row(record: PluginRecord, *, hooks: tuple[str, ...], order: int = 0, mode: str = "") -> Row:
    return Row(
        name=record.name,
        group=record.group,
        state=record.state.value,
        reason=record.reason,
        distribution=record.distribution or record.target,
        version=record.version,
        api=record.api,
        hooks=hooks,
        order=order,
        mode=mode,
    )


def _absent(name: str, records: Sequence[PluginRecord], group: str = PLUGINS) -> Row:
    reason = missing(group, name, records)
    return Row(name=name, group=group, state=NOT_INSTALLED, reason=reason, distribution="", version="")


# Installing.


def _run_installer(verb: str, args: Sequence[str], options: Mapping[str, Any]) -> int:
    """Run pip or uv in this environment; its output is the command's own."""
    settings = _core_settings(read_sources(**options))
    if settings.profile == "live":
        raise SafetyError(f"profile live {verb}s nothing; change its environment where it is built, and start it anew")
    marker = Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED"
    if sys.prefix == sys.base_prefix and marker.exists():
        raise SafetyError(
            f"this Python belongs to the operating system ({marker}); make a virtual environment "
            "(python -m venv .venv) and install grinder there"
        )
    return INSTALL_FAILED if subprocess.call([*installer(verb), *args]) else 0  # noqa: S603 - the user's own arguments


def installer(verb: str) -> list[str]:
    """The command that installs into the environment of this interpreter, and never waits for input without a terminal.

    Raises:
        ConfigError: neither pip nor uv is there.
    """
    if find_spec("pip") is not None:
        quiet = [] if sys.stdin.isatty() else ["--no-input"]
        sure = ["--yes"] if quiet and verb == "uninstall" else []
        return [sys.executable, "-m", "pip", *quiet, verb, *sure]
    uv = shutil.which("uv")
    if uv is None:
        raise ConfigError(f"neither pip nor uv was found; run: {sys.executable} -m ensurepip")
    return [uv, "pip", verb, "--python", sys.executable]
