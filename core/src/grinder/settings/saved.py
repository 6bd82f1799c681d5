"""``settings.json``: what applied to a run, kept beside its records so that they can be judged under other settings.

Secrets, paths and ports are left out: nothing that hides, and nothing that only this machine has.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from grinder.errors import ConfigError, InputError
from grinder.settings.model import Settings
from grinder.settings.origin import Layer, Leaf, Origin, Tree
from grinder.settings.report import fingerprint, flatten

SETTINGS: Final = "settings.json"
MAX_BYTES: Final = 1 << 22
MAX_DEPTH: Final = 32
"""Groups and lists within one another; no plugin's settings come near it."""


class Saved(msgspec.Struct, frozen=True):
    """What the file holds: the resolved settings as nested objects, and their fingerprint."""

    settings: dict[str, Any]
    settings_sha256: str = ""

    def layer(self, name: str) -> Layer:
        """The values as a source of settings; ``name`` says in messages where they came from."""
        return Layer(_tree(self.settings, Origin("file", name)))

    def dotted(self) -> dict[str, Any]:
        """The values by dotted key."""
        return dict(_dotted(self.settings))


def _dotted(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def saved(settings: Settings) -> bytes:
    """The content of the file."""
    nested: dict[str, Any] = {}
    for setting in flatten(settings):
        if not (setting.secret or setting.local):
            group = nested
            for key in setting.path[:-1]:
                group = group.setdefault(key, {})
            group[setting.path[-1]] = setting.shown
    encoded = msgspec.json.encode(Saved(nested, fingerprint(settings)))
    return msgspec.json.format(encoded, indent=2) + b"\n"


def read_saved(path: Path) -> Saved:
    """The settings that a run left behind.

    Raises:
        ConfigError: there is no such file: an earlier version made the run.
        InputError: the file is not one of ours.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file; this is no run, or one of an earlier version, which kept no settings: run it again"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise InputError(str(path), 0, f"is larger than {MAX_BYTES} bytes; 'grinder run' writes no such file")
    try:
        found = msgspec.json.decode(data, type=Saved)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(str(path), 0, f"is not a run's settings ({error}); run it again to write them anew") from None
    if _deep(found.settings):
        wrong = f"is not a run's settings (nested more than {MAX_DEPTH} deep); run it again to write them anew"
        raise InputError(str(path), 0, wrong)
    return found


def _deep(value: object) -> bool:
    """Whether values lie deeper in one another than any of ours; what reads them calls itself for each level."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
    return bool(level)


def _tree(values: dict[str, Any], origin: Origin) -> Tree:
    return {
        key: _tree(child, origin) if isinstance(child, dict) else Leaf(child, origin) for key, child in values.items()
    }


def changed(path: Path, settings: Settings) -> list[str]:
    """Keys that were others, or not there, in the settings that a run left behind; none where it left none."""
    try:
        before = read_saved(path).dotted()
    except (ConfigError, InputError):
        return []
    now = msgspec.json.decode(saved(settings), type=Saved).dotted()
    return sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
