"""Routing: which orders that add risk reach the real venue. Any doubt means paper."""

from __future__ import annotations

from hashlib import sha256
from typing import Protocol

from grinder import Route


class RolloutSettings(Protocol):
    """What is read of the ``rollout`` settings."""

    @property
    def mode(self) -> str: ...  # noqa: D102 - the settings' own descriptions say it
    @property
    def canary_fraction(self) -> float: ...  # noqa: D102
    @property
    def rng_seed(self) -> int: ...  # noqa: D102


def vote(seed: int, key: str) -> float:
    """A number between 0 and 1 that depends on nothing but the seed and the key, evenly spread over keys."""
    digest = sha256(f"{seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def route(settings: RolloutSettings, intent_id: str) -> Route:
    """Where an order that adds risk goes.

    ``disabled`` is paper, ``full`` the venue, ``canary`` the venue for the hashed fraction. A mode that is not one
    of these, a fraction outside 0 to 1, or an intent without an id is a doubt, and goes to paper.

    Args:
        settings: ``rollout``.
        intent_id: the order's intent, so that the same intent always takes the same route.
    """
    mode = settings.mode
    if not intent_id:
        return Route.PAPER
    if mode == "full":
        return Route.FULL
    fraction = settings.canary_fraction
    if mode == "canary" and 0.0 <= fraction <= 1.0 and vote(settings.rng_seed, intent_id) < fraction:
        return Route.CANARY
    return Route.PAPER
