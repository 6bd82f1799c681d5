"""Settings of the liquidity gate."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from grinder import GateSettings


class LiquiditySettings(GateSettings):
    """How much depth an order needs, and on which side of the book."""

    THRESHOLD: ClassVar[str] = "alpha"
    THRESHOLD_UNIT: ClassVar[str] = "x quantity"

    alpha: float = Field(
        default=1.5, ge=0, allow_inf_nan=False, description="Depth needed, as a multiple of the order's quantity."
    )
    levels: int = Field(
        default=3, ge=1, le=1000, description="Best levels that are added up; fewer present count as is."
    )
    side: Literal["exit", "entry", "both"] = Field(
        default="exit",
        description="exit: the side the position would leave through (bids for a BUY); entry: the other; both: each.",
    )
