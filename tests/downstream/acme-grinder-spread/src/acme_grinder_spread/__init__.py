"""Gate for grinder: no new risk while the spread is wide."""

from __future__ import annotations

from pydantic import Field

from grinder import Allow, Block, GateSettings, MarketView, Verdict, hookimpl

GRINDER_API = ">=1.0,<2"
REASONS = {"ACME_SPREAD_WIDE": "The spread is above plugins.acme_spread.max_spread_bps."}


class SpreadSettings(GateSettings):
    THRESHOLD, THRESHOLD_UNIT = "max_spread_bps", "bps"
    max_spread_bps: float = Field(default=5.0, ge=0, allow_inf_nan=False, description="Widest spread, in bps of mid.")


@hookimpl
def register_settings() -> type[SpreadSettings]:
    return SpreadSettings


@hookimpl
def pre_order_gate(market: MarketView, settings: SpreadSettings) -> Verdict:
    if not market.mid > 0:
        return Block("INPUT_MISSING")
    inputs = {"spread_bps": (market.ask - market.bid) / market.mid * 10_000}
    return Allow(inputs) if inputs["spread_bps"] <= settings.max_spread_bps else Block("ACME_SPREAD_WIDE", inputs)
