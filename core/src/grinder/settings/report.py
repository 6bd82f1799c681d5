"""Resolved settings, flat: to be shown with secrets hidden, and to be fingerprinted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import msgspec
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from grinder.settings.decode import is_secret
from grinder.settings.model import Settings

HIDDEN = "**********"


class Setting(msgspec.Struct, frozen=True):
    """One resolved value. ``local`` ones (secrets, paths, ports) do not change what a run does."""

    path: tuple[str, ...]
    value: Any
    secret: bool
    local: bool

    @property
    def key(self) -> str:
        """The dotted key."""
        return ".".join(self.path)

    @property
    def shown(self) -> Any:
        """The value as JSON has it; a secret is hidden."""
        return HIDDEN if self.secret and self.value is not None else _plain(self.value)


def flatten(settings: Settings) -> Iterator[Setting]:
    """Every value, in the order of the models. Of what is not loaded only ``enabled`` is told."""
    yield from _flatten(settings, ())


def _flatten(model: BaseModel, path: tuple[str, ...]) -> Iterator[Setting]:
    for name, field in type(model).model_fields.items():
        key = field.alias or name
        value = getattr(model, name)
        here = (*path, key)
        if isinstance(value, BaseModel):
            yield from _flatten(value, here)
        else:
            secret = is_secret(field.annotation)
            port = key == "port" or key.endswith("_port")
            yield Setting(here, value, secret, secret or port or _mentions(field.annotation, Path))
    for name, section in sorted((model.model_extra or {}).items()):
        yield Setting((*path, name, "enabled"), section.enabled, secret=False, local=False)


def effective(settings: Settings) -> dict[str, Any]:
    """What the settings make a run do, by dotted key: resolved values without secrets, paths and ports.

    Disabled plugins and exchanges that are not in use do not count, nor does how a number is written.
    """
    venues = {"paper", settings.exchange.venue}
    counted: dict[str, Any] = {}
    for setting in flatten(settings):
        group, name = setting.path[0], setting.path[min(1, len(setting.path) - 1)]
        unused = (group == "exchanges" and name not in venues) or (group == "plugins" and not _enabled(settings, name))
        if not setting.local and not unused:
            counted[setting.key] = _plain(setting.value)
    return counted


def fingerprint(settings: Settings) -> str:
    """SHA-256 (hex) of what the settings make a run do, see :func:`effective`."""
    canonical = json.dumps(effective(settings), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _enabled(settings: Settings, name: str) -> bool:
    return bool(getattr(settings.plugins, name).enabled)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(item) for item in value), key=str)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return to_jsonable_python(value)


def _mentions(annotation: Any, kind: type) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, kind):
        return True
    return any(_mentions(argument, kind) for argument in get_args(annotation))
