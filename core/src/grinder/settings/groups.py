"""The groups of core's settings."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from grinder.settings.plugin import Section

REFUSED = "refused"
"""Type of the errors that ``refused`` makes."""


def refused(key: str, why: str) -> PydanticCustomError:
    """An error for a validator of a whole group to raise, which says which ``key`` in the group is meant."""
    return PydanticCustomError(REFUSED, "{why}", {"key": key, "why": why})


class GatesSettings(Section):
    """The gate chain."""

    order: tuple[str, ...] = Field(
        default=(), description="Gates and threshold resolvers that go first, in this order; the rest follow by name."
    )
    evaluate: Literal["all", "first_block"] = Field(
        default="all", description="Ask every gate, so that the record is complete, or stop at the first block."
    )


class HostSettings(Section):
    """Which plugins may be loaded, and which must be."""

    allow: tuple[str, ...] = Field(
        default=(), description="Distributions or plugins that may load; empty means every installed one."
    )
    deny: tuple[str, ...] = Field(default=(), description="Distributions or plugins that must not load.")
    essential: tuple[str, ...] = Field(
        default=(),
        description="Plugins without which nothing starts: missing, disabled or failed ones refuse the start.",
    )
    plugins_dir: Path | None = Field(
        default=None, description="Folder with plugin modules that are not installed; never in profile live."
    )


class MarketSettings(Section):
    """Market data."""

    stale_ms: int = Field(
        default=5000, ge=1, description="A symbol's market is stale when nothing arrived for this long, in ms."
    )


class EngineSettings(Section):
    """The order path."""

    decision_ttl_ms: int = Field(
        default=1000, ge=1, description="A decision older than this when it could be sent is made again, in ms."
    )
    max_in_flight: int = Field(
        default=50,
        ge=1,
        description="New risk is blocked while this many orders wait for an answer (UNKNOWN included).",
    )
    visibility_lag_ms: int = Field(
        default=5000, ge=0, description="Least time between two proofs that the venue never had an order, in ms."
    )
    watchdog_s: float = Field(
        default=10.0, ge=0, description="End the process when the loop stands still this long, in seconds; 0 is off."
    )
    position_mode: Literal["one_way", "hedge"] = Field(
        default="one_way", description="One net position per symbol, or a long and a short one."
    )
    order_memory: int = Field(
        default=10_000, ge=100, description="Final orders kept in memory; older ones are looked up in the journal."
    )


class SizingSettings(Section):
    """How a wanted notional becomes a quantity. Orders are dropped, never inflated, to satisfy a venue's minimum."""

    leverage: Decimal = Field(default=Decimal(10), gt=0, le=200, description="Free balance times this may be used.")
    notional_cap_usd: Decimal = Field(default=Decimal(20_000), gt=0, description="Largest notional of one order.")
    use_all_in: bool = Field(
        default=False, description="Use min(cap, free balance x leverage) instead of the notional the strategy wants."
    )
    min_free_balance_usd: Decimal = Field(
        default=Decimal(200), ge=0, description="No new risk while the free balance is below this."
    )
    lot_size_rounding: Literal["floor"] = Field(
        default="floor", description="Quantities are rounded down to the lot size; other ways would inflate them."
    )

    @field_validator("lot_size_rounding", mode="before")
    @classmethod
    def _never_inflate(cls, value: object) -> object:
        if value in ("round", "ceil"):
            raise ValueError(f"{value!r} can inflate an order above what was decided; only 'floor' is supported")
        return value


class RolloutSettings(Section):
    """Which part of the orders that add risk goes to the real venue."""

    mode: Literal["disabled", "canary", "full"] = Field(
        default="disabled", description="disabled: all to paper; canary: the hashed fraction to the venue; full: all."
    )
    canary_fraction: float = Field(
        default=0.10, ge=0, le=1, description="Share of orders that canary sends to the venue."
    )
    rng_seed: int = Field(default=1337, description="Seed of the hash that picks the canary's orders.")


class ExchangeSettings(Section):
    """The venue, and how orders are sent to it."""

    mode: Literal["paper", "real"] = Field(
        default="paper", description="Whether a real venue is connected at all; rollout.mode decides what goes there."
    )
    venue: str = Field(default="paper", min_length=1, description="Name of an exchange adapter; bybit_v5 means bybit.")
    maker_only: bool = Field(default=False, description="Refuse orders that would take liquidity.")
    post_only: bool = Field(default=False, description="Send limit orders as post-only where the venue can.")
    reduce_only: bool = Field(
        default=True, description="Reducing orders carry the venue's reduce-only flag; entries are not affected."
    )

    @field_validator("venue", mode="before")
    @classmethod
    def _one_name_per_venue(cls, value: object) -> object:
        return "bybit" if value == "bybit_v5" else value

    @model_validator(mode="after")
    def _real_needs_a_venue(self) -> Self:
        if self.mode == "real" and self.venue == "paper":
            raise refused("mode", "real, but the venue is paper; name the venue (EXCHANGE_VENUE or exchange.venue)")
        return self


class PoliciesSettings(Section):
    """Names of policies, from the entry-point group grinder.policies."""

    admission: str = Field(default="standard", min_length=1, description="Combines the gates' verdicts into one.")
    sizing: str = Field(default="standard", min_length=1, description="Turns a wanted notional into a quantity.")
    routing: str = Field(default="standard", min_length=1, description="Chooses paper or the real venue.")


class JournalSettings(Section):
    """The journal: intents, decisions, orders and fills on disk."""

    sync: Literal["auto", "process", "power"] = Field(
        default="auto", description="Survive a crash of the process, or of the machine; auto is power when real."
    )


class MetricsSettings(Section):
    """Where /metrics, /healthz and /readyz are served."""

    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(default=9090, ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")


class LogSettings(Section):
    """The log."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least severity written.")
    json_lines: bool = Field(default=False, alias="json", description="Write one JSON object a line.")
