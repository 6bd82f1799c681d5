"""Market state: what the events of a feed add up to, per symbol."""

from __future__ import annotations
