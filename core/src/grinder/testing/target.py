"""How a plugin under test is found: by its distribution, its name, its file or its folder; or imported already."""

from __future__ import annotations

import sys
import tomllib
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import msgspec

from grinder.errors import ConfigError
from grinder.host.discovery import PLUGINS, SETTINGS_KEY_GROUPS
from grinder.host.foreign import CrashError, attempt
from grinder.host.loading import load_file

PREFIXES: Final = ("grinder_plugin_", "grinder_plugins_dir.")


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Plain data, so that another process can import the same plugin.

    Attributes:
        name: of the plugin.
        group: entry-point group.
        module: to import, with ``attribute`` in it if not empty.
        file: its source file, for a module that cannot be imported by name.
        source: what announces it, for messages; empty when nothing does.
        folders: put in front of ``sys.path`` by the import, to stay: a plugin may import more of itself later.
    """

    name: str
    group: str = PLUGINS
    module: str = ""
    attribute: str = ""
    file: str = ""
    source: str = ""
    folders: tuple[str, ...] = ()

    def load(self) -> Any:
        """Import it.

        Raises:
            ConfigError: the import raised, or what is announced is not there.
        """
        where = f"{self.module}:{self.attribute}" if self.attribute else self.module
        sys.path[:0] = [folder for folder in self.folders if folder not in sys.path]
        try:
            return attempt(self._imported)
        except CrashError as error:
            raise ConfigError(
                f"plugin {self.name!r}: importing {where or self.file} raised {error}; "
                "mend it, or install what it needs"
            ) from error

    def _imported(self) -> Any:
        loaded = self._module()
        for part in self.attribute.split(".") if self.attribute else ():
            loaded = getattr(loaded, part)
        return loaded

    def _module(self) -> ModuleType:
        if self.module:
            try:
                return import_module(self.module)
            except ModuleNotFoundError as error:
                if error.name != self.module.partition(".")[0] or not self.file:
                    raise
        return load_file(f"grinder_plugins_dir.{self.name}", self.file)


def imported(plugin: object, name: str = "") -> Target:
    """The target of a plugin that is imported already, announced by a distribution or not."""
    module = plugin if isinstance(plugin, ModuleType) else sys.modules.get(type(plugin).__module__)
    where = module.__name__ if module is not None else ""
    file = getattr(module, "__file__", None) or ""
    for group in SETTINGS_KEY_GROUPS:
        for point in _points(group):
            if point.module == where and name in {"", point.name}:
                return msgspec.structs.replace(_announced(point, group), file=file)
    plain = where
    for prefix in PREFIXES:
        plain = plain.removeprefix(prefix)
    named = () if module is None else vars(module).items()
    attribute = "" if module is plugin else next((key for key, value in named if value is plugin), "?")
    return Target(name=name or plain.rpartition(".")[2], module=where, attribute=attribute, file=file)


@cache
def _points(group: str) -> tuple[EntryPoint, ...]:
    """What is announced in a group; read once, since it takes longer than a test."""
    return tuple(entry_points(group=group))


def wanted(text: str) -> tuple[Target, ...]:
    """The plugins that a distribution, a name, a source file or a source folder stands for.

    Raises:
        ConfigError: there is no such thing, or it announces no plugin.
    """
    if not text.strip():
        raise ConfigError("nothing was named; give a plugin, a distribution, a Python file, or a folder of a package")
    path = Path(text)
    looks_like_a_path = text.endswith(".py") or text != path.name or text in {".", ".."}
    if not looks_like_a_path and (found := _installed(text)):
        return found
    if path.is_dir():
        return _folder(path.resolve())
    if path.is_file():
        return (Target(name=path.stem, file=str(path.resolve()), source=""),)
    if path.exists():
        raise ConfigError(f"{text} is neither a file nor a folder")
    if looks_like_a_path:
        raise ConfigError(f"{text} is not there; give a file, a folder with a pyproject.toml, or a plugin's name")
    from difflib import get_close_matches

    names = sorted({name for group in SETTINGS_KEY_GROUPS for name in entry_points(group=group).names})
    near = get_close_matches(text, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f" (installed: {', '.join(names) or 'none'})"
    raise ConfigError(f"no plugin or distribution called {text!r} is installed, and no file or folder is{hint}")


def _installed(text: str) -> tuple[Target, ...]:
    by_name = [
        _announced(point, group) for group in SETTINGS_KEY_GROUPS for point in entry_points(group=group, name=text)
    ]
    if by_name:
        return tuple(by_name[:1])
    try:
        points = distribution(text).entry_points
    except (PackageNotFoundError, ValueError):
        return ()
    mine = tuple(_announced(point, point.group) for point in points if point.group in SETTINGS_KEY_GROUPS)
    if not mine:
        raise ConfigError(f"distribution {text!r} announces nothing in {' or '.join(SETTINGS_KEY_GROUPS)}")
    return mine


def _announced(point: EntryPoint, group: str) -> Target:
    dist = point.dist
    source = f"{dist.name} {dist.version}" if dist is not None else ""
    return Target(name=point.name, group=group, module=point.module, attribute=point.attr or "", source=source)


def _folder(folder: Path) -> tuple[Target, ...]:
    file = folder / "pyproject.toml"
    try:
        project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
        points = {group: dict(project.get("entry-points", {}).get(group, {})) for group in SETTINGS_KEY_GROUPS}
    except FileNotFoundError:
        raise ConfigError(f"{folder} has no pyproject.toml; give the folder of a package, or a single file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    places = tuple(str(place) for place in (folder / "src", folder) if place.is_dir())
    source = f"{project.get('name', folder.name)} in {folder}"
    found = []
    for group, rows in points.items():
        for name, value in rows.items():
            point = EntryPoint(name, str(value), group)
            try:
                module, attribute = point.module, point.attr or ""
            except (AttributeError, ValueError) as error:
                raise ConfigError(f"{file}: entry point {name} = {value!r} is not module or module:object") from error
            target = Target(name=name, group=group, module=module, attribute=attribute, source=source, folders=places)
            found.append(target)
    if not found:
        groups = " or ".join(f'[project.entry-points."{group}"]' for group in SETTINGS_KEY_GROUPS)
        raise ConfigError(f"{file} announces no plugin; add {groups} with: name = 'module'")
    return tuple(found)
