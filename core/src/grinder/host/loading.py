"""Imports what is enabled, one piece at a time, and holds it against the fence of ``HOOK_API``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import SourceFileLoader
from importlib.metadata import EntryPoint
from importlib.util import module_from_spec, spec_from_loader
from types import CodeType, MappingProxyType, ModuleType
from typing import Any, Final

from grinder.errors import ConfigError, PluginError
from grinder.host.discovery import (
    EXCHANGES,
    POLICIES,
    STRATEGIES,
    PluginRecord,
    PluginState,
    decide,
    discover,
    missing,
)
from grinder.host.foreign import line, refusing
from grinder.host.hookspecs import HOOK_API
from grinder.host.models import check_model
from grinder.settings.plugin import PluginSettings, Section

EXTENSION_PARTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        EXCHANGES: ("Settings", "create"),
        STRATEGIES: ("Settings", "create"),
        POLICIES: ("admission", "size", "route"),
    }
)
"""What a module of each group must have."""

SETTINGS_BASE: Final[Mapping[str, type[Section]]] = MappingProxyType({EXCHANGES: Section, STRATEGIES: PluginSettings})

LONGEST_RANGE: Final = 100
"""Characters of a range of versions."""


class PluginImportError(PluginError):
    """The plugin raised while it was imported, or what it announces is not there."""


def import_record(record: PluginRecord) -> Any:
    """Import what a record announces, and check its ``GRINDER_API``.

    Returns:
        The module or object that the entry point names.

    Raises:
        PluginImportError: the import raised.
        PluginError: the plugin needs another version of the hooks.
    """
    where = record.target if record.target == record.source else f"{record.target} ({record.source})"
    with refusing(record.name, f"importing {where}", PluginImportError):
        loaded = _load(record)
    check_api(record, loaded)
    return loaded


def load_extension(
    group: str,
    name: str,
    *,
    allow: Sequence[str] = (),
    deny: Sequence[str] = (),
    records: Sequence[PluginRecord] | None = None,
) -> ModuleType:
    """Import one exchange, strategy or policy module.

    Args:
        group: ``grinder.exchanges``, ``grinder.strategies`` or ``grinder.policies``.
        name: its entry point.
        allow: see ``decide``.
        deny: see ``decide``.
        records: what ``discover(group)`` said, if that is known already.

    Raises:
        ConfigError: it is not installed, denied, claimed twice, fails to import, or lacks a part.
    """
    records = discover(group) if records is None else records
    mine = decide((record for record in records if record.name == name), (name,), allow=allow, deny=deny)
    if not mine:
        raise ConfigError(missing(group, name, records))
    record = mine[0]
    if record.state is not PluginState.ENABLED:
        raise PluginError(name, f"{group}: {record.state}: {record.reason}")
    loaded = import_record(record)
    with refusing(name, f"{group}: looking at {record.target}"):
        for part in EXTENSION_PARTS[group]:
            if not hasattr(loaded, part):
                raise PluginError(name, f"{group}: {record.target} has no {part!r}; it must define it")
        if group in SETTINGS_BASE:
            check_model(name, f"{record.target}.Settings", loaded.Settings, SETTINGS_BASE[group])
    module: ModuleType = loaded
    return module


def _load(record: PluginRecord) -> Any:
    if record.distribution:
        return EntryPoint(record.name, record.target, record.group).load()
    return load_file(f"grinder_plugins_dir.{record.name}", record.target)


def load_file(module_name: str, path: str) -> ModuleType:
    """Run one source file as a module of that name."""
    spec = spec_from_loader(module_name, _UncachedLoader(module_name, path))
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded")
    module = module_from_spec(spec)
    sys.modules[module_name] = module  # pydantic and typing look a class's module up by name
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module


class _UncachedLoader(SourceFileLoader):
    """Runs the file that was checked, never bytecode beside it that somebody else may have written."""

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - the loader protocol
        return self.source_to_code(self.get_data(self.path), self.path)


def declaration(loaded: Any, name: str) -> Any:
    """What a plugin declares beside its hooks: an attribute of it, or of the module that defines its class."""
    own = getattr(loaded, name, None)
    if own is None and not isinstance(loaded, ModuleType):
        return getattr(sys.modules.get(type(loaded).__module__), name, None)
    return own


def api_range(loaded: Any) -> str:
    """The range of hook versions that a plugin declares; empty when it declares none.

    What is no short text comes back as one that is no range.
    """
    declared = declaration(loaded, "GRINDER_API")
    if declared is None:
        return ""
    return line(declared if isinstance(declared, str) else f"{type(declared).__name__} {declared!r}", LONGEST_RANGE)


def check_api(record: PluginRecord, loaded: Any) -> None:
    """Hold the range of hook versions that a plugin declares, if any, against ``HOOK_API``.

    Raises:
        PluginError: it is no range, or this version is outside of it.
    """
    with refusing(record.name, "reading GRINDER_API"):
        wanted = api_range(loaded)
    if wanted == "":
        return
    from packaging.specifiers import SpecifierSet

    try:
        fits = SpecifierSet(wanted).contains(HOOK_API, prereleases=True)
    except ValueError as error:
        raise PluginError(
            record.name, f"GRINDER_API was {wanted!r}, must be a version range like '>=1.0,<2'"
        ) from error
    if not fits:
        raise PluginError(
            record.name,
            f"GRINDER_API is {wanted!r}, this grinder has {HOOK_API}; install a version of {record.source} that fits",
        )
