"""Settings that note which of their fields a ``judge`` reads."""

from __future__ import annotations

from typing import Any

from grinder.settings.plugin import GateSettings


class Watched:
    """Stands in for a gate's settings.

    A changed setting that is never read must have gone into what the gate recorded, so that its ``judge`` cannot
    answer for it.
    """

    __slots__ = ("_read", "_settings")

    def __init__(self, settings: GateSettings, read: set[str]) -> None:
        self._settings = settings
        self._read = read

    @property  # type: ignore[override]
    def __class__(self) -> type[GateSettings]:
        """That of the settings, so that a ``judge`` may ask."""
        return type(self._settings)

    def __getattr__(self, name: str) -> Any:
        """The settings' own attribute."""
        self._read.add(name)
        return getattr(self._settings, name)
