"""Paper exchange for grinder: queue position on displayed depth and prints, latency, fees, venue rejects."""

from __future__ import annotations

from grinder_exchange_paper.exchange import PaperExchange
from grinder_exchange_paper.settings import Settings

__all__ = ["PaperExchange", "Settings", "create"]


def create(settings: Settings) -> PaperExchange:
    """The exchange that the entry point ``paper`` stands for; nothing is opened before ``start``."""
    return PaperExchange(settings)
