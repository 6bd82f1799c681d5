"""Feeds: market events from recordings and from the synthetic market, in local time order."""

from __future__ import annotations

from grinder.feeds.feed import Feed, InputInfo
from grinder.feeds.opening import open_recordings

__all__ = ["Feed", "InputInfo", "open_recordings"]
