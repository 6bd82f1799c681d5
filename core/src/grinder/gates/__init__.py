"""The gate chain: compiled once, isolated, counted; and the breakers that guard it."""

from __future__ import annotations
