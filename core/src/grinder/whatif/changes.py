"""Which settings differ between a run and the question, and what of that recorded decisions can answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from grinder.settings.model import Settings
from grinder.settings.report import flatten

BINDING: Final = frozenset(("enabled", "mode", "symbols", "on_error"))
"""Settings of any gate that say what its answer leads to; they are applied without asking the gate."""

_UNMODELLED: Final = frozenset(("budget_us", "breaker"))
_CHAIN: Final = frozenset(("gates.order", "gates.evaluate", "policies.admission"))
_ADMISSION: Final = frozenset(("host.allow", "host.deny"))
"""What they keep out is switched off."""
_PLACES: Final = frozenset(("metrics", "log"))


class Change(msgspec.Struct, frozen=True):
    """One setting that differs; None where a value is not set or not told."""

    key: str
    before: Any
    after: Any

    @property
    def path(self) -> list[str]:
        """The parts of the key."""
        return self.key.split(".")


def changes_between(base: Settings, changed: Settings) -> tuple[Change, ...]:
    """Every setting that differs, secrets and what only places things left out, in the order of the models.

    Of a plugin that is loaded only before or after, ``enabled`` alone is told.
    """
    old = dict(_values(base))
    new = dict(_values(changed))
    keys = [key for key in new if key in old or _switch(key)]
    keys += [key for key in old if key not in new and _switch(key)]
    return tuple(Change(key, old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key))


def _switch(key: str) -> bool:
    """Whether a key loads a plugin; what its other settings are without it, nobody has asked."""
    path = key.split(".")
    return len(path) == 3 and path[0] == "plugins" and path[2] == "enabled"


def own_fields(changes: Iterable[Change], gate: str) -> tuple[str, ...]:
    """The fields of a gate's own that differ: those that only its ``judge`` can answer for."""
    mine = (change.path for change in changes if change.key.startswith(f"plugins.{gate}."))
    return tuple(dict.fromkeys(path[2] for path in mine if path[2] not in BINDING | _UNMODELLED))


def not_modelled(changes: Iterable[Change], gates: Iterable[str]) -> tuple[str, ...]:
    """Keys whose change recorded decisions cannot answer: they would have led to other orders or other timing."""
    names = frozenset(gates)
    return tuple(change.key for change in changes if not _modelled(change, names))


def _modelled(change: Change, gates: frozenset[str]) -> bool:
    group, *rest = change.path
    if group == "plugins" and rest[0] in gates:
        return rest[1] not in _UNMODELLED
    return change.key in _CHAIN or change.key in _ADMISSION or group in _PLACES


def _values(settings: Settings) -> Iterator[tuple[str, Any]]:
    return ((setting.key, setting.shown) for setting in flatten(settings) if not (setting.secret or setting.local))
