"""Settings of the paper exchange."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field

from grinder import Section


class Settings(Section):
    """The simulated venue: its distance, its wallet and its account mode."""

    entry_latency_ms: float = Field(
        default=10.0, ge=0, le=600_000, description="Time from submit to the venue, in milliseconds."
    )
    response_latency_ms: float = Field(
        default=10.0, ge=0, le=600_000, description="Time from the venue back to us, in milliseconds."
    )
    balance: Decimal = Field(
        default=Decimal(10000), ge=0, description="Wallet balance at the start, in quote units (USDT)."
    )
    leverage: int = Field(
        default=20,
        ge=1,
        le=150,
        description="Worst-case notional of positions and open orders may reach balance times this.",
    )
    position_mode: Literal["one_way", "hedge"] = Field(
        default="one_way", description="one_way (position side BOTH) or hedge (LONG and SHORT apart)."
    )
    maker_fee: Decimal | None = Field(
        default=None, gt=-1, lt=1, description="Maker fee as a fraction; negative is a rebate; unset: the instrument's."
    )
    taker_fee: Decimal | None = Field(
        default=None, gt=-1, lt=1, description="Taker fee as a fraction; unset: the instrument's."
    )
