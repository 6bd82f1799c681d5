"""The one registry of reason codes. Core's own are here; each plugin adds its ``REASONS`` when it is loaded.

A code is upper-case snake case and keeps its meaning for ever: operators' alerts and queries depend on it.
The table in the documentation is generated from this registry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from grinder.errors import PluginError

CORE_REASONS: Mapping[str, str] = {
    "OK": "Every check passed.",
    "GATE_ERROR": "A gate raised, returned a wrong type or an undeclared reason; its on_error setting decided.",
    "GATE_TIMEOUT": "A gate took longer than its budget_us; its on_error setting decided.",
    "GATE_BREAKER_OPEN": "The gate failed too often and is not called for now; its on_error setting decided.",
    "GATE_BYPASSED": "The gate blocked far more than it should and its verdict breaker bypasses it.",
    "INPUT_MISSING": "Data that the gate needs is not there yet (no book, no price).",
    "INPUT_NONFINITE": "A price or quantity is NaN or infinite.",
    "INPUT_OVERSIZE": "The inputs that a gate recorded are too many or too long for a record; on_error decided.",
    "MARKET_GAP": "Updates of the book were missed, or its sides met, or the feed is down; it waits for a snapshot.",
    "MARKET_STALE": "No market data arrived for longer than market.stale_ms, or the clock went back by more than that.",
    "TRADING_REDUCE_ONLY": "Trading state is REDUCE_ONLY: only reducing orders and cancels pass.",
    "TRADING_HALTED": "Trading state is HALTED: only cancels pass.",
    "ACCOUNT_UNKNOWN": "The venue's balance and positions were not stated since the start; new risk waits.",
    "SYMBOL_UNKNOWN": "No instrument is known for the symbol.",
    "ORDER_INVALID": "The intent contradicts itself, for instance a post-only market order.",
    "TARGET_UNKNOWN": "The order to cancel or amend is not known, or is already final.",
    "PRICE_TICK": "The price is not a positive multiple of the tick size.",
    "PRICE_COLLAR": "The price is further from the reference price than the collar allows.",
    "PRICE_UNAVAILABLE": "A market order needs a price to be valued, and there is none.",
    "QTY_ZERO": "The quantity is zero or negative after rounding down to the lot size.",
    "QTY_LOT": "The quantity is not a multiple of the lot size.",
    "QTY_MIN": "The quantity is below the venue's minimum; orders are dropped, never inflated.",
    "QTY_MAX": "The quantity is above the venue's maximum.",
    "NOTIONAL_MIN": "Price times quantity is below the venue's minimum; orders are dropped, never inflated.",
    "BALANCE_MIN": "Free balance is below sizing.min_free_balance_usd.",
    "SHRINK_REPEATED": "Gates asked for a smaller quantity twice; the order is dropped.",
    "POLICY_REFUSED": "The admission policy is stricter than the gates and refused the order.",
    "POLICY_ERROR": "A policy raised or answered with a wrong type; orders that add risk are blocked.",
    "IN_FLIGHT_CAP": "Too many orders without an answer (engine.max_in_flight).",
    "DECISION_EXPIRED": "The decision waited longer than engine.decision_ttl_ms before it could be sent.",
    "JOURNAL_UNAVAILABLE": "The journal cannot be written; orders that add risk are blocked.",
    "CALL_INTERRUPTED": "An exception interrupted a call of a gatekeeper; no new risk until it is opened again.",
    "EVIDENCE_UNAVAILABLE": "Records cannot be written; orders that add risk are blocked when live.",
}

CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
LONGEST = 64
"""Characters that a code may have."""


class ReasonRegistry:
    """Codes and meanings, each with its owner (``core`` or a plugin's name)."""

    def __init__(self) -> None:
        self._owner: dict[str, str] = dict.fromkeys(CORE_REASONS, "core")
        self._meaning: dict[str, str] = dict(CORE_REASONS)

    def extend(self, plugin: str, reasons: Mapping[str, str]) -> None:
        """Add a plugin's codes.

        Raises:
            PluginError: a code is malformed, has no meaning, or belongs to someone else.
        """
        for code, meaning in reasons.items():
            if len(code) > LONGEST or not CODE.fullmatch(code):
                raise PluginError(
                    plugin,
                    f"reason code {code[:LONGEST]!r} must be upper-case snake case, like SPREAD_WIDE, of at most "
                    f"{LONGEST} characters",
                )
            if not meaning.strip():
                raise PluginError(plugin, f"reason code {code} needs a sentence that says what it means")
            owner = self._owner.get(code, plugin)
            if owner != plugin:
                who = "core" if owner == "core" else f"plugin {owner!r}"
                raise PluginError(
                    plugin,
                    f"reason code {code} belongs to {who}; {plugin!r} must call its own otherwise, or stay off",
                )
        for code, meaning in reasons.items():
            self._owner[code] = plugin
            self._meaning[code] = meaning

    def owned_by(self, plugin: str) -> frozenset[str]:
        """The codes that a plugin may use beside core's."""
        return frozenset(code for code, owner in self._owner.items() if owner == plugin)

    def meaning(self, code: str) -> str:
        """The sentence for a code, or the code itself when nobody declared it."""
        return self._meaning.get(code, code)

    def __iter__(self) -> Iterator[tuple[str, str, str]]:
        """``(code, owner, meaning)`` sorted by owner (core first), then code."""
        rows = sorted(self._owner.items(), key=lambda row: (row[1] != "core", row[1], row[0]))
        for code, owner in rows:
            yield code, owner, self._meaning[code]
