"""What is installed, and which of it may be loaded: read from metadata, without importing any plugin.

A plugin is announced by an entry point of its distribution, or is a single file in the plugins directory. Nothing
here runs third-party code: states are decided first, and only what is enabled is imported (``grinder.host.loading``).
"""

from __future__ import annotations

import enum
import os
import re
import stat
import sys
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from functools import lru_cache
from importlib.metadata import EntryPoints, entry_points
from pathlib import Path
from typing import Final

import msgspec

from grinder.errors import ConfigError, PluginError

PLUGINS: Final = "grinder.plugins"
EXCHANGES: Final = "grinder.exchanges"
POLICIES: Final = "grinder.policies"
STRATEGIES: Final = "grinder.strategies"

SETTINGS_KEY_GROUPS: Final = (PLUGINS, STRATEGIES)
"""Groups whose members share the settings key ``plugins.<name>``, hence one space of names."""

DISTRIBUTION_PREFIX: Final = {
    PLUGINS: "grinder-plugin-",
    EXCHANGES: "grinder-exchange-",
    STRATEGIES: "grinder-plugin-",
    POLICIES: "grinder-policies-",
}

NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
RESERVED: Final = frozenset(
    ("account", "binance", "bybit", "config", "core", "engine", "exchange", "exchanges", "gate", "gates", "grinder",
     "host", "live", "market", "paper", "plugin", "plugins", "policies", "runtime", "settings", "strategy", "sys",
     "test", "tests")
)  # fmt: skip
"""No plugin or strategy may be called so: ``core`` owns core's reason codes, the others would be taken for what they
name elsewhere, in settings, paths, logs and metrics."""

SHIPPED: Final = frozenset(
    ("backpressure", "fill_prob", "grid", "liquidity_by_side", "near_liq", "remediation", "warm_up")
)
"""Plugins and strategies of grinder's own, installed or not: their names are nobody else's."""


class PluginState(enum.StrEnum):
    """Whether something that is installed may be loaded, and what came of it.

    ENABLED may be; DISABLED is not wanted; DENIED is kept out by ``host.allow`` or ``host.deny``; REFUSED did
    not pass a check; FAILED raised while it was imported.
    """

    ENABLED = "enabled"
    DISABLED = "disabled"
    DENIED = "denied"
    REFUSED = "refused"
    FAILED = "failed"


class PluginRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is installed: who announces it, where it is, whether it may be loaded, and why (not).

    ``target`` is the entry point's value, or the file where ``distribution`` is empty. ``api`` is the range of hook
    versions that a loaded plugin declares.
    """

    group: str
    name: str
    target: str
    distribution: str = ""
    version: str = ""
    state: PluginState = PluginState.DISABLED
    reason: str = "not enabled"
    api: str = ""

    @property
    def source(self) -> str:
        """Distribution and version, or the file."""
        return f"{self.distribution} {self.version}" if self.distribution else self.target

    def moved(self, state: PluginState, reason: str = "") -> PluginRecord:
        """The same record in another state."""
        return msgspec.structs.replace(self, state=state, reason=reason)


def discover(group: str = PLUGINS, plugins_dir: Path | None = None) -> tuple[PluginRecord, ...]:
    """Everything that announces itself in a group, sorted by name, imported by nobody yet.

    A name that is claimed twice is refused for every claimant: the one found first must not win, since it may
    be somebody else's. Names of plugins and strategies are one space, because settings are.

    Args:
        group: entry-point group.
        plugins_dir: folder of single-file plugins, name = stem; read for the ``grinder.plugins`` group.

    Raises:
        ConfigError: ``plugins_dir`` is not a directory.
    """
    groups = SETTINGS_KEY_GROUPS if group in SETTINGS_KEY_GROUPS else (group,)
    found = [record for each in groups for record in _announced(each)]
    if plugins_dir is not None and PLUGINS in groups:
        found += _files(plugins_dir)
    claims: dict[str, list[PluginRecord]] = {}
    for record in found:
        claims.setdefault(record.name, []).append(record)
    mine = (_vetted(record, claims[record.name]) for record in found if record.group == group)
    return tuple(sorted(mine, key=lambda record: (record.name, record.distribution, record.target)))


def decide(
    records: Iterable[PluginRecord], enabled: Collection[str], *, allow: Sequence[str] = (), deny: Sequence[str] = ()
) -> tuple[PluginRecord, ...]:
    """Settle what may be loaded. What is refused stays refused.

    Args:
        records: what is installed.
        enabled: names that settings enable.
        allow: distributions (``name`` or ``name==1.2``) or plugin names; empty allows all.
        deny: the same; stronger than ``allow``.

    Raises:
        ConfigError: an entry of ``allow`` or ``deny`` cannot be read.
    """
    return tuple(_decided(record, enabled, allow, deny) for record in records)


def _decided(record: PluginRecord, enabled: Collection[str], allow: Sequence[str], deny: Sequence[str]) -> PluginRecord:
    if record.state is PluginState.REFUSED:
        return record
    if entry := listed(record, deny, "host.deny"):
        return record.moved(PluginState.DENIED, f"host.deny lists {entry!r}")
    if allow and not listed(record, allow, "host.allow"):
        return record.moved(PluginState.DENIED, f"host.allow does not list {record.source or record.name!r}")
    if record.name in enabled:
        return record.moved(PluginState.ENABLED)
    return record.moved(PluginState.DISABLED, "not enabled")


def missing(group: str, name: str, records: Iterable[PluginRecord]) -> str:
    """Sentence for a name that nobody announces, with the command that probably mends it."""
    have = ", ".join(sorted({record.name for record in records})) or "none"
    wanted = DISTRIBUTION_PREFIX.get(group, "") + name.replace("_", "-")
    return f"{group}: {name!r} is not installed (installed: {have}); try: pip install {wanted}"


@lru_cache(maxsize=1)
def _metadata(_folders: tuple[tuple[str, int], ...]) -> EntryPoints:
    """Every entry point: reading them costs a file for each distribution, so it is done once for each state of them."""
    return entry_points()  # type: ignore[return-value]  # the stub has the type of Python 3.9 as well


def _changed_ns(folder: str) -> int:
    """When something was installed into a folder, or removed from it, last."""
    try:
        return os.stat(folder or os.curdir).st_mtime_ns  # noqa: PTH116 - entries of sys.path are texts
    except OSError:
        return 0


def _announced(group: str) -> Iterable[PluginRecord]:
    for point in _metadata(tuple((folder, _changed_ns(folder)) for folder in sys.path)).select(group=group):
        name, version = (point.dist.name, point.dist.version) if point.dist is not None else ("", "")
        yield PluginRecord(group=group, name=point.name, target=point.value, distribution=name, version=version)


def _files(folder: Path) -> Iterable[PluginRecord]:
    if not folder.is_dir():
        raise ConfigError(f"plugins directory {folder} is not a directory; create it or drop the setting")
    for path in folder.glob("*.py"):
        record = PluginRecord(group=PLUGINS, name=path.stem, target=str(path))
        problem = unsafe(path)
        yield record.moved(PluginState.REFUSED, problem) if problem else record


def _vetted(record: PluginRecord, claimants: Sequence[PluginRecord]) -> PluginRecord:
    reserved = record.name in RESERVED and record.group in SETTINGS_KEY_GROUPS
    if not NAME.fullmatch(record.name) or reserved:
        problem = "is reserved" if reserved else "is not lower-case snake case, like near_liq"
        return record.moved(PluginState.REFUSED, f"the name {record.name!r} {problem}; its author must rename it")
    if len(claimants) > 1:
        who = " and ".join(sorted(claimant.source for claimant in claimants))
        return record.moved(
            PluginState.REFUSED,
            f"{len(claimants)} claim the name {record.name!r}: {who}; uninstall or rename all but one",
        )
    return record


def listed(record: PluginRecord, entries: Sequence[str], setting: str) -> str:
    """The first entry that means the record: its distribution (in that version) or its name; else empty."""
    if not entries:
        return ""
    # packaging is imported only where there is a list to read: starting without one stays quick.
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    names = {canonicalize_name(name) for name in (record.name, record.distribution) if name}
    for entry in entries:
        try:
            wanted = Requirement(entry)
        except InvalidRequirement as error:
            raise ConfigError(f"{setting}: {entry!r} is neither a name nor name==version: {error}") from error
        versioned = not wanted.specifier or (
            record.version and wanted.specifier.contains(record.version, prereleases=True)
        )
        if versioned and canonicalize_name(wanted.name) in names:
            return entry
    return ""


def unsafe(path: Path) -> str:
    """Why a file must not be run: somebody else could have written it. Empty when only we and root can.

    The file, every folder above it, and the same of what a symbolic link points to are looked at. A folder
    with the sticky bit (``/tmp``) passes as a parent, since nobody can replace our entries in it.
    """
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow the links that are to be checked
    chain = [absolute, *absolute.parents]
    resolved = absolute.resolve()
    chain += [entry for entry in (resolved, *resolved.parents) if entry not in chain]
    direct = {absolute, absolute.parent, resolved, resolved.parent}
    for entry in chain:
        try:
            info = entry.stat()
        except OSError as error:
            return f"{entry} cannot be checked: {error.strerror}"
        if info.st_uid not in {0, os.geteuid()}:
            return f"{entry} belongs to user id {info.st_uid}, who could change it; run: chown {os.geteuid()} {entry}"
        shared = info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        sticky = info.st_mode & stat.S_ISVTX and entry not in direct
        if shared and not sticky:
            return f"{entry} can be written by group or others; run: chmod go-w {entry}"
    return ""


def check_left_out(names: Iterable[str], records: Iterable[PluginRecord]) -> None:
    """A plugin that is to be left out and is not there is a typing error: the one that was meant would stay on.

    Raises:
        ConfigError: there is no such plugin.
    """
    known = sorted(record.name for record in records)
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            meant = f"did you mean {near[0]!r}?" if near else f"installed are {', '.join(known) or 'none'}"
            raise ConfigError(f"--no-plugin {name}: there is no such plugin; {meant}")


def check_wanted(
    decided: Sequence[PluginRecord], enabled: Collection[str], deny: Sequence[str], essential: Collection[str]
) -> None:
    """Before anything is imported: what settings want must be there and must be let in.

    Raises:
        ConfigError: an enabled or essential plugin is missing, or is not let in.
    """
    by_name = {record.name: record for record in decided}
    for name in sorted({*enabled, *essential}):
        record = by_name.get(name)
        if record is None:
            raise ConfigError(missing(PLUGINS, name, decided))
        why = f"it is {record.state}: {record.reason}"
        if name in essential and record.state is not PluginState.ENABLED:
            raise ConfigError(f"host.essential names {name!r}, but {why}")
        denied_by_name = record.state is PluginState.DENIED and listed(record, deny, "host.deny")
        if record.state is not PluginState.ENABLED and not denied_by_name:
            raise PluginError(name, f"settings enable it, but {why}")
