"""What a plugin answers to ``resolve_threshold``: held against the setting that it would replace."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite

import msgspec

from grinder.decisions import Threshold


def sourced(answer: Threshold, plugin: str, unit: str) -> Threshold:
    """The answer with the plugin as its source, unless it names a better one, and with the gate's unit."""
    source = answer.source if answer.source not in {"", "settings"} else plugin
    return msgspec.structs.replace(answer, unit=answer.unit or unit, source=source)


def acceptable(value: object, valid: Callable[[float], bool]) -> bool:
    """Whether a threshold is a finite number that the setting would take."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and valid(value)
