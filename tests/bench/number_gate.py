"""A gate that checks one number, so that a benchmark runs six."""

from __future__ import annotations

from pydantic import Field

from grinder import Allow, Block, GateSettings, MarketView, OrderIntent, hookimpl

REASONS = {"BENCH_WIDE": "The spread is wider than the limit."}


class Settings(GateSettings):
    """Settings of the gate."""

    max_spread_bps: float = Field(default=1000.0, ge=0, description="Widest spread allowed, in bps of the mid price.")


@hookimpl
def register_settings() -> type[GateSettings]:
    """The settings model."""
    return Settings


@hookimpl
def pre_order_gate(order: OrderIntent, market: MarketView, settings: Settings) -> Allow | Block:
    """Block while the spread is wider than the limit."""
    spread = (market.ask - market.bid) / market.mid * 1e4
    if spread > settings.max_spread_bps:
        return Block("BENCH_WIDE", {"spread_bps": spread})
    return Allow({"spread_bps": spread})
