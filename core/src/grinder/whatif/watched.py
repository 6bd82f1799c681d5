"""Settings that note which of their fields a ``judge`` reads."""

from __future__ import annotations

from typing import Any

from grinder.settings.plugin import GateSettings


class Watched:
    """Stands in for a gate's settings.

    A changed setting that is never read must have gone into what the gate recorded, so that its ``judge`` cannot
    answer for it. Each name that is read is taken out of ``unread``; what is answered to the stand-in counts for
    nothing.
    """

    __slots__ = ("_settings", "_unread")

    def __init__(self, settings: GateSettings, unread: set[str]) -> None:
        self._settings = settings
        self._unread = unread

    def __getattr__(self, name: str) -> Any:
        """The settings' own attribute."""
        self._unread.discard(name)
        return getattr(self._settings, name)
